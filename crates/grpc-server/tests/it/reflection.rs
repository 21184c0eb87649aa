//! Reflection in both versions.

use tokio_stream::StreamExt as _;
use tonic::Code;
use tonic_reflection::pb::{v1, v1alpha};

use crate::world::World;

const SERVICES: [&str; 2] =
    ["grpc.health.v1.Health", "instagram.accounts.v1.InstagramAccountService"];

#[tokio::test]
async fn version_1_lists_the_services_and_knows_error_details() {
    use v1::server_reflection_request::MessageRequest;
    use v1::server_reflection_response::MessageResponse;
    let channel = World::new().serve().await.channel().await;
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel);
    let asked = [
        MessageRequest::ListServices(String::new()),
        MessageRequest::FileContainingSymbol("google.rpc.ErrorInfo".to_owned()),
    ];
    let asked = asked.map(|message_request| v1::ServerReflectionRequest {
        message_request: Some(message_request),
        ..v1::ServerReflectionRequest::default()
    });
    let answers = client.server_reflection_info(tokio_stream::iter(asked)).await.unwrap();
    let answers: Vec<_> = answers.into_inner().map(Result::unwrap).collect().await;
    let [listed, file] = answers.as_slice() else { panic!("{answers:?}") };
    let Some(MessageResponse::ListServicesResponse(listed)) = &listed.message_response else {
        panic!("{listed:?}");
    };
    let names: Vec<_> = listed.service.iter().map(|service| service.name.as_str()).collect();
    assert!(SERVICES.iter().all(|service| names.contains(service)), "{names:?}");
    assert!(matches!(file.message_response, Some(MessageResponse::FileDescriptorResponse(_))));
}

#[tokio::test]
async fn version_1alpha_lists_the_services() {
    use v1alpha::server_reflection_request::MessageRequest;
    use v1alpha::server_reflection_response::MessageResponse;
    let channel = World::new().serve().await.channel().await;
    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(channel);
    let asked = v1alpha::ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..v1alpha::ServerReflectionRequest::default()
    };
    let answers = client.server_reflection_info(tokio_stream::iter([asked])).await.unwrap();
    let answer = answers.into_inner().next().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(listed)) = &answer.message_response else {
        panic!("{answer:?}");
    };
    let names: Vec<_> = listed.service.iter().map(|service| service.name.as_str()).collect();
    assert!(SERVICES.iter().all(|service| names.contains(service)), "{names:?}");
}

#[tokio::test]
async fn reflection_can_be_left_out() {
    let world = World { reflection: false, ..World::new() };
    let channel = world.serve().await.channel().await;
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel);
    let asked = tokio_stream::iter([v1::ServerReflectionRequest::default()]);
    let status = client.server_reflection_info(asked).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
}
