//! A sandbox and a service of one's own for each test, and what a caller and a browser do with them.

pub(crate) mod account_copy;
pub(crate) mod browser;
pub(crate) mod clients;
pub(crate) mod compose;
pub(crate) mod everything;
pub(crate) mod grpcurl;
pub(crate) mod latencies;
pub(crate) mod outage;
pub(crate) mod place;
pub(crate) mod probes;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod sandbox;
pub(crate) mod service;
pub(crate) mod stub;

use std::path::PathBuf;
use std::time::{Duration, Instant};

pub(crate) use self::place::{On, Place};
pub(crate) use self::sandbox::Sandbox;
pub(crate) use self::service::{Service, arrival, reason, refusal};

/// The redirect URI that tests link with. Nothing listens there: the answer is read off the redirect.
pub(crate) const REDIRECT_URI: &str = "https://example.com/instagram/callback";

/// An hour in seconds.
pub(crate) const HOUR: i64 = 60 * 60;

/// A little more than the age from which on Instagram renews a token, in seconds.
pub(crate) const A_DAY_LATER: i64 = 25 * HOUR;

/// Maximum time for another process to do what a test waits for.
pub(crate) const TEST_TIMEOUT: Duration = Duration::from_mins(1);

/// Looks again and again until there is something to find, for a minute at most.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begin.elapsed() < TEST_TIMEOUT, "it did not come to this: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The number that a variable sets for whoever plays more than a usual run; `usual` where it is not set.
#[expect(clippy::disallowed_methods, reason = "how much to play is a setting of the tests")]
pub(crate) fn number(variable: &str, usual: u64) -> u64 {
    let Ok(set) = std::env::var(variable) else { return usual };
    set.parse().unwrap_or_else(|_| panic!("{variable} is no number: {set:?}"))
}

/// A path or URL that `cargo xtask test` puts into the environment.
#[expect(clippy::disallowed_methods, reason = "tools are handed to the tests by name")]
pub(crate) fn tool(variable: &str) -> PathBuf {
    let found = std::env::var(variable).ok().filter(|path| !path.is_empty());
    let path = found.unwrap_or_else(|| panic!("{variable} is not set: run `cargo xtask test`"));
    PathBuf::from(path)
}

/// A service on a database of its own beside a sandbox of its own.
pub(crate) struct Stack {
    pub(crate) sandbox: Sandbox,
    pub(crate) service: Service,
    pub(crate) folder: Place,
}

impl Stack {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// A stack whose service has these settings besides the usual ones.
    pub(crate) async fn start_with(settings: &[(&str, &str)]) -> Self {
        Self::start_on(On::Sqlite, settings).await
    }

    /// A stack on this database.
    pub(crate) async fn start_on(on: On, settings: &[(&str, &str)]) -> Self {
        let folder = Place::new(on).await;
        let sandbox = Sandbox::start().await;
        let service = folder.serve(&sandbox, settings).await;
        Self { sandbox, service, folder }
    }

    /// One more replica on the same database, also after the first one ended.
    pub(crate) async fn replica(&self) -> Service {
        self.folder.serve(&self.sandbox, &[]).await
    }

    /// Lets time pass, and waits until the service knows.
    pub(crate) async fn advance(&self, seconds: i64) {
        self.sandbox.advance(seconds).await;
        self.service.clock_follows(&self.sandbox).await;
    }
}
