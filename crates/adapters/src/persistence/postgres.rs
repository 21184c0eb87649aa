//! Opening a PostgreSQL database so that its loss is noticed and its return too.
//!
//! Settings hold for one transaction, never for a session: behind a pooler the next transaction may run in another
//! session, and somebody else's in this one.

use std::fmt;
use std::time::Duration;

use ig_domain::ports::StoreError;
use sea_orm::sea_query::{InsertStatement, PostgresQueryBuilder};
use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sea_orm::sqlx::{
    self, AssertSqlSafe, ConnectOptions as _, Connection as _, Postgres, Row as _, Transaction,
};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, SqlxPostgresConnector,
    Statement, TransactionTrait,
};
use sea_query_sqlx::SqlxBinder as _;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until, timeout};
use url::Url;

use super::InvalidDatabaseUrl;
use super::error::{failed, no_connection, translate, unavailable};
use super::sessions::{Sessions, Settings};

/// Maximum size of the pool; ours. Replicas share the server's limit, which is 100 unless set otherwise.
pub(super) const MAX_CONNECTIONS: u32 = 10;
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// Idle time after which a connection is pinged before its use. A restart of the server breaks all that lie idle.
const PING_AFTER_IDLE: Duration = Duration::from_secs(1);
/// Maximum time of an attempt to find out why there is no connection. Ours: a call that failed for want of one ends so
/// much later.
const DIAGNOSIS_TIMEOUT: Duration = Duration::from_millis(500);
/// Maximum age of a diagnosis that serves further calls.
const MAX_DIAGNOSIS_AGE: Duration = Duration::from_secs(1);
/// Minimum time between two log-ins of writes that find out whether new sessions may write again. Ours.
const MIN_LOG_IN_INTERVAL: Duration = Duration::from_millis(100);
/// Maximum time of a ping, which shows that a connection is alive.
const PING_TIMEOUT: Duration = Duration::from_secs(1);
/// Maximum time of the check of a connection that is given back: longer than the server keeps at a statement that was
/// given up, so that no connection is opened beside one that still works.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(5);

/// Begin of a read, with the timeouts of a call to the store, so that what is given up here ends at the server.
const READ: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY; \
    SET LOCAL statement_timeout = '4s'; \
    SET LOCAL idle_in_transaction_session_timeout = '4s'";

/// Settings of a transaction, with the timeouts of a call to the store. They bound what it may do to others when its
/// process hangs or is cut off: without these its locks would stay until the operating system gives the connection up.
const WRITE: &str = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; \
    SET LOCAL statement_timeout = '4s'; \
    SET LOCAL idle_in_transaction_session_timeout = '4s'";

/// Begin of a write that is one statement, with the same settings.
const WRITE_ALONE: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; \
    SET LOCAL statement_timeout = '4s'; \
    SET LOCAL idle_in_transaction_session_timeout = '4s'";

/// Settings of a migration: waits up to a minute for others that migrate, or for the tables; takes as long as a step
/// takes. Says nothing of what is there already. The number is ours, the same in every version.
const MIGRATION: &str = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; \
    SET LOCAL statement_timeout = 0; \
    SET LOCAL lock_timeout = '60s'; \
    SET LOCAL client_min_messages = warning; \
    SELECT pg_advisory_xact_lock(7262185240637310017)";

/// Parameters that the driver knows. It would log any other with its value, which may be a misspelt password.
///
/// Source: <https://docs.rs/sqlx/0.9.0/sqlx/postgres/struct.PgConnectOptions.html>.
const PARAMETERS: [&str; 18] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

/// Whether `url` names PostgreSQL.
pub(super) fn is_meant(url: &str) -> bool {
    url.starts_with("postgres:") || url.starts_with("postgresql:")
}

/// A server.
pub(super) struct Server {
    options: PgConnectOptions,
    sessions: Sessions,
    /// Begin and outcome of the last log-in that a write made by itself. The holder of the lock makes the next one.
    last_log_in: Mutex<Option<(Instant, Result<(), String>)>>,
    /// The last diagnosis, and its moment. The holder of the lock makes the next one.
    diagnosis: Mutex<Option<(Instant, Diagnosis)>>,
}

/// Reason for which no connection came in time.
#[derive(Clone, Debug)]
pub(super) enum Diagnosis {
    /// All were in use: the server gives another one.
    AllInUse,
    /// The server gives none.
    Away(String),
}

impl fmt::Debug for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Server").finish_non_exhaustive()
    }
}

