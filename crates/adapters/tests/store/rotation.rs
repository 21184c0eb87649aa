//! Secrets are sealed anew under another key: all of them, none that changed meanwhile, and nothing else moves.

use std::collections::BTreeMap;
use std::sync::Arc;

use ig_adapters::persistence::SeaOrmStore;
use ig_adapters::sealing::KeyRing;
use ig_adapters::system::TokioTimer;
use ig_application::{CountSealed, KeyUse, RotateKeys, RotatedKeys};
use ig_domain::Phase;
use ig_domain::ports::{SealedKind, SealedSecret, SealedSecrets as _, reseal};
use ig_test_support::builders::{START, account, long_lived, parsed, received};
use ig_test_support::contract::Ports;
use rstest::rstest;
use sea_orm::sqlx::{self, Connection as _, Executor as _};

use super::fixture::{self, On, Postgres, TestDatabase, key};
use super::keys::{APP, exchange, link};

fn ports(store: &dyn TestDatabase, keys: &str) -> Ports {
    fixture::ports(Arc::clone(store.database()), parsed(APP), keys)
}

fn secrets(store: &dyn TestDatabase) -> SeaOrmStore {
    fixture::store(Arc::clone(store.database()), parsed(APP), &key(2))
}

/// Key 2 first, then key 1.
fn both() -> String {
    format!("{},{}", key(2), key(1))
}

/// Each of the secrets with its text under key 2.
fn resealed(secrets: &[SealedSecret]) -> Vec<(SealedSecret, Vec<u8>)> {
    let ring: KeyRing = both().parse().unwrap();
    let reseal = |secret: &SealedSecret| {
        (secret.clone(), reseal(&ring, &secret.context, &secret.sealed).unwrap())
    };
    secrets.iter().map(reseal).collect()
}

async fn rotate(store: &dyn TestDatabase) -> RotatedKeys {
    let cipher: KeyRing = both().parse().unwrap();
    let rotation = RotateKeys {
        secrets: Arc::new(secrets(store)),
        cipher: Arc::new(cipher),
        newest: "k2".to_owned(),
        timer: Arc::new(TokioTimer),
    };
    rotation.execute(|_| ()).await.unwrap()
}

async fn counted(store: &dyn TestDatabase) -> BTreeMap<String, KeyUse> {
    CountSealed { secrets: Arc::new(secrets(store)) }.execute().await.unwrap()
}

/// The pages of at most `limit` secrets of a kind, joined.
async fn pages(
    store: &SeaOrmStore,
    kind: SealedKind,
    newest: &str,
    limit: u64,
) -> Vec<SealedSecret> {
    let mut joined: Vec<SealedSecret> = Vec::new();
    loop {
        let after = joined.last().map(SealedSecret::place);
        let page = store.under_other_keys(kind, newest, after, limit).await.unwrap();
        assert!(page.len() as u64 <= limit);
        if page.is_empty() {
            return joined;
        }
        joined.extend(page);
    }
}

#[rstest]
#[tokio::test]
async fn all_but_payloads_is_sealed_anew_and_opens_by_the_newest_key_alone(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let store = on.migrated().await;
    let former = ports(&*store, &key(1));
    for number in 1..=3 {
        link(&former, number).await;
    }
    link(&ports(&*store, &key(2)), 4).await;
    let attempt = exchange(&former, "under-way").await;
    let (code, state) = (parsed("code"), parsed("state"));
    let ticket = former.hosted_codes.keep(&code, &state, START).await.unwrap().unwrap();
    former.webhooks.store(&[received(&account(1, "", START), 1, 9)]).await.unwrap();
    let moved =
        "SELECT sum(revision) + (SELECT count(*) FROM account_event) FROM instagram_account";
    let moved = format!("SELECT CAST(({moved}) AS BIGINT)");
    let before = store.number(&moved).await;

    let rotated = rotate(&*store).await;
    assert!(rotated.unopened.is_empty(), "{rotated:?}");
    let resealed = [
        (SealedKind::UserKey, 1),
        (SealedKind::Token, 3),
        (SealedKind::ShortLivedToken, 1),
        (SealedKind::HostedCode, 1),
    ];
    assert_eq!(rotated.resealed, resealed.into());
    assert_eq!(store.number(&moved).await, before, "no revision moves, and no event is written");

    let keys = counted(&*store).await;
    let (former, newest) = (&keys["k1"], &keys["k2"]);
    assert_eq!((former.total(), former.payloads, newest.total()), (0, 1, 7));
    assert!(former.newest_payload_time.is_some());
    let alone = ports(&*store, &key(2));
    let missing = alone.key_checks.in_use_except(&["k2".to_owned()]).await.unwrap();
    assert_eq!(missing, [""; 0]);
    for number in 1..=4 {
        let id = account(number, "", START).id;
        let (_, token) = alone.accounts.find_with_token(id).await.unwrap().unwrap();
        assert_eq!(token.unwrap().text().expose(), "token");
    }
    let found = alone.link_attempts.find(&attempt.code).await.unwrap().unwrap();
    assert!(matches!(found.phase, Phase::Exchanged(_)), "{found:?}");
    let kept = alone.hosted_codes.find(&ticket.hash()).await.unwrap().unwrap();
    assert_eq!(kept.code.unwrap().expose(), "code");
    let again = alone.hosted_codes.ticket(&code, &state).await.unwrap().unwrap();
    assert_eq!(again.expose(), ticket.expose(), "the key of persons is the same");
    assert_eq!(rotate(&*store).await.total(), 0);
}

