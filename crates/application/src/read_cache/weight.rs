//! What an entry weighs: the bytes that it takes, as far as they can be told.

use ig_domain::{AccountId, AppScopedUserId, InstagramAccount, InstagramId, Scope};
use quick_cache::Weighter;

use super::memory::Remembered;
use crate::ReadAccount;

/// Bytes that the cache takes for an entry beside its key and value: its place in a list and in a table that is not full,
/// and what is remembered of an entry that has left.
const ENTRY: usize = 64;

/// Bytes that an allocation takes beside what is asked for, and those of its counts where it is shared.
const ALLOCATION: usize = 16;

/// Bytes of a small set of texts, without the texts: a leaf of its tree.
const SET: usize = 12 * size_of::<String>();

/// Bytes that an encoded account takes at most beside its texts: numbers, moments and the id.
const ENCODED: usize = 256;

/// What a usual account weighs, by which the cache is divided.
pub(super) const TYPICAL_ACCOUNT: u64 = 2048;

/// What an entry of the index weighs.
pub(super) const TYPICAL_INDEX_ENTRY: u64 = 192;

/// Weighs accounts.
#[derive(Clone)]
pub(super) struct AccountWeight;

/// Weighs entries of the index.
#[derive(Clone)]
pub(super) struct IndexWeight;

impl Weighter<AccountId, Remembered> for AccountWeight {
    fn weight(&self, _: &AccountId, remembered: &Remembered) -> u64 {
        let entry = ENTRY + size_of::<(AccountId, Remembered)>();
        let account = 2 * ALLOCATION + size_of::<ReadAccount>();
        let texts = texts(&remembered.account);
        // Texts once more, encoded: it is not known yet whether anybody will ask for that.
        (entry + account + SET + texts + ALLOCATION + ENCODED + texts) as u64
    }
}

impl Weighter<InstagramId, AccountId> for IndexWeight {
    fn weight(&self, id: &InstagramId, _: &AccountId) -> u64 {
        (ENTRY + size_of::<(InstagramId, AccountId)>() + allocated(id.as_str())) as u64
    }
}

/// Bytes of the texts of an account.
fn texts(account: &InstagramAccount) -> usize {
    let InstagramAccount {
        id: _,
        professional_account_id,
        app_scoped_user_id,
        exchange_user_id,
        owner,
        username,
        name,
        profile_picture_url,
        account_type: _,
        followers_count: _,
        follows_count: _,
        media_count: _,
        granted_scopes,
        refused: _,
        consent_time: _,
        token_issue_time: _,
        token_expire_time: _,
        link_time: _,
        profile_time: _,
        failures: _,
        subscription: _,
        update_time: _,
        revision: _,
    } = account;
    let scoped_ids = [app_scoped_user_id, exchange_user_id].into_iter().flatten();
    let given = [name, profile_picture_url].into_iter().flatten();
    let texts = [professional_account_id.as_str(), owner.as_str(), username.as_str()]
        .into_iter()
        .chain(scoped_ids.map(AppScopedUserId::as_str))
        .chain(given.map(String::as_str))
        .chain(granted_scopes.iter().map(Scope::as_str));
    texts.map(allocated).sum()
}

/// Bytes of a text's allocation, in steps of 16, as allocators give them.
fn allocated(text: &str) -> usize {
    if text.is_empty() { 0 } else { ALLOCATION + text.len().next_multiple_of(16) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use ig_domain::GrantedScopes;
    use ig_test_support::builders::{START, account, parsed};

    use super::*;

    fn weight(account: &InstagramAccount) -> u64 {
        let account = Arc::new(ReadAccount::from(account.clone()));
        AccountWeight
            .weight(&account.id.clone(), &Remembered { account, reading_time: Instant::now() })
    }

    #[test]
    fn each_text_of_an_account_weighs() {
        let base = InstagramAccount {
            professional_account_id: parsed("1"),
            app_scoped_user_id: None,
            exchange_user_id: None,
            username: parsed("u"),
            name: None,
            profile_picture_url: None,
            granted_scopes: GrantedScopes::Unknown,
            ..account(1, "o", START)
        };
        let of_texts: [fn(&mut InstagramAccount); 8] = [
            |account| account.professional_account_id = parsed("17841400000000001"),
            |account| account.app_scoped_user_id = Some(parsed("26000000000000001")),
            |account| account.exchange_user_id = Some(parsed("26000000000000002")),
            |account| account.owner = parsed("an owner that has a name of more than 16 bytes"),
            |account| account.username = parsed("a_name_of_more_than_16_bytes"),
            |account| account.name = Some("Shop".to_owned()),
            |account| account.profile_picture_url = Some("https://picture.test/".to_owned()),
            |account| account.granted_scopes = GrantedScopes::Known([Scope::basic()].into()),
        ];
        for (number, give) in of_texts.into_iter().enumerate() {
            let mut account = base.clone();
            give(&mut account);
            assert_ne!(account, base, "{number}");
            assert!(weight(&account) > weight(&base), "{number}");
        }
    }
}
