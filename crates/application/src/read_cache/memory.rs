//! What is in memory, and which readings may still be kept.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use ig_domain::ports::AccountKey;
use ig_domain::{AccountId, InstagramId};
use quick_cache::sync::Cache;

use super::weight::{AccountWeight, IndexWeight, TYPICAL_ACCOUNT, TYPICAL_INDEX_ENTRY};
use crate::ReadAccount;

/// Part of the memory that the index takes: one of so many.
const INDEX_SHARE: u64 = 8;

/// Maximum number of changes that are remembered for the readings which are under way. What is read while more happen is
/// not kept. Ours: a call to the store takes seconds at most, and mostly a few milliseconds.
const MAX_CHANGES: usize = 4096;

/// An account, and the moment before its reading.
#[derive(Clone)]
pub(super) struct Remembered {
    pub(super) account: Arc<ReadAccount>,
    pub(super) reading_time: Instant,
}

/// Accounts by their ids.
pub(super) struct Memory {
    accounts: Cache<AccountId, Remembered, AccountWeight>,
    /// Accounts by their professional ids, and by no other: such an id is one account's only, for as long as that is
    /// linked, and goes before whatever else an account of this id may be found by. So an entry leads to its account or,
    /// once that is forgotten, nowhere.
    index: Cache<InstagramId, AccountId, IndexWeight>,
    changes: Mutex<Changes>,
}

/// Changes that were heard of.
#[derive(Default)]
struct Changes {
    number: u64,
    /// The accounts of the last ones, oldest first. A change that may have been of any account is not among them, and
    /// none that came before it.
    accounts: VecDeque<AccountId>,
}

/// A reading from the store that has begun.
pub(super) struct Reading {
    /// Number of changes that were heard of before.
    changes: u64,
    time: Instant,
}

impl Memory {
    /// Memory of so many bytes.
    pub(super) fn new(capacity: u64) -> Self {
        let index = capacity / INDEX_SHARE;
        let items =
            |capacity: u64, typical| usize::try_from(capacity / typical).unwrap_or(usize::MAX);
        let accounts = capacity - index;
        Self {
            accounts: Cache::with_weighter(
                items(accounts, TYPICAL_ACCOUNT),
                accounts,
                AccountWeight,
            ),
            index: Cache::with_weighter(items(index, TYPICAL_INDEX_ENTRY), index, IndexWeight),
            changes: Mutex::default(),
        }
    }

    /// The account with this key.
    pub(super) fn find(&self, key: &AccountKey) -> Option<Remembered> {
        match key {
            AccountKey::Id(id) => self.accounts.get(id),
            AccountKey::Instagram(id) => self.accounts.get(&self.index.get(id)?),
            // A handle changes its account without anything happening to the one that had it.
            AccountKey::Username(_) => None,
        }
    }

    pub(super) fn begin_reading(&self, time: Instant) -> Reading {
        Reading { changes: self.changes().number, time }
    }

    /// Keeps an account that was read by `key`, unless it may have changed since, or a later reading is there.
    pub(super) fn keep(&self, reading: &Reading, key: &AccountKey, account: &Arc<ReadAccount>) {
        // Held until it is kept: a change that comes meanwhile forgets it afterwards.
        let changes = self.changes();
        if changes.may_have_changed(account.id, reading) {
            return;
        }
        let is_later = |kept: Remembered| kept.reading_time > reading.time;
        if !self.accounts.peek(&account.id).is_some_and(is_later) {
            let account = Arc::clone(account);
            self.accounts.insert(account.id, Remembered { account, reading_time: reading.time });
        }
        if let AccountKey::Instagram(id) = key
            && id.as_str() == account.professional_account_id.as_str()
        {
            self.index.insert(id.clone(), account.id);
        }
    }

    /// Forgets an account, and what is being read of it.
    pub(super) fn forget(&self, id: AccountId) {
        self.changes().note(id);
        self.accounts.remove(&id);
    }

    /// Forgets all, and what is being read.
    pub(super) fn forget_all(&self) {
        self.changes().note_all();
        self.accounts.clear();
        self.index.clear();
    }

    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Changes {
    fn note(&mut self, account: AccountId) {
        if self.accounts.len() == MAX_CHANGES {
            self.accounts.pop_front();
        }
        self.accounts.push_back(account);
        self.number += 1;
    }

    fn note_all(&mut self) {
        self.accounts.clear();
        self.number += 1;
    }

    fn may_have_changed(&self, account: AccountId, reading: &Reading) -> bool {
        let since = usize::try_from(self.number - reading.changes).unwrap_or(usize::MAX);
        since > self.accounts.len()
            || self.accounts.iter().rev().take(since).any(|changed| *changed == account)
    }
}

#[cfg(test)]
mod tests;
