//! Failures of `BeginLink` and `Link`.

use ig_application::{BeginLinkError, LinkAccountError};
use ig_domain::ports::{InstagramError, InstagramErrorKind};
use ig_domain::{ConsentDenial, LinkRefusal, Scope, StateRejection};
use tonic::Status;
use tonic_types::FieldViolation;

use super::instagram::CHECK_THE_APP;
use super::requests::account_not_found;
use super::{Problem, Reason, ToStatus, internal};
use crate::convert::{InvalidRequest, NotPresented};

impl ToStatus for BeginLinkError {
    fn to_status(&self) -> Status {
        match self {
            Self::RedirectUriRejected => {
                let message = "the redirect URI is not on the service's list of allowed ones";
                let violation = FieldViolation::new("redirect_uri", "not among the allowed ones");
                let problem = Problem::new(Reason::RedirectUriRejected, message);
                problem.violations(vec![violation]).into_status()
            }
            Self::NoHostedConsent => invalid(
                "redirect_uri",
                "required: this service offers no hosted consent, for which its operator sets PUBLIC_URL",
            ),
            Self::ReturnUrlRejected => invalid(
                "return_url",
                "neither one of those on the service's list RETURN_URLS nor below one",
            ),
            Self::AccountNotFound => account_not_found(),
            Self::Store(error) => error.to_status(),
        }
    }
}

fn invalid(field: &str, description: &str) -> Status {
    InvalidRequest { violations: vec![FieldViolation::new(field, description)] }.to_status()
}

impl ToStatus for NotPresented {
    fn to_status(&self) -> Status {
        match self {
            Self::Invalid(invalid) => invalid.to_status(),
            Self::Denied(denial) => denial.to_status(),
        }
    }
}

impl ToStatus for ConsentDenial {
    fn to_status(&self) -> Status {
        let problem = if self.blames_the_app() {
            let message = format!("Instagram refused consent because of the app: {CHECK_THE_APP}");
            Problem::new(Reason::AppMisconfigured, message)
        } else {
            let message = "the person did not consent; the same link may be tried again";
            Problem::new(Reason::ConsentDenied, message)
        };
        problem
            .fact("error", self.error.as_deref())
            .fact("error_reason", self.error_reason.as_deref())
            .fact("error_description", self.error_description.as_deref())
            .into_status()
    }
}

impl ToStatus for LinkAccountError {
    fn to_status(&self) -> Status {
        match self {
            Self::StateRejected(rejection) => rejection.to_status(),
            Self::Refused(refusal) => refusal.to_status(),
            Self::Instagram(error) => error.to_status(),
            Self::AccountNotFound => {
                let message = "the account of this link has been unlinked since; begin a new link";
                Problem::new(Reason::AccountNotFound, message).into_status()
            }
            Self::Store(error) => error.to_status(),
            Self::Panicked => internal(self.clone()),
        }
    }
}

impl ToStatus for StateRejection {
    fn to_status(&self) -> Status {
        let (cause, remedy) = match self {
            Self::Unknown => ("UNKNOWN", "begin a new link"),
            Self::Expired => ("EXPIRED", "begin a new link"),
            Self::Used => ("USED", "begin a new link"),
            Self::OtherOwner => ("OTHER_OWNER", "repeat the owner as in BeginLink"),
            Self::OtherSession => ("OTHER_SESSION", "repeat the session binding as in BeginLink"),
        };
        let problem = Problem::new(Reason::StateRejected, format!("{self}; {remedy}"));
        problem.fact("cause", Some(cause)).into_status()
    }
}

impl ToStatus for LinkRefusal {
    fn to_status(&self) -> Status {
        match self {
            Self::CodeRejected(facts) => {
                let kind = InstagramErrorKind::CodeRejected;
                return InstagramError { kind, facts: facts.clone() }.to_status();
            }
            Self::PersonalAccount => Problem::new(
                Reason::PersonalAccount,
                "the account is a personal one; the person can switch it to a professional one in \
                 Instagram's settings, then begin a new link",
            ),
            Self::ScopeMissing { missing } => Problem::new(
                Reason::ScopeMissing,
                "the person did not grant instagram_business_basic, without which nothing works; \
                 begin a new link",
            )
            .fact("missing_scopes", Some(comma_separated(missing))),
            Self::WrongAccount => Problem::new(
                Reason::WrongAccount,
                "the person chose another account than the one to be re-authorised; begin a new \
                 link",
            ),
            Self::OwnedByAnother => Problem::new(
                Reason::OwnedByAnother,
                "the account is linked under another owner; unlink it there, then begin a new link",
            ),
            Self::Interrupted => Problem::new(
                Reason::LinkInterrupted,
                "the code was sent to Instagram and the answer was lost; begin a new link",
            ),
            Self::Unreadable(facts) => {
                let kind = InstagramErrorKind::Unreadable;
                return InstagramError { kind, facts: facts.clone() }.to_status();
            }
        }
        .into_status()
    }
}

fn comma_separated(scopes: &[Scope]) -> String {
    scopes.iter().map(Scope::as_str).collect::<Vec<_>>().join(",")
}
