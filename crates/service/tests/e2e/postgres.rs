//! Replicas on one PostgreSQL: the flow, at two processes at once, and the commands.

use std::process::{Command, Output};

use futures_util::future::join_all;
use ig_proto::v1::TokenOutcome;
use ig_proto::v1::get_request::Key;
use serde_json::json;

use crate::support::postgres::PostgresStack;
use crate::support::sandbox::BAKERY;
use crate::support::{A_DAY_LATER, Service, reason};

const CALLERS: usize = 50;

fn finish(mut command: Command, arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = command.args(arguments).output().unwrap();
    (status.code(), String::from_utf8([stdout, stderr].concat()).unwrap())
}

#[tokio::test]
async fn two_replicas_exchange_a_code_once_and_renew_a_token_once() {
    let stack = PostgresStack::start().await;
    let sandbox = &stack.sandbox;
    assert_eq!(finish(stack.settings(), &["migrate"]).0, Some(0));
    let replicas = [stack.replica().await, stack.replica().await];
    let [one, other] = &replicas;

    // Long enough for every caller to come before there is an answer.
    sandbox.fault(json!({ "endpoint": "token", "delay_ms": 300 })).await;
    let request = one.consent(sandbox, "shop/7", BAKERY).await;
    let callers = || replicas.iter().cycle().take(CALLERS);
    let answers = join_all(callers().map(|service| service.link(request.clone()))).await;
    let first = answers[0].clone().unwrap();
    assert!(first.created);
    for answer in answers {
        assert_eq!(answer.unwrap(), first);
    }
    let account = first.account.unwrap();
    let key = Key::AccountId(account.account_id.clone());
    for service in &replicas {
        assert_eq!(service.get(key.clone()).await.unwrap(), account);
    }

    sandbox.advance(A_DAY_LATER).await;
    for service in &replicas {
        service.clock_follows(sandbox).await;
    }
    sandbox.fault(json!({ "endpoint": "refresh", "delay_ms": 300 })).await;
    let answers = join_all(callers().map(|service| service.refresh(&account.account_id))).await;
    let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    assert!(answers.iter().any(|answer| answer.token_outcome() == TokenOutcome::Renewed));
    for answer in answers {
        assert_ne!(answer.account.unwrap().token_issue_time, account.token_issue_time);
    }
    for endpoint in ["token", "exchange", "refresh"] {
        assert_eq!(sandbox.requests(endpoint).await.len(), 1, "{endpoint}");
    }

    other.unlink(&account.account_id).await.unwrap();
    assert_eq!(reason(one.get(key).await), "ACCOUNT_NOT_FOUND");
}

#[tokio::test]
async fn a_database_is_migrated_by_its_command_and_not_by_the_start() {
    let stack = PostgresStack::start().await;
    let (code, missing) = finish(stack.settings(), &["migrate", "--check"]);
    assert_eq!((code, missing.lines().count()), (Some(1), 4), "{missing}");
    let service = stack.replica().await;
    let refused = service.get(Key::Username(BAKERY.to_owned())).await;
    assert_eq!(reason(refused), "STORE_UNAVAILABLE");
    assert_eq!(finish(stack.settings(), &["migrate", "--check"]).0, Some(1));

    for arguments in [&["migrate"][..], &["migrate"], &["migrate", "--check"]] {
        let (code, said) = finish(stack.settings(), arguments);
        assert_eq!(code, Some(0), "{said}");
        assert!(said.starts_with("the database is up to date\n"), "{said}");
    }
    let found = service.get(Key::Username(BAKERY.to_owned())).await;
    assert_eq!(reason(found), "ACCOUNT_NOT_FOUND");
}

#[tokio::test]
async fn the_start_migrates_where_it_is_told_to() {
    let stack = PostgresStack::start().await;
    let mut command = stack.settings();
    command.env("MIGRATE_ON_START", "true").arg("serve");
    let service = Service::run(command).await;
    let account = service.linked(&stack.sandbox, "", BAKERY).await;
    assert_eq!(account.username, BAKERY);
    assert_eq!(finish(stack.settings(), &["migrate", "--check"]).0, Some(0));
}

#[tokio::test]
async fn a_start_without_keys_names_the_setting_and_no_password() {
    let stack = PostgresStack::start().await;
    let mut command = stack.settings();
    command.env_remove("TOKEN_KEYS").env("DATABASE_URL", "postgres://user:planted@127.0.0.1:1/a");
    let (code, said) = finish(command, &["serve"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("TOKEN_KEYS is required with PostgreSQL"), "{said}");
    assert!(!said.contains("planted"), "{said}");

    let mut command = stack.settings();
    command.env("DATABASE_URL", "postgres://user:planted@127.0.0.1:1/a").env("RUST_LOG", "trace");
    let (code, said) = finish(command, &["migrate"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(!said.contains("planted"), "{said}");
}
