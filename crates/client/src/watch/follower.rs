//! Follower: what is behind a stream. It opens streams, one after the other, and goes on where the last one broke.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, Retryable as _};
use futures_util::FutureExt as _;
use ig_proto::v1;
use ig_proto::v1::watch_request::From;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tonic::{Code, Status, Streaming};

use super::seen_events::SeenEvents;
use super::{WatchError, WatchMessage, commit, end_of};
use crate::client::{AccountsClient, with_authorization};
use crate::credentials::Authorization;
use crate::refusal::Refusal;
use crate::retry::{BACKOFF, CALL_BACKOFF};

/// Maximum silence of a stream. The service says something within 15 seconds; the rest is for the way.
const MAX_SILENCE: Duration = Duration::from_secs(20);

/// Age from which on a message that comes shows that the stream is healthy. The first messages come at once, and so they
/// do from a service that breaks each stream.
const HEALTHY_AGE: Duration = Duration::from_secs(4);

/// Maximum delay before a stream is opened again, whatever the service asks for.
const MAX_DELAY: Duration = Duration::from_mins(1);

/// Maximum time for which progress is not committed.
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);

/// State of a stream that goes on after breaks.
pub(super) struct Follower {
    client: AccountsClient,
    /// The request of the first stream.
    request: v1::WatchRequest,
    stream: Option<OpenStream>,
    /// What the last stream was opened with.
    authorization: Option<Authorization>,
    backoff: ExponentialBackoff,
    seen: SeenEvents,
    /// Cursor and `caught_up` of the last message that had a cursor.
    place: Option<(String, bool)>,
    progress: Progress,
}

struct OpenStream {
    messages: Streaming<v1::WatchResponse>,
    open_time: Instant,
}

/// Progress of a consumer.
#[derive(Default)]
struct Progress {
    /// Whether progress is committed here.
    auto_commit: bool,
    /// Cursor that was shown last, and is not done yet.
    shown: Option<String>,
    /// Cursor up to which all is done and not committed, and when to commit it.
    done: Option<(String, Instant)>,
}

impl Progress {
    /// What was shown is done.
    fn shown_is_done(&mut self) {
        if let Some(cursor) = self.shown.take() {
            let commit_time = self.done.take().map(|(_, commit_time)| commit_time);
            let commit_time = commit_time.unwrap_or_else(|| Instant::now() + COMMIT_INTERVAL);
            self.done = Some((cursor, commit_time));
        }
    }

    /// Waits until it is time to commit, if there is anything to commit.
    async fn is_due(&self) {
        match self.done {
            Some((_, commit_time)) => sleep_until(commit_time).await,
            None => std::future::pending().await,
        }
    }
}

impl Follower {
    pub(super) fn new(
        client: AccountsClient,
        request: v1::WatchRequest,
        auto_commit: bool,
    ) -> Self {
        Self {
            client,
            request,
            stream: None,
            authorization: None,
            backoff: BACKOFF.build(),
            seen: SeenEvents::default(),
            place: None,
            progress: Progress { auto_commit, ..Progress::default() },
        }
    }

    /// The next message that tells something new.
    pub(super) async fn next(&mut self) -> Result<WatchMessage, WatchError> {
        self.progress.shown_is_done();
        loop {
            let received = if self.stream.is_some() {
                self.receive().await
            } else {
                self.authorization = self.read_authorization().await?;
                self.open().await.map(|()| None)
            };
            match received {
                Ok(Some(message)) => {
                    if let Some(news) = self.news(message) {
                        return Ok(news);
                    }
                }
                Ok(None) => {}
                Err(refusal) => self.recover(refusal).await?,
            }
        }
    }

    /// What the next stream says of who calls. A file that is just being replaced is waited for, no longer than by a
    /// call.
    async fn read_authorization(&self) -> Result<Option<Authorization>, WatchError> {
        let read = || self.client.authorization();
        read.retry(CALL_BACKOFF).await.map_err(WatchError::BearerUnreadable)
    }

    /// Opens a stream on a connection of its own: the one before may be the reason of the break.
    async fn open(&mut self) -> Result<(), Refusal> {
        // Else the stream would begin with what is done.
        self.commit().await?;
        let request = with_authorization(self.next_request(), self.authorization.clone());
        let mut connection = self.client.new_connection();
        let opened = timeout(MAX_SILENCE, connection.watch(request)).await;
        let opened = opened.map_err(|_| silent())??;
        let open_time = Instant::now();
        self.stream = Some(OpenStream { messages: opened.into_inner(), open_time });
        Ok(())
    }

