//! Failures of `FetchAccessToken`.

use ig_application::{FetchAccessTokenError, NotRenewed};
use tonic::Status;

use super::instagram::problem;
use super::requests::{account_not_found, moment, reauthorization_required};
use super::{Problem, Reason, ToStatus, internal};

impl ToStatus for FetchAccessTokenError {
    fn to_status(&self) -> Status {
        match self {
            Self::NotFound => account_not_found(),
            Self::ReauthorizationRequired(dead) => reauthorization_required(dead),
            Self::MinTtlUnmet { expire_time, cause } => {
                let unmet = min_ttl_unmet(cause);
                unmet.fact("expire_time", moment(*expire_time)).into_status()
            }
            Self::Store(error) => error.to_status(),
            Self::Panicked => internal(self.clone()),
        }
    }
}

fn min_ttl_unmet(cause: &NotRenewed) -> Problem {
    match cause {
        NotRenewed::TooYoung { wait } => {
            let message = "the token lives, but shorter than asked, and Instagram renews no token \
                 younger than 24 hours; ask with a smaller min_ttl, or again after the retry delay";
            let problem = Problem::new(Reason::MinTtlUnmet, message);
            problem.fact("cause", Some("TOO_YOUNG")).retry_after(*wait)
        }
        NotRenewed::Instagram(error) => {
            let message = "the token lives, but shorter than asked, and could not be renewed; ask \
                 with a smaller min_ttl, or again later";
            problem(error).causing(Reason::MinTtlUnmet, message)
        }
    }
}
