//! Faults: replaced, late, lost and broken answers, seen by a client and on a raw socket.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{Running, me_path, parse, read, refresh_path, start};

/// Sends a GET over a socket of its own and reads until the connection ends, however it does.
async fn raw_get(sandbox: &Running, path: &str) -> (String, Option<ErrorKind>) {
    let mut stream = TcpStream::connect(&sandbox.address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: sandbox\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let end = stream.read_to_end(&mut answer).await.err().map(|error| error.kind());
    (String::from_utf8(answer).unwrap(), end)
}

#[tokio::test]
async fn a_replaced_answer_has_the_given_status_headers_and_exact_bytes() {
    let sandbox = start().await;
    let token = sandbox.short("mira.paints").await;
    let fault = json!({
        "endpoint": "me", "times": 1, "status": 429,
        "headers": { "Retry-After": "7", "X-App-Usage": "{broken" },
        "body": "{ \"a\":1 }\n",
    });
    sandbox.post("faults", fault).await;
    let response = sandbox.request(Method::GET, &me_path(&token)).send().await.unwrap();
    assert_eq!(response.headers()["retry-after"], "7");
    assert_eq!(response.headers()["x-app-usage"], "{broken");
    assert_eq!(response.headers()["content-type"], "application/json; charset=UTF-8");
    assert_eq!(read(response).await, (429, "{ \"a\":1 }\n".to_owned()));
    assert_eq!(sandbox.get(&me_path(&token)).await.0, 200);
}

#[tokio::test]
async fn a_body_that_is_no_json_is_html_and_one_that_is_no_text_becomes_json() {
    let sandbox = start().await;
    let faults =
        [("<h1>Sorry</h1>".into(), "<h1>Sorry</h1>"), (json!({ "a": [1] }), "{\"a\":[1]}")];
    for ((body, expected), kind) in faults.into_iter().zip(["text/html", "application/json"]) {
        let fault = json!({ "endpoint": "all", "times": 1, "status": 502, "body": body });
        sandbox.post("faults", fault).await;
        let response = sandbox.request(Method::GET, "/me").send().await.unwrap();
        assert!(response.headers()["content-type"].to_str().unwrap().starts_with(kind));
        assert_eq!(read(response).await, (502, expected.to_owned()));
    }
}

#[tokio::test]
async fn a_replaced_answer_does_no_work_unless_it_comes_after() {
    let sandbox = start().await;
    let code = sandbox.code("mira.paints").await;
    sandbox.post("faults", json!({ "endpoint": "token", "times": 1, "status": 500 })).await;
    assert_eq!(sandbox.exchange(&code).await, (500, String::new()));
    let after = json!({ "endpoint": "token", "times": 1, "status": 500, "after": true });
    sandbox.post("faults", after).await;
    assert_eq!(sandbox.exchange(&code).await, (500, String::new()));
    let (status, body) = sandbox.exchange(&code).await;
    assert_eq!(
        (status, &parse(&body)["error_message"]),
        (400, &json!("This authorization code has been used"))
    );
}

#[tokio::test]
async fn headers_alone_join_the_usual_answer() {
    let sandbox = start().await;
    let token = sandbox.short("mira.paints").await;
    let fault = json!({ "endpoint": "me", "headers": { "X-App-Usage": "nonsense" } });
    sandbox.post("faults", fault).await;
    let response = sandbox.request(Method::GET, &me_path(&token)).send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["x-app-usage"]),
        (200, &"nonsense".parse().unwrap())
    );
}

#[tokio::test]
async fn a_delay_alone_is_the_usual_answer_later_and_delays_overlap() {
    let sandbox = start().await;
    let token = sandbox.short("mira.paints").await;
    sandbox.control(Method::DELETE, "requests", json!(null)).await;
    sandbox.post("faults", json!({ "endpoint": "all", "delay_ms": 200 })).await;
    let start = Instant::now();
    let path = me_path(&token);
    let (one, other) = tokio::join!(sandbox.get(&path), sandbox.get(&path));
    assert_eq!((one.0, other.0), (200, 200));
    assert!(start.elapsed() >= Duration::from_millis(200));
    let log = sandbox.log().await;
    let at = |row: usize, field: &str| log[row][field].as_u64().unwrap();
    assert!(at(0, "ended_ms") - at(0, "started_ms") >= 200);
    assert!(at(1, "started_ms") < at(0, "ended_ms") && at(0, "started_ms") < at(1, "ended_ms"));
}

#[tokio::test]
async fn work_goes_on_when_the_caller_hangs_up() {
    let sandbox = start().await;
    let code = sandbox.code("mira.paints").await;
    sandbox.post("faults", json!({ "endpoint": "token", "times": 1, "delay_ms": 150 })).await;
    let hasty = tokio::spawn(sandbox.exchange_request(&code, &[]).send());
    while sandbox.log().await.is_empty() {
        tokio::task::yield_now().await;
    }
    hasty.abort();
    assert_eq!(sandbox.log().await[0]["status"], 0);
    while sandbox.log().await[0]["status"] == 0 {
        tokio::task::yield_now().await;
    }
    let (_, body) = sandbox.exchange(&code).await;
    assert_eq!(parse(&body)["error_message"], "This authorization code has been used");
}

