//! The gRPC messages and service, generated from `proto/`. Only what must not show a secret is written by hand.

use std::fmt;

/// Package `instagram.accounts.v1`.
pub mod v1 {
    tonic::include_proto!("instagram.accounts.v1");
}

/// The encoded descriptors of the whole package, comments included: what reflection serves.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// Names of the service's RPCs, from the descriptors.
pub const RPCS: &[&str] = include!(concat!(env!("OUT_DIR"), "/rpcs.rs"));

impl fmt::Debug for v1::FetchAccessTokenResponse {
    /// Shows everything but the token.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            access_token: _,
            professional_account_id,
            expire_time,
            granted_scopes,
            granted_scopes_known,
        } = self;
        formatter
            .debug_struct("FetchAccessTokenResponse")
            .field("access_token", &"[REDACTED]")
            .field("professional_account_id", professional_account_id)
            .field("expire_time", expire_time)
            .field("granted_scopes", granted_scopes)
            .field("granted_scopes_known", granted_scopes_known)
            .finish()
    }
}

impl fmt::Debug for v1::ImportRequest {
    /// Shows everything but the token.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { access_token: _, owner, issue_time, expire_time } = self;
        formatter
            .debug_struct("ImportRequest")
            .field("access_token", &"[REDACTED]")
            .field("owner", owner)
            .field("issue_time", issue_time)
            .field("expire_time", expire_time)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_all_of_a_handed_out_token_but_the_token() {
        let response = v1::FetchAccessTokenResponse {
            access_token: "IGAA-secret".to_owned(),
            professional_account_id: "17841400000000001".to_owned(),
            ..v1::FetchAccessTokenResponse::default()
        };
        let shown = format!("{response:?}");
        assert!(!shown.contains("IGAA") && shown.contains("17841400000000001"), "{shown}");
    }

    #[test]
    fn debug_shows_all_of_an_import_but_the_token() {
        let request = v1::ImportRequest {
            access_token: "IGAA-secret".to_owned(),
            owner: "shop/7".to_owned(),
            ..v1::ImportRequest::default()
        };
        let shown = format!("{request:?}");
        assert!(!shown.contains("IGAA") && shown.contains("shop/7"), "{shown}");
    }
}
