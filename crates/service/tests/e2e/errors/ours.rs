//! Failures on this side of Instagram.

use std::process::Command;

use ig_proto::v1::{LinkRequest, WatchRequest};
use nix::sys::signal::Signal;
use prost::Message as _;
use serde_json::json;
use tonic::Status;

use super::{OWNER, Refusals, rpcs_on_an_account};
use crate::support::grpcurl::Printed;
use crate::support::sandbox::BAKERY;
use crate::support::{Service, Stack, tool};

/// A key beside which the one that tests seal under is missing.
const OTHER_KEY: &str = "other:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";

pub(super) async fn refused() -> Refusals {
    let stack = Stack::start().await;
    let mut refusals = Refusals::default();
    refusals.take(deadline(&stack).await);
    let account = stack.service.linked(&stack.sandbox, OWNER, BAKERY).await;
    let request = json!({"account_id": account.account_id});

    let (database, away) = (stack.folder.path().join("accounts.db"), stack.folder.path().join("a"));
    std::fs::rename(&database, &away).unwrap();
    for method in rpcs_on_an_account() {
        let printed = refusals.call(&stack.service, method, &request);
        assert_eq!(printed.reason(), "STORE_UNAVAILABLE");
    }
    std::fs::rename(&away, &database).unwrap();

    // The injected fault: the key that opens the token is not configured any more.
    let Stack { sandbox, service, folder } = stack;
    drop(service);
    let keys = [("TOKEN_KEYS", OTHER_KEY)];
    let service = Service::start(&sandbox, folder.path(), &keys).await;
    let printed = refusals.call(&service, "Refresh", &request);
    assert_eq!(printed.reason(), "INTERNAL");
    let request_id = printed.detail("RequestInfo")["requestId"].as_str().unwrap();
    let log = service.process.printed();
    let mut lines = log.lines().filter(|line| line.contains("ERROR"));
    let line = lines.next().unwrap_or_else(|| panic!("no error in {log}"));
    assert!(line.contains(request_id) && lines.next().is_none(), "{log}");
    refusals.take(stopped(&service).await);
    refusals
}

/// The end of a stream whose replica is told to stop.
async fn stopped(service: &Service) -> Printed {
    let mut client = service.client.clone();
    let mut stream = client.watch(WatchRequest::default()).await.unwrap().into_inner();
    stream.message().await.unwrap();
    service.process.signal(Signal::SIGTERM);
    loop {
        if let Err(status) = stream.message().await.map(Option::unwrap) {
            return Printed::of(&status);
        }
    }
}

/// A caller that does not wait for the end.
async fn deadline(stack: &Stack) -> Printed {
    let Stack { sandbox, service, .. } = stack;
    sandbox.fault(json!({"endpoint": "token", "times": 1, "delay_ms": 3000})).await;
    let presented = service.consent(sandbox, OWNER, BAKERY).await;
    let request =
        json!({"authorization_response": presented.authorization_response, "owner": OWNER});
    // grpcurl itself stops waiting, too, and does not read on.
    let method = "instagram.accounts.v1.InstagramAccountService/Link";
    let mut grpcurl = Command::new(tool("GRPCURL"));
    grpcurl.args(["-plaintext", "-max-time", "0.3", "-d", &request.to_string()]);
    let output = grpcurl.args([&service.address, method]).output().unwrap();
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(words.contains("DeadlineExceeded"), "{words}");

    let status = impatient(service, &presented).await;
    // The work went on: the same call joins it, and the code went out once.
    service.link(presented).await.unwrap();
    assert_eq!(sandbox.requests("token").await.len(), 1);
    Printed::of(&status)
}

/// Answer of the server to a caller whose deadline passes. Clients that know of the deadline do not wait for the
/// answer, so this one does not know.
async fn impatient(service: &Service, request: &LinkRequest) -> Status {
    let message = request.encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let frame = [&[0], length.as_slice(), message.as_slice()].concat();
    let client = reqwest::Client::builder().http2_prior_knowledge().no_proxy().build().unwrap();
    let path = "instagram.accounts.v1.InstagramAccountService/Link";
    let answer = client
        .post(format!("http://{}/{path}", service.address))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-timeout", "300m")
        .header("x-request-id", "impatient-1")
        .body(frame)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.headers()["x-request-id"], "impatient-1");
    Status::from_header_map(answer.headers()).expect("a status")
}
