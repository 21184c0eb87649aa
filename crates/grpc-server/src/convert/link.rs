//! The request and response of `Link`: one presentation, of a code or of a ticket.

use ig_application::{LinkedAccount, Presented};
use ig_domain::{
    AuthorizationResponse, ConsentDenial, Presentation, PresentedBy, TicketPresentation,
};
use ig_proto::v1;

use super::account;
use super::fields::{Fields, InvalidRequest, Refused};

/// Reason for which a `LinkRequest` presents no code.
#[derive(Clone, Debug)]
pub(crate) enum NotPresented {
    /// It has bad fields.
    Invalid(InvalidRequest),
    /// The browser came back with an error instead of a code.
    Denied(ConsentDenial),
}

/// Presentation in a `LinkRequest`.
pub(crate) fn link(request: &v1::LinkRequest) -> Result<Presented, NotPresented> {
    let mut fields = Fields::default();
    let response = response(&mut fields, request);
    let owner = fields.parse("owner", &request.owner);
    let session_binding = fields.parse("session_binding", &request.session_binding);
    let parsed = fields.finish(|| Ok((response?, owner?, session_binding?)));
    match parsed.map_err(NotPresented::Invalid)? {
        (AuthorizationResponse::Granted { code, state }, owner, session_binding) => {
            let by = PresentedBy::Caller;
            Ok(Presented::Code(Presentation { code, state, owner, session_binding, by }))
        }
        (AuthorizationResponse::Kept { ticket, state }, owner, session_binding) => {
            let presented = TicketPresentation { ticket, state, owner, session_binding };
            Ok(Presented::Ticket(presented))
        }
        (AuthorizationResponse::Denied { denial, .. }, ..) => Err(NotPresented::Denied(denial)),
    }
}

/// The response, either as the browser brought it or as the caller took it apart.
fn response(
    fields: &mut Fields,
    request: &v1::LinkRequest,
) -> Result<AuthorizationResponse, Refused> {
    const FIELD: &str = "authorization_response";
    let v1::LinkRequest { authorization_response: whole, code, state, .. } = request;
    let apart = !code.is_empty() || !state.is_empty();
    match (whole.is_empty(), apart) {
        (false, false) => {
            AuthorizationResponse::parse(whole).map_err(|error| fields.refuse(FIELD, &error))
        }
        (true, true) => {
            let code = fields.parse("code", code);
            let state = fields.parse("state", state);
            Ok(AuthorizationResponse::Granted { code: code?, state: state? })
        }
        (false, true) => {
            Err(fields
                .refuse(FIELD, "give either authorization_response or code and state, not both"))
        }
        (true, false) => Err(fields.refuse(
            FIELD,
            "required: the URL with which the browser came back, or else code and state",
        )),
    }
}

/// A finished link, on the wire.
pub(crate) fn linked_account(linked: &LinkedAccount) -> v1::LinkResponse {
    v1::LinkResponse {
        account: Some(account(&linked.view)),
        created: linked.created,
        missing_scopes: linked.missing_scopes.iter().map(ToString::to_string).collect(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn request(whole: &str, code: &str, state: &str) -> v1::LinkRequest {
        v1::LinkRequest {
            authorization_response: whole.to_owned(),
            code: code.to_owned(),
            state: state.to_owned(),
            owner: "shop/7".to_owned(),
            session_binding: String::new(),
        }
    }

    #[rstest]
    #[case::whole("https://example.com/callback?code=C&state=S#_", "", "")]
    #[case::apart("", "C#_", "S")]
    fn a_code_is_presented_in_either_way(
        #[case] whole: &str,
        #[case] code: &str,
        #[case] state: &str,
    ) {
        let Presented::Code(presented) = link(&request(whole, code, state)).unwrap() else {
            panic!("a ticket");
        };
        assert_eq!((presented.code.expose(), presented.state.expose()), ("C", "S"));
        assert_eq!(presented.by, PresentedBy::Caller);
    }

    #[test]
    fn a_ticket_is_presented_as_the_browser_brought_it() {
        let ticket = "t".repeat(ig_domain::Ticket::LENGTH);
        let whole = format!("https://example.com/linked?state=S&ticket={ticket}");
        let Presented::Ticket(presented) = link(&request(&whole, "", "")).unwrap() else {
            panic!("a code");
        };
        assert_eq!((presented.ticket.expose(), presented.state.expose()), (ticket.as_str(), "S"));
    }

    #[rstest]
    #[case::neither_way("", "", "", &["authorization_response"])]
    #[case::both_ways("code=C&state=S", "C", "S", &["authorization_response"])]
    #[case::both_ways_by_state_alone("code=C&state=S", "", "S", &["authorization_response"])]
    #[case::no_state("", "C", "", &["state"])]
    #[case::no_code("", "", "S", &["code"])]
    #[case::blanks("", "C C", "S S", &["code", "state"])]
    #[case::no_code_in_the_url("https://example.com/", "", "", &["authorization_response"])]
    fn what_presents_nothing_names_its_fields(
        #[case] whole: &str,
        #[case] code: &str,
        #[case] state: &str,
        #[case] expected: &[&str],
    ) {
        let Err(NotPresented::Invalid(invalid)) = link(&request(whole, code, state)) else {
            panic!("presented or denied");
        };
        let fields: Vec<_> = invalid.violations.iter().map(|one| one.field.as_str()).collect();
        assert_eq!(fields, expected);
    }

    #[test]
    fn a_denial_counts_only_where_every_field_is_well() {
        let denied = request("error=access_denied&state=S", "", "");
        assert!(matches!(link(&denied), Err(NotPresented::Denied(_))));
        let denied = v1::LinkRequest { owner: "\n".to_owned(), ..denied };
        assert!(matches!(link(&denied), Err(NotPresented::Invalid(_))));
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_violations_repeat_nothing(
            whole in "(code=|state=|error=|&|.){0,20}",
            code in ".{0,20}",
        ) {
            let marked = format!("{code}\u{1}S3CRET");
            if let Err(NotPresented::Invalid(invalid)) = link(&request(&whole, &marked, "S")) {
                let told = format!("{invalid:?}");
                prop_assert!(!told.contains("S3CRET"));
            }
        }
    }
}
