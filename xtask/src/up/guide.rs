//! Output of `cargo xtask up` once everything serves: the account, and lines that work when pasted.

use std::fmt::{self, Display, Formatter};
use std::net::SocketAddr;

use serde_json::{Value, json};

use super::demo::{self, Demo};
use super::stack::{APP_ID, Settings};
use crate::grpc::{Client, SERVICE};
use crate::process::{command_line, quote};

/// A picture for the sandbox, which fetches none.
const PICTURE: &str = "https://shop.example/bread.jpg";

/// A day and a bit: from then on Instagram renews a token.
const A_DAY_SECONDS: u32 = 25 * 60 * 60;

/// Everything that a guide tells of.
pub(super) struct Guide<'a> {
    pub(super) client: &'a Client,
    pub(super) demo: Demo,
    /// URL at which a person consents to one more link, which ends on a page of the service.
    pub(super) consent_url: String,
    /// Address at which the service answers calls back.
    pub(super) callbacks: SocketAddr,
    pub(super) settings: &'a Settings,
}

impl Display for Guide<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let Self { demo, consent_url, settings, .. } = self;
        writeln!(out, "\nA demo account is linked:\n{:#}\n", demo.account)?;
        writeln!(
            out,
            "To link one by hand, open this in a browser, choose an account and press Allow.\n\
             You end on a page of the service, which has linked it.\n\n  {consent_url}\n"
        )?;
        if let Some(folder) = self.client.folder() {
            let folder = quote(&folder.to_string_lossy());
            writeln!(
                out,
                "The lines of README.md begin with grpcurl, which is not on your PATH yet:\n"
            )?;
            writeln!(out, "  export PATH={folder}:\"$PATH\"\n")?;
        }
        writeln!(out, "To ask the service:\n")?;
        for (what, command) in self.calls() {
            writeln!(out, "  # {what}\n  {command}\n")?;
        }
        writeln!(
            out,
            "Callers to copy from, in Go, Python and TypeScript, are in examples/. Where to call:\n"
        )?;
        let (grpc, sandbox) = (settings.grpc, settings.sandbox_url());
        writeln!(out, "  export ACCOUNTS_ADDRESS={grpc} SANDBOX_URL={sandbox}\n")?;
        let database = quote(&format!("DATABASE_URL={}", settings.database_url()));
        let program = quote(&settings.programs.join("instagram-accounts").to_string_lossy());
        writeln!(out, "Who was handed a token:\n\n  env {database} {program} audit\n")?;
        writeln!(
            out,
            "How the accounts are:\n\n  env {database} INSTAGRAM_APP_ID={APP_ID} \
             SANDBOX_CLOCK_URL={sandbox}/sandbox/clock {program} status\n"
        )?;
        writeln!(out, "Logs, new at every start: {}", settings.folder.display())?;
        write!(out, "Serving until Ctrl-C.")
    }
}

