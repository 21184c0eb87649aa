//! Meta's word that a person wants the data to be deleted, and the page that tells how far that is.

use std::sync::Arc;

use askama::Template;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use ig_application::RemovalError;
use ig_domain::{Deletion, DeletionState};
use serde_json::json;
use time::OffsetDateTime;
use tokio::time::timeout;
use tracing::warn;

use crate::{ANSWER_TIMEOUT, Shared, html, signed_request, unavailable};

/// Answers a data deletion request, with the code of the deletion and the URL of its page.
pub(crate) async fn data_deletion(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let request = match signed_request::read(&shared, request.into_body()).await {
        Ok(request) => request,
        Err(refused) => return refused,
    };
    match timeout(ANSWER_TIMEOUT, shared.callbacks.delete_user_data.execute(&request)).await {
        Ok(Ok(code)) => {
            let url = shared.public_url.deletion_status(&code);
            let answer = json!({ "url": url, "confirmation_code": code.as_str() });
            ([(CONTENT_TYPE, "application/json")], answer.to_string()).into_response()
        }
        Ok(Err(RemovalError::TooFarAhead)) => StatusCode::BAD_REQUEST.into_response(),
        Ok(Err(RemovalError::Store(error))) => {
            warn!(%error, "a person wants the data to be deleted, and it may not be yet: Meta was answered 503");
            unavailable()
        }
        Err(_) => {
            warn!(
                "a person wants the data to be deleted, and the store did not answer in time: Meta was answered 503"
            );
            unavailable()
        }
    }
}

/// Answers with the page of a deletion. It says nothing of whose data it is.
pub(crate) async fn deletion_status(
    State(shared): State<Arc<Shared>>,
    code: Result<Path<String>, PathRejection>,
) -> Response {
    let code = code.ok().and_then(|Path(code)| code.parse().ok());
    let Some(code) = code else { return unknown() };
    match timeout(ANSWER_TIMEOUT, shared.callbacks.find_deletion.execute(&code)).await {
        Ok(Ok(Some(deletion))) => Page::of(&deletion).answer(StatusCode::OK),
        Ok(Ok(None)) => unknown(),
        Ok(Err(error)) => {
            warn!(%error, "the state of a deletion cannot be told: a browser was answered 503");
            away()
        }
        Err(_) => away(),
    }
}

fn unknown() -> Response {
    let what = "There is no deletion of this code. Please check the address.";
    Page::new("Unknown code", what).answer(StatusCode::NOT_FOUND)
}

fn away() -> Response {
    let what =
        "The state of your request cannot be shown right now. Please reload the page in a minute.";
    Page::new("Something went wrong on our side", what).answer(StatusCode::SERVICE_UNAVAILABLE)
}

/// The page of a deletion.
#[derive(Template)]
#[template(path = "deletion.html")]
struct Page {
    title: &'static str,
    what: &'static str,
    request_time: Option<String>,
    end_time: Option<String>,
}

impl Page {
    fn new(title: &'static str, what: &'static str) -> Self {
        Self { title, what, request_time: None, end_time: None }
    }

    fn of(deletion: &Deletion) -> Self {
        let (title, what) = match deletion.state {
            DeletionState::Running => (
                "Your data is being deleted",
                "Your account is forgotten already. What is left of it will be erased within a minute.",
            ),
            DeletionState::Deleted => ("Your data is deleted", "Nothing of it is left here."),
            DeletionState::OlderDeleted => (
                "Your older data is deleted",
                "You allowed the app again after you had asked for the deletion: what has come since was kept. To have it deleted too, remove the app in Instagram’s settings and ask again.",
            ),
            DeletionState::ConsentedSince => (
                "Nothing was deleted",
                "You allowed the app again after you had asked for the deletion. To have your data deleted, remove the app in Instagram’s settings and ask again.",
            ),
            DeletionState::NothingStored => {
                ("There is nothing to delete", "No data of yours was stored here.")
            }
        };
        let request_time = Some(moment(deletion.request_time));
        Self { request_time, end_time: deletion.end_time.map(moment), ..Self::new(title, what) }
    }

    fn answer(&self, status: StatusCode) -> Response {
        html::document(status, self)
    }
}

/// A moment for people, such as `29 November 2026, 08:05 UTC`.
fn moment(time: OffsetDateTime) -> String {
    let (year, month, day) = time.to_calendar_date();
    format!("{day} {month} {year}, {:02}:{:02} UTC", time.hour(), time.minute())
}
