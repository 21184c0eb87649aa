//! Rules about events: each change has one, and a stream tells all that it is to tell.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use futures_util::FutureExt as _;
use ig_application::WatchMessage;
use ig_domain::ports::{AccountPage, AccountReader, EventLog as _, LogState};
use ig_domain::{
    AccountEvent, AccountId, EventId, EventKind, EventPosition, InstagramAccount, LoggedEvent,
    OwnerScope, UnlinkCause,
};
use ig_test_support::contract::consumers::committed;

use crate::imports::Imports;
use crate::removals::Removals;
use crate::rules::Tick;
use crate::updates::update_of;
use crate::watchers::{Follower, feed};
use crate::world::{State, World};

/// The kinds of events that the consumer is told; the others are hidden from it.
pub(crate) const FEED_KINDS: [EventKind; 4] = [
    EventKind::Linked,
    EventKind::ReauthorizationRequired,
    EventKind::Unlinked,
    EventKind::Webhook,
];

/// The events so far, and those who follow them.
#[derive(Default)]
pub(crate) struct Told {
    /// All events that ever had a number, by it.
    log: BTreeMap<i64, LoggedEvent>,
    /// The last revision of each account that was told.
    revisions: BTreeMap<AccountId, i64>,
    /// Accounts as one knows them who follows the events with a cursor of its own.
    pub(crate) copy: BTreeMap<AccountId, InstagramAccount>,
    /// The cursor of the copy; `None` where it is to be made anew.
    pub(crate) cursor: Option<EventPosition>,
    /// Numbers of updates that were erased, each with the moment.
    erased: BTreeMap<i64, Tick>,
    /// Numbers of events for the consumer that nobody has handled.
    unhandled: BTreeSet<i64>,
    /// The stream of the copy, and its replica.
    copying: Option<(u64, usize)>,
    /// The stream that holds the consumer, and its replica.
    holder: Option<(u64, usize)>,
    /// Streams whose lease ran out.
    outlived: BTreeSet<u64>,
}

impl Told {
    fn is_told(follower: Follower, event: &LoggedEvent) -> bool {
        let event = event.event.as_ref();
        event.is_some_and(|event| {
            follower == Follower::Copy || FEED_KINDS.contains(&event.change.kind())
        })
    }

    /// Whether the event has got a number.
    pub(crate) fn is_numbered(&self, id: EventId) -> bool {
        self.log.values().any(|event| event.id == id)
    }

    /// Notes that the update of this number was erased: it is told to nobody from now on.
    pub(crate) fn erase(&mut self, number: i64, now: Tick) {
        self.erased.entry(number).or_insert(now);
        self.unhandled.remove(&number);
    }

    /// Whether a stream may pass an event over: an update that was erased.
    fn may_be_passed(&self, event: &LoggedEvent) -> bool {
        self.erased.contains_key(&event.number)
    }

    /// Handles all events for the consumer up to this number.
    pub(crate) fn handle(&mut self, number: i64) {
        self.unhandled = self.unhandled.split_off(&(number + 1));
    }

    /// Leases ran out: whoever holds the consumer does not know.
    pub(crate) fn outlive(&mut self) {
        self.outlived.extend(self.holder.take().map(|(stream, _)| stream));
    }

    /// Whether the copy has no stream, and gets this one.
    pub(crate) fn begins_copying(&mut self, stream: (u64, usize)) -> bool {
        *self.copying.get_or_insert(stream) == stream
    }

    /// Forgets the streams that have ended.
    pub(crate) fn end_streams(&mut self, ended: impl Fn((u64, usize)) -> bool) {
        self.copying = self.copying.filter(|stream| !ended(*stream));
        self.holder = self.holder.filter(|stream| !ended(*stream));
    }

    /// A message came to the stream of the consumer: no other stream has got one since it took the consumer.
    fn check_holder(&mut self, stream: (u64, usize)) -> Option<String> {
        if self.outlived.contains(&stream.0) {
            return None;
        }
        let former = self.holder.replace(stream);
        let other = former.filter(|former| *former != stream)?;
        Some(format!("two streams hold one consumer: {other:?} and {stream:?}"))
    }

