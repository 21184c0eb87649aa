//! Every path of the sandbox.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;

use crate::api::serve_api;
use crate::consent::{ask_consent, take_consent};
use crate::control::{self, accounts, signed_requests, tokens, webhooks};
use crate::redirect_page::show_response;
use crate::world::Sandbox;

/// Maximum size of a form or an API request, in bytes.
const BODY_LIMIT: usize = 64 * 1024;
/// Maximum size of a control request, in bytes: a fault may bring an answer larger than clients accept.
const CONTROL_BODY_LIMIT: usize = 4 * 1024 * 1024;

/// Routes the pages and the control interface; every other path is the API's.
pub(crate) fn router(sandbox: Sandbox) -> Router {
    let pages = Router::new()
        .route("/oauth/authorize", get(ask_consent).post(take_consent))
        .route("/oauth/authorize/", get(ask_consent))
        .route("/redirect", get(show_response))
        .fallback(serve_api)
        .layer(RequestBodyLimitLayer::new(BODY_LIMIT));
    Router::new()
        .nest("/sandbox", control_router())
        .merge(pages)
        .layer(DefaultBodyLimit::disable())
        .layer(CatchPanicLayer::new())
        .with_state(sandbox)
}

fn control_router() -> Router<Sandbox> {
    Router::new()
        .route("/accounts", get(accounts::list).post(accounts::put))
        .route("/tokens", post(tokens::make))
        .route("/clock", get(control::clock).post(control::change_clock))
        .route(
            "/shapes",
            get(control::shapes).post(control::change_shapes).delete(control::reset_shapes),
        )
        .route(
            "/faults",
            get(control::faults).post(control::plan_fault).delete(control::clear_faults),
        )
        .route("/revoke", post(control::revoke))
        .route("/app", post(control::change_app))
        .route("/webhooks", post(webhooks::send))
        .route("/deauthorize", post(signed_requests::deauthorize))
        .route("/data-deletion", post(signed_requests::delete_data))
        .route("/requests", get(control::requests).delete(control::clear_requests))
        .fallback(async || control::refusal(StatusCode::NOT_FOUND, "no such control path"))
        .method_not_allowed_fallback(async || {
            control::refusal(StatusCode::METHOD_NOT_ALLOWED, "this path has no such method")
        })
        .layer(RequestBodyLimitLayer::new(CONTROL_BODY_LIMIT))
}