impl Server {
    /// The server that `url` names, whose sessions are these.
    pub(super) fn new(
        url: &str,
        password: Option<&SecretString>,
        sessions: Sessions,
    ) -> Result<Self, InvalidDatabaseUrl> {
        Ok(Self {
            options: options(url, password)?,
            sessions,
            last_log_in: Mutex::default(),
            diagnosis: Mutex::default(),
        })
    }

    /// At most `number` connections, opened when first needed.
    pub(super) fn connections(&self, number: u32) -> DatabaseConnection {
        let [opened, acquired, released] = [(); 3].map(|()| self.sessions.clone());
        let pool = PgPoolOptions::new()
            .max_connections(number)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .after_connect(move |connection, _| {
                let opened = opened.clone();
                Box::pin(async move {
                    // One that cannot tell its settings fails whoever uses it, and so tells why.
                    if let Ok(settings) = settings(connection).await {
                        opened.opened(settings);
                    }
                    Ok(())
                })
            })
            .before_acquire(move |connection, state| {
                let fresh = state.idle_for < PING_AFTER_IDLE;
                let current = acquired.may_use(state.age);
                Box::pin(async move { Ok(current && (fresh || answers(connection).await)) })
            })
            // The pool asks as well when it takes a connection back, but would wait without end.
            .after_release(move |connection, state| {
                let current = released.may_use(state.age);
                Box::pin(async move { Ok(current && is_reusable(connection).await) })
            })
            .connect_lazy_with(self.options.clone());
        SqlxPostgresConnector::from_sqlx_postgres_pool(pool)
    }

    /// Begins to write. A statement first locks what it changes, so guards hold without any further lock.
    pub(super) async fn begin_write(
        &self,
        connections: &DatabaseConnection,
    ) -> Result<DatabaseTransaction, StoreError> {
        self.begin_with(connections, WRITE).await
    }

    /// Begins to migrate; from here on nobody else does.
    pub(super) async fn begin_migration(
        &self,
        connections: &DatabaseConnection,
    ) -> Result<DatabaseTransaction, StoreError> {
        self.begin_with(connections, MIGRATION).await
    }

    async fn begin_with(
        &self,
        connections: &DatabaseConnection,
        settings: &str,
    ) -> Result<DatabaseTransaction, StoreError> {
        self.check_may_write().await?;
        begin_with(connections, settings).await.map_err(|error| translate(&error))
    }

    /// Writes by one statement, in three round trips; returns the number of rows.
    pub(super) async fn write_alone(
        &self,
        connections: &DatabaseConnection,
        statement: &InsertStatement,
    ) -> Result<u64, StoreError> {
        self.check_may_write().await?;
        let (sql, values) = statement.build_sqlx(PostgresQueryBuilder);
        let written = async {
            let pool = connections.get_postgres_connection_pool();
            let mut transaction = pool.begin_with(WRITE_ALONE).await?;
            let write = sqlx::query_with(AssertSqlSafe(sql), values);
            let written = write.execute(&mut *transaction).await?.rows_affected();
            transaction.commit().await?;
            Ok(written)
        };
        written.await.map_err(failed)
    }

    async fn check_may_write(&self) -> Result<(), StoreError> {
        if self.sessions.may_write() || self.may_write_again().await? {
            return Ok(());
        }
        Err(unavailable("the server only lets read"))
    }

    /// Whether new sessions may write again, by opening one: those in the pools stay as they are, and serve reads.
    /// Writes that have come meanwhile share the next log-in.
    async fn may_write_again(&self) -> Result<bool, StoreError> {
        let arrival = Instant::now();
        let mut last = self.last_log_in.lock().await;
        let outcome = match &*last {
            Some((begin, outcome)) if *begin >= arrival => outcome.clone(),
            former => {
                if let Some((begin, _)) = former {
                    sleep_until(*begin + MIN_LOG_IN_INTERVAL).await;
                }
                let begin = Instant::now();
                let outcome = self.log_in().await;
                *last = Some((begin, outcome.clone()));
                outcome
            }
        };
        outcome.map_err(no_connection)?;
        Ok(self.sessions.may_write())
    }

    /// Opens a session to see its settings. The error says why none is to be had.
    async fn log_in(&self) -> Result<(), String> {
        let opened = async {
            let mut session = self.options.connect().await?;
            settings(&mut session).await
        };
        let opened = timeout(ACQUIRE_TIMEOUT, opened).await;
        let opened = opened.map_err(|_| "no answer".to_owned())?.map_err(|error| error.to_string());
        self.sessions.opened(opened?);
        Ok(())
    }

