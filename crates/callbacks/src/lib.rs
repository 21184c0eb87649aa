//! Instagram's calls back: HTTP in, use cases out. It stores nothing, and no header of a request becomes part of a URL.

mod body;
mod deauthorize;
mod headers;
mod html;
mod meters;
mod oauth_callback;
mod pages;
#[cfg_attr(not(test), expect(dead_code, reason = "webhooks, which sign by a header, come next"))]
mod signature;
mod signed_request;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::{from_fn_with_state, map_response};
use axum::routing::{get, post};
use ig_application::{Deauthorize, FinishHostedLink};
use secrecy::SecretString;

use self::body::LargePlaces;
use self::signature::AppSecrets;

pub use self::meters::CallbackMeters;

/// Path of our own redirect URI.
pub const OAUTH_CALLBACK: &str = "/oauth/callback";

/// Path of the deauthorize callback.
pub const DEAUTHORIZE: &str = "/deauthorize";

/// Maximum time from the last byte of a request to its answer. Ours: Meta waits for some seconds.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(4800);

/// What calls back come to.
pub struct Callbacks {
    /// The app secrets whose signatures are accepted, the newest first. None refuses everything.
    pub secrets: Vec<SecretString>,
    /// Ends hosted consents.
    pub hosted_link: FinishHostedLink,
    /// Deauthorises persons.
    pub deauthorize: Deauthorize,
    /// Counts of the calls.
    pub meters: CallbackMeters,
}

/// What the handlers share.
struct Shared {
    secrets: AppSecrets,
    places: LargePlaces,
    hosted_link: FinishHostedLink,
    deauthorize: Deauthorize,
    meters: CallbackMeters,
}

/// Routes of all callbacks. What is none of them is answered 404.
pub fn router(callbacks: Callbacks) -> Router {
    let Callbacks { secrets, hosted_link, deauthorize, meters } = callbacks;
    let (secrets, places) = (AppSecrets::new(secrets), LargePlaces::default());
    let counting = from_fn_with_state(meters.clone(), meters::count);
    Router::new()
        .route(OAUTH_CALLBACK, get(oauth_callback::oauth_callback).head(nothing))
        .route(DEAUTHORIZE, post(deauthorize::deauthorize))
        .fallback(|| async { StatusCode::NOT_FOUND })
        .layer(counting)
        .layer(map_response(headers::harden))
        .with_state(Arc::new(Shared { secrets, places, hosted_link, deauthorize, meters }))
}

/// Answers a look at the headers alone.
async fn nothing() {}

#[cfg(test)]
mod tests;
