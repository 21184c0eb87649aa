//! Failures of `Import`.

use ig_application::ImportAccountError;
use ig_domain::ReauthorizationReason;
use tonic::Status;
use tonic_types::StatusExt as _;

use super::{Problem, Reason, ToStatus, internal};

impl ToStatus for ImportAccountError {
    fn to_status(&self) -> Status {
        match self {
            Self::TokenRejected(reason, facts) => {
                let message = match reason {
                    ReauthorizationReason::Checkpoint => {
                        "Instagram refuses the token until the person has cleared a checkpoint in Instagram's \
                         app; then import it again"
                    }
                    ReauthorizationReason::TokenExpired
                    | ReauthorizationReason::PasswordChanged
                    | ReauthorizationReason::TokenRevoked
                    | ReauthorizationReason::Deauthorized => {
                        "Instagram refuses the token: it has expired, or was revoked; the person must consent \
                         anew, by BeginLink and Link"
                    }
                };
                token_rejected(*reason, message).graph_facts(facts).into_status()
            }
            Self::UserRemoved => {
                let message = "the person removed the app, or had the data deleted, since the token was issued; \
                     without issue_time, any such request counts: give it, or let the person consent anew, by \
                     BeginLink and Link";
                token_rejected(ReauthorizationReason::Deauthorized, message).into_status()
            }
            Self::RemovalUnreadable => {
                let message = "somebody removed the app since the token was issued, as far as its issue is known, and \
                     the key that tells who does not open: give every process the sealing key that its log names \
                     at the start, or, once that is lost for good, delete the row of the table user_key";
                Problem::new(Reason::Internal, message).caused_by(self.clone()).into_status()
            }
            Self::PersonalAccount => {
                let message = "the account is a personal one; the person can switch it to a professional one in \
                     Instagram's settings, then it may be imported";
                Problem::new(Reason::PersonalAccount, message).into_status()
            }
            Self::OwnedByAnother => {
                let message = "the account is linked under another owner; unlink it there, then import it again";
                Problem::new(Reason::OwnedByAnother, message).into_status()
            }
            Self::Instagram(error) => error.to_status(),
            Self::Store(error) => error.to_status(),
            Self::Panicked => internal(self.clone()),
        }
    }
}

fn token_rejected(reason: ReauthorizationReason, message: &str) -> Problem {
    let problem = Problem::new(Reason::TokenRejected, message);
    problem.fact("reauthorization_reason", Some(reason.as_str()))
}

/// Refusal of an import, as callers of the RPC are told of it.
#[derive(Clone, Debug)]
pub struct ImportRefusal {
    /// The stable reason.
    pub reason: String,
    /// What is wrong and what to do, for people. Holds no secret.
    pub message: String,
}

impl ImportRefusal {
    /// The refusal that `error` comes to.
    #[must_use]
    pub fn of(error: &ImportAccountError) -> Self {
        let status = error.to_status();
        let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
        Self { reason, message: status.message().to_owned() }
    }

    /// The refusal of a request whose fields are wrong, as `message` says.
    #[must_use]
    pub fn invalid(message: &str) -> Self {
        let reason = Reason::InvalidField.as_str().to_owned();
        Self { reason, message: message.to_owned() }
    }
}
