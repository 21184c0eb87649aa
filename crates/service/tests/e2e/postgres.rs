//! Replicas on one PostgreSQL: the flow, at two processes at once, and the commands.

use std::process::{Command, Output};

use ig_proto::v1::get_request::Key;
use rstest::rstest;

use crate::support::sandbox::BAKERY;
use crate::support::{On, Place, Sandbox, Service, Stack, reason};

/// The binary's settings on a database in which nothing is.
async fn nothing() -> (Place, Sandbox) {
    (Place::new(On::Postgres).await, Sandbox::start().await)
}

fn finish(mut command: Command, arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = command.args(arguments).output().unwrap();
    (status.code(), String::from_utf8([stdout, stderr].concat()).unwrap())
}

#[tokio::test]
async fn what_one_replica_does_another_sees() {
    let stack = Stack::start_on(On::Postgres, &[]).await;
    let (one, other) = (&stack.service, stack.replica().await);
    let account = one.linked(&stack.sandbox, "shop/7", BAKERY).await;
    let key = Key::AccountId(account.account_id.clone());
    assert_eq!(other.get(key.clone()).await.unwrap(), account);
    other.unlink(&account.account_id).await.unwrap();
    assert_eq!(reason(one.get(key).await), "ACCOUNT_NOT_FOUND");
}

/// The names of all migrations, in their order.
fn steps() -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations/src");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name());
    let names = files.filter_map(|file| file.to_str()?.strip_suffix(".rs").map(str::to_owned));
    let mut steps: Vec<_> = names.filter(|name| name.starts_with("m2")).collect();
    steps.sort();
    steps
}

#[tokio::test]
async fn a_database_is_migrated_by_its_command_and_not_by_the_start() {
    let (place, sandbox) = nothing().await;
    let (code, missing) = finish(place.settings(&sandbox), &["migrate", "--check"]);
    let missing: Vec<_> = missing.lines().map(str::to_owned).collect();
    assert_eq!((code, missing), (Some(1), steps()));
    let mut serve = place.settings(&sandbox);
    serve.arg("serve");
    let service = Service::run_without_store(serve).await;
    let refused = service.get(Key::Username(BAKERY.to_owned())).await;
    assert_eq!(reason(refused), "STORE_UNAVAILABLE");
    assert_eq!(finish(place.settings(&sandbox), &["migrate", "--check"]).0, Some(1));

    for arguments in [&["migrate"][..], &["migrate"], &["migrate", "--check"]] {
        let (code, said) = finish(place.settings(&sandbox), arguments);
        assert_eq!(code, Some(0), "{said}");
        assert!(said.starts_with("the database is up to date\n"), "{said}");
    }
    let found = service.get(Key::Username(BAKERY.to_owned())).await;
    assert_eq!(reason(found), "ACCOUNT_NOT_FOUND");
}

#[rstest]
#[tokio::test]
async fn a_database_that_a_newer_binary_migrated_is_served_and_checked(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let (place, sandbox) = (Place::new(on).await, Sandbox::start().await);
    assert_eq!(finish(place.settings(&sandbox), &["migrate"]).0, Some(0));
    place.run("INSERT INTO seaql_migrations VALUES ('m29990101_000001_create_future', 1)").await;
    for arguments in [&["migrate"][..], &["migrate", "--check"]] {
        let (code, said) = finish(place.settings(&sandbox), arguments);
        assert_eq!(code, Some(0), "{said}");
    }
    let service = place.serve(&sandbox, &[]).await;
    service.linked(&sandbox, "", BAKERY).await;
    let mut check = place.settings(&sandbox);
    check.env("GRPC_LISTEN", &service.address);
    let (code, said) = finish(check, &["healthcheck"]);
    assert_eq!(code, Some(0), "{said}");
}

#[tokio::test]
async fn the_start_migrates_where_it_is_told_to() {
    let (place, sandbox) = nothing().await;
    let mut command = place.settings(&sandbox);
    command.env("MIGRATE_ON_START", "true").arg("serve");
    let service = Service::run(command).await;
    let account = service.linked(&sandbox, "", BAKERY).await;
    assert_eq!(account.username, BAKERY);
    assert_eq!(finish(place.settings(&sandbox), &["migrate", "--check"]).0, Some(0));
}

#[tokio::test]
async fn a_start_without_keys_names_the_setting_and_no_password() {
    let (place, sandbox) = nothing().await;
    let mut command = place.settings(&sandbox);
    command.env_remove("TOKEN_KEYS").env("DATABASE_URL", "postgres://user:planted@127.0.0.1:1/a");
    let (code, said) = finish(command, &["serve"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("TOKEN_KEYS is required with PostgreSQL"), "{said}");
    assert!(!said.contains("planted"), "{said}");

    let mut command = place.settings(&sandbox);
    command.env("DATABASE_URL", "postgres://user:planted@127.0.0.1:1/a").env("RUST_LOG", "trace");
    let (code, said) = finish(command, &["migrate"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(!said.contains("planted"), "{said}");
}
