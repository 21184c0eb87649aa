//! Single values as columns, and back.

use std::fmt::Display;
use std::str::FromStr;

use ig_domain::ports::StoreError;
use ig_domain::{
    AccountType, GrantedScopes, LinkEndKind, ReauthorizationReason, RequestedScopes, Scope,
};
use time::OffsetDateTime;

use super::error::corrupt;

/// Microseconds since 1970. The clock has cut off what is finer.
pub(super) fn micros(instant: OffsetDateTime) -> i64 {
    instant.unix_timestamp() * 1_000_000 + i64::from(instant.microsecond())
}

/// The instant that [`micros`] kept.
pub(super) fn instant(column: &str, micros: i64) -> Result<OffsetDateTime, StoreError> {
    let instant = OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1000);
    instant.map_err(|error| corrupt(column, error))
}

/// Reads a text column with the parser of the type that it was written from.
pub(super) fn parse<T>(column: &str, text: &str) -> Result<T, StoreError>
where
    T: FromStr,
    T::Err: Display,
{
    text.parse().map_err(|error| corrupt(column, error))
}

/// The hash that a blob column keeps.
pub(super) fn hash(column: &str, bytes: &[u8]) -> Result<[u8; 32], StoreError> {
    bytes.try_into().map_err(|_| corrupt(column, "not 32 bytes"))
}

/// Stored moment of the past of which none is known, as a token's issue: earlier than any. A column that is not null
/// sorts alike in every database, and a version that knows of no unknown times reads a moment.
const UNKNOWN_PAST: i64 = 0;

/// Stored expiry of a token of which none is known: 9999-12-31T23:59:59.999999Z, later than any. So conditions and orders
/// by expiry hold as they are: no clock ends such a token, and it is never the first to expire.
const UNKNOWN_EXPIRY: i64 = 253_402_300_799_999_999;

/// A moment of the past as a column.
pub(super) fn past_micros(time: Option<OffsetDateTime>) -> i64 {
    time.map_or(UNKNOWN_PAST, micros)
}

/// The moment that [`past_micros`] kept.
pub(super) fn past_time(column: &str, stored: i64) -> Result<Option<OffsetDateTime>, StoreError> {
    (stored != UNKNOWN_PAST).then(|| instant(column, stored)).transpose()
}

/// The expiry of a token as a column.
pub(super) fn expiry_micros(time: Option<OffsetDateTime>) -> i64 {
    time.map_or(UNKNOWN_EXPIRY, micros)
}

/// The expiry that [`expiry_micros`] kept.
pub(super) fn expire_time(column: &str, stored: i64) -> Result<Option<OffsetDateTime>, StoreError> {
    (stored != UNKNOWN_EXPIRY).then(|| instant(column, stored)).transpose()
}

/// A column that must not be null in this row.
pub(super) fn present<T>(column: &str, value: Option<T>) -> Result<T, StoreError> {
    value.ok_or_else(|| corrupt(column, "null"))
}

/// Scopes as one text.
pub(super) fn scope_list<'a>(scopes: impl IntoIterator<Item = &'a Scope>) -> String {
    scopes.into_iter().map(Scope::as_str).collect::<Vec<_>>().join(",")
}

/// The scopes that [`scope_list`] kept, in their order. One that we cannot name, a newer version's, is as good as none.
pub(super) fn scopes<C>(list: &str) -> C
where
    C: FromIterator<Scope>,
{
    list.split(',').filter_map(|name| name.parse::<Scope>().ok()).collect()
}

/// The requested scopes that [`scope_list`] kept.
pub(super) fn requested_scopes(column: &str, list: &str) -> Result<RequestedScopes, StoreError> {
    let scopes: Vec<_> = scopes(list);
    RequestedScopes::new(scopes).map_err(|error| corrupt(column, error))
}

/// Granted scopes as one text; `None` where Instagram did not say.
pub(super) fn granted_list(granted: &GrantedScopes) -> Option<String> {
    granted.are_known().then(|| scope_list(granted.iter()))
}

