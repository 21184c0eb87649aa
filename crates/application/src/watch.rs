//! Watch: follows the log of events, for any number of streams of one process.

mod commit;
mod feed;
mod holds;
mod message;
mod open;
mod payloads;
mod poller;
mod position;
mod purge;
mod rights;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use ig_domain::ports::{
    AccountReader, Clock, Consumers, EventLog, Ids, StoreError, Timer, Webhooks,
};
use tokio_util::sync::CancellationToken;

pub use self::commit::{CommitWatch, CommitWatchError};
use self::feed::EventFeed;
pub use self::holds::ConsumerHolds;
pub use self::message::{SharedMessage, WatchMessage};
pub use self::open::{OpenWatch, OpenWatchError, WatchCommand, WatchFrom};
pub use self::poller::EventPoller;
pub use self::purge::PurgeEvents;
pub use self::rights::{RightsLost, WatchRights, WatchScope};
pub use self::stream::{WatchEnd, WatchStream};

/// Ports of all that has to do with events.
#[derive(Clone)]
pub struct WatchPorts {
    /// The log of events.
    pub log: Arc<dyn EventLog>,
    /// Its named consumers.
    pub consumers: Arc<dyn Consumers>,
    /// Accounts, to show them with their events.
    pub accounts: Arc<dyn AccountReader>,
    /// Payloads of updates, to show them with their events.
    pub webhooks: Arc<dyn Webhooks>,
    /// Business time, by which the shown status is judged.
    pub clock: Arc<dyn Clock>,
    /// Real time, for waiting.
    pub timer: Arc<dyn Timer>,
    /// Ids.
    pub ids: Arc<dyn Ids>,
}

/// Parts that the streams of one process share. Clones share them, too.
#[derive(Clone)]
pub struct Watch {
    /// The ports.
    pub ports: WatchPorts,
    /// Time for which events are kept.
    pub window: Duration,
    /// Consumers that the streams of this process hold.
    pub holds: Arc<ConsumerHolds>,
    /// Ends all streams once it is cancelled.
    pub stop: CancellationToken,
    feed: Arc<EventFeed>,
}

impl Watch {
    /// The shared parts of one process, whose streams end once `stop` is cancelled. Nothing is sent before an
    /// [`EventPoller`] runs, and no consumer is kept before its [`ConsumerHolds`] do.
    #[must_use]
    pub fn new(ports: WatchPorts, window: Duration, stop: CancellationToken) -> Self {
        let holds = Arc::new(ConsumerHolds::new(&ports));
        Self { ports, window, holds, stop, feed: Arc::new(EventFeed::new()) }
    }
}

/// Whether a failure of the store is worth a line: where it is away or has too much to do, the watch over it says so.
fn is_worth_a_line(error: &StoreError) -> bool {
    !matches!(error, StoreError::Unavailable(_) | StoreError::Overloaded(_))
}
