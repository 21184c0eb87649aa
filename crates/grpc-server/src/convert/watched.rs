//! The messages of a stream.

use std::collections::{HashMap, HashSet};
use std::mem;

use ig_application::WatchMessage;
use ig_domain::{AccountId, EventPosition};
use ig_proto::v1;
use prost::Message as _;

use super::account;
use super::cursor::cursor;
use super::event::event;

/// Size up to which events are added to a message, in bytes, but for a few of each part. Ours: a client that reads slowly
/// makes the server hold two or three messages beside the events of one step of its stream, which usually are one.
const MAX_MESSAGE_BYTES: usize = 64 * 1024;

/// Minimum size of a message, in bytes. The HTTP/2 library of Rust clients takes frames below 256 bytes that wait for
/// their reader for an attack, and ends the connection where there are many.
///
/// Source: <https://github.com/hyperium/h2/blob/master/CHANGELOG.md>.
const MIN_MESSAGE_BYTES: usize = 300;

/// The messages that tell this one, in order: as many as its size needs, and one where there are no events.
pub(crate) fn watch_responses(message: &WatchMessage) -> Vec<v1::WatchResponse> {
    let WatchMessage { events, accounts, payloads, cursor: end, caught_up } = message;
    let accounts = accounts.iter().map(|view| (view.account.id, account(view)));
    let mut packing = Packing { accounts: accounts.collect(), ..Packing::default() };
    for logged in events {
        // There are events only behind a position; one of a newer version is passed over.
        let Some((happened, end)) = logged.event.as_ref().zip(*end) else { continue };
        let place = EventPosition { number: logged.number, event: logged.id, ..end };
        let event = event(logged, happened, payloads.get(&logged.number));
        packing.add(happened.account_id, event, cursor(&place));
    }
    packing.finish(end.as_ref().map(cursor), *caught_up)
}

/// Messages in the making.
#[derive(Default)]
struct Packing {
    /// The accounts that may be told.
    accounts: HashMap<AccountId, v1::InstagramAccount>,
    full: Vec<v1::WatchResponse>,
    last: v1::WatchResponse,
    /// Size of the last message, in bytes, but for a few of each part.
    size: usize,
    /// Accounts of the events in the last message.
    told: HashSet<AccountId>,
}

impl Packing {
    /// Adds an event with its account, unless that was told; `cursor` is the place after it.
    fn add(&mut self, id: AccountId, event: v1::Event, cursor: String) {
        if self.size + self.size_of(id, &event) > MAX_MESSAGE_BYTES && !self.last.events.is_empty()
        {
            self.full.push(mem::take(&mut self.last));
            self.told.clear();
            self.size = 0;
        }
        self.size += self.size_of(id, &event);
        if self.told.insert(id)
            && let Some(account) = self.accounts.get(&id)
        {
            self.last.accounts.push(account.clone());
        }
        self.last.events.push(event);
        self.last.cursor = cursor;
    }

    /// Size of an event in the last message, with its account unless that is there.
    fn size_of(&self, id: AccountId, event: &v1::Event) -> usize {
        let account = self.accounts.get(&id).filter(|_| !self.told.contains(&id));
        event.encoded_len() + account.map_or(0, v1::InstagramAccount::encoded_len)
    }

    /// The messages, the last of which tells the place after all.
    fn finish(self, cursor: Option<String>, caught_up: bool) -> Vec<v1::WatchResponse> {
        let Self { mut full, last, .. } = self;
        full.push(v1::WatchResponse { cursor: cursor.unwrap_or_default(), caught_up, ..last });
        full.into_iter().map(padded).collect()
    }
}

