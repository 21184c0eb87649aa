//! Entries of the audit leave their window in small steps, between which tokens are handed out.
//!
//! `AUDIT_ENTRIES=1000000` purges more than a usual run; with `--nocapture` it says how long calls took.

use rstest::rstest;

use super::{command, handed_out};
use crate::support::latencies::Latencies;
use crate::support::sandbox::BAKERY;
use crate::support::{On, Stack, number};

/// Number of old entries in a usual run.
const OLD_ENTRIES: u64 = 10_000;

/// SQL that makes many old entries of the one that there is. `id` makes an id.
fn many_old_entries(entries: i64, id: &str) -> String {
    format!(
        "WITH RECURSIVE many (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many WHERE n < {entries})
        INSERT INTO token_audit (id, app_id, hand_out_time, caller, purpose, request_id, account_id,
            professional_account_id, owner, token_issue_time, token_expire_time, revision)
        SELECT {id}, app_id, hand_out_time - 91 * 86400000000 - n, 'long ago', purpose, request_id, account_id,
            professional_account_id, owner, token_issue_time, token_expire_time, revision
        FROM token_audit, many"
    )
}

#[rstest]
#[case::sqlite(On::Sqlite, "randomblob(16)")]
#[case::postgres(On::Postgres, "gen_random_uuid()")]
#[tokio::test]
async fn old_entries_go_while_tokens_are_handed_out(#[case] on: On, #[case] id: &str) {
    let mut stack = Stack::start_on(on, &[]).await;
    let account = stack.service.linked(&stack.sandbox, "shop/7", BAKERY).await.account_id;
    stack.service.fetch(&account, 0).await.unwrap();
    stack.service.process.stop();
    let entries = number("AUDIT_ENTRIES", OLD_ENTRIES).try_into().unwrap();
    stack.folder.run(&many_old_entries(entries, id)).await;
    // It purges at its start.
    stack.service = stack.replica().await;
    let (mut fetched, mut between) = (Latencies::default(), 0);
    loop {
        fetched.time(stack.service.fetch(&account, 0)).await.unwrap();
        let old = "SELECT count(*) FROM token_audit WHERE caller = 'long ago'";
        match stack.folder.number(old).await {
            0 => break,
            left => between += i64::from(left < entries),
        }
    }
    fetched.print(&format!("{on:?}, {entries} entries leave"));
    assert!(between > 2, "entries go in steps, between which tokens are handed out: {between}");
    assert_eq!(handed_out(command(&stack)).len(), (1 + fetched.number()).min(1000));
}
