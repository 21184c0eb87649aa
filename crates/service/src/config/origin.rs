//! Origin of a value, and the part of the value that may be shown.

use std::fmt;
use std::path::{Path, PathBuf};

/// Maximum number of characters of a value that are shown; ours.
const MAX_SHOWN_CHARACTERS: usize = 64;

/// Minimum number of letters and digits in a row that may be a secret in a wrong place; ours. App secrets have 32,
/// tokens and keys have more.
const MIN_SECRET_CHARACTERS: usize = 24;

/// Origin of a value.
pub(super) enum Origin {
    /// The command line.
    Flag(String),
    /// The environment.
    Variable(String),
    /// A file that a flag or a variable names.
    File { path: PathBuf, named_by: String },
    /// The table of settings.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(formatter, "flag {name}"),
            Self::Variable(name) => write!(formatter, "variable {name}"),
            Self::File { path, named_by } => {
                write!(formatter, "file {} via {named_by}", path.display())
            }
            Self::Default => write!(formatter, "the default"),
        }
    }
}

impl Origin {
    /// The origin, with the value where that is no secret.
    pub(super) fn with_value(&self, value: &str, secret: bool) -> String {
        match shown(value) {
            _ if secret => self.to_string(),
            Some(shown) => format!("{self} = {shown}"),
            None => format!("{self}, whose value is not shown: it may hold a secret"),
        }
    }
}

/// The beginning of a value, in quotes. `None` where it looks like a URL with a password, or like a secret in a wrong
/// place.
fn shown(value: &str) -> Option<String> {
    let mut words = value.split(|character: char| !character.is_ascii_alphanumeric());
    if value.contains('@') || words.any(|word| word.len() >= MIN_SECRET_CHARACTERS) {
        return None;
    }
    let beginning: String = value.chars().take(MAX_SHOWN_CHARACTERS).collect();
    let dots = if beginning.len() < value.len() { "…" } else { "" };
    Some(format!("{beginning:?}{dots}"))
}

/// Stands in an error for a path that leads nowhere.
const HIDDEN_PATH: &str = "<a path that leads nowhere, not shown as it may be a secret>";

/// The path of a setting that is one, as an error may show it: not where it may be what belongs into its file.
pub(crate) fn shown_path(path: &Path) -> String {
    let plain = shown(&path.to_string_lossy()).is_some();
    if plain { path.display().to_string() } else { shown_secret_path(path) }
}

/// The path of a secret's file, as an error may show it: where it leads somewhere. Any other may be the secret itself.
pub(super) fn shown_secret_path(path: &Path) -> String {
    // The root and the working folder are there for any word.
    let folder = path.parent().filter(|folder| folder.parent().is_some());
    let leads_somewhere = path.exists() || folder.is_some_and(Path::is_dir);
    if leads_somewhere { path.display().to_string() } else { HIDDEN_PATH.to_owned() }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::plain("15", Some(r#""15""#))]
    #[case::a_line_break("a\nb", Some(r#""a\nb""#))]
    #[case::a_password("https://user:short@example.com", None)]
    #[case::an_app_secret("0123456789abcdef0123456789abcdef", None)]
    #[case::a_key_in_a_list("k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", None)]
    #[case::a_long_address(
        "https://www.instagram.com/oauth/authorize?",
        Some(r#""https://www.instagram.com/oauth/authorize?""#)
    )]
    fn a_value_is_shown_unless_it_may_be_a_secret(
        #[case] value: &str,
        #[case] expected: Option<&str>,
    ) {
        assert_eq!(shown(value).as_deref(), expected);
    }

    #[test]
    fn a_path_is_shown_where_it_or_its_folder_is_there() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path().to_owned(), folder.path().join("missing")] {
            assert_eq!(shown_path(&path), path.to_str().unwrap());
            assert_eq!(shown_secret_path(&path), path.to_str().unwrap());
        }
    }

    #[rstest]
    #[case::a_word("planted")]
    #[case::that_begins_as_a_path("/planted")]
    #[case::base64("pla/nted+/w==")]
    #[case::base64_that_begins_as_a_path("/planted/word=")]
    #[case::a_url("postgres://user:planted@db/accounts")]
    fn a_path_that_may_be_the_secret_itself_is_not_shown(#[case] path: &str) {
        assert_eq!(shown_secret_path(Path::new(path)), HIDDEN_PATH);
    }

    #[rstest]
    #[case::a_word("gone.crt", "gone.crt")]
    #[case::a_folder("/gone/tls.crt", "/gone/tls.crt")]
    #[case::a_bearer_token("igacc_0123456789abcdef0123456789abcdef", HIDDEN_PATH)]
    fn a_path_is_shown_unless_it_looks_like_a_secret(#[case] path: &str, #[case] expected: &str) {
        assert_eq!(shown_path(Path::new(path)), expected);
    }

    #[test]
    fn a_long_value_is_cut() {
        let long = "é ".repeat(50);
        assert_eq!(shown(&long).unwrap(), format!("{:?}…", "é ".repeat(32)));
    }
}
