//! What is wrong with a `DATABASE_URL`.

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
        "DATABASE_URL is no PostgreSQL URL; an example is postgres://user:password@host:5432/database?sslmode=verify-full"
    )]
    Postgres,
    /// A parameter that PostgreSQL's connections do not know.
    #[error(
        "DATABASE_URL has an unknown parameter; PostgreSQL takes sslmode, sslrootcert, sslcert, sslkey, host, port, dbname, user, password, application_name, options and options[NAME]"
    )]
    PostgresParameter,
}
