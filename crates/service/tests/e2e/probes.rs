//! Probes over plain HTTP say what health says, and bound what they cost.

use nix::sys::signal::Signal;
use serde_json::json;
use tonic_health::pb::health_check_response::ServingStatus;

use crate::health::Watchers;
use crate::support::probes::Probes;
use crate::support::sandbox::BAKERY;
use crate::support::{Service, Stack, eventually};

#[tokio::test]
async fn readiness_follows_the_store_and_the_life_of_the_process_does_not() {
    let Stack { service, folder, .. } = &Stack::start().await;
    let probes = Probes::of(service);
    let mut watchers = Watchers::of(service).await;
    watchers.come_to(ServingStatus::Serving).await;
    assert_eq!(probes.ask("/readyz").await, (200, "serving\n".to_owned()));

    let (database, away) = (folder.path().join("accounts.db"), folder.path().join("away.db"));
    std::fs::rename(&database, &away).unwrap();
    watchers.are_told(ServingStatus::NotServing).await;
    assert_eq!(probes.ask("/readyz").await, (503, "not serving\n".to_owned()));
    assert_eq!(probes.ask("/healthz").await, (200, "alive\n".to_owned()));

    std::fs::rename(&away, &database).unwrap();
    watchers.are_told(ServingStatus::Serving).await;
    assert_eq!(probes.readiness().await, 200);
    assert_eq!(probes.ask("/").await.0, 404);
}

#[tokio::test]
async fn a_stop_ends_readiness_at_once_and_probes_are_answered_while_calls_finish() {
    let mut stack = Stack::start().await;
    let probes = Probes::of(&stack.service);
    let request = stack.service.consent(&stack.sandbox, "shop/7", BAKERY).await;
    eventually("it serves", async || (probes.readiness().await == 200).then_some(())).await;
    stack.sandbox.fault(json!({ "endpoint": "token", "delay_ms": 4_000 })).await;
    let call = tokio::spawn({
        let mut client = stack.service.client.clone();
        async move { client.link(request).await }
    });
    stack.sandbox.reached("token", 1).await;
    stack.service.process.signal(Signal::SIGTERM);
    stack.service.process.line_with("stopping");
    eventually("it stops serving", async || (probes.readiness().await == 503).then_some(())).await;
    assert!(!call.is_finished(), "the call is still under way");
    assert_eq!(probes.ask("/healthz").await.0, 200);
    call.await.unwrap().unwrap();
    assert!(stack.service.process.ended().await.success());
}

#[tokio::test]
async fn a_taken_port_for_probes_is_said_and_an_empty_one_needs_none() {
    let stack = Stack::start().await;
    let taken = Probes::of(&stack.service).address;
    let mut command = Service::command(&stack.sandbox, stack.folder.path());
    let output = command.env("METRICS_LISTEN", &taken).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(words.contains(&format!("METRICS_LISTEN={taken} cannot be listened on")), "{words}");

    let settings = [("METRICS_LISTEN", "")];
    let silent = Service::start(&stack.sandbox, stack.folder.path(), &settings).await;
    silent.linked(&stack.sandbox, "shop/7", BAKERY).await;
    let log = silent.process.printed();
    assert!(!log.contains("probes are answered"), "{log}");
}