impl Guide<'_> {
    /// Calls to make, in an order in which every line works; `TOKEN` and `CONTAINER` stand for what a call answered.
    fn calls(&self) -> Vec<(&'static str, String)> {
        let demo = &self.demo;
        let call = |method: &str, request: Value| {
            command_line(&self.client.command(method, &request.to_string()))
        };
        let account_id = json!({ "account_id": demo.field("accountId") });
        let professional = json!({ "instagram_id": demo.field("professionalAccountId") });
        let app_scoped = json!({ "instagram_id": demo.field("appScopedUserId") });
        let token = json!({ "account_id": demo.field("accountId"), "purpose": "publish" });
        let username = json!({ "username": demo.field("username") });
        let begin = json!({ "redirect_uri": demo.redirect_uri, "owner": demo::OWNER });
        vec![
            ("what the service offers", command_line(&self.client.describe(SERVICE))),
            ("one account, by the service's own id", call("Get", account_id.clone())),
            ("by the professional account's id", call("Get", professional)),
            ("by the app-scoped id", call("Get", app_scoped)),
            ("by the username", call("Get", username)),
            ("all accounts of an owner", call("List", json!({ "owner": demo::OWNER }))),
            ("renew its token: too young on the first day", call("Refresh", account_id.clone())),
            ("get its token, to publish with", call("FetchAccessToken", token)),
            (
                "give Instagram a picture; put the token in place of TOKEN",
                self.publishing("media", &[&format!("image_url={PICTURE}"), "caption=Fresh."]),
            ),
            (
                "publish it; put the id that was answered in place of CONTAINER",
                self.publishing("media_publish", &["creation_id=CONTAINER"]),
            ),
            ("let a day pass in the sandbox", self.let_a_day_pass()),
            ("renew its token, two seconds later", call("Refresh", account_id.clone())),
            ("have a comment and a message sent to it", self.send_updates()),
            (
                "watch them arrive, as base64 (Ctrl-C ends it)",
                call(
                    "Watch",
                    json!({ "start": "WATCH_START_EARLIEST", "kinds": ["EVENT_KIND_WEBHOOK"] }),
                ),
            ),
            (
                "begin a link that ends on a page of yours (JSON writes an & as \\u0026)",
                call("BeginLink", begin),
            ),
            ("forget the account", call("Unlink", account_id)),
            (
                "have the rest of the person's data deleted; the url in the answer shows how far that is",
                self.delete_data(),
            ),
        ]
    }

    /// A call to Instagram with a form, by the account's token.
    fn publishing(&self, path: &str, form: &[&str]) -> String {
        let form: Vec<_> = form.iter().map(|field| format!("-d {}", quote(field))).collect();
        let account = self.demo.field("professionalAccountId");
        let url = format!("{}/{account}/{path}", self.settings.sandbox_url());
        format!("curl --silent -H 'Authorization: Bearer TOKEN' {} {url}", form.join(" "))
    }

    fn let_a_day_pass(&self) -> String {
        self.control("clock", &json!({ "advance_seconds": A_DAY_SECONDS }))
    }

    fn send_updates(&self) -> String {
        let username = self.demo.field("username");
        let updates = json!([
            { "username": username, "kind": "comment", "text": "Lovely!" },
            { "username": username, "kind": "message", "text": "Are you open?" },
        ]);
        let url = format!("http://{}/webhooks/instagram", self.callbacks);
        self.control("webhooks", &json!({ "url": url, "updates": updates }))
    }

    fn delete_data(&self) -> String {
        let url = format!("http://{}/data-deletion", self.callbacks);
        let body = json!({ "url": url, "username": self.demo.field("username") });
        self.control("data-deletion", &body)
    }

    /// A call of the sandbox's control interface.
    fn control(&self, path: &str, body: &Value) -> String {
        let url = format!("{}/sandbox/{path}", self.settings.sandbox_url());
        format!("curl --silent -d {} {url}", quote(&body.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::up::stack::Store;

    #[test]
    fn every_line_can_be_pasted() {
        let demo = Demo {
            account: json!({
                "accountId": "0193", "professionalAccountId": "17841", "appScopedUserId": "9007",
                "username": "a.bakery",
            }),
            redirect_uri: "http://127.0.0.1:8090/redirect".to_owned(),
        };
        let settings = Settings {
            grpc: "127.0.0.1:50051".parse().unwrap(),
            sandbox: "127.0.0.1:8090".parse().unwrap(),
            metrics: "127.0.0.1:9464".parse().unwrap(),
            callbacks: None,
            store: Store::Sqlite,
            programs: "/work tree/debug".into(),
            callers: None,
            folder: "/work tree/up".into(),
            variables: Vec::new(),
        };
        let client = Client::new("/work tree/grpcurl".into(), settings.grpc);
        let consent_url = "http://127.0.0.1:8090/oauth/authorize?state=s".to_owned();
        let callbacks = "127.0.0.1:8080".parse().unwrap();
        let guide = Guide { client: &client, demo, consent_url, callbacks, settings: &settings };
        for (what, command) in guide.calls() {
            let words = shlex::split(&command).unwrap();
            assert!(words.len() >= 4, "{what}: {command}");
            assert!(["/work tree/grpcurl", "curl"].contains(&words[0].as_str()), "{command}");
        }
        let printed = guide.to_string();
        for expected in [
            "state=s",
            "export ACCOUNTS_ADDRESS=127.0.0.1:50051 SANDBOX_URL=http://127.0.0.1:8090",
            "export PATH='/work tree':\"$PATH\"",
            r#"'{"account_id":"0193"}'"#,
            r#"'{"instagram_id":"9007"}'"#,
            "-d 'creation_id=CONTAINER' http://127.0.0.1:8090/17841/media_publish",
            r#""url":"http://127.0.0.1:8080/webhooks/instagram""#,
            "http://127.0.0.1:8090/sandbox/webhooks\n",
            r#""url":"http://127.0.0.1:8080/data-deletion""#,
            "http://127.0.0.1:8090/sandbox/data-deletion\n",
        ] {
            assert!(printed.contains(expected), "{expected} is missing in:\n{printed}");
        }
    }
}
