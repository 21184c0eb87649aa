//! A year: no token dies, and Instagram is asked evenly.

use std::time::Duration;

use ig_test_support::builders::START;
use ig_test_support::keeper::DAY;

use super::life::live;
use super::scene;

const ACCOUNTS: u32 = 500;

#[tokio::test(start_paused = true)]
async fn five_hundred_accounts_live_through_a_year() {
    live(&scene(), ACCOUNTS, 365, 10..=15).await;
}

#[tokio::test(start_paused = true)]
async fn a_keeper_that_runs_by_itself_finds_what_becomes_due() {
    let scene = scene();
    scene.link(1).await;
    let keeper = scene.another_keeper();
    let running = tokio::spawn(async move { keeper.run().await });
    scene.clock.advance(DAY);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(scene.stored(1).await.profile_time, START + DAY);
    scene.stop.cancel();
    running.await.unwrap();
}
