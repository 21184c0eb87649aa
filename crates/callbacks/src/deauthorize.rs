//! Meta's word that a person removed the app.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use ig_application::RemovalError;
use tokio::time::timeout;
use tracing::warn;

use crate::{ANSWER_TIMEOUT, Shared, signed_request, unavailable};

/// Answers a deauthorize callback, with 200 also where nothing is known of the person.
pub(crate) async fn deauthorize(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let request = match signed_request::read(&shared, request.into_body()).await {
        Ok(request) => request,
        Err(refused) => return refused,
    };
    match timeout(ANSWER_TIMEOUT, shared.callbacks.deauthorize.execute(&request)).await {
        Ok(Ok(_)) => StatusCode::OK.into_response(),
        Ok(Err(RemovalError::TooFarAhead)) => StatusCode::BAD_REQUEST.into_response(),
        Ok(Err(RemovalError::Store(error))) => {
            warn!(%error, "a person removed the app, and the token may not be destroyed yet: Meta was answered 503");
            unavailable()
        }
        Err(_) => {
            warn!(
                "a person removed the app, and the store did not answer in time: Meta was answered 503"
            );
            unavailable()
        }
    }
}
