//! Accounts: stored rows are found, and none is overwritten unseen.

use std::collections::BTreeSet;
use std::time::Duration;

use ig_domain::ports::{AccountKey, BatchKey, StoreError};
use ig_domain::{AccountType, GrantedScopes, InstagramAccount, ReauthorizationReason};

use super::StoreUnderTest;
use super::samples::{
    assert_conflict, bare_account, count_at_once, full_account, id, scopes, token_text,
};
use crate::builders::{self, START, long_lived, parsed};

/// Stored fields come back to the last digit, microsecond and character.
pub async fn every_field_of_an_account_survives(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let account = full_account(1);
    let longest = "t".repeat(4096);
    ports.link(1, &account, &longest).await;
    assert_eq!(ports.stored(account.id).await, Some((account, longest)));
}

/// Fields that Instagram left out are not filled in.
pub async fn absent_fields_stay_absent(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let account = bare_account(1);
    ports.link(1, &account, "token").await;
    assert_eq!(ports.stored(account.id).await, Some((account, "token".to_owned())));
}

/// Each kind of account, reason and set of scopes comes back as itself.
pub async fn every_kind_and_reason_survives(store: &dyn StoreUnderTest) {
    use AccountType::{Business, Creator, Personal, Unknown};
    use ReauthorizationReason::{
        Checkpoint, Deauthorized, PasswordChanged, TokenExpired, TokenRevoked,
    };
    let ports = store.ports();
    let reasons = [TokenExpired, PasswordChanged, Checkpoint, TokenRevoked, Deauthorized];
    let granted = [
        GrantedScopes::Unknown,
        GrantedScopes::Known(BTreeSet::new()),
        GrantedScopes::Known(scopes()),
    ];
    for (number, account_type) in (1_u8..).zip([Business, Creator, Personal, Unknown, Business]) {
        let place = usize::from(number) - 1;
        let account = InstagramAccount {
            account_type,
            refused: reasons.get(place).copied(),
            granted_scopes: granted.get(place).cloned().unwrap_or(GrantedScopes::Unknown),
            ..builders::account(u32::from(number), "", START)
        };
        ports.link(number, &account, "token").await;
        assert_eq!(ports.stored(account.id).await.unwrap().0, account);
    }
}

/// Our id, both of Instagram's, the alias and the username all lead to the account.
pub async fn an_account_is_found_by_each_of_its_ids(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let account = full_account(1);
    ports.link(1, &account, "token").await;
    for key in [
        AccountKey::Id(account.id),
        AccountKey::Instagram(parsed(account.professional_account_id.as_str())),
        AccountKey::Instagram(parsed("99999999999999999999")),
        AccountKey::Instagram(parsed("9007199254740993")),
        AccountKey::Username(account.username.clone()),
    ] {
        let found = ports.accounts.find(&key).await.unwrap();
        assert_eq!(found.as_ref(), Some(&account), "{key:?}");
    }
}

/// Keys that no account has find nothing, however near.
pub async fn an_unknown_key_finds_nothing(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    ports.link(1, &full_account(1), "token").await;
    for key in [
        AccountKey::Id(id(2)),
        AccountKey::Instagram(parsed("9007199254740992")),
        AccountKey::Instagram(parsed("09007199254740993")),
        AccountKey::Username(parsed("account_2")),
    ] {
        assert_eq!(ports.accounts.find(&key).await.unwrap(), None, "{key:?}");
    }
    assert!(ports.accounts.find_with_token(id(2)).await.unwrap().is_none());
}

/// One number may be an id of three accounts in three senses.
pub async fn a_professional_id_outranks_an_app_scoped_one_and_that_an_alias(
    store: &dyn StoreUnderTest,
) {
    let ports = store.ports();
    let key = AccountKey::Instagram(parsed("9007199254740993"));
    let alias = InstagramAccount {
        exchange_user_id: Some(parsed("9007199254740993")),
        ..builders::account(1, "", START)
    };
    let app_scoped = InstagramAccount {
        app_scoped_user_id: Some(parsed("9007199254740993")),
        ..builders::account(2, "", START)
    };
    let professional = InstagramAccount {
        professional_account_id: parsed("9007199254740993"),
        ..builders::account(3, "", START)
    };
    for (number, account) in (1_u8..).zip([alias, app_scoped, professional]) {
        ports.link(number, &account, "token").await;
        assert_eq!(ports.accounts.find(&key).await.unwrap(), Some(account));
    }
}

