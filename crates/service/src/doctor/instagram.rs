//! Checks of Instagram: whether it is reached, knows the app and its secret, and agrees about the time.

use ig_adapters::instagram::{HttpClientError, NotReached, Probe, ProbeAnswer, ProbeVerdict};
use ig_domain::LongLivedToken;

use super::{Finding, clock};
use crate::config::setting::{self, Setting};

type Answer = Result<ProbeAnswer, NotReached>;

/// Maximum number of tokens that are tried, since one alone may have been refused meanwhile.
const MAX_TRIED_TOKENS: usize = 3;

/// Asks Instagram, with stored tokens where there are any.
pub(super) async fn examine(probe: &Probe, tokens: &[LongLivedToken]) -> Vec<Finding> {
    let (code, (profile, exchange)) =
        tokio::join!(probe.exchange_unknown_code(), with_tokens(probe, tokens));
    let mut findings: Vec<_> = reached(&setting::API_URL, &code).into_iter().collect();
    let graph = [Some(&profile), exchange.as_ref()].into_iter().flatten();
    findings.extend(graph.into_iter().find_map(|answer| reached(&setting::GRAPH_URL, answer)));
    findings.extend(profile.as_ref().ok().and_then(|answer| clock::examine(answer.time?)));
    let verdict = |answer: &Answer| answer.as_ref().ok().map(|answer| answer.verdict);
    // Without a token the profile is refused whatever the app is.
    let profile = verdict(&profile).filter(|_| !tokens.is_empty());
    let exchange = exchange.as_ref().and_then(verdict);
    findings.extend(profile.and_then(host));
    let refusal = app([verdict(&code), profile, exchange]);
    findings.extend(refusal.or_else(|| exchange.and_then(app_secret)));
    findings
}

/// Answers about the profile and to the exchange of the first token that is not refused by itself, or else of the last
/// one that is tried; no exchange without a token.
async fn with_tokens(probe: &Probe, tokens: &[LongLivedToken]) -> (Answer, Option<Answer>) {
    let mut tokens = tokens.iter().map(LongLivedToken::text).take(MAX_TRIED_TOKENS);
    let Some(mut token) = tokens.next() else { return (probe.profile(None).await, None) };
    loop {
        let (profile, exchange) =
            tokio::join!(probe.profile(Some(token)), probe.exchange_long_lived(token));
        let is_refused = [&profile, &exchange].into_iter().any(|answer| {
            let verdict = answer.as_ref().map(|answer| answer.verdict);
            matches!(verdict, Ok(ProbeVerdict::AppRefused | ProbeVerdict::OtherRefusal))
        });
        match tokens.next().filter(|_| is_refused) {
            Some(next) => token = next,
            None => return (profile, Some(exchange)),
        }
    }
}

/// There was no token to try the app secret on.
pub(super) fn unchecked_secret() -> Finding {
    let text = "was not checked, for want of a living token in the database: run this again once an account is linked";
    Finding::warning(&setting::APP_SECRET, &text)
}

/// No client can be made, so `serve` would not start.
pub(super) fn no_client(error: &HttpClientError) -> Finding {
    Finding::error(&setting::GRAPH_URL, &format_args!("cannot be asked: {}", super::chain(error)))
}

/// Whether whoever answers there is Instagram.
fn reached(setting: &'static Setting, answer: &Answer) -> Option<Finding> {
    match answer {
        Err(error) => {
            let remedy = match error.proxy {
                Some(_) => "check INSTAGRAM_PROXY_URL, and that the proxy lets it through",
                None => "check name resolution and firewall, or set INSTAGRAM_PROXY_URL",
            };
            Some(Finding::error(setting, &format_args!("cannot be asked: {error}; {remedy}")))
        }
        Ok(ProbeAnswer { verdict: ProbeVerdict::Foreign(status), .. }) => {
            let text = format_args!(
                "is answered with HTTP {status} and nothing of Instagram's: check the URL, and what stands on \
                 the way; where Instagram itself is away, try again later"
            );
            Some(Finding::error(setting, &text))
        }
        Ok(_) => None,
    }
}

/// Whether Instagram takes the app.
fn app(verdicts: [Option<ProbeVerdict>; 3]) -> Option<Finding> {
    let said = |verdict| verdicts.contains(&Some(verdict));
    let text = if said(ProbeVerdict::UnknownApp) {
        "is not known to Instagram (Invalid platform app): copy id and secret from *API setup with Instagram login* \
         of the App Dashboard, not Facebook's, and add the product Instagram where that page is missing"
    } else if said(ProbeVerdict::AppRefused) {
        "is an app that Instagram refuses for everybody: look in the App Dashboard for a restriction, Advanced \
         Access and the accepted invitations of testers"
    } else {
        return None;
    };
    Some(Finding::error(&setting::APP_ID, &text))
}

/// Whether the host takes our kind of token.
fn host(profile: ProbeVerdict) -> Option<Finding> {
    let text = format_args!(
        "names a host that takes tokens of another kind (Cannot parse access token): leave it out, or set {}",
        setting::GRAPH_URL.example
    );
    (profile == ProbeVerdict::ForeignToken).then(|| Finding::error(&setting::GRAPH_URL, &text))
}

/// Whether the app secret is right, by the answer to an exchange that could not succeed.
fn app_secret(exchange: ProbeVerdict) -> Option<Finding> {
    match exchange {
        ProbeVerdict::WrongSecret => {
            let text = "is wrong, so no link succeeds and no webhook is known: put the Instagram app secret of *API \
                        setup with Instagram login* first, not Facebook's";
            Some(Finding::error(&setting::APP_SECRET, &text))
        }
        // The last was told of the URL.
        ProbeVerdict::SessionUnknown | ProbeVerdict::Accepted | ProbeVerdict::Foreign(_) => None,
        _ => {
            let text =
                "was not checked, since Instagram's answer does not tell: run this again later";
            Some(Finding::warning(&setting::APP_SECRET, &text))
        }
    }
}
