//! Secrets are sealed or hashed, bound to their row, and erased when they have served.

use std::fs;

use ig_domain::ports::{CompletedLink, StoreError};
use ig_domain::{
    CodeHash, Consent, GrantedScopes, HOSTED_CODE_RETENTION, LeaseHolder, LinkAttempt, LinkOutcome,
    LinkRefusal, Phase, ShortLivedGrant, ShortLivedToken, Ticket,
};
use ig_test_support::builders::{START, account, long_lived, parsed, pending_link, presentation};
use ig_test_support::contract::{Ports, StoreUnderTest};
use rstest::rstest;
use sea_orm::sqlx::{self, Connection as _};
use uuid::Uuid;

use super::fixture::{On, Postgres, Sqlite, TestDatabase, key, ports};

const SHORT_LIVED: &str = "IGAA-planted-short-lived";
const LONG_LIVED: &str = "IGAA-planted-long-lived";

fn holder() -> LeaseHolder {
    LeaseHolder::from_uuid(Uuid::from_u128(1))
}

fn exchanged() -> Phase {
    Phase::Exchanged(ShortLivedGrant {
        token: ShortLivedToken::new(parsed(SHORT_LIVED)),
        consent: Consent {
            receive_time: START,
            user_id: None,
            granted_scopes: GrantedScopes::Unknown,
        },
    })
}

async fn begin(ports: &Ports, code: &str, state: &str) -> CodeHash {
    let pending = pending_link(state, "", START);
    ports.pending_links.insert(&pending).await.unwrap();
    let attempt = LinkAttempt::begin(pending, &presentation(code, state, ""), START);
    ports.link_attempts.create(&attempt, holder()).await.unwrap();
    ports.link_attempts.advance(&attempt.code, holder(), &exchanged()).await.unwrap();
    attempt.code
}

/// Keeps the code of a hosted consent.
async fn keep(ports: &Ports, code: &str, state: &str) -> Ticket {
    let kept = ports.hosted_codes.keep(&parsed(code), &parsed(state), START).await;
    kept.unwrap().unwrap()
}

fn link(number: u32) -> CompletedLink {
    CompletedLink {
        displaced: None,
        account: account(number, "", START),
        former_revision: None,
        token: Some(long_lived(LONG_LIVED)),
        missing_scopes: Vec::new(),
        end_time: START,
    }
}

#[tokio::test]
async fn no_token_code_or_state_is_anywhere_in_the_files() {
    let store = Sqlite::migrated().await;
    let ports = store.ports();
    let first = begin(&ports, "planted-code-1", "planted-state-1").await;
    begin(&ports, "planted-code-2", "planted-state-2").await;
    let ticket = keep(&ports, "planted-code-3", "planted-state-3").await;
    ports.link_attempts.complete(&first, holder(), &link(1)).await.unwrap();
    let mut files = 0;
    for file in fs::read_dir(store.folder.path()).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        files += usize::from(!bytes.is_empty());
        assert!(!bytes.windows(7).any(|window| window == b"planted"));
        let ticket = ticket.expose().as_bytes();
        assert!(!bytes.windows(ticket.len()).any(|window| window == ticket));
    }
    assert!(files > 0);
    assert_eq!(store.number("SELECT count(*) FROM account_token WHERE key_id = 'k1'").await, 1);
}

#[tokio::test]
async fn no_token_code_or_state_is_anywhere_in_the_tables() {
    let store = Postgres::migrated().await;
    let ports = store.ports();
    let first = begin(&ports, "planted-code-1", "planted-state-1").await;
    begin(&ports, "planted-code-2", "planted-state-2").await;
    let ticket = keep(&ports, "planted-code-3", "planted-state-3").await;
    ports.link_attempts.complete(&first, holder(), &link(1)).await.unwrap();
    let dump = store.dump().await;
    // PostgreSQL shows bytes as hexadecimal digits.
    let hexadecimal = "706c616e746564";
    assert!(!dump.contains("planted") && !dump.contains(hexadecimal), "{dump}");
    let digits = |digits: String, byte| digits + &format!("{byte:02x}");
    let hexadecimal = ticket.expose().bytes().fold(String::new(), digits);
    assert!(!dump.contains(ticket.expose()) && !dump.contains(&hexadecimal), "{dump}");
    for seen in ["account_1", "k1", "exchanged", "m20261124_000001_create_account"] {
        assert!(dump.contains(seen), "{seen} in {dump}");
    }
}

