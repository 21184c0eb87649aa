//! The floor of `cargo xtask bench`: a plain tonic server that answers `Get` from memory.
//!
//! `bare_server LISTEN (UPSTREAM ACCOUNT_ID REQUEST_FILE)...` asks the service at each `UPSTREAM` for the account
//! once, writes the request to `REQUEST_FILE` as a load generator sends it, and from then on answers every call
//! with what it was told last.
#![expect(clippy::unwrap_used, reason = "whoever starts a benchmark reads its panics")]

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use http::{Request, Response};
use ig_proto::v1::get_request::Key;
use ig_proto::v1::instagram_account_service_client::InstagramAccountServiceClient;
use ig_proto::v1::instagram_account_service_server::SERVICE_NAME;
use ig_proto::v1::{GetRequest, GetResponse};
use prost::Message as _;
use tonic::body::Body;
use tonic::codegen::BoxFuture;
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::Server;
use tonic_prost::ProstCodec;
use tower::Service;

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let listen = arguments.next().unwrap().parse().unwrap();
    let mut answer = GetResponse::default();
    while let Some(upstream) = arguments.next() {
        let account_id = Key::AccountId(arguments.next().unwrap());
        let request = GetRequest { key: Some(account_id), owner: None };
        std::fs::write(arguments.next().unwrap(), framed(&request)).unwrap();
        let mut client = InstagramAccountServiceClient::connect(upstream).await.unwrap();
        answer = client.get(request).await.unwrap().into_inner();
    }
    Server::builder().add_service(FromMemory(answer)).serve(listen).await.unwrap();
}

/// The message behind its header: not compressed, and its length.
fn framed(request: &GetRequest) -> Vec<u8> {
    let length = u32::try_from(request.encoded_len()).unwrap();
    [[0].as_slice(), &length.to_be_bytes(), &request.encode_to_vec()].concat()
}

/// Method as generated code would make it; it clones its answer.
#[derive(Clone)]
struct FromMemory(GetResponse);

impl NamedService for FromMemory {
    const NAME: &'static str = SERVICE_NAME;
}

impl UnaryService<GetRequest> for FromMemory {
    type Response = GetResponse;
    type Future = Ready<Result<tonic::Response<GetResponse>, tonic::Status>>;

    fn call(&mut self, _: tonic::Request<GetRequest>) -> Self::Future {
        ready(Ok(tonic::Response::new(self.0.clone())))
    }
}

impl Service<Request<Body>> for FromMemory {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Response<Body>, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let method = self.clone();
        Box::pin(async move { Ok(Grpc::new(ProstCodec::default()).unary(method, request).await) })
    }
}
