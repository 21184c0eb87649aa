//! Opens a stream.

use ig_domain::ports::{ConsumerKey, StoreError};
use ig_domain::{EventKind, EventPosition};
use time::OffsetDateTime;

use super::position::{newest_position, resolve};
use super::stream::Opened;
use super::{RightsLost, Watch, WatchRights, WatchStream};

/// Place at which a stream begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchFrom {
    /// Behind this position.
    After(EventPosition),
    /// At the first event at or after this moment by the store's own clock.
    Since(OffsetDateTime),
    /// Behind all that is committed.
    Now,
    /// At the oldest event that is kept.
    Earliest,
}

/// Command to open a stream.
pub struct WatchCommand {
    /// Place at which it begins; `None` for the committed cursor of the consumer, or for [`WatchFrom::Now`] without one.
    pub from: Option<WatchFrom>,
    /// Consumer that it holds; `None` for none.
    pub consumer: Option<ConsumerKey>,
    /// Kinds of events that it shows; empty for all.
    pub kinds: Vec<EventKind>,
    /// Judges the caller's rights, and narrows them to the owner that the request names.
    pub rights: Box<dyn WatchRights>,
}

/// The stream was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenWatchError {
    /// The caller may not open it.
    #[error(transparent)]
    Rights(#[from] RightsLost),
    /// An event behind the place at which it is to begin is gone, or there is no such place.
    #[error("the cursor has expired")]
    CursorExpired,
    /// The caller has as many other consumers as it may have.
    #[error("the caller has too many consumers")]
    TooManyConsumers,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Opens streams.
pub struct OpenWatch {
    /// Parts that they share.
    pub watch: Watch,
}

impl OpenWatch {
    /// The position behind all that is committed now. Whoever reads accounts after this and watches from there misses
    /// nothing.
    ///
    /// # Errors
    ///
    /// When the store failed.
    pub async fn newest_position(&self) -> Result<EventPosition, StoreError> {
        newest_position(&*self.watch.ports.log).await
    }

    /// A stream, which waits for its consumer while another stream holds it.
    ///
    /// # Errors
    ///
    /// Every [`OpenWatchError`]; then no consumer was made or moved.
    pub async fn execute(&self, mut command: WatchCommand) -> Result<WatchStream, OpenWatchError> {
        if command.consumer.is_none() {
            command.from = command.from.or(Some(WatchFrom::Now));
        }
        if command.from == Some(WatchFrom::Now) {
            // All that commits from now on is to be sent, also where the stream has to wait.
            let now = resolve(WatchFrom::Now, &self.watch).await?;
            command.from = now.map(WatchFrom::After);
        }
        let mut stream = WatchStream::new(&self.watch, command)?;
        match stream.open().await? {
            Opened::At(position) => stream.follow(position),
            Opened::Waits => {}
            Opened::Expired => return Err(OpenWatchError::CursorExpired),
            Opened::TooManyConsumers => return Err(OpenWatchError::TooManyConsumers),
        }
        Ok(stream)
    }
}
