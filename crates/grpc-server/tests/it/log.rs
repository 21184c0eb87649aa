//! Contents of the log, and what must not be in it.

use std::io;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, Once};

use http::Method;
use ig_domain::ports::{Cause, MockAccountReader, StoreError};
use ig_domain::{Caller, Role};
use ig_proto::v1;
use ig_proto::v1::get_request::Key;
use ig_test_support::callers::{Known, caller};
use ig_test_support::certificates::{self, Authority, Name};
use rstest::rstest;
use tonic::codegen::Bytes;
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tracing::subscriber::{DefaultGuard, NoSubscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::protocol::send;
use crate::tls;
use crate::two_owners::by;
use crate::world::{Server, Stuck, World, willing_instagram};

/// Log of this thread; tests run their whole server on it.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn at(filter: &str) -> (Self, DefaultGuard) {
        // While a thread's subscriber is the only one, what other threads log first stays off for it too.
        static SECOND_SUBSCRIBER: Once = Once::new();
        SECOND_SUBSCRIBER.call_once(|| {
            tracing::subscriber::set_global_default(NoSubscriber::new()).unwrap();
        });
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::new(filter))
            .with_span_events(FmtSpan::FULL)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    fn lines(&self) -> Vec<String> {
        self.text().lines().map(str::to_owned).collect()
    }
}

fn link_request(code: &str) -> Request<v1::LinkRequest> {
    let mut request = Request::new(v1::LinkRequest {
        code: code.to_owned(),
        state: "S3CRET-STATE".to_owned(),
        owner: "shop/7".to_owned(),
        ..v1::LinkRequest::default()
    });
    request.metadata_mut().insert("x-request-id", "req-7".parse().unwrap());
    request
}

fn get_request() -> v1::GetRequest {
    v1::GetRequest { key: Some(Key::Username("account_1".to_owned())), owner: None }
}

fn get_request_of(owner: &str) -> v1::GetRequest {
    v1::GetRequest { owner: Some(owner.to_owned()), ..get_request() }
}

#[tokio::test]
async fn reads_that_succeed_or_are_refused_log_nothing_at_info() {
    let world = World::with(willing_instagram());
    world.begin("S3CRET-STATE", "shop/7").await;
    let server = world.serve().await;
    let mut client = server.client().await;
    client.link(link_request("C")).await.unwrap();
    let (log, _guard) = Log::at("info");
    client.get(get_request()).await.unwrap();
    client.list(v1::ListRequest::default()).await.unwrap();
    client.get(v1::GetRequest::default()).await.unwrap_err();
    let mut health = HealthClient::new(server.channel().await);
    health.check(HealthCheckRequest::default()).await.unwrap();
    assert_eq!(log.text(), "");
}

#[tokio::test]
async fn a_read_that_fails_is_told_at_debug_with_its_cause() {
    let world = World::new();
    world.store.set_away(true);
    let mut client = world.client().await;
    let (log, _guard) = Log::at("ig_grpc_server::calls=debug");
    client.get(get_request()).await.unwrap_err();
    let lines = log.lines();
    let told = lines.iter().filter(|line| line.contains("STORE_UNAVAILABLE")).collect::<Vec<_>>();
    let [line] = told.as_slice() else { panic!("{lines:#?}") };
    assert!(line.contains("DEBUG") && line.contains("the store was taken away"), "{line}");
}

#[tokio::test]
async fn a_write_leaves_one_line_however_it_ends() {
    let world = World::with(willing_instagram());
    world.begin("S3CRET-STATE", "shop/7").await;
    let mut client = world.client().await;
    let (log, _guard) = Log::at("info");
    let linked = client.link(link_request("C")).await.unwrap().into_inner();
    let account_id = linked.account.unwrap().account_id;
    let refused = v1::UnlinkRequest {
        account_id: account_id.clone(),
        owner: Some("shop/8".to_owned()),
        allow_missing: false,
    };
    client.unlink(refused).await.unwrap_err();
    let lines = log.lines();
    let [linked, unlinked] = lines.as_slice() else { panic!("{lines:#?}") };
    for part in ["INFO", "rpc=\"Link\"", "reason=\"OK\"", "request_id=\"req-7\"", "elapsed_ms="] {
        assert!(linked.contains(part), "{part} in {linked}");
    }
    for part in ["INFO", "rpc=\"Unlink\"", "reason=\"ACCOUNT_NOT_FOUND\""] {
        assert!(unlinked.contains(part), "{part} in {unlinked}");
    }
    let account = format!("account.id={account_id}");
    assert!(lines.iter().all(|line| line.contains(&account)), "{lines:#?}");
}

