//! The log of requests to the API, for tests to look at: secrets are masked before they are stored.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::call::Call;
use crate::endpoint::{Endpoint, EndpointName};

/// How many requests are kept.
const CAPACITY: usize = 10_000;
/// How many parameters of a request are kept, and how many characters of each.
const PARAMS: usize = 32;
const PARAM_LENGTH: usize = 2_048;
/// Parameters whose values never show.
const SECRETS: [&str; 5] =
    ["access_token", "appsecret_proof", "client_secret", "code", "code_verifier"];

/// One request to the API.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    time: String,
    endpoint: EndpointName,
    method: String,
    path: String,
    params: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code_sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    status: u16,
    started_ms: u64,
    ended_ms: u64,
    #[serde(skip)]
    ended: bool,
}

/// Finds a row again when its request ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowId(u64);

/// The newest requests in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct RequestLog {
    first: u64,
    rows: VecDeque<Row>,
}

impl RequestLog {
    /// Enters a request that has come; its status is 0 until an answer leaves.
    pub(crate) fn begin(
        &mut self,
        call: &Call,
        time: String,
        account: Option<String>,
        started_ms: u64,
    ) -> RowId {
        if self.rows.len() >= CAPACITY {
            self.rows.pop_front();
            self.first += 1;
        }
        let id = RowId(self.first + self.rows.len() as u64);
        self.rows.push_back(Row {
            time,
            endpoint: call.endpoint.name(),
            method: call.method.to_string(),
            path: call.path.chars().take(PARAM_LENGTH).collect(),
            params: masked(call),
            code_sha256: code_sha256(call),
            account,
            status: 0,
            started_ms,
            ended_ms: started_ms,
            ended: false,
        });
        id
    }

    /// Enters how a request ended; 0 as status says that no answer was sent.
    pub(crate) fn end(&mut self, id: RowId, status: u16, ended_ms: u64) {
        let index = id.0.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        if let Some(row) = index.and_then(|index| self.rows.get_mut(index)) {
            row.status = status;
            row.ended_ms = ended_ms;
            row.ended = true;
        }
    }

    /// Every row; a request that is still being answered has lasted until `now_ms`.
    pub(crate) fn list(&self, now_ms: u64) -> Vec<Row> {
        let mut rows: Vec<Row> = self.rows.iter().cloned().collect();
        for row in rows.iter_mut().filter(|row| !row.ended) {
            row.ended_ms = now_ms;
        }
        rows
    }

    pub(crate) fn clear(&mut self) {
        self.first += self.rows.len() as u64;
        self.rows.clear();
    }
}

fn masked(call: &Call) -> BTreeMap<String, String> {
    let pairs = call.query.iter().chain(call.form.iter()).take(PARAMS);
    let mask = |(name, value): (&str, &str)| {
        let secret = SECRETS.iter().any(|secret| name.eq_ignore_ascii_case(secret));
        let value =
            if secret { "***".to_owned() } else { value.chars().take(PARAM_LENGTH).collect() };
        (name.chars().take(PARAM_LENGTH).collect(), value)
    };
    pairs.map(mask).collect()
}

/// The hash of a presented code: tells requests with the same code apart from others without showing it.
fn code_sha256(call: &Call) -> Option<String> {
    let code = (call.endpoint == Endpoint::Token).then(|| call.form.get("code")).flatten()?;
    let hash = Sha256::digest(code.as_bytes());
    let digits = hash.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    Some(digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect())
}
