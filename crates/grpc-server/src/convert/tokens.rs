//! The request and response of `FetchAccessToken`.

use std::time::Duration;

use ig_application::{FetchAccessTokenCommand, FetchedAccessToken};
use ig_domain::{AccountId, Caller, Owner, OwnerScope, Purpose, Recipient, RequestId};
use ig_proto::v1;

use super::fields::{Fields, InvalidRequest, Refused};
use super::timestamp;

/// Maximum lifetime that may be asked for. Instagram renews to 60 days, so a renewable token can always have it.
///
/// Source: <https://developers.facebook.com/docs/instagram-platform/reference/refresh_access_token>.
const MAX_MIN_TTL: Duration = Duration::from_hours(50 * 24);

/// Arguments of a `FetchAccessTokenRequest`.
#[derive(Debug)]
pub(crate) struct RequestedToken {
    /// The account.
    pub(crate) account: AccountId,
    /// Owner that it must have; `None` for anybody whom the caller may act for.
    pub(crate) owner: Option<Owner>,
    min_ttl: Duration,
    purpose: Purpose,
    request_id: RequestId,
}

impl RequestedToken {
    /// The command of `caller`, where the token of an account of `owners` may be handed out.
    pub(crate) fn command(self, caller: &Caller, owners: OwnerScope) -> FetchAccessTokenCommand {
        let Self { account, owner: _, min_ttl, purpose, request_id } = self;
        let recipient = Recipient { caller: caller.name.clone(), purpose, request_id };
        FetchAccessTokenCommand { account, owners, min_ttl, recipient }
    }
}

/// Reads a `FetchAccessTokenRequest` that came under `request_id`.
pub(crate) fn fetch_access_token(
    request: &v1::FetchAccessTokenRequest,
    request_id: &str,
) -> Result<RequestedToken, InvalidRequest> {
    let mut fields = Fields::default();
    let account = fields.parse("account_id", &request.account_id);
    let owner = fields.parse_given("owner", request.owner.as_deref());
    let min_ttl = min_ttl(&mut fields, request.min_ttl.unwrap_or_default());
    let purpose = fields.parse("purpose", &request.purpose);
    let request_id = fields.parse("x-request-id", request_id);
    fields.finish(|| {
        Ok(RequestedToken {
            account: account?,
            owner: owner?,
            min_ttl: min_ttl?,
            purpose: purpose?,
            request_id: request_id?,
        })
    })
}

fn min_ttl(fields: &mut Fields, raw: prost_types::Duration) -> Result<Duration, Refused> {
    let span = Duration::try_from(raw).ok().filter(|span| *span <= MAX_MIN_TTL);
    span.ok_or_else(|| {
        let seconds = MAX_MIN_TTL.as_secs();
        let days = seconds / (24 * 60 * 60);
        let range = format!("a min_ttl is from 0 to {days} days ({seconds} seconds)");
        fields.refuse("min_ttl", &range)
    })
}

/// A token on its way out, on the wire.
pub(crate) fn fetched_access_token(fetched: &FetchedAccessToken) -> v1::FetchAccessTokenResponse {
    let FetchedAccessToken { token, account } = fetched;
    v1::FetchAccessTokenResponse {
        access_token: token.text().expose().to_owned(),
        professional_account_id: account.professional_account_id.to_string(),
        expire_time: account.token_expire_time.map(timestamp),
        granted_scopes: account.granted_scopes.iter().map(ToString::to_string).collect(),
        granted_scopes_known: account.granted_scopes.are_known(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn min_ttl_of(seconds: i64, nanos: i32) -> Option<Duration> {
        let min_ttl = Some(prost_types::Duration { seconds, nanos });
        let account_id = "0199d3a0-7c1e-7000-8000-000000000001".to_owned();
        let request = v1::FetchAccessTokenRequest { account_id, min_ttl, ..Default::default() };
        match fetch_access_token(&request, "req-7") {
            Ok(requested) => Some(requested.min_ttl),
            Err(invalid) => {
                let fields: Vec<_> = invalid.violations.iter().map(|one| &one.field).collect();
                assert_eq!(fields, ["min_ttl"]);
                None
            }
        }
    }

    #[rstest]
    #[case::none(0, 0, Some(Duration::ZERO))]
    #[case::an_hour(3600, 1, Some(Duration::new(3600, 1)))]
    #[case::longest(4_320_000, 0, Some(MAX_MIN_TTL))]
    #[case::too_long(4_320_000, 1, None)]
    #[case::a_little_negative(0, -1, None)]
    #[case::negative(-1, 0, None)]
    #[case::absurd(i64::MAX, i32::MAX, None)]
    fn a_min_ttl_is_within_fifty_days(
        #[case] seconds: i64,
        #[case] nanos: i32,
        #[case] expected: Option<Duration>,
    ) {
        assert_eq!(min_ttl_of(seconds, nanos), expected);
    }

    proptest! {
        #[test]
        fn no_min_ttl_panics_or_exceeds_the_longest(seconds: i64, nanos: i32) {
            prop_assert!(min_ttl_of(seconds, nanos).is_none_or(|span| span <= MAX_MIN_TTL));
        }
    }

    #[test]
    fn every_bad_field_is_named() {
        let request = v1::FetchAccessTokenRequest {
            account_id: "7".to_owned(),
            owner: Some("\n".to_owned()),
            min_ttl: Some(prost_types::Duration { seconds: -1, nanos: 0 }),
            purpose: "p".repeat(129),
        };
        let invalid = fetch_access_token(&request, "req-7").unwrap_err();
        let fields: Vec<_> = invalid.violations.iter().map(|one| one.field.as_str()).collect();
        assert_eq!(fields, ["account_id", "owner", "min_ttl", "purpose"]);
    }
}
