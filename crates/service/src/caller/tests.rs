use std::fs;

use clap::Parser;
use rstest::rstest;

use super::*;
use crate::output::Closed;

#[derive(Parser)]
struct CommandLine {
    #[command(subcommand)]
    command: CallerCommand,
}

/// Outputs of a command: to be kept, and to be read.
fn ran(arguments: &[&str], file: Option<&Path>) -> anyhow::Result<(String, String)> {
    let arguments = ["caller"].iter().chain(arguments);
    let CommandLine { command } = CommandLine::try_parse_from(arguments)?;
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut outputs = Outputs { out: &mut out, err: &mut err };
    run(command, file.map(Path::to_owned), &mut outputs)?;
    Ok((String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap()))
}

/// Standard output of `caller list | head`. A token that nobody can have seen is another matter.
#[test]
fn a_reader_that_has_seen_enough_of_the_list_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("callers.toml");
    ran(&[PUBLISHER.as_slice(), &["--write"]].concat(), Some(&file)).unwrap();
    let run = |arguments: &[&str]| {
        let CommandLine { command } = CommandLine::try_parse_from(arguments).unwrap();
        let mut outputs = Outputs { out: &mut Closed, err: &mut Vec::new() };
        run(command, Some(file.clone()), &mut outputs)
    };
    run(&["caller", "list"]).unwrap();
    run(&["caller", "token", "publisher", "--write"]).unwrap_err();
}

fn hash(token: &str) -> String {
    token.parse::<BearerToken>().unwrap().hash().to_hex()
}

const PUBLISHER: [&str; 8] =
    ["add", "publisher", "--role", "read", "--role", "token", "--owner", "shop/*"];

#[test]
fn a_token_is_printed_once_with_its_stanza() {
    let more = ["--expires", "2027-01-01T00:00:00Z", "--max-in-flight", "7"];
    let (out, err) = ran(&[PUBLISHER.as_slice(), &more].concat(), None).unwrap();
    let (token, stanza) = out.split_once('\n').unwrap();
    let expected = format!(
        "[[caller]]\nname = \"publisher\"\ntoken_sha256 = [\"{}\"]\nroles = [\"read\", \"token\"]\n\
         owners = [\"shop/*\"]\nexpire_time = 2027-01-01T00:00:00Z\nmax_in_flight = 7\n",
        hash(token)
    );
    assert_eq!(stanza, expected);
    assert!(!err.contains(token), "{err}");
}

#[test]
fn what_is_written_is_the_stanza_and_never_the_token() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("callers.toml");
    let (out, _) = ran(&[PUBLISHER.as_slice(), &["--write"]].concat(), Some(&file)).unwrap();
    let first = out.trim_end();
    let (out, _) = ran(&["token", "publisher", "--write"], Some(&file)).unwrap();
    let second = out.trim_end();
    let text = fs::read_to_string(&file).unwrap();
    for token in [first, second] {
        assert!(text.contains(&hash(token)) && !text.contains(token), "{text}");
    }
    let again = ran(&[PUBLISHER.as_slice(), &["--write"]].concat(), Some(&file)).unwrap_err();
    let expected = "CALLERS_FILE has a caller publisher already; `caller token publisher --write` gives it one more token";
    assert_eq!(again.to_string(), expected);
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
}

#[test]
fn a_further_token_is_printed_with_its_hash() {
    let (out, _) = ran(&["token", "publisher"], None).unwrap();
    let (token, printed) = out.trim_end().split_once('\n').unwrap();
    assert_eq!(printed, hash(token));
}

