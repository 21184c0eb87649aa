//! Reads one body as the answer of each endpoint; see `ig_callbacks::fuzzing`.

use std::collections::BTreeSet;

use ig_domain::ports::{InstagramError, InstagramErrorKind};
use ig_metrics::Label as _;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_ENCODING, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use serde_json::Value;

use super::compression::decompressed;
use super::endpoint::Endpoint;
use super::meter::Ended;
use super::refusal;
use super::transport::MAX_BODY_BYTES;
use super::usage::{APP_USAGE, BUSINESS_USE_CASE_USAGE, percent};
use super::wire::{
    CodeAnswer, LongLivedAnswer, ProfileAnswer, Readable as _, subscribed_fields, success,
};

/// Reads a body as every endpoint's answer. Returns the endpoints that it answers, else the errors that it is, in the
/// order of the alphabet with `+` between them.
#[must_use]
pub fn instagram_answers(body: &[u8]) -> String {
    let deflated = HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static("deflate"))]);
    read(&deflated, body);
    if let Ok(value) = HeaderValue::from_bytes(body) {
        let names = [APP_USAGE, BUSINESS_USE_CASE_USAGE].map(HeaderName::from_static);
        let names = names.into_iter().chain([RETRY_AFTER]);
        read(&names.map(|name| (name, value.clone())).collect(), body);
    }
    read(&HeaderMap::new(), body)
}

fn read(headers: &HeaderMap, body: &[u8]) -> String {
    percent(headers);
    let body = decompressed(headers, body.to_vec(), MAX_BODY_BYTES);
    let (mut meant, mut errors) = (BTreeSet::new(), BTreeSet::new());
    for status in [StatusCode::OK, StatusCode::BAD_REQUEST, StatusCode::SERVICE_UNAVAILABLE] {
        for (endpoint, meaning) in ENDPOINTS {
            let answer = refusal::accept(endpoint, status, headers, body.as_deref());
            match answer.and_then(meaning) {
                Ok(()) => meant.insert(endpoint.value()),
                Err(error) if status.is_success() => errors.insert(Ended::from(error.kind).value()),
                Err(_) => false,
            };
        }
    }
    let told = if meant.is_empty() { errors } else { meant };
    told.into_iter().collect::<Vec<_>>().join("+")
}

type Meaning = fn(Value) -> Result<(), InstagramError>;

const ENDPOINTS: [(Endpoint, Meaning); 5] = [
    (Endpoint::CodeExchange, |answer| CodeAnswer::read(answer).map(drop)),
    (Endpoint::TokenRenewal, |answer| LongLivedAnswer::read(answer).map(drop)),
    (Endpoint::Profile, |answer| ProfileAnswer::read(answer).map(drop)),
    (Endpoint::Subscription, |answer| success(&answer)),
    (Endpoint::Subscription, |answer| {
        subscribed_fields(&answer).map(drop).ok_or_else(|| InstagramErrorKind::Unreadable.into())
    }),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_read_as_their_names_say() {
        ig_test_support::seeds::replay("instagram_answers", instagram_answers);
    }
}
