//! Finds variables that nearly have the name of a setting, and that nothing reads.

use std::collections::BTreeSet;

use strsim::osa_distance;

use super::problem::Problem;
use super::reader::{Asked, Variables};
use super::setting::{ALL, Setting};

/// Minimum length of a long name. A shorter one may differ by one character only, or it would be found near anything.
const MIN_LONG_NAME: usize = 10;

/// A warning for each variable that is probably a misspelt one of the settings that were asked for.
pub(super) fn warnings(asked: &[Asked], variables: &Variables) -> Vec<Problem> {
    let known: BTreeSet<String> = ALL.iter().flat_map(|setting| names(setting)).collect();
    let names = variables.keys().filter_map(|name| name.to_str());
    let unknown = names.filter(|name| !known.contains(*name));
    unknown
        .filter_map(|name| asked.iter().find_map(|Asked { setting, .. }| hint(setting, name)))
        .collect()
}

/// The variables that are read for a setting.
fn names(setting: &Setting) -> impl Iterator<Item = String> {
    let file = setting.secret.then(|| setting.file_name());
    [setting.name.to_owned()].into_iter().chain(file)
}

fn hint(setting: &Setting, name: &str) -> Option<Problem> {
    if !setting.secret && name == setting.file_name() {
        let text = format_args!("is not read from a file, so the variable {name} does nothing");
        return Some(Problem::warning(setting, &text));
    }
    let meant = names(setting).find(|known| is_similar(known, name))?;
    let text = format_args!(
        "is not read from the variable {name}, which does nothing: rename it if {meant} is meant"
    );
    Some(Problem::warning(setting, &text))
}

/// Whether two names differ in a character or two, or in case and underscores only.
fn is_similar(known: &str, name: &str) -> bool {
    let letters = |name: &str| name.replace('_', "").to_ascii_uppercase();
    let distance = if known.len() < MIN_LONG_NAME { 1 } else { 2 };
    // Measuring takes the product of the lengths.
    let near =
        known.len().abs_diff(name.len()) <= distance && osa_distance(known, name) <= distance;
    near || letters(known) == letters(name)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::config::setting;

    fn warned(name: &str) -> Vec<String> {
        let asked: Vec<_> = ALL.iter().map(|setting| Asked { setting, required: false }).collect();
        let variables = Variables::from([(name.into(), "planted".into())]);
        warnings(&asked, &variables).iter().map(Problem::to_string).collect()
    }

    #[rstest]
    #[case::no_underscore("INSTAGRAM_APPID", "INSTAGRAM_APP_ID")]
    #[case::a_letter_short("DATABSE_URL", "DATABASE_URL")]
    #[case::two_letters_swapped("CALLERS_FLIE", "CALLERS_FILE")]
    #[case::singular("TOKEN_KEY", "TOKEN_KEYS")]
    #[case::the_file_of_a_secret("TOKEN_KEY_FILE", "TOKEN_KEYS_FILE")]
    #[case::lower_case("database_url", "DATABASE_URL")]
    #[case::a_short_name("RUST_LOGS", "RUST_LOG")]
    fn a_misspelt_name_is_told_with_the_one_that_is_meant(#[case] name: &str, #[case] meant: &str) {
        let told = warned(name);
        assert_eq!(told.len(), 1, "{told:?}");
        let setting = meant.strip_suffix("_FILE").filter(|_| meant != "CALLERS_FILE");
        assert!(told[0].starts_with(setting.unwrap_or(meant)), "{told:?}");
        assert!(told[0].contains(&format!("variable {name},")), "{told:?}");
        assert!(told[0].ends_with(&format!("if {meant} is meant")), "{told:?}");
        assert!(!told[0].contains("planted"), "{told:?}");
    }

    #[test]
    fn a_file_for_what_comes_from_none_is_told() {
        assert!(warned("STATE_TTL_FILE")[0].starts_with("STATE_TTL is not read from a file"));
    }

    #[rstest]
    #[case("PATH")]
    #[case("RUST_BACKTRACE")]
    #[case("RUST_LOG_STYLE")]
    #[case("DATABASE_HOST")]
    #[case("DATABASE_NAME")]
    #[case("POSTGRES_PASSWORD")]
    #[case("HTTP_LISTEN")]
    #[case("GRPC_TLS_CA")]
    #[case("INSTAGRAM_ACCOUNTS_SERVICE_HOST")]
    #[case("INSTAGRAM_ACCOUNTS_PORT")]
    #[case("SANDBOX_LISTEN")]
    #[case("LOG_LEVEL")]
    fn what_is_somebody_elses_is_not(#[case] name: &str) {
        assert_eq!(warned(name), [""; 0]);
    }

    #[test]
    fn no_setting_is_taken_for_another() {
        for name in ALL.iter().flat_map(|setting| names(setting)) {
            assert_eq!(warned(&name), [""; 0]);
        }
    }

    #[test]
    fn only_what_a_command_reads_is_told_by_it() {
        let asked = [Asked { setting: &setting::GRPC_LISTEN, required: true }];
        let variables = Variables::from([("DATABSE_URL".into(), "".into())]);
        assert_eq!(warnings(&asked, &variables), []);
    }
}
