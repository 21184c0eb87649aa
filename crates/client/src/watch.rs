//! Watch: a stream of what happens to accounts, which goes on after breaks.

mod follower;
mod seen_events;

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::SystemTime;

use futures_util::stream::{BoxStream, Stream, StreamExt as _, unfold};
use ig_proto::v1;
use ig_proto::v1::watch_request::From;

use self::follower::Follower;
use crate::client::AccountsClient;
use crate::refusal::{Reason, Refusal};

/// Where a stream begins, what it shows, and who keeps its progress.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct WatchOptions {
    request: v1::WatchRequest,
    auto_commit: bool,
}

impl WatchOptions {
    /// All that the caller may see, of all kinds: after the committed cursor of its consumer where one is named, else
    /// from now on.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins after this cursor: that of a [`WatchMessage`], or the `watch_cursor` of a list. A consumer's committed
    /// cursor moves there.
    pub fn after(self, cursor: impl Into<String>) -> Self {
        self.from(From::After(cursor.into()))
    }

    /// Begins with the first event at or after this time. A consumer's committed cursor moves there.
    pub fn since(self, time: SystemTime) -> Self {
        self.from(From::Since(time.into()))
    }

    /// Begins with the oldest event that is kept. A consumer's committed cursor moves there.
    pub fn earliest(self) -> Self {
        self.from(From::Start(v1::WatchStart::Earliest.into()))
    }

    /// Begins with what happens from now on. A consumer's committed cursor moves there.
    pub fn now(self) -> Self {
        self.from(From::Start(v1::WatchStart::Now.into()))
    }

    fn from(mut self, from: From) -> Self {
        self.request.from = Some(from);
        self
    }

    /// Lets the service keep the progress of this consumer, 1 to 64 of `[a-z0-9._-]`: see [`Watch::commit`]. One
    /// stream holds a consumer; another one waits, and takes over.
    pub fn consumer(mut self, name: impl Into<String>) -> Self {
        self.request.consumer = name.into();
        self
    }

    /// Commits by itself what is done, about a second later: a message counts as done when the next one is asked for.
    /// Nothing is committed while nobody asks, and what is not committed when the process ends comes again. Only with
    /// a consumer.
    pub fn auto_commit(mut self) -> Self {
        self.auto_commit = true;
        self
    }

    /// Only what happens to this owner's accounts.
    pub fn owner(mut self, owner: impl Into<String>) -> Self {
        self.request.owner = Some(owner.into());
        self
    }

    /// Only events of these kinds.
    pub fn kinds(mut self, kinds: impl IntoIterator<Item = v1::EventKind>) -> Self {
        self.request.kinds = kinds.into_iter().map(Into::into).collect();
        self
    }
}

/// Some events, and the place after them.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct WatchMessage {
    /// The events, in order, each once. There may be none, where only the cursor moved. Skip an event whose kind you
    /// do not know.
    pub events: Vec<v1::Event>,
    /// The account of each event that has one still, once each, at least as new as its events. Only for callers with
    /// the role `read`.
    pub accounts: Vec<v1::InstagramAccount>,
    /// The place after these events, to be kept by those who keep it themselves.
    pub cursor: String,
    /// Whether all has been sent that was stored a moment ago.
    pub caught_up: bool,
}

/// End of a stream that only a person, or another beginning, can mend.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// What was to be watched after is gone, or the consumer never committed: something may have been missed. List all
    /// accounts, then watch after the `watch_cursor` of the first page.
    #[error("what happened meanwhile is not kept any more: list, then watch")]
    CursorExpired(#[source] Refusal),
    /// The service does not know the caller, or not any more.
    #[error("the caller is not known")]
    Unauthenticated(#[source] Refusal),
    /// The caller may not see this, or not any more.
    #[error("the caller may not watch this")]
    PermissionDenied(#[source] Refusal),
    /// The service does not take the request.
    #[error("the stream cannot be opened")]
    Refused(#[source] Refusal),
    /// The file with the bearer token could not be read, five times in a row as with a call. The refusal is the
    /// client's own, and names the file.
    #[error("the bearer token cannot be read")]
    BearerUnreadable(#[source] Refusal),
}

impl WatchError {
    /// The refusal by which the stream ended.
    #[must_use]
    pub fn refusal(&self) -> &Refusal {
        match self {
            Self::CursorExpired(refusal)
            | Self::Unauthenticated(refusal)
            | Self::PermissionDenied(refusal)
            | Self::Refused(refusal)
            | Self::BearerUnreadable(refusal) => refusal,
        }
    }
}

/// A stream of what happens to accounts: all of it, in order for each account, each event once for as long as the
/// stream lives.
///
/// It goes on after breaks, on a new connection, from where it was: with a consumer from what is committed. Events that
/// come again are left out, of the last 10,000; who has more that is not committed may see some twice. It waits between
/// two tries, for longer each time, up to ten seconds, until a stream has lived for a while again, and at least for as
/// long as the service asks. A connection on which nothing comes for 20 seconds counts as broken. It ends after the
/// first error, and only by one: see [`WatchError`].
///
/// It does nothing while it is not polled, and holds nobody's events but one message's.
pub struct Watch {
    messages: BoxStream<'static, Result<WatchMessage, WatchError>>,
    client: AccountsClient,
    consumer: String,
}

impl Watch {
    pub(crate) fn new(client: AccountsClient, options: WatchOptions) -> Self {
        let consumer = options.request.consumer.clone();
        let follower = Follower::new(client.clone(), options.request, options.auto_commit);
        let messages = unfold(Some(follower), |follower: Option<Follower>| async move {
            let mut follower = follower?;
            match follower.next().await {
                Ok(message) => Some((Ok(message), Some(follower))),
                Err(error) => Some((Err(error), None)),
            }
        });
        Self { messages: messages.boxed(), client, consumer }
    }

    /// The next message; waits for it. `None` after an error. May be dropped and called again.
    pub async fn next(&mut self) -> Option<Result<WatchMessage, WatchError>> {
        self.messages.next().await
    }

    /// Records that all up to this cursor is done by the stream's consumer, which begins there next time, here or
    /// elsewhere. An older cursor than the committed one changes nothing.
    ///
    /// # Errors
    ///
    /// The refusal of `CommitWatch`; [`Reason::InvalidField`] where the stream has no consumer.
    pub async fn commit(&self, cursor: &str) -> Result<(), Refusal> {
        commit(&self.client, &self.consumer, cursor).await
    }
}

impl Stream for Watch {
    type Item = Result<WatchMessage, WatchError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.messages.as_mut().poll_next(context)
    }
}

async fn commit(client: &AccountsClient, consumer: &str, cursor: &str) -> Result<(), Refusal> {
    let (consumer, cursor) = (consumer.to_owned(), cursor.to_owned());
    let request = v1::CommitWatchRequest { consumer, cursor };
    client.commit_watch(request).await.map(|v1::CommitWatchResponse {}| ())
}

/// The end of a stream that is so refused. `None` where it may go on.
fn end_of(refusal: &Refusal) -> Option<WatchError> {
    use tonic::Code;
    if refusal.reason() == Some(&Reason::CursorExpired) {
        return Some(WatchError::CursorExpired(refusal.clone()));
    }
    match refusal.code() {
        Code::Unauthenticated => Some(WatchError::Unauthenticated(refusal.clone())),
        Code::PermissionDenied => Some(WatchError::PermissionDenied(refusal.clone())),
        Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented => Some(WatchError::Refused(refusal.clone())),
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss => None,
    }
}

#[cfg(test)]
mod tests;
