//! A server that is gone, hangs, or refuses.

use std::sync::Arc;
use std::time::Duration;

use ig_adapters::persistence::Database;
use ig_domain::ports::{AccountKey, AccountPage};
use ig_domain::{LeaseHolder, LinkAttempt, OwnerScope};
use ig_test_support::builders::{START, account, parsed, pending_link, presentation};
use ig_test_support::contract::{Ports, StoreUnderTest};
use rstest::rstest;
use sea_orm::sqlx;
use tokio::task::JoinSet;
use url::Url;
use uuid::Uuid;

use super::super::fixture::{Postgres, is_unavailable, key, open, ports};
use super::proxy::{Mode, Proxy};
use super::{assert_away, ended};

fn ports_at(url: &Url) -> (Arc<Database>, Ports) {
    let database = open(url.as_str());
    (database.clone(), ports(database, parsed("990602627938098"), &key(1)))
}

/// The store through a proxy.
async fn proxied(store: &Postgres) -> (Proxy, Ports) {
    let mut url = store.parsed_url();
    let server = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(5432));
    let proxy = Proxy::before(server).await;
    url.set_host(Some("127.0.0.1")).unwrap();
    url.set_port(Some(proxy.address.port())).unwrap();
    (proxy, ports_at(&url).1)
}

#[tokio::test]
async fn a_server_that_refuses_connections_is_unavailable() {
    let url = "postgres://user:planted@127.0.0.1:1/accounts".parse().unwrap();
    let (database, ports) = ports_at(&url);
    assert_away(&ports).await;
    assert!(is_unavailable(&database.migrate().await));
    assert!(is_unavailable(&database.anything_sealed().await));
    let error = database.pending_migrations().await.unwrap_err();
    assert!(is_unavailable(&Err::<(), _>(error.clone())));
    assert!(!format!("{error:?} {error} {database:?}").contains("planted"));
}

#[rstest]
#[case::gone(Mode::Cut)]
#[case::hanging(Mode::Hanging)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_goes_away_is_missed_in_time_and_used_again_when_it_is_back(
    #[case] mode: Mode,
) {
    let store = Postgres::migrated().await;
    let (proxy, ports) = proxied(&store).await;
    let pending = pending_link("before", "", START);
    ports.pending_links.insert(&pending).await.unwrap();

    proxy.set(mode);
    assert_away(&ports).await;

    proxy.set(Mode::Through);
    ended(async { while ports.probe.check().await.is_err() {} }).await;
    assert_eq!(ports.pending_links.find(&pending.state).await.unwrap(), Some(pending));
    ports.pending_links.insert(&pending_link("after", "", START)).await.unwrap();
}

/// A read that nobody waits for any more keeps its connection until the server has ended it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_that_is_given_up_ends_at_the_server_and_no_connection_is_opened_beside_it() {
    let store = Postgres::migrated().await;
    let mut url = store.parsed_url();
    let name = url.query().unwrap().rsplit_once("test_").unwrap().1.to_owned();
    url.query_pairs_mut().append_pair("application_name", &name);
    let (_, ports) = ports_at(&url);
    let mut other = store.connection().await;
    let lock = "BEGIN; LOCK TABLE instagram_account IN ACCESS EXCLUSIVE MODE";
    sqlx::raw_sql(lock).execute(&mut other).await.unwrap();

    let account = AccountKey::Username(parsed("luna"));
    for _ in 0..3 {
        let reads: JoinSet<_> = (0..5)
            .map(|_| {
                let (accounts, account) = (ports.accounts.clone(), account.clone());
                async move { accounts.find(&account).await }
            })
            .collect();
        tokio::time::timeout(Duration::from_millis(1500), reads.join_all()).await.unwrap_err();
    }
    let mut watch = store.connection().await;
    let mut count = async |condition: &str| -> i64 {
        let sql = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND {condition}"
        );
        let counted = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).bind(&name);
        counted.fetch_one(&mut watch).await.unwrap()
    };
    assert!(count("true").await <= 10, "connections were opened beside those that work");
    let idle = async {
        while count("state <> 'idle'").await > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    // The table stays locked, so that a statement without a limit goes on.
    ended(idle).await;

    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    assert_eq!(ports.accounts.find(&account).await.unwrap(), None);
}

