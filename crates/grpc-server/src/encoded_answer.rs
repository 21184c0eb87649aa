//! Answers that are encoded before their response is made.

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use ig_application::ReadAccount;
use ig_domain::AccountView;
use ig_proto::v1;
use prost::Message;
use tonic::body::Body;
use tonic::{Response, Status};

use crate::convert;

/// Bytes before a message: one that says that it is not compressed, and its length.
///
/// Source: <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>.
const HEADER: usize = 5;

/// A message behind its header, which is sent in place of the message of its response.
#[derive(Clone)]
pub(crate) struct EncodedAnswer(Bytes);

impl EncodedAnswer {
    /// The answer of `Get`. It is encoded once for all calls that share the account.
    pub(crate) fn of_get(view: &AccountView<Arc<ReadAccount>>) -> Self {
        let encode = || encode(&v1::GetResponse { account: Some(convert::read_account(view)) });
        Self(view.account.encoded(view.status, encode))
    }

    /// A response whose own message is not sent.
    pub(crate) fn into_response<M: Default>(self) -> Response<M> {
        let mut response = Response::new(M::default());
        response.extensions_mut().insert(self);
        response
    }

    /// `response` with what was encoded for it, where something was.
    pub(crate) fn put_into(mut response: http::Response<Body>) -> http::Response<Body> {
        let Some(Self(message)) = response.extensions_mut().remove() else { return response };
        let ended_well = || {
            let mut trailers = HeaderMap::with_capacity(1);
            trailers.insert(Status::GRPC_STATUS, HeaderValue::from_static("0"));
            trailers
        };
        response.map(|_| {
            let trailers = Some(Ok::<_, Infallible>(ended_well()));
            Body::new(Full::new(message).with_trailers(ready(trailers)))
        })
    }
}

/// The message behind its header.
pub(crate) fn encode(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut bytes = Vec::with_capacity(HEADER + length);
    bytes.push(0);
    // A message is far below 4 GiB: all that is in it has its bounds.
    bytes.extend(u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    message.encode_raw(&mut bytes);
    bytes.into()
}

#[cfg(test)]
mod tests {
    use ig_test_support::builders::{START, account};

    use super::*;

    #[tokio::test]
    async fn a_response_with_an_encoded_answer_is_as_if_its_message_had_been_sent() {
        let account = account(1, "shop/7", START);
        let view = account.clone().view(START);
        let message = v1::GetResponse { account: Some(convert::account(&view)) };
        let shared =
            AccountView { account: Arc::new(ReadAccount::from(account)), status: view.status };
        for _ in 0..2 {
            let mut response = http::Response::new(Body::empty());
            response.extensions_mut().insert(EncodedAnswer::of_get(&shared));
            let body = EncodedAnswer::put_into(response).into_body().collect().await.unwrap();
            assert_eq!(body.trailers().unwrap()["grpc-status"], "0");
            let sent = body.to_bytes();
            let (header, sent) = sent.split_at(HEADER);
            assert_eq!(header[0], 0, "not compressed");
            assert_eq!(header[1..], u32::try_from(sent.len()).unwrap().to_be_bytes());
            assert_eq!(v1::GetResponse::decode(sent).unwrap(), message);
        }
    }

    #[tokio::test]
    async fn any_other_response_keeps_its_body() {
        let response = http::Response::new(Body::new(Full::new(Bytes::from_static(b"body"))));
        let response = EncodedAnswer::put_into(response);
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "body");
    }
}
