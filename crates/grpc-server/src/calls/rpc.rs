//! RPC of a call.

use ig_domain::Role;
use ig_metrics::Label as _;
use ig_proto::v1::instagram_account_service_server::SERVICE_NAME;

/// Declares the RPCs, each by a row: its name, the roles of which a caller needs one, whether each call is worth a line
/// in the log, and whether its answer lasts.
macro_rules! rpcs {
    ($($rpc:ident { roles: $roles:expr, writes: $writes:literal, lasts: $lasts:literal })+) => {
        /// An RPC, as far as roles, log and metrics tell them apart.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Rpc {
            $($rpc,)+
            /// Health, reflection, and paths that nobody serves.
            Other,
        }

        ig_metrics::label!(Rpc, "method", {
            $($rpc => stringify!($rpc),)+
            Other => "other",
        });

        impl Rpc {
            /// The roles of which a caller needs one. `None` where no caller is needed: nothing of ours answers there.
            pub(crate) fn roles(self) -> Option<&'static [Role]> {
                match self {
                    $(Self::$rpc => Some(&$roles),)+
                    Self::Other => None,
                }
            }

            /// Whether each call is worth a line, however it ends.
            pub(crate) fn writes(self) -> bool {
                match self {
                    $(Self::$rpc => $writes,)+
                    Self::Other => false,
                }
            }

            /// Whether its answer is a stream that lasts as long as its caller likes.
            pub(crate) fn lasts(self) -> bool {
                match self {
                    $(Self::$rpc => $lasts,)+
                    Self::Other => false,
                }
            }
        }
    };
}

rpcs! {
    BeginLink { roles: [Role::Link], writes: true, lasts: false }
    Link { roles: [Role::Link], writes: true, lasts: false }
    Get { roles: [Role::Read], writes: false, lasts: false }
    BatchGet { roles: [Role::Read], writes: false, lasts: false }
    List { roles: [Role::Read], writes: false, lasts: false }
    Refresh { roles: [Role::Link, Role::Token], writes: true, lasts: false }
    FetchAccessToken { roles: [Role::Token], writes: true, lasts: false }
    Unlink { roles: [Role::Admin], writes: true, lasts: false }
    Import { roles: [Role::Admin], writes: true, lasts: false }
    Watch { roles: [Role::Read, Role::Webhook], writes: false, lasts: true }
    CommitWatch { roles: [Role::Read, Role::Webhook], writes: false, lasts: false }
}

impl Rpc {
    /// The RPC that a request's path names.
    pub(crate) fn of_path(path: &str) -> Self {
        let path = path.strip_prefix('/').and_then(|path| path.strip_prefix(SERVICE_NAME));
        let name = path.and_then(|path| path.strip_prefix('/'));
        let named = Self::ALL.iter().find(|rpc| Some(rpc.name()) == name);
        named.copied().unwrap_or(Self::Other)
    }

    /// Whether its handler may run with its connection, and thus on a core's only thread: it waits for nothing there but
    /// its ports, and computes little.
    pub(crate) fn runs_with_connection(self) -> bool {
        matches!(self, Self::Get | Self::BatchGet | Self::Other)
    }

    /// The name in the log.
    pub(crate) fn name(self) -> &'static str {
        self.value()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use ig_metrics::Label;

    use super::*;

    const PAGE: &str = include_str!("../../../../docs/CALLERS.md");
    const PROTO: &str =
        include_str!("../../../../proto/instagram/accounts/v1/instagram_account_service.proto");

    #[test]
    fn the_rpcs_are_those_of_the_descriptors() {
        let rpcs: Vec<_> = Rpc::ALL.iter().map(|rpc| rpc.name()).collect();
        assert_eq!(rpcs, [ig_proto::RPCS, &["other"]].concat());
    }

    #[test]
    fn a_path_names_an_rpc_of_ours_or_is_none() {
        for rpc in Rpc::ALL {
            assert_eq!(Rpc::of_path(&format!("/{SERVICE_NAME}/{}", rpc.name())), *rpc);
        }
        for path in ["", "/", "/Get", "/nobody.Home/Get", &format!("/{SERVICE_NAME}Get")] {
            assert_eq!(Rpc::of_path(path), Rpc::Other, "{path}");
        }
    }

    #[test]
    fn the_comment_of_each_rpc_names_the_roles_that_open_it() {
        for rpc in Rpc::ALL {
            let Some(roles) = rpc.roles() else { continue };
            let roles: Vec<_> = roles.iter().map(|role| format!("`{role}`")).collect();
            let end = format!("// Role: {}.\n  rpc {}(", roles.join(" or "), rpc.name());
            assert!(PROTO.contains(&end), "the proto lacks {end:?}");
        }
    }

    /// The RPCs that a role's row of the page names.
    fn documented(role: Role) -> BTreeSet<&'static str> {
        let row = PAGE.lines().find_map(|line| line.strip_prefix(&format!("| `{role}` |")));
        row.unwrap_or_default().split('`').skip(1).step_by(2).collect()
    }

    /// The row of `admin` names those that no other role opens.
    #[test]
    fn the_page_names_the_rpcs_that_each_role_opens() {
        for &role in Role::ALL {
            let opened =
                Rpc::ALL.iter().filter(|rpc| rpc.roles().is_some_and(|all| all.contains(&role)));
            let opened: BTreeSet<_> = opened.map(|rpc| rpc.name()).collect();
            assert_eq!(documented(role), opened, "docs/CALLERS.md differs in {role}");
        }
    }
}
