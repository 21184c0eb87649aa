//! Removals of persons, beside links and beside each other.

mod deletions;

use ig_domain::ports::{CompletedLink, LinkEnded};
use ig_domain::{
    AccountId, InstagramAccount, LeaseHolder, LinkAttempt, RemovalOutcome, SignedRequest,
};
use ig_test_support::builders::{START, account, long_lived, parsed};
use ig_test_support::contract::{Ports, StoreUnderTest as _};
use rstest::rstest;
use sea_orm::sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgTransaction, query_scalar};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::fixture::{On, Postgres, TestDatabase as _};
use super::keys::exchange;

/// Number of the lock of the one person of whom a removal is kept.
const LOCK: &str = "SELECT ('x' || encode(substring(user_hash FOR 8), 'hex'))::bit(64)::bigint \
                    FROM user_removal LIMIT 1";

/// The ways in which a person is removed.
#[derive(Clone, Copy, Debug)]
enum By {
    Deauthorization,
    Deletion,
}

impl By {
    /// Removes the person of account `number`, who asked for it right after the consent.
    async fn remove(self, ports: &Ports, number: u32) -> RemovalOutcome {
        let (request, code) = (request(number), parsed(&format!("{number:032x}")));
        match self {
            Self::Deauthorization => ports.user_removals.deauthorize(&request, START).await,
            Self::Deletion => {
                let deleted = ports.user_deletions.delete(&request, &code, START).await;
                deleted.map(|(_, outcome)| outcome)
            }
        }
        .unwrap()
    }

    /// Asserts that an account was there when its person was removed, and has no token any more.
    async fn assert_removed(self, ports: &Ports, number: u32, outcome: &RemovalOutcome) {
        assert_eq!(*outcome, RemovalOutcome::Done { accounts: vec![id(number)] });
        match (self, found(ports, number).await) {
            (Self::Deauthorization, Some((account, has_token))) => {
                assert!(account.refused.is_some() && !has_token);
            }
            (Self::Deletion, None) => {}
            (_, found) => panic!("{found:?}"),
        }
    }
}

/// Completes this attempt as the first link of account `number`.
async fn complete(ports: &Ports, attempt: &LinkAttempt, number: u32) -> LinkEnded {
    let link = CompletedLink {
        displaced: None,
        account: account(number, "", START),
        former_revision: None,
        token: Some(long_lived("token")),
        missing_scopes: Vec::new(),
        end_time: START,
    };
    let holder = LeaseHolder::from_uuid(Uuid::from_u128(1));
    ports.link_attempts.complete(&attempt.code, holder, &link).await.unwrap()
}

/// A removal that the person of account `number` asked for right after the consent.
fn request(number: u32) -> SignedRequest {
    let user = account(number, "", START).app_scoped_user_id.unwrap();
    SignedRequest { user, issue_time: START }
}

fn id(number: u32) -> AccountId {
    account(number, "", START).id
}

/// The account, and whether it has a token.
async fn found(ports: &Ports, number: u32) -> Option<(InstagramAccount, bool)> {
    let found = ports.accounts.find_with_token(id(number)).await.unwrap();
    found.map(|(account, token)| (account, token.is_some()))
}

/// Waits until `number`, which says who is waited for, is no more zero. Whoever is to wait must not have ended: it
/// ends when its call to the store has lasted too long, so this ends, too.
async fn waiting<T>(store: &Postgres, number: &str, waiter: &JoinHandle<T>) {
    while store.number(number).await == 0 {
        assert!(!waiter.is_finished(), "nobody was waited for");
    }
}

/// Waits until somebody waits for this transaction.
async fn waiting_for<T>(
    store: &Postgres,
    transaction: &mut PgTransaction<'_>,
    waiter: &JoinHandle<T>,
) {
    let pid = query_scalar::<_, i32>("SELECT pg_backend_pid()");
    let pid = pid.fetch_one(&mut **transaction).await.unwrap();
    let number =
        format!("SELECT count(*) FROM pg_stat_activity WHERE {pid} = ANY(pg_blocking_pids(pid))");
    waiting(store, &number, waiter).await;
}

