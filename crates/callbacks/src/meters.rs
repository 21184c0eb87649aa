//! Counts of calls back, by what they asked for and what they were answered.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use ig_metrics::{CallMeter, Counts, Outcome, Registry};

/// What a call back asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Endpoint {
    OauthCallback,
    Webhooks,
    Deauthorize,
    DataDeletion,
    DeletionStatus,
    Other,
}

ig_metrics::label!(Endpoint, "endpoint", {
    OauthCallback => "oauth_callback",
    Webhooks => "webhooks",
    Deauthorize => "deauthorize",
    DataDeletion => "data_deletion",
    DeletionStatus => "deletion_status",
    Other => "other",
});

impl Endpoint {
    fn of(path: &str) -> Self {
        match path {
            crate::OAUTH_CALLBACK => Self::OauthCallback,
            crate::WEBHOOKS => Self::Webhooks,
            crate::DEAUTHORIZE => Self::Deauthorize,
            crate::DATA_DELETION => Self::DataDeletion,
            below if below.starts_with(crate::DATA_DELETION) => Self::DeletionStatus,
            _ => Self::Other,
        }
    }
}

/// Status of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Ok,
    SeeOther,
    BadRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    Timeout,
    TooLarge,
    Unavailable,
    Other,
    GivenUp,
}

ig_metrics::label!(Status, "status", {
    Ok => "200",
    SeeOther => "303",
    BadRequest => "400",
    Unauthorized => "401",
    Forbidden => "403",
    NotFound => "404",
    MethodNotAllowed => "405",
    Timeout => "408",
    TooLarge => "413",
    Unavailable => "503",
    Other => "other",
    GivenUp => "given_up",
});

impl Outcome for Status {
    const GIVEN_UP: Self = Self::GivenUp;
}

impl From<StatusCode> for Status {
    fn from(status: StatusCode) -> Self {
        match status {
            StatusCode::OK => Self::Ok,
            StatusCode::SEE_OTHER => Self::SeeOther,
            StatusCode::BAD_REQUEST => Self::BadRequest,
            StatusCode::UNAUTHORIZED => Self::Unauthorized,
            StatusCode::FORBIDDEN => Self::Forbidden,
            StatusCode::NOT_FOUND => Self::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => Self::MethodNotAllowed,
            StatusCode::REQUEST_TIMEOUT => Self::Timeout,
            StatusCode::PAYLOAD_TOO_LARGE => Self::TooLarge,
            StatusCode::SERVICE_UNAVAILABLE => Self::Unavailable,
            _ => Self::Other,
        }
    }
}

/// The app secret that a signature was made with, by its place among those that are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Secret {
    First,
    Second,
    Later,
    None,
}

ig_metrics::label!(Secret, "secret", {
    First => "first",
    Second => "second",
    Later => "later",
    None => "none",
});

impl From<Option<usize>> for Secret {
    fn from(place: Option<usize>) -> Self {
        match place {
            Some(0) => Self::First,
            Some(1) => Self::Second,
            Some(_) => Self::Later,
            None => Self::None,
        }
    }
}

/// Counts of calls back.
#[derive(Clone)]
pub struct CallbackMeters {
    requests: CallMeter<Endpoint, Status>,
    pub(crate) signed_requests: Counts<Secret>,
    pub(crate) webhook_signatures: Counts<Secret>,
}

impl CallbackMeters {
    /// Registers all at zero.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let webhooks = "Webhooks by the app secret that signed them";
        let signed = "Signed requests of Meta's by the app secret that signed them";
        Self {
            requests: CallMeter::register(registry, "callback_request", "calls back"),
            signed_requests: Counts::register(registry, "signed_requests", signed),
            webhook_signatures: Counts::register(registry, "webhook_signatures", webhooks),
        }
    }
}

/// Counts a request and its answer.
pub(crate) async fn count(
    State(meters): State<CallbackMeters>,
    request: Request,
    next: Next,
) -> Response {
    let call = meters.requests.begin(Endpoint::of(request.uri().path()));
    let response = next.run(request).await;
    call.end(response.status().into());
    response
}
