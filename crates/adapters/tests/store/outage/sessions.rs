//! Sessions keep a state after the server has left it. Those leave, and the store is well as soon as the server is.

use std::time::Instant;

use ig_domain::InstagramAccount;
use ig_domain::ports::{AccountKey, StoreError};
use ig_test_support::builders::{START, parsed, pending_link};
use ig_test_support::contract::Ports;
use tokio::task::JoinSet;

use super::super::fixture::{Postgres, TestDatabase as _, is_unavailable, key, open, ports};
use super::proxy::Proxy;

/// More than a pool has connections.
const MANY: u32 = 20;
/// Number of a pool's connections.
const POOL: usize = 10;

async fn find(ports: &Ports) -> Result<Option<InstagramAccount>, StoreError> {
    ports.accounts.find(&AccountKey::Username("luna".parse().unwrap())).await
}

/// Reads at once, so that several sessions are opened.
async fn read_at_once(ports: &Ports) -> Vec<Result<Option<InstagramAccount>, StoreError>> {
    let mut reads = JoinSet::new();
    for _ in 0..MANY {
        let ports = ports.clone();
        reads.spawn(async move { find(&ports).await });
    }
    reads.join_all().await
}

async fn assert_well(ports: &Ports) {
    ports.probe.check().await.unwrap();
    for number in 0..MANY {
        let pending = pending_link(&format!("state-{number}"), "", START);
        ports.pending_links.insert(&pending).await.unwrap();
    }
    for read in read_at_once(ports).await {
        assert_eq!(read.unwrap(), None);
    }
}

/// A store in sessions that begin with this setting of their role.
async fn while_set(store: &Postgres, role: &str, setting: &str) -> Ports {
    store.run(&format!("ALTER ROLE {role} SET {setting}")).await;
    ports(open(Postgres::url_of(role).as_str()), parsed("990602627938098"), &key(1))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_becomes_writable_again_is_well_at_once() {
    let store = Postgres::migrated().await;
    let role = store.role().await;
    let ports = while_set(&store, &role, "default_transaction_read_only = on").await;
    for _ in 0..2 {
        assert!(is_unavailable(&ports.probe.check().await));
        assert!(is_unavailable(&ports.pending_links.insert(&pending_link("no", "", START)).await));
        for read in read_at_once(&ports).await {
            assert_eq!(read.unwrap(), None);
        }
    }
    // The sessions that are open now, whoever holds them, stay as they are.
    store.run(&format!("ALTER ROLE {role} RESET default_transaction_read_only")).await;
    ports.pending_links.insert(&pending_link("first", "", START)).await.unwrap();
    assert_well(&ports).await;
}

/// A store in sessions of this role, each of which is counted.
async fn counted(role: &str) -> (Proxy, Ports) {
    let mut url = Postgres::url_of(role);
    let server = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(5432));
    let proxy = Proxy::before(server).await;
    url.set_host(Some("127.0.0.1")).unwrap();
    url.set_port(Some(proxy.address.port())).unwrap();
    (proxy, ports(open(url.as_str()), parsed("990602627938098"), &key(1)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_server_only_lets_read_its_sessions_serve_many_reads_each() {
    let store = Postgres::migrated().await;
    let role = store.role().await;
    store.run(&format!("ALTER ROLE {role} SET default_transaction_read_only = on")).await;
    let (proxy, ports) = counted(&role).await;
    for _ in 0..5 {
        for read in read_at_once(&ports).await {
            assert_eq!(read.unwrap(), None);
        }
    }
    assert!(proxy.accepted() <= POOL, "{} log-ins", proxy.accepted());
    let before = proxy.accepted();
    let mut writes = JoinSet::new();
    for number in 0..MANY {
        let ports = ports.clone();
        let pending = pending_link(&format!("state-{number}"), "", START);
        writes.spawn(async move { ports.pending_links.insert(&pending).await });
    }
    assert!(writes.join_all().await.iter().all(is_unavailable));
    for read in read_at_once(&ports).await {
        assert_eq!(read.unwrap(), None);
    }
    // Those that come while one logs in share the next log-in.
    let opened = proxy.accepted() - before;
    assert!((1..=POOL).contains(&opened), "{opened} log-ins");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_fails_for_good_does_not_make_every_call_log_in() {
    let store = Postgres::migrated().await;
    let role = store.role().await;
    store.run(&format!("REVOKE ALL ON instagram_account FROM {role}")).await;
    let (proxy, ports) = counted(&role).await;
    let begun = Instant::now();
    for number in 0..200 {
        assert!(is_unavailable(&find(&ports).await));
        let pending = pending_link(&format!("state-{number}"), "", START);
        ports.pending_links.insert(&pending).await.unwrap();
    }
    // Open sessions leave at most once a second.
    let seconds = usize::try_from(begun.elapsed().as_secs()).unwrap();
    let most = POOL * (2 + seconds);
    assert!(proxy.accepted() <= most, "{} log-ins in {seconds} s", proxy.accepted());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_in_another_schema_are_left_as_soon_as_the_role_is_set_right() {
    let store = Postgres::migrated().await;
    let role = store.role().await;
    let ports = while_set(&store, &role, "search_path = pg_catalog").await;
    assert!(read_at_once(&ports).await.iter().all(is_unavailable));
    store.set_schema_of(&role).await;
    assert_well(&ports).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_that_were_prepared_before_a_table_changed_fail_once_at_most() {
    let store = Postgres::migrated().await;
    let ports = ports(store.database().clone(), parsed("990602627938098"), &key(1));
    for read in read_at_once(&ports).await {
        assert_eq!(read.unwrap(), None);
    }
    store.run("ALTER TABLE instagram_account ALTER COLUMN name TYPE varchar(100)").await;
    assert!(is_unavailable(&find(&ports).await), "what the table was is not remembered");
    for read in read_at_once(&ports).await {
        assert_eq!(read.unwrap(), None);
    }
}
