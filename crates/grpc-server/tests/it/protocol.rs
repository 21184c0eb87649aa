//! Requests that are not gRPC, such as a web page sends to any address that its visitor reaches.

use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use ig_domain::Role;
use ig_proto::v1;
use ig_proto::v1::instagram_account_service_server::SERVICE_NAME;
use prost::Message;
use rstest::rstest;
use tonic::body::Body;
use tonic::codegen::Bytes;

use crate::two_owners::{SHOP, TwoOwners, by};
use crate::world::{Server, World, http_client};

/// A message as gRPC sends it: not compressed, behind its length.
pub(crate) fn framed(message: &impl Message) -> Bytes {
    let length = u32::try_from(message.encoded_len()).unwrap();
    [[0].as_slice(), &length.to_be_bytes(), &message.encode_to_vec()].concat().into()
}

/// Sends this, and reads the answer to its end.
pub(crate) async fn send(
    server: &Server,
    (method, content_type): (Method, Option<&str>),
    token: &str,
    (rpc, message): (&str, Bytes),
) -> Response<()> {
    let uri = format!("http://{}/{SERVICE_NAME}/{rpc}", server.address);
    let mut request = Request::builder().method(method).uri(uri);
    request = request.header("authorization", format!("Bearer {token}"));
    if let Some(content_type) = content_type {
        request = request.header("content-type", content_type);
    }
    let body = Body::new(http_body_util::Full::new(message));
    let response = http_client().request(request.body(body).unwrap()).await.unwrap();
    let (mut head, body) = response.into_parts();
    if let Some(trailers) = body.collect().await.unwrap().trailers() {
        head.headers.extend(trailers.clone());
    }
    Response::from_parts(head, ())
}

#[rstest]
#[case::text(Method::POST, Some("text/plain"), StatusCode::UNSUPPORTED_MEDIA_TYPE)]
#[case::nothing(Method::POST, None, StatusCode::UNSUPPORTED_MEDIA_TYPE)]
#[case::json(Method::POST, Some("application/grpc+json"), StatusCode::UNSUPPORTED_MEDIA_TYPE)]
#[case::web(Method::POST, Some("application/grpc-web+proto"), StatusCode::UNSUPPORTED_MEDIA_TYPE)]
#[case::get(Method::GET, Some("application/grpc"), StatusCode::METHOD_NOT_ALLOWED)]
#[case::put(Method::PUT, Some("application/grpc"), StatusCode::METHOD_NOT_ALLOWED)]
#[case::preflight(Method::OPTIONS, None, StatusCode::METHOD_NOT_ALLOWED)]
#[tokio::test]
async fn a_request_that_is_not_grpc_is_refused_and_does_nothing(
    #[case] method: Method,
    #[case] content_type: Option<&str>,
    #[case] expected: StatusCode,
) {
    let mut owners = TwoOwners::with(&[Role::Admin]).await;
    let account_id = owners.shop.account_id.clone();
    let unlink = v1::UnlinkRequest { account_id, owner: None, allow_missing: false };
    let response =
        send(&owners.server, (method, content_type), "root", ("Unlink", framed(&unlink))).await;
    assert_eq!(response.status(), expected);
    let allowed = response.headers().get("allow").is_some_and(|methods| methods == "POST");
    assert_eq!(allowed, expected == StatusCode::METHOD_NOT_ALLOWED);
    let list = v1::ListRequest { owner: Some(SHOP.to_owned()), ..Default::default() };
    let listed = owners.client.list(by("root", list)).await.unwrap().into_inner();
    assert_eq!(listed.accounts, [owners.shop]);
}

#[rstest]
#[case::bare("application/grpc")]
#[case::proto("application/grpc+proto")]
#[case::with_a_parameter("application/grpc; charset=utf-8")]
#[tokio::test]
async fn every_content_type_of_grpc_is_served(#[case] content_type: &str) {
    let server = World::new().serve().await;
    let list = ("List", framed(&v1::ListRequest::default()));
    let response = send(&server, (Method::POST, Some(content_type)), "any", list).await;
    assert_eq!(
        (response.status(), &response.headers()["grpc-status"]),
        (StatusCode::OK, &"0".parse().unwrap())
    );
}