#[rstest]
#[case::no_role(&["add", "a", "--owner", "*"], "--role")]
#[case::no_owner(&["add", "a", "--role", "read"], "--owner")]
#[case::a_wrong_role(&["add", "a", "--role", "publish", "--owner", "*"], "caller a: roles, item 1: a role is one of read, link, token, webhook, admin")]
#[case::a_wrong_name(&["add", "a b", "--role", "read", "--owner", "*"], "name: a caller's name is")]
#[case::a_wrong_time(&["add", "a", "--role", "read", "--owner", "*", "--expires", "tomorrow"], "--expires is no time")]
#[case::a_time_without_offset(&["add", "a", "--role", "read", "--owner", "*", "--expires", "2027-01-01"], "expire_time is no moment")]
#[case::no_calls(&["add", "a", "--role", "read", "--owner", "*", "--max-in-flight", "0"], "max_in_flight is to be 1 or more")]
#[case::nowhere_to_write(&["add", "a", "--role", "read", "--owner", "*", "--write"], "CALLERS_FILE is required with --write")]
fn what_cannot_be_added_is_told(#[case] arguments: &[&str], #[case] expected: &str) {
    let error = format!("{:#}", ran(arguments, None).unwrap_err());
    assert!(error.contains(expected), "{error}");
}

#[test]
fn nobody_gets_a_token_whom_the_file_does_not_know() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("callers.toml");
    fs::write(&file, "").unwrap();
    let error = format!("{:#}", ran(&["token", "a", "--write"], Some(&file)).unwrap_err());
    assert!(
        error.ends_with("was not changed: there is no caller of this name that has a token"),
        "{error}"
    );
}

const FILE: &str = r#"# Ours.
[[caller]]
name = "publisher"
token_sha256 = [
  "0000000000000000000000000000000000000000000000000000000000000001",
  "0000000000000000000000000000000000000000000000000000000000000002",
]
roles = ["read", "token"]
owners = ["shop/*", ""]
expire_time = 2027-01-01T00:00:00Z
max_in_flight = 256

[[caller]]
name = "spiffe://shop/admin"
roles = ["admin"]
owners = ["*"]
"#;

#[test]
fn a_list_shows_everything_but_hashes() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, FILE).unwrap();
    let (out, _) = ran(&["list"], Some(file.path())).unwrap();
    let rows: Vec<Vec<_>> = out.lines().map(|line| line.split_whitespace().collect()).collect();
    let expected = [
        vec!["NAME", "ROLES", "OWNERS", "TOKENS", "EXPIRES", "MAX_IN_FLIGHT"],
        vec!["publisher", "read,token", "shop/*,-", "2", "2027-01-01T00:00:00Z", "256"],
        vec!["spiffe://shop/admin", "admin", "*", "0", "-", "-"],
    ];
    assert_eq!(rows, expected);
    assert!(!out.contains("0000"), "{out}");
}

#[test]
fn a_caller_that_is_removed_is_gone_from_the_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, FILE).unwrap();
    let path = file.path();
    let (out, err) = ran(&["remove", "publisher"], Some(path)).unwrap();
    assert!(out.is_empty() && err.starts_with("publisher is no longer in /"), "{err}");
    let admin = FILE.split_once("256\n\n").unwrap().1;
    assert_eq!(fs::read_to_string(path).unwrap(), format!("# Ours.\n{admin}"));
    let again = format!("{:#}", ran(&["remove", "publisher"], Some(path)).unwrap_err());
    assert!(again.ends_with("was not changed: there is no caller of this name"), "{again}");
}

#[rstest]
#[case::list(&["list"])]
#[case::remove(&["remove", "a"])]
fn a_file_that_is_not_named_or_not_right_is_a_wrong_setting(#[case] arguments: &[&str]) {
    let unnamed = ran(arguments, None).unwrap_err();
    assert!(unnamed.is::<InvalidSettings>(), "{unnamed}");
    assert!(unnamed.to_string().starts_with("CALLERS_FILE is required"), "{unnamed}");
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, "[[caller]]\nname = ").unwrap();
    let broken = format!("{:#}", ran(arguments, Some(file.path())).unwrap_err());
    assert!(broken.starts_with("CALLERS_FILE (/") && broken.contains("line 2"), "{broken}");
}
