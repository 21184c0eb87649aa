//! Entries of the fuzz targets. Each reads bytes from outside, asserts what holds of everything that can be read, and
//! returns the class of the outcome.
//!
//! Compiled for fuzzing, and for the test that replays the seeds.

use axum::http::StatusCode;
use ig_domain::{AuthorizationResponse, InvalidAuthorizationResponse};
use time::macros::datetime;

use crate::pages::Page;
use crate::signature;
use crate::signed_request::{Signed, only_field};
use crate::wire::{BatchError, updates};

/// Reads the body of a webhook.
///
/// # Panics
///
/// Where a payload is not in the body as it came, or an update is another one the next day.
#[must_use]
pub fn webhook_body(body: &[u8]) -> &'static str {
    let batch = match updates(body, datetime!(2026-11-29 08:00 UTC)) {
        Ok(batch) => batch,
        Err(BatchError::NotJson) => return "not_json",
        Err(BatchError::TooMany) => return "too_many",
    };
    let again = updates(body, datetime!(2026-11-30 08:00 UTC)).map(|batch| batch.updates);
    let again = again.unwrap_or_default();
    assert_eq!(batch.updates.len(), again.len());
    let text = str::from_utf8(body).unwrap_or_default();
    for (received, again) in batch.updates.iter().zip(&again) {
        assert_eq!(received.update.id, again.update.id);
        assert!(received.payload.iter().all(|payload| text.contains(payload.as_str())));
    }
    match (batch.updates.len(), batch.unreadable) {
        (0, 0) => "empty",
        (0, _) => "unreadable",
        (_, 0) => "read",
        (_, _) => "partly_read",
    }
}

/// Reads the header of a webhook's signature.
///
/// # Panics
///
/// Where the signature, written again, is another text.
#[must_use]
pub fn signature_header(header: &[u8]) -> &'static str {
    let Some(mac) = signature::of_header(header) else { return "refused" };
    let digits: Vec<_> = mac.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(header.to_ascii_lowercase(), format!("sha256={}", digits.concat()).into_bytes());
    "read"
}

/// Reads the form of a signed request, as if an accepted secret had signed it.
#[must_use]
pub fn signed_request(form: &[u8]) -> &'static str {
    let Some(text) = only_field(form) else { return "no_field" };
    let Some(signed) = Signed::parse(&text) else { return "no_signature" };
    if signed.request().is_some() { "read" } else { "refused" }
}

/// Reads the query that a browser brings back from Instagram, and makes the page of a denial.
///
/// # Panics
///
/// Where a text of a denial is too long or cannot be shown, or its page cannot be made.
#[must_use]
pub fn authorization_response(query: &[u8]) -> &'static str {
    use InvalidAuthorizationResponse::{BadCode, BadTicket, Malformed, NoCode, NoState, Repeated};
    match AuthorizationResponse::parse(&String::from_utf8_lossy(query)) {
        Ok(AuthorizationResponse::Granted { .. }) => "granted",
        Ok(AuthorizationResponse::Kept { .. }) => "kept",
        Ok(AuthorizationResponse::Denied { denial, state }) => {
            let texts = [&denial.error, &denial.error_reason, &denial.error_description];
            for text in texts.into_iter().flatten() {
                assert!(text.chars().count() <= 200 && !text.chars().any(char::is_control));
            }
            let page = Page::of_denial(&denial).answer(StatusCode::OK);
            assert_eq!(page.status(), StatusCode::OK);
            if state.is_some() { "denied" } else { "stateless_denial" }
        }
        Err(Malformed) => "malformed",
        Err(Repeated) => "repeated",
        Err(NoCode) => "no_code",
        Err(NoState) => "no_state",
        Err(BadCode) => "bad_code",
        Err(BadTicket) => "bad_ticket",
    }
}

#[cfg(test)]
mod tests {
    use ig_test_support::seeds::replay;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::webhook_body("webhook_body", webhook_body)]
    #[case::signature_header("signature_header", signature_header)]
    #[case::signed_request("signed_request", signed_request)]
    #[case::authorization_response("authorization_response", authorization_response)]
    fn seeds_are_read_as_their_names_say(
        #[case] target: &str,
        #[case] entry: fn(&[u8]) -> &'static str,
    ) {
        replay(target, |bytes| entry(bytes).to_owned());
    }
}