/// The message, filled up to [`MIN_MESSAGE_BYTES`].
fn padded(mut message: v1::WatchResponse) -> v1::WatchResponse {
    let missing = MIN_MESSAGE_BYTES.saturating_sub(message.encoded_len());
    message.padding = vec![0; missing];
    message
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ig_domain::{
        AccountEvent, Direction, EventId, InstagramAccount, LogId, LoggedEvent, WebhookField,
        WebhookId, WebhookPayload, WebhookUpdate,
    };
    use ig_test_support::builders;
    use ig_test_support::builders::START;
    use uuid::Uuid;

    use super::*;
    use crate::convert::cursor::Cursor;

    /// Maximum size of a message that clients are promised, in bytes.
    const PROMISED_BYTES: usize = 256 * 1024;

    fn log() -> LogId {
        LogId::from_uuid(Uuid::from_u128(1))
    }

    fn logged(number: i64, account: &InstagramAccount) -> Arc<LoggedEvent> {
        let id = EventId::from_uuid(Uuid::from_u128(number.try_into().unwrap()));
        let event = Some(AccountEvent::linked(account));
        Arc::new(LoggedEvent { number, id, time: START, event })
    }

    fn largest(number: u32) -> InstagramAccount {
        let mut account = builders::account(number, &"\u{10ffff}".repeat(128), START);
        account.name = Some("\u{10ffff}".repeat(1000));
        account.profile_picture_url = Some("x".repeat(4096));
        account
    }

    fn message(events: Vec<Arc<LoggedEvent>>, accounts: &[InstagramAccount]) -> WatchMessage {
        let accounts = accounts.iter().map(|account| account.clone().view(START)).collect();
        let end = EventPosition { log: log(), number: 9000, event: EventId::NONE };
        let (payloads, cursor) = (HashMap::new(), Some(end));
        WatchMessage { events, accounts, payloads, cursor, caught_up: true }
    }

    fn number_of(cursor: &str) -> i64 {
        let Cursor(position) = cursor.parse().unwrap();
        position.number
    }

    #[test]
    fn a_heartbeat_is_not_so_small_that_a_library_takes_it_for_an_attack() {
        let waiting = WatchMessage { cursor: None, caught_up: false, ..message(Vec::new(), &[]) };
        let responses = watch_responses(&waiting);
        assert_eq!(responses.len(), 1);
        assert_eq!((responses[0].cursor.as_str(), responses[0].caught_up), ("", false));
        assert!((300..310).contains(&responses[0].encoded_len()));
    }

    #[test]
    fn each_account_is_told_once_and_an_event_of_a_newer_version_not_at_all() {
        let account = builders::account(1, "shop/7", START);
        let newer = LoggedEvent { event: None, ..LoggedEvent::clone(&logged(2, &account)) };
        let events = vec![logged(1, &account), Arc::new(newer), logged(3, &account)];
        let responses = watch_responses(&message(events, std::slice::from_ref(&account)));
        let [response] = &responses[..] else { panic!("{responses:?}") };
        let ids: Vec<_> = response.events.iter().map(|event| event.event_id.as_str()).collect();
        assert_eq!(ids, [1, 3].map(|id| Uuid::from_u128(id).to_string()));
        assert_eq!(response.accounts.len(), 1);
        assert!(response.padding.is_empty() && response.caught_up);
        assert_eq!(number_of(&response.cursor), 9000);
    }

    #[test]
    fn large_events_take_several_messages_none_of_which_passes_an_event_of_the_next() {
        let accounts: Vec<_> = (1..=100).map(largest).collect();
        let events = accounts.iter().zip(1..).map(|(account, number)| logged(number, account));
        let responses = watch_responses(&message(events.collect(), &accounts));
        assert!(responses.len() > 10, "{}", responses.len());
        let (last, others) = responses.split_last().unwrap();
        let mut told = 0;
        for response in others {
            assert!((300..PROMISED_BYTES).contains(&response.encoded_len()));
            assert_eq!(response.accounts.len(), response.events.len(), "each with its account");
            told += i64::try_from(response.events.len()).unwrap();
            assert_eq!(number_of(&response.cursor), told);
            assert!(!response.caught_up);
        }
        assert_eq!(told + i64::try_from(last.events.len()).unwrap(), 100);
        assert_eq!((number_of(&last.cursor), last.caught_up), (9000, true));
    }

    /// With the largest account each, which is a message of its own.
    #[test]
    fn the_largest_payload_fits_into_a_message() {
        let account = largest(1);
        let payload = WebhookPayload::new(&"x".repeat(WebhookPayload::MAX_LENGTH)).unwrap();
        let update = WebhookUpdate {
            id: WebhookId::from_bytes([255; 32]),
            field: WebhookField::of_name(&"x".repeat(WebhookField::MAX_LENGTH)),
            direction: Some(Direction::Inbound),
            peer_id: Some("99999999999999999999".parse().unwrap()),
            time: START,
            payload_size: i64::try_from(WebhookPayload::MAX_LENGTH).unwrap(),
        };
        let webhook = |number| {
            let event = Some(AccountEvent::webhook(&account, update.clone()));
            Arc::new(LoggedEvent { event, ..LoggedEvent::clone(&logged(number, &account)) })
        };
        // So many small ones before as a message has at most.
        let mut events: Vec<_> = (1..=48).map(|number| logged(number, &account)).collect();
        events.extend([webhook(49), webhook(50)]);
        let payloads = HashMap::from([(49, payload.clone()), (50, payload.clone())]);
        let message = WatchMessage { payloads, ..message(events, std::slice::from_ref(&account)) };
        let responses = watch_responses(&message);
        assert_eq!(responses.len(), 3);
        for response in &responses {
            assert!(response.encoded_len() < PROMISED_BYTES, "{}", response.encoded_len());
        }
        for response in &responses[1..] {
            let [event] = &response.events[..] else { panic!("{}", response.events.len()) };
            let webhook = event.webhook.as_ref().unwrap();
            assert_eq!(webhook.payload, payload.as_str().as_bytes());
            assert_eq!(webhook.webhook_id, "ff".repeat(32));
        }
    }

    #[test]
    fn an_account_of_two_messages_is_in_both() {
        let (first, other) = (largest(1), largest(2));
        let events =
            (1..200).map(|number| logged(number, if number == 100 { &other } else { &first }));
        let events: Vec<_> = events.collect();
        let responses = watch_responses(&message(events, &[first, other]));
        assert!(responses.len() > 1);
        let with_account = |response: &v1::WatchResponse| !response.accounts.is_empty();
        assert!(responses.iter().all(with_account), "{}", responses.len());
        let sizes: Vec<_> = responses.iter().map(v1::WatchResponse::encoded_len).collect();
        assert!(sizes.iter().all(|size| *size < MAX_MESSAGE_BYTES + 2048), "{sizes:?}");
    }
}
