//! Measures claims of due accounts among more and more of them: `claim_accounts DATABASE_URL APP_ID ACCOUNTS`.
//!
//! The database must be empty; it is migrated and filled. Prints a line for each state of it. Accounts have no tokens.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ig_adapters::persistence::{Database, DatabaseSettings, SeaOrmStore, StoreMeter};
use ig_adapters::sealing::KeyRing;
use ig_domain::LeaseHolder;
use ig_domain::ports::{DueAccounts as _, VisitResult};
use ig_metrics::Registry;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend};
use time::OffsetDateTime;
use time::macros::datetime;
use uuid::Uuid;

/// Number of accounts of one claim.
const CLAIM: u64 = 16;

/// Number of claims that are measured.
const CLAIMS: u128 = 300;

/// Number of accounts before the many.
const FEW: u64 = 10_000;

/// Number of accounts of which some are due.
const SOME_DUE: u64 = 1_000;

/// Moment of the claims.
const NOW: OffsetDateTime = datetime!(2026-11-24 08:00 UTC);

#[tokio::main]
#[expect(clippy::print_stdout, reason = "whoever measures reads it there")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, app, accounts] = arguments.as_slice() else {
        return Err("needs DATABASE_URL, APP_ID and ACCOUNTS".into());
    };
    let accounts: u64 = accounts.parse()?;
    let database = Arc::new(Database::open(&DatabaseSettings::of(url))?);
    database.migrate().await?;
    let cipher: KeyRing = "k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".parse()?;
    let meter = StoreMeter::register(&mut Registry::new("bench", "1"));
    let store = SeaOrmStore::new(database, app.parse()?, Arc::new(cipher), meter);
    let beside = sea_orm::Database::connect(url).await?;
    for (first, stored, due) in
        [(1, FEW, SOME_DUE), (FEW + 1, accounts, SOME_DUE), (accounts + 1, accounts, accounts / 2)]
    {
        fill(&beside, app, first, stored).await?;
        make_due(&beside, due).await?;
        let (median, p99) = measure(&store).await?;
        println!("{stored:>9} stored {due:>7} due {median:>8} us {p99:>8} us");
    }
    beside.close().await?;
    Ok(())
}

/// Inserts the accounts `first` to `last`, none of them due.
async fn fill(
    database: &DatabaseConnection,
    app: &str,
    first: u64,
    last: u64,
) -> Result<(), sea_orm::DbErr> {
    let (id, numbers) = match database.get_database_backend() {
        DbBackend::Postgres => {
            ("gen_random_uuid()", format!("generate_series({first}, {last}) AS numbers(n)"))
        }
        _ => (
            "randomblob(16)",
            format!(
                "(WITH RECURSIVE numbers(n) AS (SELECT {first} WHERE {first} <= {last}
                    UNION ALL SELECT n + 1 FROM numbers WHERE n < {last}) SELECT n FROM numbers)"
            ),
        ),
    };
    let now = NOW.unix_timestamp() * 1_000_000;
    let fill = format!(
        "INSERT INTO instagram_account (id, app_id, professional_account_id, owner, username, account_type,
            consent_time, token_issue_time, token_expire_time, link_time, profile_time, update_time, revision,
            event_revision, next_visit_time, scheduled_revision)
        SELECT {id}, '{app}', CAST(n AS text), 'shop/' || (n % 100), 'user.' || n, 'business', {now}, {now},
            {now} + 2592000000000 + n, {now} + n, {now} - n, {now}, 1, {now} + 86400000000 + n, 1
        FROM {numbers}"
    );
    database.execute_unprepared(&fill).await?;
    database.execute_unprepared("ANALYZE").await.map(drop)
}

/// Makes as many accounts due, and no others.
async fn make_due(database: &DatabaseConnection, due: u64) -> Result<(), sea_orm::DbErr> {
    let now = NOW.unix_timestamp() * 1_000_000;
    let make_due = format!(
        "UPDATE instagram_account SET next_visit_time = {now} - CAST(professional_account_id AS bigint)
        WHERE CAST(professional_account_id AS bigint) <= {due}"
    );
    database.execute_unprepared(&make_due).await?;
    database.execute_unprepared("ANALYZE").await.map(drop)
}

/// The median and the 99th percentile of claims, in microseconds. Each is given back before the next.
async fn measure(store: &SeaOrmStore) -> Result<(u128, u128), Box<dyn Error>> {
    let mut times = Vec::new();
    for number in 0..CLAIMS {
        let holder = LeaseHolder::from_uuid(Uuid::from_u128(number));
        let begin = Instant::now();
        let claimed = store.claim_due(NOW, holder, CLAIM).await?;
        times.push(begin.elapsed());
        if claimed.len() as u64 != CLAIM {
            return Err(format!("claimed {} accounts", claimed.len()).into());
        }
        let results = claimed.iter().map(|one| (holder, VisitResult { id: one.id, change: None }));
        store.finish(&results.collect::<Vec<_>>()).await?;
    }
    times.sort_unstable();
    let at = |part: usize| times.get(times.len() * part / 100).map_or(0, Duration::as_micros);
    Ok((at(50), at(99)))
}