#[tokio::test]
async fn a_token_found_dead_is_told_with_instagrams_numbers() {
    let (world, account_id) = crate::errors::with_a_token_about_to_die().await;
    let mut client = world.client().await;
    let (log, _guard) = Log::at("info");
    client.refresh(v1::RefreshRequest { account_id, owner: None }).await.unwrap_err();
    let lines = log.lines();
    let [line] = lines.as_slice() else { panic!("{lines:#?}") };
    for part in
        ["rpc=\"Refresh\"", "REAUTHORIZATION_REQUIRED", "\"instagram_code\": \"9\"", "AbC123"]
    {
        assert!(line.contains(part), "{part} in {line}");
    }
}

#[tokio::test]
async fn a_call_given_up_by_its_caller_leaves_its_line() {
    let stuck = Stuck::default();
    let world = World { accounts: Arc::new(stuck.clone()), ..World::new() };
    let mut client = world.client().await;
    let (log, _guard) = Log::at("info");
    let request = v1::UnlinkRequest {
        account_id: "00000000-0000-0000-0000-000000000007".to_owned(),
        ..v1::UnlinkRequest::default()
    };
    tokio::select! {
        _ = client.unlink(request) => panic!("the store is stuck"),
        () = stuck.entered.notified() => {}
    }
    drop(client);
    while log.text().is_empty() {
        tokio::task::yield_now().await;
    }
    let lines = log.lines();
    let [line] = lines.as_slice() else { panic!("{lines:#?}") };
    assert!(line.contains("INFO") && line.contains("reason=\"CANCELLED\""), "{line}");
}

#[tokio::test]
async fn a_fault_of_ours_is_told_once_with_its_chain() {
    let mut accounts = MockAccountReader::new();
    let error = StoreError::Corrupt(Cause::new("no such key"));
    accounts.expect_find().returning(move |_| Err(error.clone()));
    let world = World { accounts: Arc::new(accounts), ..World::new() };
    let mut client = world.client().await;
    let (log, _guard) = Log::at("info");
    client.get(get_request()).await.unwrap_err();
    let lines = log.lines();
    let [line] = lines.as_slice() else { panic!("{lines:#?}") };
    assert!(line.contains("ERROR") && line.contains("request_id=\"made-1\""), "{line}");
    assert!(line.contains("error=a stored row cannot be read: no such key"), "{line}");
}

#[rstest]
#[case::wrong("S3CRET", &["reason=\"UNAUTHENTICATED\"", "error=\"the credentials are no caller's\""])]
#[case::expired("expired", &["caller=\"expired\"", "reason=\"UNAUTHENTICATED\""])]
#[case::without_the_role("linker", &["caller=\"linker\"", "reason=\"PERMISSION_DENIED\""])]
#[tokio::test]
async fn who_is_turned_away_is_told_at_warn_and_no_token_at_any_level(
    #[case] token: &str,
    #[case] expected: &[&str],
) {
    let mut world = World::new();
    world.callers = Known::of([caller("linker", &[Role::Link], "*")]);
    let (log, _guard) = Log::at("trace");
    let mut client = world.client().await;
    client.get(by(token, get_request())).await.unwrap_err();
    let lines = log.lines();
    let [line] = lines.iter().filter(|line| line.contains(" WARN ")).collect::<Vec<_>>()[..] else {
        panic!("{lines:#?}")
    };
    for part in expected {
        assert!(line.contains(part), "{part} in {line}");
    }
    assert!(!log.text().contains("S3CRET"), "the token is in the log");
}

