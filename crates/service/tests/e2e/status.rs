//! `status` tells how the accounts are, from the database alone.

use std::process::Output;

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::sandbox::{BAKERY, CREATOR};
use crate::support::{A_DAY_LATER, On, Stack};

/// Output of `status` with these arguments.
fn status(stack: &Stack, arguments: &[&str]) -> String {
    let mut command = stack.folder.settings(&stack.sandbox);
    let Output { status, stdout, stderr } = command.arg("status").args(arguments).output().unwrap();
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

fn status_json(stack: &Stack) -> Value {
    serde_json::from_str(&status(stack, &["--json"])).unwrap()
}

#[rstest]
#[tokio::test]
async fn the_state_of_all_accounts_is_told_while_the_service_runs_and_after(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let stack = Stack::start_on(on, &[]).await;
    let Stack { sandbox, service, .. } = &stack;
    let lasting = service.linked(sandbox, "shop/7", BAKERY).await;
    assert!(status(&stack, &[]).starts_with("All is well.\n"));
    let dead = service.linked(sandbox, "shop/8", CREATOR).await;
    sandbox.revoke(CREATOR, "password_changed").await;
    service.refresh(&dead.account_id).await.unwrap_err();
    let told = status_json(&stack);
    assert_eq!(told["accounts"], json!({ "active": 1, "reauthorization_required": 1 }));
    assert_eq!((&told["due"], &told["overdue"]), (&json!(0), &json!(0)));
    assert_eq!((&told["trouble"], &told["worst"]), (&json!({}), &json!([])));
    assert_eq!(told["breaker"], json!({ "open": false, "cause": null, "since_time": null }));
    assert_eq!(told["accounts_of_other_apps"], 0);
    let end = lasting.token_expire_time.unwrap().seconds;
    assert_eq!(seconds(&told["first_expire_time"]), end);

    // Nobody visits them: the service is gone.
    let Stack { sandbox, service, folder } = stack;
    drop(service);
    sandbox.advance(40 * A_DAY_LATER).await;
    let command = folder.settings(&sandbox).args(["status"]).output().unwrap();
    let shown = String::from_utf8(command.stdout).unwrap();
    assert!(shown.starts_with("Look at this: 2 visits are overdue.\n"), "{shown}");
    assert!(shown.contains(&lasting.account_id) && shown.contains(BAKERY), "{shown}");
    assert!(!shown.contains(&dead.account_id), "{shown}");
}

/// Seconds since 1970 of a time as JSON has it.
fn seconds(time: &Value) -> i64 {
    let time = time.as_str().unwrap();
    let format = &time::format_description::well_known::Rfc3339;
    time::OffsetDateTime::parse(time, format).unwrap().unix_timestamp()
}