    /// The message tells all events behind `before`, or behind the one before its first event, up to its cursor; it may
    /// pass over updates that were erased.
    fn check_events(
        &self,
        follower: Follower,
        before: Option<EventPosition>,
        message: &WatchMessage,
    ) -> Option<String> {
        let cursor = message.cursor?;
        let first = message.events.first().map(|event| event.number - 1);
        let start = before.map(|before| before.number).or(first).unwrap_or(cursor.number);
        let due = self.log.range(start + 1..(cursor.number + 1).max(start + 1));
        let sent: Vec<_> = message.events.iter().map(|event| event.id).collect();
        let is_due = |event: &LoggedEvent| sent.contains(&event.id) || !self.may_be_passed(event);
        let due = due.filter(|(_, event)| Self::is_told(follower, event) && is_due(event));
        let due: Vec<EventId> = due.map(|(_, event)| event.id).collect();
        let text = || format!("a stream told {sent:?} up to {}, not {due:?}", cursor.number);
        (due != sent).then(text)
    }

    /// A message that was asked for at `begin` tells no update that was erased before.
    fn check_erased(&self, begin: Tick, message: &WatchMessage) -> Option<String> {
        let mut numbers = message.events.iter().map(|event| event.number);
        let is_erased = |number: &i64| self.erased.get(number).is_some_and(|then| *then < begin);
        let erased = numbers.find(is_erased)?;
        Some(format!("a stream tells event {erased}, an update that was erased before"))
    }

    /// Takes over what a message says of accounts.
    fn take_over(&mut self, message: &WatchMessage) -> Option<String> {
        let mut stale = None;
        for event in message.events.iter().filter_map(|event| event.event.as_ref()) {
            let id = event.account_id;
            let mut shown = message.accounts.iter().map(|view| &view.account);
            match shown.find(|account| account.id == id) {
                Some(account) if account.revision < event.revision => {
                    stale = Some(format!("{id} came older than its event {}", event.revision));
                }
                Some(account) => drop(self.copy.insert(id, account.clone())),
                None => drop(self.copy.remove(&id)),
            }
        }
        self.cursor = message.cursor.or(self.cursor);
        stale
    }
}

impl World {
    /// The store's own look at its log.
    pub(crate) fn log_state(&self) -> Option<LogState> {
        self.store.look(None).now_or_never()?.ok()
    }

    /// All accounts, also those whose token is destroyed.
    pub(crate) fn all_accounts(&self) -> BTreeMap<AccountId, InstagramAccount> {
        let owners = OwnerScope::everyone();
        let page = AccountPage { owners, status: None, after: None, limit: u64::from(u32::MAX) };
        let all = AccountReader::list(&self.store, &page).now_or_never();
        let all = all.and_then(Result::ok).unwrap_or_default();
        all.into_iter().map(|account| (account.id, account)).collect()
    }

    /// Remembers the events that have got their numbers.
    pub(crate) fn record_events(&self) {
        let events = self.store.events();
        let mut state = self.state();
        let state = &mut *state;
        let recorded = state.told.log.last_key_value().map_or(0, |(number, _)| *number);
        for logged in events.into_iter().filter(|event| event.number > recorded) {
            let Some(event) = &logged.event else { continue };
            let last = state.told.revisions.insert(event.account_id, event.revision);
            // An update comes to an account as it is.
            let next = event.revision + i64::from(event.change.kind() == EventKind::Webhook);
            if last.is_some_and(|last| last >= next) {
                state.violate(format!("{} is told out of order", event.account_id));
            }
            if Told::is_told(Follower::Feed, &logged) {
                state.told.unhandled.insert(logged.number);
            }
            state.told.log.insert(logged.number, logged);
        }
    }

    /// Hears a message of a stream that asked for it at `begin`.
    pub(crate) fn hear_message(
        &self,
        follower: Follower,
        stream: (u64, usize),
        (before, begin): (Option<EventPosition>, Tick),
        message: &WatchMessage,
    ) {
        self.record_events();
        self.note(|| format!("  told {} events, {:?}", message.events.len(), message.cursor));
        let mut state = self.state();
        let state = &mut *state;
        state.check_told_updates(message);
        let mut broken = vec![
            state.told.check_events(follower, before, message),
            state.told.check_erased(begin, message),
        ];
        if message.cursor.is_some() {
            broken.push(match follower {
                Follower::Copy => state.told.take_over(message),
                Follower::Feed => state.told.check_holder(stream),
            });
        }
        broken.into_iter().flatten().for_each(|what| state.violate(what));
    }

