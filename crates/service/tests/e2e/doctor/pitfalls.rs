//! A deployment broken in each way that the doctor knows.

use std::process::Command;

use ig_proto::v1::get_request::Key;
use ig_proto::v1::{BeginLinkRequest, InstagramAccount};
use reqwest::Method;
use rstest::rstest;
use serde_json::json;
use time::OffsetDateTime;

use super::cases::{Case, of_answers, of_settings};
use super::doctor;
use crate::support::process::address_in;
use crate::support::sandbox::{BAKERY, Decision};
use crate::support::{HOUR, On, Place, Sandbox, Service, arrival, eventually};

const VERIFY_TOKEN: &str = "planted-verify-token";

/// A service whose webhooks are answered, and the doctor beside it.
struct Deployment {
    place: Place,
    sandbox: Sandbox,
    service: Service,
    public_url: String,
}

impl Deployment {
    async fn start(on: On) -> Self {
        let (place, sandbox) = (Place::new(on).await, Sandbox::start().await);
        let settings = [
            ("KEEPER", "true"),
            ("WEBHOOK_FIELDS", "comments"),
            ("HTTP_LISTEN", "127.0.0.1:0"),
            ("PUBLIC_URL", "https://example.com"),
            ("WEBHOOK_VERIFY_TOKEN", VERIFY_TOKEN),
        ];
        // Now, lest the doctor is first.
        assert!(place.settings(&sandbox).arg("migrate").output().unwrap().status.success());
        let service = place.serve(&sandbox, &settings).await;
        let line = service.process.line_with("calls back are answered");
        let public_url = format!("http://{}", address_in(&line).unwrap());
        Self { place, sandbox, service, public_url }
    }

    /// Settings by which nothing is wrong once an account is subscribed.
    fn settings(&self) -> Command {
        let mut command = self.place.settings(&self.sandbox);
        command
            .env("KEEPER", "true")
            .env("WEBHOOK_FIELDS", "comments")
            .env("HTTP_LISTEN", "127.0.0.1:0")
            .env("PUBLIC_URL", &self.public_url)
            .env("WEBHOOK_VERIFY_TOKEN", VERIFY_TOKEN);
        command
    }

    /// Exit code and output of the doctor with these settings beside the usual ones. No secret is in it.
    fn examine(&self, settings: &[(&str, &str)]) -> (Option<i32>, String) {
        let mut command = self.settings();
        for (name, value) in settings {
            command.env(name, value.replace("SANDBOX", &self.sandbox.url));
        }
        let (code, told) = doctor(command);
        for secret in [&self.sandbox.app_secret, VERIFY_TOKEN, "IGAA"] {
            assert!(!told.contains(secret), "{told}");
        }
        (code, told)
    }

    /// Links an account that grants comments, and no messages.
    async fn link(&self) -> InstagramAccount {
        let scopes = vec!["instagram_business_manage_comments".to_owned()];
        let begun = self.service.begin_as(BeginLinkRequest { scopes, ..Default::default() }).await;
        let url = &begun.authorization_url;
        let arrived = self.sandbox.decide(url, BAKERY, Decision::Allow).await;
        self.service.link(arrival(arrived, "")).await.unwrap().account.unwrap()
    }

    /// Waits until the account `is_so`.
    async fn shown(&self, account: &InstagramAccount, is_so: impl Fn(&InstagramAccount) -> bool) {
        eventually("the account is shown so", async || {
            let key = Key::AccountId(account.account_id.clone());
            let found = self.service.get(key).await.unwrap();
            is_so(&found).then_some(())
        })
        .await;
    }

    async fn link_and_subscribe(&self) -> InstagramAccount {
        let account = self.link().await;
        self.shown(&account, is_subscribed).await;
        account
    }

    async fn app(&self, state: &str) {
        self.sandbox.control(Method::POST, "app", Some(json!({ "state": state }))).await;
    }
}

fn is_subscribed(account: &InstagramAccount) -> bool {
    account.webhook_subscription.as_ref().is_some_and(|subscription| subscription.active)
}

/// An error makes the exit code 1, a warning does not.
fn exit_code(begins: &str) -> i32 {
    i32::from(begins.contains("(error)"))
}

fn expect((code, told): (Option<i32>, String), begins: &str, remedy: &str) {
    assert!(told.starts_with(begins) && told.contains(remedy), "{begins}: {told}");
    assert_eq!((told.lines().count(), code), (1, Some(exit_code(begins))), "{told}");
}

const NOTHING: (Option<i32>, String) = (Some(0), String::new());

