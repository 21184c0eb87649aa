//! The demo account, linked as a caller and a person would.

use std::borrow::Cow;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::grpc::Client;

/// Owner of the demo account.
pub(crate) const OWNER: &str = "demo";

/// Permissions that are asked for: to publish, and those of the webhooks' fields.
const SCOPES: [&str; 3] = [
    "instagram_business_content_publish",
    "instagram_business_manage_comments",
    "instagram_business_manage_messages",
];

/// Lifetime of an invitation: the maximum, so that it works days later.
const INVITATION_TTL: &str = "604800s";

/// Maximum time for an answer of the sandbox.
const ANSWER_TIMEOUT_SECONDS: u64 = 10;

/// A linked account.
pub(crate) struct Demo {
    /// As `Link` answered it.
    pub(crate) account: Value,
    /// URL at which the browser ended.
    pub(crate) redirect_uri: String,
}

impl Demo {
    /// `BeginLink`, the consent of a seeded business account, `Link`.
    pub(crate) fn link(client: &Client, sandbox: &str) -> Result<Self> {
        let redirect_uri = format!("{sandbox}/redirect");
        let account = link(client, sandbox, OWNER, &business_account(sandbox)?)?;
        Ok(Self { account, redirect_uri })
    }

    /// A field of the account, as text.
    pub(crate) fn field(&self, name: &str) -> Cow<'_, str> {
        self.account.get(name).map(text).unwrap_or_default()
    }
}

/// `BeginLink`, the consent of a person of the sandbox, `Link`; answers the account.
pub(crate) fn link(client: &Client, sandbox: &str, owner: &str, username: &str) -> Result<Value> {
    let consent = consent_of(client, sandbox, owner, username)?;
    let request = json!({ "authorization_response": consent, "owner": owner });
    let mut linked = client.call("Link", &request)?;
    Ok(linked.get_mut("account").context("Link answered no account")?.take())
}

/// `BeginLink`, and the consent of a person of the sandbox; answers what `Link` takes.
pub(crate) fn consent_of(
    client: &Client,
    sandbox: &str,
    owner: &str,
    username: &str,
) -> Result<String> {
    let redirect_uri = format!("{sandbox}/redirect");
    let begin_link = json!({ "owner": owner, "scopes": SCOPES, "redirect_uri": redirect_uri });
    consent(&begin(client, &begin_link)?, username)
}

/// `BeginLink` for hosted consent: URL at which a person consents, and ends on a page of the service.
pub(crate) fn invite(client: &Client) -> Result<String> {
    begin(client, &json!({ "owner": OWNER, "scopes": SCOPES, "ttl": INVITATION_TTL }))
}

/// Asks the service for the URL to send a person to.
fn begin(client: &Client, request: &Value) -> Result<String> {
    let begun = client.call("BeginLink", request)?;
    let url = begun.get("authorizationUrl").context("BeginLink answered no authorization URL")?;
    Ok(text(url).into_owned())
}

/// The username of the sandbox's first business account.
fn business_account(sandbox: &str) -> Result<String> {
    let answer = get(&format!("{sandbox}/sandbox/accounts"))?;
    let answer: Value = serde_json::from_slice(answer.as_bytes())
        .context("the sandbox's list of accounts is no JSON")?;
    let accounts = answer.get("accounts").and_then(Value::as_array);
    let business = accounts.into_iter().flatten().find(|account| {
        account.get("account_type").is_some_and(|account_type| account_type == "BUSINESS")
    });
    let username = business.and_then(|account| account.get("username"));
    Ok(text(username.context("the sandbox has no business account")?).into_owned())
}

/// Consents by the sandbox's short cut; answers where the browser is sent.
pub(crate) fn consent(authorization_url: &str, username: &str) -> Result<String> {
    let url = format!("{authorization_url}&sandbox_account={username}&sandbox_decision=allow");
    let answer = get(&url)?;
    let location = answer.header("location");
    let location = location.with_context(|| {
        format!("the consent page sent the browser nowhere (HTTP {})", answer.status_code)
    })?;
    Ok(location.to_owned())
}

/// One GET, without following redirects; fails unless it is well.
pub(crate) fn get(url: &str) -> Result<minreq::Response> {
    send(minreq::get(url))
}

/// One POST of JSON to the sandbox; fails unless it is well.
pub(crate) fn post(url: &str, body: &Value) -> Result<minreq::Response> {
    let request = minreq::post(url).with_header("content-type", "application/json");
    send(request.with_body(body.to_string()))
}

/// One DELETE to the sandbox; fails unless it is well.
pub(crate) fn delete(url: &str) -> Result<()> {
    send(minreq::delete(url)).map(|_| ())
}

fn send(request: minreq::Request) -> Result<minreq::Response> {
    let request = request.with_timeout(ANSWER_TIMEOUT_SECONDS).with_follow_redirects(false);
    let answer = request.send().context("there is no answer")?;
    let status = answer.status_code;
    ensure!((200..400).contains(&status), "the answer is HTTP {status}");
    Ok(answer)
}

fn text(value: &Value) -> Cow<'_, str> {
    value.as_str().map_or_else(|| value.to_string().into(), Cow::Borrowed)
}
