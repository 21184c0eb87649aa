//! Deletions of data, beside everything that writes of the same person.

use std::time::Duration;

use ig_domain::ports::{AuditPage, StoreError, UserDeletions, VisitChange, VisitResult};
use ig_domain::{AccountId, DeletionState, InstagramAccount, LeaseHolder, RemovalOutcome};
use ig_test_support::builders::{START, account, audit_entry, long_lived, parsed, received};
use ig_test_support::contract::{Ports, StoreUnderTest as _};
use rstest::rstest;
use sea_orm::sqlx::{AssertSqlSafe, Connection as _, Executor as _};
use time::OffsetDateTime;
use uuid::Uuid;

use super::super::fixture::{On, Postgres, TestDatabase, key, open, ports};
use super::super::keys::link;
use super::{By, found, id, request, waiting_for, waiting_for_lock};

/// Number of persons in each race.
const PERSONS: u32 = 20;

/// Number of the events that say more than that they happened.
const BODIES: &str = "SELECT count(*) FROM account_event WHERE changed_fields IS NOT NULL \
    OR cause IS NOT NULL OR webhook_field IS NOT NULL OR webhook_direction IS NOT NULL \
    OR webhook_peer_id IS NOT NULL OR webhook_time IS NOT NULL OR payload_size IS NOT NULL \
    OR sealed_payload IS NOT NULL";

/// Number of the events of accounts that were told gone before.
const LATE_EVENTS: &str = "SELECT count(*) FROM account_event AS event JOIN account_event AS end_event \
    ON end_event.account_id = event.account_id AND end_event.kind = 'DELETED' AND end_event.id < event.id";

/// Erases until nothing is left to be erased at this moment.
async fn erase_all(deletions: &dyn UserDeletions, now: OffsetDateTime) {
    while deletions.erase(now, 2).await.unwrap() > 0 {}
}

/// Ends all deletions, and asserts that no event has a body or came late.
async fn assert_erased(store: &dyn TestDatabase) {
    erase_all(&*store.ports().user_deletions, START + Duration::from_secs(30)).await;
    let running = "SELECT count(*) FROM user_removal WHERE state <> 'deleted'";
    for left in [BODIES, LATE_EVENTS, running, "SELECT count(*) FROM account_token"] {
        assert_eq!(store.number(left).await, 0, "{left}");
    }
}

/// A call that writes of account 1 and excludes its deletion by the account's row.
#[derive(Clone, Copy, Debug)]
enum Writer {
    /// An update comes by webhook.
    Webhook,
    /// A caller's call stores a renewed token.
    Refresh,
    /// The keeper stores a renewed token.
    Keeper,
}

impl Writer {
    /// Writes of account `number`; returns whether it was still there.
    async fn write(self, ports: &Ports, number: u32) -> bool {
        let former = account(number, "", START);
        match self {
            Self::Webhook => {
                let counts = ports.webhooks.store(&[received(&former, number, 9)]).await.unwrap();
                assert_eq!((counts.stored + counts.unknown, counts.erased), (1, 0));
                counts.stored == 1
            }
            Self::Refresh => {
                let (renewed, token) = (renewed(&former), long_lived("renewed"));
                match ports.account_writer.update(&renewed, &former, Some(token)).await {
                    Err(StoreError::Conflict) => false,
                    updated => {
                        updated.unwrap();
                        true
                    }
                }
            }
            Self::Keeper => {
                let change = VisitChange {
                    account: renewed(&former),
                    former_revision: former.revision,
                    former_profile_time: former.profile_time,
                    token: Some(long_lived("renewed")),
                };
                let result = VisitResult { id: former.id, change: Some(change) };
                let holder = LeaseHolder::from_uuid(Uuid::from_u128(9));
                ports.due_accounts.finish(&[(holder, result)]).await.unwrap().is_empty()
            }
        }
    }
}

/// The account with a token that was renewed a day later.
fn renewed(former: &InstagramAccount) -> InstagramAccount {
    let now = START + Duration::from_hours(24);
    let mut renewed = former.clone();
    renewed.take_renewal(&ig_test_support::builders::grant("renewed", now));
    renewed.succeeding(former, now)
}

/// A request that Meta sends to two replicas at once. Both then erase.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_deletion_at_two_replicas_has_one_code(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let store = on.migrated().await;
    let one = store.ports();
    let other = ports(open(&store.url()), parsed("990602627938098"), &key(1));
    let (one_deletes, other_deletes) = (&*one.user_deletions, &*other.user_deletions);
    for number in 1..=PERSONS {
        link(&one, number).await;
        let request = request(number);
        let codes = [number, number + 1000].map(|number| parsed(&format!("{number:032x}")));
        let (first, second) = tokio::join!(
            one_deletes.delete(&request, &codes[0], START),
            other_deletes.delete(&request, &codes[1], START)
        );
        let (first, second) = (first.unwrap(), second.unwrap());
        assert_eq!(first.0, second.0);
        let done = RemovalOutcome::Done { accounts: vec![id(number)] };
        assert_eq!([first.1, second.1], [done.clone(), done]);
        let kept = [one_deletes.find(&codes[0]).await, other_deletes.find(&codes[1]).await];
        let kept = kept.map(|found| found.unwrap().map(|deletion| deletion.state));
        assert_eq!(kept.iter().flatten().collect::<Vec<_>>(), [&DeletionState::Running]);
    }
    let end = START + Duration::from_secs(30);
    tokio::join!(erase_all(one_deletes, end), erase_all(other_deletes, end));
    assert_erased(&*store).await;
    let told = "SELECT count(*) FROM account_event WHERE kind = 'DELETED'";
    assert_eq!(store.number(told).await, i64::from(PERSONS));
}

