//! A key is what its id stands for, or nothing is served with it.

use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use ig_adapters::sealing::{KeyCheckError, KeyRing};
use ig_domain::ports::{CompletedImport, CompletedLink, ImportEnded, KeyChecks};
use ig_domain::{
    Consent, GrantedScopes, HOSTED_CODE_RETENTION, InstagramAccount, LeaseHolder, LinkAttempt,
    Phase, ShortLivedGrant, ShortLivedToken, SignedRequest,
};
use ig_test_support::builders::{START, account, long_lived, parsed, pending_link, presentation};
use ig_test_support::contract::Ports;
use rstest::rstest;
use time::OffsetDateTime;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::fixture::{On, TestDatabase, key, open, ports};

pub(super) const APP: &str = "990602627938098";

/// Other bytes under the id of `key(number)`.
fn impostor(number: u8) -> String {
    format!("k{number}:{}", BASE64_STANDARD.encode([number + 100; 32]))
}

fn ring(keys: &str) -> KeyRing {
    keys.parse().unwrap()
}

fn sealing(store: &dyn TestDatabase, keys: &str) -> Ports {
    ports(Arc::clone(store.database()), parsed(APP), keys)
}

/// Begins a link and stores its short-lived token.
pub(super) async fn exchange(ports: &Ports, code: &str) -> LinkAttempt {
    let holder = LeaseHolder::from_uuid(Uuid::from_u128(1));
    let pending = pending_link(code, "", START);
    ports.pending_links.insert(&pending).await.unwrap();
    let attempt = LinkAttempt::begin(pending, &presentation(code, code, ""), START);
    ports.link_attempts.create(&attempt, holder).await.unwrap();
    let consent =
        Consent { receive_time: START, user_id: None, granted_scopes: GrantedScopes::Unknown };
    let token = ShortLivedToken::new(parsed("IGAA-short-lived"));
    let exchanged = Phase::Exchanged(ShortLivedGrant { token, consent });
    ports.link_attempts.advance(&attempt.code, holder, &exchanged).await.unwrap();
    attempt
}

/// Links account `number`, with a token sealed under the ports' first key.
pub(super) async fn link(ports: &Ports, number: u32) {
    complete(ports, account(number, "", START), None).await;
}

/// Links an account in the place of another one, where that is displaced.
async fn complete(ports: &Ports, account: InstagramAccount, displaced: Option<&InstagramAccount>) {
    let attempt = exchange(ports, &format!("link-{}", account.username)).await;
    let link = CompletedLink {
        displaced: displaced.map(|displaced| (displaced.id, displaced.revision)),
        account,
        former_revision: None,
        token: Some(long_lived("token")),
        missing_scopes: Vec::new(),
        end_time: START,
    };
    let holder = LeaseHolder::from_uuid(Uuid::from_u128(1));
    ports.link_attempts.complete(&attempt.code, holder, &link).await.unwrap();
}

async fn verify(keys: &str, checks: &dyn KeyChecks) -> Option<String> {
    mismatch(ring(keys).verify_and_keep(checks).await)
}

/// The id of the key that was refused.
fn mismatch(checked: Result<(), KeyCheckError>) -> Option<String> {
    match checked {
        Ok(()) => None,
        Err(KeyCheckError::Mismatch(id)) => Some(id),
        Err(error) => panic!("{error:?}"),
    }
}

#[rstest]
#[tokio::test]
async fn other_bytes_under_an_id_that_was_configured_once_are_refused(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let store = on.migrated().await;
    let checks = store.ports().key_checks;
    let both = format!("{},{}", key(1), key(2));
    assert_eq!(verify(&both, &*checks).await, None);
    assert_eq!(verify(&both, &*checks).await, None);
    for wrong in [impostor(1), format!("{},{}", key(1), impostor(2))] {
        let refused = verify(&wrong, &*checks).await;
        assert_eq!(refused.as_deref(), wrong.rsplit(',').next().and_then(|key| key.get(..2)));
        assert_eq!(mismatch(ring(&wrong).verify(&*checks).await), refused);
    }
    // Whatever was refused, a key with an id of its own may join.
    assert_eq!(verify(&format!("{},{}", key(3), key(1)), &*checks).await, None);
}

