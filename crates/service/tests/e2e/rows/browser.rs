//! Authorization responses that a browser brings back.
//!
//! Source: <https://developers.facebook.com/docs/instagram-platform/instagram-api-with-instagram-login/business-login>,
//! and reports of clients.

use super::answers::SHORT;
use super::case::{After, Brought, Case, Section};
use super::outcome::{Account, Outcome};
use crate::support::stub::{Endpoint, Reply};

const SUCCESS: &str = "success with #_ behind it";
const CANCEL: &str = "cancel";
const DEVELOPER_ROLE: &str = "Insufficient developer role";
const OTHER_TEXTS: &str = "other texts";
const NOTHING: &str = "nothing comes back";
const UNTICKED: &str = "unticked permissions";

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = successes();
    cases.extend(cancelled());
    cases.extend(refused_for_the_app());
    cases.extend(nothing_came());
    cases.extend(unticked());
    cases
}

fn successes() -> Vec<Case> {
    use Brought::{Code, Response};
    let spellings = [
        ("whole URL", Response("https://example.com/instagram/callback?code=CODE&state=STATE#_")),
        ("whole URL without fragment", Response("https://example.com/cb?code=CODE&state=STATE")),
        ("query with its mark", Response("?code=CODE&state=STATE#_")),
        ("query", Response("state=STATE&code=CODE")),
        ("fragment glued to the code, encoded", Response("state=STATE&code=CODE%23_")),
        ("code alone", Code("CODE")),
        ("code alone with its fragment", Code("CODE#_")),
        ("code alone with its fragment, encoded", Code("CODE%23_")),
    ];
    spellings.into_iter().map(|(name, brought)| Case::brought(SUCCESS, name, brought)).collect()
}

fn cancelled() -> Vec<Case> {
    let denied = || {
        Outcome::refused("CONSENT_DENIED")
            .fact("error", "access_denied")
            .fact("error_reason", "user_denied")
            .fact("error_description", "The user denied your request")
    };
    let spellings = [
        (
            "with the state",
            "https://example.com/instagram/callback?error=access_denied&error_reason=user_denied&error_description=The+user+denied+your+request&state=STATE",
        ),
        (
            "without the state",
            "https://example.com/instagram/callback?error=access_denied&error_reason=user_denied&error_description=The+user+denied+your+request",
        ),
        (
            "query alone, blanks encoded",
            "error=access_denied&error_reason=user_denied&error_description=The%20user%20denied%20your%20request&state=STATE#_",
        ),
    ];
    let case = |(name, brought)| {
        let case = Case::brought(CANCEL, name, Brought::Response(brought));
        case.gives(denied()).then(After::Untouched)
    };
    spellings.into_iter().map(case).collect()
}

/// `access_denied` does not mean that the person declined.
fn refused_for_the_app() -> Vec<Case> {
    let texts = [
        (
            DEVELOPER_ROLE,
            "error=access_denied&error_description=Insufficient%20developer%20role&state=STATE",
            "Insufficient developer role",
        ),
        (
            "Invalid platform app",
            "error=access_denied&error_description=Invalid%20platform%20app&state=STATE",
            "Invalid platform app",
        ),
        (
            "Invalid redirect_uri",
            "error=access_denied&error_description=Invalid%20redirect_uri&state=STATE",
            "Invalid redirect_uri",
        ),
        (
            "Invalid Scopes",
            "error=access_denied&error_description=Invalid%20Scopes%3A%20business_basic&state=STATE",
            "Invalid Scopes: business_basic",
        ),
    ];
    let case = |(text, brought, description)| {
        let row = if text == DEVELOPER_ROLE { DEVELOPER_ROLE } else { OTHER_TEXTS };
        let refused = Outcome::refused("APP_MISCONFIGURED")
            .fact("error", "access_denied")
            .fact("error_description", description);
        Case::brought(row, text, Brought::Response(brought)).gives(refused).then(After::Untouched)
    };
    texts.into_iter().map(case).collect()
}

/// Instagram stops on a page of its own.
fn nothing_came() -> Vec<Case> {
    let expired = Outcome::refused("STATE_REJECTED").fact("cause", "EXPIRED");
    let invalid = Outcome::refused("INVALID_FIELD").fact("field", "authorization_response");
    let page = Brought::Response(
        "https://www.instagram.com/oauth/authorize/third_party/error/?message=Insufficient%20developer%20role",
    );
    vec![
        Case::brought(NOTHING, "until the state is over", Brought::Late)
            .gives(expired)
            .then(After::Over),
        Case::brought(NOTHING, "the address of Instagram's page", page)
            .gives(invalid)
            .then(After::Untouched),
    ]
}

fn unticked() -> Vec<Case> {
    let granted = |scopes: &str| {
        let body = format!(
            r#"{{"access_token":"{SHORT}","user_id":27100000000000691,"permissions":[{scopes}]}}"#
        );
        Reply::json(200, &body)
    };
    let basic = "instagram_business_basic";
    let publish = "instagram_business_content_publish";
    let fewer = Account {
        granted: Some(vec![basic.to_owned()]),
        missing: vec![publish.to_owned()],
        ..Account::usual()
    };
    let link = |name| Case::link(Section::Authorization, UNTICKED, name);
    vec![
        link("fewer than asked for")
            .answer(Endpoint::Token, granted(&format!("\"{basic}\"")))
            .gives(Outcome::Linked(fewer)),
        link("without the one that is needed")
            .answer(Endpoint::Token, granted(&format!("\"{publish}\"")))
            .gives(Outcome::refused("SCOPE_MISSING").fact("missing_scopes", basic)),
        link("none at all").answer(Endpoint::Token, granted("")).gives(
            Outcome::refused("SCOPE_MISSING").fact("missing_scopes", &format!("{basic},{publish}")),
        ),
    ]
}
