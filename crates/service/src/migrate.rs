//! Brings the database up to date, or says what is missing.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context as _;
use ig_adapters::persistence::{Database, DatabaseSettings};

use crate::config::InvalidSettings;
use crate::output::is_read_on;

/// Takes all migrations that are missing; with `check` only names them, and `FAILURE` says that there are some.
///
/// # Errors
///
/// When the URL names no database, it cannot be reached, or a migration fails.
pub(crate) async fn run(
    settings: &DatabaseSettings,
    check: bool,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let database = Database::open(settings).map_err(InvalidSettings::from)?;
    if check {
        return report(&database, out).await;
    }
    database.migrate().await.context("the database was not brought up to date")?;
    is_read_on(writeln!(out, "the database is up to date"))?;
    Ok(ExitCode::SUCCESS)
}

async fn report(database: &Database, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let pending = database.pending_migrations().await;
    let pending = pending.context("the database cannot be asked for its migrations")?;
    if pending.is_empty() {
        is_read_on(writeln!(out, "the database is up to date"))?;
        return Ok(ExitCode::SUCCESS);
    }
    is_read_on(writeln!(out, "{}", pending.join("\n")))?;
    Ok(ExitCode::FAILURE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Closed;

    async fn migrate(url: &str, check: bool) -> (String, ExitCode) {
        let mut out = Vec::new();
        let code = run(&DatabaseSettings::of(url), check, &mut out).await.unwrap();
        (String::from_utf8(out).unwrap(), code)
    }

    #[tokio::test]
    async fn a_check_names_what_is_missing_and_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("accounts.db");
        std::fs::write(&file, "").unwrap();
        let url = format!("sqlite://{}", file.display());
        for _ in 0..2 {
            let (text, code) = migrate(&url, true).await;
            assert!(text.lines().next().unwrap().starts_with("m2026"), "{text}");
            assert_eq!(code, ExitCode::FAILURE);
        }
        assert_eq!(migrate(&url, false).await.1, ExitCode::SUCCESS);
        let expected = ("the database is up to date\n".to_owned(), ExitCode::SUCCESS);
        assert_eq!(migrate(&url, true).await, expected);
    }

    #[tokio::test]
    async fn a_reader_that_has_seen_enough_changes_no_exit_code() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("accounts.db");
        std::fs::write(&file, "").unwrap();
        let settings = DatabaseSettings::of(&format!("sqlite://{}", file.display()));
        let code = async |check| run(&settings, check, &mut Closed).await.unwrap();
        assert_eq!(code(true).await, ExitCode::FAILURE);
        assert_eq!(code(false).await, ExitCode::SUCCESS);
        assert_eq!(code(true).await, ExitCode::SUCCESS);
    }

    #[tokio::test]
    async fn a_wrong_url_is_a_wrong_setting() {
        let refused =
            run(&DatabaseSettings::of("mysql://root:planted@db/x"), true, &mut Vec::new()).await;
        let error = refused.unwrap_err();
        assert!(error.is::<InvalidSettings>());
        assert!(!format!("{error:?}").contains("planted"), "{error:?}");
    }

    #[tokio::test]
    async fn a_missing_database_is_an_error_and_is_not_made_by_a_check() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("accounts.db");
        let url = format!("sqlite://{}?mode=rwc", file.display());
        assert!(run(&DatabaseSettings::of(&url), true, &mut Vec::new()).await.is_err());
        assert!(!file.exists());
    }
}
