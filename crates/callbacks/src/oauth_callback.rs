//! The browser of a person who was at Instagram for consent.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::http::header::{LOCATION, RETRY_AFTER};
use axum::response::{IntoResponse as _, Response};
use ig_application::{HostedEnd, HostedLinkError};
use ig_domain::AuthorizationResponse;
use ig_domain::ports::InstagramErrorKind;
use secrecy::ExposeSecret as _;
use tokio::time::timeout;
use tracing::{info, warn};

use crate::Shared;
use crate::pages::Page;

/// Maximum time that a browser waits for the end of a link. Ours: proxies wait for 30 s or more. The work goes on.
const CALLBACK_TIMEOUT: Duration = Duration::from_secs(25);

/// Sends the browser on, or shows it how the consent ended. The query holds secrets and is never logged.
pub(crate) async fn oauth_callback(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
) -> Response {
    let query = format!("?{}", query.unwrap_or_default());
    let Ok(response) = AuthorizationResponse::parse(&query) else {
        return Page::Expired.answer(StatusCode::BAD_REQUEST);
    };
    answer(shared.callbacks.hosted_link.execute(response)).await
}

/// The answer with the end that comes in time.
async fn answer(end: impl Future<Output = Result<HostedEnd, HostedLinkError>>) -> Response {
    match timeout(CALLBACK_TIMEOUT, end).await {
        Ok(Ok(end)) => ended(end),
        Ok(Err(error)) => failed(&error),
        Err(_) => Page::StillWorking.answer(StatusCode::OK),
    }
}

fn ended(end: HostedEnd) -> Response {
    let page = match end {
        HostedEnd::SendBack(url) => {
            info!("a hosted consent came back, and its browser was sent on to the caller");
            return (StatusCode::SEE_OTHER, [(LOCATION, url.expose_secret())]).into_response();
        }
        HostedEnd::StateGone => return Page::Expired.answer(StatusCode::BAD_REQUEST),
        HostedEnd::Linked { account, username, missing_scopes } => {
            info!(account.id = %account, "a hosted consent linked an account");
            Page::Linked { username, missing_scopes }
        }
        HostedEnd::Denied(denial) => {
            info!("a hosted consent was denied");
            Page::of_denial(&denial)
        }
        HostedEnd::Refused(refusal) => {
            info!(%refusal, "a hosted consent linked no account");
            Page::of_refusal(&refusal)
        }
        HostedEnd::Failed(error) => {
            warn!(%error, "a hosted consent is not finished yet; a reload tries again");
            match error.kind {
                InstagramErrorKind::AppMisconfigured => Page::NotOpen,
                _ => Page::OurTrouble,
            }
        }
    };
    page.answer(StatusCode::OK)
}

fn failed(error: &HostedLinkError) -> Response {
    warn!(%error, "a hosted consent could not be finished now; a reload tries again");
    let page = Page::OurTrouble.answer(StatusCode::SERVICE_UNAVAILABLE);
    ([(RETRY_AFTER, "60")], page).into_response()
}

#[cfg(test)]
mod tests;
