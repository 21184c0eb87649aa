//! Rows that nobody here wrote are reported, not shown, and nothing panics.

use std::error::Error;

use ig_domain::ports::{AccountKey, CompletedLink, StoreError};
use ig_domain::{CodeHash, LeaseHolder, LinkAttempt, Phase, StateHash};
use ig_test_support::builders::{self, START, long_lived, pending_link, presentation};
use ig_test_support::contract::Ports;
use rstest::rstest;
use uuid::Uuid;

use super::fixture::{On, Sqlite, TestDatabase};

/// An attempt that goes on and one that has ended with an account.
async fn fill(ports: &Ports) -> (StateHash, [CodeHash; 2]) {
    let holder = LeaseHolder::from_uuid(Uuid::from_u128(1));
    let mut codes = Vec::new();
    for (code, state) in [("code-1", "state-1"), ("code-2", "state-2")] {
        let pending = pending_link(state, "", START);
        ports.pending_links.insert(&pending).await.unwrap();
        let attempt = LinkAttempt::begin(pending, &presentation(code, state, ""), START);
        ports.link_attempts.create(&attempt, holder).await.unwrap();
        codes.push(attempt.code);
    }
    let link = CompletedLink {
        displaced: None,
        account: builders::account(1, "", START),
        former_revision: None,
        token: Some(long_lived("token")),
        missing_scopes: Vec::new(),
        end_time: START,
    };
    ports.link_attempts.advance(&codes[0], holder, &Phase::Sent).await.unwrap();
    ports.link_attempts.complete(&codes[1], holder, &link).await.unwrap();
    (pending_link("state-1", "", START).state, [codes[0], codes[1]])
}

#[rstest]
#[case::username("UPDATE instagram_account SET username = 'Planted Ü'")]
#[case::professional_id("UPDATE instagram_account SET professional_account_id = 'planted'")]
#[case::account_type("UPDATE instagram_account SET account_type = 'planted'")]
#[case::scopes("UPDATE instagram_account SET granted_scopes = 'Planted'")]
#[case::refused("UPDATE instagram_account SET refused = 'planted'")]
#[case::time("UPDATE instagram_account SET link_time = 9223372036854775807")]
#[case::no_token("DELETE FROM account_token")]
#[case::cut_token("UPDATE account_token SET sealed_token = {byte}")]
#[case::no_seal("UPDATE account_token SET sealed_token = 'planted'")]
#[case::phase("UPDATE link_attempt SET phase = 'planted'")]
#[case::outcome("UPDATE link_attempt SET outcome = 'planted'")]
#[case::no_outcome("UPDATE link_attempt SET outcome = NULL")]
#[case::no_account("UPDATE link_attempt SET linked_account_id = NULL")]
#[case::no_sealed_token("UPDATE link_attempt SET phase = 'exchanged'")]
#[case::redirect_uri("UPDATE link_attempt SET redirect_uri = 'planted'")]
#[case::state_hash("UPDATE link_attempt SET state_hash = {byte}")]
#[case::owner("UPDATE pending_link SET owner = 'planted' || {newline}")]
#[case::binding("UPDATE pending_link SET session_binding_hash = 'planted'")]
#[case::spender("UPDATE pending_link SET spent_by = {byte}")]
#[tokio::test]
async fn a_damaged_row_is_corrupt_and_is_not_shown(
    #[case] damage: &str,
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let (newline, byte) = match on {
        On::Sqlite => ("char(10)", "x'01'"),
        On::Postgres => ("chr(10)", r"'\x01'"),
    };
    let damage = damage.replace("{newline}", newline).replace("{byte}", byte);
    assert_corrupt(&*on.migrated().await, &damage).await;
}

/// PostgreSQL keeps such out by its types.
#[rstest]
#[case::number("UPDATE instagram_account SET revision = 'planted'")]
#[case::uuid("UPDATE link_attempt SET account_id = 'planted'")]
#[tokio::test]
async fn a_value_of_another_type_is_corrupt_and_is_not_shown(#[case] damage: &str) {
    assert_corrupt(&Sqlite::migrated().await, damage).await;
}

async fn assert_corrupt(store: &dyn TestDatabase, damage: &str) {
    let ports = store.ports();
    let (state, codes) = fill(&ports).await;
    assert!(store.run(damage).await > 0);

    let id = builders::account(1, "", START).id;
    let mut results = vec![
        ports.accounts.find(&AccountKey::Id(id)).await.map(drop),
        ports.accounts.find_with_token(id).await.map(drop),
        ports.pending_links.find(&state).await.map(drop),
    ];
    for code in codes {
        results.push(ports.link_attempts.find(&code).await.map(drop));
    }
    let causes: Vec<_> = results.into_iter().filter_map(Result::err).collect();
    assert!(!causes.is_empty());
    for error in causes {
        assert!(matches!(error, StoreError::Corrupt(_)), "{error:?}");
        let source = error.source().unwrap();
        let shown = format!("{error} {error:?} {source} {source:?}").to_lowercase();
        assert!(!shown.contains("planted"), "{shown}");
    }
}

#[rstest]
#[case::sqlite(On::Sqlite, "CAST(unixepoch('subsec') * 1000000 AS INTEGER)")]
#[case::postgres(On::Postgres, "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)")]
#[tokio::test]
async fn a_lease_lasts_fourteen_seconds_by_the_databases_clock(#[case] on: On, #[case] now: &str) {
    let store = on.migrated().await;
    let ports = store.ports();
    fill(&ports).await;
    let account = builders::account(1, "", START).id;
    let holder = LeaseHolder::from_uuid(Uuid::from_u128(1));
    assert!(ports.renewal_leases.claim(account, holder).await.unwrap());
    for table in ["renewal_lease", "link_attempt"] {
        let left = store.number(&format!("SELECT max(lease_end) - {now} FROM {table}")).await;
        assert!((10_000_000..=14_000_000).contains(&left), "{table}: {left}");
    }
}