/// A renewal that comes between the reading and the replacement stands.
#[rstest]
#[tokio::test]
async fn what_changed_since_it_was_read_is_not_replaced(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let store = on.migrated().await;
    let former = ports(&*store, &key(1));
    for number in 1..=3 {
        link(&former, number).await;
    }
    let attempt = exchange(&former, "under-way").await;
    former.hosted_codes.keep(&parsed("code"), &parsed("state"), START).await.unwrap();
    let secrets = secrets(&*store);
    let mut read = BTreeMap::new();
    for kind in SealedKind::ALL {
        read.insert(kind, pages(&secrets, kind, "k2", 9).await);
    }
    let stored = account(2, "", START);
    let renewed = stored.clone().succeeding(&stored, START);
    let token = Some(long_lived("renewed"));
    former.account_writer.update(&renewed, &stored, token).await.unwrap();
    former.account_writer.remove(account(3, "", START).id, 1).await.unwrap();
    let (_, other_token) = former.accounts.find_with_token(stored.id).await.unwrap().unwrap();
    assert_eq!(other_token.unwrap().text().expose(), "renewed");
    for changed in [
        "link_attempt SET sealed_token = sealed_token || sealed_token",
        "hosted_code SET sealed_code = sealed_code || sealed_code",
        "user_key SET sealed_key = sealed_key || sealed_key",
    ] {
        // SQLite joins blobs as text.
        let changed = match on {
            On::Sqlite => {
                changed.replace(" = ", " = CAST(").replace("||", "|| x'01' ||") + " AS BLOB)"
            }
            On::Postgres => changed.to_owned(),
        };
        assert!(store.run(&format!("UPDATE {changed}")).await > 0, "{changed}");
    }
    let replaced = async |kind: SealedKind| {
        assert!(!read[&kind].is_empty());
        secrets.replace(kind, &resealed(&read[&kind])).await.unwrap()
    };
    assert_eq!(replaced(SealedKind::Token).await, 1, "only the first is as it was read");
    for kind in [SealedKind::UserKey, SealedKind::ShortLivedToken, SealedKind::HostedCode] {
        assert_eq!(replaced(kind).await, 0, "{kind:?}");
    }
    let (_, token) = former.accounts.find_with_token(stored.id).await.unwrap().unwrap();
    assert_eq!(token.unwrap().text().expose(), "renewed");
    assert!(former.link_attempts.find(&attempt.code).await.is_err(), "it is the damaged one");
    assert_eq!(store.number("SELECT count(*) FROM account_token").await, 2);
}

#[rstest]
#[tokio::test]
async fn pages_join_and_leave_out_the_newest_key_and_other_apps(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let store = on.migrated().await;
    for (number, sealing) in (1..).zip([3, 1, 2, 1, 3, 2, 1]) {
        link(&ports(&*store, &key(sealing)), number).await;
    }
    for number in 1..=5 {
        exchange(&ports(&*store, &key(1 + number % 2)), &format!("code-{number}")).await;
    }
    let other = fixture::ports(Arc::clone(store.database()), parsed("1"), &key(1));
    link(&other, 99).await;
    exchange(&other, "theirs").await;
    let (secrets, both) = (secrets(&*store), [SealedKind::Token, SealedKind::ShortLivedToken]);
    for (kind, number) in both.into_iter().zip([5, 2]) {
        let whole = pages(&secrets, kind, "k2", 100).await;
        assert_eq!(whole.len(), number);
        assert!(whole.iter().all(|secret| secret.key_id != "k2"));
        for limit in 1..=4 {
            assert_eq!(pages(&secrets, kind, "k2", limit).await, whole, "pages of {limit}");
        }
    }
    let keys = counted(&*store).await;
    let numbers: Vec<_> = keys.values().map(|used| used.secrets[&SealedKind::Token]).collect();
    assert_eq!(numbers, [3, 2, 2]);
    rotate(&*store).await;
    let (_, theirs) =
        other.accounts.find_with_token(account(99, "", START).id).await.unwrap().unwrap();
    assert_eq!(theirs.unwrap().text().expose(), "token", "another app's are left alone");
    let left = counted(&*store).await["k3"].secrets[&SealedKind::Token];
    assert_eq!(left, 2, "their key is not there");
}

/// Whoever waits holds nothing that another may wait for, and nobody waits for a rotation in a ring.
#[tokio::test]
async fn a_token_that_somebody_is_changing_is_passed_by() {
    let store = Postgres::migrated().await;
    for number in 1..=2 {
        link(&ports(&store, &key(1)), number).await;
    }
    let secrets = secrets(&store);
    let resealed = resealed(&pages(&secrets, SealedKind::Token, "k2", 9).await);
    let mut connection = store.connection().await;
    let mut changing = connection.begin().await.unwrap();
    let lock = "SELECT 1 FROM account_token ORDER BY account_id LIMIT 1 FOR UPDATE";
    changing.execute(sqlx::query(lock)).await.unwrap();
    assert_eq!(secrets.replace(SealedKind::Token, &resealed).await.unwrap(), 1);
    changing.rollback().await.unwrap();
    assert_eq!(secrets.replace(SealedKind::Token, &resealed).await.unwrap(), 1);
}
