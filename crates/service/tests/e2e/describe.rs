//! Comments that a stranger reads over reflection: one on every symbol.

use std::collections::BTreeSet;

use prost::Message as _;
use prost_types::field_descriptor_proto::Label;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FileDescriptorProto, ServiceDescriptorProto,
};
use tokio_stream::StreamExt as _;
use tonic::transport::Channel;

use crate::support::Stack;
use crate::support::grpcurl::grpcurl;

const PACKAGE: &str = "instagram.accounts.v1";
const SERVICE: &str = "instagram.accounts.v1.InstagramAccountService";

#[tokio::test]
async fn grpcurl_shows_a_comment_on_every_symbol() {
    let stack = Stack::start().await;
    let address = &stack.service.address;
    let services = grpcurl(&["-plaintext", address, "list"]);
    let services: Vec<_> = services.lines().collect();
    assert!(services.contains(&SERVICE) && services.contains(&"grpc.health.v1.Health"));
    let methods = grpcurl(&["-plaintext", address, "list", SERVICE]);
    let methods: Vec<_> = methods.lines().collect();
    let mut expected: Vec<_> =
        ig_proto::RPCS.iter().map(|rpc| format!("{SERVICE}.{rpc}")).collect();
    expected.sort_unstable();
    assert_eq!(methods, expected);

    let files = files(address).await;
    let (mut shown, mut uncommented) = (0, Vec::new());
    for symbol in top_level(&files) {
        let text = grpcurl(&["-plaintext", address, "describe", &symbol]);
        let declarations = declarations(&text);
        shown += declarations.len();
        let bare = declarations.into_iter().filter(|declaration| !declaration.commented);
        uncommented.extend(bare.map(|declaration| format!("{symbol}: {}", declaration.line)));
    }
    assert!(uncommented.is_empty(), "without a comment:\n{}", uncommented.join("\n"));
    assert_eq!(shown, files.iter().map(symbols).sum::<usize>(), "every symbol is shown");
}

/// A line of grpcurl's description that declares something.
struct Declaration<'a> {
    line: &'a str,
    commented: bool,
}

/// Declarations of a description, whose first line is grpcurl's own.
fn declarations(text: &str) -> Vec<Declaration<'_>> {
    let mut declarations = Vec::new();
    let mut commented = false;
    for line in text.lines().skip(1).map(str::trim).filter(|line| !line.is_empty()) {
        let comment = line.starts_with("//");
        if !comment && line != "}" {
            declarations.push(Declaration { line, commented });
        }
        commented = comment;
    }
    declarations
}

#[test]
fn a_declaration_without_a_comment_is_found() {
    let text = "p.M is a message:\n// Fine.\nmessage M {\n  // Fine.\n  string a = 1;\n\n  string b = 2;\n}\n";
    let found = declarations(text);
    let bare: Vec<_> = found.iter().filter(|one| !one.commented).map(|one| one.line).collect();
    assert_eq!((found.len(), bare), (3, vec!["string b = 2;"]));
}

/// The files of our package, as reflection serves them.
async fn files(address: &str) -> Vec<FileDescriptorProto> {
    use tonic_reflection::pb::v1::ServerReflectionRequest;
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
    let channel = channel(address).await;
    let asked = [SERVICE.to_owned(), format!("{PACKAGE}.InstagramAccount")];
    let asked = asked.map(|symbol| ServerReflectionRequest {
        message_request: Some(MessageRequest::FileContainingSymbol(symbol)),
        ..ServerReflectionRequest::default()
    });
    let mut client = ServerReflectionClient::new(channel);
    let answers = client.server_reflection_info(tokio_stream::iter(asked)).await.unwrap();
    let mut answers = answers.into_inner();
    let mut files = Vec::new();
    while let Some(answer) = answers.next().await {
        match answer.unwrap().message_response.unwrap() {
            MessageResponse::FileDescriptorResponse(found) => {
                files.extend(found.file_descriptor_proto);
            }
            other => panic!("{other:?}"),
        }
    }
    let files = files.iter().map(|bytes| FileDescriptorProto::decode(bytes.as_slice()).unwrap());
    files.filter(|file| file.package() == PACKAGE).collect()
}

#[tokio::test]
async fn the_older_reflection_is_served_too() {
    use tonic_reflection::pb::v1alpha::ServerReflectionRequest;
    use tonic_reflection::pb::v1alpha::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1alpha::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1alpha::server_reflection_response::MessageResponse;
    let stack = Stack::start().await;
    let asked = ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..ServerReflectionRequest::default()
    };
    let mut client = ServerReflectionClient::new(channel(&stack.service.address).await);
    let answers = client.server_reflection_info(tokio_stream::iter([asked])).await.unwrap();
    let answer = answers.into_inner().next().await.unwrap().unwrap().message_response.unwrap();
    let MessageResponse::ListServicesResponse(listed) = answer else { panic!("{answer:?}") };
    assert!(listed.service.iter().any(|service| service.name == SERVICE), "{listed:?}");
}

async fn channel(address: &str) -> Channel {
    Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
}

/// The names of what a file declares at its top.
fn top_level(files: &[FileDescriptorProto]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for file in files {
        let services = file.service.iter().map(ServiceDescriptorProto::name);
        let messages = file.message_type.iter().map(DescriptorProto::name);
        let enums = file.enum_type.iter().map(EnumDescriptorProto::name);
        let declared = services.chain(messages).chain(enums);
        names.extend(declared.map(|name| format!("{PACKAGE}.{name}")));
    }
    names
}

/// Number of symbols that a file declares, at its top and below.
fn symbols(file: &FileDescriptorProto) -> usize {
    let services = file.service.iter().map(|service| 1 + service.method.len());
    let messages = file.message_type.iter().map(of_message);
    let enums = file.enum_type.iter().map(of_enum);
    services.chain(messages).chain(enums).sum()
}

fn of_message(message: &DescriptorProto) -> usize {
    // An optional field has a oneof of its own that nobody wrote.
    let optional = message.field.iter().filter(|field| field.proto3_optional()).count();
    assert!(message.field.iter().all(|field| field.label() != Label::Required));
    let nested = message.nested_type.iter().map(of_message).sum::<usize>();
    let enums = message.enum_type.iter().map(of_enum).sum::<usize>();
    1 + message.field.len() + message.oneof_decl.len() - optional + nested + enums
}

fn of_enum(one: &EnumDescriptorProto) -> usize {
    1 + one.value.len()
}
