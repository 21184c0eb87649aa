//! The rules of `/oauth/authorize`: what a client may ask, and where the browser goes afterwards.

use std::net::IpAddr;

use axum::http::StatusCode;
use url::{Host, Url};

use crate::grants::Grant;
use crate::params::Params;
use crate::scope::{Scope, parse_scopes};
use crate::world::World;

/// Maximum length of a redirect URI, in bytes.
const MAX_REDIRECT_URI_LENGTH: usize = 2_048;

/// Request of a client, checked.
#[derive(Debug)]
pub(crate) struct Authorization {
    pub(crate) scopes: Vec<Scope>,
    redirect_uri: String,
    destination: Url,
    state: Option<String>,
}

/// Decision of the person.
#[derive(Debug)]
pub(crate) enum Decision {
    Allow { username: String, scopes: Vec<Scope> },
    Deny,
}

/// A refusal that is shown on a page of its own: the browser is not sent back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
    pub(crate) explanation: &'static str,
}

impl Refusal {
    pub(crate) fn new(message: impl Into<String>, explanation: &'static str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, message: message.into(), explanation }
    }
}

impl Authorization {
    /// Checks the parameters; they come as a query at first, and again with the consent form.
    pub(crate) fn read(params: &Params, app_id: &str) -> Result<Self, Refusal> {
        if params.text("client_id") != app_id {
            let explanation = "client_id is not the Instagram app id that this sandbox knows.";
            return Err(Refusal::new("Invalid platform app", explanation));
        }
        let redirect_uri = params.text("redirect_uri");
        let destination = registered(redirect_uri).ok_or_else(|| {
            let explanation = "redirect_uri must be an https URI, or http to a loopback address, \
                               without a fragment and user information.";
            Refusal::new("Invalid redirect_uri", explanation)
        })?;
        if params.text("response_type") != "code" {
            let explanation = "response_type must be code.";
            return Err(Refusal::new("Invalid response_type", explanation));
        }
        Ok(Self {
            scopes: scopes(params.text("scope"))?,
            redirect_uri: redirect_uri.to_owned(),
            destination,
            state: params.get("state").map(str::to_owned),
        })
    }

    /// Address of the browser after the decision; to allow issues a code.
    pub(crate) fn conclude(self, decision: Decision, world: &mut World) -> Result<String, Refusal> {
        match decision {
            Decision::Deny => Ok(self.denied()),
            Decision::Allow { username, scopes } => {
                let code = self.issue_code(&username, &scopes, world)?;
                Ok(self.allowed(&code))
            }
        }
    }

    fn issue_code(
        &self,
        username: &str,
        wanted: &[Scope],
        world: &mut World,
    ) -> Result<String, Refusal> {
        if wanted.iter().any(|scope| !self.scopes.contains(scope)) {
            let explanation = "A permission was granted that the client did not ask for.";
            return Err(Refusal::new("Invalid Scopes", explanation));
        }
        let Some((account, found)) = world.accounts.find(username) else {
            let explanation = "Choose one of the accounts that the sandbox has.";
            return Err(Refusal::new("Unknown account", explanation));
        };
        if found.is_personal() {
            let explanation = "This is a personal account. Only professional accounts, business or \
                               creator, can be linked.";
            let refusal = Refusal::new("Insufficient developer role", explanation);
            return Err(Refusal { status: StatusCode::FORBIDDEN, ..refusal });
        }
        let in_order = self.scopes.iter().copied().filter(|scope| wanted.contains(scope));
        let grant = Grant { account, scopes: in_order.collect() };
        let now = world.clock.now();
        Ok(world.grants.issue_code(grant, self.redirect_uri.clone(), now, &mut world.seed))
    }

    /// The browser carries the fragment `#_` along, as Instagram's does.
    fn allowed(self, code: &str) -> String {
        let mut url = self.destination;
        url.query_pairs_mut()
            .append_pair("code", code)
            .extend_pairs(state_pair(self.state.as_deref()));
        url.set_fragment(Some("_"));
        url.into()
    }

    fn denied(self) -> String {
        let mut url = self.destination;
        url.query_pairs_mut()
            .append_pair("error", "access_denied")
            .append_pair("error_reason", "user_denied")
            .append_pair("error_description", "The user denied your request")
            .extend_pairs(state_pair(self.state.as_deref()));
        url.into()
    }
}

fn state_pair(state: Option<&str>) -> Option<(&'static str, &str)> {
    state.map(|state| ("state", state))
}

/// Reads the asked scopes; one that is unknown spoils all.
fn scopes(list: &str) -> Result<Vec<Scope>, Refusal> {
    let explanation =
        "scope must name permissions of Instagram Login, separated by commas or blanks.";
    match parse_scopes(list) {
        Ok(scopes) if scopes.is_empty() => Err(Refusal::new("Invalid Scopes", explanation)),
        Ok(scopes) => Ok(scopes),
        Err(unknown) => {
            Err(Refusal::new(format!("Invalid Scopes: {}", unknown.join(", ")), explanation))
        }
    }
}

/// Parses a redirect URI, if it is one that the sandbox takes as registered.
fn registered(uri: &str) -> Option<Url> {
    if uri.len() > MAX_REDIRECT_URI_LENGTH || !uri.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let url = Url::parse(uri).ok()?;
    let loopback = match url.host()? {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => IpAddr::from(address).is_loopback(),
    };
    let safe = url.scheme() == "https" || (url.scheme() == "http" && loopback);
    let plain = url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    (safe && plain).then_some(url)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::https("https://shop.example/callback", true)]
    #[case::https_with_query("https://shop.example/callback?tenant=7", true)]
    #[case::loopback("http://127.0.0.1:8090/redirect", true)]
    #[case::loopback_name("http://localhost:3000/", true)]
    #[case::loopback_v6("http://[::1]:3000/", true)]
    #[case::plain_http("http://shop.example/callback", false)]
    #[case::disguised("http://127.0.0.1.shop.example/", false)]
    #[case::user_information("https://127.0.0.1@shop.example/", false)]
    #[case::fragment("https://shop.example/#here", false)]
    #[case::script("javascript:alert(1)", false)]
    #[case::relative("/callback", false)]
    #[case::line_break("https://shop.example/\nx", false)]
    #[case::empty("", false)]
    fn only_safe_redirect_uris_count_as_registered(#[case] uri: &str, #[case] fine: bool) {
        assert_eq!(registered(uri).is_some(), fine);
    }

    fn authorization(state: Option<&str>) -> Authorization {
        let pairs = [
            ("client_id", "1"),
            ("redirect_uri", "https://a.example/cb?t=7"),
            ("response_type", "code"),
            ("scope", "instagram_business_basic"),
        ];
        let pairs = pairs.into_iter().chain(state.map(|state| ("state", state)));
        let params = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Authorization::read(&params, "1").unwrap()
    }

    #[test]
    fn the_browser_goes_back_with_code_state_and_the_strange_fragment() {
        assert_eq!(
            authorization(Some("a b&c")).allowed("AQx"),
            "https://a.example/cb?t=7&code=AQx&state=a+b%26c#_"
        );
        assert_eq!(authorization(None).allowed("AQx"), "https://a.example/cb?t=7&code=AQx#_");
    }

    #[test]
    fn a_denial_reads_as_documented() {
        assert_eq!(
            authorization(Some("s")).denied(),
            "https://a.example/cb?t=7&error=access_denied&error_reason=user_denied&error_description=The+user+denied+your+request&state=s"
        );
    }
}
