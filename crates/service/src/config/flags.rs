//! The flags of a command: one for each setting that it reads.
//!
//! They are plain text to clap. Its own parsers and its support of variables would print secrets in the
//! help and in errors.

use std::collections::HashMap;
use std::marker::PhantomData;

use clap::error::Error;
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

use super::problem::{InvalidSettings, Problem};
use super::reader::{self, Asked, Reader, Variables};
use super::setting::{ALL, Default, Setting};
use super::{Config, LogConfig};

/// Values that the command line sets, by flag.
#[derive(std::default::Default)]
pub(super) struct FlagValues(HashMap<String, String>);

/// The settings of a command that needs `C`, as its command line sets them.
pub(crate) struct Flags<C> {
    values: FlagValues,
    config: PhantomData<fn() -> C>,
}

/// The settings of a command, read.
pub(crate) struct Settings<C> {
    /// Format and filter of the log.
    pub(crate) log: LogConfig,
    /// Settings that the command needs.
    pub(crate) config: C,
    /// Warnings about the settings, for the operator.
    pub(crate) warnings: Vec<Problem>,
}

impl FlagValues {
    /// The value of a flag; `None` where it is not given.
    pub(super) fn get(&self, flag: &str) -> Option<&str> {
        self.0.get(flag).map(String::as_str)
    }
}

impl<C: Config> Flags<C> {
    /// Reads all settings of the command.
    ///
    /// # Errors
    ///
    /// [`InvalidSettings`] names every setting that cannot be used.
    pub(crate) fn read(&self, variables: &Variables) -> Result<Settings<C>, InvalidSettings> {
        let mut reader = Reader::new(&self.values, variables);
        let (config, log) = (C::read(&mut reader), LogConfig::read(&mut reader));
        let ((config, log), warnings) = reader.finish(config.zip(log))?;
        Ok(Settings { log, config, warnings })
    }

    /// An error of the command, which tells of each setting where its value came from.
    pub(crate) fn located(&self, error: anyhow::Error, variables: &Variables) -> anyhow::Error {
        match error.downcast::<InvalidSettings>() {
            Ok(invalid) => self.located_settings(invalid, variables).into(),
            Err(error) => error,
        }
    }

    /// The same settings, each told with where its value came from.
    pub(crate) fn located_settings(
        &self,
        invalid: InvalidSettings,
        variables: &Variables,
    ) -> InvalidSettings {
        invalid.located(|setting| reader::origin(setting, &self.values, variables))
    }
}

impl<C: Config> FromArgMatches for Flags<C> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let flags = settings::<C>().into_iter().flat_map(|asked| flags_of(asked.setting));
        let given = flags.filter_map(|flag| {
            let value = matches.get_one::<String>(&flag)?.clone();
            Some((flag, value))
        });
        Ok(Self { values: FlagValues(given.collect()), config: PhantomData })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.values.0.extend(Self::from_arg_matches(matches)?.values.0);
        Ok(())
    }
}

impl<C: Config> Args for Flags<C> {
    fn augment_args(command: Command) -> Command {
        command.args(settings::<C>().into_iter().flat_map(arguments))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// The settings that a command reads, in the order of the table: found by reading them where none is given.
fn settings<C: Config>() -> Vec<Asked> {
    let (flags, variables) = (FlagValues::default(), Variables::new());
    let mut reader = Reader::new(&flags, &variables);
    C::read(&mut reader);
    LogConfig::read(&mut reader);
    let mut asked = reader.asked().to_vec();
    let position = |asked: &Asked| ALL.iter().position(|one| one.name == asked.setting.name);
    asked.sort_by_key(position);
    asked
}

fn flags_of(setting: &Setting) -> impl Iterator<Item = String> {
    let file = setting.secret.then(|| setting.file_flag());
    [setting.flag()].into_iter().chain(file)
}

fn arguments(Asked { setting, required }: Asked) -> impl Iterator<Item = Arg> {
    let Setting { name, value_name, meaning, example, span_limits, .. } = setting;
    let default = match setting.default {
        Default::Required if required => " [required]".to_owned(),
        Default::Required => String::new(),
        Default::Unset(default) | Default::Value(default) => format!(" [default: {default}]"),
    };
    let example = match setting.default {
        Default::Value(default) if default == *example => String::new(),
        _ => format!(" [example: {example}]"),
    };
    let limits = span_limits.map(|(min, max)| format!(", {min} to {max}")).unwrap_or_default();
    let help = format!("{meaning}{limits}\n[variable: {name}]{default}{example}");
    let value = argument(setting, setting.flag(), value_name, help);
    let file = setting.secret.then(|| {
        let help = format!("A file that holds it instead [variable: {}]", setting.file_name());
        argument(setting, setting.file_flag(), "PATH", help)
    });
    [value].into_iter().chain(file)
}

fn argument(setting: &Setting, flag: String, value_name: &'static str, help: String) -> Arg {
    let argument = Arg::new(flag.clone()).long(flag).value_name(value_name).help(help);
    argument.global(true).help_heading(setting.group).next_line_help(true)
}
