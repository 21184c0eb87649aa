//! Holds paths in documents to the tree, and names beside them to the files.

use std::fs;
use std::path::{Path, PathBuf};

use crate::workspace::Workspace;

/// Folders in which paths of the tree begin.
const FOLDERS: [&str; 9] = [
    "crates/",
    "xtask/",
    "migrations/",
    "proto/",
    "docs/",
    "deploy/",
    "examples/",
    ".ci/",
    "fuzz/",
];

/// Texts in code spans.
fn code_spans(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Paths that a document names in code spans, from the root of the tree: those in a known folder, and pages and
/// manifests in the root itself.
fn paths(document: &str) -> Vec<&str> {
    let in_root = |span: &str| {
        let ends = [".md", ".toml"].iter().any(|end| span.ends_with(end));
        ends && !span.contains('/')
    };
    let in_folder = |span: &str| FOLDERS.iter().any(|folder| span.starts_with(folder));
    code_spans(document).filter(|span| in_folder(span) || in_root(span)).collect()
}

fn is_of_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

/// Names in brackets directly behind a code file, as in "`path.rs` (`NAME`, `OTHER`)", each with its file.
fn names(entry: &str) -> Vec<(&str, &str)> {
    let pieces: Vec<_> = entry.split("` (").collect();
    let brackets = pieces.windows(2).map(|pair| {
        let file = pair[0].rsplit('`').next().unwrap_or_default();
        (file, pair[1].split(')').next().unwrap_or_default())
    });
    let of_code = brackets.filter(|(file, _)| {
        let extension = Path::new(file).extension();
        extension.is_some_and(|extension| extension == "rs" || extension == "proto")
    });
    let named =
        of_code.flat_map(|(file, bracket)| code_spans(bracket).map(move |name| (file, name)));
    named.filter(|(_, name)| name.chars().all(is_of_word)).collect()
}

/// Whether a file has this name as a whole word.
fn has(file: &str, name: &str) -> bool {
    file.split(|letter| !is_of_word(letter)).any(|word| word == name)
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
    let text = "`crates/a.rs` (`A`), crates/b.rs, `b/c.rs`, `d.rs`, `E.md` and `docs/D.md`";
    assert_eq!(paths(text), ["crates/a.rs", "E.md", "docs/D.md"]);
}

#[test]
fn names_are_found_in_brackets_behind_code_files_only() {
    let text =
        "`a.rs` (`A`, which `b` reads), `C` and (`D`) [e](#f), `g.md` (`G`), `h.proto` (`H`, `i!`)";
    assert_eq!(names(text), [("a.rs", "A"), ("a.rs", "b"), ("h.proto", "H")]);
}

#[test]
fn names_are_whole_words() {
    assert!(has("fn sweep(a: u8)", "sweep") && !has("fn sweep_all(resweep: u8)", "sweep"));
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
fn every_name_behind_a_path_is_in_that_file() {
    let workspace = Workspace::find().unwrap();
    let read = |path: &str| fs::read_to_string(workspace.root().join(path)).unwrap_or_default();
    let document = read("docs/ARCHITECTURE.md");
    let (mut found, mut missing) = (0, Vec::new());
    for entry in entries(&document) {
        let entry = entry.split_whitespace().collect::<Vec<_>>().join(" ");
        for (file, name) in names(&entry) {
            found += 1;
            if !has(&read(file), name) {
                missing.push(format!("{name} in {file}"));
            }
        }
    }
    assert!(found > 30, "{found} names");
    assert!(missing.is_empty(), "docs/ARCHITECTURE.md names what is not there: {missing:#?}");
}