/// Settings that are wrong by themselves: nobody is asked.
#[tokio::test]
async fn wrong_settings_are_told_offline_with_the_remedy() {
    let deployment = Deployment::start(On::Sqlite).await;
    let examine = |settings: &[(&str, &str)]| {
        let mut command = deployment.settings();
        command.arg("doctor").arg("--offline").envs(settings.iter().copied());
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    assert_eq!(examine(&[]), NOTHING);
    for Case { settings, begins, remedy, .. } in of_settings() {
        expect(examine(&settings), begins, remedy);
    }
}

#[tokio::test]
async fn each_way_in_which_a_deployment_is_broken_is_told_with_the_remedy() {
    let deployment = Deployment::start(On::Sqlite).await;
    deployment.link_and_subscribe().await;
    let sandbox = &deployment.sandbox;
    assert_eq!(deployment.examine(&[]), NOTHING);
    let now = OffsetDateTime::from_unix_timestamp(sandbox.now_seconds().await).unwrap();
    for Case { fault, settings, begins, remedy } in of_answers(now) {
        if !fault.is_null() {
            sandbox.fault(fault).await;
        }
        expect(deployment.examine(&settings), begins, remedy);
        sandbox.clear_faults().await;
    }
    deployment.app("restricted").await;
    let refused = "INSTAGRAM_APP_ID (error) is an app that Instagram refuses for everybody";
    expect(deployment.examine(&[]), refused, "look in the App Dashboard");
    deployment.app("ok").await;
    // The accounts are another app's then, and its secret cannot be tried on a token of theirs.
    let (code, told) = deployment.examine(&[("INSTAGRAM_APP_ID", "1234567890123456")]);
    assert!(told.starts_with("INSTAGRAM_APP_ID (error) is not known to Instagram"), "{told}");
    assert_eq!((told.lines().count(), code), (2, Some(1)), "{told}");
    let (code, told) = deployment.examine(&[("INSTAGRAM_PROXY_URL", "http://127.0.0.1:1")]);
    for line in told.lines() {
        assert!(line.contains(" is not reached through the proxy 127.0.0.1:1 (Conn"), "{told}");
        assert!(line.contains("check INSTAGRAM_PROXY_URL, and that the proxy lets it"), "{told}");
    }
    assert_eq!((told.lines().count(), code), (2, Some(1)), "{told}");
    assert_eq!(deployment.examine(&[]), NOTHING);
    assert!(sandbox.requests("refresh").await.is_empty(), "a token was renewed");
}

#[rstest]
#[tokio::test]
async fn what_the_store_tells_of_a_deployment_is_told(#[values(On::Sqlite, On::Postgres)] on: On) {
    let deployment = Deployment::start(on).await;
    let sandbox = &deployment.sandbox;
    let unchecked = "INSTAGRAM_APP_SECRET (warning) was not checked, for want of a living token";
    expect(deployment.examine(&[]), unchecked, "run this again once an account is linked");

    let body = json!({ "success": false, "data": [] });
    sandbox.fault(json!({ "endpoint": "subscribed_apps", "body": body })).await;
    let account = deployment.link().await;
    deployment.shown(&account, |account| account.webhook_subscription.is_some()).await;
    let failed = "WEBHOOK_FIELDS (warning) could not be subscribed to for some accounts \
                  (INSTAGRAM_UNEXPECTED 1): ";
    expect(deployment.examine(&[]), failed, "add the fields under Webhooks in the App Dashboard");
    sandbox.clear_faults().await;

    sandbox.advance(25 * HOUR).await;
    deployment
        .shown(&account, |now| is_subscribed(now) && now.profile_time != account.profile_time)
        .await;
    let quiet =
        "WEBHOOK_FIELDS (warning) is subscribed to (accounts: 1), and not one update is stored: ";
    expect(
        deployment.examine(&[]),
        quiet,
        "set the app live, get Advanced Access, enter PUBLIC_URL",
    );
    let wrong = [("INSTAGRAM_APP_SECRET", "00000000000000000000000000000000")];
    let (code, told) = deployment.examine(&wrong);
    assert!(told.starts_with("INSTAGRAM_APP_SECRET (error) is wrong"), "{told}");
    assert_eq!((told.lines().count(), code), (2, Some(1)), "{told}");
    let update = json!({ "username": BAKERY, "kind": "comment" });
    let webhooks = format!("{}/webhooks/instagram", deployment.public_url);
    let sent = json!({ "url": webhooks, "updates": [update] });
    let sent = sandbox.control(Method::POST, "webhooks", Some(sent)).await;
    assert_eq!(sent["status"], 200, "{sent}");
    assert_eq!(deployment.examine(&[]), NOTHING);

    let Deployment { place, sandbox, mut service, public_url } = deployment;
    assert!(service.process.ended_by(nix::sys::signal::Signal::SIGTERM).await.success());
    sandbox.advance(72 * HOUR).await;
    let before = place.everything().await.text();
    let (code, told) = doctor({
        let mut command = place.settings(&sandbox);
        command.env("WEBHOOK_FIELDS", "comments").env("PUBLIC_URL", public_url);
        command
    });
    let overdue = "KEEPER (warning) is true on no replica that comes through: visits are overdue \
                   (accounts: 1), and tokens will run out; run a replica with KEEPER=true";
    assert!(told.starts_with(overdue), "{told}");
    assert_eq!((told.lines().count(), code), (1, Some(0)), "{told}");
    assert!(place.everything().await.text() == before, "the doctor wrote something");
}

#[tokio::test]
async fn a_start_with_the_dead_page_of_consent_warns_once() {
    let (place, sandbox) = (Place::new(On::Sqlite).await, Sandbox::start().await);
    let settings = [
        ("INSTAGRAM_INSECURE_HTTP", "true"),
        ("INSTAGRAM_AUTHORIZE_URL", "http://api.instagram.com/oauth/authorize"),
    ];
    let mut service = place.serve(&sandbox, &settings).await;
    let line = service.process.line_with("INSTAGRAM_AUTHORIZE_URL");
    assert!(line.contains("WARN") && line.contains("is at api.instagram.com"), "{line}");
    assert!(line.contains("set https://www.instagram.com/oauth/authorize"), "{line}");
    assert!(service.process.ended_by(nix::sys::signal::Signal::SIGTERM).await.success());
    assert_eq!(service.process.printed().matches("INSTAGRAM_AUTHORIZE_URL").count(), 1);
}
