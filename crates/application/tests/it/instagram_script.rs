//! An Instagram that answers each call by a script, and rejects any other call.

use std::collections::VecDeque;
use std::sync::Mutex;

use ig_domain::ports::{
    CodeExchange, GraphFacts, InstagramError, InstagramErrorKind, MockInstagram,
};
use ig_domain::{GrantedScopes, Profile, ReauthorizationReason, ShortLivedToken, TokenLifetime};
use ig_test_support::builders::{long_lived, parsed};

/// Answers of `/me`, call by call.
pub(crate) type Readings = Vec<Result<Profile, InstagramError>>;

pub(crate) fn failure(kind: InstagramErrorKind, code: i64) -> InstagramError {
    InstagramError { kind, facts: GraphFacts { code: Some(code), ..GraphFacts::default() } }
}

/// A refusal of the token, as after a change of password.
pub(crate) fn refusal() -> InstagramError {
    failure(InstagramErrorKind::TokenRejected(ReauthorizationReason::PasswordChanged), 190)
}

/// Throttling, which says nothing about the token.
pub(crate) fn throttled() -> InstagramError {
    let retry_after = std::time::Duration::from_mins(5);
    failure(InstagramErrorKind::RateLimited { retry_after }, 4)
}

/// Answers the code exchange with these permissions, once.
pub(crate) fn exchanges(instagram: &mut MockInstagram, granted_scopes: GrantedScopes) {
    instagram.expect_exchange_code().once().return_once(move |_, _| {
        Ok(CodeExchange {
            token: ShortLivedToken::new(parsed("IGAA-short")),
            user_id: Some(parsed("26100000000010001")),
            granted_scopes,
        })
    });
}

/// Answers the extension of the short-lived token, once.
pub(crate) fn extends(instagram: &mut MockInstagram) {
    instagram.expect_extend_token().once().return_once(|_| {
        Ok((long_lived("IGAA-long"), TokenLifetime::from_seconds(5_183_944).unwrap()))
    });
}

/// Answers the renewal, once.
pub(crate) fn renews(instagram: &mut MockInstagram, answer: Result<(), InstagramError>) {
    instagram.expect_renew_token().once().return_once(|_| {
        answer
            .map(|()| (long_lived("IGAA-renewed"), TokenLifetime::from_seconds(5_183_944).unwrap()))
    });
}

/// Answers `/me` exactly as often as there are readings.
pub(crate) fn reads(instagram: &mut MockInstagram, readings: Readings) {
    let times = readings.len();
    let script = Mutex::new(VecDeque::from(readings));
    instagram.expect_profile().times(times).returning(move |_| {
        script.lock().unwrap().pop_front().expect("asked more often than scripted")
    });
}
