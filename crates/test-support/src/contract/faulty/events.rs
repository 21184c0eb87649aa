//! The log of events, with faults.

use std::time::Duration;

use async_trait::async_trait;
use ig_domain::ports::{EventLog, EventSurvey, LogCount, LogState, Restoration, StoreError};
use ig_domain::{AccountId, ChangedFields, EventChange, EventPosition, LoggedEvent, UnlinkCause};
use time::OffsetDateTime;

use super::{Fault, FaultyPorts};

#[async_trait]
impl EventLog for FaultyPorts {
    async fn look(&self, at: Option<&EventPosition>) -> Result<LogState, StoreError> {
        let state = self.ports.event_log.look(at).await?;
        Ok(LogState { holds: state.holds || self.has(Fault::LooseCursors), ..state })
    }

    async fn number_waiting(&self) -> Result<u64, StoreError> {
        self.ports.event_log.number_waiting().await
    }

    async fn page(&self, after: i64, limit: u64) -> Result<Vec<LoggedEvent>, StoreError> {
        let mut events = self.ports.event_log.page(after, limit).await?;
        match self.fault {
            Fault::LostEvents => drop(events.pop()),
            Fault::SloppyEvents => {
                for event in events.iter_mut().filter_map(|event| event.event.as_mut()) {
                    event.change = match event.change {
                        EventChange::Unlinked(_) => EventChange::Unlinked(UnlinkCause::Unlink),
                        _ => EventChange::LinkedAgain(ChangedFields::default()),
                    };
                }
            }
            _ => {}
        }
        Ok(events)
    }

    async fn since(
        &self,
        time: OffsetDateTime,
        window: Duration,
    ) -> Result<Option<EventPosition>, StoreError> {
        let position = self.ports.event_log.since(time, window).await?;
        if position.is_none() && self.has(Fault::LooseCursors) {
            return Ok(Some(self.ports.event_log.look(None).await?.purged));
        }
        Ok(position)
    }

    async fn written(&self) {
        self.ports.event_log.written().await;
    }

    async fn purge(&self, window: Duration, limit: u64) -> Result<u64, StoreError> {
        match self.fault {
            Fault::NoPurge => Ok(0),
            Fault::HastyPurge => self.ports.event_log.purge(window / 2, limit + 1).await,
            _ => self.ports.event_log.purge(window, limit).await,
        }
    }
}

#[async_trait]
impl Restoration for FaultyPorts {
    async fn begin_new_log(&self) -> Result<EventPosition, StoreError> {
        match self.fault {
            Fault::NoRestoration => Ok(self.ports.event_log.look(None).await?.head),
            _ => self.ports.restoration.begin_new_log().await,
        }
    }

    async fn make_due(
        &self,
        after: Option<AccountId>,
        now: OffsetDateTime,
        reading_interval: Duration,
    ) -> Result<Option<(AccountId, u64)>, StoreError> {
        match self.fault {
            Fault::NoRestoration => Ok(None),
            _ => self.ports.restoration.make_due(after, now, reading_interval).await,
        }
    }
}

#[async_trait]
impl EventSurvey for FaultyPorts {
    async fn count_log(&self) -> Result<LogCount, StoreError> {
        self.ports.event_survey.count_log().await
    }
}
