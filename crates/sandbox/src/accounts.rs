//! All accounts of the sandbox, found by username and by either id without a search.

use std::collections::HashMap;

use crate::account::{Account, NewAccount};
use crate::seed::Seed;

/// Number of accounts that are there from the start.
const SEEDED_ACCOUNTS: usize = 4;
/// Maximum number of accounts: 100,000 beside the seeded ones.
const MAX_ACCOUNTS: usize = SEEDED_ACCOUNTS + 100_000;
/// Maximum number of accounts that are put at once.
const MAX_BATCH_SIZE: usize = 1_000;

/// Index of the account of a code or token, which stays when its names change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct AccountIndex(usize);

/// All accounts, in the order in which they came; none ever goes.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    list: Vec<Account>,
    /// By username in lower case.
    by_username: HashMap<String, AccountIndex>,
    by_user_id: HashMap<String, AccountIndex>,
    by_id: HashMap<String, AccountIndex>,
}

/// A placed account, and the one that was there before.
type Placed = (AccountIndex, Option<Account>);

impl Accounts {
    /// A business, a creator, a personal account, and a business without name and picture.
    pub(crate) fn seeded(seed: &mut Seed) -> Self {
        let mut account = |username: &str, name: Option<&str>, kind: &str, counts: [u64; 3]| {
            let [followers_count, follows_count, media_count] = counts;
            let picture = |_| format!("https://cdn.sandbox.example/{username}.jpg?oe=6A1B2C3D");
            Account {
                username: username.to_owned(),
                user_id: seed.professional_id().to_string(),
                id: seed.app_scoped_id().to_string(),
                name: name.map(str::to_owned),
                kind: kind.to_owned(),
                followers_count,
                follows_count,
                media_count,
                profile_picture_url: name.map(picture),
            }
        };
        let seeded: [Account; SEEDED_ACCOUNTS] = [
            account("harbour.bakery", Some("Harbour Bakery"), "BUSINESS", [12_840, 310, 428]),
            account("mira.paints", Some("Mira Lindqvist"), "MEDIA_CREATOR", [98_412, 702, 1_263]),
            account("jonas_private", Some("Jonas"), "PERSONAL", [148, 201, 37]),
            account("plain_shop", None, "BUSINESS", [0, 0, 0]),
        ];
        let mut accounts = Self::default();
        for account in seeded {
            accounts.place(None, account);
        }
        accounts
    }

    /// The accounts behind the first `after`, `limit` at most.
    pub(crate) fn page(&self, after: usize, limit: usize) -> &[Account] {
        let rest = self.list.get(after..).unwrap_or_default();
        rest.get(..limit).unwrap_or(rest)
    }

