//! Rules about updates: each that was answered well is in the log once, under its own account, and is told as it came. Where
//! that was linked anew, it is once more if it comes again.

use std::collections::{BTreeMap, BTreeSet};

use ig_application::WatchMessage;
use ig_domain::{
    AccountId, EventChange, EventId, InstagramAccount, LoggedEvent, ReceivedUpdate, WebhookId,
};

use crate::rules::Tick;
use crate::world::{State, World};

/// The updates so far, and what became of them.
#[derive(Default)]
pub(crate) struct Updates {
    /// All that Instagram sent.
    sent: BTreeMap<WebhookId, ReceivedUpdate>,
    /// When the store was last asked to store each, and did what it should.
    judged: BTreeMap<WebhookId, Tick>,
    /// The event of each that was stored, by its account.
    stored: BTreeMap<(WebhookId, AccountId), EventId>,
    /// Those that were stored, and erased.
    erased: BTreeSet<(WebhookId, AccountId)>,
    /// Batches that were not answered well, by their numbers.
    pub(crate) unanswered: BTreeMap<u64, Vec<ReceivedUpdate>>,
    /// Number of batches.
    batches: u64,
}

/// Id of the update that an event tells; `None` where it tells something else, or the update was erased.
pub(crate) fn update_of(logged: &LoggedEvent) -> Option<WebhookId> {
    match &logged.event.as_ref()?.change {
        EventChange::Webhook(update) => Some(update.id),
        _ => None,
    }
}

/// The account that an event is about; `None` where that was erased.
fn account_of(logged: &LoggedEvent) -> Option<AccountId> {
    logged.event.as_ref().map(|event| event.account_id)
}

impl Updates {
    /// Instagram sends a batch. Returns its number.
    pub(crate) fn send(&mut self, batch: &[ReceivedUpdate]) -> u64 {
        self.batches += 1;
        self.sent.extend(batch.iter().map(|received| (received.update.id, received.clone())));
        self.unanswered.insert(self.batches, batch.to_vec());
        self.batches
    }

    /// What an event tells of an update, and its payload, are what Instagram sent.
    fn check_told(&self, logged: &LoggedEvent, message: &WatchMessage) -> Option<String> {
        let event = logged.event.as_ref()?;
        let EventChange::Webhook(update) = &event.change else { return None };
        let sent = self.sent.get(&update.id)?;
        let is_its_own = event.professional_account_id == sent.account
            && *update == sent.update
            && message.payloads.get(&logged.number) == sent.payload.as_ref();
        (!is_its_own).then(|| format!("event {} tells another update than came", logged.number))
    }
}

impl State {
    /// Checks the updates of a message.
    pub(crate) fn check_told_updates(&mut self, message: &WatchMessage) {
        for event in &message.events {
            if let Some(broken) = self.updates.check_told(event, message) {
                self.violate(broken);
            }
        }
    }

    /// Checks the one event of an update. `account` is the one under which it must be stored now; `None` where it was
    /// stored before, or is to be left out.
    fn judge_stored(
        &mut self,
        received: &ReceivedUpdate,
        logged: &LoggedEvent,
        account: Option<AccountId>,
    ) {
        let Some(event) = &logged.event else { return };
        let id = received.update.id;
        let place = (id, event.account_id);
        if account.is_some() {
            self.updates.stored.insert(place, logged.id);
        }
        let is_known = self.updates.stored.get(&place) == Some(&logged.id);
        let is_its_own = event.professional_account_id == received.account
            && account.is_none_or(|account| account == event.account_id);
        if !is_known || !is_its_own {
            let other = event.account_id;
            self.violate(format!("update {id} is stored under {other}, whose it is not"));
        }
    }
}

impl World {
    /// Checks that the store did what it should with updates, given the accounts and the events as they were before.
    pub(crate) fn judge_updates(
        &self,
        updates: &[ReceivedUpdate],
        accounts: &BTreeMap<AccountId, InstagramAccount>,
        before: &[LoggedEvent],
    ) {
        let after = self.store.events();
        for received in updates {
            let id = received.update.id;
            let mut linked = accounts.values();
            let account = linked.find(|linked| linked.professional_account_id == received.account);
            let found: Vec<_> = after.iter().filter(|event| update_of(event) == Some(id)).collect();
            let mut state = self.state();
            let state = &mut *state;
            let is_late = state.removals.is_deleted(&received.account, received.update.time);
            let tick = state.rules.tick();
            state.updates.judged.insert(id, tick);
            let account = account.filter(|_| !is_late).map(|account| account.id);
            for event in &found {
                let is_new = before.iter().all(|known| known.id != event.id);
                state.judge_stored(received, event, account.filter(|_| is_new));
            }
            let mut under: Vec<_> = found.iter().filter_map(|event| account_of(event)).collect();
            under.sort_unstable();
            if under.windows(2).any(|two| two[0] == two[1]) {
                state.violate(format!("update {id} is in the log {} times", found.len()));
            }
            let is_lost = |account| {
                !under.contains(&account) && !state.updates.erased.contains(&(id, account))
            };
            if account.is_some_and(is_lost) {
                state.violate(format!("update {id} is lost"));
            }
        }
    }

    /// Checks a batch that was answered well: since `begin` the store has judged each of its updates.
    pub(crate) fn check_answered(&self, batch: &[ReceivedUpdate], begin: Tick) {
        let mut state = self.state();
        for ReceivedUpdate { update, .. } in batch {
            if state.updates.judged.get(&update.id).is_none_or(|judged| *judged < begin) {
                state.violate(format!("update {} was answered, and not stored", update.id));
            }
        }
    }

    /// Checks that each update that was stored had its place in the log, unless it was erased.
    pub(crate) fn check_all_told(&self) {
        let mut state = self.state();
        let State { updates, told, .. } = &*state;
        let mut stored =
            updates.stored.iter().filter(|(place, _)| !updates.erased.contains(*place));
        let lost = stored.find(|(_, event)| !told.is_numbered(**event)).map(|(place, _)| place.0);
        if let Some(id) = lost {
            state.violate(format!("update {id} is lost: it was stored, and never got a number"));
        }
    }

    /// Remembers which updates are erased.
    pub(crate) fn note_erased(&self) {
        let events = self.store.events();
        let mut state = self.state();
        let state = &mut *state;
        let tick = state.rules.tick();
        for logged in events.iter().filter(|logged| logged.event.is_none()) {
            let mut stored = state.updates.stored.iter();
            let update = stored.find(|(_, event)| **event == logged.id).map(|(place, _)| *place);
            state.updates.erased.extend(update);
            state.told.erase(logged.number, tick);
        }
    }
}
