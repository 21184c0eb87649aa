//! All that is stored, to look for what must not be there.

use std::fs;
use std::path::Path;

use reqwest::Url;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, SqliteConnection};

use super::Place;

/// All that is stored at a place.
pub(crate) struct Everything {
    /// The rows of each table by its name, as text, in which bytes are hexadecimal digits.
    pub(crate) tables: Vec<(String, String)>,
    /// The bytes of each file of the database.
    pub(crate) files: Vec<Vec<u8>>,
}

impl Everything {
    /// The rows of all tables.
    pub(crate) fn rows(&self) -> String {
        self.tables.iter().map(|(_, rows)| rows.as_str()).collect()
    }

    /// All of it as one text.
    pub(crate) fn text(&self) -> String {
        let files = self.files.iter().map(|bytes| String::from_utf8_lossy(bytes));
        files.fold(self.rows(), |text, file| text + file.as_ref())
    }
}

impl Place {
    /// Every row of every table, and every file that the service has written beside its key.
    pub(crate) async fn everything(&self) -> Everything {
        let files = fs::read_dir(self.path()).unwrap().map(|file| file.unwrap());
        let ours =
            files.filter(|file| file.file_name().to_string_lossy().starts_with("accounts.db"));
        let files = ours.map(|file| fs::read(file.path()).unwrap()).collect();
        let tables = match self.schema_url() {
            Some(schema) => postgres_tables(&schema).await,
            None => sqlite_tables(self.path()).await,
        };
        Everything { tables, files }
    }

    /// The values of a column of bytes.
    pub(crate) async fn bytes(&self, table: &str, column: &str) -> Vec<Vec<u8>> {
        let values = format!("SELECT {column} FROM {table} WHERE {column} IS NOT NULL");
        let values = AssertSqlSafe(values);
        if let Some(schema) = self.schema_url() {
            let mut connection = PgConnection::connect(schema.as_str()).await.unwrap();
            return sqlx::query_scalar(values).fetch_all(&mut connection).await.unwrap();
        }
        sqlx::query_scalar(values).fetch_all(&mut file(self.path()).await).await.unwrap()
    }
}

async fn postgres_tables(schema: &Url) -> Vec<(String, String)> {
    let mut connection = PgConnection::connect(schema.as_str()).await.unwrap();
    let names = "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()";
    let names: Vec<String> = sqlx::query_scalar(names).fetch_all(&mut connection).await.unwrap();
    let mut tables = Vec::new();
    for name in names {
        let rows = AssertSqlSafe(format!("SELECT row_to_json(t)::text FROM {name} t"));
        let rows: Vec<String> = sqlx::query_scalar(rows).fetch_all(&mut connection).await.unwrap();
        tables.push((name, rows.concat()));
    }
    tables
}

async fn sqlite_tables(folder: &Path) -> Vec<(String, String)> {
    let mut connection = file(folder).await;
    let queries = "SELECT tab.name, 'SELECT ' || group_concat(
            'CASE typeof(' || col.name || ') WHEN ''blob'' THEN lower(hex(' || col.name || ')) ELSE quote(' || col.name || ') END',
            ' || '','' || ') || ' FROM ' || tab.name
        FROM sqlite_schema AS tab JOIN pragma_table_info(tab.name) AS col
        WHERE tab.type = 'table' GROUP BY tab.name";
    let queries: Vec<(String, String)> =
        sqlx::query_as(queries).fetch_all(&mut connection).await.unwrap();
    let mut tables = Vec::new();
    for (name, rows) in queries {
        let rows = sqlx::query_scalar(AssertSqlSafe(rows));
        let rows: Vec<String> = rows.fetch_all(&mut connection).await.unwrap();
        tables.push((name, rows.join("\n")));
    }
    tables
}

async fn file(folder: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(folder.join("accounts.db")).connect().await.unwrap()
}
