//! Callers that call without a pause, without a second try, and each call on a connection of its own.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::grpc::Client;
use crate::up::demo;

/// Number of callers. Each call is a process of grpcurl's, so few of them keep two cores busy.
const CALLERS: usize = 4;

/// Time that Instagram takes for each answer, in milliseconds: so that links are under way whenever a replica stops.
const INSTAGRAM_DELAY_MS: u32 = 300;

/// Calls that each caller makes in turn. All callers begin with a link of theirs, so they fail where it failed.
const CALLS: [&str; 3] = ["Get", "FetchAccessToken", "Link"];

/// The account's token, to publish with.
pub(super) fn fetch(client: &Client, account: &Value) -> Result<Value> {
    let request = json!({
        "account_id": account.get("accountId"),
        "min_ttl": "3600s",
        "purpose": "publish post 7",
    });
    let answer = client.call("FetchAccessToken", &request)?;
    let token = answer.get("accessToken").and_then(Value::as_str).unwrap_or_default();
    ensure!(!token.is_empty(), "FetchAccessToken answered no token");
    Ok(answer)
}

/// Callers with an account each.
pub(super) struct Load<'a> {
    client: &'a Client,
    sandbox: &'a str,
    accounts: Vec<Value>,
}

impl<'a> Load<'a> {
    /// Links an account for each caller.
    pub(super) fn new(client: &'a Client, sandbox: &'a str) -> Result<Self> {
        let accounts = (0..CALLERS).map(|caller| {
            let account = json!({ "username": username(caller) });
            demo::post(&format!("{sandbox}/sandbox/accounts"), &account)?;
            demo::link(client, sandbox, &owner(caller), &username(caller))
        });
        Ok(Self { client, sandbox, accounts: accounts.collect::<Result<_>>()? })
    }

    /// Counts what the callers are answered while `work` goes on.
    pub(super) fn during(&self, work: impl FnOnce() -> Result<()>) -> Result<Tally> {
        let faults = format!("{}/sandbox/faults", self.sandbox);
        demo::post(&faults, &json!({ "endpoint": "all", "delay_ms": INSTAGRAM_DELAY_MS }))?;
        let (stop, tally) = (AtomicBool::new(false), Mutex::new(Tally::default()));
        let worked = thread::scope(|scope| {
            for caller in 0..CALLERS {
                let (stop, tally) = (&stop, &tally);
                scope.spawn(move || self.call_until(stop, caller, tally));
            }
            let worked = work();
            stop.store(true, Ordering::Relaxed);
            worked
        });
        demo::delete(&faults)?;
        worked?;
        tally.into_inner().ok().context("a caller panicked")
    }

    fn call_until(&self, stop: &AtomicBool, caller: usize, tally: &Mutex<Tally>) {
        for call in CALLS.into_iter().cycle() {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let answer = self.call(caller, call);
            tally.lock().unwrap_or_else(PoisonError::into_inner).count(call, answer);
        }
    }

    fn call(&self, caller: usize, call: &str) -> Result<()> {
        let (client, owner) = (self.client, owner(caller));
        let account = self.accounts.get(caller).context("each caller has an account")?;
        match call {
            "Get" => {
                let request = json!({ "account_id": account.get("accountId"), "owner": owner });
                client.call(call, &request)
            }
            "FetchAccessToken" => fetch(client, account),
            _ => demo::link(client, self.sandbox, &owner, &username(caller)),
        }
        .map(|_| ())
    }
}

fn owner(caller: usize) -> String {
    format!("caller/{caller}")
}

fn username(caller: usize) -> String {
    format!("caller_{caller}")
}

/// Results of the calls.
#[derive(Debug, Default)]
pub(super) struct Tally {
    answered: BTreeMap<&'static str, u32>,
    failed: Vec<String>,
}

impl Tally {
    fn count(&mut self, call: &'static str, answer: Result<()>) {
        match answer {
            Ok(()) => *self.answered.entry(call).or_default() += 1,
            Err(error) => self.failed.push(format!("{call}: {error:#}")),
        }
    }

    /// Fails where a call failed, and where no call of a kind was made.
    pub(super) fn check(&self) -> Result<()> {
        ensure!(self.failed.is_empty(), "calls failed:\n{}", self.failed.join("\n"));
        for call in CALLS {
            ensure!(self.answered.contains_key(call), "no {call} was answered");
        }
        Ok(())
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { answered, failed } = self;
        write!(formatter, "answered: {answered:?}, failed: {}", failed.len())
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn one_failed_call_is_too_many_and_no_call_too_few() {
        let mut tally = Tally::default();
        let error = |tally: &Tally| tally.check().unwrap_err().to_string();
        assert_eq!(error(&tally), "no Get was answered");
        for call in CALLS {
            tally.count(call, Ok(()));
        }
        tally.check().unwrap();
        tally.count("Link", Err(anyhow!("no replica is ready")));
        assert_eq!(error(&tally), "calls failed:\nLink: no replica is ready");
        let shown = r#"answered: {"FetchAccessToken": 1, "Get": 1, "Link": 1}, failed: 1"#;
        assert_eq!(tally.to_string(), shown);
    }
}