#[rstest]
#[case::by_an_end(0)]
#[case::by_a_link(1)]
#[case::by_going_back(2)]
#[case::by_a_sweep(3)]
#[tokio::test]
async fn a_short_lived_token_that_has_served_is_erased(
    #[case] how: u8,
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    const SEALED: &str = "SELECT count(*) FROM link_attempt WHERE sealed_token IS NOT NULL \
         OR receive_time IS NOT NULL OR user_id IS NOT NULL OR granted_scopes IS NOT NULL";
    let store = on.migrated().await;
    let ports = store.ports();
    let attempts = &ports.link_attempts;
    let code = begin(&ports, "code", "state").await;
    assert_eq!(store.number(SEALED).await, 1);
    assert!(store.database().anything_sealed().await.unwrap());
    let outcome = LinkOutcome::Refused(LinkRefusal::PersonalAccount);
    match how {
        0 => {
            let ended = Phase::Ended { outcome, end_time: START };
            attempts.advance(&code, holder(), &ended).await.unwrap();
        }
        1 => {
            attempts.complete(&code, holder(), &link(1)).await.unwrap();
        }
        2 => attempts.release(&code, holder(), &Phase::Unsent).await.unwrap(),
        _ => {
            store.end_leases().await;
            let later = START + std::time::Duration::from_hours(1);
            assert_eq!(attempts.sweep(later, 1).await.unwrap(), 1);
        }
    }
    assert_eq!(store.number(SEALED).await, 0);
    assert_eq!(store.database().anything_sealed().await.unwrap(), how == 1);
}

#[rstest]
#[tokio::test]
async fn a_sealed_token_that_is_moved_to_another_row_does_not_open(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let store = on.migrated().await;
    let ports = store.ports();
    for (number, code, state) in [(1, "code-1", "state-1"), (2, "code-2", "state-2")] {
        let code = begin(&ports, code, state).await;
        ports.link_attempts.complete(&code, holder(), &link(number)).await.unwrap();
    }
    let first = begin(&ports, "code-3", "state-3").await;
    let second = begin(&ports, "code-4", "state-4").await;
    let moved = "UPDATE account_token SET sealed_token = \
         (SELECT sealed_token FROM account_token ORDER BY account_id LIMIT 1)";
    assert_eq!(store.run(moved).await, 2);
    let moved = "UPDATE link_attempt SET sealed_token = (SELECT sealed_token FROM link_attempt \
         WHERE phase = 'exchanged' ORDER BY code_hash LIMIT 1) WHERE phase = 'exchanged'";
    assert_eq!(store.run(moved).await, 2);

    let mut opened = Vec::new();
    for number in [1, 2] {
        let found = ports.accounts.find_with_token(account(number, "", START).id).await;
        opened.push(found.map(drop));
    }
    for code in [first, second] {
        opened.push(ports.link_attempts.find(&code).await.map(drop));
    }
    let refused = |opened: &&Result<(), StoreError>| matches!(opened, Err(StoreError::Corrupt(_)));
    assert_eq!(opened.iter().filter(refused).count(), 2, "{opened:?}");
}

