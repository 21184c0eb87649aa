//! Messages of a stream.

use std::collections::{BTreeSet, HashMap};
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use ig_domain::ports::StoreError;
use ig_domain::{
    AccountId, AccountView, EventPosition, InstagramAccount, LoggedEvent, WebhookPayload,
};

use super::feed::{EventFeed, MAX_ACCOUNT_AGE};
use super::payloads::PayloadRoom;
use super::{WatchPorts, WatchScope};

/// Maximum number of accounts that one query reads.
const MAX_READ_ACCOUNTS: usize = 100;

/// A message of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchMessage {
    /// Events in their order; none in a heartbeat. Each has an [`event`](LoggedEvent::event).
    pub events: Vec<Arc<LoggedEvent>>,
    /// Each account of these events once, as it is now; none for an account that is gone, or where accounts are not
    /// shown.
    pub accounts: Vec<AccountView>,
    /// Payloads of those of these events that are updates, by their numbers; none for one that was too large to be
    /// stored, or that does not open.
    pub payloads: HashMap<i64, WebhookPayload>,
    /// Position to resume after; `None` while another stream holds the consumer.
    pub cursor: Option<EventPosition>,
    /// Whether all that was committed at the last look at the store has been sent.
    pub caught_up: bool,
}

impl WatchMessage {
    /// A message without events.
    pub(super) fn heartbeat(cursor: Option<EventPosition>, caught_up: bool) -> Self {
        let (events, accounts, payloads) = (Vec::new(), Vec::new(), HashMap::new());
        Self { events, accounts, payloads, cursor, caught_up }
    }
}

/// A message with room for its encoded form: many streams may send the same.
pub struct SharedMessage {
    message: WatchMessage,
    encoded: OnceLock<Vec<Bytes>>,
}

impl SharedMessage {
    /// The parts in which the message is sent, as `encode` makes them, which is called at the first time.
    pub fn encoded(&self, encode: impl FnOnce(&WatchMessage) -> Vec<Bytes>) -> &[Bytes] {
        self.encoded.get_or_init(|| encode(&self.message))
    }
}

impl From<WatchMessage> for SharedMessage {
    fn from(message: WatchMessage) -> Self {
        Self { message, encoded: OnceLock::new() }
    }
}

impl Deref for SharedMessage {
    type Target = WatchMessage;

    fn deref(&self) -> &WatchMessage {
        &self.message
    }
}

/// The events of `page` that a stream of this scope shows, up to the one whose payload is one too many for a message;
/// and the last event of the page before that one.
pub(super) fn shown_events<'a>(
    page: &'a [Arc<LoggedEvent>],
    scope: &WatchScope,
) -> (Vec<Arc<LoggedEvent>>, Option<&'a LoggedEvent>) {
    let is_shown = |logged: &LoggedEvent| {
        logged.event.as_ref().is_some_and(|event| {
            scope.owners.contains(&event.owner) && scope.kinds.contains(&event.change.kind())
        })
    };
    let (mut shown, mut last, mut room) = (Vec::new(), None, PayloadRoom::new());
    for logged in page {
        if is_shown(logged) {
            if !room.take(logged) {
                break;
            }
            shown.push(Arc::clone(logged));
        }
        last = Some(logged.as_ref());
    }
    (shown, last)
}

/// The accounts of `events`, each as it is at the last of them or later.
pub(super) async fn accounts_of(
    events: &[Arc<LoggedEvent>],
    scope: &WatchScope,
    ports: &WatchPorts,
    feed: &EventFeed,
) -> Result<Vec<AccountView>, StoreError> {
    let Some(last) = events.last().filter(|_| scope.shows_accounts) else { return Ok(Vec::new()) };
    let oldest = ports.timer.now().checked_sub(MAX_ACCOUNT_AGE);
    let (mut accounts, missing) =
        feed.accounts(account_ids(events.iter().map(Arc::as_ref)), last.number, oldest);
    accounts.extend(read_accounts(&missing, ports, feed).await?.into_iter().flatten());
    accounts.retain(|account| scope.owners.contains(&account.owner));
    let now = ports.clock.now();
    Ok(accounts.into_iter().map(|account| account.view(now)).collect())
}

/// The accounts that `events` are about, each once.
pub(super) fn account_ids<'a>(
    events: impl IntoIterator<Item = &'a LoggedEvent>,
) -> BTreeSet<AccountId> {
    events.into_iter().filter_map(|logged| Some(logged.event.as_ref()?.account_id)).collect()
}

/// Reads accounts, in the order of their ids. One that cannot be read counts as gone.
pub(super) async fn read_accounts(
    ids: &[AccountId],
    ports: &WatchPorts,
    feed: &EventFeed,
) -> Result<Vec<Option<InstagramAccount>>, StoreError> {
    let mut accounts = Vec::with_capacity(ids.len());
    for some in ids.chunks(MAX_READ_ACCOUNTS) {
        match ports.accounts.find_by_ids(some).await {
            Err(StoreError::Corrupt(_)) => {
                // The database cannot read all of them together: each by itself, lest one keeps back the others.
                for id in some {
                    accounts.push(read_account(*id, ports, feed).await?);
                }
            }
            found => accounts.extend(found?),
        }
    }
    Ok(accounts)
}

/// Reads one account, of which a line tells where it cannot be read.
async fn read_account(
    id: AccountId,
    ports: &WatchPorts,
    feed: &EventFeed,
) -> Result<Option<InstagramAccount>, StoreError> {
    match ports.accounts.find_by_ids(&[id]).await {
        Err(error @ StoreError::Corrupt(_)) => {
            if let Some(left_out) = feed.lines.admit((), ports.timer.now()) {
                tracing::warn!(account_id = %id, %error, left_out, "an account cannot be read: its events go without it");
            }
            Ok(None)
        }
        found => Ok(found?.into_iter().next().flatten()),
    }
}
