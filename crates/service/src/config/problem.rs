//! Problems with settings.

use std::fmt::{self, Display};
use std::path::Path;

use ig_adapters::persistence::InvalidDatabaseUrl;

use super::origin::shown_path;
use super::setting::{self, Setting};

/// Something that an operator should know of one setting, or of the clock. Its text begins with the variable, or with
/// `clock`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    setting: &'static str,
    /// Continues the variable's name.
    text: String,
    /// Origin of the value, where it is known.
    origin: Option<String>,
    /// A value that would do.
    example: Option<&'static str>,
}

/// Settings that cannot be used: each with where its value came from, what is wrong and an example.
#[derive(Debug, thiserror::Error)]
#[error("{}", lines(problems))]
pub(crate) struct InvalidSettings {
    /// Problems that stop the start.
    pub(super) problems: Vec<Problem>,
    /// Warnings. They do not stop the start, but may tell the reason.
    pub(super) warnings: Vec<Problem>,
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
}

impl Problem {
    /// Something wrong. `text` continues the variable's name.
    pub(super) fn new(setting: &Setting, text: &dyn Display, origin: Option<String>) -> Self {
        let Setting { name, example, .. } = setting;
        Self { setting: name, text: text.to_string(), origin, example: Some(example) }
    }

    /// The text with a word in parentheses behind the variable.
    pub(crate) fn marked(&self, word: &str) -> String {
        let text = self.to_string();
        text.replacen(self.setting, &format!("{} ({word})", self.setting), 1)
    }

    /// Something wrong with the machine's clock, which no setting sets. `text` continues the word, and says what to do.
    pub(crate) fn of_clock(text: &dyn Display) -> Self {
        Self { setting: "clock", text: text.to_string(), origin: None, example: None }
    }

    /// Something that may be wrong. `text` continues the variable's name, and says what to do.
    pub(crate) fn warning(setting: &Setting, text: &dyn Display) -> Self {
        Self { example: None, ..Self::new(setting, text, None) }
    }
}

impl Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { setting, text, origin, example } = self;
        write!(formatter, "{setting} {text}")?;
        if let Some(origin) = origin {
            write!(formatter, " ({origin})")?;
        }
        match example {
            Some(example) => write!(formatter, ", for example {setting}={example}"),
            None => Ok(()),
        }
    }
}

impl InvalidSettings {
    /// One setting cannot be used. `text` continues the variable's name, and says what to do.
    pub(crate) fn with_remedy(setting: &Setting, text: &dyn Display) -> Self {
        Self::from(Problem::warning(setting, text))
    }

    /// One setting cannot be used. `text` continues the variable's name.
    pub(super) fn of(setting: &Setting, text: &dyn Display) -> Self {
        Self::from(Problem::new(setting, text, None))
    }

    /// No keys are given, and beside this database there is no place for a file with them.
    pub(crate) fn no_keys() -> Self {
        let problem = "is required with PostgreSQL: make a key once and keep it, \
            (umask 077; instagram-accounts keys generate > token-keys), \
            and name that file in TOKEN_KEYS_FILE";
        Self::of(&setting::TOKEN_KEYS, &problem)
    }

    /// A command seals anew, and there are neither keys nor a key file.
    pub(crate) fn no_keys_to_rotate() -> Self {
        Self::of(&setting::TOKEN_KEYS, &"is required: the keys of the replicas")
    }

    /// A command works on the file of callers, and none is named. `text` continues the variable's name.
    pub(crate) fn no_callers_file(text: &str) -> Self {
        Self::of(&setting::CALLERS_FILE, &text)
    }

    /// The file of callers is there to be read, and cannot be used.
    pub(crate) fn callers_file(path: &Path, error: &dyn Display) -> Self {
        let text = format_args!("({}) cannot be used: {error}", shown_path(path));
        let problem = Problem::new(&setting::CALLERS_FILE, &text, None);
        Self::from(Problem { example: None, ..problem })
    }

    /// The problems and the warnings.
    pub(crate) fn into_parts(self) -> (Vec<Problem>, Vec<Problem>) {
        (self.problems, self.warnings)
    }

    /// Warnings. They do not stop the start, but may tell the reason.
    pub(crate) fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// The same, told where each value came from: `origin` knows it by the variable.
    pub(super) fn located(mut self, origin: impl Fn(&Setting) -> Option<String>) -> Self {
        for problem in &mut self.problems {
            let setting = setting::ALL.iter().find(|setting| setting.name == problem.setting);
            if problem.origin.is_none()
                && let Some(setting) = setting
            {
                problem.origin = origin(setting);
            }
        }
        self
    }
}

impl From<Problem> for InvalidSettings {
    fn from(problem: Problem) -> Self {
        Self { problems: vec![problem], warnings: Vec::new() }
    }
}

impl From<InvalidDatabaseUrl> for InvalidSettings {
    fn from(error: InvalidDatabaseUrl) -> Self {
        let text = error.to_string();
        let of = |setting: &Setting| {
            let text = text.strip_prefix(setting.name)?.strip_prefix(' ')?;
            Some(Problem::warning(setting, &text))
        };
        let problem = of(&setting::DATABASE_PASSWORD).or_else(|| of(&setting::DATABASE_URL));
        let problem = problem.unwrap_or_else(|| {
            Problem::warning(&setting::DATABASE_URL, &format_args!("cannot be used: {text}"))
        });
        Self::from(problem)
    }
}
