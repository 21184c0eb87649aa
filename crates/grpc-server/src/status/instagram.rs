//! Failures of calls to Instagram.

use std::time::Duration;

use ig_domain::ports::{InstagramError, InstagramErrorKind};
use tonic::Status;

use super::{Problem, Reason, ToStatus};

/// Delay before a retry after an outage. Ours.
const RETRY_DELAY: Duration = Duration::from_secs(2);

/// Advice about an app that Instagram refuses.
pub(super) const CHECK_THE_APP: &str = "check app id, app secret, the account's tester role, the \
     app's mode and its access level in the Meta app dashboard";

impl ToStatus for InstagramError {
    fn to_status(&self) -> Status {
        problem(self).into_status()
    }
}

/// The failure with Instagram's own numbers.
pub(super) fn problem(error: &InstagramError) -> Problem {
    by_kind(error).graph_facts(&error.facts)
}

fn by_kind(error: &InstagramError) -> Problem {
    match error.kind {
        InstagramErrorKind::NotSent | InstagramErrorKind::NoAnswer => {
            unavailable("Instagram cannot be reached; make the same call again")
        }
        InstagramErrorKind::Unavailable => {
            unavailable("Instagram answered with an error of its own; make the same call again")
        }
        // A refusal that decides is a token's death; one that gets here was not confirmed.
        InstagramErrorKind::Unconfirmed | InstagramErrorKind::TokenRejected(_) => unavailable(
            "Instagram is of two minds: it refused the token and did not confirm it; make the same \
             call again",
        ),
        InstagramErrorKind::RateLimited { retry_after } => {
            let message = "Instagram throttles this app; make the same call again later";
            Problem::new(Reason::RateLimited, message).retry_after(retry_after)
        }
        InstagramErrorKind::CodeRejected => {
            let message = "Instagram refused the code: used, expired or unknown; begin a new link";
            Problem::new(Reason::CodeRejected, message)
        }
        InstagramErrorKind::RedirectUriRejected => {
            let message = "Instagram says that the redirect URI is not the one of the \
                 authorization; it says the same of a wrong app secret: check both";
            Problem::new(Reason::RedirectUriRejected, message)
        }
        InstagramErrorKind::AppMisconfigured => {
            let message = format!("Instagram refuses this app, not the account: {CHECK_THE_APP}");
            Problem::new(Reason::AppMisconfigured, message)
        }
        InstagramErrorKind::SessionUnknown
        | InstagramErrorKind::Unreadable
        | InstagramErrorKind::Unexpected => {
            let message = "Instagram answered something that the service does not understand";
            Problem::new(Reason::InstagramUnexpected, message).caused_by(error.clone())
        }
    }
}

fn unavailable(message: &'static str) -> Problem {
    Problem::new(Reason::InstagramUnavailable, message).retry_after(RETRY_DELAY)
}
