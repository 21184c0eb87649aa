//! The accounts of the sandbox's Instagram.

use serde::{Deserialize, Serialize};

use crate::seed::Seed;

/// Maximum number of accounts in the sandbox.
const MAX_ACCOUNTS: usize = 1_000;

/// An account, in the form in which the control interface shows it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Account {
    pub(crate) username: String,
    pub(crate) user_id: String,
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    #[serde(rename = "account_type")]
    pub(crate) kind: String,
    pub(crate) followers_count: u64,
    pub(crate) follows_count: u64,
    pub(crate) media_count: u64,
    pub(crate) profile_picture_url: Option<String>,
}

impl Account {
    /// Whether Instagram Login turns the account away.
    pub(crate) fn is_personal(&self) -> bool {
        self.kind.eq_ignore_ascii_case("PERSONAL")
    }
}

/// An account as the control interface receives it; missing ids are kept or made up.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewAccount {
    username: String,
    user_id: Option<String>,
    id: Option<String>,
    name: Option<String>,
    #[serde(default = "business", rename = "account_type")]
    kind: String,
    #[serde(default)]
    followers_count: u64,
    #[serde(default)]
    follows_count: u64,
    #[serde(default)]
    media_count: u64,
    profile_picture_url: Option<String>,
}

/// Key of the account of a code or token, whatever its names become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AccountKey(usize);

/// All accounts, in the order in which they came.
#[derive(Debug)]
pub(crate) struct Accounts(Vec<Account>);

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
        Self(vec![
            account("harbour.bakery", Some("Harbour Bakery"), "BUSINESS", [12_840, 310, 428]),
            account("mira.paints", Some("Mira Lindqvist"), "MEDIA_CREATOR", [98_412, 702, 1_263]),
            account("jonas_private", Some("Jonas"), "PERSONAL", [148, 201, 37]),
            account("plain_shop", None, "BUSINESS", [0, 0, 0]),
        ])
    }

    pub(crate) fn list(&self) -> &[Account] {
        &self.0
    }

    pub(crate) fn get(&self, key: AccountKey) -> Option<&Account> {
        self.0.get(key.0)
    }

    /// Finds an account by its username, in any case.
    pub(crate) fn find(&self, username: &str) -> Option<(AccountKey, &Account)> {
        self.position(|account| account.username.eq_ignore_ascii_case(username))
    }

    /// Adds an account, or replaces the one with this username or, for a rename, with this `user_id`.
    pub(crate) fn put(&mut self, new: NewAccount, seed: &mut Seed) -> Result<(), String> {
        check(&new)?;
        let by_name = self.find(&new.username);
        let by_id = self.position(|account| new.user_id.as_deref() == Some(&account.user_id));
        let place = by_name.or(by_id).map(|(key, _)| key);
        if by_name.is_some() && by_id.is_some_and(|(key, _)| Some(key) != place) {
            return Err("`user_id` belongs to another account".to_owned());
        }
        let scoped = self.position(|account| new.id.as_deref() == Some(&account.id));
        if scoped.is_some_and(|(key, _)| Some(key) != place) {
            return Err("`id` belongs to another account".to_owned());
        }
        let before = place.and_then(|key| self.get(key));
        let ids = before.map(|account| (account.user_id.clone(), account.id.clone())).unzip();
        let account = Account {
            username: new.username,
            user_id: new.user_id.or(ids.0).unwrap_or_else(|| seed.professional_id().to_string()),
            id: new.id.or(ids.1).unwrap_or_else(|| seed.app_scoped_id().to_string()),
            name: new.name,
            kind: new.kind,
            followers_count: new.followers_count,
            follows_count: new.follows_count,
            media_count: new.media_count,
            profile_picture_url: new.profile_picture_url,
        };
        self.set(place, account)
    }

    /// Counts one more post of an account.
    pub(crate) fn count_post(&mut self, key: AccountKey) {
        if let Some(account) = self.0.get_mut(key.0) {
            account.media_count = account.media_count.saturating_add(1);
        }
    }

    fn set(&mut self, place: Option<AccountKey>, account: Account) -> Result<(), String> {
        if let Some(slot) = place.and_then(|AccountKey(index)| self.0.get_mut(index)) {
            *slot = account;
        } else if self.0.len() < MAX_ACCOUNTS {
            self.0.push(account);
        } else {
            return Err(format!("the sandbox holds {MAX_ACCOUNTS} accounts at most"));
        }
        Ok(())
    }

    fn position(&self, wanted: impl Fn(&Account) -> bool) -> Option<(AccountKey, &Account)> {
        let found = self.0.iter().enumerate().find(|(_, account)| wanted(account));
        found.map(|(index, account)| (AccountKey(index), account))
    }
}

fn business() -> String {
    "BUSINESS".to_owned()
}

fn check(new: &NewAccount) -> Result<(), String> {
    let name_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_');
    if !(1..=30).contains(&new.username.len()) || !new.username.bytes().all(name_byte) {
        return Err("`username` is 1 to 30 of letters, digits, `.` and `_`".to_owned());
    }
    for (field, id) in [("user_id", &new.user_id), ("id", &new.id)] {
        let fits = |id: &String| id.parse::<u64>().is_ok_and(|number| number.to_string() == *id);
        if !id.as_ref().is_none_or(fits) {
            return Err(format!("`{field}` is a text of digits that fits 64 bits"));
        }
    }
    let type_byte = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    if !(1..=32).contains(&new.kind.len()) || !new.kind.bytes().all(type_byte) {
        return Err("`account_type` is 1 to 32 of letters and `_`".to_owned());
    }
    for (field, text) in [("name", &new.name), ("profile_picture_url", &new.profile_picture_url)] {
        if text.as_ref().is_some_and(|text| text.len() > 2_048) {
            return Err(format!("`{field}` is 2048 bytes at most"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
