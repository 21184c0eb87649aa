//! Requests that the sandbox sends to callbacks, as Instagram's servers do. Redirects are not followed.

use std::io::Read as _;

use serde::Serialize;
use url::Url;

use crate::clock::rfc3339;
use crate::endpoint::EndpointName;
use crate::mask::Mask;
use crate::requests::{Row, RowId};
use crate::world::Sandbox;

/// Maximum time for an answer, in seconds.
const ANSWER_TIMEOUT_SECONDS: u64 = 10;
/// Maximum number of bytes of an answer that are kept.
const MAX_ANSWER_BYTES: u64 = 64 * 1024;
/// The agent that Instagram names.
const USER_AGENT: &str = "facebookexternalua";

/// A request to a callback.
#[derive(Clone)]
pub(crate) struct Callback {
    pub(crate) endpoint: EndpointName,
    pub(crate) url: Url,
    /// Username of the account that the request is about, if it is one.
    pub(crate) account: Option<String>,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

/// What came back.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct CallbackAnswer {
    /// 0 where no answer came.
    pub(crate) status: u16,
    pub(crate) body: String,
    /// Reason for which there is none, or not all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Reads the URL of a callback.
pub(crate) fn callback_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("`url`: {error}"))?;
    if url.scheme() != "http" || !url.has_host() {
        return Err("`url` begins with http://, since the sandbox does not speak TLS".to_owned());
    }
    Ok(url)
}

/// Sends a request and logs it. It goes on when the caller has gone.
pub(crate) async fn send(sandbox: &Sandbox, callback: Callback) -> CallbackAnswer {
    let row = begin(sandbox, &callback);
    let sandbox = sandbox.clone();
    let sent = tokio::task::spawn_blocking(move || {
        let answer = post(callback);
        sandbox.world().requests.end(row, answer.status, sandbox.elapsed_ms());
        answer
    });
    sent.await.unwrap_or_default()
}

fn begin(sandbox: &Sandbox, callback: &Callback) -> RowId {
    let mask = Mask::of_sent(&sandbox.settings().app_secret);
    let started_ms = sandbox.elapsed_ms();
    let mut world = sandbox.world();
    let time = rfc3339(world.clock.now());
    let target = (callback.endpoint, &callback.url);
    world.requests.begin(Row::sent(target, &mask, time, callback.account.clone(), started_ms))
}

fn post(callback: Callback) -> CallbackAnswer {
    let request = minreq::post(callback.url)
        .with_header("User-Agent", USER_AGENT)
        .with_headers(callback.headers)
        .with_body(callback.body)
        .with_timeout(ANSWER_TIMEOUT_SECONDS)
        .with_follow_redirects(false);
    let response = match request.send_lazy() {
        Ok(response) => response,
        Err(error) => {
            return CallbackAnswer { error: Some(error.to_string()), ..Default::default() };
        }
    };
    let (status, mut body) = (response.status_code, Vec::new());
    let read = response.take(MAX_ANSWER_BYTES).read_to_end(&mut body);
    let error = read.err().map(|error| error.to_string());
    CallbackAnswer { status, body: String::from_utf8_lossy(&body).into_owned(), error }
}