    /// No event for the consumer is committed that nobody has handled.
    fn check_committed(&self) {
        let committed = committed(&self.store, &feed()).now_or_never();
        let Some(committed) = committed.flatten() else { return };
        let mut state = self.state();
        let first = state.told.unhandled.first().copied();
        if let Some(first) = first.filter(|first| *first <= committed.number) {
            let cursor = committed.number;
            state.violate(format!("the committed cursor {cursor} passed event {first}"));
        }
    }
}

impl World {
    /// At the end the copy is as the store, and every event for the consumer is handled.
    pub(crate) fn check_followers(&self) {
        let stored = self.all_accounts();
        let mut state = self.state();
        let state = &mut *state;
        let copy = &state.told.copy;
        let differs = |account: &&InstagramAccount| {
            let copied = copy.get(&account.id);
            copied.is_none_or(|copied| AccountEvent::between(copied, account).is_some())
        };
        let gone = copy.keys().find(|id| !stored.contains_key(*id));
        let differs = stored.values().find(differs).map(|account| &account.id).or(gone).copied();
        if let Some(id) = differs {
            state.violate(format!("the copy of {id} is not as the store has it"));
        }
        if let Some(first) = state.told.unhandled.first().copied() {
            state.violate(format!("event {first} was told to no stream of the consumer"));
        }
    }
}

/// Changes since the step before, each with its event.
#[derive(Default)]
pub(crate) struct Changes {
    before: BTreeMap<AccountId, InstagramAccount>,
    seen: HashSet<EventId>,
}

impl Changes {
    /// Compares the accounts with those after the step before, and the events with what changed.
    pub(crate) fn check(&mut self, world: &World) {
        let head = world.log_state().map_or(0, |log| log.head.number);
        let recorded = world.state().told.log.last_key_value().map_or(0, |(number, _)| *number);
        if recorded < head {
            world.record_events();
        }
        world.check_committed();
        let after = world.all_accounts();
        if after == self.before {
            return;
        }
        let mut expected = {
            let State { removals, imports, .. } = &mut *world.state();
            changes(&self.before, &after, removals, imports)
        };
        let mut told = Vec::new();
        for logged in world.store.events() {
            if self.seen.insert(logged.id) && update_of(&logged).is_none() {
                told.extend(logged.event);
            }
        }
        if !is_displaced_first(&told) {
            world.violate("the account of another owner is told to be gone after its link");
        }
        let order = |event: &AccountEvent| (event.account_id, event.revision);
        told.sort_by_key(order);
        expected.sort_by_key(order);
        if told != expected {
            world.violate(format!("the events of a change are {told:?}, not {expected:?}"));
        }
        world.check_removals();
        self.before = after;
    }
}

/// The events of what changed.
fn changes(
    before: &BTreeMap<AccountId, InstagramAccount>,
    after: &BTreeMap<AccountId, InstagramAccount>,
    removals: &mut Removals,
    imports: &Imports,
) -> Vec<AccountEvent> {
    let is_linked = |gone: &InstagramAccount| {
        let same = |account: &InstagramAccount| {
            account.professional_account_id == gone.professional_account_id
        };
        after.values().any(same)
    };
    let gone = before.values().filter(|account| !after.contains_key(&account.id));
    let gone = gone.map(|account| {
        removals.note_gone(account);
        if removals.has_deleted(account.id) {
            return AccountEvent::deleted(account);
        }
        let displaced = is_linked(account);
        let cause = if displaced { UnlinkCause::OtherOwner } else { UnlinkCause::Unlink };
        AccountEvent::unlinked(account, cause)
    });
    let stored = after.values().filter_map(|account| match before.get(&account.id) {
        Some(former) if former.revision == account.revision => None,
        former if imports.made(account) => Some(AccountEvent::imported(former, account)),
        Some(former) => AccountEvent::between(former, account),
        None => Some(AccountEvent::linked(account)),
    });
    gone.chain(stored).collect()
}

/// Whether each account that another owner's link displaced is gone before that link.
fn is_displaced_first(told: &[AccountEvent]) -> bool {
    told.iter().enumerate().all(|(index, event)| {
        let is_gone = event.change.kind() == EventKind::Unlinked;
        let earlier = &told[..index];
        let same = |other: &AccountEvent| {
            other.professional_account_id == event.professional_account_id
                && other.account_id != event.account_id
        };
        !is_gone || !earlier.iter().any(same)
    })
}
