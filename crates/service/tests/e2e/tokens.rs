//! Tokens on their way out: handed out, renewed before where need be, and written down in any case.

mod audit_window;
mod interrupted;
mod slow_instagram;

use std::process::Command;

use futures_util::future::join_all;
use ig_proto::v1::{BatchGetRequest, BatchGetResponse};
use rstest::rstest;
use serde_json::{Value, json};
use tonic::Response;

use crate::support::sandbox::{BAKERY, CREATOR};
use crate::support::{A_DAY_LATER, On, Stack, reason};

const CALLERS: usize = 50;

/// Output of `audit` with these arguments.
fn audit(mut command: Command, arguments: &[&str]) -> String {
    let output = command.arg("audit").args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// All that was handed out, newest first.
fn handed_out(command: Command) -> Vec<Value> {
    let lines = audit(command, &["--json", "--limit", "1000"]);
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The binary with the stack's settings.
fn command(stack: &Stack) -> Command {
    stack.folder.settings(&stack.sandbox)
}

#[tokio::test]
async fn a_handed_out_token_serves_and_the_audit_names_it_even_after_its_account() {
    let stack = Stack::start().await;
    let Stack { sandbox, service, .. } = &stack;
    let account = service.linked(sandbox, "shop/7", BAKERY).await;
    let handed = service.fetch(&account.account_id, 50).await.unwrap();
    assert_eq!(handed.professional_account_id, account.professional_account_id);
    assert_eq!(handed.expire_time, account.token_expire_time);
    assert_eq!(handed.granted_scopes, account.granted_scopes);
    assert_eq!(sandbox.me(&handed.access_token).await["user_id"], account.professional_account_id);

    service.unlink(&account.account_id).await.unwrap();
    assert_eq!(reason(service.fetch(&account.account_id, 0).await), "ACCOUNT_NOT_FOUND");
    let [entry] = handed_out(command(&stack)).try_into().unwrap();
    for (name, expected) in [
        ("account_id", account.account_id.as_str()),
        ("professional_account_id", &account.professional_account_id),
        ("owner", "shop/7"),
        ("caller", "anonymous"),
        ("purpose", "publish post 7"),
    ] {
        assert_eq!(entry[name], expected);
    }
    let table = audit(command(&stack), &["--account", &account.account_id]);
    let [header, row] = table.lines().collect::<Vec<_>>().try_into().unwrap();
    assert!(header.starts_with("TIME") && header.ends_with("REQUEST_ID"), "{table}");
    let request_id = entry["request_id"].as_str().unwrap();
    for part in [&account.account_id, "anonymous", "shop/7", "publish post 7", request_id] {
        assert!(row.contains(part), "{part} in {table}");
    }
    assert!(!table.contains(&handed.access_token));
    // The secret is in no log.
    assert!(!service.process.printed().contains(&handed.access_token));
    assert_eq!(audit(command(&stack), &["--caller", "somebody", "--json"]), "");
}

#[rstest]
#[tokio::test]
async fn two_replicas_hand_out_one_renewed_token_and_write_each_hand_out_down(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let stack = Stack::start_on(on, &[]).await;
    let replica = stack.replica().await;
    let Stack { sandbox, service, .. } = &stack;
    let account = service.linked(sandbox, "shop/7", BAKERY).await;
    let first = replica.fetch(&account.account_id, 50).await.unwrap();
    stack.advance(20 * A_DAY_LATER).await;
    replica.clock_follows(sandbox).await;
    sandbox.fault(json!({ "endpoint": "refresh", "delay_ms": 300 })).await;
    let callers = [service, &replica].into_iter().cycle().take(CALLERS);
    let handed = join_all(callers.map(|service| service.fetch(&account.account_id, 50))).await;
    let handed: Vec<_> = handed.into_iter().map(Result::unwrap).collect();
    assert_ne!(handed[0].access_token, first.access_token);
    assert!(handed.iter().all(|one| one.access_token == handed[0].access_token));
    assert_eq!(sandbox.requests("refresh").await.len(), 1);

    let entries = handed_out(command(&stack));
    assert_eq!(entries.len(), 1 + CALLERS);
    let issued = |entry: &Value| entry["token_issue_time"].clone();
    let (renewed, former) = entries.split_at(CALLERS);
    assert!(renewed.iter().all(|entry| issued(entry) == issued(&renewed[0])));
    assert_ne!(issued(&renewed[0]), issued(&former[0]));
}

#[tokio::test]
async fn many_accounts_are_read_at_once() {
    let Stack { sandbox, service, folder: _folder } = &Stack::start().await;
    let bakery = service.linked(sandbox, "shop/7", BAKERY).await;
    let creator = service.linked(sandbox, "shop/8", CREATOR).await;
    let mut request = BatchGetRequest {
        instagram_ids: vec![bakery.app_scoped_user_id.clone(), "404".to_owned()],
        account_ids: vec![creator.account_id.clone(), bakery.account_id.clone()],
        owner: None,
    };
    let asked = async |request: &BatchGetRequest| {
        let answer = service.client.clone().batch_get(request.clone()).await;
        let BatchGetResponse { mut accounts, not_found } =
            answer.map(Response::into_inner).unwrap();
        accounts.sort_by(|one, other| one.owner.cmp(&other.owner));
        (accounts, not_found)
    };
    let (found, not_found) = asked(&request).await;
    assert_eq!((found, not_found), (vec![bakery.clone(), creator.clone()], vec!["404".to_owned()]));
    request.owner = Some("shop/8".to_owned());
    let (found, not_found) = asked(&request).await;
    assert_eq!(found, [creator]);
    assert_eq!(not_found, [bakery.app_scoped_user_id, "404".to_owned(), bakery.account_id]);
}
