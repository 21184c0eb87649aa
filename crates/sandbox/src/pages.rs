//! The sandbox's web pages: each is one document that loads nothing else.

use askama::Template;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

use crate::account::Account;
use crate::accounts::Accounts;
use crate::scope::Scope;

/// Maximum number of accounts that the consent page shows beside the chosen one.
const MAX_ACCOUNTS_SHOWN: usize = 100;

/// Asks the person for consent.
#[derive(Template)]
#[template(path = "consent.html")]
pub(crate) struct ConsentPage<'a> {
    app_id: &'a str,
    repeated: Vec<(&'static str, &'a str)>,
    accounts: Vec<AccountChoice<'a>>,
    /// Number of accounts that are not shown.
    hidden: usize,
    scopes: &'a [Scope],
}

struct AccountChoice<'a> {
    username: &'a str,
    detail: String,
    chosen: bool,
}

impl<'a> ConsentPage<'a> {
    /// A page that offers the chosen account, ticked, and the first of the others; without a choice the first is
    /// ticked.
    pub(crate) fn new(
        app_id: &'a str,
        repeated: Vec<(&'static str, &'a str)>,
        accounts: &'a Accounts,
        chosen: &str,
        scopes: &'a [Scope],
    ) -> Self {
        let first = accounts.page(0, MAX_ACCOUNTS_SHOWN);
        let is_chosen = |account: &Account| account.username.eq_ignore_ascii_case(chosen);
        let elsewhere = accounts.find(chosen).map(|(_, account)| account);
        let elsewhere = elsewhere.filter(|_| !first.iter().any(is_chosen));
        let offered: Vec<&Account> = elsewhere.into_iter().chain(first).collect();
        let ticked = offered.iter().position(|account| is_chosen(account)).unwrap_or(0);
        let choice = |(index, account): (usize, &&'a Account)| AccountChoice {
            username: &account.username,
            detail: detail(account),
            chosen: index == ticked,
        };
        Self {
            app_id,
            repeated,
            hidden: accounts.count().saturating_sub(offered.len()),
            accounts: offered.iter().enumerate().map(choice).collect(),
            scopes,
        }
    }
}

/// The line under a username: the account's name and kind.
fn detail(account: &Account) -> String {
    let kind = match account.kind.to_ascii_uppercase().as_str() {
        "BUSINESS" => "business account".to_owned(),
        "MEDIA_CREATOR" => "creator account".to_owned(),
        "PERSONAL" => "personal account".to_owned(),
        other => other.to_owned(),
    };
    match &account.name {
        Some(name) => format!("{name} · {kind}"),
        None => kind,
    }
}

/// Tells the reason for which the person cannot be asked.
#[derive(Template)]
#[template(path = "refusal.html")]
pub(crate) struct RefusalPage<'a> {
    pub(crate) message: &'a str,
    pub(crate) explanation: &'a str,
}

/// Shows what came back to the redirect URI, and what to do with it.
#[derive(Template)]
#[template(path = "redirect.html")]
pub(crate) struct RedirectPage<'a> {
    pub(crate) query: &'a str,
    pub(crate) outcome: Outcome,
    pub(crate) command: &'a str,
    /// Owner of the account that the line links; may be empty.
    pub(crate) owner: &'a str,
}

/// Outcome of an authorization response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Allowed,
    Refused,
    Nothing,
}

/// Renders a page. It may load nothing, be framed by nobody, and its address is told to nobody.
pub(crate) fn html(status: StatusCode, page: &impl Template) -> Response {
    const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; \
                          frame-ancestors 'none'";
    let headers: [(HeaderName, HeaderValue); 4] = [
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    match page.render() {
        Ok(text) => (status, headers, Html(text)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
