//! RPC of a call.

use ig_domain::Role;
use ig_metrics::Label as _;
use ig_proto::v1::instagram_account_service_server::SERVICE_NAME;

/// An RPC, as far as roles, log and metrics tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rpc {
    BeginLink,
    Link,
    Get,
    BatchGet,
    List,
    Refresh,
    FetchAccessToken,
    Unlink,
    /// Health, reflection, and paths that nobody serves.
    Other,
}

ig_metrics::label!(Rpc, "method", {
    BeginLink => "BeginLink",
    Link => "Link",
    Get => "Get",
    BatchGet => "BatchGet",
    List => "List",
    Refresh => "Refresh",
    FetchAccessToken => "FetchAccessToken",
    Unlink => "Unlink",
    Other => "other",
});

impl Rpc {
    /// The RPC that a request's path names.
    pub(crate) fn of_path(path: &str) -> Self {
        let ours = path.strip_prefix('/').and_then(|path| path.strip_prefix(SERVICE_NAME));
        match ours {
            Some("/BeginLink") => Self::BeginLink,
            Some("/Link") => Self::Link,
            Some("/Get") => Self::Get,
            Some("/BatchGet") => Self::BatchGet,
            Some("/List") => Self::List,
            Some("/Refresh") => Self::Refresh,
            Some("/FetchAccessToken") => Self::FetchAccessToken,
            Some("/Unlink") => Self::Unlink,
            _ => Self::Other,
        }
    }

    /// The name in the log.
    pub(crate) fn name(self) -> &'static str {
        self.value()
    }

    /// The roles of which a caller needs one. `None` where no caller is needed: nothing of ours answers there.
    pub(crate) fn roles(self) -> Option<&'static [Role]> {
        match self {
            Self::BeginLink | Self::Link => Some(&[Role::Link]),
            Self::Get | Self::BatchGet | Self::List => Some(&[Role::Read]),
            Self::Refresh => Some(&[Role::Link, Role::Token]),
            Self::FetchAccessToken => Some(&[Role::Token]),
            Self::Unlink => Some(&[Role::Admin]),
            Self::Other => None,
        }
    }

    /// Whether each call is worth a line, however it ends.
    pub(crate) fn writes(self) -> bool {
        match self {
            Self::BeginLink
            | Self::Link
            | Self::Refresh
            | Self::FetchAccessToken
            | Self::Unlink => true,
            Self::Get | Self::BatchGet | Self::List | Self::Other => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use ig_metrics::Label;
    use prost::Message as _;
    use prost_types::{FileDescriptorSet, MethodDescriptorProto};

    use super::*;

    #[test]
    fn every_rpc_that_is_served_has_a_name_of_its_own() {
        let served = FileDescriptorSet::decode(ig_proto::FILE_DESCRIPTOR_SET).unwrap();
        let services = served.file.iter().flat_map(|file| &file.service);
        let methods: Vec<_> =
            services.flat_map(|service| &service.method).map(MethodDescriptorProto::name).collect();
        for method in &methods {
            assert_eq!(Rpc::of_path(&format!("/{SERVICE_NAME}/{method}")).name(), *method);
        }
        assert_eq!(Rpc::ALL.len(), methods.len() + 1, "all but `other` are served");
    }
}
