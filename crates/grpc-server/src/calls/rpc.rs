//! Which RPC a call is for.

use ig_proto::v1::instagram_account_service_server::SERVICE_NAME;

/// An RPC, as far as the log tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rpc {
    BeginLink,
    Link,
    Get,
    List,
    Refresh,
    Unlink,
    /// Health, reflection, and whatever nobody serves.
    Other,
}

impl Rpc {
    /// The RPC that a request's path names.
    pub(crate) fn of_path(path: &str) -> Self {
        let ours = path.strip_prefix('/').and_then(|path| path.strip_prefix(SERVICE_NAME));
        match ours {
            Some("/BeginLink") => Self::BeginLink,
            Some("/Link") => Self::Link,
            Some("/Get") => Self::Get,
            Some("/List") => Self::List,
            Some("/Refresh") => Self::Refresh,
            Some("/Unlink") => Self::Unlink,
            _ => Self::Other,
        }
    }

    /// The name in the log.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::BeginLink => "BeginLink",
            Self::Link => "Link",
            Self::Get => "Get",
            Self::List => "List",
            Self::Refresh => "Refresh",
            Self::Unlink => "Unlink",
            Self::Other => "other",
        }
    }

    /// Whether each call is worth a line, however it ends.
    pub(crate) fn writes(self) -> bool {
        match self {
            Self::BeginLink | Self::Link | Self::Refresh | Self::Unlink => true,
            Self::Get | Self::List | Self::Other => false,
        }
    }
}
