//! The README shows what a reader gets.

use std::process::Command;

use crate::support::{Stack, tool};

const README: &str = include_str!("../../../../README.md");

/// The example account of the README, by its user name.
const LINKED: &str = "harbour.bakery";

/// Its id there.
const LINKED_ID: &str = "01a20cd5-6efc-79c2-9ee9-1841ed238822";

/// A grpcurl line of the README, and the output below it.
struct Example {
    arguments: String,
    output: Vec<String>,
}

/// The examples that show an output.
fn examples() -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut shown = false;
    for line in README.lines() {
        if let Some(arguments) = line.strip_prefix("$ grpcurl ") {
            examples.push(Example { arguments: arguments.to_owned(), output: Vec::new() });
            shown = true;
        } else if line.starts_with("```") {
            shown = false;
        } else if shown && let Some(example) = examples.last_mut() {
            example.output.push(line.to_owned());
        }
    }
    examples
}

/// A line without what differs at every run: ids of ours, times, states, request ids.
fn lasting(line: &str) -> &str {
    let changing = ["accessToken", "accountId", "Time", "state", "authorizationUrl", "requestId"];
    match line.split_once("\": ") {
        Some((name, _)) if changing.iter().any(|changes| name.ends_with(changes)) => name,
        _ => line,
    }
}

#[tokio::test]
async fn every_grpcurl_line_of_the_readme_answers_as_shown() {
    let Stack { sandbox, service, folder: _folder } = &Stack::start().await;
    let account = service.linked(sandbox, "demo", LINKED).await;
    let examples = examples();
    assert_eq!(examples.len(), 6, "the README shows another number of grpcurl lines");
    for Example { arguments, output } in examples {
        let line = format!("\"$GRPCURL\" {arguments}").replace("127.0.0.1:50051", &service.address);
        let line = line.replace(LINKED_ID, &account.account_id);
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(&line).env("GRPCURL", tool("GRPCURL"));
        let printed = shell.output().unwrap();
        let printed = [printed.stdout, printed.stderr].concat();
        let printed = String::from_utf8(printed).unwrap();
        if output.is_empty() {
            assert!(printed.contains("rpc BeginLink"), "{line}\n{printed}");
            continue;
        }
        let printed: Vec<_> = printed.lines().map(lasting).collect();
        let shown: Vec<_> = output.iter().map(|line| lasting(line)).collect();
        assert_eq!(printed, shown, "{line}");
    }
}
