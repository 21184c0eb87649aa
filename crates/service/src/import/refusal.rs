//! Refusal of a line, and whether the same line may be imported later.

use ig_application::{ImportAccountCommand, ImportAccountError};
use ig_domain::ReauthorizationReason;
use ig_domain::ports::InstagramErrorKind;
use ig_grpc_server::ImportRefusal;

/// The reason that stands for a line as its end: Instagram, asked again, would answer the same.
const FINAL_REASON: &str = "TOKEN_REJECTED";

/// Refusal of a line.
#[derive(Debug)]
pub(super) struct Refusal {
    /// The stable reason, as the result has it. Behind a slash, why its token is rejected as long as it is.
    pub(super) outcome: String,
    /// What is wrong and what to do. Holds nothing of the line.
    pub(super) message: String,
    /// Trouble that the line failed for; `None` where it is the line's own matter.
    pub(super) trouble: Option<Trouble>,
}

/// Trouble that other lines will have, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Instagram refuses the app. It says so of a text that is no token, too.
    AppRefused,
    /// Instagram is away, or of two minds.
    InstagramAway,
}

impl Refusal {
    /// The refusal that `error` comes to.
    pub(super) fn of(error: &ImportAccountError, command: &ImportAccountCommand) -> Self {
        let ImportRefusal { reason, message } = ImportRefusal::of(error);
        let outcome = match passing_reason(error, command) {
            Some(passing) => format!("{reason}/{}", passing.as_str()),
            None => reason,
        };
        Self { outcome, message, trouble: trouble(error) }
    }

    /// The refusal of a line that is wrong, as `message` says.
    pub(super) fn invalid(message: &str) -> Self {
        let ImportRefusal { reason, message } = ImportRefusal::invalid(message);
        Self { outcome: reason, message, trouble: None }
    }
}

/// Whether a refusal with this outcome is the line's end.
pub(super) fn is_final(outcome: &str) -> bool {
    outcome == FINAL_REASON
}

/// Reason for which the token is rejected now, and may not be later: the person clears a checkpoint, or the line gets its
/// `issue_time`. `None` of other refusals.
fn passing_reason(
    error: &ImportAccountError,
    command: &ImportAccountCommand,
) -> Option<ReauthorizationReason> {
    match error {
        ImportAccountError::TokenRejected(reason @ ReauthorizationReason::Checkpoint, _) => {
            Some(*reason)
        }
        ImportAccountError::UserRemoved if command.life.issue_time().is_none() => {
            Some(ReauthorizationReason::Deauthorized)
        }
        _ => None,
    }
}

fn trouble(error: &ImportAccountError) -> Option<Trouble> {
    let ImportAccountError::Instagram(error) = error else { return None };
    match error.kind {
        InstagramErrorKind::AppMisconfigured => Some(Trouble::AppRefused),
        InstagramErrorKind::NotSent
        | InstagramErrorKind::NoAnswer
        | InstagramErrorKind::Unavailable
        | InstagramErrorKind::Unconfirmed => Some(Trouble::InstagramAway),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use ig_domain::ImportedLife;
    use ig_domain::ports::GraphFacts;
    use ig_test_support::builders::{START, long_lived, parsed};
    use rstest::rstest;

    use super::*;

    fn rejected(reason: ReauthorizationReason) -> ImportAccountError {
        ImportAccountError::TokenRejected(reason, GraphFacts::default())
    }

    #[rstest]
    #[case::expired(rejected(ReauthorizationReason::TokenExpired), false, "TOKEN_REJECTED")]
    #[case::password(rejected(ReauthorizationReason::PasswordChanged), false, "TOKEN_REJECTED")]
    #[case::revoked(rejected(ReauthorizationReason::TokenRevoked), false, "TOKEN_REJECTED")]
    #[case::checkpoint(
        rejected(ReauthorizationReason::Checkpoint),
        true,
        "TOKEN_REJECTED/CHECKPOINT"
    )]
    #[case::removed(ImportAccountError::UserRemoved, true, "TOKEN_REJECTED")]
    #[case::perhaps_removed(ImportAccountError::UserRemoved, false, "TOKEN_REJECTED/DEAUTHORIZED")]
    #[case::personal(ImportAccountError::PersonalAccount, false, "PERSONAL_ACCOUNT")]
    #[case::owned(ImportAccountError::OwnedByAnother, false, "OWNED_BY_ANOTHER")]
    #[case::app(
        ImportAccountError::Instagram(InstagramErrorKind::AppMisconfigured.into()),
        true,
        "APP_MISCONFIGURED"
    )]
    fn only_what_no_time_mends_is_the_end_of_a_line(
        #[case] error: ImportAccountError,
        #[case] issue_is_known: bool,
        #[case] expected: &str,
    ) {
        let life = ImportedLife::told(issue_is_known.then_some(START), None, START).unwrap();
        let (token, owner) = (long_lived("IGAA7"), parsed(""));
        let refusal = Refusal::of(&error, &ImportAccountCommand { token, owner, life });
        assert_eq!(refusal.outcome, expected);
        assert_eq!(is_final(&refusal.outcome), expected == "TOKEN_REJECTED");
    }
}
