//! Business time from the sandbox, so that days pass in a moment. Never for use against the real Instagram.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use ig_domain::ports::Clock;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::task::JoinHandle;

use super::SystemClock;

const POLL_INTERVAL: Duration = Duration::from_millis(200);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
const MAX_ANSWER_BYTES: usize = 4096;
/// A measured offset that lies lower by more than this is a clock that was set back, no slow answer.
const SET_BACK: i64 = 1_000_000;

/// A clock that follows the sandbox's: the machine's clock plus an offset, measured in the background.
///
/// While the sandbox does not answer, the last offset stays. Dropping the clock ends the asking.
#[derive(Debug)]
pub struct SandboxClock {
    /// Microseconds.
    offset: Arc<AtomicI64>,
    asking: JoinHandle<()>,
}

/// The sandbox's clock could not be read. The URL is not repeated here: it may hold credentials.
#[derive(Debug, thiserror::Error)]
pub enum SandboxClockError {
    /// No whole answer within the limit.
    #[error("the sandbox's clock does not answer")]
    Unreachable(#[source] reqwest::Error),
    /// The answer is not `{"now": "RFC 3339"}`.
    #[error("the sandbox's clock gave an answer that is not {{\"now\": \"RFC 3339\"}}")]
    Unreadable,
}

#[derive(serde::Deserialize)]
struct Answer {
    now: String,
}

impl SandboxClock {
    /// Asks the clock at `url` once, and from then on every 200 ms in the background.
    ///
    /// reqwest needs a rustls provider for this, even over plain http.
    ///
    /// # Errors
    ///
    /// [`SandboxClockError`] when the first answer does not come within two seconds.
    pub async fn connect(url: &str) -> Result<Self, SandboxClockError> {
        let client = client().map_err(unreachable)?;
        let offset = Arc::new(AtomicI64::new(measure(&client, url).await?));
        let asking = tokio::spawn(follow(client, url.to_owned(), Arc::clone(&offset)));
        Ok(Self { offset, asking })
    }
}

impl Drop for SandboxClock {
    fn drop(&mut self) {
        self.asking.abort();
    }
}

impl Clock for SandboxClock {
    fn now(&self) -> OffsetDateTime {
        let offset = time::Duration::microseconds(self.offset.load(Ordering::Relaxed));
        SystemClock.now().saturating_add(offset)
    }
}

fn client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .connect_timeout(ANSWER_TIMEOUT)
        .timeout(ANSWER_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .build()
}

/// Keeps the largest offset, since an answer can be late but never early: so time does not run backwards by
/// the sandbox's delays.
async fn follow(client: reqwest::Client, url: String, offset: Arc<AtomicI64>) {
    loop {
        tokio::time::sleep(POLL_INTERVAL).await;
        let Ok(measured) = measure(&client, &url).await else { continue };
        let known = offset.load(Ordering::Relaxed);
        if measured > known || measured < known.saturating_sub(SET_BACK) {
            offset.store(measured, Ordering::Relaxed);
        }
    }
}

async fn measure(client: &reqwest::Client, url: &str) -> Result<i64, SandboxClockError> {
    let answer = client.get(url).send().await.and_then(reqwest::Response::error_for_status);
    let mut answer = answer.map_err(unreachable)?;
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ANSWER_BYTES {
            return Err(SandboxClockError::Unreadable);
        }
    }
    let offset = read(&body)? - SystemClock.now();
    i64::try_from(offset.whole_microseconds()).map_err(|_| SandboxClockError::Unreadable)
}

fn read(body: &[u8]) -> Result<OffsetDateTime, SandboxClockError> {
    let answer: Answer = serde_json::from_slice(body).map_err(|_| SandboxClockError::Unreadable)?;
    OffsetDateTime::parse(&answer.now, &Rfc3339).map_err(|_| SandboxClockError::Unreadable)
}

fn unreachable(error: reqwest::Error) -> SandboxClockError {
    SandboxClockError::Unreachable(error.without_url())
}

#[cfg(test)]
mod tests;
