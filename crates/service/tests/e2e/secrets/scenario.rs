//! The whole flow, and what can go wrong in it on our side.

use std::process::Command;

use ig_proto::v1::get_request::Key;
use ig_proto::v1::{
    BeginLinkRequest, BeginLinkResponse, InstagramAccount, LinkRequest, LinkResponse, ListRequest,
    UnlinkRequest,
};
use ig_test_support::Needles;
use tonic::Status;

use crate::rows::answers::{Answers, LONG, RENEWED, SHORT};
use crate::support::Service;
use crate::support::place::{On, Place};
use crate::support::probes::Probes;
use crate::support::stub::Stub;

const OWNER: &str = "bakery/4";
pub(super) const APP_SECRET: &str = "9f1c4e7ab2d05836planted4e7ab2d05";
const SESSION: &str = "planted-session-binding-8c1f0d2e7b";
pub(super) const CALLER_TOKEN: &str = "igacc_planted-caller-token-4Vb8Rn2Ks6Tq";
pub(super) const OTHER_TOKEN: &str = "igacc_planted-wrong-token-9Hd3Wp7Xc1Zm";
pub(super) const PROXY_PASSWORD: &str = "planted-proxy-password-Lw4Mn8";
// Unlike the flag `--database-password`, which the help shows.
const DATABASE_PASSWORD: &str = "planted-password-of-the-store-Zt5Kw1";
/// The bytes of the sealing key are text, so that they are found as text.
const KEY: &str = "planted-sealing-key-Xq7Zt3Lm9Wb1";
const KEY_BASE64: &str = "cGxhbnRlZC1zZWFsaW5nLWtleS1YcTdadDNMbTlXYjE=";

/// A service that logs everything, and all that came out of it.
pub(super) struct Scenario {
    pub(super) service: Service,
    /// Output of other commands of the binary.
    pub(super) printed: Vec<String>,
    /// Errors that callers were told.
    pub(super) errors: Vec<String>,
    /// Texts of `/metrics`.
    pub(super) metrics: Vec<String>,
    pub(super) place: Place,
    pub(super) stub: Stub,
    pub(super) format: String,
    /// Codes and states, as they come up.
    passing: Vec<String>,
}

impl Scenario {
    pub(super) async fn start(on: On, format: &str) -> Self {
        let place = Place::new(on).await;
        let stub = Stub::start();
        Answers::usual().plan(&stub);
        let mut command = command(&stub.url, &place, format);
        command.arg("serve");
        let service = Service::run(command).await;
        Self {
            service,
            printed: Vec::new(),
            errors: Vec::new(),
            metrics: Vec::new(),
            place,
            stub,
            format: format.to_owned(),
            passing: Vec::new(),
        }
    }

    /// All that must not be found.
    pub(super) fn needles(&self) -> Needles {
        let mut needles = Needles::default();
        for (what, secret) in [
            ("the short-lived token", SHORT),
            ("the long-lived token", LONG),
            ("the renewed token", RENEWED),
            ("the app secret", APP_SECRET),
            ("the sealing key", KEY),
            ("the sealing key as it is configured", KEY_BASE64),
            ("the database password", DATABASE_PASSWORD),
            ("the session binding", SESSION),
            ("a caller's token", CALLER_TOKEN),
            ("a wrong token", OTHER_TOKEN),
            ("the proxy's password", PROXY_PASSWORD),
        ] {
            needles.plant(what, secret);
        }
        for secret in &self.passing {
            needles.plant("a code or a state", secret);
        }
        needles
    }

    /// Calls that go well: a link, its replay, reads, the account again, and its end.
    pub(super) async fn links(&mut self) {
        let request = self.presented().await;
        let account = self.service.link(request.clone()).await.unwrap().account.unwrap();
        self.service.link(request).await.unwrap();
        self.service.get(Key::AccountId(account.account_id.clone())).await.unwrap();
        self.service.list(ListRequest::default()).await.unwrap();
        let handed = self.service.fetch(&account.account_id, 50).await.unwrap();
        assert!(handed.access_token == LONG, "the token is handed out");
        let apart = self.apart().await;
        self.service.link(apart).await.unwrap();
        self.unlink(account).await;
    }

    /// Calls that are refused: for what the browser brought, or for the request.
    pub(super) async fn refusals(&mut self) {
        let right = self.apart().await;
        let LinkRequest { code, state, .. } = &right;
        let responses = [
            format!(
                "error=access_denied&error_reason=user_denied&error_description=The+user+denied&state={state}"
            ),
            format!(
                "error=access_denied&error_description=about+{state}+and+{code}&state={state}&code={code}"
            ),
            format!("error={code}&code={code}&state={state}"),
            format!("code={code}&code={code}&state={state}"),
            format!("code={code}%20&state={state}"),
            format!("code={code}&state={state}%20"),
            format!("code={code}"),
            format!("https://example.com/{code}/{state}"),
            format!("code={code}&state={state}\u{1}"),
        ];
        for authorization_response in responses {
            self.refused(LinkRequest { authorization_response, ..empty() }).await;
        }
        let blank = |text: &str| format!("{text} {text}");
        let wrong = [
            LinkRequest { code: blank(code), ..right.clone() },
            LinkRequest { state: blank(state), ..right.clone() },
            LinkRequest { owner: "bakery/5".to_owned(), ..right.clone() },
            LinkRequest { session_binding: format!("{SESSION}-other"), ..right.clone() },
            LinkRequest { session_binding: SESSION.repeat(9), ..right.clone() },
            LinkRequest { state: "planted-state-that-nobody-made".to_owned(), ..right.clone() },
        ];
        self.passing.push("planted-state-that-nobody-made".to_owned());
        for request in wrong {
            self.refused(request).await;
        }
        let begin = BeginLinkRequest {
            redirect_uri: "http://example.com/".to_owned(),
            session_binding: SESSION.repeat(9),
            ..BeginLinkRequest::default()
        };
        let refused = self.service.client.clone().begin_link(begin).await;
        self.errors.push(told(&refused.unwrap_err()));
    }

