//! Business time from the sandbox, so that days pass in a moment. Never for use against the real Instagram.

use std::time::Duration;

use async_trait::async_trait;
use ig_domain::ports::Clock;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::SystemClock;

/// Minimum time between two questions, the second of which follows no jump.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
const MAX_ANSWER_BYTES: usize = 4096;
/// A measured offset that differs by more than this is a clock that was set, no slow answer. In microseconds.
const MAX_DELAY: u64 = 1_000_000;

/// A clock that follows the sandbox's: the machine's clock plus an offset, measured in the background.
///
/// While the sandbox does not answer, the last offset stays. Dropping the clock ends the asking.
#[derive(Debug)]
pub struct SandboxClock {
    shown: watch::Receiver<Shown>,
    asking: JoinHandle<()>,
}

/// The time that is shown, and how often it jumped.
#[derive(Clone, Copy, Debug)]
struct Shown {
    /// Microseconds that the sandbox's clock is ahead of the machine's.
    offset: i64,
    jumps: u64,
}

/// An answer of the sandbox.
#[derive(Clone, Copy, Debug)]
struct Reading {
    /// As in [`Shown`], and smaller by the time that the answer took.
    offset: i64,
    /// Number of times that the sandbox's clock was set; `None` where it does not say.
    changes: Option<u64>,
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
    changes: Option<u64>,
}

impl SandboxClock {
    /// Asks the clock at `url` once, and from then on in the background.
    ///
    /// A sandbox that counts its `changes` is asked to answer as soon as there is another one, so that a jump is seen
    /// at once. Another server is asked every 200 ms.
    ///
    /// reqwest needs a rustls provider for this, even over plain http.
    ///
    /// # Errors
    ///
    /// [`SandboxClockError`] when the first answer does not come within two seconds.
    pub async fn connect(url: &str) -> Result<Self, SandboxClockError> {
        let client = client().map_err(unreachable)?;
        let Reading { offset, changes } = ask(&client, url, None).await?;
        let (sender, shown) = watch::channel(Shown { offset, jumps: 0 });
        let asking = tokio::spawn(follow(client, url.to_owned(), sender, changes));
        Ok(Self { shown, asking })
    }
}

impl Drop for SandboxClock {
    fn drop(&mut self) {
        self.asking.abort();
    }
}

#[async_trait]
impl Clock for SandboxClock {
    fn now(&self) -> OffsetDateTime {
        let offset = time::Duration::microseconds(self.shown.borrow().offset);
        SystemClock.now().saturating_add(offset)
    }

    fn jumps(&self) -> u64 {
        self.shown.borrow().jumps
    }

    async fn jumped(&self, seen: u64) {
        let mut shown = self.shown.clone();
        if shown.wait_for(|shown| shown.jumps != seen).await.is_err() {
            // Nobody asks any more, so no jump will be seen.
            std::future::pending::<()>().await;
        }
    }
}

impl Shown {
    /// Takes a reading over. Otherwise than after a jump the largest offset stays, since an answer can be late but
    /// never early: so time does not run backwards by the sandbox's delays.
    fn update(&mut self, reading: Reading, is_told: bool) {
        if is_told || reading.offset.abs_diff(self.offset) > MAX_DELAY {
            self.offset = reading.offset;
            self.jumps += 1;
        } else {
            self.offset = self.offset.max(reading.offset);
        }
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

/// Asks on and on: at once after a jump that the sandbox told, otherwise every [`POLL_INTERVAL`] at most.
async fn follow(
    client: reqwest::Client,
    url: String,
    shown: watch::Sender<Shown>,
    mut changes: Option<u64>,
) {
    loop {
        let begun = Instant::now();
        let mut is_told = false;
        if let Ok(reading) = ask(&client, &url, changes).await {
            is_told = changes.is_some() && reading.changes.is_some() && reading.changes != changes;
            changes = reading.changes;
            shown.send_modify(|shown| shown.update(reading, is_told));
        }
        if !is_told {
            tokio::time::sleep_until(begun + POLL_INTERVAL).await;
        }
    }
}

/// Reads the sandbox's clock; where the number of its `changes` is known, once there is another one.
async fn ask(
    client: &reqwest::Client,
    url: &str,
    changes: Option<u64>,
) -> Result<Reading, SandboxClockError> {
    let after = changes.map(|changes| ("after", changes));
    let request = client.get(url).query(after.as_slice());
    let answer = request.send().await.and_then(reqwest::Response::error_for_status);
    let mut answer = answer.map_err(unreachable)?;
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ANSWER_BYTES {
            return Err(SandboxClockError::Unreadable);
        }
    }
    let (now, changes) = read(&body)?;
    let offset = (now - SystemClock.now()).whole_microseconds();
    let offset = i64::try_from(offset).map_err(|_| SandboxClockError::Unreadable)?;
    Ok(Reading { offset, changes })
}

fn read(body: &[u8]) -> Result<(OffsetDateTime, Option<u64>), SandboxClockError> {
    let Answer { now, changes } =
        serde_json::from_slice(body).map_err(|_| SandboxClockError::Unreadable)?;
    let now = OffsetDateTime::parse(&now, &Rfc3339).map_err(|_| SandboxClockError::Unreadable)?;
    Ok((now, changes))
}

fn unreachable(error: reqwest::Error) -> SandboxClockError {
    SandboxClockError::Unreachable(error.without_url())
}

#[cfg(test)]
mod tests;
