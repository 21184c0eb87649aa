//! Place of a service's rows in a test: a database of its own, which goes with the test.

use std::path::Path;
use std::process::Command;
use std::thread;

use reqwest::Url;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection};
use tempfile::TempDir;

use super::{Sandbox, Service, tool};

/// The databases that we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum On {
    /// A file.
    Sqlite,
    /// A schema on the server that `TEST_DATABASE_URL` names.
    Postgres,
}

/// A folder and, in PostgreSQL, a schema in which nothing is.
pub(crate) struct Place {
    folder: TempDir,
    schema: Option<Schema>,
}

impl Place {
    pub(crate) async fn new(on: On) -> Self {
        // In memory where the system has such a place: nothing here has to survive a power cut.
        let in_memory = Path::new("/dev/shm");
        let folder = if in_memory.is_dir() { TempDir::new_in(in_memory) } else { TempDir::new() };
        let folder = folder.unwrap();
        let schema = match on {
            On::Sqlite => None,
            On::Postgres => Some(Schema::new(folder.path()).await),
        };
        Self { folder, schema }
    }

    /// Folder in which the service runs, with the file of SQLite in it.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The URL of the schema, where there is one.
    pub(crate) fn schema_url(&self) -> Option<Url> {
        self.schema.as_ref().map(Schema::url)
    }

    /// The binary and its settings, still without a command.
    pub(crate) fn settings(&self, sandbox: &Sandbox) -> Command {
        let mut command =
            Service::settings(&sandbox.url, [&sandbox.app_id, &sandbox.app_secret], self.path());
        if let Some(schema) = &self.schema {
            command.env("DATABASE_URL", schema.url().as_str());
        }
        command
    }

    /// A service here, which migrates what is not.
    pub(crate) async fn serve(&self, sandbox: &Sandbox, settings: &[(&str, &str)]) -> Service {
        let mut command = self.settings(sandbox);
        command.env("MIGRATE_ON_START", "true").envs(settings.iter().copied()).arg("serve");
        Service::run(command).await
    }

    /// Runs a statement beside the service.
    pub(crate) async fn run(&self, statement: &str) {
        if let Some(schema) = &self.schema {
            return on_server(&schema.url(), statement).await;
        }
        let file = SqliteConnectOptions::new().filename(self.path().join("accounts.db"));
        let statement = sqlx::raw_sql(AssertSqlSafe(statement.to_owned()));
        statement.execute(&mut file.connect().await.unwrap()).await.unwrap();
    }

    /// Reads one number beside the service.
    pub(crate) async fn number(&self, question: &str) -> i64 {
        let question = AssertSqlSafe(question.to_owned());
        if let Some(schema) = &self.schema {
            let mut connection = PgConnection::connect(schema.url().as_str()).await.unwrap();
            return sqlx::query_scalar(question).fetch_one(&mut connection).await.unwrap();
        }
        let file = SqliteConnectOptions::new().filename(self.path().join("accounts.db"));
        let mut connection = file.connect().await.unwrap();
        sqlx::query_scalar(question).fetch_one(&mut connection).await.unwrap()
    }
}

/// A schema, dropped at the end.
struct Schema(String);

impl Schema {
    async fn new(folder: &Path) -> Self {
        // No other process has this id, and no other test of this one this folder.
        let name = folder.file_name().unwrap().to_str().unwrap().to_lowercase();
        let name = format!("e2e_{}_{}", std::process::id(), name.trim_start_matches('.'));
        on_server(&server(), &format!("CREATE SCHEMA {name}")).await;
        Self(name)
    }

    fn url(&self) -> Url {
        let mut url = server();
        url.query_pairs_mut().append_pair("options[search_path]", &self.0);
        url
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        let drop = format!("SET lock_timeout = '10s'; DROP SCHEMA {} CASCADE", self.0);
        // The test's runtime cannot be waited for within it.
        let dropping = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(on_server(&server(), &drop));
        });
        assert!(dropping.join().is_ok() || thread::panicking(), "the schema is dropped");
    }
}

fn server() -> Url {
    tool("TEST_DATABASE_URL").to_str().unwrap().parse().unwrap()
}

async fn on_server(server: &Url, statement: &str) {
    let mut connection = PgConnection::connect(server.as_str()).await.unwrap();
    let statement = sqlx::raw_sql(AssertSqlSafe(statement.to_owned()));
    statement.execute(&mut connection).await.unwrap();
}