    /// Request of a stream that goes on. A consumer begins with what is not committed; to name a cursor would commit
    /// what may not be done.
    fn next_request(&self) -> v1::WatchRequest {
        let mut request = self.request.clone();
        if let Some((cursor, _)) = &self.place {
            let keeps_itself = request.consumer.is_empty();
            request.from = keeps_itself.then(|| From::After(cursor.clone()));
        }
        request
    }

    /// The next message of the open stream; `None` where something else was done meanwhile.
    async fn receive(&mut self) -> Result<Option<v1::WatchResponse>, Refusal> {
        let Some(stream) = &mut self.stream else { return Ok(None) };
        let received = tokio::select! {
            biased;
            () = self.progress.is_due() => None,
            received = timeout(MAX_SILENCE, arrival(&mut stream.messages)) => Some(received),
        };
        let Some(received) = received else {
            self.commit().await?;
            return Ok(None);
        };
        match received.map_err(|_| silent())?? {
            Some((message, has_come_now)) => {
                if has_come_now && stream.open_time.elapsed() >= HEALTHY_AGE {
                    self.backoff = BACKOFF.build();
                }
                Ok(Some(message))
            }
            None => Err(Refusal::unavailable("the stream ended without a word")),
        }
    }

    /// What is new in a message; `None` for a heartbeat.
    fn news(&mut self, message: v1::WatchResponse) -> Option<WatchMessage> {
        let v1::WatchResponse { mut events, accounts, cursor, caught_up, padding: _ } = message;
        if cursor.is_empty() {
            // Another stream holds the consumer.
            return None;
        }
        events.retain(|event| self.seen.is_new(&event.event_id));
        let place = Some((cursor, caught_up));
        if events.is_empty() && self.place == place {
            return None;
        }
        self.place.clone_from(&place);
        let (cursor, caught_up) = place?;
        if self.progress.auto_commit {
            self.progress.shown = Some(cursor.clone());
        }
        Some(WatchMessage { events, accounts, cursor, caught_up })
    }

    /// Commits what is done. What cannot be committed now is tried again later.
    async fn commit(&mut self) -> Result<(), Refusal> {
        let Some((cursor, commit_time)) = &mut self.progress.done else { return Ok(()) };
        match commit(&self.client, &self.request.consumer, cursor).await {
            Ok(()) => {
                self.progress.done = None;
                Ok(())
            }
            Err(refusal) if end_of(&refusal).is_some() => Err(refusal),
            Err(_) => {
                *commit_time = Instant::now() + COMMIT_INTERVAL;
                Ok(())
            }
        }
    }

    /// Waits until a stream may be opened again, or ends.
    async fn recover(&mut self, refusal: Refusal) -> Result<(), WatchError> {
        self.stream = None;
        if let Some(end) = end_of(&refusal)
            && !self.has_another_bearer(&refusal).await
        {
            return Err(end);
        }
        let backoff = self.backoff.next().unwrap_or(MAX_DELAY);
        sleep(backoff.max(refusal.retry_delay().unwrap_or_default()).min(MAX_DELAY)).await;
        Ok(())
    }

    /// Whether the caller was refused by a bearer token that has been replaced since, or is being replaced.
    async fn has_another_bearer(&self, refusal: &Refusal) -> bool {
        refusal.code() == Code::Unauthenticated
            && match self.client.authorization().await {
                Ok(newest) => newest != self.authorization,
                Err(_) => true,
            }
    }
}

/// The next message, and whether it has come just now. One that lay there may have come long ago, while the consumer was
/// busy, on a stream that has broken since.
async fn arrival(
    messages: &mut Streaming<v1::WatchResponse>,
) -> Result<Option<(v1::WatchResponse, bool)>, Status> {
    if let Some(lying) = messages.message().now_or_never() {
        return Ok(lying?.map(|message| (message, false)));
    }
    Ok(messages.message().await?.map(|message| (message, true)))
}

fn silent() -> Refusal {
    Refusal::unavailable("nothing came for longer than the service is ever silent")
}
