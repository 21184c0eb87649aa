//! Holds paths in documents to the tree, and names beside them to the files.

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

/// Names in code spans within brackets, as in "`path` (`NAME`, `OTHER`)".
fn names(entry: &str) -> Vec<&str> {
    let brackets = entry.split('(').skip(1).filter_map(|rest| rest.split(')').next());
    let spans = brackets.flat_map(|bracket| bracket.split('`').skip(1).step_by(2));
    let word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    spans.filter(|span| span.chars().all(word)).collect()
}

/// Entries of the section *Where to change what*: rows of its table, paragraphs and items of its lists.
fn entries(document: &str) -> Vec<&str> {
    let (_, section) = document.split_once("\n## Where to change what\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let blocks = section.split("\n\n");
    blocks
        .flat_map(|block| block.split_inclusive("\n|").flat_map(|row| row.split("\n- ")))
        .collect()
}

#[test]
fn paths_are_found_in_code_spans_only() {
    let text = "`crates/a.rs` (`A`), crates/b.rs, `b/c.rs` and `docs/D.md`";
    assert_eq!(paths(text), ["crates/a.rs", "docs/D.md"]);
}

#[test]
fn names_are_found_in_brackets_only() {
    let text = "`a.rs` (`A`, which `b` reads), `C` and (D) [e](#f) (`g!`)";
    assert_eq!(names(text), ["A", "b"]);
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

#[test]
fn every_name_beside_a_path_is_in_a_file_of_its_entry() {
    let workspace = Workspace::find().unwrap();
    let read = |path: &str| fs::read_to_string(workspace.root().join(path)).unwrap_or_default();
    let document = read("docs/ARCHITECTURE.md");
    let (mut found, mut missing) = (0, Vec::new());
    for entry in entries(&document) {
        let files: String = paths(entry).into_iter().map(read).collect();
        let (there, not): (Vec<_>, Vec<_>) =
            names(entry).into_iter().partition(|name| files.contains(name));
        found += there.len();
        missing.extend(not);
    }
    assert!(found > 20, "{found} names");
    assert!(missing.is_empty(), "no file of the entry has {missing:?}");
}
