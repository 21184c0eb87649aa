//! The files that reflection knows, by their names and by what they declare.

use std::collections::{HashMap, HashSet};

use prost::{DecodeError, Message as _};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    FileDescriptorSet, OneofDescriptorProto,
};
use tonic::Code;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{
    ErrorResponse, ExtensionNumberResponse, FileDescriptorResponse, ListServiceResponse,
    ServerReflectionRequest, ServerReflectionResponse, ServiceResponse,
};

/// Names that the crates give to their files, and those by which everybody else imports them. Clients know these files
/// already, and refuse a second one that declares the same.
const WELL_KNOWN_NAMES: [(&str, &str); 5] = [
    ("error_details.proto", "google/rpc/error_details.proto"),
    ("health.proto", "grpc/health/v1/health.proto"),
    ("reflection_v1.proto", "grpc/reflection/v1/reflection.proto"),
    ("reflection_v1alpha.proto", "grpc/reflection/v1alpha/reflection.proto"),
    ("status.proto", "google/rpc/status.proto"),
];

/// The files.
#[derive(Debug, Default)]
pub(crate) struct Files {
    /// The files, by name.
    encoded: HashMap<String, Vec<u8>>,
    /// The name of the file that declares a symbol.
    symbols: HashMap<String, String>,
    messages: HashSet<String>,
    services: Vec<String>,
}

impl Files {
    /// The files of all these encoded sets, each once.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] when one of them is no set of files.
    pub(crate) fn of(sets: &[&[u8]]) -> Result<Self, DecodeError> {
        let mut files = Self::default();
        for set in sets {
            for mut file in FileDescriptorSet::decode(*set)?.file {
                well_known(&mut file);
                files.add(&file);
            }
        }
        Ok(files)
    }

    /// Answers a request; what is not known is told within the answer.
    pub(super) fn answer(&self, request: ServerReflectionRequest) -> ServerReflectionResponse {
        let answer = match &request.message_request {
            Some(MessageRequest::FileByFilename(name)) => self.file(name),
            Some(MessageRequest::FileContainingSymbol(symbol)) => {
                self.symbols.get(symbol).and_then(|name| self.file(name))
            }
            Some(MessageRequest::FileContainingExtension(_)) => None,
            Some(MessageRequest::AllExtensionNumbersOfType(name)) => self.extensions(name),
            Some(MessageRequest::ListServices(_)) => Some(self.services()),
            None => Some(error(Code::InvalidArgument, "nothing is asked")),
        };
        let answer =
            answer.unwrap_or_else(|| error(Code::NotFound, "nothing of this name is served"));
        ServerReflectionResponse {
            valid_host: request.host.clone(),
            original_request: Some(request),
            message_response: Some(answer),
        }
    }

    fn file(&self, name: &str) -> Option<MessageResponse> {
        let file_descriptor_proto = vec![self.encoded.get(name)?.clone()];
        Some(MessageResponse::FileDescriptorResponse(FileDescriptorResponse {
            file_descriptor_proto,
        }))
    }

    /// The extensions of a message that is known: none.
    fn extensions(&self, name: &str) -> Option<MessageResponse> {
        let base_type_name = self.messages.get(name)?.clone();
        let none = ExtensionNumberResponse { base_type_name, extension_number: Vec::new() };
        Some(MessageResponse::AllExtensionNumbersResponse(none))
    }

    fn services(&self) -> MessageResponse {
        let service = self.services.iter().map(|name| ServiceResponse { name: name.clone() });
        MessageResponse::ListServicesResponse(ListServiceResponse { service: service.collect() })
    }

    fn add(&mut self, file: &FileDescriptorProto) {
        if self.encoded.insert(file.name().to_owned(), file.encode_to_vec()).is_some() {
            return;
        }
        let package = file.package();
        for message in &file.message_type {
            self.add_message(file.name(), package, message);
        }
        for declared in &file.enum_type {
            self.add_enum(file.name(), package, declared);
        }
        for service in &file.service {
            let name = self.add_symbol(file.name(), package, service.name());
            for method in &service.method {
                self.add_symbol(file.name(), &name, method.name());
            }
            self.services.push(name);
        }
    }

    fn add_message(&mut self, file: &str, scope: &str, message: &DescriptorProto) {
        let name = self.add_symbol(file, scope, message.name());
        for nested in &message.nested_type {
            self.add_message(file, &name, nested);
        }
        for nested in &message.enum_type {
            self.add_enum(file, &name, nested);
        }
        let fields = message.field.iter().map(FieldDescriptorProto::name);
        for member in fields.chain(message.oneof_decl.iter().map(OneofDescriptorProto::name)) {
            self.add_symbol(file, &name, member);
        }
        self.messages.insert(name);
    }

    /// The values of an enum are its siblings.
    fn add_enum(&mut self, file: &str, scope: &str, declared: &EnumDescriptorProto) {
        self.add_symbol(file, scope, declared.name());
        for value in &declared.value {
            self.add_symbol(file, scope, value.name());
        }
    }

    fn add_symbol(&mut self, file: &str, scope: &str, name: &str) -> String {
        let name = if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") };
        self.symbols.insert(name.clone(), file.to_owned());
        name
    }
}

/// Gives a file, and those that it imports, the names by which others know them.
fn well_known(file: &mut FileDescriptorProto) {
    for name in file.name.iter_mut().chain(&mut file.dependency) {
        if let Some((_, known)) = WELL_KNOWN_NAMES.iter().find(|(given, _)| given == name) {
            (*known).clone_into(name);
        }
    }
}

fn error(code: Code, message: &str) -> MessageResponse {
    let (error_code, error_message) = (code as i32, message.to_owned());
    MessageResponse::ErrorResponse(ErrorResponse { error_code, error_message })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_and_what_it_imports_get_the_names_by_which_others_know_them() {
        let known = "google/protobuf/any.proto".to_owned();
        let mut file = FileDescriptorProto {
            name: Some("error_details.proto".to_owned()),
            dependency: vec!["status.proto".to_owned(), known.clone()],
            ..FileDescriptorProto::default()
        };
        well_known(&mut file);
        assert_eq!(file.name(), "google/rpc/error_details.proto");
        assert_eq!(file.dependency, ["google/rpc/status.proto".to_owned(), known]);
    }
}
