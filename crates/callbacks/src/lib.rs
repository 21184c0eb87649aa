//! Instagram's calls back: HTTP in, use cases out. It stores nothing, and no header of a request becomes part of a URL.

mod body;
mod data_deletion;
mod deauthorize;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod headers;
mod html;
mod meters;
mod oauth_callback;
mod pages;
mod refusal_log;
mod signature;
mod signed_request;
mod webhooks;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use ig_application::{
    Deauthorize, DeleteUserData, FindDeletion, FinishHostedLink, ReceiveWebhooks,
};
use ig_domain::PublicUrl;
use ig_domain::ports::Clock;
use secrecy::SecretString;

use self::body::BodyMemory;
use self::refusal_log::RefusalLog;

pub use self::meters::CallbackMeters;
pub use self::signature::AppSecrets;
pub use self::wire::{Batch, BatchError, updates};

/// Path of our own redirect URI.
pub const OAUTH_CALLBACK: &str = "/oauth/callback";

/// Path of the deauthorize callback.
pub const DEAUTHORIZE: &str = "/deauthorize";

/// Path of the data deletion callback. Below it are the pages of the deletions, each under its code.
pub const DATA_DELETION: &str = "/data-deletion";

/// Path of webhooks, and of Meta's check of it.
pub const WEBHOOKS: &str = "/webhooks/instagram";

/// Maximum time from the last byte of a request to its answer. Ours: Meta waits for some seconds.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(4800);

/// What calls back come to.
pub struct Callbacks {
    /// The app secrets whose signatures are accepted, the newest first. None refuses everything.
    pub secrets: AppSecrets,
    /// Ends hosted consents.
    pub hosted_link: FinishHostedLink,
    /// Deauthorises persons.
    pub deauthorize: Deauthorize,
    /// Deletes persons' data.
    pub delete_user_data: DeleteUserData,
    /// Finds deletions.
    pub find_deletion: FindDeletion,
    /// Receives updates.
    pub webhooks: ReceiveWebhooks,
    /// Token by which Meta's check of the webhooks' address is known. `None` refuses every check.
    pub verify_token: Option<SecretString>,
    /// Business time.
    pub clock: Arc<dyn Clock>,
    /// Counts of the calls.
    pub meters: CallbackMeters,
}

/// What the handlers share.
struct Shared {
    callbacks: Callbacks,
    memory: BodyMemory,
    public_url: PublicUrl,
}

/// Routes of all callbacks, which are reached by `public_url`. What is none of them is answered 404.
pub fn router(callbacks: Callbacks, public_url: PublicUrl) -> Router {
    let counting = from_fn_with_state(callbacks.meters.clone(), meters::count);
    let logging = from_fn_with_state(RefusalLog::default(), refusal_log::log);
    let shared = Shared { callbacks, memory: BodyMemory::default(), public_url };
    let status = get(data_deletion::deletion_status).head(nothing);
    let webhooks = get(webhooks::check).head(nothing).post(webhooks::receive);
    Router::new()
        .route(OAUTH_CALLBACK, get(oauth_callback::oauth_callback).head(nothing))
        .route(DEAUTHORIZE, post(deauthorize::deauthorize))
        .route(DATA_DELETION, post(data_deletion::data_deletion))
        .route(&format!("{DATA_DELETION}/{{code}}"), status)
        .route(WEBHOOKS, webhooks)
        .fallback(|| async { StatusCode::NOT_FOUND })
        .layer(logging)
        .layer(counting)
        .layer(map_response(headers::harden))
        .with_state(Arc::new(shared))
}

/// Answer where the store is away, or has too much to do.
fn unavailable() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")]).into_response()
}

/// Answers a look at the headers alone.
async fn nothing() {}

#[cfg(test)]
mod tests;
