//! The log of refused calls of Meta's. Anybody can make calls that are refused, so a line stands for many.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use tokio::time::Instant;
use tracing::warn;

use crate::{DATA_DELETION, DEAUTHORIZE, WEBHOOKS};

/// Minimum time between two lines of one cause. Ours.
const INTERVAL: Duration = Duration::from_mins(1);

const UNSIGNED_WEBHOOK: &str = "a webhook was refused: its signature was made with none of INSTAGRAM_APP_SECRET, or is missing";
const UNREADABLE_WEBHOOK: &str =
    "a webhook was refused: it is no JSON, or asks for no check that we know";
const UNKNOWN_TOKEN: &str =
    "the check of the webhook address was refused: its verify token is not WEBHOOK_VERIFY_TOKEN";
const BAD_SIGNED_REQUEST: &str = "a signed request was refused: it was made with none of INSTAGRAM_APP_SECRET, or is \
                                  malformed";

/// Refused calls that no line was written of, by their cause.
#[derive(Clone, Default)]
pub(crate) struct RefusalLog(Arc<Mutex<HashMap<&'static str, Refusals>>>);

struct Refusals {
    /// When the last line was written.
    logged: Instant,
    /// Number of calls that were refused since.
    since: u64,
}

impl RefusalLog {
    /// Number of calls that a line is to tell of now; `None` where there is to be none.
    fn refused(&self, cause: &'static str) -> Option<u64> {
        let mut refusals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let Some(refusals) = refusals.get_mut(cause) else {
            refusals.insert(cause, Refusals { logged: now, since: 0 });
            return Some(1);
        };
        refusals.since += 1;
        if now.duration_since(refusals.logged) < INTERVAL {
            return None;
        }
        refusals.logged = now;
        Some(std::mem::take(&mut refusals.since))
    }
}

/// Logs a call of Meta's that is refused.
pub(crate) async fn log(
    State(refusals): State<RefusalLog>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    let endpoint = [WEBHOOKS, DEAUTHORIZE, DATA_DELETION].into_iter().find(|known| *known == path);
    let response = next.run(request).await;
    let status = response.status();
    if let Some(cause) = endpoint.and_then(|endpoint| cause(endpoint, status))
        && let Some(calls) = refusals.refused(cause)
    {
        warn!(endpoint, status = status.as_u16(), calls, "{cause}");
    }
    response
}

fn cause(endpoint: &str, status: StatusCode) -> Option<&'static str> {
    match (endpoint, status) {
        (WEBHOOKS, StatusCode::UNAUTHORIZED) => Some(UNSIGNED_WEBHOOK),
        (WEBHOOKS, StatusCode::FORBIDDEN) => Some(UNKNOWN_TOKEN),
        (WEBHOOKS, StatusCode::BAD_REQUEST) => Some(UNREADABLE_WEBHOOK),
        (_, StatusCode::BAD_REQUEST) => Some(BAD_SIGNED_REQUEST),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_line_a_minute_tells_of_all_that_were_refused_since_the_last_one() {
        let log = RefusalLog::default();
        assert_eq!(log.refused(UNKNOWN_TOKEN), Some(1));
        for _ in 0..3 {
            assert_eq!(log.refused(UNKNOWN_TOKEN), None);
        }
        assert_eq!(log.refused(UNSIGNED_WEBHOOK), Some(1), "another cause");
        tokio::time::advance(INTERVAL).await;
        assert_eq!(log.refused(UNKNOWN_TOKEN), Some(4));
        assert_eq!(log.refused(UNKNOWN_TOKEN), None);
    }

    #[test]
    fn what_meta_sends_in_vain_has_a_cause_and_a_page_has_none() {
        assert_eq!(cause(WEBHOOKS, StatusCode::UNAUTHORIZED), Some(UNSIGNED_WEBHOOK));
        assert_eq!(cause(DEAUTHORIZE, StatusCode::BAD_REQUEST), Some(BAD_SIGNED_REQUEST));
        assert_eq!(cause(DATA_DELETION, StatusCode::OK), None);
        assert_eq!(cause(WEBHOOKS, StatusCode::SERVICE_UNAVAILABLE), None);
    }
}