#[tokio::test]
async fn a_reset_is_a_tcp_reset_and_nothing_is_sent() {
    let sandbox = start().await;
    let token = sandbox.short("mira.paints").await;
    sandbox.post("faults", json!({ "endpoint": "me", "connection": "reset" })).await;
    let (answer, end) = raw_get(&sandbox, &me_path(&token)).await;
    assert_eq!((answer.as_str(), end), ("", Some(ErrorKind::ConnectionReset)));
    let log = sandbox.log().await;
    assert_eq!(log[1]["status"], 0);
}

#[tokio::test]
async fn a_cut_answer_ends_in_the_middle_of_its_body() {
    let sandbox = start().await;
    let token = sandbox.short("mira.paints").await;
    let (_, whole) = sandbox.get(&me_path(&token)).await;
    let cut = json!({ "endpoint": "me", "connection": "cut", "after": true });
    sandbox.post("faults", cut).await;
    let (answer, end) = raw_get(&sandbox, &me_path(&token)).await;
    assert_eq!(end, None);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK"));
    assert!(head.contains(&format!("content-length: {}", whole.len())));
    assert!(!body.is_empty() && body.len() < whole.len() && whole.starts_with(body), "{body}");
    sandbox.control(Method::DELETE, "faults", json!(null)).await;
    sandbox.post("faults", json!({ "endpoint": "me", "connection": "cut" })).await;
    let (answer, _) = raw_get(&sandbox, &me_path(&token)).await;
    assert!(answer.contains("content-length: 2") && answer.ends_with("\r\n\r\n{"), "{answer}");
}

#[rstest]
#[case::reset(json!({ "endpoint": "token", "connection": "reset" }), false)]
#[case::reset_after(json!({ "endpoint": "token", "connection": "reset", "after": true }), true)]
#[case::just_lost(json!({ "endpoint": "token", "after": true }), true)]
#[tokio::test]
async fn a_lost_answer_spends_the_code_only_after_the_work(
    #[case] fault: Value,
    #[case] spent: bool,
) {
    let sandbox = start().await;
    let code = sandbox.code("mira.paints").await;
    sandbox.post("faults", fault).await;
    sandbox.exchange_request(&code, &[]).send().await.unwrap_err();
    sandbox.control(Method::DELETE, "faults", json!(null)).await;
    assert_eq!(sandbox.exchange(&code).await.0, if spent { 400 } else { 200 });
}

#[tokio::test]
async fn a_fault_for_one_account_leaves_the_others_alone() {
    let sandbox = start().await;
    let (mira, shop) = (sandbox.short("mira.paints").await, sandbox.short("plain_shop").await);
    let fault = json!({ "endpoint": "me", "account": "mira.paints", "status": 503 });
    let planned = sandbox.post("faults", fault.clone()).await;
    assert_eq!(
        planned,
        json!([{ "endpoint": "me", "account": "mira.paints", "status": 503, "after": false }])
    );
    assert_eq!(sandbox.get(&me_path(&mira)).await.0, 503);
    assert_eq!(sandbox.get(&me_path(&shop)).await.0, 200);
    assert_eq!(sandbox.get(&refresh_path(&mira)).await.0, 400);
    let id = sandbox.account("mira.paints").await["id"].as_str().unwrap().to_owned();
    assert_eq!(sandbox.get(&format!("/{id}?access_token={mira}")).await.0, 503);
    assert_eq!(sandbox.control(Method::DELETE, "faults", json!(null)).await, json!([]));
    assert_eq!(sandbox.get(&me_path(&mira)).await.0, 200);
}

#[tokio::test]
async fn a_fault_for_some_accounts_follows_them_through_a_rename() {
    let sandbox = start().await;
    let (mira, shop) = (sandbox.short("mira.paints").await, sandbox.short("plain_shop").await);
    let fault =
        json!({ "endpoint": "me", "accounts": ["mira.paints", "harbour.bakery"], "status": 503 });
    sandbox.post("faults", fault).await;
    let user_id = sandbox.account("mira.paints").await["user_id"].clone();
    sandbox.post("accounts", json!({ "username": "mira.draws", "user_id": user_id })).await;
    assert_eq!(sandbox.get(&me_path(&mira)).await.0, 503);
    assert_eq!(sandbox.get(&me_path(&shop)).await.0, 200);
}

#[tokio::test]
async fn an_answer_may_be_larger_than_clients_accept() {
    let sandbox = start().await;
    let fault = json!({ "endpoint": "all", "status": 200, "body": "x".repeat(2 << 20) });
    sandbox.post("faults", fault).await;
    assert_eq!(sandbox.get("/me").await.1.len(), 2 << 20);
}