#[tokio::test(start_paused = true)]
async fn the_loss_and_return_of_the_store_are_told_once_each() {
    let world = World::new();
    let (log, _guard) = Log::at("info");
    let server = world.serve().await;
    for away in [false, true, false] {
        world.store.set_away(away);
        tokio::time::sleep(std::time::Duration::from_secs(20)).await;
    }
    drop(server);
    let lines = log.lines();
    let [lost, back] = lines.as_slice() else { panic!("{lines:#?}") };
    assert!(lost.contains("WARN") && lost.contains("the store was taken away"), "{lost}");
    assert!(back.contains("INFO") && back.contains("the store is back"), "{back}");
}

#[tokio::test]
async fn no_log_holds_a_code_a_state_or_a_token_at_any_level() {
    let world = World::with(willing_instagram());
    world.begin("S3CRET-STATE", "shop/7").await;
    let (log, _guard) = Log::at("trace");
    let mut client = world.client().await;
    let linked = client.link(link_request("S3CRET-CODE")).await.unwrap().into_inner();
    let account_id = linked.account.unwrap().account_id;
    let request = v1::FetchAccessTokenRequest { account_id, ..Default::default() };
    client.fetch_access_token(request).await.unwrap();
    let mut broken = link_request("S3CRET-CODE").into_inner();
    broken.authorization_response = "code=S3CRET-CODE&state=S3CRET-STATE".to_owned();
    let status = client.link(broken).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let text = log.text();
    assert!(text.contains("call answered"), "the log was not captured");
    for secret in ["S3CRET-CODE", "S3CRET-STATE", "IGAA-short", "IGAA-long"] {
        assert!(!text.contains(secret), "{secret} is in the log");
    }
}

/// The lines at WARN or INFO that say that a call was refused.
fn told(log: &Log) -> Vec<String> {
    let mut lines = log.lines();
    lines.retain(|line| line.contains(" WARN ") || line.contains(" INFO "));
    lines
}

#[rstest]
#[case::nobody("S3CRET", "UNAUTHENTICATED", None)]
#[case::without_the_role("linker", "PERMISSION_DENIED", Some("linker"))]
#[case::of_another_owner("clerk", "PERMISSION_DENIED", Some("clerk"))]
#[tokio::test(start_paused = true)]
async fn repeated_refusals_are_told_once_and_then_in_sum(
    #[case] token: &str,
    #[case] reason: &str,
    #[case] caller_name: Option<&str>,
) {
    let mut world = World::new();
    let (linker, clerk) =
        (caller("linker", &[Role::Link], "*"), caller("clerk", &[Role::Read], "shop/*"));
    world.callers = Known::of([linker, clerk]);
    let request = || by(token, get_request_of("cafe/1"));
    let (log, _guard) = Log::at("ig_grpc_server=trace");
    let server = world.serve().await;
    for _ in 0..5 {
        // Another connection, and so another port, each time.
        server.client().await.get(request()).await.unwrap_err();
    }
    let lines = told(&log);
    let [first] = lines.as_slice() else { panic!("{lines:#?}") };
    assert!(first.contains("call refused") && first.contains("peer=127.0.0.1:"), "{first}");
    tokio::time::sleep(std::time::Duration::from_secs(61)).await;
    let lines = told(&log);
    let [_, sum] = lines.as_slice() else { panic!("{lines:#?}") };
    let said = ["refused again", "peer=127.0.0.1 ", "count=4", &format!("reason=\"{reason}\"")];
    assert!(said.iter().all(|part| sum.contains(part)), "{sum}");
    let caller_name = caller_name.map(|name| format!("caller=\"{name}\""));
    assert!(caller_name.is_none_or(|caller| sum.contains(&caller)), "{sum}");
    server.client().await.get(request()).await.unwrap_err();
    assert_eq!(told(&log).len(), 3, "a new minute begins anew");
    server.stop.cancel();
    server.task.await.unwrap().unwrap();
    assert_eq!(told(&log).len(), 3, "nothing was refused again");
}

