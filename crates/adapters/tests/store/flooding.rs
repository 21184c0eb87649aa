//! One caller's dearest reads, in a full database.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ig_domain::OwnerScope;
use ig_domain::ports::{AccountKey, AccountPage, StatusFilter};
use ig_test_support::builders::parsed;
use rstest::rstest;
use tokio::task::JoinSet;

use super::fixture::On;

/// Number of calls that a caller may have under way.
const CALLS: usize = 64;

/// 20,000 accounts of 100 owners; one in a thousand is marked.
fn fill(on: On) -> String {
    let (ids, numbers) = match on {
        On::Sqlite => (
            "randomblob(16)",
            "(WITH RECURSIVE count(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM count WHERE n < 20000) SELECT n FROM count)",
        ),
        On::Postgres => ("gen_random_uuid()", "(SELECT generate_series(1, 20000) AS n) AS numbers"),
    };
    format!(
        "INSERT INTO instagram_account (id, app_id, professional_account_id, owner, username, account_type,
            refused, consent_time, token_issue_time, token_expire_time, link_time, profile_time, update_time, revision)
        SELECT {ids}, '990602627938098', CAST(n AS text), 'shop/' || (n % 100), 'user.' || n, 'business',
            CASE WHEN n % 1000 = 7 THEN 'checkpoint' END, n, n, 9000000000000000, n, n, n, 1
        FROM {numbers}"
    )
}

fn dearest_pages() -> Vec<AccountPage> {
    let scopes: [&[&str]; 3] = [&["*"], &["shop/*"], &["shop/1*", "shop/2", "shop/3*", "shop/44"]];
    let statuses = [None, Some(StatusFilter::Active), Some(StatusFilter::ReauthorizationRequired)];
    let pages = scopes.iter().flat_map(|owners| statuses.map(|status| (owners, status)));
    let pages = pages.map(|(owners, status)| AccountPage {
        owners: OwnerScope::of(owners.iter().map(|pattern| parsed(pattern)).collect()),
        status,
        after: None,
        limit: 501,
    });
    pages.collect()
}

#[rstest]
#[case::sqlite(On::Sqlite)]
#[case::postgres(On::Postgres)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_listings_stops_neither_single_reads_nor_the_probe(#[case] on: On) {
    let store = on.migrated().await;
    assert_eq!(store.run(&fill(on)).await, 20_000);
    let ports = store.ports();
    let stop = Arc::new(AtomicBool::new(false));
    let mut flood = JoinSet::new();
    for _ in 0..CALLS {
        let (accounts, stop) = (Arc::clone(&ports.accounts), Arc::clone(&stop));
        flood.spawn(async move {
            let mut times = Vec::new();
            for page in dearest_pages().iter().cycle() {
                let begun = Instant::now();
                accounts.list(page).await.unwrap();
                times.push(begun.elapsed());
                if stop.load(Ordering::Relaxed) {
                    break;
                }
            }
            times
        });
    }
    let mut single = Vec::new();
    for number in 1..=20 {
        let key = AccountKey::Instagram(parsed(&number.to_string()));
        let begun = Instant::now();
        assert!(ports.accounts.find(&key).await.unwrap().is_some());
        ports.probe.check().await.unwrap();
        single.push(begun.elapsed());
    }
    stop.store(true, Ordering::Relaxed);
    let listings = flood.join_all().await.concat();
    // A listing waits for those before it. A call that waited with them would take as long.
    let (single, listing) = (median(single), median(listings));
    assert!(single * 4 < listing, "{single:?} beside listings of {listing:?}");
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