/// The second one finds the account gone, or what it stored goes with the account.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_by_a_write_at_the_moment_of_a_deletion(
    #[values(On::Sqlite, On::Postgres)] on: On,
    #[values(Writer::Webhook, Writer::Refresh, Writer::Keeper)] writer: Writer,
) {
    let store = on.migrated().await;
    let ports = store.ports();
    for number in 1..=PERSONS {
        link(&ports, number).await;
        let removing = async {
            By::Deletion.remove(&ports, number).await;
            erase_all(&*ports.user_deletions, START).await;
        };
        tokio::join!(writer.write(&ports, number), removing);
        assert_eq!(found(&ports, number).await, None);
    }
    assert_erased(&*store).await;
}

/// A token that was read before is handed out after: who got it stays, and whose it was does not.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_audit_of_a_hand_out_at_the_moment_of_a_deletion_names_nobody(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let store = on.migrated().await;
    let ports = store.ports();
    let mut recorded = 0;
    for number in 1..=PERSONS {
        link(&ports, number).await;
        let handing_out = async {
            let found = ports.accounts.find_with_token(id(number)).await.unwrap();
            if let Some((account, Some(_))) = found {
                let entry = audit_entry(&account, number.into());
                recorded += ports.audit.record(&[entry]).await.unwrap().len();
            }
        };
        let removing = async {
            By::Deletion.remove(&ports, number).await;
            erase_all(&*ports.user_deletions, START).await;
        };
        tokio::join!(handing_out, removing);
    }
    assert_erased(&*store).await;
    let page = AuditPage { limit: 100, ..AuditPage::default() };
    let entries = ports.audit_reader.entries(&page).await.unwrap();
    assert_eq!(entries.len(), recorded);
    for entry in entries {
        assert_eq!(entry.account, AccountId::from_uuid(Uuid::nil()));
        assert_eq!(entry.professional_account_id.as_str(), "0");
    }
}

/// The deletion has the account's row, and whoever comes then waits until the account is gone.
#[rstest]
#[tokio::test]
async fn a_write_waits_for_the_deletion_of_its_account(
    #[values(Writer::Webhook, Writer::Refresh, Writer::Keeper)] writer: Writer,
) {
    assert!(!write_beside_deletion("former_account", writer, true).await);
}

/// The writer has the account's row, and the deletion finds what was written.
#[rstest]
#[tokio::test]
async fn a_deletion_waits_for_a_write_of_its_account(
    #[values(Writer::Webhook, Writer::Refresh, Writer::Keeper)] writer: Writer,
) {
    assert!(write_beside_deletion("account_event", writer, false).await);
}

/// Deletes account 1 while `writer` writes of it; returns whether that found the account. The one that begins is held
/// at a table, where it has the account's row already, until the other one waits for the row.
async fn write_beside_deletion(held: &str, writer: Writer, deletion_begins: bool) -> bool {
    let store = Postgres::migrated().await;
    let ports = store.ports();
    link(&ports, 1).await;
    let mut connection = store.connection().await;
    let mut holding = connection.begin().await.unwrap();
    let lock = format!("LOCK TABLE {held} IN SHARE MODE");
    holding.execute(AssertSqlSafe(lock)).await.unwrap();
    let write = {
        let ports = ports.clone();
        async move { writer.write(&ports, 1).await }
    };
    let delete = {
        let ports = ports.clone();
        async move { By::Deletion.remove(&ports, 1).await }
    };
    let row = "'transactionid', 'tuple'";
    let (writing, deleting);
    if deletion_begins {
        deleting = tokio::spawn(delete);
        waiting_for(&store, &mut holding, &deleting).await;
        writing = tokio::spawn(write);
        waiting_for_lock(&store, row, &writing).await;
    } else {
        writing = tokio::spawn(write);
        waiting_for(&store, &mut holding, &writing).await;
        deleting = tokio::spawn(delete);
        waiting_for_lock(&store, row, &deleting).await;
    }
    holding.rollback().await.unwrap();
    By::Deletion.assert_removed(&ports, 1, &deleting.await.unwrap()).await;
    let was_there = writing.await.unwrap();
    assert_erased(&store).await;
    was_there
}
