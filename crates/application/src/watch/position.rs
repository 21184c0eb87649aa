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
    if !state.waits {
        return Ok(state.head);
    }
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