#[rstest]
#[tokio::test]
async fn a_token_under_a_key_that_is_gone_is_corrupt_and_names_the_key(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let store = on.migrated().await;
    let code = begin(&store.ports(), "code", "state").await;
    store.ports().link_attempts.complete(&code, holder(), &link(1)).await.unwrap();
    let id = account(1, "", START).id;
    let rotated = format!("{},{}", key(2), key(1));
    let both = ports(store.database().clone(), parsed("990602627938098"), &rotated);
    let (_, token) = both.accounts.find_with_token(id).await.unwrap().unwrap();
    assert_eq!(token.unwrap().text().expose(), LONG_LIVED);
    let gone = ports(store.database().clone(), parsed("990602627938098"), &key(2));
    let Err(StoreError::Corrupt(cause)) = gone.accounts.find_with_token(id).await else {
        panic!("opened under another key");
    };
    assert!(cause.to_string().contains("\"k1\""), "{cause}");
}

#[rstest]
#[tokio::test]
async fn the_code_of_a_hosted_consent_is_sealed_for_its_row_and_erased(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    const SEALED: &str = "SELECT count(*) FROM hosted_code WHERE sealed_code IS NOT NULL";
    let store = on.migrated().await;
    let ports = store.ports();
    let first = keep(&ports, "code-1", "state-1").await;
    let second = keep(&ports, "code-2", "state-2").await;
    let moved = "UPDATE hosted_code SET sealed_code = \
         (SELECT sealed_code FROM hosted_code ORDER BY code_hash LIMIT 1)";
    assert_eq!(store.run(moved).await, 2);
    let mut opened = Vec::new();
    for ticket in [first, second] {
        opened.push(ports.hosted_codes.find(&ticket.hash()).await.map(drop));
    }
    let refused = |opened: &&Result<(), StoreError>| matches!(opened, Err(StoreError::Corrupt(_)));
    assert_eq!(opened.iter().filter(refused).count(), 1, "{opened:?}");
    assert_eq!(store.number(SEALED).await, 2);
    let later = START + HOSTED_CODE_RETENTION;
    assert_eq!(ports.link_attempts.sweep(later, 9).await.unwrap(), 2);
    assert_eq!(store.number(SEALED).await, 0);
}

/// Also what SQLite leaves in a page when it moves cells, which shows among thousands of rows only.
#[tokio::test]
async fn what_was_deleted_from_a_large_file_is_nowhere_in_it() {
    let store = Sqlite::migrated().await;
    let mut connection = store.connection().await;
    let thousands = "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 1000)
        INSERT INTO instagram_account (id, app_id, professional_account_id, app_scoped_user_id,
            exchange_user_id, owner, username, account_type, consent_time, token_issue_time,
            token_expire_time, link_time, profile_time, update_time, revision, event_revision)
        SELECT randomblob(16), '1', abs(random()), hex(randomblob(6)) || CASE WHEN n % 2 THEN '-kept' ELSE '-gone' END,
            hex(randomblob(6)), 'shop/' || n % 100, 'user.' || n, 'business', n, n, n, n, n, n, 1, 1
            FROM numbers;
        UPDATE instagram_account SET profile_picture_url = hex(randomblob(20 + abs(random()) % 100)),
            revision = revision + 1, event_revision = event_revision + 1 WHERE abs(random()) % 2;";
    sqlx::raw_sql("PRAGMA secure_delete = ON").execute(&mut connection).await.unwrap();
    for _ in 0..10 {
        sqlx::raw_sql(thousands).execute(&mut connection).await.unwrap();
    }
    let gone = "DELETE FROM instagram_account WHERE app_scoped_user_id LIKE '%-gone'";
    let gone = sqlx::raw_sql(gone).execute(&mut connection).await.unwrap();
    assert_eq!(gone.rows_affected(), 5000);
    connection.close().await.unwrap();
    store.database.shrink_log().await.unwrap();
    for file in fs::read_dir(store.folder.path()).unwrap() {
        let path = file.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        let found = bytes.windows(5).filter(|window| *window == b"-gone").count();
        assert_eq!(found, 0, "in {}", path.display());
    }
}