#[tokio::test]
async fn what_was_refused_again_is_told_at_a_stop() {
    let mut world = World::new();
    world.callers = Known::of([]);
    let (log, _guard) = Log::at("ig_grpc_server=info");
    let server = world.serve().await;
    let mut client = server.client().await;
    for _ in 0..3 {
        client.get(by("S3CRET", get_request())).await.unwrap_err();
    }
    server.stop.cancel();
    server.task.await.unwrap().unwrap();
    let lines = told(&log);
    assert!(
        lines.iter().any(|line| line.contains("refused again") && line.contains("count=2")),
        "{lines:#?}"
    );
}

/// Stops a server that refused one peer three times for one reason: it was told once, and then in sum.
async fn assert_summed_up(log: &Log, server: Server, reason: &str) {
    server.stop.cancel();
    server.task.await.unwrap().unwrap();
    let lines = told(log);
    let [first, sum] = lines.as_slice() else { panic!("{lines:#?}") };
    assert!(first.contains("refused") && first.contains("peer=127.0.0.1:"), "{first}");
    let said = ["refused again", "peer=127.0.0.1 ", "count=2", &format!("reason=\"{reason}\"")];
    assert!(said.iter().all(|part| sum.contains(part)), "{sum}");
}

#[tokio::test]
async fn repeated_requests_that_are_not_grpc_are_told_once_and_then_in_sum() {
    let (log, _guard) = Log::at("ig_grpc_server=info");
    let server = World::new().serve().await;
    for _ in 0..3 {
        send(&server, (Method::POST, Some("text/plain")), "any", ("List", Bytes::new())).await;
    }
    assert_summed_up(&log, server, "NOT_GRPC").await;
}

#[tokio::test]
async fn repeated_certificates_that_are_not_good_are_told_once_and_then_in_sum() {
    let (log, _guard) = Log::at("ig_grpc_server=info");
    let (authority, clients) = (Authority::new(), Authority::new());
    let server = tls::serve(tls::tls(&tls::localhost(&authority), Some(&clients))).await;
    let foreign = authority.issue(&[Name::Dns("publisher")]);
    for _ in 0..3 {
        tls::goodbye(&server, certificates::client(&authority, Some(&foreign))).await;
    }
    assert_summed_up(&log, server, "CERTIFICATE_REFUSED").await;
}

#[tokio::test]
async fn a_refused_owner_is_told_with_the_peer() {
    let mut world = World::new();
    world.callers = Known::of([caller("clerk", &[Role::Read], "shop/*")]);
    let (log, _guard) = Log::at("ig_grpc_server=info");
    let mut client = world.client().await;
    client.get(by("clerk", get_request_of("cafe/1"))).await.unwrap_err();
    let lines = told(&log);
    let [line] = lines.as_slice() else { panic!("{lines:#?}") };
    let said =
        ["WARN", "caller=\"clerk\"", "owner=\"cafe/1\"", "peer=127.0.0.1:", "PERMISSION_DENIED"];
    assert!(said.iter().all(|part| line.contains(part)), "{line}");
}

#[tokio::test]
async fn a_caller_without_room_is_told_also_for_reads() {
    let stuck = Stuck::default();
    let mut world = World { accounts: Arc::new(stuck.clone()), ..World::new() };
    let narrow = caller("narrow", &[Role::Read], "*");
    world.callers = Known::of([Caller { max_in_flight: NonZeroU32::new(1), ..narrow }]);
    let (log, _guard) = Log::at("ig_grpc_server=info");
    let mut client = world.client().await;
    let mut first = client.clone();
    let waiting = tokio::spawn(async move { first.get(by("narrow", get_request())).await });
    stuck.entered.notified().await;
    client.get(by("narrow", get_request())).await.unwrap_err();
    stuck.released.notify_one();
    waiting.await.unwrap().unwrap_err();
    let lines = told(&log);
    let [line] = lines.as_slice() else { panic!("{lines:#?}") };
    let said = ["INFO", "caller=\"narrow\"", "peer=127.0.0.1:", "reason=\"OVERLOADED\""];
    assert!(said.iter().all(|part| line.contains(part)), "{line}");
}