    /// Address of the server: its host and port, or its socket.
    pub(super) fn address(&self) -> String {
        let (host, port) = (self.options.get_host(), self.options.get_port());
        match self.options.get_socket() {
            Some(folder) => format!("PostgreSQL at {} (port {port})", folder.display()),
            None if host.starts_with('/') => format!("PostgreSQL at {host} (port {port})"),
            None => format!("PostgreSQL at {host}:{port}"),
        }
    }

    /// Reason for a lack of connections, by trying to open one: the pool tries again and again, and keeps no cause.
    ///
    /// Calls that fail together share one try: a server in trouble is not to be asked by each.
    pub(super) async fn diagnose(&self) -> Diagnosis {
        let mut last = self.diagnosis.lock().await;
        if let Some((moment, diagnosis)) = &*last
            && moment.elapsed() < MAX_DIAGNOSIS_AGE
        {
            return diagnosis.clone();
        }
        let diagnosis = match timeout(DIAGNOSIS_TIMEOUT, self.options.connect()).await {
            Ok(Ok(_)) => Diagnosis::AllInUse,
            Ok(Err(error)) => Diagnosis::Away(error.to_string()),
            Err(_) => Diagnosis::Away("no answer".to_owned()),
        };
        *last = Some((Instant::now(), diagnosis.clone()));
        diagnosis
    }
}

fn options(
    url: &str,
    password: Option<&SecretString>,
) -> Result<PgConnectOptions, InvalidDatabaseUrl> {
    let parsed = Url::parse(url).ok().filter(Url::has_authority);
    let parsed = parsed.ok_or(InvalidDatabaseUrl::Postgres)?;
    let behind_host = [Some(parsed.path()), parsed.query()];
    if parsed.fragment().is_some() || behind_host.iter().flatten().any(|part| part.contains('@')) {
        return Err(InvalidDatabaseUrl::UnencodedPassword);
    }
    let known = |name: &str| {
        PARAMETERS.contains(&name) || (name.starts_with("options[") && name.ends_with(']'))
    };
    if !parsed.query_pairs().all(|(name, _)| known(&name)) {
        return Err(InvalidDatabaseUrl::PostgresParameter);
    }
    let options: PgConnectOptions = url.parse().map_err(|_| InvalidDatabaseUrl::Postgres)?;
    let options = options.disable_statement_logging();
    let Some(password) = password else { return Ok(options) };
    if parsed.password().is_some() || parsed.query_pairs().any(|(name, _)| name == "password") {
        return Err(InvalidDatabaseUrl::TwoPasswords);
    }
    Ok(options.password(password.expose_secret()))
}

async fn answers(connection: &mut PgConnection) -> bool {
    matches!(timeout(PING_TIMEOUT, connection.ping()).await, Ok(Ok(())))
}

/// Settings with which a session that was just opened begins.
async fn settings(session: &mut PgConnection) -> Result<Settings, sqlx::Error> {
    let question = sqlx::raw_sql(
        "SELECT current_setting('transaction_read_only') = 'on', \
         concat_ws(' ', current_user, current_setting('search_path'))",
    );
    let answer = question.fetch_one(session).await?;
    Ok(Settings { read_only: answer.try_get(0)?, place: answer.try_get(1)? })
}

/// Whether a connection answers outside of any transaction, in which the two moments are one. The driver does not know
/// of a transaction whose begin was given up before the server answered it.
async fn is_reusable(connection: &mut PgConnection) -> bool {
    let question = sqlx::raw_sql("SELECT now() = statement_timestamp()");
    match timeout(RELEASE_TIMEOUT, question.fetch_one(connection)).await {
        Ok(Ok(answer)) => answer.try_get(0).unwrap_or(false),
        Ok(Err(_)) | Err(_) => false,
    }
}

/// Begins reads of which the server ends each that takes too long. That takes one round trip, and each read another one;
/// the transaction is ended once the pool has the connection back, so that nobody waits for that.
pub(super) async fn begin_reads(
    connections: &DatabaseConnection,
) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    connections.get_postgres_connection_pool().begin_with(READ).await
}

/// Begins several reads, in whichever session.
pub(super) async fn begin_read(
    connections: &DatabaseConnection,
) -> Result<DatabaseTransaction, DbErr> {
    begin_with(connections, WRITE).await
}

