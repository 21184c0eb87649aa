//! Requests to Instagram, counted by endpoint and outcome.

use ig_domain::ports::InstagramErrorKind;
use ig_metrics::{CallMeter, Gauge, MeteredCall, Outcome, Registry};

use super::endpoint::Endpoint;

/// Outcome of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Ok,
    NotSent,
    NoAnswer,
    Unavailable,
    RateLimited,
    TokenRejected,
    SessionUnknown,
    CodeRejected,
    RedirectUriRejected,
    AppMisconfigured,
    Unreadable,
    Unexpected,
    GivenUp,
}

ig_metrics::label!(Ended, "outcome", {
    Ok => "ok",
    NotSent => "not_sent",
    NoAnswer => "no_answer",
    Unavailable => "unavailable",
    RateLimited => "rate_limited",
    TokenRejected => "token_rejected",
    SessionUnknown => "session_unknown",
    CodeRejected => "code_rejected",
    RedirectUriRejected => "redirect_uri_rejected",
    AppMisconfigured => "app_misconfigured",
    Unreadable => "unreadable",
    Unexpected => "unexpected",
    GivenUp => "given_up",
});

impl Outcome for Ended {
    const GIVEN_UP: Self = Self::GivenUp;
}

impl From<InstagramErrorKind> for Ended {
    fn from(kind: InstagramErrorKind) -> Self {
        match kind {
            InstagramErrorKind::NotSent => Self::NotSent,
            InstagramErrorKind::NoAnswer => Self::NoAnswer,
            // No single request ends unconfirmed.
            InstagramErrorKind::Unavailable | InstagramErrorKind::Unconfirmed => Self::Unavailable,
            InstagramErrorKind::RateLimited { .. } => Self::RateLimited,
            InstagramErrorKind::TokenRejected(_) => Self::TokenRejected,
            InstagramErrorKind::SessionUnknown => Self::SessionUnknown,
            InstagramErrorKind::CodeRejected => Self::CodeRejected,
            InstagramErrorKind::RedirectUriRejected => Self::RedirectUriRejected,
            InstagramErrorKind::AppMisconfigured => Self::AppMisconfigured,
            InstagramErrorKind::Unreadable => Self::Unreadable,
            InstagramErrorKind::Unexpected => Self::Unexpected,
        }
    }
}

/// Counts and times the requests to Instagram, each try for itself, and shows the usage that Instagram states.
#[derive(Clone)]
pub struct InstagramMeter {
    requests: CallMeter<Endpoint, Ended>,
    pub(super) usage: Gauge,
}

impl InstagramMeter {
    /// Registers all at zero.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let usage = "Highest figure of the usage of limits that Instagram stated last";
        Self {
            requests: CallMeter::register(registry, "instagram_request", "requests to Instagram"),
            usage: Gauge::register(registry, "usage_percent", usage),
        }
    }

    pub(super) fn begin(&self, endpoint: Endpoint) -> MeteredCall<Endpoint, Ended> {
        self.requests.begin(endpoint)
    }
}
