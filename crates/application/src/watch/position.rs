//! Positions at which streams begin.

use ig_domain::EventPosition;
use ig_domain::ports::{EventLog, MAX_NUMBERED_EVENTS, StoreError};

use super::Watch;
use super::open::WatchFrom;

/// The position behind all events that are committed now, unless another process is giving them numbers.
///
/// # Errors
///
/// [`StoreError::Unavailable`].
pub(super) async fn newest_position(log: &dyn EventLog) -> Result<EventPosition, StoreError> {
    let state = log.look(None).await?;
    if state.waits { numbered_head(log).await } else { Ok(state.head) }
}

/// A position behind which is all that commits from now on: the newest one, or an older one where the store gives no
/// numbers, as one that can only be read.
///
/// # Errors
///
/// [`StoreError::Unavailable`].
pub(super) async fn position_before_now(log: &dyn EventLog) -> Result<EventPosition, StoreError> {
    let state = log.look(None).await?;
    if !state.waits {
        return Ok(state.head);
    }
    let numbered = numbered_head(log).await;
    Ok(numbered.unwrap_or_else(|error| {
        tracing::debug!(%error, "a listing gives a cursor before events that wait for their number");
        state.head
    }))
}

/// The head once all events that wait have their number.
async fn numbered_head(log: &dyn EventLog) -> Result<EventPosition, StoreError> {
    while log.number_waiting().await? == MAX_NUMBERED_EVENTS {}
    Ok(log.look(None).await?.head)
}

/// The position that `from` means now; `None` where an event behind it is gone.
pub(super) async fn resolve(
    from: WatchFrom,
    watch: &Watch,
) -> Result<Option<EventPosition>, StoreError> {
    let log = &*watch.ports.log;
    Ok(match from {
        WatchFrom::After(position) => log.look(Some(&position)).await?.holds.then_some(position),
        WatchFrom::Since(time) => log.since(time, watch.window).await?,
        WatchFrom::Now => Some(newest_position(log).await?),
        WatchFrom::Earliest => Some(log.look(None).await?.purged),
    })
}
