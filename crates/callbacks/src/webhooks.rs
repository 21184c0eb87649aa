//! Webhooks: the check by which Meta learns that they are ours, and the updates.

use std::sync::Arc;

use axum::extract::{RawQuery, Request, State};
use axum::http::header::{CONTENT_TYPE, HeaderMap};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse as _, Response};
use ig_application::ReceiveWebhooksError;
use ig_domain::ports::StoreError;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use tokio::time::timeout;
use tracing::{debug, error};
use url::form_urlencoded;

use crate::body::{self, BodyError};
use crate::meters::Secret;
use crate::wire::{Batch, BatchError, updates};
use crate::{ANSWER_TIMEOUT, Shared, signature, unavailable};

/// Maximum size of a webhook, in bytes. Ours: Instagram's have up to 1,000 updates.
const MAX_WEBHOOK: usize = 4 * 1024 * 1024;

/// Maximum length of a challenge.
const MAX_CHALLENGE: usize = 256;

const SIGNATURE: HeaderName = HeaderName::from_static("x-hub-signature-256");

/// Answers Meta's check of the address with its challenge, if it knows the verify token.
pub(crate) async fn check(State(shared): State<Arc<Shared>>, query: RawQuery) -> Response {
    let RawQuery(query) = query;
    let query = query.unwrap_or_default();
    let only = |name| only_value(&query, name);
    let is_subscription = only("hub.mode").as_deref() == Some("subscribe");
    let token = only("hub.verify_token");
    if !is_subscription || !is_token(token.as_deref(), shared.callbacks.verify_token.as_ref()) {
        return StatusCode::FORBIDDEN.into_response();
    }
    match only("hub.challenge").filter(|challenge| is_challenge(challenge)) {
        Some(challenge) => {
            (StatusCode::OK, [(CONTENT_TYPE, "text/plain")], challenge).into_response()
        }
        None => StatusCode::BAD_REQUEST.into_response(),
    }
}

/// The value of a parameter, where the query has it once.
fn only_value(query: &str, name: &str) -> Option<String> {
    let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name);
    let (_, value) = values.next()?;
    values.next().is_none().then(|| value.into_owned())
}

/// Whether the token is the one that is set. Hashes are compared, so that the time tells nothing of it.
fn is_token(given: Option<&str>, set: Option<&SecretString>) -> bool {
    let hash = |token: &str| Sha256::digest(token.as_bytes());
    let given = given.map(hash);
    given.is_some() && given == set.map(|set| hash(set.expose_secret()))
}

fn is_challenge(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=MAX_CHALLENGE).contains(&text.len()) && text.bytes().all(allowed)
}

/// Receives updates. They are stored before the answer.
pub(crate) async fn receive(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (head, content) = request.into_parts();
    let Some(mac) = mac_in(&head.headers) else {
        shared.callbacks.meters.webhook_signatures.count(Secret::None);
        body::discard(content).await;
        return BodyError::close(StatusCode::UNAUTHORIZED);
    };
    let content = match body::read(content, MAX_WEBHOOK, &shared.memory).await {
        Ok(content) => content,
        Err(refused) => return refused.into_response(),
    };
    let secret = shared.callbacks.secrets.matching(content.bytes(), &mac);
    shared.callbacks.meters.webhook_signatures.count(secret.into());
    if secret.is_none() {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let batch = updates(content.bytes(), shared.callbacks.clock.now());
    drop(content);
    match batch {
        Ok(batch) => store(&shared, batch).await,
        Err(BatchError::NotJson) => StatusCode::BAD_REQUEST.into_response(),
        Err(BatchError::TooMany) => StatusCode::PAYLOAD_TOO_LARGE.into_response(),
    }
}

/// The signature of a request that has one of the right form.
fn mac_in(headers: &HeaderMap) -> Option<[u8; 32]> {
    let mut values = headers.get_all(SIGNATURE).iter();
    let value = values.next()?;
    if values.next().is_some() {
        return None;
    }
    signature::of_header(value.as_bytes())
}

async fn store(shared: &Shared, batch: Batch) -> Response {
    let Batch { updates, unreadable } = batch;
    match timeout(ANSWER_TIMEOUT, shared.callbacks.webhooks.execute(updates, unreadable)).await {
        Ok(Ok(())) => StatusCode::OK.into_response(),
        Ok(Err(failure)) => {
            if is_worth_a_line(&failure) {
                error!(error = %failure, "updates may not be stored: Meta was answered 503, and sends them again");
            } else {
                debug!(error = %failure, "updates may not be stored: Meta was answered 503, and sends them again");
            }
            unavailable()
        }
        Err(_) => unavailable(),
    }
}

/// Whether nobody else tells of it: where the store is away, the watch over it says so.
fn is_worth_a_line(failure: &ReceiveWebhooksError) -> bool {
    match failure {
        ReceiveWebhooksError::TooMany => false,
        ReceiveWebhooksError::Store(error) => {
            !matches!(error, StoreError::Unavailable(_) | StoreError::Overloaded(_))
        }
    }
}

#[cfg(test)]
mod tests;
