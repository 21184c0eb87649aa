//! The README and the pages in docs/ show what a reader gets.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ig_proto::v1::get_request::Key;
use ig_proto::v1::watch_request::From;
use ig_proto::v1::{BeginLinkRequest, EventKind, WatchRequest, WatchStart};

use crate::support::process::{Process, address_in};
use crate::support::sandbox::{BAKERY, Decision};
use crate::support::{Sandbox, Service, Stack, arrival, eventually, tool};

/// Settings of `cargo xtask up` that show in answers.
const SETTINGS: [(&str, &str); 4] = [
    ("KEEPER", "true"),
    ("HTTP_LISTEN", "127.0.0.1:0"),
    ("PUBLIC_URL", "http://127.0.0.1:8080"),
    ("WEBHOOK_FIELDS", "comments,messages"),
];

/// Permissions that its demo asks for.
const SCOPES: [&str; 3] = [
    "instagram_business_content_publish",
    "instagram_business_manage_comments",
    "instagram_business_manage_messages",
];

/// Ends of the names in answers whose values differ at every run.
const CHANGING: [&str; 8] = [
    "accessToken",
    "accountId",
    "eventId",
    "webhookId",
    "Time",
    "state",
    "authorizationUrl",
    "requestId",
];

/// Last line of the output of a stream, whose rest is not shown.
const CUT: &str = "…";

/// The README and every page in docs/, by path.
fn pages() -> Vec<(PathBuf, String)> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let pages = fs::read_dir(workspace.join("docs")).unwrap().map(|page| page.unwrap().path());
    let pages = pages.filter(|page| page.extension().is_some_and(|extension| extension == "md"));
    let mut pages: Vec<_> = pages.chain([workspace.join("README.md")]).collect();
    pages.sort_unstable();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        (path, text)
    };
    pages.into_iter().map(read).collect()
}

/// A call of a document, by a command, and the output below it. None is shown of a long one.
struct Example {
    command: String,
    output: Vec<String>,
    /// Whether it is a stream, of which only the first lines are shown.
    is_cut: bool,
}

fn is_call(command: &str) -> bool {
    ["grpcurl ", "curl "].iter().any(|tool| command.starts_with(tool))
}

/// The calls in the documents, in the order in which a reader makes them.
fn examples() -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut shown = false;
    let pages = pages();
    for line in pages.iter().flat_map(|(_, page)| page.lines()) {
        let command = line.strip_prefix("$ ");
        if let Some(command) = command.filter(|command| is_call(command)) {
            let command = command.to_owned();
            examples.push(Example { command, output: Vec::new(), is_cut: false });
            shown = true;
        } else if line.starts_with("```") {
            shown = false;
        } else if shown && let Some(example) = examples.last_mut() {
            example.is_cut = line == CUT;
            if !example.is_cut {
                example.output.push(line.to_owned());
            }
        }
    }
    examples
}

/// Values of a run by those that the documents show in their place, so that a call has what former ones answered.
struct Values(HashMap<String, String>);

impl Values {
    /// A command of the documents with the values of this run.
    fn put_into(&self, command: &str) -> String {
        let put = |command: String, (shown, ours): (&String, &String)| command.replace(shown, ours);
        self.0.iter().fold(command.to_owned(), put)
    }

    /// Learns the words that differ between two lines; only values may.
    fn learn(&mut self, shown: &str, printed: &str) {
        let words = |line: &str| line.split(['"', '?', '&', '=', '#']).map(str::to_owned).collect();
        let (shown, printed): (Vec<String>, Vec<String>) = (words(shown), words(printed));
        assert_eq!(shown.len(), printed.len(), "{shown:?}\n{printed:?}");
        for (shown, printed) in shown.into_iter().zip(printed).filter(|(one, other)| one != other) {
            let value = shown.contains(|letter: char| letter.is_ascii_digit() || letter == '…');
            assert!(value, "{shown} is printed as {printed}");
            self.0.insert(shown, printed);
        }
    }
}

/// Whether a line has what differs at every run: ids of ours, times, states, codes, tokens.
fn changes(line: &str) -> bool {
    let name = line.split_once("\": ").map_or("", |(name, _)| name);
    let whole = ["location: ", "{\"id\":"].iter().any(|begin| line.starts_with(begin));
    whole || CHANGING.iter().any(|end| name.ends_with(end))
}

/// A shell that runs this script.
fn shell(script: String) -> Command {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(script);
    shell.env("GRPCURL", tool("GRPCURL")).env("NO_PROXY", "127.0.0.1");
    shell
}

