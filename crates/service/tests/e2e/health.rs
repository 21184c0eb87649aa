//! Health tells the truth, and the commands' exit codes do.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

use ig_proto::v1::get_request::Key;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};
use tonic::Streaming;
use tonic::transport::Channel;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_types::StatusExt as _;

use crate::support::outage::FickleServer;
use crate::support::sandbox::BAKERY;
use crate::support::{Sandbox, Service, Stack, TEST_TIMEOUT};

const SERVICES: [&str; 2] = ["", "instagram.accounts.v1.InstagramAccountService"];

/// An account id that nothing has.
const NOBODY: &str = "0193a0de-0000-7000-8000-00000000dead";

/// One watcher for each name that health is told under.
pub(crate) struct Watchers(Vec<Streaming<HealthCheckResponse>>);

impl Watchers {
    pub(crate) async fn of(service: &Service) -> Self {
        let url = format!("http://{}", service.address);
        let channel = Channel::from_shared(url).unwrap().connect().await.unwrap();
        let mut watchers = Vec::new();
        for name in SERVICES {
            let request = HealthCheckRequest { service: name.to_owned() };
            let watcher = HealthClient::new(channel.clone()).watch(request).await.unwrap();
            watchers.push(watcher.into_inner());
        }
        Self(watchers)
    }

    /// Waits until every watcher is told this, and nothing else before. The server's own tests say how soon, by a clock
    /// of theirs.
    pub(crate) async fn are_told(&mut self, expected: ServingStatus) {
        for watcher in &mut self.0 {
            let told = tokio::time::timeout(TEST_TIMEOUT, watcher.message()).await;
            let told = told.unwrap_or_else(|_| panic!("not told {expected:?}"));
            assert_eq!(told.unwrap().unwrap().status(), expected);
        }
    }

    /// Waits until every watcher is told this, whatever before.
    pub(crate) async fn come_to(&mut self, expected: ServingStatus) {
        for watcher in &mut self.0 {
            let come =
                async { while watcher.message().await.unwrap().unwrap().status() != expected {} };
            let come = tokio::time::timeout(TEST_TIMEOUT, come).await;
            come.unwrap_or_else(|_| panic!("not {expected:?}"));
        }
    }
}

#[tokio::test]
async fn a_store_that_goes_and_comes_back_is_told_and_survived() {
    let Stack { sandbox, service, folder } = &Stack::start().await;
    let account = service.linked(sandbox, "shop/7", BAKERY).await;
    let mut watchers = Watchers::of(service).await;
    watchers.come_to(ServingStatus::Serving).await;
    assert_eq!(healthcheck(&service.address).status.code(), Some(0));

    let (database, away) = (folder.path().join("accounts.db"), folder.path().join("away.db"));
    let logged = service.process.printed().len();
    std::fs::rename(&database, &away).unwrap();
    watchers.are_told(ServingStatus::NotServing).await;
    store_is_unavailable(service).await;
    let output = healthcheck(&service.address);
    assert_eq!(output.status.code(), Some(1));
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(words.contains("NOT_SERVING"), "{words}");

    std::fs::rename(&away, &database).unwrap();
    watchers.are_told(ServingStatus::Serving).await;
    assert_eq!(service.get(Key::AccountId(account.account_id.clone())).await.unwrap(), account);
    let log = service.process.printed().split_off(logged);
    assert_eq!(log.matches("the store is away").count(), 1, "{log}");
    assert_eq!(log.matches("the store is back").count(), 1, "{log}");
}

#[tokio::test]
async fn a_store_that_is_away_at_the_start_is_used_once_it_comes() {
    let folder = tempfile::tempdir().unwrap();
    let (mut server, sandbox) = (FickleServer::start(), Sandbox::start().await);
    server.obey("stop");
    let mut command = Service::command(&sandbox, folder.path());
    command.envs([("DATABASE_URL", server.url.as_str()), ("MIGRATE_ON_START", "true")]);
    let service = Service::run_without_store(command).await;
    let mut watchers = Watchers::of(&service).await;
    watchers.are_told(ServingStatus::NotServing).await;
    store_is_unavailable(&service).await;
    assert_eq!(healthcheck(&service.address).status.code(), Some(1));

    server.obey("start");
    watchers.come_to(ServingStatus::Serving).await;
    assert_eq!(healthcheck(&service.address).status.code(), Some(0));
    service.linked(&sandbox, "shop/7", BAKERY).await;
}

