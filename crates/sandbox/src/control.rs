//! The control interface under `/sandbox`: JSON in, the new state as JSON out.

pub(crate) mod accounts;
pub(crate) mod signed_requests;
pub(crate) mod tokens;
pub(crate) mod webhooks;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Query, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::clock::{ClockChange, ClockReading, wait_for_change};
use crate::faults::Fault;
use crate::grants::RevokeReason;
use crate::requests::Row;
use crate::shapes::{Shapes, ShapesChange};
use crate::world::{Sandbox, World};

/// A refused control request: HTTP 400 with the reason.
pub(crate) struct Refusal(String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        refusal(StatusCode::BAD_REQUEST, &self.0)
    }
}

impl From<String> for Refusal {
    fn from(reason: String) -> Self {
        Self(reason)
    }
}

/// `{"error": reason}`.
pub(crate) fn refusal(status: StatusCode, reason: &str) -> Response {
    (status, Json(json!({ "error": reason }))).into_response()
}

/// A JSON body, whatever its content type says.
pub(crate) struct Input<T>(T);

impl<T: DeserializeOwned> FromRequest<Sandbox> for Input<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, sandbox: &Sandbox) -> Result<Self, Refusal> {
        let body = Bytes::from_request(request, sandbox).await;
        let body = body.map_err(|error| Refusal(error.body_text()))?;
        understood(serde_json::from_slice(&body)).map(Self)
    }
}

fn understood<T>(body: serde_json::Result<T>) -> Result<T, Refusal> {
    body.map_err(|error| Refusal(format!("the body is not what is expected: {error}")))
}

/// The parameters of a query.
pub(crate) struct Asked<T>(T);

impl<T: DeserializeOwned> FromRequestParts<Sandbox> for Asked<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &Sandbox) -> Result<Self, Refusal> {
        let query = Query::try_from_uri(&parts.uri);
        query.map(|Query(query)| Self(query)).map_err(|error| Refusal(error.body_text()))
    }
}

type Answered<T> = Result<Json<T>, Refusal>;

/// The number of changes that the caller knows of.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SeenChanges {
    after: Option<u64>,
}

/// The time, at once; with `after`, once the clock has been changed another number of times, or after a second.
pub(crate) async fn clock(
    State(sandbox): State<Sandbox>,
    Asked(SeenChanges { after }): Asked<SeenChanges>,
) -> Json<ClockReading> {
    if let Some(seen) = after {
        let changes = sandbox.world().clock.changes();
        wait_for_change(changes, seen).await;
    }
    Json(sandbox.world().clock.reading())
}

/// Sets or advances the time.
pub(crate) async fn change_clock(
    State(sandbox): State<Sandbox>,
    Input(change): Input<ClockChange>,
) -> Answered<ClockReading> {
    let mut world = sandbox.world();
    world.clock.change(&change)?;
    Ok(Json(world.clock.reading()))
}

/// The answer shapes.
pub(crate) async fn shapes(State(sandbox): State<Sandbox>) -> Json<Shapes> {
    Json(sandbox.world().shapes)
}

/// Changes the shapes that are named.
pub(crate) async fn change_shapes(
    State(sandbox): State<Sandbox>,
    Input(change): Input<ShapesChange>,
) -> Json<Shapes> {
    let mut world = sandbox.world();
    world.shapes.change(&change);
    Json(world.shapes)
}

/// Puts the first shapes back.
pub(crate) async fn reset_shapes(State(sandbox): State<Sandbox>) -> Json<Shapes> {
    let mut world = sandbox.world();
    world.shapes = Shapes::default();
    Json(world.shapes)
}

/// The planned faults.
pub(crate) async fn faults(State(sandbox): State<Sandbox>) -> Json<Vec<Fault>> {
    Json(sandbox.world().faults.list())
}

/// Plans a fault.
pub(crate) async fn plan_fault(
    State(sandbox): State<Sandbox>,
    Input(fault): Input<Fault>,
) -> Answered<Vec<Fault>> {
    let mut world = sandbox.world();
    let World { faults, accounts, .. } = &mut *world;
    faults.plan(fault, |username| accounts.find(username).map(|(key, _)| key))?;
    Ok(Json(faults.list()))
}

/// Forgets all faults.
pub(crate) async fn clear_faults(State(sandbox): State<Sandbox>) -> Json<Vec<Fault>> {
    sandbox.world().faults.clear();
    Json(Vec::new())
}

/// Account whose tokens change, and the reason.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Revocation {
    username: String,
    reason: RevokeReason,
}

/// Ends, blocks or unblocks the tokens that an account has now.
pub(crate) async fn revoke(
    State(sandbox): State<Sandbox>,
    Input(revocation): Input<Revocation>,
) -> Answered<Revocation> {
    let mut world = sandbox.world();
    let found = world.accounts.find(&revocation.username).map(|(key, _)| key);
    let account = found.ok_or_else(|| "`username` is none of the sandbox's".to_owned())?;
    match revocation.reason {
        RevokeReason::AppRemoved => world.remove_app(account),
        reason => world.grants.revoke(account, reason),
    }
    Ok(Json(revocation))
}

/// Standing of the app with Instagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum AppState {
    Ok,
    Restricted,
}

/// The app's new standing.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AppChange {
    state: AppState,
}

/// Restricts the app, or lets it work again.
pub(crate) async fn change_app(
    State(sandbox): State<Sandbox>,
    Input(change): Input<AppChange>,
) -> Json<AppChange> {
    sandbox.world().app.restricted = change.state == AppState::Restricted;
    Json(change)
}

/// The newest requests to the API, and those that the sandbox sent.
pub(crate) async fn requests(State(sandbox): State<Sandbox>) -> Json<Vec<Row>> {
    let now_ms = sandbox.elapsed_ms();
    Json(sandbox.world().requests.list(now_ms))
}

/// Empties the log.
pub(crate) async fn clear_requests(State(sandbox): State<Sandbox>) -> Json<Vec<Row>> {
    sandbox.world().requests.clear();
    Json(Vec::new())
}