/// The driver does not know that the server has begun; the next to use the connection could only read.
#[tokio::test]
async fn a_read_that_is_given_up_as_it_begins_leaves_no_transaction_open() {
    let store = Postgres::migrated().await;
    let (proxy, ports) = proxied(&store).await;
    ports.pending_links.insert(&pending_link("before", "", START)).await.unwrap();
    proxy.set(Mode::Hanging);
    let account = AccountKey::Username(parsed("luna"));
    let read = ports.accounts.find(&account);
    tokio::time::timeout(Duration::from_millis(200), read).await.unwrap_err();
    proxy.set(Mode::Through);
    for number in 0..20 {
        let pending = pending_link(&format!("after-{number}"), "", START);
        ports.pending_links.insert(&pending).await.unwrap();
    }
}

/// A table that cannot be read takes not every connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listings_that_hang_leave_connections_to_other_calls() {
    let store = Postgres::migrated().await;
    let ports = store.ports();
    let mut other = store.connection().await;
    let lock = "BEGIN; LOCK TABLE instagram_account IN ACCESS EXCLUSIVE MODE";
    sqlx::raw_sql(lock).execute(&mut other).await.unwrap();
    let page = AccountPage { owners: OwnerScope::everyone(), status: None, after: None, limit: 9 };
    let listings: JoinSet<_> = (0..20)
        .map(|_| {
            let (accounts, page) = (ports.accounts.clone(), page.clone());
            async move { accounts.list(&page).await }
        })
        .collect();
    // A call that found no connection would be refused after three seconds, before the server ends a listing.
    let calls = async {
        for number in 0..5 {
            let pending = pending_link(&format!("state-{number}"), "", START);
            ports.pending_links.insert(&pending).await.unwrap();
            ports.probe.check().await.unwrap();
        }
    };
    tokio::select! {
        biased;
        _ = listings.join_all() => panic!("the listings hang"),
        () = calls => {}
    }
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
}

#[tokio::test]
async fn a_server_that_only_lets_read_is_unavailable() {
    let store = Postgres::migrated().await;
    let mut url = store.parsed_url();
    url.query_pairs_mut().append_pair("options[default_transaction_read_only]", "on");
    let (_, ports) = ports_at(&url);
    assert!(is_unavailable(&ports.probe.check().await));
    assert!(is_unavailable(&ports.pending_links.insert(&pending_link("one", "", START)).await));
    let state = pending_link("one", "", START).state;
    assert_eq!(ports.pending_links.find(&state).await.unwrap(), None);
}

#[tokio::test]
async fn a_lock_that_another_process_keeps_ends_writes_in_time_and_reads_go_on() {
    let store = Postgres::migrated().await;
    let ports = store.ports();
    let mut other = store.connection().await;
    sqlx::raw_sql("BEGIN; LOCK TABLE pending_link IN EXCLUSIVE MODE")
        .execute(&mut other)
        .await
        .unwrap();

    let pending = pending_link("waiting", "", START);
    assert!(is_unavailable(&ended(ports.pending_links.insert(&pending)).await));
    assert_eq!(ports.pending_links.find(&pending.state).await.unwrap(), None);

    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    ports.pending_links.insert(&pending).await.unwrap();
}

/// Its holder writes under it, or hangs while it does; either way the row is passed by at once, where waiting for it
/// would end as unavailable.
#[tokio::test]
async fn a_lease_whose_row_somebody_has_locked_is_not_waited_for() {
    let store = Postgres::migrated().await;
    let ports = store.ports();
    let [first, second] = [1, 2].map(|number| LeaseHolder::from_uuid(Uuid::from_u128(number)));
    let pending = pending_link("state", "", START);
    ports.pending_links.insert(&pending).await.unwrap();
    let attempt = LinkAttempt::begin(pending, &presentation("code", "state", ""), START);
    ports.link_attempts.create(&attempt, first).await.unwrap();
    let account = account(1, "", START).id;
    assert!(ports.renewal_leases.claim(account, first).await.unwrap());
    store.end_leases().await;
    let mut other = store.connection().await;
    sqlx::raw_sql(
        "BEGIN; SELECT 1 FROM link_attempt FOR UPDATE; SELECT 1 FROM renewal_lease FOR UPDATE",
    )
    .execute(&mut other)
    .await
    .unwrap();
    assert!(ports.link_attempts.claim(&attempt.code, second).await.unwrap().is_none());
    assert!(!ports.renewal_leases.claim(account, second).await.unwrap());

    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    assert!(ports.link_attempts.claim(&attempt.code, second).await.unwrap().is_some());
    assert!(ports.renewal_leases.claim(account, second).await.unwrap());
}
