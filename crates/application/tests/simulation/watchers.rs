//! Those who follow the events: one with a copy and a cursor of its own, and a named consumer.

use std::sync::Arc;

use ig_application::{
    CommitWatch, CommitWatchError, ListAccounts, ListAccountsQuery, OpenWatch, OpenWatchError,
    PurgeEvents, WatchCommand, WatchFrom, WatchStream,
};
use ig_domain::ports::{ConsumerKey, StoreError};
use ig_domain::{EventKind, EventPosition, OwnerScope};
use ig_test_support::builders::parsed;

use crate::calls::{Answer, Work};
use crate::event_ports::SomeKinds;
use crate::history::{History, REPLICAS, polled};
use crate::replica::Process;
use crate::told::FEED_KINDS;
use crate::world::World;

/// Maximum number of tasks of those who follow the events, and for them.
const MAX_WATCHERS: usize = 7;

/// Who follows the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Follower {
    /// One that keeps a copy of all accounts.
    Copy,
    /// A named consumer that is told some kinds.
    Feed,
}

/// The consumer.
pub(crate) fn feed() -> ConsumerKey {
    ConsumerKey { caller: parsed("publisher"), name: parsed("feed") }
}

/// A look of the poller of a replica.
pub(crate) fn poll_events(process: &Process) -> Work {
    let poller = Arc::clone(&process.poller);
    Box::pin(async move { Answer::Other(format!("polled: {:?}", poller.poll().await)) })
}

/// An extension of the leases that the streams of a replica have.
pub(crate) fn keep_consumers(process: &Process) -> Work {
    let holds = Arc::clone(&process.watch.holds);
    Box::pin(async move { Answer::Other(format!("kept: {:?}", holds.keep().await)) })
}

pub(crate) fn purge_events(process: &Process) -> Work {
    let purge = PurgeEvents::new(&process.watch);
    Box::pin(async move { Answer::Other(format!("purged: {:?}", purge.execute_round().await)) })
}

impl History {
    /// Somebody follows the events: the copy by one stream, the consumer by several.
    pub(crate) fn watch(&mut self) {
        let replica = self.world.roll(REPLICAS);
        let follower = if self.world.roll(2) == 0 { Follower::Copy } else { Follower::Feed };
        self.streams += 1;
        let stream = (self.streams, replica);
        let is_second =
            follower == Follower::Copy && !self.world.state().told.begins_copying(stream);
        if self.watchers.len() >= MAX_WATCHERS || is_second {
            self.world.state().told.end_streams(|ended| ended == stream);
            return self.follow();
        }
        self.world.note(|| format!("{follower:?} follows by stream {stream:?}"));
        let stream = Stream::new(&self.world, &self.processes[replica], follower, stream);
        self.watchers.begin(&self.world, replica, false, stream.follow());
    }

    /// A replica does something for its streams, unless it is at something still.
    pub(crate) fn serve_streams(&mut self, work: fn(&Process) -> Work) {
        let replica = self.world.roll(REPLICAS);
        if self.watchers.has_round(replica) {
            return self.follow();
        }
        let work = work(&self.processes[replica]);
        self.watchers.begin(&self.world, replica, true, work);
    }

    pub(crate) fn follow(&mut self) {
        let Some(task) = self.watchers.choose(&self.world, false) else { return };
        let number = task.number;
        if let Some(answer) = polled(&mut task.work) {
            self.watchers.remove(number);
            self.hear(answer);
        }
    }
}

/// A stream of a follower.
pub(crate) struct Stream {
    world: Arc<World>,
    open: OpenWatch,
    commit: CommitWatch,
    list: ListAccounts,
    follower: Follower,
    /// Number of the stream, and its replica.
    number: (u64, usize),
}

impl Stream {
    pub(crate) fn new(
        world: &Arc<World>,
        process: &Process,
        follower: Follower,
        number: (u64, usize),
    ) -> Self {
        let (accounts, clock) = (process.ports.store.accounts.clone(), process.ports.clock.clone());
        Self {
            world: Arc::clone(world),
            open: OpenWatch { watch: process.watch.clone() },
            commit: CommitWatch::new(&process.watch),
            list: ListAccounts { accounts, clock },
            follower,
            number,
        }
    }

