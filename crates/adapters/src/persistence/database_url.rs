//! Settings of a database, and the faults of a `DATABASE_URL`.

use std::fmt;

use secrecy::SecretString;

/// URL of a database, and the password for it.
#[derive(Clone)]
pub struct DatabaseSettings {
    /// The URL. May hold a password.
    pub url: SecretString,
    /// The password, not percent-encoded, where it is not in the URL.
    pub password: Option<SecretString>,
}

impl DatabaseSettings {
    /// The database that `url` names, with no other password than the one in it.
    #[must_use]
    pub fn of(url: &str) -> Self {
        Self { url: url.into(), password: None }
    }
}

impl fmt::Debug for DatabaseSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("DatabaseSettings").finish_non_exhaustive()
    }
}

/// `DATABASE_URL` names no database that can be used. The URL is not repeated: it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDatabaseUrl {
    /// Another scheme than `sqlite:` and `postgres:`.
    #[error(
        "DATABASE_URL must begin with sqlite: or postgres:, such as sqlite://instagram-accounts.db?mode=rwc or postgres://user:password@host/database"
    )]
    Scheme,
    /// A database in memory would be another one for each connection, and gone after a restart.
    #[error(
        "DATABASE_URL must name a file, such as sqlite://instagram-accounts.db?mode=rwc; a database in memory keeps nothing"
    )]
    InMemory,
    /// No file name, or one that is not UTF-8.
    #[error("DATABASE_URL names no file; an example is sqlite://instagram-accounts.db?mode=rwc")]
    File,
    /// Another parameter than `mode=rw` and `mode=rwc`.
    #[error(
        "DATABASE_URL takes no parameter but mode=rwc (create the file when migrating) or mode=rw"
    )]
    Parameter,
    /// No URL, or a parameter whose value cannot be used.
    #[error(
        "DATABASE_URL is no PostgreSQL URL; an example is postgres://user@host:5432/database?sslmode=verify-full. A password with /, ?, #, @ or % is given as it is in DATABASE_PASSWORD, or percent-encoded in the URL"
    )]
    Postgres,
    /// An `@` behind the host, or a `#`: the password holds a character that ends the host.
    #[error(
        "DATABASE_URL has a # or an @ behind the host, as a password with /, ? or # makes it: give the password as it is in DATABASE_PASSWORD, or percent-encode it in the URL"
    )]
    UnencodedPassword,
    /// A parameter that PostgreSQL's connections do not know.
    #[error(
        "DATABASE_URL has an unknown parameter; PostgreSQL takes sslmode, sslrootcert, sslcert, sslkey, host, port, dbname, user, password, application_name, options and options[NAME]"
    )]
    PostgresParameter,
    /// A password in the URL, and another one beside it.
    #[error(
        "DATABASE_PASSWORD is given though DATABASE_URL holds a password: take it out of the URL"
    )]
    TwoPasswords,
    /// A password for a file.
    #[error("DATABASE_PASSWORD is given though DATABASE_URL names an SQLite file, which has none")]
    PasswordForFile,
}
