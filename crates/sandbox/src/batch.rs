//! The body of a webhook: updates in entries by account, as Instagram wraps them.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::updates::{Place, Update};

/// Form in which changes of fields, comments before all, are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ChangeShape {
    /// In the entry's list `changes`.
    #[default]
    Changes,
    /// `field` and `value` in the entry itself.
    Flat,
}

/// Form of a body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchShape {
    pub(crate) change: ChangeShape,
    /// Whether each update has an entry of its own, also where the one before is of the same account.
    pub(crate) one_entry_each: bool,
    /// Whether the body is wrapped in an array.
    pub(crate) array: bool,
}

#[derive(Serialize)]
struct Body<'a> {
    object: &'static str,
    entry: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    id: &'a str,
    /// Milliseconds with messages, seconds with changes.
    time: i64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    messaging: Vec<&'a RawValue>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    standby: Vec<&'a RawValue>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changes: Vec<Change<'a>>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    flat: Option<Change<'a>>,
}

#[derive(Serialize)]
struct Change<'a> {
    field: &'a str,
    value: &'a RawValue,
}

/// The JSON of all updates. Those of one account and one list that follow each other share an entry.
pub(crate) fn body(updates: &[Update], shape: BatchShape) -> String {
    let together = |one: &Update, next: &Update| {
        let flat = shape.change == ChangeShape::Flat && matches!(next.place, Place::Field(_));
        let same_list = std::mem::discriminant(&one.place) == std::mem::discriminant(&next.place);
        one.entry_id == next.entry_id && same_list && !flat && !shape.one_entry_each
    };
    let entries = updates.chunk_by(together).filter_map(|chunk| entry(chunk, shape.change));
    let body = Body { object: "instagram", entry: entries.collect() };
    let json = serde_json::to_string(&body).unwrap_or_default();
    if shape.array { format!("[{json}]") } else { json }
}

/// The entry of updates of one account and one list.
fn entry(updates: &[Update], change: ChangeShape) -> Option<Entry<'_>> {
    let first = updates.first()?;
    let time = updates.iter().map(|update| update.timestamp_ms).max()?;
    let seconds = matches!(first.place, Place::Field(_));
    let time = if seconds { time.div_euclid(1_000) } else { time };
    let id = &first.entry_id;
    let mut entry =
        Entry { id, time, messaging: vec![], standby: vec![], changes: vec![], flat: None };
    for Update { place, payload, .. } in updates {
        match place {
            Place::Messaging => entry.messaging.push(payload),
            Place::Standby => entry.standby.push(payload),
            Place::Field(field) => {
                let one = Change { field, value: payload };
                match change {
                    ChangeShape::Changes => entry.changes.push(one),
                    ChangeShape::Flat => entry.flat = Some(one),
                }
            }
        }
    }
    Some(entry)
}
