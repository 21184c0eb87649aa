//! A schema on the server that `TEST_DATABASE_URL` names, dropped at the end.

use std::process::Command;
use std::thread;

use reqwest::Url;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tempfile::TempDir;

use super::{Sandbox, Service, tool};

/// A schema in which nothing is, and a sandbox.
pub(crate) struct PostgresStack {
    pub(crate) sandbox: Sandbox,
    folder: TempDir,
    schema: String,
}

impl PostgresStack {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // No other process has this id, and no other test of this one this folder.
        let name = folder.path().file_name().unwrap().to_str().unwrap().to_lowercase();
        let schema = format!("e2e_{}_{}", std::process::id(), name.trim_start_matches('.'));
        on_server(&format!("CREATE SCHEMA {schema}")).await;
        Self { sandbox: Sandbox::start().await, folder, schema }
    }

    /// How the service opens the schema.
    pub(crate) fn url(&self) -> Url {
        let mut url = server();
        url.query_pairs_mut().append_pair("options[search_path]", &self.schema);
        url
    }

    /// The binary and its settings, still without a command.
    pub(crate) fn settings(&self) -> Command {
        let Sandbox { url, app_id, app_secret, .. } = &self.sandbox;
        let mut command = Service::settings(url, [app_id, app_secret], self.folder.path());
        command.env("DATABASE_URL", self.url().as_str());
        command
    }

    /// One more replica.
    pub(crate) async fn replica(&self) -> Service {
        let mut command = self.settings();
        command.arg("serve");
        Service::run(command).await
    }
}

impl Drop for PostgresStack {
    fn drop(&mut self) {
        let drop = format!("DROP SCHEMA {} CASCADE", self.schema);
        // The test's runtime cannot be waited for within it.
        let dropping = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(on_server(&drop));
        });
        assert!(dropping.join().is_ok() || thread::panicking(), "the schema is dropped");
    }
}

fn server() -> Url {
    tool("TEST_DATABASE_URL").to_str().unwrap().parse().unwrap()
}

async fn on_server(statement: &str) {
    let mut connection = PgConnection::connect(server().as_str()).await.unwrap();
    let statement = sqlx::raw_sql(AssertSqlSafe(statement.to_owned()));
    statement.execute(&mut connection).await.unwrap();
}