/// Waits until somebody waits for a lock of these types, apart from whoever waits for a table.
async fn waiting_for_lock<T>(store: &Postgres, types: &str, waiter: &JoinHandle<T>) {
    let locks = format!(
        "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted \
         AND locktype IN ({types}) AND application_name = current_setting('application_name')"
    );
    waiting(store, &locks, waiter).await;
}

/// The second one sees what the first has stored.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_token_is_left_by_a_link_at_the_moment_of_a_removal(
    #[values(On::Sqlite, On::Postgres)] on: On,
    #[values(By::Deauthorization, By::Deletion)] by: By,
) {
    let store = on.migrated().await;
    let ports = store.ports();
    for number in 1..=40 {
        let attempt = exchange(&ports, &format!("link-{number}")).await;
        let linking = complete(&ports, &attempt, number);
        let (linked, removed) = tokio::join!(linking, by.remove(&ports, number));
        match (linked, removed) {
            (LinkEnded::UserRemoved, RemovalOutcome::NothingStored) => {
                assert_eq!(found(&ports, number).await, None);
            }
            (LinkEnded::Stored, removed) => by.assert_removed(&ports, number, &removed).await,
            both => panic!("account {number}: {both:?}"),
        }
    }
}

/// The link begins while the removal is under way, and looks for it when that is over.
#[rstest]
#[tokio::test]
async fn a_link_waits_for_a_removal_of_its_person(
    #[values(By::Deauthorization, By::Deletion)] by: By,
) {
    let store = Postgres::migrated().await;
    let ports = store.ports();
    by.remove(&ports, 1).await;
    let number = store.number(LOCK).await;
    store.run("UPDATE user_removal SET issue_time = issue_time - 1000000").await;
    let attempt = exchange(&ports, "link").await;
    let mut connection = store.connection().await;
    let mut removal = connection.begin().await.unwrap();
    let lock = format!("SELECT pg_advisory_xact_lock({number})");
    removal.execute(AssertSqlSafe(lock)).await.unwrap();
    let linking = tokio::spawn({
        let ports = ports.clone();
        async move { complete(&ports, &attempt, 1).await }
    });
    waiting_for(&store, &mut removal, &linking).await;
    removal.execute("UPDATE user_removal SET issue_time = issue_time + 1000000").await.unwrap();
    removal.commit().await.unwrap();
    assert_eq!(linking.await.unwrap(), LinkEnded::UserRemoved);
    assert_eq!(found(&ports, 1).await, None);
}

/// The removal comes while the account is not there yet, and finds it when the link is over.
#[rstest]
#[tokio::test]
async fn a_removal_waits_for_a_link_of_its_person(
    #[values(By::Deauthorization, By::Deletion)] by: By,
) {
    let store = Postgres::migrated().await;
    let ports = store.ports();
    let attempt = exchange(&ports, "link").await;
    let mut connection = store.connection().await;
    let mut holding = connection.begin().await.unwrap();
    // The link has its person's lock when it comes to its attempt.
    holding.execute("LOCK TABLE link_attempt IN SHARE MODE").await.unwrap();
    let linking = tokio::spawn({
        let ports = ports.clone();
        async move { complete(&ports, &attempt, 1).await }
    });
    waiting_for(&store, &mut holding, &linking).await;
    let removing = tokio::spawn({
        let ports = ports.clone();
        async move { by.remove(&ports, 1).await }
    });
    waiting_for_lock(&store, "'advisory'", &removing).await;
    holding.rollback().await.unwrap();
    assert_eq!(linking.await.unwrap(), LinkEnded::Stored);
    by.assert_removed(&ports, 1, &removing.await.unwrap()).await;
}