async fn begin_with(
    connections: &DatabaseConnection,
    settings: &str,
) -> Result<DatabaseTransaction, DbErr> {
    let transaction = connections.begin().await?;
    transaction.execute_unprepared(settings).await?;
    Ok(transaction)
}

/// Whether the server only lets read, as a standby does.
pub(super) async fn is_read_only(on: &DatabaseTransaction) -> Result<bool, DbErr> {
    let question = "SELECT current_setting('transaction_read_only')::boolean AS read_only";
    let question = Statement::from_string(on.get_database_backend(), question);
    match on.query_one_raw(question).await? {
        Some(answer) => answer.try_get("", "read_only"),
        None => Ok(true),
    }
}

#[cfg(test)]
mod tests {
    use ig_domain::ports::STORE_CALL_TIMEOUT;
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::read(READ)]
    #[case::write(WRITE)]
    #[case::write_alone(WRITE_ALONE)]
    fn the_server_ends_what_a_call_has_given_up(#[case] settings: &str) {
        let seconds = STORE_CALL_TIMEOUT.as_secs();
        for timeout in ["statement_timeout", "idle_in_transaction_session_timeout"] {
            assert!(
                settings.contains(&format!("SET LOCAL {timeout} = '{seconds}s'")),
                "{settings}"
            );
        }
    }

    #[rstest]
    #[case::with_everything(
        "postgres://user:pass%20word@db.internal:6432/accounts?sslmode=verify-full"
    )]
    #[case::other_scheme("postgresql://user@db/accounts?application_name=one")]
    #[case::schema("postgres://user@db/accounts?options[search_path]=one")]
    #[case::socket("postgres://user@%2Fvar%2Frun%2Fpostgresql/accounts")]
    fn a_url_names_a_server(#[case] url: &str) {
        assert!(is_meant(url));
        assert!(options(url, None).is_ok());
    }

    #[rstest]
    #[case::no_url("postgres:", InvalidDatabaseUrl::Postgres)]
    #[case::port("postgres://user:planted@db:65536/accounts", InvalidDatabaseUrl::Postgres)]
    #[case::ssl_mode("postgres://user:planted@db/a?sslmode=planted", InvalidDatabaseUrl::Postgres)]
    #[case::misspelt("postgres://db/a?passwrod=planted", InvalidDatabaseUrl::PostgresParameter)]
    #[case::slash("postgres://user:pla/nted@db/accounts", InvalidDatabaseUrl::Postgres)]
    #[case::slash_behind_digits("postgres://user:1/x@db/a", InvalidDatabaseUrl::UnencodedPassword)]
    #[case::slash_behind_at("postgres://user:a@1/x@db/a", InvalidDatabaseUrl::UnencodedPassword)]
    #[case::question("postgres://user:1?x@db/a", InvalidDatabaseUrl::UnencodedPassword)]
    #[case::hash("postgres://user:1#x@db/a", InvalidDatabaseUrl::UnencodedPassword)]
    fn a_url_that_cannot_serve_is_refused(#[case] url: &str, #[case] expected: InvalidDatabaseUrl) {
        let refused = options(url, None).unwrap_err();
        assert_eq!(refused, expected);
        let text = refused.to_string();
        assert!(text.starts_with("DATABASE_URL") && !text.contains("nted"), "{text}");
        let about_password = !matches!(refused, InvalidDatabaseUrl::PostgresParameter);
        assert_eq!(text.contains("DATABASE_PASSWORD"), about_password, "{text}");
    }

    #[test]
    fn a_password_beside_the_url_is_taken_as_it_is() {
        let password = SecretString::from("p@ss/#?%41");
        let options = options("postgres://user@db/accounts", Some(&password)).unwrap();
        let shown = format!("{options:?}");
        assert!(shown.contains(r#"password: Some("p@ss/#?%41")"#), "{shown}");
        assert_eq!((options.get_username(), options.get_host()), ("user", "db"));
    }

    #[rstest]
    #[case::in_the_authority("postgres://user:planted@db/accounts")]
    #[case::as_a_parameter("postgres://user@db/accounts?password=planted")]
    fn two_passwords_are_refused(#[case] url: &str) {
        let password = SecretString::from("planted-too");
        let refused = options(url, Some(&password)).unwrap_err();
        assert_eq!(refused, InvalidDatabaseUrl::TwoPasswords);
    }

    proptest! {
        #[test]
        fn reading_a_url_never_panics(rest in ".{0,100}") {
            let _ = options(&format!("postgres:{rest}"), None);
        }
    }
}
