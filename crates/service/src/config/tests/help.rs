//! The settings in the help and in docs/SETTINGS.md.

use std::collections::BTreeSet;

use clap::{Command, CommandFactory as _, Parser as _};
use ig_domain::Role;

use super::super::flags::FlagValues;
use super::*;
use crate::command_line::CommandLine;

const PAGE: &str = include_str!("../../../../../docs/SETTINGS.md");

/// A command that does something, by its words.
type Path = Vec<String>;

/// Every command that does something.
fn commands() -> Vec<Path> {
    fn collect(command: &Command, path: &Path, found: &mut Vec<Path>) {
        let below = command.get_subcommands().filter(|below| below.get_name() != "help");
        let below: Vec<_> = below.collect();
        if below.is_empty() || !command.is_subcommand_required_set() {
            found.push(path.clone());
        }
        for below in below {
            collect(below, &[&path[..], &[below.get_name().to_owned()]].concat(), found);
        }
    }
    let mut found = Vec::new();
    collect(&CommandLine::command(), &Path::new(), &mut found);
    found
}

/// The help of a command, as it is printed.
fn help(path: &[String]) -> String {
    let words = path.iter().map(String::as_str);
    let words = ["instagram-accounts"].into_iter().chain(words).chain(["--help"]);
    CommandLine::try_parse_from(words).err().unwrap().to_string()
}

/// The help on one line, without the breaks that its width makes.
fn on_one_line(help: &str) -> String {
    help.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The variables that a help shows.
fn shown(help: &str) -> BTreeSet<String> {
    let help = on_one_line(help);
    let tags = help.split("[variable: ").skip(1);
    tags.map(|tag| tag.split(']').next().unwrap().to_owned()).collect()
}

/// An environment that has everything.
fn examples() -> Variables {
    let example = |setting: &&Setting| match setting.name {
        "TOKEN_KEYS" => (setting.name, KEY),
        name => (name, setting.example),
    };
    let examples: Vec<_> = setting::ALL.iter().map(example).collect();
    environment(&[&examples, &SANDBOX[..]].concat())
}

/// The variables that are read for `C`.
fn read<C: Config>() -> BTreeSet<String> {
    let (flags, variables) = (FlagValues::default(), examples());
    let mut reader = Reader::new(&flags, &variables);
    assert!(C::read(&mut reader).is_some() && LogConfig::read(&mut reader).is_some());
    let asked: Vec<_> = reader.asked().iter().map(|asked| asked.setting).collect();
    assert!(reader.finish(Some(())).is_ok(), "an example of the help is refused");
    let files = asked.iter().filter(|setting| setting.secret).map(|setting| setting.file_name());
    asked.iter().map(|setting| setting.name.to_owned()).chain(files).collect()
}

#[test]
fn the_help_of_a_command_shows_the_settings_that_it_reads_and_no_others() {
    for path in commands() {
        let words = path.join(" ");
        let expected = match words.as_str() {
            "serve" | "doctor" => read::<ServeConfig>(),
            "migrate" => read::<MigrateConfig>(),
            "audit" => read::<AuditConfig>(),
            "status" => read::<StatusConfig>(),
            "consumers" | "consumers remove" => read::<ConsumersConfig>(),
            "import" => read::<ImportConfig>(),
            "keys generate" => read::<NoConfig>(),
            "keys status" | "keys rotate" => read::<TokenKeysConfig>(),
            "after-restore" => read::<AfterRestoreConfig>(),
            "healthcheck" => read::<HealthcheckConfig>(),
            "caller add" | "caller token" | "caller list" | "caller remove" => {
                read::<CallerConfig>()
            }
            _ => panic!("what does {words} read?"),
        };
        assert_eq!(shown(&help(&path)), expected, "{words}");
    }
}

#[test]
fn every_command_says_how_it_ends() {
    for path in commands() {
        let help = help(&path);
        for line in ["Exit codes:", "  0  ", "  1  ", "  2  a flag"] {
            assert!(help.contains(line), "{path:?} lacks {line:?}:\n{help}");
        }
    }
}

#[test]
fn the_help_of_serve_shows_all_settings_in_groups_with_type_default_and_example() {
    let help = help(&["serve".to_owned()]);
    let words = on_one_line(&help);
    for setting in setting::ALL {
        let Setting { name, value_name, default, example, group, .. } = setting;
        let default = match default {
            setting::Default::Required => "required".to_owned(),
            setting::Default::Unset(default) => format!("default: {default}] [example: {example}"),
            setting::Default::Value(default) => format!("default: {default}"),
        };
        assert!(words.contains(&format!("[variable: {name}] [{default}]")), "{name}: {words}");
        assert!(help.contains(&format!("--{} <{value_name}>", setting.flag())), "{name}");
        assert!(help.contains(&format!("\n{group}:\n")), "{group}");
        assert_eq!(words.contains(&format!("[variable: {name}_FILE]")), setting.secret, "{name}");
    }
}

#[test]
fn an_app_id_is_not_required_where_it_only_narrows() {
    let help = on_one_line(&help(&["audit".to_owned()]));
    assert!(help.contains("[variable: INSTAGRAM_APP_ID] [example:"), "{help}");
}

#[test]
fn the_help_of_a_new_caller_names_every_role() {
    let help = on_one_line(&help(&["caller".to_owned(), "add".to_owned()]));
    let (_, roles) = help.split_once("A role of it: ").unwrap();
    let (roles, _) = roles.split_once(';').unwrap();
    let words: BTreeSet<_> = roles.split(|letter: char| !letter.is_ascii_lowercase()).collect();
    let missing = Role::ALL.iter().find(|role| !words.contains(role.as_str()));
    assert_eq!(missing, None, "{roles}");
}

/// The rows of the page's table of settings: variables and defaults.
fn rows() -> Vec<(Vec<&'static str>, &'static str)> {
    fn quoted(cell: &'static str) -> Vec<&'static str> {
        cell.split('`').skip(1).step_by(2).collect()
    }
    let lines = PAGE.lines().take_while(|line| !line.starts_with("## "));
    let rows = lines.filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let mut cells = row.split('|').skip(1);
        (quoted(cells.next().unwrap()), cells.next().unwrap().trim())
    })
    .collect()
}

#[test]
fn the_page_has_every_setting_with_its_default() {
    let rows = rows();
    let mut named: Vec<_> = rows.iter().flat_map(|(names, _)| names).copied().collect();
    let mut known: Vec<_> = setting::ALL.iter().map(|setting| setting.name).collect();
    named.sort_unstable();
    known.sort_unstable();
    assert_eq!(named, known);
    for (names, defaults) in rows {
        let value = |name: &str| {
            let setting = setting::ALL.iter().find(|setting| setting.name == name).unwrap();
            match setting.default {
                setting::Default::Value(value) => Some(format!("`{value}`")),
                setting::Default::Required | setting::Default::Unset(_) => None,
            }
        };
        let values: Option<Vec<_>> = names.iter().map(|name| value(name)).collect();
        if let Some(values) = values
            && defaults != "Instagram's own"
        {
            assert_eq!(defaults, values.join(", "), "{names:?}");
        }
    }
}