/// In any order, repeated or unknown, in each sense of an id, and however many.
pub async fn many_keys_find_what_each_would_find_by_itself(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let [alias, app_scoped, older, newer] = four_that_share_ids();
    for (number, account) in (1_u8..).zip([&alias, &app_scoped, &older, &newer]) {
        ports.link(number, account, "token").await;
    }
    let instagram = |id: &str| BatchKey::Instagram(parsed(id));
    let (alias, app_scoped, older, newer) =
        (Some(alias), Some(app_scoped), Some(older), Some(newer));
    let mut expected = vec![
        (BatchKey::Id(id(3)), older.clone()),
        (instagram("9007199254740993"), app_scoped.clone()),
        (BatchKey::Id(id(99)), None),
        (instagram("8"), newer.clone()),
        (instagram(&builders::profile(1).professional_account_id.to_string()), alias),
        (instagram("7"), app_scoped.clone()),
        (instagram("9007199254740993"), app_scoped),
        (instagram("123"), None),
        (BatchKey::Id(id(3)), older),
    ];
    expected.extend((100..190).map(|number| (BatchKey::Id(id(number)), None)));
    let (keys, expected): (Vec<_>, Vec<_>) = expected.into_iter().unzip();
    assert_eq!(ports.accounts.find_many(&keys).await.unwrap(), expected);
    let username = AccountKey::Username(parsed("account_3"));
    let keys = keys.into_iter().map(AccountKey::from).chain([username]);
    for (key, expected) in keys.zip(expected.into_iter().chain([newer])) {
        assert_eq!(ports.accounts.find(&key).await.unwrap(), expected, "{key:?}");
    }
    assert_eq!(ports.accounts.find_many(&[]).await.unwrap(), []);
}

/// In any order, repeated or unknown.
pub async fn many_ids_find_the_account_of_each(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let accounts = four_that_share_ids();
    for (number, account) in (1_u8..).zip(&accounts) {
        ports.link(number, account, "token").await;
    }
    let [first, second, ..] = accounts.map(Some);
    let ids = [2, 99, 1, 2].map(id);
    let found = ports.accounts.find_by_ids(&ids).await.unwrap();
    assert_eq!(found, [second.clone(), None, first, second]);
    assert_eq!(ports.accounts.find_by_ids(&[]).await.unwrap(), []);
}

/// The second's app-scoped id is the first's alias; the last two share app-scoped id and username.
fn four_that_share_ids() -> [InstagramAccount; 4] {
    let account = |number| builders::account(number, "", START);
    [
        InstagramAccount { exchange_user_id: Some(parsed("9007199254740993")), ..account(1) },
        InstagramAccount {
            app_scoped_user_id: Some(parsed("9007199254740993")),
            exchange_user_id: Some(parsed("7")),
            ..account(2)
        },
        InstagramAccount { app_scoped_user_id: Some(parsed("8")), ..account(3) },
        InstagramAccount {
            app_scoped_user_id: Some(parsed("8")),
            username: parsed("account_3"),
            ..account(4)
        },
    ]
}

/// A handle that was given up may now be another's.
pub async fn of_two_accounts_with_one_username_the_newer_reading_is_found(
    store: &dyn StoreUnderTest,
) {
    let ports = store.ports();
    let named = |number, read_after| InstagramAccount {
        username: parsed("cafe.luna"),
        profile_time: START + Duration::from_micros(read_after),
        ..builders::account(number, "", START)
    };
    let (older, newer, oldest) = (named(1, 1), named(2, 2), named(3, 0));
    for (number, account) in (1_u8..).zip([&older, &newer, &oldest]) {
        ports.link(number, account, "token").await;
    }
    let found = ports.accounts.find(&AccountKey::Username(parsed("cafe.luna"))).await.unwrap();
    assert_eq!(found, Some(newer));
}

/// An update changes every field that differs, the token too.
pub async fn an_update_stores_everything(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let former = bare_account(1);
    ports.link(1, &former, "former").await;
    let changed = InstagramAccount {
        professional_account_id: former.professional_account_id.clone(),
        revision: 2,
        ..full_account(1)
    };
    ports.account_writer.update(&changed, &former, Some(long_lived("newer"))).await.unwrap();
    assert_eq!(ports.stored(former.id).await, Some((changed.clone(), "newer".to_owned())));
    let bare = InstagramAccount { revision: 3, ..former };
    ports.account_writer.update(&bare, &changed, Some(long_lived("newest"))).await.unwrap();
    assert_eq!(ports.stored(bare.id).await, Some((bare, "newest".to_owned())));
}

/// An update that brings no token changes none.
pub async fn an_update_without_a_token_keeps_the_stored_one(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let account = builders::account(1, "", START);
    ports.link(1, &account, "token").await;
    let changed = InstagramAccount { name: None, revision: 2, ..account.clone() };
    ports.account_writer.update(&changed, &account, None).await.unwrap();
    assert_eq!(ports.stored(changed.id).await, Some((changed, "token".to_owned())));
}

