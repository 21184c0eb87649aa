//! Imports: account and token, all or nothing, and told as what they are.

use std::time::Duration;

use ig_domain::ports::{CompletedImport, ImportEnded};
use ig_domain::{
    AccountEvent, InstagramAccount, ReauthorizationReason, SignedRequest, UnlinkCause,
    WebhookSubscription,
};

use super::StoreUnderTest;
use super::samples::{assert_conflict, bare_account, count_at_once, id};
use crate::builders::{self, START, long_lived, parsed};

const HOUR: Duration = Duration::from_hours(1);
const SECOND: Duration = Duration::from_secs(1);

/// The import of `account`, which is new.
fn import(account: &InstagramAccount, token: &str) -> CompletedImport {
    CompletedImport {
        displaced: None,
        account: account.clone(),
        former_revision: None,
        token: long_lived(token),
    }
}

/// Account 1 with another name, as an import leaves it.
fn renamed(former: &InstagramAccount) -> InstagramAccount {
    InstagramAccount { username: parsed("renamed"), ..former.clone() }.succeeding(former, START)
}

/// With its token, and the times of it that are not known.
pub async fn an_import_stores_account_and_token(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let account = bare_account(1);
    let ended = ports.account_writer.import(&import(&account, "token")).await.unwrap();
    assert_eq!(ended, ImportEnded::Stored);
    assert_eq!(ports.stored(account.id).await, Some((account.clone(), "token".to_owned())));
    assert_eq!(ports.told().await, [AccountEvent::imported(None, &account)]);
    let due = ports.due_accounts.claim_due(START, super::samples::holder(1), 9).await.unwrap();
    assert_eq!(due.len(), 1, "its schedule is kept, too");
}

/// The account keeps its id, and the event says what else changed.
pub async fn an_import_takes_the_place_of_a_token(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let checked = WebhookSubscription { active: true, error: None, check_time: Some(START) };
    let former =
        InstagramAccount { subscription: Some(checked), ..builders::account(1, "shop/7", START) };
    ports.link(1, &former, "former").await;
    let unchecked = WebhookSubscription { check_time: None, ..checked };
    let next = InstagramAccount { subscription: Some(unchecked), ..renamed(&former) };
    let again = CompletedImport { former_revision: Some(1), ..import(&next, "imported") };
    ports.account_writer.import(&again).await.unwrap();
    assert_eq!(ports.stored(next.id).await, Some((next.clone(), "imported".to_owned())));
    let told = ports.told().await;
    assert_eq!(told.last(), Some(&AccountEvent::imported(Some(&former), &next)));
    assert_conflict(ports.account_writer.import(&again).await);
    assert_eq!(ports.told().await, told);
}

/// The account that needs re-authorisation under another owner goes, with its token.
pub async fn an_import_displaces_a_dead_account(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let dead = InstagramAccount {
        refused: Some(ReauthorizationReason::TokenRevoked),
        ..builders::account(1, "former", START)
    };
    ports.link(1, &dead, "dead").await;
    let moved = InstagramAccount { id: id(2), ..builders::account(1, "another", START) };
    let displacing = |revision| CompletedImport {
        displaced: Some((dead.id, revision)),
        ..import(&moved, "token")
    };
    assert_conflict(ports.account_writer.import(&displacing(7)).await);
    assert!(ports.stored(dead.id).await.is_some());
    ports.account_writer.import(&displacing(1)).await.unwrap();
    assert_eq!(ports.stored(dead.id).await, None);
    assert_eq!(ports.stored(moved.id).await, Some((moved.clone(), "token".to_owned())));
    let expected = [
        AccountEvent::unlinked(&dead, UnlinkCause::OtherOwner),
        AccountEvent::imported(None, &moved),
    ];
    assert_eq!(ports.told().await.get(1..), Some(&expected[..]));
}

/// Of one Instagram account, in whichever process.
pub async fn of_many_imports_of_one_account_one_is_stored(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let stored = count_at_once(|number| {
        let ports = ports.clone();
        async move {
            let account = InstagramAccount {
                id: id(u32::from(number)),
                ..builders::account(1, "shop/7", START)
            };
            ports.account_writer.import(&import(&account, "token")).await.is_ok()
        }
    });
    assert_eq!(stored.await, 1);
    assert_eq!(ports.told().await.len(), 1);
}

/// Whether it was issued before or after is known by its consent: in seconds, the same second counts.
pub async fn whoever_removed_the_app_since_is_not_imported(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let user = parsed("9007199254740997");
    let request = SignedRequest { user, issue_time: START + HOUR };
    ports.user_removals.deauthorize(&request, START + HOUR).await.unwrap();
    let consenting = |consent_time| InstagramAccount {
        app_scoped_user_id: Some(parsed("9007199254740997")),
        consent_time,
        ..builders::account(1, "shop/7", START)
    };
    for consent_time in [time::OffsetDateTime::UNIX_EPOCH, START + HOUR + SECOND / 2] {
        let older = import(&consenting(consent_time), "token");
        assert_eq!(ports.account_writer.import(&older).await.unwrap(), ImportEnded::UserRemoved);
    }
    assert_eq!(ports.stored(id(1)).await, None);
    assert_eq!(ports.told().await, []);
    let newer = import(&consenting(START + HOUR + SECOND), "token");
    assert_eq!(ports.account_writer.import(&newer).await.unwrap(), ImportEnded::Stored);
}