/// A database from before check values were kept.
#[rstest]
#[case::long_lived(true)]
#[case::short_lived(false)]
#[tokio::test]
async fn other_bytes_under_the_id_that_something_is_sealed_under_are_refused(
    #[case] long_lived: bool,
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let store = on.migrated().await;
    let ports = sealing(&*store, &key(1));
    if long_lived {
        link(&ports, 1).await;
        link(&ports, 2).await;
        // A damaged one alone convicts nobody.
        store
            .run(
                "UPDATE account_token SET sealed_token = (SELECT sealed_token FROM account_token \
                 ORDER BY account_id DESC LIMIT 1)",
            )
            .await;
    } else {
        exchange(&ports, "code").await;
    }
    assert_eq!(verify(&impostor(1), &*ports.key_checks).await.as_deref(), Some("k1"));
    assert_eq!(store.number("SELECT count(*) FROM sealing_key").await, 0);
    assert_eq!(mismatch(ring(&key(1)).verify(&*ports.key_checks).await), None);
    assert_eq!(store.number("SELECT count(*) FROM sealing_key").await, 0, "verify writes nothing");
    assert_eq!(verify(&key(1), &*ports.key_checks).await, None);
    assert_eq!(store.number("SELECT count(*) FROM sealing_key").await, 1);
}

