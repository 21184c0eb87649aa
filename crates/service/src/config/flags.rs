//! The flags: one for each setting, made from the table of settings.
//!
//! They are plain text to clap. Its own parsers and its support of variables would print secrets in the
//! help and in errors.

use std::collections::HashMap;

use clap::error::Error;
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

use super::setting::{ALL, Default, Setting};

/// What the command line sets: values by flag.
pub(crate) struct Flags(HashMap<String, String>);

impl Flags {
    /// The value of a flag; `None` where it is not given.
    pub(super) fn get(&self, flag: &str) -> Option<&str> {
        self.0.get(flag).map(String::as_str)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let flags = ALL.iter().flat_map(|setting| flags_of(setting));
        let given = flags.filter_map(|flag| {
            let value = matches.get_one::<String>(&flag)?.clone();
            Some((flag, value))
        });
        Ok(Self(given.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.0.extend(Self::from_arg_matches(matches)?.0);
        Ok(())
    }
}

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        command.args(ALL.iter().flat_map(|setting| arguments(setting)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

fn flags_of(setting: &Setting) -> impl Iterator<Item = String> {
    let file = setting.secret.then(|| setting.file_flag());
    [setting.flag()].into_iter().chain(file)
}

fn arguments(setting: &Setting) -> impl Iterator<Item = Arg> {
    let Setting { name, meaning, .. } = setting;
    let default = match setting.default {
        Default::Required => "required",
        Default::Unset(meaning) => meaning,
        Default::Value(value) => value,
    };
    let help = format!("{meaning} [variable: {name}] [default: {default}]");
    let value = argument(setting.flag(), "VALUE", help);
    let file = setting.secret.then(|| {
        let help = format!("A file that holds it instead [variable: {}]", setting.file_name());
        argument(setting.file_flag(), "PATH", help)
    });
    [value].into_iter().chain(file)
}

fn argument(flag: String, value_name: &'static str, help: String) -> Arg {
    let argument = Arg::new(flag.clone()).long(flag).value_name(value_name).help(help);
    argument.global(true).help_heading("Settings")
}
