//! Holds paths in documents to the tree.

use std::fs;
use std::path::PathBuf;

use crate::workspace::Workspace;

/// Folders in which paths of the tree begin.
const FOLDERS: [&str; 8] =
    ["crates/", "xtask/", "migrations/", "proto/", "docs/", "deploy/", "examples/", ".ci/"];

/// Paths that a document names in code spans, from the root of the tree.
fn paths(document: &str) -> Vec<&str> {
    let spans = document.split('`').skip(1).step_by(2);
    spans.filter(|span| FOLDERS.iter().any(|folder| span.starts_with(folder))).collect()
}

#[test]
fn paths_are_found_in_code_spans_only() {
    let text = "`crates/a.rs` (`A`), crates/b.rs, `b/c.rs` and `docs/D.md`";
    assert_eq!(paths(text), ["crates/a.rs", "docs/D.md"]);
}

#[test]
fn every_path_in_the_architecture_is_there() {
    let workspace = Workspace::find().unwrap();
    let document = fs::read_to_string(workspace.root().join("docs/ARCHITECTURE.md")).unwrap();
    let paths = paths(&document);
    assert!(paths.len() > 40, "{} paths", paths.len());
    let there = |path: &&&str| workspace.root().join(PathBuf::from(**path)).exists();
    let missing: Vec<_> = paths.iter().filter(|path| !there(path)).collect();
    assert!(missing.is_empty(), "docs/ARCHITECTURE.md names what is not there: {missing:?}");
}
