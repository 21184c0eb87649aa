//! Rules about the order of events: renewals, witnesses, and the breaker.

use std::collections::{BTreeMap, BTreeSet};

use ig_domain::AccountId;
use time::OffsetDateTime;

/// Number of an event: the later, the higher.
pub(crate) type Tick = u64;

/// Events so far, as far as rules depend on their order.
#[derive(Default)]
pub(crate) struct Rules {
    now: Tick,
    /// The last event of each replica after which a renewal of its own may be repeated: a request or an answer was
    /// lost, or it stopped.
    excuses: BTreeMap<usize, Tick>,
    /// When nobody held the lease of an account last.
    unheld: BTreeMap<AccountId, Tick>,
    /// Tokens whose holder may have outlived its lease.
    outlived: BTreeSet<String>,
    /// Tokens that were renewed, each with the replica that did it first, and the moment before its claim.
    renewed: BTreeMap<String, (usize, Tick)>,
    /// When a person's token was last seen to work.
    well: BTreeMap<u32, Tick>,
    /// When there was last nobody but this account to be asked.
    alone: BTreeMap<AccountId, Tick>,
    /// The moment until which the visit of an account without a token was put off last.
    put_off: BTreeMap<AccountId, OffsetDateTime>,
    /// When the breaker opened; `None` while it is closed.
    open: Option<Tick>,
    /// The last opening by the clock, and when the breaker first opened at that moment.
    last_opening: Option<(OffsetDateTime, Tick)>,
}

impl Rules {
    /// A new event.
    pub(crate) fn tick(&mut self) -> Tick {
        self.now += 1;
        self.now
    }

    pub(crate) fn excuse(&mut self, replica: usize) {
        let now = self.tick();
        self.excuses.insert(replica, now);
    }

    pub(crate) fn unheld(&mut self, account: AccountId) {
        let now = self.tick();
        self.unheld.insert(account, now);
    }

    pub(crate) fn outlive(&mut self, token: &str) {
        self.outlived.insert(token.to_owned());
    }

    /// Notes that Instagram renewed the token, which was the account's, for a replica. Returns whether that was allowed:
    /// not a second time, but where the replica that renewed it first has had an excuse since its claim.
    pub(crate) fn may_renew(
        &mut self,
        replica: usize,
        token: &str,
        account: Option<AccountId>,
    ) -> bool {
        if let Some((first, claimed)) = self.renewed.get(token) {
            let is_excused = self.excuses.get(first).is_some_and(|excuse| excuse >= claimed);
            return is_excused || self.outlived.contains(token);
        }
        let unheld = account.and_then(|account| self.unheld.get(&account).copied());
        self.renewed.insert(token.to_owned(), (replica, unheld.unwrap_or(0)));
        true
    }

    pub(crate) fn testify(&mut self, person: u32) {
        let now = self.tick();
        self.well.insert(person, now);
    }

    pub(crate) fn leave_alone(&mut self, account: AccountId) {
        let now = self.tick();
        self.alone.insert(account, now);
    }

    /// Whether, after `since`, another person's token was seen to work, or there was nobody else to be asked.
    pub(crate) fn has_witness(&self, account: AccountId, person: u32, since: Tick) -> bool {
        let others = self.well.iter().filter(|(other, _)| **other != person);
        let mut moments = others.map(|(_, moment)| moment).chain(self.alone.get(&account));
        moments.any(|moment| *moment > since)
    }

    /// A visit that found no token puts the account off, though it may have been linked anew meanwhile.
    pub(crate) fn note_put_off(&mut self, account: AccountId, until: OffsetDateTime) {
        self.put_off.insert(account, until);
    }

    pub(crate) fn put_off(&self, account: AccountId) -> Option<OffsetDateTime> {
        self.put_off.get(&account).copied()
    }

    pub(crate) fn open_breaker(&mut self, since_time: OffsetDateTime) {
        let now = self.tick();
        if self.open.is_none() {
            self.open = Some(now);
            // The clock cannot tell two openings at one moment apart.
            let same = self.last_opening.filter(|(time, _)| *time == since_time);
            self.last_opening = Some(same.unwrap_or((since_time, now)));
        }
    }

    /// Returns whether the breaker may close: a token was seen to work, or there was nobody to be asked, since it
    /// opened.
    pub(crate) fn close_breaker(&mut self) -> bool {
        self.open = None;
        let opened = self.last_opening.map_or(0, |(_, tick)| tick);
        self.well.values().chain(self.alone.values()).any(|moment| *moment > opened)
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Whether the breaker was open at `then`, and is still.
    pub(crate) fn is_open_since(&self, then: Tick) -> bool {
        self.open.is_some_and(|open| open < then)
    }
}
