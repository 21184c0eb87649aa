//! The gRPC services of a server: that of accounts, and those beside it.

use std::convert::Infallible;
use std::error::Error;
use std::task::{Context, Poll};

use futures_util::future::Either;
use http::{Request, Response};
use hyper::body::{Body as HttpBody, Bytes};
use ig_proto::v1::instagram_account_service_server::SERVICE_NAME;
use tonic::body::Body;
use tonic::service::Routes;
use tower::Service;

/// Sends each call to its service. Nearly all are for `accounts`: a router before it would cost them as much as looking
/// an account up in memory.
#[derive(Clone)]
pub(super) struct Services<A> {
    pub(super) accounts: A,
    pub(super) others: Routes,
}

impl<A, B> Service<Request<B>> for Services<A>
where
    A: Service<Request<B>, Response = Response<Body>, Error = Infallible>,
    B: HttpBody<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<A::Future, <Routes as Service<Request<B>>>::Future>;

    /// Each is ready at any time.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let path = request.uri().path().strip_prefix('/');
        let method = path.and_then(|path| path.strip_prefix(SERVICE_NAME));
        if method.is_some_and(|method| method.starts_with('/')) {
            Either::Left(self.accounts.call(request))
        } else {
            Either::Right(self.others.call(request))
        }
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use rstest::rstest;
    use tower::{ServiceExt as _, service_fn};

    use super::*;

    #[rstest]
    #[case::a_method("/instagram.accounts.v1.InstagramAccountService/Get", true)]
    #[case::no_method_of_it("/instagram.accounts.v1.InstagramAccountService/Got", true)]
    #[case::a_longer_name("/instagram.accounts.v1.InstagramAccountServices/Get", false)]
    #[case::another_service("/grpc.health.v1.Health/Check", false)]
    #[case::behind_another("/a/instagram.accounts.v1.InstagramAccountService/Get", false)]
    #[case::nothing("/", false)]
    #[tokio::test]
    async fn only_its_own_calls_go_to_the_service_of_accounts(
        #[case] path: &str,
        #[case] is_of_accounts: bool,
    ) {
        let accounts = service_fn(async |_: Request<Body>| {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::IM_A_TEAPOT;
            Ok(response)
        });
        let services = Services { accounts, others: Routes::default() };
        let request = Request::post(path).body(Body::empty()).unwrap();
        let response = services.oneshot(request).await.unwrap();
        assert_eq!(response.status() == StatusCode::IM_A_TEAPOT, is_of_accounts);
    }
}
