//! Where a value comes from: the flag, else the variable, each by itself or as a file, else the default.

use std::ffi::OsString;
use std::fmt::Display;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use ig_adapters::persistence::InvalidDatabaseUrl;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};

use super::flags::Flags;
use super::setting::{self, Default, Setting};

/// The most that a file with a value may hold, in bytes; ours.
const LARGEST_FILE: u64 = 64 * 1024;

/// Reads settings, and keeps what is wrong with them until all are read.
///
/// An empty value counts as none, but where the setting says otherwise.
pub(crate) struct Reader<'a> {
    flags: &'a Flags,
    variable: &'a dyn Fn(&str) -> Option<OsString>,
    problems: Vec<String>,
}

/// Settings that cannot be used: each by its variable, with what is wrong and an example, never its value.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub(crate) struct InvalidSettings(Vec<String>);

impl InvalidSettings {
    /// No keys are given, and beside this database there is no place for a file with them.
    pub(crate) fn no_keys() -> Self {
        Self::of(&setting::TOKEN_KEYS, "is required with PostgreSQL")
    }

    /// One setting cannot be used. `problem` continues the variable's name.
    pub(super) fn of(setting: &Setting, problem: impl Display) -> Self {
        Self(vec![describe(setting, &problem)])
    }

    /// A file is to be written, and none is named.
    pub(crate) fn no_callers_file() -> Self {
        Self(vec![describe(&setting::CALLERS_FILE, &"is required with --write")])
    }

    /// The file of callers is there to be read, and cannot be used.
    pub(crate) fn callers_file(path: &Path, error: &dyn Display) -> Self {
        Self(vec![format!("CALLERS_FILE ({}) cannot be used: {error}", path.display())])
    }
}

impl From<InvalidDatabaseUrl> for InvalidSettings {
    fn from(error: InvalidDatabaseUrl) -> Self {
        Self(vec![error.to_string()])
    }
}

fn describe(setting: &Setting, problem: &dyn Display) -> String {
    let Setting { name, example, .. } = setting;
    format!("{name} {problem}, for example {name}={example}")
}

impl<'a> Reader<'a> {
    /// Reads from the command line and the environment.
    pub(crate) fn new(flags: &'a Flags, variable: &'a dyn Fn(&str) -> Option<OsString>) -> Self {
        Self { flags, variable, problems: Vec::new() }
    }

    /// The parsed value. `None` when it is missing or wrong, which [`finish`](Self::finish) tells.
    pub(super) fn value<T, E: Display>(
        &mut self,
        setting: &Setting,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let value = self.optional(setting, parse)?;
        if value.is_none() {
            self.refuse(setting, "is required");
        }
        value
    }

    /// The parsed value, `Some(None)` where nothing is given and nothing need be. `None` when it is wrong,
    /// which [`finish`](Self::finish) tells.
    #[expect(clippy::option_option, reason = "the outer says whether it is right")]
    pub(super) fn optional<T, E: Display>(
        &mut self,
        setting: &Setting,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<Option<T>> {
        let default = match setting.default {
            Default::Value(value) => Some(SecretString::from(value)),
            Default::Required | Default::Unset(_) => None,
        };
        let parsed = self.given(setting).and_then(|given| {
            let value = given.or(default);
            let parsed = value.map(|value| parse(value.expose_secret()));
            parsed.transpose().map_err(|problem| problem.to_string())
        });
        parsed.map_err(|problem| self.refuse(setting, problem)).ok()
    }

    /// Notes that a setting cannot be used. `problem` continues the variable's name.
    pub(super) fn refuse(&mut self, setting: &Setting, problem: impl Display) {
        self.problems.push(describe(setting, &problem));
    }

    /// What was read, if nothing was refused.
    ///
    /// # Errors
    ///
    /// [`InvalidSettings`] with everything that was refused.
    pub(crate) fn finish<T>(self, read: Option<T>) -> Result<T, InvalidSettings> {
        match read {
            Some(read) if self.problems.is_empty() => Ok(read),
            _ => Err(InvalidSettings(self.problems)),
        }
    }

    fn given(&self, setting: &Setting) -> Result<Option<SecretString>, String> {
        let counts = |value: &OsString| setting.may_be_empty || !value.is_empty();
        let flag = |flag: &str| self.flags.get(flag).map(OsString::from).filter(counts);
        let variable = |name: &str| (self.variable)(name).filter(counts);
        let file = setting.secret.then(|| setting.file_flag());
        if let Some(given) = one_of(&setting.flag(), file.as_deref(), &flag)? {
            return Ok(Some(given));
        }
        let file = setting.secret.then(|| setting.file_name());
        one_of(setting.name, file.as_deref(), &variable)
    }
}

/// The value by its own name or by the name of its file, never both.
fn one_of(
    name: &str,
    file_name: Option<&str>,
    get: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Option<SecretString>, String> {
    let file = file_name.and_then(|name| Some((name, get(name)?)));
    match (get(name), file) {
        (None, None) => Ok(None),
        (Some(value), None) => {
            let value = value.into_string().map_err(|_| "is not UTF-8")?;
            Ok(Some(value.into()))
        }
        (None, Some((name, path))) => {
            read(Path::new(&path)).map(Some).map_err(|problem| format!("({name}) {problem}"))
        }
        (Some(_), Some((name, _))) => Err(format!("and {name} are given both: give one")),
    }
}

/// What a file holds, without the line break at its end.
fn read(path: &Path) -> Result<SecretString, String> {
    let mut text = Zeroizing::new(String::new());
    let read =
        File::open(path).and_then(|file| file.take(LARGEST_FILE + 1).read_to_string(&mut text));
    let refuse = |why: &str| format!("is read from {}, which is {why}", path.display());
    let length = read.map_err(|error| refuse(&format!("not readable ({error})")))?;
    if length as u64 > LARGEST_FILE {
        return Err(refuse(&format!("larger than {LARGEST_FILE} bytes")));
    }
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(refuse("empty")),
        text => Ok(text.into()),
    }
}