    /// Keeps the text of `/metrics` after all that.
    pub(super) async fn numbers(&mut self) {
        let text = Probes::of(&self.service).ask("/metrics").await.1;
        self.metrics.push(text);
    }

    /// Runs the binary's other commands, and a start that fails.
    pub(super) fn commands(&mut self) {
        let wrong = [
            (
                "DATABASE_URL",
                format!("postgres://planted@db/accounts?passwrod={DATABASE_PASSWORD}"),
            ),
            ("DATABASE_URL", format!("sqlite://accounts.db?mode=rwc&password={DATABASE_PASSWORD}")),
            ("INSTAGRAM_APP_SECRET", format!("{APP_SECRET},,")),
            ("TOKEN_KEYS", format!("k1:{KEY_BASE64}x")),
        ];
        for (name, value) in wrong {
            let mut command = command(&self.stub.url, &self.place, &self.format);
            self.run(command.arg("serve").env(name, value));
        }
        let away = format!("postgres://planted:{DATABASE_PASSWORD}@127.0.0.1:1/accounts");
        let mut migrate = command(&self.stub.url, &self.place, &self.format);
        self.run(migrate.arg("migrate").env("DATABASE_URL", away));
        for arguments in [
            &["--help"][..],
            &["serve", "--help"],
            &["migrate"],
            &["migrate", "--check"],
            &["healthcheck"],
            &["audit"],
            &["audit", "--json"],
            &["--app-secret", APP_SECRET],
            &["serve", "--state-ttl", APP_SECRET],
        ] {
            let mut command = command(&self.stub.url, &self.place, &self.format);
            command.env("GRPC_LISTEN", &self.service.address);
            self.run(command.args(arguments));
        }
    }

    pub(super) fn run(&mut self, command: &mut Command) {
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        self.printed.push(text(&output.stdout));
        self.printed.push(text(&output.stderr));
    }

    /// Takes note of how a link ended, and forgets the account.
    pub(super) async fn take(&mut self, answer: Result<LinkResponse, Status>) {
        match answer {
            Ok(linked) => self.unlink(linked.account.unwrap()).await,
            Err(status) => self.errors.push(told(&status)),
        }
    }

    async fn refused(&mut self, request: LinkRequest) {
        let status = self.service.link(request).await.unwrap_err();
        self.errors.push(told(&status));
    }

    async fn unlink(&self, account: InstagramAccount) {
        let request = UnlinkRequest { account_id: account.account_id, ..Default::default() };
        // A replay may name an account that is gone already.
        self.service.client.clone().unlink(request).await.ok();
    }

    /// A link that began, as a browser brings it back.
    pub(super) async fn presented(&mut self) -> LinkRequest {
        let LinkRequest { code, state, .. } = self.apart().await;
        let url = format!("https://example.com/instagram/callback?code={code}&state={state}#_");
        LinkRequest { authorization_response: url, ..empty() }
    }

    /// A link that began, taken apart.
    async fn apart(&mut self) -> LinkRequest {
        let begin = BeginLinkRequest {
            owner: OWNER.to_owned(),
            session_binding: SESSION.to_owned(),
            ..BeginLinkRequest::default()
        };
        let BeginLinkResponse { state, .. } = self.service.begin_as(begin).await;
        let code = format!("{:04}plantedCode{:04}", self.passing.len(), self.passing.len());
        self.passing.extend([code.clone(), state.clone()]);
        LinkRequest { code, state, ..empty() }
    }
}

/// Fields that every request to link repeats.
fn empty() -> LinkRequest {
    LinkRequest {
        owner: OWNER.to_owned(),
        session_binding: SESSION.to_owned(),
        ..LinkRequest::default()
    }
}

/// The binary with every secret planted and everything logged, still without a command.
pub(super) fn command(url: &str, place: &Place, format: &str) -> Command {
    let mut command = Service::settings(url, ["880000000000041", APP_SECRET], place.path());
    if let Some(mut database) = place.schema_url() {
        // A server that trusts everybody takes any password; one that does not has its own.
        if database.password().is_none() {
            database.set_password(Some(DATABASE_PASSWORD)).unwrap();
        }
        command.env("DATABASE_URL", database.as_str()).env("MIGRATE_ON_START", "true");
    }
    command.env("TOKEN_KEYS", format!("planted:{KEY_BASE64}"));
    command.env("RUST_LOG", "trace").env("LOG_FORMAT", format);
    command
}

/// All that a caller is told: message, details and metadata.
pub(super) fn told(status: &Status) -> String {
    let details = String::from_utf8_lossy(status.details());
    format!("{} {details} {:?}", status.message(), status.metadata())
}