/// They say nothing of the key, and others are as they were.
#[rstest]
#[case::an_attempt_in_sqlite(
    On::Sqlite,
    "link_attempt SET code_hash = x'01' WHERE phase = 'exchanged'"
)]
#[case::an_attempt_in_postgres(
    On::Postgres,
    r"link_attempt SET code_hash = '\x01' WHERE phase = 'exchanged'"
)]
#[case::a_token_of_another_type(On::Sqlite, "account_token SET sealed_token = 'planted'")]
#[case::a_key_id_of_another_type(On::Sqlite, "account_token SET key_id = x'01'")]
#[tokio::test]
async fn damaged_rows_refuse_no_start(#[case] on: On, #[case] damage: &str) {
    let store = on.migrated().await;
    let ports = sealing(&*store, &key(1));
    link(&ports, 1).await;
    exchange(&ports, "damaged").await;
    assert!(store.run(&format!("UPDATE {damage}")).await > 0);
    link(&ports, 2).await;
    exchange(&ports, "well").await;
    assert_eq!(ports.key_checks.in_use_except(&[]).await.unwrap(), ["k1"]);
    assert_eq!(verify(&impostor(1), &*ports.key_checks).await.as_deref(), Some("k1"));
    assert_eq!(verify(&key(1), &*ports.key_checks).await, None);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_replicas_that_start_at_once_with_two_keys_of_one_id_one_kind_is_refused(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let store = on.migrated().await;
    let mut starters = JoinSet::new();
    for number in 0..8 {
        let keys = if number % 2 == 0 { key(1) } else { impostor(1) };
        let ports = ports(open(&store.url()), parsed(APP), &keys);
        starters.spawn(async move { (number % 2, verify(&keys, &*ports.key_checks).await) });
    }
    let started = starters.join_all().await;
    let accepted: Vec<_> =
        started.iter().filter(|(_, refused)| refused.is_none()).map(|(kind, _)| kind).collect();
    assert_eq!(accepted.len(), 4, "{started:?}");
    assert!(accepted.iter().all(|kind| *kind == accepted[0]), "{started:?}");
}

#[rstest]
#[tokio::test]
async fn keys_in_use_that_are_not_configured_are_named(#[values(On::Sqlite, On::Postgres)] on: On) {
    let store = on.migrated().await;
    let checks = store.ports().key_checks;
    let missing = async |known: &[&str]| {
        let known: Vec<_> = known.iter().map(|id| (*id).to_owned()).collect();
        checks.in_use_except(&known).await.unwrap()
    };
    assert_eq!(missing(&[]).await, [""; 0]);
    for number in [3, 1] {
        link(&sealing(&*store, &key(number)), number.into()).await;
    }
    exchange(&sealing(&*store, &key(2)), "code").await;
    let other_app = ports(Arc::clone(store.database()), parsed("1"), &key(4));
    link(&other_app, 4).await;
    assert_eq!(missing(&[]).await, ["k1", "k2", "k3"]);
    assert_eq!(missing(&["k2", "k1", "k9"]).await, ["k3"]);
    assert_eq!(missing(&["k1", "k2", "k3"]).await, [""; 0]);
}

#[rstest]
#[tokio::test]
async fn the_key_of_persons_goes_over_to_the_newest_sealing_key(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let store = on.migrated().await;
    let unlink = async |keys: &str, number: u32| {
        let ports = sealing(&*store, keys);
        link(&ports, number).await;
        let account = account(number, "", START);
        ports.account_writer.remove(account.id, account.revision).await.unwrap();
        ports.key_checks.in_use_except(&[]).await.unwrap()
    };
    let persons = "SELECT count(DISTINCT user_hash) FROM former_account";
    assert_eq!(unlink(&key(1), 1).await, ["k1"]);
    assert!(store.database().anything_sealed().await.unwrap());
    assert_eq!(verify(&impostor(1), &*store.ports().key_checks).await.as_deref(), Some("k1"));
    assert_eq!(unlink(&format!("{},{}", key(2), key(1)), 2).await, ["k2"]);
    assert_eq!(store.number(persons).await, 2);
    // One that does not open keeps nobody from unlinking.
    assert_eq!(unlink(&key(3), 3).await, ["k2"]);
    assert_eq!(store.number(persons).await, 2);
}

#[rstest]
#[tokio::test]
async fn a_displaced_account_leaves_the_hash_of_its_person_where_their_key_opens(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let store = on.migrated().await;
    let first = account(1, "", START);
    link(&sealing(&*store, &key(1)), 1).await;
    let persons = "SELECT count(DISTINCT user_hash) FROM former_account";
    let mut displaced = first.clone();
    // The key of persons is made by the first; the second cannot open it, and links all the same.
    for (number, keys, expected) in [(2, key(1), 1), (3, key(2), 1), (4, key(1), 2)] {
        let next = InstagramAccount {
            professional_account_id: first.professional_account_id.clone(),
            ..account(number, "shop/8", START)
        };
        complete(&sealing(&*store, &keys), next.clone(), Some(&displaced)).await;
        assert_eq!(store.number(persons).await, expected, "account {number}");
        displaced = next;
    }
}

/// Who removed the app is not known then: an import that may be of that person is refused, and no other.
#[rstest]
#[tokio::test]
async fn an_import_is_refused_where_it_cannot_be_told_who_removed_the_app(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let store = on.migrated().await;
    let user = account(9, "", START).app_scoped_user_id.unwrap();
    let request = SignedRequest { user, issue_time: START };
    let former = sealing(&*store, &key(1));
    former.user_removals.deauthorize(&request, START).await.unwrap();
    let import = async |ports: &Ports, number: u32, issue_time: OffsetDateTime| {
        let account = InstagramAccount { consent_time: issue_time, ..account(number, "", START) };
        let token = long_lived("token");
        let import = CompletedImport { displaced: None, account, former_revision: None, token };
        ports.account_writer.import(&import).await.unwrap()
    };
    let (keyless, later) = (sealing(&*store, &key(2)), START + time::Duration::SECOND);
    for older in [OffsetDateTime::UNIX_EPOCH, START] {
        assert_eq!(import(&keyless, 1, older).await, ImportEnded::RemovalUnreadable);
    }
    assert_eq!(import(&keyless, 1, later).await, ImportEnded::Stored);
    let both = sealing(&*store, &format!("{},{}", key(2), key(1)));
    assert_eq!(import(&both, 9, START).await, ImportEnded::UserRemoved);
    assert_eq!(import(&both, 2, START).await, ImportEnded::Stored);
    // The remedy of OPERATIONS.
    store.run("DELETE FROM user_key").await;
    assert_eq!(import(&sealing(&*store, &key(3)), 3, START).await, ImportEnded::Stored);
}

#[rstest]
#[tokio::test]
async fn the_key_of_a_code_that_is_kept_is_in_use(#[values(On::Sqlite, On::Postgres)] on: On) {
    let store = on.migrated().await;
    let former = sealing(&*store, &key(1));
    former.hosted_codes.keep(&parsed("code"), &parsed("state"), START).await.unwrap();
    // The key of persons goes over to the newer one here.
    let both = sealing(&*store, &format!("{},{}", key(2), key(1)));
    let ticket = both.hosted_codes.ticket(&parsed("code"), &parsed("state")).await.unwrap();
    assert!(both.hosted_codes.find(&ticket.unwrap().hash()).await.unwrap().unwrap().code.is_some());
    assert_eq!(both.key_checks.in_use_except(&["k2".to_owned()]).await.unwrap(), ["k1"]);
    assert_eq!(both.key_checks.sealed_under("k1", 9).await.unwrap().len(), 1);
    both.link_attempts.sweep(START + HOSTED_CODE_RETENTION, 9).await.unwrap();
    assert_eq!(both.key_checks.in_use_except(&["k2".to_owned()]).await.unwrap(), [""; 0]);
}
