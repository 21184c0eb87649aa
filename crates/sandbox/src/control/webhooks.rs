//! `/sandbox/webhooks`: sends updates to a webhook, signed as Instagram signs them.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderValue;
use serde::{Deserialize, Serialize};

use super::{Answered, Input};
use crate::ascii_json::escape;
use crate::batch::{BatchShape, ChangeShape, body};
use crate::endpoint::EndpointName;
use crate::sender::{self, Callback, CallbackAnswer, callback_url};
use crate::signing::signature_header;
use crate::updates::{NewUpdate, Update, UpdateId};
use crate::world::{Sandbox, World};

/// Maximum number of updates of a batch: ten times what Instagram sends.
const MAX_UPDATES: usize = 10_000;
/// Maximum number of times that a batch is sent.
const MAX_SENDS: u32 = 100;

/// Updates to send.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "switches that do not depend on each other")]
pub(crate) struct NewBatch {
    url: String,
    updates: Vec<NewUpdate>,
    #[serde(default)]
    shape: ChangeShape,
    #[serde(default)]
    one_entry_each: bool,
    #[serde(default)]
    array: bool,
    #[serde(default = "yes")]
    ascii: bool,
    /// Number of times that the same bytes are sent, one after another.
    #[serde(default = "once")]
    repeat: u32,
    #[serde(default)]
    shuffle: bool,
    /// The app's where it is left out.
    secret: Option<String>,
    /// The exact value of the header; empty leaves the header out.
    signature: Option<String>,
    #[serde(default)]
    only_subscribed: bool,
}

fn yes() -> bool {
    true
}

fn once() -> u32 {
    1
}

/// A batch that was sent.
#[derive(Serialize)]
pub(crate) struct SentBatch {
    /// Of the last answer; 0 where none came.
    status: u16,
    answers: Vec<CallbackAnswer>,
    /// In the order in which they were sent.
    updates: Vec<SentUpdate>,
}

/// An update that was sent.
#[derive(Serialize)]
pub(crate) struct SentUpdate {
    entry_id: String,
    #[serde(flatten)]
    id: Option<UpdateId>,
    timestamp_ms: i64,
    /// Its item or value, exactly as it was sent.
    payload: String,
}

/// Sends a batch as often as is wanted. One without updates, all of accounts without subscription, is not sent.
pub(crate) async fn send(
    State(sandbox): State<Sandbox>,
    Input(batch): Input<NewBatch>,
) -> Answered<SentBatch> {
    let sends = batch.repeat;
    let (callback, updates) = prepare(&sandbox, batch)?;
    let mut answers = Vec::new();
    for _ in 0..if updates.is_empty() { 0 } else { sends } {
        answers.push(sender::send(&sandbox, callback.clone()).await);
    }
    let status = answers.last().map(|answer| answer.status).unwrap_or_default();
    let updates = updates.into_iter().map(SentUpdate::from).collect();
    Ok(Json(SentBatch { status, answers, updates }))
}

fn prepare(sandbox: &Sandbox, batch: NewBatch) -> Result<(Callback, Vec<Update>), String> {
    let url = callback_url(&batch.url)?;
    if !(1..=MAX_UPDATES).contains(&batch.updates.len()) {
        return Err(format!("`updates` holds 1 to {MAX_UPDATES}"));
    }
    if !(1..=MAX_SENDS).contains(&batch.repeat) {
        return Err(format!("`repeat` is 1 to {MAX_SENDS}"));
    }
    if batch.signature.as_ref().is_some_and(|text| HeaderValue::from_str(text).is_err()) {
        return Err("`signature` cannot be sent as a header".to_owned());
    }
    let shape = BatchShape {
        change: batch.shape,
        one_entry_each: batch.one_entry_each,
        array: batch.array,
    };
    let (ascii, secret) =
        (batch.ascii, batch.secret.unwrap_or_else(|| sandbox.settings().app_secret.clone()));
    let updates = updates(
        &mut sandbox.world(),
        batch.updates,
        (ascii, batch.only_subscribed, batch.shuffle),
    )?;
    let body = body(&updates, shape);
    let body = if ascii { escape(&body) } else { body };
    let signature = batch.signature.unwrap_or_else(|| signature_header(&secret, body.as_bytes()));
    let mut headers = vec![
        ("Content-Type", "application/json".to_owned()),
        ("Facebook-API-Version", "v25.0".to_owned()),
    ];
    if !signature.is_empty() {
        headers.push(("X-Hub-Signature-256", signature));
    }
    let endpoint = EndpointName::Webhook;
    Ok((Callback { endpoint, url, account: None, headers, body }, updates))
}

/// The updates in the order in which they are sent.
fn updates(
    world: &mut World,
    updates: Vec<NewUpdate>,
    (ascii, only_subscribed, shuffle): (bool, bool, bool),
) -> Result<Vec<Update>, String> {
    let made = updates.into_iter().map(|update| update.into_update(world, ascii));
    let mut updates = made.collect::<Result<Vec<_>, _>>()?;
    if only_subscribed {
        updates.retain(|update| {
            update.account.is_some_and(|key| world.subscriptions.contains_key(&key))
        });
    }
    if shuffle {
        updates.sort_by_cached_key(|_| world.seed.order());
    }
    Ok(updates)
}

impl From<Update> for SentUpdate {
    fn from(update: Update) -> Self {
        let Update { entry_id, id, timestamp_ms, payload, place: _, account: _ } = update;
        Self { entry_id, id, timestamp_ms, payload: payload.get().to_owned() }
    }
}