/// The granted scopes that [`granted_list`] kept.
pub(super) fn granted_scopes(list: Option<&str>) -> GrantedScopes {
    list.map_or(GrantedScopes::Unknown, |list| GrantedScopes::Known(scopes(list)))
}

/// The stored name of a kind of account.
pub(super) fn account_type_name(account_type: AccountType) -> &'static str {
    match account_type {
        AccountType::Business => "business",
        AccountType::Creator => "creator",
        AccountType::Personal => "personal",
        AccountType::Unknown => "unknown",
    }
}

/// The kind of account that [`account_type_name`] kept. A newer version's is unknown.
pub(super) fn account_type(name: &str) -> AccountType {
    use AccountType::{Business, Creator, Personal, Unknown};
    let known = [Business, Creator, Personal, Unknown];
    known.into_iter().find(|kind| account_type_name(*kind) == name).unwrap_or(Unknown)
}

/// The stored name of a link's end; `None` for the caller, as versions before hosted consent left it.
pub(super) fn link_end_name(end: LinkEndKind) -> Option<&'static str> {
    match end {
        LinkEndKind::Caller => None,
        LinkEndKind::Page => Some("page"),
        LinkEndKind::ReturnUrl => Some("return_url"),
    }
}

/// The end that [`link_end_name`] kept.
pub(super) fn link_end(column: &str, name: Option<&str>) -> Result<LinkEndKind, StoreError> {
    use LinkEndKind::{Caller, Page, ReturnUrl};
    let mut known = [Caller, Page, ReturnUrl].into_iter();
    known.find(|end| link_end_name(*end) == name).ok_or_else(|| corrupt(column, "unknown"))
}

/// The stored name of a reason.
pub(super) fn reason_name(reason: ReauthorizationReason) -> &'static str {
    match reason {
        ReauthorizationReason::TokenExpired => "token_expired",
        ReauthorizationReason::PasswordChanged => "password_changed",
        ReauthorizationReason::Checkpoint => "checkpoint",
        ReauthorizationReason::TokenRevoked => "token_revoked",
        ReauthorizationReason::Deauthorized => "deauthorized",
    }
}

/// The reason that [`reason_name`] kept. A newer version's is the one that says least: the token is dead all the same.
pub(super) fn reason(name: &str) -> ReauthorizationReason {
    let mut known = ReauthorizationReason::ALL.into_iter();
    let known = known.find(|reason| reason_name(*reason) == name);
    known.unwrap_or(ReauthorizationReason::TokenRevoked)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;

    proptest! {
        #[test]
        fn every_instant_in_microseconds_survives(
            micros_since in datetime!(-9999-01-01 0:00 UTC).unix_timestamp() * 1_000_000
                ..datetime!(9999-12-31 23:59:59 UTC).unix_timestamp() * 1_000_000
        ) {
            prop_assert_eq!(micros(instant("t", micros_since).unwrap()), micros_since);
        }

        #[test]
        fn reading_any_text_or_number_never_panics(text in ".{0,100}", number in any::<i64>()) {
            let _ = instant("t", number);
            let _ = granted_scopes(Some(&text));
            let _ = requested_scopes("t", &text);
            let _ = account_type(&text);
            let _ = reason(&text);
        }
    }

    #[test]
    fn an_unknown_time_of_a_token_is_stored_as_a_moment_that_none_has() {
        let now = datetime!(2026-11-29 08:00 UTC);
        for time in [None, Some(now)] {
            assert_eq!(past_time("t", past_micros(time)).unwrap(), time);
            assert_eq!(expire_time("t", expiry_micros(time)).unwrap(), time);
        }
        assert_eq!(past_micros(None), micros(OffsetDateTime::UNIX_EPOCH));
        let last = datetime!(9999-12-31 23:59:59.999_999 UTC);
        assert_eq!(expiry_micros(None), micros(last), "a former version reads it");
    }

    #[test]
    fn nothing_granted_and_nothing_said_are_two_things() {
        let nothing = GrantedScopes::Known(std::collections::BTreeSet::new());
        for granted in [nothing, GrantedScopes::Unknown] {
            let list = granted_list(&granted);
            assert_eq!(granted_scopes(list.as_deref()), granted);
        }
    }
}
