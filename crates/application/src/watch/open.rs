//! Opens a stream.

use ig_domain::EventPosition;
use ig_domain::ports::{ConsumerKey, StoreError};
use time::OffsetDateTime;

use super::position::{position_before_now, resolve};
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
    /// Judges the caller's rights, and narrows them to the owner and the kinds of events that the request names.
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
    /// This process stops.
    #[error("this process stops")]
    Stopped,
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
    /// A position behind which is all that commits from now on. Whoever reads accounts after this and watches from
    /// there misses nothing. It is the newest one, unless the store cannot be written now.
    ///
    /// # Errors
    ///
    /// When the store failed.
    pub async fn position_before_now(&self) -> Result<EventPosition, StoreError> {
        position_before_now(&*self.watch.ports.log).await
    }

    /// A stream, which waits for its consumer while another stream holds it.
    ///
    /// # Errors
    ///
    /// Every [`OpenWatchError`]. No consumer was made or moved, unless it is [`OpenWatchError::Store`].
    pub async fn execute(&self, mut command: WatchCommand) -> Result<WatchStream, OpenWatchError> {
        // Before the store is asked for anything.
        command.rights.judge()?;
        if command.consumer.is_none() {
            command.from = command.from.or(Some(WatchFrom::Now));
        }
        if command.from == Some(WatchFrom::Now) {
            // All that commits from now on is to be sent, also where the stream has to wait.
            let now = resolve(WatchFrom::Now, &self.watch).await?;
            command.from = now.map(WatchFrom::After);
        }
        let mut stream = WatchStream::new(&self.watch, command)?;
        // Judged once the stream counts: from here on whoever gives consumers back waits for it.
        if self.watch.stop.is_cancelled() {
            return Err(OpenWatchError::Stopped);
        }
        match stream.open().await? {
            Opened::At(position) => stream.follow(position),
            Opened::Waits => {}
            Opened::Expired => return Err(OpenWatchError::CursorExpired),
            Opened::TooManyConsumers => return Err(OpenWatchError::TooManyConsumers),
        }
        Ok(stream)
    }
}
