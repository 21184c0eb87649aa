//! One store, several Meta apps: each sees its own rows only. And the probe.

use ig_domain::ports::{AccountKey, AccountPage, AuditPage, BatchKey};
use ig_domain::{InstagramAccount, LinkAttempt, OwnerScope, Phase};

use super::samples::{
    assert_conflict, assert_lease_lost, assert_same_phase, attempt, code, exchanged, full_account,
    holder, id, state,
};
use super::{Ports, StoreUnderTest};
use crate::builders::{self, START, long_lived, parsed};

fn another_app(store: &dyn StoreUnderTest) -> Ports {
    store.of_app(parsed("1"))
}

/// Found under no key, in no listing, and changed by no write.
pub async fn accounts_of_another_app_are_invisible(store: &dyn StoreUnderTest) {
    let (ports, other) = (store.ports(), another_app(store));
    let account = InstagramAccount { refused: None, ..full_account(1) };
    ports.link(1, &account, "token").await;
    let ids = [
        BatchKey::Id(account.id),
        BatchKey::Instagram(parsed(account.professional_account_id.as_str())),
        BatchKey::Instagram(parsed("99999999999999999999")),
        BatchKey::Instagram(parsed("9007199254740993")),
    ];
    for id in &ids {
        let found = other.accounts.find_many(std::slice::from_ref(id)).await;
        assert_eq!(found.unwrap(), [None], "{id:?}");
    }
    assert_eq!(other.accounts.find_by_ids(&[account.id]).await.unwrap(), [None]);
    let username = AccountKey::Username(account.username.clone());
    for key in ids.into_iter().map(AccountKey::from).chain([username]) {
        assert_eq!(other.accounts.find(&key).await.unwrap(), None, "{key:?}");
    }
    let page = AccountPage { owners: OwnerScope::everyone(), status: None, after: None, limit: 9 };
    assert_eq!(other.accounts.list(&page).await.unwrap(), []);
    assert_eq!(other.stored(account.id).await, None);
    let revision = account.revision;
    let updated = other.account_writer.update(&account, &account, Some(long_lived("theirs"))).await;
    assert_conflict(updated);
    assert_conflict(other.account_writer.remove(account.id, revision).await);
    assert_eq!(
        other.account_writer.mark_expired(account.token_expire_time.unwrap(), 9).await.unwrap(),
        0
    );
    assert_eq!(ports.stored(account.id).await, Some((account, "token".to_owned())));
}

/// The professional id is unique within an app.
pub async fn one_instagram_account_may_be_linked_under_two_apps(store: &dyn StoreUnderTest) {
    let (ports, other) = (store.ports(), another_app(store));
    let ours = full_account(1);
    let theirs = InstagramAccount { id: id(2), ..ours.clone() };
    ports.link(1, &ours, "ours").await;
    other.link(2, &theirs, "theirs").await;
    assert_eq!(ports.stored(ours.id).await, Some((ours, "ours".to_owned())));
    assert_eq!(other.stored(theirs.id).await, Some((theirs, "theirs".to_owned())));
}

/// Neither found, spent, moved nor swept.
pub async fn links_of_another_app_are_invisible(store: &dyn StoreUnderTest) {
    let (ports, other) = (store.ports(), another_app(store));
    ports.begin(1, exchanged()).await;
    assert_eq!(other.pending_links.find(&state(1)).await.unwrap(), None);
    assert!(other.phase(1).await.is_none());
    let second = LinkAttempt { code: code(2), ..attempt(1, Phase::Unsent) };
    assert_conflict(other.link_attempts.create(&second, holder(1)).await);
    assert_lease_lost(other.link_attempts.advance(&code(1), holder(1), &Phase::Sent).await);
    store.end_leases().await;
    assert!(other.link_attempts.claim(&code(1), holder(2)).await.unwrap().is_none());
    let much_later = START + std::time::Duration::from_hours(24 * 365);
    assert_eq!(other.link_attempts.sweep(much_later, 9).await.unwrap(), 0);
    assert_same_phase(&ports.phase(1).await.unwrap(), &exchanged());
}

/// Neither found nor swept, and kept apart.
pub async fn codes_of_another_app_are_invisible(store: &dyn StoreUnderTest) {
    let (ports, other) = (store.ports(), another_app(store));
    let (code, state) = (parsed("code"), parsed("state"));
    let ticket = ports.hosted_codes.keep(&code, &state, START).await.unwrap().unwrap();
    assert!(other.hosted_codes.ticket(&code, &state).await.unwrap().is_none());
    assert!(other.hosted_codes.find(&ticket.hash()).await.unwrap().is_none());
    let much_later = START + std::time::Duration::from_hours(24 * 365);
    assert_eq!(other.link_attempts.sweep(much_later, 9).await.unwrap(), 0);
    let theirs = other.hosted_codes.keep(&code, &state, START).await.unwrap().unwrap();
    assert_ne!(theirs.expose(), ticket.expose());
    assert!(ports.hosted_codes.find(&ticket.hash()).await.unwrap().is_some());
}

/// A held lease of one app holds nothing of another.
pub async fn leases_of_another_app_are_others(store: &dyn StoreUnderTest) {
    let (ports, other) = (store.ports(), another_app(store));
    assert!(ports.renewal_leases.claim(id(1), holder(1)).await.unwrap());
    assert!(other.renewal_leases.claim(id(1), holder(2)).await.unwrap());
    assert_lease_lost(other.renewal_leases.extend(id(1), holder(1)).await);
    other.renewal_leases.release(id(1), holder(1)).await.unwrap();
    assert!(!ports.renewal_leases.claim(id(1), holder(2)).await.unwrap());
}

/// Audit entries of one app concern no other.
pub async fn the_audit_of_another_app_is_invisible(store: &dyn StoreUnderTest) {
    let (ports, other) = (store.ports(), another_app(store));
    let account = full_account(1);
    ports.link(1, &account, "token").await;
    let entry = builders::audit_entry(&account, 1);
    let entries = std::slice::from_ref(&entry);
    assert_eq!(other.audit.record(entries).await.unwrap(), [].into());
    assert_eq!(ports.audit.record(entries).await.unwrap(), [entry.id].into());
    let page = AuditPage { limit: 9, ..AuditPage::default() };
    let much_later = START + std::time::Duration::from_hours(24 * 365);
    assert_eq!(other.audit_reader.entries(&page).await.unwrap(), []);
    assert_eq!(other.audit.purge_before(much_later, 9).await.unwrap(), 0);
    assert_eq!(ports.audit_reader.entries(&page).await.unwrap(), [entry]);
}

/// Two apps may have two keys of one id.
pub async fn check_values_of_another_app_are_others(store: &dyn StoreUnderTest) {
    let (ours, theirs) = (store.ports().key_checks, another_app(store).key_checks);
    ours.keep("k1", b"ours").await.unwrap();
    assert_eq!(theirs.find("k1").await.unwrap(), None);
    assert_eq!(theirs.keep("k1", b"theirs").await.unwrap(), b"theirs");
    assert_eq!(ours.find("k1").await.unwrap().as_deref(), Some(&b"ours"[..]));
}

/// A store that can serve passes its own check.
pub async fn a_store_that_is_well_says_so(store: &dyn StoreUnderTest) {
    store.ports().probe.check().await.unwrap();
}