    pub(crate) fn count(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn get(&self, key: AccountIndex) -> Option<&Account> {
        self.list.get(key.0)
    }

    /// Finds an account by its username, in any case.
    pub(crate) fn find(&self, username: &str) -> Option<(AccountIndex, &Account)> {
        let key = *self.by_username.get(&username.to_ascii_lowercase())?;
        self.get(key).map(|account| (key, account))
    }

    /// Finds an account by its professional id.
    pub(crate) fn find_user_id(&self, user_id: &str) -> Option<(AccountIndex, &Account)> {
        let key = *self.by_user_id.get(user_id)?;
        self.get(key).map(|account| (key, account))
    }

    /// Finds an account by its app-scoped id.
    pub(crate) fn find_id(&self, id: &str) -> Option<(AccountIndex, &Account)> {
        let key = *self.by_id.get(id)?;
        self.get(key).map(|account| (key, account))
    }

    /// Adds an account, or replaces the one with this username or, for a rename, with this `user_id`.
    pub(crate) fn put(&mut self, new: NewAccount, seed: &mut Seed) -> Result<AccountIndex, String> {
        self.try_place(new, seed).map(|(key, _)| key)
    }

    /// Puts accounts one after another, all or none.
    pub(crate) fn put_all(
        &mut self,
        batch: Vec<NewAccount>,
        seed: &mut Seed,
    ) -> Result<Vec<AccountIndex>, String> {
        if batch.len() > MAX_BATCH_SIZE {
            return Err(format!("a list holds {MAX_BATCH_SIZE} accounts at most"));
        }
        let mut placed = Vec::with_capacity(batch.len());
        for new in batch {
            match self.try_place(new, seed) {
                Ok(done) => placed.push(done),
                Err(reason) => {
                    let position = placed.len() + 1;
                    self.undo(placed);
                    return Err(format!("account {position} of the list: {reason}"));
                }
            }
        }
        Ok(placed.into_iter().map(|(key, _)| key).collect())
    }

    /// Counts one more post of an account.
    pub(crate) fn count_post(&mut self, key: AccountIndex) {
        if let Some(account) = self.list.get_mut(key.0) {
            account.media_count = account.media_count.saturating_add(1);
        }
    }

    fn try_place(&mut self, new: NewAccount, seed: &mut Seed) -> Result<Placed, String> {
        new.check()?;
        let by_name = self.find(&new.username).map(|(key, _)| key);
        let by_user_id = new.user_id.as_ref().and_then(|id| self.by_user_id.get(id)).copied();
        let key = by_name.or(by_user_id);
        if by_user_id.is_some() && by_user_id != key {
            return Err("`user_id` belongs to another account".to_owned());
        }
        let by_id = new.id.as_ref().and_then(|id| self.by_id.get(id)).copied();
        if by_id.is_some() && by_id != key {
            return Err("`id` belongs to another account".to_owned());
        }
        if key.is_none() && self.list.len() >= MAX_ACCOUNTS {
            return Err(format!("the sandbox holds {MAX_ACCOUNTS} accounts at most"));
        }
        let before = key.and_then(|key| self.get(key));
        let kept = before.map(|account| (account.user_id.clone(), account.id.clone())).unzip();
        let user_id = new.user_id.clone().or(kept.0);
        let user_id =
            user_id.unwrap_or_else(|| unused(&self.by_user_id, || seed.professional_id()));
        let id = new.id.clone().or(kept.1);
        let id = id.unwrap_or_else(|| unused(&self.by_id, || seed.app_scoped_id()));
        Ok(self.place(key, new.into_account(user_id, id)))
    }

    /// Puts an account in the place of another one, or behind all.
    fn place(&mut self, key: Option<AccountIndex>, account: Account) -> Placed {
        let key = key.unwrap_or(AccountIndex(self.list.len()));
        let before = self.get(key).cloned();
        if let Some(before) = &before {
            self.forget_names(before);
        }
        self.by_username.insert(account.username.to_ascii_lowercase(), key);
        self.by_user_id.insert(account.user_id.clone(), key);
        self.by_id.insert(account.id.clone(), key);
        match self.list.get_mut(key.0) {
            Some(slot) => *slot = account,
            None => self.list.push(account),
        }
        (key, before)
    }

    /// Undoes what was placed, the last first.
    fn undo(&mut self, placed: Vec<Placed>) {
        for (key, before) in placed.into_iter().rev() {
            if let Some(before) = before {
                self.place(Some(key), before);
            } else if let Some(added) = self.list.pop() {
                self.forget_names(&added);
            }
        }
    }

    fn forget_names(&mut self, account: &Account) {
        self.by_username.remove(&account.username.to_ascii_lowercase());
        self.by_user_id.remove(&account.user_id);
        self.by_id.remove(&account.id);
    }
}

/// Draws ids until one is nobody's.
fn unused(taken: &HashMap<String, AccountIndex>, mut draw: impl FnMut() -> u64) -> String {
    loop {
        let id = draw().to_string();
        if !taken.contains_key(&id) {
            return id;
        }
    }
}

#[cfg(test)]
mod tests;
