//! The authorization response that the browser brought back: the whole URL or query string, read once.

use url::form_urlencoded;

use crate::{AuthorizationCode, StateToken, Ticket};

/// Maximum size of an authorization response, in bytes.
const MAX_BYTES: usize = 8 * 1024;

/// Authorization response that a browser brought back from Instagram.
#[derive(Clone, Debug)]
pub enum AuthorizationResponse {
    /// A code, to be exchanged.
    Granted {
        /// The code.
        code: AuthorizationCode,
        /// The state that the link began with.
        state: StateToken,
    },
    /// The ticket of a code that our own callback kept.
    Kept {
        /// The ticket.
        ticket: Ticket,
        /// The state that the link began with.
        state: StateToken,
    },
    /// An error instead of a code.
    Denied {
        /// The error.
        denial: ConsentDenial,
        /// The state that the link began with; `None` where it is missing or cannot be one.
        state: Option<StateToken>,
    },
}

/// The error that a browser brought back instead of a code, as Instagram sent it.
///
/// Each text is at most 200 printable characters, or `None` where it was missing or held the state or a
/// code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsentDenial {
    /// `error`, such as `access_denied`.
    pub error: Option<String>,
    /// `error_reason`, such as `user_denied`.
    pub error_reason: Option<String>,
    /// `error_description`, for people.
    pub error_description: Option<String>,
}

/// Reason for which a text is not an authorization response; the text itself is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAuthorizationResponse {
    /// Too long, or with control characters.
    #[error(
        "an authorization response is at most {} KiB, without control characters",
        MAX_BYTES / 1024
    )]
    Malformed,
    /// `code`, `state`, `ticket` or an error parameter comes more than once, or a ticket beside a code.
    #[error(
        "the authorization response repeats code, state, ticket or error, or holds code and ticket"
    )]
    Repeated,
    /// Neither a code nor a ticket nor an error in it.
    #[error("the authorization response holds neither a code nor an error")]
    NoCode,
    /// No state in it, or one that we cannot have issued.
    #[error("the authorization response holds a code but no valid state")]
    NoState,
    /// Its code cannot be one.
    #[error("the code in the authorization response is malformed")]
    BadCode,
    /// Its ticket cannot be one.
    #[error("the ticket in the authorization response is malformed")]
    BadTicket,
}

impl AuthorizationResponse {
    /// Reads a whole URL, or just its query string with or without `?`.
    ///
    /// # Errors
    ///
    /// Any [`InvalidAuthorizationResponse`].
    pub fn parse(raw: &str) -> Result<Self, InvalidAuthorizationResponse> {
        if raw.len() > MAX_BYTES || raw.chars().any(char::is_control) {
            return Err(InvalidAuthorizationResponse::Malformed);
        }
        let parameters = Parameters::read(query_of(raw))?;
        let state = parameters.state.as_deref().and_then(|state| state.parse().ok());
        if parameters.error.is_some() {
            return Ok(Self::Denied { denial: parameters.denial(), state });
        }
        let no_state = InvalidAuthorizationResponse::NoState;
        match (parameters.code, parameters.ticket) {
            (Some(_), Some(_)) => Err(InvalidAuthorizationResponse::Repeated),
            (Some(code), None) => {
                let code = code.parse().map_err(|_| InvalidAuthorizationResponse::BadCode)?;
                Ok(Self::Granted { code, state: state.ok_or(no_state)? })
            }
            (None, Some(ticket)) => {
                let ticket = ticket.parse().map_err(|_| InvalidAuthorizationResponse::BadTicket)?;
                Ok(Self::Kept { ticket, state: state.ok_or(no_state)? })
            }
            (None, None) => Err(InvalidAuthorizationResponse::NoCode),
        }
    }
}

/// The query of a URL, or the text itself where it is one already; never the fragment.
fn query_of(raw: &str) -> &str {
    let raw = raw.trim();
    let query = match raw.split_once('?') {
        Some((_, query)) => query,
        None => raw,
    };
    query.split_once('#').map_or(query, |(query, _)| query)
}

/// The parameters that matter; an empty one counts as missing.
#[derive(Default)]
struct Parameters {
    code: Option<String>,
    ticket: Option<String>,
    state: Option<String>,
    error: Option<String>,
    error_reason: Option<String>,
    error_description: Option<String>,
}

impl Parameters {
    fn read(query: &str) -> Result<Self, InvalidAuthorizationResponse> {
        let mut parameters = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let slot = match name.as_ref() {
                "code" => &mut parameters.code,
                "ticket" => &mut parameters.ticket,
                "state" => &mut parameters.state,
                "error" => &mut parameters.error,
                "error_reason" => &mut parameters.error_reason,
                "error_description" => &mut parameters.error_description,
                _ => continue,
            };
            if slot.is_some() {
                return Err(InvalidAuthorizationResponse::Repeated);
            }
            *slot = (!value.is_empty()).then(|| value.into_owned());
        }
        Ok(parameters)
    }

    fn denial(&self) -> ConsentDenial {
        let shown = |text: &Option<String>| {
            let text = text.as_deref()?;
            let secrets = [&self.code, &self.ticket, &self.state];
            let leaks = secrets.into_iter().flatten().any(|secret| text.contains(secret.as_str()));
            (!leaks).then(|| printable(text))
        };
        ConsentDenial {
            error: shown(&self.error),
            error_reason: shown(&self.error_reason),
            error_description: shown(&self.error_description),
        }
    }
}

