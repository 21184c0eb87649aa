//! A batch: the body of one webhook.

use ig_domain::{ProfessionalAccountId, ReceivedUpdate};
use serde_json::value::RawValue;
use time::OffsetDateTime;

use super::lenient::{Fields, items, number, object, text};
use super::{changes, messaging};

/// Maximum number of updates in a batch. Ours: Instagram sends up to 1,000.
const MAX_UPDATES: usize = 10_000;

/// Name of the object that Instagram's webhooks are about.
const OBJECT: &str = "instagram";

/// The updates of a body.
#[derive(Debug, Default)]
pub struct Batch {
    /// In their order.
    pub updates: Vec<ReceivedUpdate>,
    /// Number of items that tell no update.
    pub unreadable: u64,
}

/// A body that is no batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchError {
    /// It is no JSON.
    NotJson,
    /// It has more updates than a batch may have.
    TooMany,
}

/// Reads the body of a webhook that came at `now`. An item that cannot be read spoils no other.
///
/// # Errors
///
/// [`BatchError`].
pub fn updates(body: &[u8], now: OffsetDateTime) -> Result<Batch, BatchError> {
    let body: &RawValue = serde_json::from_slice(body).map_err(|_| BatchError::NotJson)?;
    let mut reading = Reading { batch: Batch::default(), now };
    // The documentation shows an array of them.
    match items(body) {
        Some(all) => all.into_iter().try_for_each(|one| reading.envelope(one))?,
        None => reading.envelope(body)?,
    }
    Ok(reading.batch)
}

/// A batch in the making.
struct Reading {
    batch: Batch,
    now: OffsetDateTime,
}

/// What the items of an entry have in common.
struct Entry {
    account: ProfessionalAccountId,
    time: Option<i64>,
}

impl Reading {
    fn envelope(&mut self, raw: &RawValue) -> Result<(), BatchError> {
        let envelope =
            object(raw).filter(|envelope| text(envelope.object).as_deref() == Some(OBJECT));
        let entries = envelope.and_then(|envelope| items(envelope.entry?));
        let Some(entries) = entries else { return self.add(None) };
        entries.into_iter().try_for_each(|entry| self.entry(entry))
    }

    fn entry(&mut self, raw: &RawValue) -> Result<(), BatchError> {
        let object = object(raw).unwrap_or_default();
        let account = text(object.id).and_then(|id| id.parse().ok());
        let Some(account) = account else { return self.add(None) };
        let entry = Entry { account, time: number(object.time) };
        let lists = [object.messaging, object.standby, object.changes];
        if object.value.is_some() || lists.iter().all(Option::is_none) {
            self.value(&entry, &object)?;
        }
        for (place, list) in lists.into_iter().enumerate() {
            let Some(list) = list else { continue };
            let Some(list) = items(list) else {
                self.add(None)?;
                continue;
            };
            for item in list {
                match place {
                    0 => self.message(&entry, item, false)?,
                    1 => self.message(&entry, item, true)?,
                    _ => self.change(&entry, item)?,
                }
            }
        }
        Ok(())
    }

    fn message(&mut self, entry: &Entry, item: &RawValue, standby: bool) -> Result<(), BatchError> {
        let Entry { account, time } = entry;
        self.add(
            object(item)
                .map(|object| messaging::update(account, *time, item, &object, standby, self.now)),
        )
    }

    fn change(&mut self, entry: &Entry, item: &RawValue) -> Result<(), BatchError> {
        match object(item) {
            Some(change) => self.value(entry, &change),
            None => self.add(None),
        }
    }

    /// Adds the value of a field, which stands beside it.
    fn value(&mut self, entry: &Entry, holder: &Fields<'_>) -> Result<(), BatchError> {
        let Entry { account, time } = entry;
        let update = holder
            .value
            .map(|value| changes::update(account, *time, holder.field, value, self.now));
        self.add(update)
    }

    /// Adds an update, or counts an item that is none.
    fn add(&mut self, update: Option<ReceivedUpdate>) -> Result<(), BatchError> {
        let Some(update) = update else {
            self.batch.unreadable += 1;
            return Ok(());
        };
        if self.batch.updates.len() == MAX_UPDATES {
            return Err(BatchError::TooMany);
        }
        self.batch.updates.push(update);
        Ok(())
    }
}
