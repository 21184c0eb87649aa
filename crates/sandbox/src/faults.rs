//! Faults that the control interface plans: another answer, a late one, or none.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::accounts::AccountIndex;
use crate::answer::Answer;
use crate::endpoint::EndpointName;

/// Maximum number of planned faults.
const MAX_FAULTS: usize = 64;
/// Maximum delay of an answer, in milliseconds.
const MAX_DELAY_MS: u64 = 120_000;
/// Maximum number of headers that one fault sets.
const MAX_HEADERS: usize = 32;

/// A planned fault, as the control interface receives and shows it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    endpoint: Target,
    #[serde(skip_serializing_if = "Option::is_none")]
    times: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    accounts: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection: Option<Connection>,
    #[serde(default)]
    after: bool,
}

/// Calls that a fault meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Target {
    Token,
    Exchange,
    Refresh,
    /// The profile: `/me` and `/{id}`.
    Me,
    SubscribedApps,
    All,
}

/// Way in which a connection breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Connection {
    /// It is reset, and nothing is sent.
    Reset,
    /// It ends in the middle of the answer's body.
    Cut,
}

impl Fault {
    /// Whether the usual work is done before the wait.
    pub(crate) fn works_first(&self) -> bool {
        self.after
    }

    /// Whether the usual work is done at all.
    pub(crate) fn works(&self) -> bool {
        self.after || !self.replaces()
    }

    pub(crate) fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms.unwrap_or_default())
    }

    /// Way in which the connection breaks; an answer that is lost in no named way is lost by a reset.
    pub(crate) fn connection(&self) -> Option<Connection> {
        let lost =
            self.after && self.status.is_none() && self.body.is_none() && self.delay_ms.is_none();
        self.connection.or(lost.then_some(Connection::Reset))
    }

    /// The answer to send: the usual one where the fault brings none of its own.
    pub(crate) fn answer(&self, usual: Option<Answer>) -> Answer {
        let own = || Answer {
            status: self.status.and_then(status).unwrap_or(StatusCode::OK),
            ..body_answer(self.body.as_ref())
        };
        let replaced = self.status.is_some() || self.body.is_some();
        let mut answer = usual.filter(|_| !replaced).unwrap_or_else(own);
        if self.connection == Some(Connection::Cut) && answer.body.is_empty() {
            answer.body = Bytes::from_static(b"{}");
        }
        for (name, value) in self.headers.iter().filter_map(|(name, value)| header(name, value)) {
            answer.headers.insert(name, value);
        }
        answer
    }

    fn replaces(&self) -> bool {
        self.status.is_some() || self.body.is_some() || self.connection.is_some()
    }

    fn meets(&self, endpoint: EndpointName) -> bool {
        match self.endpoint {
            Target::All => true,
            Target::Token => endpoint == EndpointName::Token,
            Target::Exchange => endpoint == EndpointName::Exchange,
            Target::Refresh => endpoint == EndpointName::Refresh,
            Target::Me => matches!(endpoint, EndpointName::Me | EndpointName::Id),
            Target::SubscribedApps => endpoint == EndpointName::SubscribedApps,
        }
    }

    /// The accounts whose calls it meets; `None` for all calls, those of nobody too.
    fn accounts_met(
        &self,
        find: impl Fn(&str) -> Option<AccountIndex>,
    ) -> Result<Option<HashSet<AccountIndex>>, String> {
        if self.account.is_none() && self.accounts.is_none() {
            return Ok(None);
        }
        let named = self.account.iter().chain(self.accounts.iter().flatten());
        let found: Option<HashSet<_>> = named.map(|username| find(username)).collect();
        let found = found.filter(|found| !found.is_empty());
        let refusal = "`account` and `accounts` name usernames of the sandbox, one at least";
        found.map(Some).ok_or_else(|| refusal.to_owned())
    }

    fn check(&self) -> Result<(), String> {
        let idle = !self.replaces() && self.headers.is_empty() && self.delay_ms.is_none();
        if idle && !self.after {
            return Err(
                "a fault needs `status`, `headers`, `body`, `delay_ms`, `connection` or `after`"
                    .to_owned(),
            );
        }
        if self.times == Some(0) {
            return Err("`times` is at least 1; leave it out for always".to_owned());
        }
        if self.status.is_some_and(|code| status(code).is_none()) {
            return Err("`status` is 200 to 599".to_owned());
        }
        if self.delay_ms.is_some_and(|delay| delay > MAX_DELAY_MS) {
            return Err(format!("`delay_ms` is {MAX_DELAY_MS} at most"));
        }
        if self.headers.len() > MAX_HEADERS {
            return Err(format!("`headers` holds {MAX_HEADERS} at most"));
        }
        match self.headers.iter().find(|(name, value)| header(name, value).is_none()) {
            Some((name, _)) => Err(format!("`headers`: {name:?} cannot be sent")),
            None => Ok(()),
        }
    }
}