/// A newer `profile_time` alone is no change of revision, and is stored all the same.
pub async fn a_newer_reading_alone_is_stored_under_the_same_revision(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let account = builders::account(1, "", START);
    ports.link(1, &account, "token").await;
    let profile_time = START + Duration::from_hours(1);
    let read = InstagramAccount { profile_time, ..account.clone() };
    ports.account_writer.update(&read, &account, None).await.unwrap();
    assert_eq!(ports.stored(read.id).await.unwrap().0, read);
}

/// A writer that read an older revision overwrites neither account nor token.
pub async fn a_stale_update_changes_nothing(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let account = InstagramAccount { revision: 7, ..builders::account(1, "", START) };
    ports.link(1, &account, "token").await;
    let changed = InstagramAccount { name: None, revision: 7, ..account.clone() };
    for revision in [6, 8] {
        let former = InstagramAccount { revision, ..account.clone() };
        let written =
            ports.account_writer.update(&changed, &former, Some(long_lived("stale"))).await;
        assert_conflict(written);
    }
    assert_eq!(ports.stored(account.id).await, Some((account, "token".to_owned())));
}

/// Neither of the two moves the revision.
pub async fn a_late_update_takes_back_neither_a_newer_reading_nor_a_retry(
    store: &dyn StoreUnderTest,
) {
    let ports = store.ports();
    let account = builders::account(1, "", START);
    ports.link(1, &account, "token").await;
    let read_after = |minutes| InstagramAccount {
        profile_time: START + Duration::from_mins(minutes),
        ..account.clone()
    };
    let (late, read, newest) = (read_after(1), read_after(2), read_after(3));
    ports.account_writer.update(&read, &account, None).await.unwrap();
    assert_conflict(ports.account_writer.update(&late, &account, Some(long_lived("late"))).await);
    let mut failed = read.clone();
    failed.visit_failed(START, None, 0, Duration::from_hours(1));
    ports.account_writer.update(&failed, &read, None).await.unwrap();
    assert_conflict(ports.account_writer.update(&newest, &read, None).await);
    assert_eq!(ports.stored(account.id).await, Some((failed.clone(), "token".to_owned())));
    ports.account_writer.update(&newest, &failed, None).await.unwrap();
    assert_eq!(ports.stored(account.id).await, Some((newest, "token".to_owned())));
}

/// A removed account does not come back by a late write.
pub async fn an_account_that_is_gone_cannot_be_updated_or_removed(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let account = builders::account(1, "", START);
    let updated = ports.account_writer.update(&account, &account, Some(long_lived("token"))).await;
    assert_conflict(updated);
    assert_conflict(ports.account_writer.remove(account.id, 1).await);
    assert_eq!(ports.stored(account.id).await, None);
}

/// No row of it is left, and the person may link again under another id.
pub async fn a_removed_account_is_gone_with_its_token(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let account = builders::account(1, "", START);
    ports.link(1, &account, "token").await;
    ports.account_writer.remove(account.id, 1).await.unwrap();
    assert_eq!(ports.stored(account.id).await, None);
    let again = InstagramAccount { id: id(2), ..account };
    ports.link(2, &again, "another").await;
    assert_eq!(ports.stored(again.id).await, Some((again, "another".to_owned())));
}

/// A writer that read an older revision removes nothing.
pub async fn a_stale_removal_removes_nothing(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let account = InstagramAccount { revision: 7, ..builders::account(1, "", START) };
    ports.link(1, &account, "token").await;
    for revision in [6, 8] {
        assert_conflict(ports.account_writer.remove(account.id, revision).await);
    }
    assert_eq!(ports.stored(account.id).await, Some((account, "token".to_owned())));
}

/// Of twenty writers that read the same revision one is stored, whole.
pub async fn of_many_updates_of_one_revision_one_is_stored(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let account = builders::account(1, "", START);
    ports.link(1, &account, "token").await;
    let stored = count_at_once(|number| {
        let account_writer = ports.account_writer.clone();
        let name = Some(number.to_string());
        let former = account.clone();
        let changed = InstagramAccount { name, revision: 2, ..former.clone() };
        async move {
            let token = long_lived(&number.to_string());
            match account_writer.update(&changed, &former, Some(token)).await {
                Ok(()) => true,
                Err(StoreError::Conflict) => false,
                Err(error) => panic!("{error:?}"),
            }
        }
    });
    assert_eq!(stored.await, 1);
    let (found, token) = ports.accounts.find_with_token(account.id).await.unwrap().unwrap();
    assert_eq!(found.name, Some(token_text(&token.unwrap())));
}
