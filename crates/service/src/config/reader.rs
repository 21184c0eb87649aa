//! Sources of a value: the flag, else the variable, each by itself or as a file, else the default.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};

use super::flags::FlagValues;
use super::origin::{Origin, shown_secret_path};
use super::problem::{InvalidSettings, Problem};
use super::setting::{Default, Empty, Setting};
use super::similar_names;

/// Maximum size of a file with a value, in bytes; ours.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// The environment: values by variable.
pub(crate) type Variables = BTreeMap<OsString, OsString>;

/// Reads settings, and keeps what is wrong with them until all are read.
pub(crate) struct Reader<'a> {
    flags: &'a FlagValues,
    variables: &'a Variables,
    asked: Vec<Asked>,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

/// A setting that was asked for.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    /// The setting.
    pub(super) setting: &'static Setting,
    /// Whether it must have a value.
    pub(super) required: bool,
}

/// A value, and where it came from.
struct Given {
    value: SecretString,
    origin: Origin,
}

impl<'a> Reader<'a> {
    /// Reads from the command line and the environment.
    pub(super) fn new(flags: &'a FlagValues, variables: &'a Variables) -> Self {
        let (asked, problems, warnings) = (Vec::new(), Vec::new(), Vec::new());
        Self { flags, variables, asked, problems, warnings }
    }

    /// The parsed value. `None` when it is missing or wrong, which [`finish`](Self::finish) tells.
    pub(super) fn value<T, E: Display>(
        &mut self,
        setting: &'static Setting,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        self.asked.push(Asked { setting, required: true });
        let value = self.parsed(setting, parse)?;
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
        setting: &'static Setting,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<Option<T>> {
        self.asked.push(Asked { setting, required: false });
        self.parsed(setting, parse)
    }

    #[expect(clippy::option_option, reason = "the outer says whether it is right")]
    fn parsed<T, E: Display>(
        &mut self,
        setting: &'static Setting,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<Option<T>> {
        let given = match given(setting, self.flags, self.variables) {
            Ok(given) => given,
            Err(problem) => {
                self.refuse(setting, problem);
                return None;
            }
        };
        let Some(Given { value, origin }) = given else { return Some(None) };
        let value = value.expose_secret();
        match parse(value) {
            Ok(parsed) => Some(Some(parsed)),
            Err(problem) => {
                let origin = Some(origin.with_value(value, setting.secret));
                self.problems.push(Problem::new(setting, &problem, origin));
                None
            }
        }
    }

    /// Notes that a setting cannot be used. `problem` continues the variable's name.
    pub(super) fn refuse(&mut self, setting: &Setting, problem: impl Display) {
        self.problems.push(Problem::new(setting, &problem, None));
    }

    /// Notes that a setting may be wrong. `problem` continues the variable's name, and says what to do.
    pub(super) fn warn(&mut self, setting: &Setting, problem: impl Display) {
        self.warnings.push(Problem::warning(setting, &problem));
    }

    /// Settings that were asked for so far.
    pub(super) fn asked(&self) -> &[Asked] {
        &self.asked
    }

    /// The settings that were read, with their warnings, if nothing was refused.
    ///
    /// # Errors
    ///
    /// [`InvalidSettings`] with everything that was refused.
    pub(super) fn finish<T>(
        mut self,
        read: Option<T>,
    ) -> Result<(T, Vec<Problem>), InvalidSettings> {
        self.warnings.extend(similar_names::warnings(&self.asked, self.variables));
        let Self { problems, warnings, .. } = self;
        match read {
            Some(read) if problems.is_empty() => Ok((read, warnings)),
            _ => Err(InvalidSettings { problems, warnings }),
        }
    }
}

/// Origin of a setting's value, as an error tells it; `None` where it is not given.
pub(super) fn origin(
    setting: &Setting,
    flags: &FlagValues,
    variables: &Variables,
) -> Option<String> {
    let Given { value, origin } = given(setting, flags, variables).ok()??;
    Some(origin.with_value(value.expose_secret(), setting.secret))
}

/// The value of a setting: the flag's, else the variable's, else the default.
fn given(
    setting: &Setting,
    flags: &FlagValues,
    variables: &Variables,
) -> Result<Option<Given>, String> {
    let flag = Source {
        name: format!("--{}", setting.flag()),
        value: flags.get(&setting.flag()).map(OsString::from),
        file_name: format!("--{}", setting.file_flag()),
        file: flags.get(&setting.file_flag()).map(PathBuf::from),
        origin: Origin::Flag,
    };
    if let Some(given) = flag.given(setting)? {
        return Ok(Some(given));
    }
    let variable = |name: &str| variables.get(OsStr::new(name));
    let variable = Source {
        name: setting.name.to_owned(),
        value: variable(setting.name).cloned(),
        file_name: setting.file_name(),
        file: variable(&setting.file_name()).map(PathBuf::from),
        origin: Origin::Variable,
    };
    let given = variable.given(setting)?;
    let default = || match setting.default {
        Default::Value(value) => Some(Given { value: value.into(), origin: Origin::Default }),
        Default::Required | Default::Unset(_) => None,
    };
    Ok(given.or_else(default))
}

/// The command line or the environment, and what one of them has for a setting.
struct Source {
    name: String,
    value: Option<OsString>,
    file_name: String,
    file: Option<PathBuf>,
    origin: fn(String) -> Origin,
}

impl Source {
    /// The value by its own name or by the name of its file, never both.
    fn given(self, setting: &Setting) -> Result<Option<Given>, String> {
        let Self { name, value, file_name, file, origin } = self;
        let file = file.filter(|_| setting.secret);
        let empty = match (&value, &file) {
            (Some(value), _) if value.is_empty() => Some(&name),
            (_, Some(path)) if path.as_os_str().is_empty() => Some(&file_name),
            _ => None,
        };
        let empty = empty.map(|name| origin(name.clone()));
        let value = value.filter(|value| !value.is_empty() || setting.empty == Empty::AValue);
        let file = file.filter(|path| !path.as_os_str().is_empty());
        match (value, file) {
            (Some(_), Some(_)) => Err(format!("and {file_name} are given both: give one")),
            (Some(value), None) => {
                let origin = origin(name);
                let value = value.into_string();
                let value = value.map_err(|_| format!("is not UTF-8 ({origin})"))?;
                Ok(Some(Given { value: value.into(), origin }))
            }
            (None, Some(path)) => {
                let value = read(&path).map_err(|problem| format!("({file_name}) {problem}"))?;
                Ok(Some(Given { value, origin: Origin::File { path, named_by: file_name } }))
            }
            (None, None) => match empty {
                Some(origin) if setting.empty == Empty::Refused => {
                    Err(format!("is given but empty ({origin}): {}", setting.remedy_for_empty()))
                }
                _ => Ok(None),
            },
        }
    }
}

/// The text of a file, without the line break at its end.
fn read(path: &Path) -> Result<SecretString, String> {
    let mut text = Zeroizing::new(String::new());
    let read =
        File::open(path).and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text));
    let refuse = |why: &str| format!("is read from {}, which is {why}", shown_secret_path(path));
    let length = read.map_err(|error| refuse(&format!("not readable ({error})")))?;
    if length as u64 > MAX_FILE_BYTES {
        return Err(refuse(&format!("larger than {MAX_FILE_BYTES} bytes")));
    }
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(refuse("empty")),
        text => Ok(text.into()),
    }
}