/// A fault that waits for calls.
#[derive(Debug)]
struct Planned {
    fault: Arc<Fault>,
    /// Number of calls that it still meets; `None` for all.
    left: Option<u32>,
    /// `None` for everybody's calls.
    accounts: Option<HashSet<AccountIndex>>,
}

impl Planned {
    fn meets(&self, endpoint: EndpointName, account: Option<AccountIndex>) -> bool {
        let is_met = |accounts: &HashSet<_>| account.is_some_and(|key| accounts.contains(&key));
        self.fault.meets(endpoint) && self.accounts.as_ref().is_none_or(is_met)
    }
}

/// The faults that are planned, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Planned>);

impl Faults {
    /// The faults, with the number of calls that each still meets.
    pub(crate) fn list(&self) -> Vec<Fault> {
        let fault = |planned: &Planned| Fault { times: planned.left, ..(*planned.fault).clone() };
        self.0.iter().map(fault).collect()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Plans a fault; `find` knows the accounts by their usernames.
    pub(crate) fn plan(
        &mut self,
        fault: Fault,
        find: impl Fn(&str) -> Option<AccountIndex>,
    ) -> Result<(), String> {
        fault.check()?;
        let accounts = fault.accounts_met(find)?;
        if self.0.len() >= MAX_FAULTS {
            return Err(format!("{MAX_FAULTS} faults are planned already: clear them first"));
        }
        self.0.push(Planned { left: fault.times, accounts, fault: Arc::new(fault) });
        Ok(())
    }

    /// The first fault that meets a call; it counts down and goes when it is used up.
    pub(crate) fn take(
        &mut self,
        endpoint: EndpointName,
        account: Option<AccountIndex>,
    ) -> Option<Arc<Fault>> {
        let index = self.0.iter().position(|planned| planned.meets(endpoint, account))?;
        let planned = self.0.get_mut(index)?;
        let fault = Arc::clone(&planned.fault);
        planned.left = planned.left.map(|left| left - 1);
        if planned.left == Some(0) {
            self.0.remove(index);
        }
        Some(fault)
    }
}

fn status(code: u16) -> Option<StatusCode> {
    (200..600).contains(&code).then(|| StatusCode::from_u16(code).ok()).flatten()
}

/// A header that can be set without spoiling the framing of the answer.
fn header(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    let name = HeaderName::try_from(name).ok()?;
    let framing = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION];
    (!framing.contains(&name)).then_some(())?;
    Some((name, HeaderValue::try_from(value).ok()?))
}

