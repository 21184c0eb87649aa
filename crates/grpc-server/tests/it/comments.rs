//! Every symbol of the package carries a comment, so that `grpcurl describe` explains it.

use std::collections::BTreeMap;

use prost::Message as _;
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet};

/// A symbol's place in its file, as source info counts, and its name.
type Symbol = (Vec<i32>, String);

// Field numbers of descriptors.
// Source: <https://github.com/protocolbuffers/protobuf/blob/main/src/google/protobuf/descriptor.proto>.
const FILE_MESSAGE: i32 = 4;
const FILE_ENUM: i32 = 5;
const FILE_SERVICE: i32 = 6;
const SERVICE_METHOD: i32 = 2;
const MESSAGE_FIELD: i32 = 2;
const MESSAGE_NESTED: i32 = 3;
const MESSAGE_ENUM: i32 = 4;
const MESSAGE_ONEOF: i32 = 8;
const ENUM_VALUE: i32 = 2;

fn child(parent: &Symbol, number: i32, index: usize, name: Option<&str>) -> Symbol {
    let (mut path, parent) = parent.clone();
    path.extend([number, i32::try_from(index).unwrap()]);
    (path, format!("{parent}.{}", name.unwrap_or_default()))
}

fn of_enum(symbol: &Symbol, declared: &EnumDescriptorProto) -> Vec<Symbol> {
    let values = declared.value.iter().enumerate();
    let values = values.map(|(index, one)| child(symbol, ENUM_VALUE, index, one.name.as_deref()));
    std::iter::once(symbol.clone()).chain(values).collect()
}

fn of_message(symbol: &Symbol, message: &DescriptorProto) -> Vec<Symbol> {
    let mut symbols = vec![symbol.clone()];
    for (index, one) in message.field.iter().enumerate() {
        symbols.push(child(symbol, MESSAGE_FIELD, index, one.name.as_deref()));
    }
    for (index, one) in message.oneof_decl.iter().enumerate() {
        // Each optional field has a oneof of its own, which nobody wrote.
        if !one.name().starts_with('_') {
            symbols.push(child(symbol, MESSAGE_ONEOF, index, one.name.as_deref()));
        }
    }
    for (index, one) in message.nested_type.iter().enumerate() {
        let nested = child(symbol, MESSAGE_NESTED, index, one.name.as_deref());
        symbols.extend(of_message(&nested, one));
    }
    for (index, one) in message.enum_type.iter().enumerate() {
        let nested = child(symbol, MESSAGE_ENUM, index, one.name.as_deref());
        symbols.extend(of_enum(&nested, one));
    }
    symbols
}

fn of_file(file: &FileDescriptorProto) -> Vec<Symbol> {
    let root = (Vec::new(), file.package().to_owned());
    let mut symbols = Vec::new();
    for (index, one) in file.message_type.iter().enumerate() {
        let symbol = child(&root, FILE_MESSAGE, index, one.name.as_deref());
        symbols.extend(of_message(&symbol, one));
    }
    for (index, one) in file.enum_type.iter().enumerate() {
        let symbol = child(&root, FILE_ENUM, index, one.name.as_deref());
        symbols.extend(of_enum(&symbol, one));
    }
    for (index, one) in file.service.iter().enumerate() {
        let symbol = child(&root, FILE_SERVICE, index, one.name.as_deref());
        for (index, method) in one.method.iter().enumerate() {
            symbols.push(child(&symbol, SERVICE_METHOD, index, method.name.as_deref()));
        }
        symbols.push(symbol);
    }
    symbols
}

/// The symbols of `file`, and those among them that have no comment.
fn uncommented(file: &FileDescriptorProto) -> (usize, Vec<String>) {
    let locations = file.source_code_info.iter().flat_map(|info| &info.location);
    let comments: BTreeMap<_, _> =
        locations.map(|one| (one.path.as_slice(), one.leading_comments())).collect();
    let symbols = of_file(file);
    let count = symbols.len();
    let bare = symbols.into_iter().filter(|(path, _)| {
        comments.get(path.as_slice()).is_none_or(|comment| comment.trim().is_empty())
    });
    (count, bare.map(|(_, name)| name).collect())
}

fn our_files() -> Vec<FileDescriptorProto> {
    let set = FileDescriptorSet::decode(ig_proto::FILE_DESCRIPTOR_SET).unwrap();
    let ours = |file: &FileDescriptorProto| file.package() == "instagram.accounts.v1";
    set.file.into_iter().filter(ours).collect()
}

#[test]
fn every_symbol_has_a_comment() {
    let checked: Vec<_> = our_files().iter().map(uncommented).collect();
    let count: usize = checked.iter().map(|(count, _)| count).sum();
    let bare: Vec<_> = checked.into_iter().flat_map(|(_, bare)| bare).collect();
    assert!(count > 80, "only {count} symbols were found");
    assert!(bare.is_empty(), "without a comment: {bare:#?}");
}

#[test]
fn a_symbol_without_a_comment_is_found() {
    let mut files = our_files();
    for file in &mut files {
        file.source_code_info = None;
    }
    let bare: Vec<_> = files.iter().flat_map(|file| uncommented(file).1).collect();
    for name in
        ["InstagramAccountService.Get", "GetRequest.key", "AccountType.ACCOUNT_TYPE_CREATOR"]
    {
        assert!(bare.iter().any(|bare| bare.ends_with(name)), "{name} in {bare:#?}");
    }
}
