//! The log of requests to the API, and of those that the sandbox sent, for tests to look at: secrets are masked before they are stored.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;
use sha2::{Digest, Sha256};
use url::Url;

use crate::call::Call;
use crate::endpoint::{Endpoint, EndpointName};
use crate::mask::Mask;
use crate::signing::hex;

/// Maximum number of requests that are kept.
const MAX_REQUESTS: usize = 10_000;
/// Maximum number of parameters of a request that are kept, and of characters of each.
const MAX_PARAMS: usize = 32;
const MAX_PARAM_LENGTH: usize = 2_048;

/// One request to the API, or one that the sandbox sent.
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

impl Row {
    /// A request to the API.
    pub(crate) fn of_call(
        call: &Call,
        mask: &Mask,
        time: String,
        account: Option<String>,
        started_ms: u64,
    ) -> Self {
        Self {
            time,
            endpoint: call.endpoint.name(),
            method: call.method.to_string(),
            path: cut(&mask.text(&call.path)),
            params: params(call, mask),
            code_sha256: code_sha256(call),
            account,
            status: 0,
            started_ms,
            ended_ms: started_ms,
            ended: false,
        }
    }

    /// A request that the sandbox sends to `url`.
    pub(crate) fn sent(
        (endpoint, url): (EndpointName, &Url),
        mask: &Mask,
        time: String,
        account: Option<String>,
        started_ms: u64,
    ) -> Self {
        Self {
            time,
            endpoint,
            method: "POST".to_owned(),
            path: cut(&mask.text(url.path())),
            params: BTreeMap::from([("url".to_owned(), cut(&mask.text(url.as_str())))]),
            code_sha256: None,
            account,
            status: 0,
            started_ms,
            ended_ms: started_ms,
            ended: false,
        }
    }
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
    /// Enters a request that has come or is sent; its status is 0 until there is an answer.
    pub(crate) fn begin(&mut self, row: Row) -> RowId {
        if self.rows.len() >= MAX_REQUESTS {
            self.rows.pop_front();
            self.first += 1;
        }
        let id = RowId(self.first + self.rows.len() as u64);
        self.rows.push_back(row);
        id
    }

    /// Enters the end of a request; 0 as status says that no answer was sent.
    pub(crate) fn end(&mut self, id: RowId, status: u16, ended_ms: u64) {
        let index = id.0.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        if let Some(row) = index.and_then(|index| self.rows.get_mut(index)) {
            row.status = status;
            row.ended_ms = ended_ms;
            row.ended = true;
            let Row { method, path, .. } = row;
            tracing::debug!(
                method,
                path,
                status,
                elapsed_ms = ended_ms - row.started_ms,
                "answered"
            );
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

fn params(call: &Call, mask: &Mask) -> BTreeMap<String, String> {
    let shown = |(name, value)| (cut(&mask.text(name)), cut(&mask.value(name, value)));
    call.params().take(MAX_PARAMS).map(shown).collect()
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_PARAM_LENGTH).collect()
}

/// The hash of a presented code: tells requests with the same code apart from others without showing it.
fn code_sha256(call: &Call) -> Option<String> {
    let code = (call.endpoint == Endpoint::Token).then(|| call.form.get("code")).flatten()?;
    Some(hex(&Sha256::digest(code.as_bytes())))
}
