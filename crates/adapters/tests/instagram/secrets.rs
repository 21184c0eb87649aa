//! Secrets stay secret: no code, token or app secret in any error, `Debug` or log, whatever happens.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io;
use std::sync::{Arc, Mutex};

use ig_adapters::instagram::{BaseUrl, GraphApi, GraphApiSettings, ProxyUrl};
use ig_domain::ports::InstagramError;
use ig_test_support::Needles;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;
use wiremock::ResponseTemplate;

use super::{
    APP_SECRET, CODE, Call, LONG_LIVED, SHORT_LIVED, answering, client_of, client_through, json,
};

const PROXY_PASSWORD: &str = "planted-proxy-password";

/// All that was logged.
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

/// Answers that hold every secret, as a hostile or careless server might send them.
fn echoes() -> Vec<ResponseTemplate> {
    let all = format!("{APP_SECRET} {CODE} {SHORT_LIVED} {LONG_LIVED}");
    let url = format!("/?access_token={LONG_LIVED}&client_secret={APP_SECRET}&code={CODE}");
    vec![
        json(200, &format!(r#"{{"access_token":"{LONG_LIVED}","expires_in":60}}"#)),
        json(200, &format!(r#"{{"access_token":"{all}","expires_in":60}}"#)),
        json(400, &format!(r#"{{"error":{{"message":"{all}","code":190,"type":"{all}"}}}}"#)),
        json(400, &format!(r#"{{"error_type":"{all}","error_message":"{all}","code":400}}"#)),
        ResponseTemplate::new(500).set_body_string(all),
        ResponseTemplate::new(302).insert_header("location", url.as_str()),
    ]
}

/// A server that hangs up on every request.
async fn hanging_up() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4_096]).await;
        }
    });
    base
}

/// All calls at once.
async fn all_calls(client: &GraphApi) -> [Result<String, InstagramError>; Call::ALL.len()] {
    let [exchange, extend, renew, profile, subscription, subscribe, unsubscribe] =
        Call::ALL.map(|call| call.make(client));
    tokio::join!(exchange, extend, renew, profile, subscription, subscribe, unsubscribe).into()
}

/// Every call against every answer, hang-up and closed port; all errors and results, formatted.
async fn everything_goes_wrong() -> String {
    let mut shown = String::new();
    for answer in echoes() {
        let (_server, client) = answering(answer).await;
        for outcome in all_calls(&client).await {
            writeln!(shown, "{outcome:?}").unwrap();
        }
    }
    let hanging_up = hanging_up().await;
    let proxy = hanging_up.replace("://", &format!("://planted:{PROXY_PASSWORD}@"));
    let through = |base| client_through(Some(ProxyUrl::parse(&proxy).unwrap()), base);
    for client in [
        client_of(&hanging_up),
        client_of("http://127.0.0.1:1"),
        through("http://instagram.invalid"),
        through("https://instagram.invalid"),
    ] {
        for outcome in all_calls(&client).await {
            let error = outcome.unwrap_err();
            writeln!(shown, "{error:?} {error} {}", error.kind).unwrap();
        }
    }
    shown
}

#[tokio::test]
async fn no_secret_leaves_by_an_error_a_debug_or_a_log_at_trace() {
    let log = Log::default();
    let writer = log.clone();
    // For the whole process: what the tests beside this one log is searched, too. The server of the tests
    // logs what it receives; it is not what is tested.
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new("trace,wiremock=off"))
        .with_ansi(false)
        .with_span_events(FmtSpan::FULL)
        .with_writer(move || writer.clone())
        .init();
    let shown = everything_goes_wrong().await;

    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for seen in ["Instagram answered", "Instagram could not be reached", "endpoint=token_renewal"] {
        assert!(logged.contains(seen), "the log was captured: {seen}");
    }
    let mut needles = Needles::default();
    for secret in [APP_SECRET, CODE, SHORT_LIVED, LONG_LIVED, PROXY_PASSWORD] {
        needles.plant(secret, secret);
    }
    assert_eq!(needles.found_in(&shown), BTreeSet::new(), "in a result");
    if !needles.found_in(&logged).is_empty() {
        let leaks = logged.lines().filter(|line| !needles.found_in(line).is_empty());
        panic!("in log lines: {:#?}", leaks.collect::<Vec<_>>());
    }
}

#[test]
fn settings_hide_the_app_secret_and_the_proxy_s_password() {
    let url = |raw| BaseUrl::parse(raw, false).unwrap();
    let settings = GraphApiSettings {
        app_id: "1".parse().unwrap(),
        app_secret: APP_SECRET.into(),
        authorize_url: url("https://www.instagram.com/oauth/authorize"),
        api_url: url("https://api.instagram.com"),
        graph_url: url("https://graph.instagram.com"),
        proxy: Some(ProxyUrl::parse("http://user:planted-password@proxy.internal").unwrap()),
    };
    let shown = format!("{settings:?}");
    assert!(!shown.contains(APP_SECRET) && !shown.contains("planted-password"), "{shown}");
}
