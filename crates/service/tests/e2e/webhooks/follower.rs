//! A client that follows updates by `Watch`, and goes on where it was whenever its stream ends.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ig_proto::v1::watch_request::From;
use ig_proto::v1::{Event, EventKind, WatchRequest, WatchResponse, WatchStart, WebhookEvent};
use tokio::time::{sleep, timeout};
use tonic::{Status, Streaming};

use crate::support::TEST_TIMEOUT;
use crate::support::clients::{Clients, is_passing};

/// Interval between the end of a stream and the next one.
const RECONNECT_INTERVAL: Duration = Duration::from_millis(50);

/// Updates that were told.
#[derive(Default)]
pub(super) struct Follower {
    /// The last event of each, by its key.
    pub(super) updates: BTreeMap<String, Event>,
    /// Ids of the events of each.
    events: BTreeMap<String, BTreeSet<String>>,
    /// Number of streams that ended.
    pub(super) resumes: usize,
    cursor: Option<String>,
    /// Whether the last message had all that is stored.
    caught_up: bool,
    stream: Option<Streaming<WatchResponse>>,
}

impl Follower {
    /// Follows what comes while `sending` goes on, and returns its result.
    pub(super) async fn follow<T>(
        &mut self,
        clients: &Clients,
        sending: impl Future<Output = T>,
    ) -> T {
        let mut sending = std::pin::pin!(sending);
        loop {
            tokio::select! {
                sent = &mut sending => return sent,
                () = self.advance(clients) => {}
            }
        }
    }

    /// Follows until it knows so many updates and all that is stored, and asserts that each was told by one event.
    pub(super) async fn follow_until(&mut self, clients: &Clients, number: usize) {
        let following = async {
            while self.updates.len() < number || !self.caught_up {
                self.advance(clients).await;
            }
        };
        let told = timeout(TEST_TIMEOUT, following).await;
        assert!(told.is_ok(), "{} of {number} were told", self.updates.len());
        for (update, events) in &self.events {
            assert_eq!(events.len(), 1, "{update} was stored more than once: {events:?}");
        }
    }

    /// The update with this payload.
    pub(super) fn update_with(&self, payload: &str) -> (&Event, &WebhookEvent) {
        let mut updates =
            self.updates.values().filter_map(|event| Some((event, event.webhook.as_ref()?)));
        let found = updates.find(|(_, webhook)| webhook.payload == payload.as_bytes());
        found.unwrap_or_else(|| panic!("no update with the payload {payload}"))
    }

    /// Opens a stream, or takes its next message. May be dropped and called again.
    async fn advance(&mut self, clients: &Clients) {
        let done = match &mut self.stream {
            None => self.open(clients).await,
            Some(stream) => match stream.message().await {
                Ok(Some(message)) => {
                    self.take(message);
                    Ok(())
                }
                Ok(None) => panic!("a stream ended without a status"),
                Err(status) => Err(status),
            },
        };
        if let Err(status) = done {
            assert!(is_passing(&status), "{status:?}");
            self.stream = None;
            self.resumes += 1;
            sleep(RECONNECT_INTERVAL).await;
        }
    }

    async fn open(&mut self, clients: &Clients) -> Result<(), Status> {
        let earliest = From::Start(WatchStart::Earliest.into());
        let request = WatchRequest {
            from: Some(self.cursor.clone().map_or(earliest, From::After)),
            kinds: vec![EventKind::Webhook.into()],
            ..WatchRequest::default()
        };
        self.stream = Some(clients.turn(self.resumes).watch(request).await?.into_inner());
        Ok(())
    }

    fn take(&mut self, message: WatchResponse) {
        for event in message.events {
            assert_eq!(event.kind(), EventKind::Webhook);
            let id = event.webhook.as_ref().unwrap().webhook_id.clone();
            self.events.entry(id.clone()).or_default().insert(event.event_id.clone());
            self.updates.insert(id, event);
        }
        self.caught_up = message.caught_up;
        if !message.cursor.is_empty() {
            self.cursor = Some(message.cursor);
        }
    }
}