/// Output of a command in a shell, errors included.
fn print(command: &str) -> String {
    let script = format!("grpcurl() {{ \"$GRPCURL\" \"$@\"; }}; {command}");
    let printed = shell(script).output().unwrap();
    String::from_utf8([printed.stdout, printed.stderr].concat()).unwrap()
}

/// The same of a grpcurl that does not end, once it has more than so many lines.
async fn print_begin(command: &str, lines: usize) -> String {
    let process = Process::start(shell(command.replacen("grpcurl", "exec \"$GRPCURL\"", 1)));
    eventually(command, async || {
        let printed = process.printed();
        (printed.lines().count() > lines).then_some(printed)
    })
    .await
}

/// Links the example account of the README as `cargo xtask up` does, and waits until it is subscribed.
async fn link_demo(service: &Service, sandbox: &Sandbox) {
    let (owner, scopes) = ("demo".to_owned(), SCOPES.map(str::to_owned).to_vec());
    let begun = service.begin_as(BeginLinkRequest { owner, scopes, ..Default::default() }).await;
    let arrived = sandbox.decide(&begun.authorization_url, BAKERY, Decision::Allow).await;
    service.link(arrival(arrived, "demo")).await.unwrap();
    eventually("the subscription is shown", async || {
        let found = service.get(Key::Username(BAKERY.to_owned())).await.unwrap();
        found.webhook_subscription.filter(|subscription| subscription.active)
    })
    .await;
}

/// Waits until the service knows of an event of this kind: it looks once a second while nobody watches, and a reader
/// comes later.
async fn is_told(service: &Service, kind: EventKind) {
    let (from, kinds) = (Some(From::Start(WatchStart::Earliest.into())), vec![kind.into()]);
    let request = WatchRequest { from, kinds, ..WatchRequest::default() };
    let mut stream = service.client.clone().watch(request).await.unwrap().into_inner();
    while stream.message().await.unwrap().unwrap().events.is_empty() {}
}

#[tokio::test]
async fn every_call_of_the_documents_answers_as_shown() {
    let Stack { sandbox, service, folder: _folder } = &Stack::start_with(&SETTINGS).await;
    link_demo(service, sandbox).await;
    is_told(service, EventKind::Changed).await;
    let at = sandbox.url.trim_start_matches("http://");
    let callbacks = service.process.line_with("calls back are answered");
    let callbacks = address_in(&callbacks).expect("the line names the address").to_string();
    let addresses = [
        ("127.0.0.1:50051", service.address.clone()),
        ("127.0.0.1:8080", callbacks),
        ("127.0.0.1:8090", at.to_owned()),
        ("127.0.0.1%3A8090", at.replace(':', "%3A")),
    ];
    let mut values = Values(addresses.map(|(shown, ours)| (shown.to_owned(), ours)).into());
    let examples = examples();
    assert_eq!(examples.len(), 13, "the documents show another number of calls");
    for Example { command, output, is_cut } in examples {
        let command = values.put_into(&command);
        let printed =
            if is_cut { print_begin(&command, output.len()).await } else { print(&command) };
        if output.is_empty() {
            assert!(printed.contains("rpc BeginLink"), "{command}\n{printed}");
            continue;
        }
        assert!(is_cut || printed.lines().count() == output.len(), "{command}\n{printed}");
        if command.ends_with("/sandbox/webhooks") {
            is_told(service, EventKind::Webhook).await;
        }
        for (printed, shown) in printed.lines().zip(&output) {
            if let Some(begin) = shown.strip_suffix('…') {
                assert!(printed.starts_with(begin), "{command}\n{printed}");
            } else if changes(shown) {
                values.learn(shown, printed);
            } else {
                assert_eq!(printed, shown, "{command}");
            }
        }
    }
}

/// The anchors of a page: its headings as GitHub names them.
fn anchors(page: &str) -> Vec<String> {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    let kept = |letter: &char| letter.is_alphanumeric() || " -_".contains(*letter);
    let anchor = |heading: &str| {
        let text = heading.trim_start_matches('#').trim().to_lowercase();
        text.chars().filter(kept).collect::<String>().replace(' ', "-")
    };
    headings.map(anchor).collect()
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    for (path, page) in pages() {
        let links = page.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.starts_with("https://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let file = path.parent().unwrap().join(file);
            let target = if link.starts_with('#') { &path } else { &file };
            assert!(target.exists(), "{}: {link}", path.display());
            if !anchor.is_empty() {
                let anchors = anchors(&fs::read_to_string(target).unwrap());
                assert!(anchors.iter().any(|known| known == anchor), "{}: {link}", path.display());
            }
        }
    }
}