#[tokio::test]
async fn a_store_that_hangs_is_told_and_survived() {
    let Stack { sandbox, service, folder } = &Stack::start().await;
    let mut watchers = Watchers::of(service).await;
    watchers.come_to(ServingStatus::Serving).await;
    let mut other = connection(folder.path()).await;
    sqlx::raw_sql("BEGIN EXCLUSIVE").execute(&mut other).await.unwrap();
    watchers.are_told(ServingStatus::NotServing).await;
    other.close().await.unwrap();
    watchers.are_told(ServingStatus::Serving).await;
    service.linked(sandbox, "shop/7", BAKERY).await;
}

#[tokio::test]
async fn a_store_without_a_migration_does_not_serve() {
    let stack = Stack::start().await;
    let mut watchers = Watchers::of(&stack.service).await;
    watchers.come_to(ServingStatus::Serving).await;
    let mut store = connection(stack.folder.path()).await;
    let lose = "UPDATE seaql_migrations SET version = 'lost-' || version
        WHERE version = (SELECT max(version) FROM seaql_migrations)";
    sqlx::raw_sql(lose).execute(&mut store).await.unwrap();
    watchers.are_told(ServingStatus::NotServing).await;
    let mut check = command(stack.folder.path(), "migrate");
    check.arg("--check").env("DATABASE_URL", "sqlite://accounts.db");
    assert_eq!(check.output().unwrap().status.code(), Some(1));
    let find =
        "UPDATE seaql_migrations SET version = substr(version, 6) WHERE version LIKE 'lost-%'";
    sqlx::raw_sql(find).execute(&mut store).await.unwrap();
    watchers.are_told(ServingStatus::Serving).await;
}

/// A connection of somebody else's to the database in this folder.
async fn connection(folder: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(folder.join("accounts.db"));
    options.connect().await.unwrap()
}

async fn store_is_unavailable(service: &Service) {
    let status = service.get(Key::AccountId(NOBODY.to_owned())).await.unwrap_err();
    let details = status.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "STORE_UNAVAILABLE");
    assert!(details.retry_info().is_some());
}

#[test]
fn healthcheck_fails_whatever_is_there() {
    // Nothing listens on a port that was just given back.
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    for address in [gone, silent.local_addr().unwrap()] {
        let output = healthcheck(&address.to_string());
        assert_eq!(output.status.code(), Some(1));
        let words = String::from_utf8(output.stderr).unwrap();
        assert!(words.contains(&address.to_string()), "{words}");
    }
}

#[tokio::test]
async fn a_taken_port_is_said() {
    let stack = Stack::start().await;
    let mut command = Service::command(&stack.sandbox, stack.folder.path());
    let output = command.env("GRPC_LISTEN", &stack.service.address).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(words.contains("GRPC_LISTEN") && words.contains(&stack.service.address), "{words}");
}

#[test]
fn every_setting_that_is_wrong_is_named_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = [
        ("INSTAGRAM_APP_SECRET", "planted-secret,,"),
        ("STATE_TTL", "soon"),
        ("TOKEN_KEYS", "k1:planted-key"),
        ("GRPC_LISTEN", "nowhere"),
    ];
    let output = command(folder.path(), "serve").envs(wrong).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let words = String::from_utf8(output.stderr).unwrap();
    for name in wrong.map(|(name, _)| name).into_iter().chain(["INSTAGRAM_APP_ID"]) {
        assert!(words.contains(name), "{name} is not in {words}");
    }
    assert!(!words.contains("planted"), "{words}");
}

#[tokio::test]
async fn a_url_of_another_database_is_refused_without_its_password() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start().await;
    let mut command = Service::command(&sandbox, folder.path());
    command.env("DATABASE_URL", "mysql://root:planted-password@db/x");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(words.contains("DATABASE_URL") && !words.contains("planted"), "{words}");
}

#[test]
fn migrations_are_checked_taken_and_no_longer_missed() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("accounts.db"), "").unwrap();
    let run = |arguments: &[&str]| {
        let mut command = command(folder.path(), "migrate");
        let output = command.args(arguments).env("DATABASE_URL", "sqlite://accounts.db").output();
        output.unwrap().status.code()
    };
    assert_eq!(run(&["--check"]), Some(1));
    assert_eq!(run(&[]), Some(0));
    assert_eq!(run(&["--check"]), Some(0));
}

fn healthcheck(address: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    command(folder.path(), "healthcheck").env("GRPC_LISTEN", address).output().unwrap()
}

/// A command of the binary, without any setting.
fn command(folder: &Path, name: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_instagram-accounts"));
    command.arg(name).current_dir(folder).env_clear();
    command
}