/// Exact bytes for a text, compact JSON for anything else.
fn body_answer(body: Option<&Value>) -> Answer {
    match body {
        None => Answer::empty(StatusCode::OK),
        Some(Value::String(text)) => {
            let json = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
            let kind =
                if json { "application/json; charset=UTF-8" } else { "text/html; charset=utf-8" };
            let mut answer = Answer::empty(StatusCode::OK);
            answer.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
            answer.body = Bytes::from(text.clone());
            answer
        }
        Some(json) => Answer::json(StatusCode::OK, json),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::accounts::Accounts;
    use crate::seed::Seed;

    fn fault(json: &str) -> Result<Fault, String> {
        serde_json::from_str::<Fault>(json).map_err(|error| error.to_string())
    }

    fn plan(json: &str) -> Result<Faults, String> {
        let mut faults = Faults::default();
        faults.plan(fault(json)?, key).map(|()| faults)
    }

    fn key(username: &str) -> Option<AccountIndex> {
        let accounts = Accounts::seeded(&mut Seed::new(1));
        accounts.find(username).map(|(key, _)| key)
    }

    #[rstest]
    #[case::nothing_to_do(r#"{"endpoint":"me"}"#, "a fault needs")]
    #[case::endpoint(r#"{"endpoint":"mee","status":500}"#, "unknown variant")]
    #[case::field(r#"{"endpoint":"me","state":500}"#, "unknown field")]
    #[case::never(r#"{"endpoint":"me","status":500,"times":0}"#, "`times`")]
    #[case::status(r#"{"endpoint":"me","status":101}"#, "`status`")]
    #[case::delay(r#"{"endpoint":"me","delay_ms":120001}"#, "`delay_ms`")]
    #[case::header(r#"{"endpoint":"me","headers":{"a b":"c"}}"#, "`headers`")]
    #[case::split(r#"{"endpoint":"me","headers":{"a":"b\r\nc: d"}}"#, "`headers`")]
    #[case::framing(r#"{"endpoint":"me","headers":{"Content-Length":"1"}}"#, "`headers`")]
    #[case::connection(r#"{"endpoint":"me","connection":"lost"}"#, "unknown variant")]
    #[case::account(r#"{"endpoint":"me","status":500,"account":"nobody"}"#, "`account`")]
    #[case::no_accounts(r#"{"endpoint":"me","status":500,"accounts":[]}"#, "`accounts`")]
    #[case::one_unknown(
        r#"{"endpoint":"me","status":500,"accounts":["plain_shop","nobody"]}"#,
        "`accounts`"
    )]
    fn a_senseless_fault_is_refused(#[case] json: &str, #[case] text: &str) {
        let refusal = plan(json).unwrap_err();
        assert!(refusal.contains(text), "{refusal}");
    }

    #[test]
    fn the_first_that_meets_is_played_until_it_is_used_up() {
        let mut faults = plan(r#"{"endpoint":"me","status":500,"times":2}"#).unwrap();
        faults.plan(fault(r#"{"endpoint":"all","status":400}"#).unwrap(), |_| None).unwrap();
        let mut statuses =
            |endpoint| faults.take(endpoint, None).and_then(|fault| fault.status).unwrap();
        assert_eq!(statuses(EndpointName::Token), 400);
        assert_eq!([(); 3].map(|()| statuses(EndpointName::Me)), [500, 500, 400]);
    }

    #[test]
    fn a_fault_for_an_account_leaves_others_alone() {
        let json = r#"{"endpoint":"refresh","status":500,"account":"mira.paints"}"#;
        let mut faults = plan(json).unwrap();
        assert!(faults.take(EndpointName::Refresh, None).is_none());
        assert!(faults.take(EndpointName::Refresh, key("plain_shop")).is_none());
        assert!(faults.take(EndpointName::Me, key("mira.paints")).is_none());
        assert!(faults.take(EndpointName::Refresh, key("mira.paints")).is_some());
    }

    #[test]
    fn a_fault_for_some_accounts_counts_the_calls_of_all_of_them() {
        let json =
            r#"{"endpoint":"me","status":400,"times":2,"accounts":["Mira.Paints","plain_shop"]}"#;
        let mut faults = plan(json).unwrap();
        let mut met = |username| faults.take(EndpointName::Me, key(username)).is_some();
        assert!(!met("harbour.bakery"));
        assert_eq!([met("mira.paints"), met("plain_shop"), met("plain_shop")], [true, true, false]);
    }
}