    /// Follows until the stream ends.
    pub(crate) fn follow(self) -> Work {
        Box::pin(async move {
            let ended = self.run(false).await;
            self.world.state().told.end_streams(|stream| stream == self.number);
            Answer::Watched(self.follower, ended)
        })
    }

    /// Follows until all is told.
    pub(crate) fn catch_up(self) -> Work {
        Box::pin(async move { Answer::Watched(self.follower, self.run(true).await) })
    }

    async fn run(&self, ends: bool) -> String {
        let (mut stream, mut before) = match self.opened().await {
            Ok(opened) => opened,
            Err(error) => return format!("not opened: {error:?}"),
        };
        loop {
            let begin = self.world.state().rules.tick();
            let message = match stream.next().await {
                Ok(message) => message,
                Err(end) => return format!("ended: {end:?}"),
            };
            self.world.hear_message(self.follower, self.number, (before, begin), &message);
            before = message.cursor.or(before);
            if let (Follower::Feed, Some(cursor)) = (self.follower, message.cursor)
                && (ends || self.world.roll(2) == 0)
            {
                self.commit(cursor).await;
            }
            if ends && message.caught_up {
                return "caught up".to_owned();
            }
        }
    }

    /// Opens the stream. Returns it with its position, where that is known.
    async fn opened(&self) -> Result<(WatchStream, Option<EventPosition>), OpenWatchError> {
        match self.follower {
            Follower::Copy => {
                let cursor = self.world.state().told.cursor;
                let cursor = match cursor {
                    Some(cursor) => cursor,
                    None => self.list().await?,
                };
                Ok((self.open_behind(cursor).await?, Some(cursor)))
            }
            Follower::Feed => Ok((self.open_feed().await?, None)),
        }
    }

    async fn open_behind(&self, cursor: EventPosition) -> Result<WatchStream, OpenWatchError> {
        let was_purged = self.is_purged(cursor);
        let opened = self.open.execute(self.command(Some(WatchFrom::After(cursor)))).await;
        match &opened {
            Ok(_) if was_purged => {
                self.world.violate("a stream was opened behind events that are purged");
            }
            Err(OpenWatchError::CursorExpired) => self.world.state().told.cursor = None,
            _ => {}
        }
        opened
    }

    async fn open_feed(&self) -> Result<WatchStream, OpenWatchError> {
        match self.open.execute(self.command(None)).await {
            Err(OpenWatchError::CursorExpired) => {}
            opened => return opened,
        }
        // It lists all accounts, and goes on from there.
        let head = self.open.position_before_now().await?;
        self.world.record_events();
        self.world.state().told.handle(head.number);
        self.open.execute(self.command(Some(WatchFrom::After(head)))).await
    }

    fn command(&self, from: Option<WatchFrom>) -> WatchCommand {
        let (consumer, kinds) = match self.follower {
            Follower::Copy => (None, EventKind::ALL.to_vec()),
            Follower::Feed => (Some(feed()), FEED_KINDS.to_vec()),
        };
        WatchCommand { from, consumer, rights: Box::new(SomeKinds(kinds)) }
    }

    /// Makes the copy anew. Returns the cursor that was taken before.
    async fn list(&self) -> Result<EventPosition, StoreError> {
        let head = self.open.position_before_now().await?;
        let owners = OwnerScope::everyone();
        let query = ListAccountsQuery { owners, status: None, after: None, limit: 100 };
        let listed = self.list.execute(query).await?.accounts.into_iter();
        let copy = listed.map(|view| (view.account.id, view.account)).collect();
        let mut state = self.world.state();
        (state.told.copy, state.told.cursor) = (copy, Some(head));
        Ok(head)
    }

    /// Handles all events up to `cursor`, and commits it.
    async fn commit(&self, cursor: EventPosition) {
        self.world.state().told.handle(cursor.number);
        let was_purged = self.is_purged(cursor);
        let committed = self.commit.execute(&feed(), &cursor).await;
        if was_purged && committed.is_ok() {
            self.world.violate("a cursor was committed behind which events are purged");
        }
        if let Err(CommitWatchError::CursorExpired) = committed {
            self.world.note(|| "  the cursor has expired");
        }
    }

    fn is_purged(&self, cursor: EventPosition) -> bool {
        self.world.log_state().is_some_and(|log| cursor.number < log.purged.number)
    }
}
