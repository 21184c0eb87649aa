//! Reflection in both versions.

use prost::Message as _;
use prost_types::FileDescriptorProto;
use rstest::rstest;
use tokio_stream::StreamExt as _;
use tonic::Code;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::{v1, v1alpha};

use crate::world::World;

const SERVICES: [&str; 2] =
    ["grpc.health.v1.Health", "instagram.accounts.v1.InstagramAccountService"];

/// Answers of version 1 to each of these, in one stream.
async fn asked(requests: impl IntoIterator<Item = MessageRequest>) -> Vec<MessageResponse> {
    let channel = World::new().serve().await.channel().await;
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel);
    let requests = requests.into_iter().map(|message_request| v1::ServerReflectionRequest {
        message_request: Some(message_request),
        ..v1::ServerReflectionRequest::default()
    });
    let requests: Vec<_> = requests.collect();
    let sent = tokio_stream::iter(requests.clone());
    let answers = client.server_reflection_info(sent).await.unwrap();
    let answers: Vec<_> = answers.into_inner().map(Result::unwrap).collect().await;
    let echoed: Vec<_> = answers.iter().map(|one| one.original_request.clone().unwrap()).collect();
    assert_eq!(echoed, requests);
    answers.into_iter().map(|answer| answer.message_response.unwrap()).collect()
}

fn symbol(name: &str) -> MessageRequest {
    MessageRequest::FileContainingSymbol(name.to_owned())
}

fn file(name: &str) -> MessageRequest {
    MessageRequest::FileByFilename(name.to_owned())
}

/// The name of the file that is answered, and those that it imports.
fn read(answer: &MessageResponse) -> (String, Vec<String>) {
    let MessageResponse::FileDescriptorResponse(files) = answer else { panic!("{answer:?}") };
    let [encoded] = files.file_descriptor_proto.as_slice() else { panic!("{files:?}") };
    let file = FileDescriptorProto::decode(encoded.as_slice()).unwrap();
    (file.name().to_owned(), file.dependency)
}

#[tokio::test]
async fn version_1_lists_the_services() {
    let answers = asked([MessageRequest::ListServices(String::new())]).await;
    let [MessageResponse::ListServicesResponse(listed)] = answers.as_slice() else {
        panic!("{answers:?}");
    };
    let names: Vec<_> = listed.service.iter().map(|service| service.name.as_str()).collect();
    assert!(SERVICES.iter().all(|service| names.contains(service)), "{names:?}");
}

#[rstest]
#[case::our_service("instagram.accounts.v1.InstagramAccountService")]
#[case::our_method("instagram.accounts.v1.InstagramAccountService.Get")]
#[case::our_message("instagram.accounts.v1.InstagramAccount")]
#[case::a_field("instagram.accounts.v1.GetRequest.username")]
#[case::a_oneof("instagram.accounts.v1.GetRequest.key")]
#[case::an_enum_value("instagram.accounts.v1.ACCOUNT_STATUS_ACTIVE")]
#[case::error_details("google.rpc.ErrorInfo")]
#[case::status("google.rpc.Status")]
#[case::any("google.protobuf.Any")]
#[case::health("grpc.health.v1.Health")]
#[case::an_enum_within("grpc.health.v1.HealthCheckResponse.SERVING")]
#[case::reflection("grpc.reflection.v1.ServerReflection")]
#[case::reflection_alpha("grpc.reflection.v1alpha.ServerReflection")]
#[tokio::test]
async fn a_symbol_leads_to_a_file_named_after_its_package(#[case] name: &str) {
    let answers = asked([symbol(name)]).await;
    let (file, _) = read(&answers[0]);
    let folder = file.rsplit_once('/').unwrap().0.replace('/', ".");
    assert!(name.starts_with(&format!("{folder}.")), "{name} is in {file}");
}

#[tokio::test]
async fn whatever_a_file_imports_is_served_under_that_name() {
    let roots = SERVICES.map(symbol).into_iter().chain([symbol("google.rpc.Status")]);
    let mut imports: Vec<_> =
        asked(roots.chain([symbol("google.rpc.ErrorInfo")])).await.iter().map(read).collect();
    let mut seen = Vec::new();
    while let Some((name, imported)) = imports.pop() {
        seen.push(name);
        for import in imported {
            let answers = asked([file(&import)]).await;
            assert_eq!(read(&answers[0]).0, import);
            imports.push(read(&answers[0]));
        }
    }
    for known in ["google/protobuf/any.proto", "google/protobuf/timestamp.proto"] {
        assert!(seen.iter().any(|name| name == known), "{seen:?}");
    }
}

#[tokio::test]
async fn what_is_not_known_is_told_in_the_stream_which_goes_on() {
    let unknown = [
        symbol("no.such.Symbol"),
        symbol(""),
        file("no/such.proto"),
        MessageRequest::FileContainingExtension(v1::ExtensionRequest::default()),
        MessageRequest::AllExtensionNumbersOfType("no.such.Message".to_owned()),
    ];
    let count = unknown.len();
    let known = MessageRequest::AllExtensionNumbersOfType("google.rpc.Status".to_owned());
    let answers = asked(unknown.into_iter().chain([known])).await;
    let (last, errors) = answers.split_last().unwrap();
    assert_eq!(errors.len(), count);
    for error in errors {
        let MessageResponse::ErrorResponse(error) = error else { panic!("{error:?}") };
        assert_eq!(Code::from_i32(error.error_code), Code::NotFound);
    }
    let none = v1::ExtensionNumberResponse {
        base_type_name: "google.rpc.Status".to_owned(),
        extension_number: Vec::new(),
    };
    assert_eq!(*last, MessageResponse::AllExtensionNumbersResponse(none));
}

#[tokio::test(start_paused = true)]
async fn a_stream_on_which_nothing_is_asked_ends_after_a_minute() {
    let channel = World::new().serve().await.channel().await;
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel);
    let start = tokio::time::Instant::now();
    let answers = client.server_reflection_info(tokio_stream::pending()).await.unwrap();
    assert!(answers.into_inner().message().await.unwrap().is_none());
    assert_eq!(start.elapsed().as_secs(), 60);
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
