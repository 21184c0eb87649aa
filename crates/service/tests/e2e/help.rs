//! `--help` in a wide terminal.

use std::process::Command;

/// Maximum width of a line, in columns.
const MAX_WIDTH: usize = 100;

/// Output of the program for `--help` behind these words, where the terminal is wider than any line may be.
fn help(words: &[String]) -> String {
    let mut program = Command::new(env!("CARGO_BIN_EXE_instagram-accounts"));
    program.env_clear().env("COLUMNS", (3 * MAX_WIDTH).to_string());
    let help = program.args(words).arg("--help").output().unwrap();
    String::from_utf8(help.stdout).unwrap()
}

/// The commands that a help lists.
fn commands(help: &str) -> impl Iterator<Item = &str> {
    let (_, listed) = help.split_once("\nCommands:\n").unwrap_or_default();
    let lines = listed.lines().take_while(|line| !line.is_empty());
    let names = lines.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    names.filter(|name| !["", "help"].contains(name))
}

#[test]
fn no_line_of_any_help_is_wider_than_a_hundred_columns() {
    let (mut seen, mut waiting) = (Vec::new(), vec![Vec::new()]);
    while let Some(words) = waiting.pop() {
        let help = help(&words);
        let wide: Vec<_> = help.lines().filter(|line| line.chars().count() > MAX_WIDTH).collect();
        assert!(wide.is_empty(), "{words:?}: {wide:#?}");
        waiting.extend(commands(&help).map(|name| [&words[..], &[name.to_owned()]].concat()));
        seen.push(words.join(" "));
    }
    for known in ["", "serve", "caller", "caller remove", "healthcheck"] {
        assert!(seen.iter().any(|words| words == known), "{known:?} is not among {seen:?}");
    }
}
