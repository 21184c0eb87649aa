//! Everything that can go wrong at Instagram, with every secret in its words.

use futures_util::future::join_all;

use super::scenario::{APP_SECRET, PROXY_PASSWORD, Scenario, command, told};
use crate::rows::answers::{Answers, LONG, RENEWED, SHORT, usual};
use crate::support::stub::{Endpoint, Reply};
use crate::support::{A_DAY_LATER, HOUR, Service};

impl Scenario {
    /// Each call to Instagram fails in each way, then goes well: a link is finished or ended for good.
    pub(super) async fn faults(&mut self) {
        for endpoint in [Endpoint::Token, Endpoint::Exchange, Endpoint::Me] {
            for reply in replies() {
                Answers::usual().but(endpoint, vec![reply]).plan(&self.stub);
                let request = self.presented().await;
                let first = self.service.link(request.clone()).await;
                self.take(first).await;
                Answers::usual().plan(&self.stub);
                let second = self.service.link(request).await;
                self.take(second).await;
            }
        }
        self.silence().await;
        let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        self.nobody_there("INSTAGRAM_API_URL", &format!("http://{gone}")).await;
        let proxy = format!("http://planted:{PROXY_PASSWORD}@{gone}");
        self.nobody_there("INSTAGRAM_PROXY_URL", &proxy).await;
    }

    /// Instagram takes the request and says nothing: once at the code exchange, and then at the exchange.
    async fn silence(&mut self) {
        let once = vec![Reply::Silence, usual(Endpoint::Token)];
        let silent = Answers::usual().but(Endpoint::Token, once);
        silent.but(Endpoint::Exchange, vec![Reply::Silence]).plan(&self.stub);
        let requests = [self.presented().await, self.presented().await];
        let answers = join_all(requests.map(|request| self.service.link(request))).await;
        self.errors.extend(answers.into_iter().map(|answer| told(&answer.unwrap_err())));
        Answers::usual().plan(&self.stub);
    }

    /// Instagram cannot be reached at all, with this setting.
    async fn nobody_there(&mut self, setting: &str, value: &str) {
        let mut command = command(&self.stub.url, &self.place, &self.format);
        command.arg("serve");
        command.env(setting, value);
        let other = Service::run(command).await;
        let request = self.presented().await;
        self.errors.push(told(&other.link(request).await.unwrap_err()));
        self.printed.push(other.process.printed());
    }

    /// Each answer to a renewal, and to the reading behind it.
    pub(super) async fn refreshes(&mut self) {
        Answers::usual().plan(&self.stub);
        let request = self.presented().await;
        let account = self.service.link(request).await.unwrap().account.unwrap();
        self.stub.advance(A_DAY_LATER);
        self.service.clock_reaches(self.stub.now_seconds()).await;
        let dead = || Reply::json(400, &said(&[SHORT, LONG, RENEWED, APP_SECRET].join(" "), 190));
        for reply in replies() {
            Answers::usual().but(Endpoint::Refresh, vec![reply]).plan(&self.stub);
            let refreshed = self.service.refresh(&account.account_id).await;
            self.errors.extend(refreshed.err().as_ref().map(told));
            // What throttling was remembered is over then.
            self.stub.advance(HOUR);
            self.service.clock_reaches(self.stub.now_seconds()).await;
        }
        Answers::usual().plan(&self.stub);
        self.service.refresh(&account.account_id).await.unwrap();
        let handed = self.service.fetch(&account.account_id, 0).await.unwrap();
        assert!(handed.access_token == RENEWED, "the token is handed out");
        self.stub.advance(A_DAY_LATER);
        self.service.clock_reaches(self.stub.now_seconds()).await;
        let twice = Answers::usual().but(Endpoint::Refresh, vec![dead()]);
        twice.but(Endpoint::Me, vec![dead()]).plan(&self.stub);
        let refused = self.service.refresh(&account.account_id).await;
        self.errors.push(told(&refused.unwrap_err()));
        let refused = self.service.fetch(&account.account_id, 0).await;
        self.errors.push(told(&refused.unwrap_err()));
    }
}

/// Every way in which Instagram can fail, with every secret that it knows in its words.
fn replies() -> Vec<Reply> {
    let secrets = [SHORT, LONG, RENEWED, APP_SECRET].join(" ");
    let location = format!("https://example.com/?access_token={LONG}");
    vec![
        Reply::Reset,
        Reply::cut(200, &format!(r#"{{"access_token":"{LONG}","expires_in":5183944}}"#)),
        Reply::html(502, &format!("<html>{secrets}</html>")),
        Reply::html(200, &format!("{{ {secrets}")),
        Reply::json(200, &format!(r#"{{"access_token":["{LONG}"],"user_id":"{SHORT}"}}"#)),
        Reply::with(302, &[("Location", &location)], ""),
        Reply::json(400, &said(&format!("Unsupported request - method type: get {secrets}"), 100)),
        Reply::json(400, &said(&secrets, 4)),
        Reply::json(400, &said(&secrets, 190)),
        Reply::json(400, &said(&secrets, 9_999)),
        Reply::json(
            400,
            &format!(
                r#"{{"error_type":"OAuthException","code":400,"error_message":"This authorization code has been used {secrets}"}}"#
            ),
        ),
    ]
}

/// A Graph error with these words.
fn said(message: &str, code: u32) -> String {
    format!(
        r#"{{"error":{{"message":"{message}","type":"OAuthException","code":{code},"fbtrace_id":"ATrace8"}}}}"#
    )
}