fn printable(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(200).collect()
}

impl ConsentDenial {
    /// Whether the operator must act rather than the person: Instagram's texts speak of tester roles, scopes or the
    /// app's mode.
    ///
    /// `access_denied` alone does not tell: Instagram sends it for "Insufficient developer role" too.
    #[must_use]
    pub fn blames_the_app(&self) -> bool {
        const MARKS: [&str; 9] = [
            "developer role",
            "tester",
            "scope",
            "permissions error",
            "platform app",
            "redirect_uri",
            "development mode",
            "app mode",
            "not active",
        ];
        let texts = [&self.error, &self.error_reason, &self.error_description];
        texts.into_iter().flatten().any(|text| {
            let text = text.to_lowercase();
            MARKS.iter().any(|mark| text.contains(mark))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn granted(raw: &str) -> (String, String) {
        match AuthorizationResponse::parse(raw).unwrap() {
            AuthorizationResponse::Granted { code, state } => {
                (code.expose().to_owned(), state.expose().to_owned())
            }
            other => panic!("not granted: {other:?}"),
        }
    }

    fn denied(raw: &str) -> (ConsentDenial, Option<StateToken>) {
        match AuthorizationResponse::parse(raw).unwrap() {
            AuthorizationResponse::Denied { denial, state } => (denial, state),
            other => panic!("not denied: {other:?}"),
        }
    }

    #[rstest]
    #[case::whole_url("https://example.com/callback?code=AQD1&state=S1#_")]
    #[case::query_with_mark("?code=AQD1&state=S1")]
    #[case::bare_query("code=AQD1&state=S1")]
    #[case::fragment_glued_to_the_code("state=S1&code=AQD1%23_")]
    #[case::other_parameters("https://example.com/?lang=de&code=AQD1&state=S1&x=")]
    #[case::empty_error("code=AQD1&state=S1&error=")]
    fn a_code_is_found_in_what_people_paste(#[case] raw: &str) {
        assert_eq!(granted(raw), ("AQD1".to_owned(), "S1".to_owned()));
    }

    #[rstest]
    #[case::nothing("", InvalidAuthorizationResponse::NoCode)]
    #[case::a_bare_url("https://example.com/callback", InvalidAuthorizationResponse::NoCode)]
    #[case::no_state("code=AQD1", InvalidAuthorizationResponse::NoState)]
    #[case::two_codes("code=a&code=b&state=s", InvalidAuthorizationResponse::Repeated)]
    #[case::code_and_ticket("code=a&ticket=b&state=s", InvalidAuthorizationResponse::Repeated)]
    #[case::two_tickets("ticket=a&ticket=b&state=s", InvalidAuthorizationResponse::Repeated)]
    #[case::no_ticket("ticket=a&state=s", InvalidAuthorizationResponse::BadTicket)]
    #[case::blank_in_code("code=a+b&state=s", InvalidAuthorizationResponse::BadCode)]
    #[case::control("code=a\u{0}&state=s", InvalidAuthorizationResponse::Malformed)]
    fn what_is_no_response_is_named(
        #[case] raw: &str,
        #[case] expected: InvalidAuthorizationResponse,
    ) {
        assert_eq!(AuthorizationResponse::parse(raw).err(), Some(expected));
    }

    #[test]
    fn a_ticket_stands_for_a_code() {
        let ticket = "t".repeat(Ticket::LENGTH);
        let raw = format!("https://example.com/linked?tenant=7&state=S1&ticket={ticket}");
        let AuthorizationResponse::Kept { ticket: read, state } =
            AuthorizationResponse::parse(&raw).unwrap()
        else {
            panic!("no ticket");
        };
        assert_eq!((read.expose(), state.expose()), (ticket.as_str(), "S1"));
    }

    #[test]
    fn a_denial_keeps_instagrams_words_but_no_secret() {
        let raw = "error=access_denied&error_reason=user_denied&error_description=see+S3CRET&state=S3CRET";
        let (denial, state) = denied(raw);
        assert_eq!(state.unwrap().expose(), "S3CRET");
        assert_eq!(denial.error.as_deref(), Some("access_denied"));
        assert_eq!(denial.error_reason.as_deref(), Some("user_denied"));
        assert_eq!(denial.error_description, None);
        assert!(!denial.blames_the_app());
    }

    #[test]
    fn insufficient_developer_role_is_the_operators_business() {
        let raw = "error=access_denied&error_description=Insufficient+developer+role";
        let (denial, state) = denied(raw);
        assert!(state.is_none());
        assert!(denial.blames_the_app());
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_texts_are_bounded(raw in "(error(_description)?=|code=|&|.){0,300}") {
            if let Ok(AuthorizationResponse::Denied { denial, .. }) =
                AuthorizationResponse::parse(&raw)
            {
                for text in [denial.error, denial.error_description].into_iter().flatten() {
                    prop_assert!(text.chars().count() <= 200);
                }
            }
        }
    }
}
