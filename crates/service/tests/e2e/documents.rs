//! The README and the pages in docs/ show what a reader gets.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Stack, tool};

/// The example account of the documents, by its user name.
const LINKED: &str = "harbour.bakery";

/// Its id there.
const LINKED_ID: &str = "01a20cd5-6efc-79c2-9ee9-1841ed238822";

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

/// A grpcurl line of a document, and the output below it.
struct Example {
    arguments: String,
    output: Vec<String>,
}

/// The examples that show an output.
fn examples() -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut shown = false;
    let pages = pages();
    for line in pages.iter().flat_map(|(_, page)| page.lines()) {
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
async fn every_grpcurl_line_of_the_documents_answers_as_shown() {
    let Stack { sandbox, service, folder: _folder } = &Stack::start().await;
    let account = service.linked(sandbox, "demo", LINKED).await;
    let examples = examples();
    assert_eq!(examples.len(), 6, "the documents show another number of grpcurl lines");
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
