//! `cargo xtask up`, as a reader has it: each line that it prints is pasted into a shell, one after the other.

use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::browser::Window;
use crate::support::process::Process;
use crate::support::sandbox::CREATOR;
use crate::support::{eventually, tool};

/// The last line that is printed.
const SERVING: &str = "Serving until Ctrl-C.";

/// Begin of the line whose stream ends by Ctrl-C only.
const WATCH: &str = "watch them arrive";

/// A running `up`, and a shell's memory of what was exported in it. Dropping it stops it.
struct Up {
    process: Process,
    /// Where it answers calls back.
    callbacks: String,
    exports: String,
}

impl Up {
    /// Starts what `cargo xtask test` has built, at addresses that nothing else has.
    fn start() -> Self {
        let [.., high, low] = std::process::id().to_be_bytes();
        let host = format!("127.{}.{low}.1", 0xc0 | high >> 2);
        let mut command = Command::new(tool("XTASK_BIN"));
        command.args(["up", "--no-build"]);
        // The port of gRPC names the folder, which is another one than that of an `up` by hand.
        for (flag, port) in
            [("--grpc", 50951), ("--sandbox", 8090), ("--metrics", 9464), ("--callbacks", 8080)]
        {
            command.arg(flag).arg(format!("{host}:{port}"));
        }
        // For the browser's driver. Another test may have been first.
        rustls::crypto::ring::default_provider().install_default().ok();
        let process = Process::start(command);
        let up = Self { process, callbacks: format!("http://{host}:8080"), exports: String::new() };
        up.process.line_with(SERVING);
        up
    }

    /// Lines to paste, in their order, each with the comment before it.
    fn lines(&self) -> Vec<(String, String)> {
        let (mut lines, mut said) = (Vec::new(), String::new());
        // Not the account, whose JSON is indented, too.
        let printed = self.process.printed();
        let (_, guide) = printed.split_once("\n}\n").expect("an account");
        for line in guide.lines() {
            if let Some(comment) = line.strip_prefix("  # ") {
                comment.clone_into(&mut said);
            } else if let Some(line) = line.strip_prefix("  ") {
                lines.push((std::mem::take(&mut said), line.to_owned()));
            }
        }
        lines
    }

    /// A shell in which this line is pasted.
    fn shell(&self, line: &str) -> Command {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("{}exec {line}", self.exports)).env("NO_PROXY", "*");
        shell
    }

    /// Pastes a line; returns what it prints.
    fn paste(&mut self, line: &str) -> String {
        if line.starts_with("export ") {
            self.exports = format!("{}{line}; ", self.exports);
            return String::new();
        }
        let output = self.shell(line).output().unwrap();
        let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        let is_refused = printed.starts_with(r#"{"error""#);
        assert!(output.status.success() && !is_refused, "{line}\n{printed}");
        printed
    }

    /// Pastes a line that does not end, until the comment and the message have arrived.
    async fn watch(&self, line: &str) {
        let watching = Process::start(self.shell(line));
        eventually("both updates are told", async || {
            let printed = watching.printed();
            let arrived =
                |field: &str| printed.matches(&format!("\"field\": \"{field}\"")).count() == 1;
            (arrived("comments") && arrived("messages")).then_some(())
        })
        .await;
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        self.process.stop();
    }
}

/// The value of this name in the JSON that a line printed.
fn value(printed: &str, name: &str) -> String {
    let answer: Value = serde_json::from_str(printed).expect(printed);
    answer[name].as_str().expect(printed).to_owned()
}

#[tokio::test]
async fn each_printed_line_works_and_the_consent_url_ends_on_a_page_of_the_service() {
    let mut up = Up::start();
    let lines = up.lines();
    let (_, consent_url) = &lines[0];
    consent(&up, consent_url).await;
    let (mut token, mut container) = (String::new(), String::new());
    for (said, line) in &lines[1..] {
        let line = line.replace("TOKEN", &token).replace("CONTAINER", &container);
        if said.starts_with(WATCH) {
            up.watch(&line).await;
            continue;
        }
        let printed = up.paste(&line);
        match said.as_str() {
            "all accounts of an owner" => {
                // The demo's, and the one that the browser linked. The keeper soon sees both.
                eventually("both are subscribed", async || {
                    (up.paste(&line).matches("\"active\": true").count() == 2).then_some(())
                })
                .await;
            }
            said if said.starts_with("get its token") => token = value(&printed, "accessToken"),
            said if said.starts_with("give Instagram a picture") => {
                container = value(&printed, "id");
            }
            said if said.starts_with("have a comment") => {
                assert!(printed.starts_with(r#"{"status":200,"#), "{printed}");
            }
            said if said.starts_with("have the rest") => deletion_is_told(&up, &printed).await,
            _ => {}
        }
    }
    assert!(lines.iter().any(|(said, _)| said.starts_with(WATCH)), "{lines:?}");
    up.process.signal(Signal::SIGINT);
    assert!(up.process.ended().await.success());
}

/// A person opens the URL in a browser, chooses an account and presses Allow.
async fn consent(up: &Up, url: &str) {
    Window::visit(url, async |window| {
        window.click(&format!("input[name=account][value='{CREATOR}']")).await;
        window.click("button[value=allow]").await;
        // Only pages of the service have a mark.
        assert_eq!(window.text(".mark + h1").await, "Your Instagram account is linked");
        let arrived = window.url().await;
        assert!(arrived.as_str().starts_with(&format!("{}/oauth/callback?", up.callbacks)));
    })
    .await;
}

/// The URL that a person is given for a deletion leads to a page of the service.
async fn deletion_is_told(up: &Up, printed: &str) {
    assert!(printed.starts_with(r#"{"status":200,"#), "{printed}");
    let url = value(&value(printed, "body"), "url");
    assert!(url.starts_with(&format!("{}/data-deletion/", up.callbacks)), "{url}");
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let page = client.get(url).send().await.unwrap();
    assert_eq!(page.status(), 200);
    assert!(page.text().await.unwrap().contains("<h1>"));
}
