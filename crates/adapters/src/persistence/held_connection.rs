//! A connection that reads one statement after the other.

use std::time::{Duration, Instant};

use ig_domain::ports::StoreError;
use sea_orm::sea_query::{PostgresQueryBuilder, SelectStatement, SqliteQueryBuilder};
use sea_orm::sqlx::pool::PoolConnection;
use sea_orm::sqlx::{self, AssertSqlSafe, Postgres, Sqlite, Transaction};
use sea_orm::{FromQueryResult, QueryResult};
use sea_query_sqlx::SqlxBinder as _;

use super::Database;
use super::database::Engine;
use super::error::{failed, translate};
use super::postgres;

/// Time in which reads may follow one another on one connection. Ours: so much later at most is noticed what the pools
/// look after when a connection is taken from them (whether the file is still there, whether its session is at fault),
/// and so much longer at most waits whoever waits for a connection.
const MAX_HOLD: Duration = Duration::from_millis(20);

/// A connection that was taken from its pool, for reads that follow one another: each sees what was committed before it
/// began. It goes back when it is dropped, which nobody waits for. After a failed read it must be.
pub(super) struct HeldConnection {
    connection: Connection,
    since: Instant,
}

enum Connection {
    Sqlite(PoolConnection<Sqlite>),
    /// A transaction whose length the server bounds.
    Postgres(Transaction<'static, Postgres>),
}

impl Database {
    /// Takes a connection for reads.
    pub(super) async fn hold_connection(&self) -> Result<HeldConnection, StoreError> {
        let pools = self.reading();
        let connection = match &self.engine {
            Engine::Sqlite { .. } => {
                pools.get_sqlite_connection_pool().acquire().await.map(Connection::Sqlite)
            }
            Engine::Postgres(_) => postgres::begin_reads(pools).await.map(Connection::Postgres),
        };
        let connection = connection.map_err(failed)?;
        Ok(HeldConnection { connection, since: Instant::now() })
    }
}

impl HeldConnection {
    /// Whether another read may follow.
    pub(super) fn may_go_on(&self) -> bool {
        self.since.elapsed() < MAX_HOLD
    }

    /// The rows that one statement reads.
    pub(super) async fn read(
        &mut self,
        query: &SelectStatement,
    ) -> Result<Vec<QueryResult>, StoreError> {
        match &mut self.connection {
            Connection::Sqlite(connection) => {
                let (sql, values) = query.build_sqlx(SqliteQueryBuilder);
                let read = sqlx::query_with(AssertSqlSafe(sql), values);
                let rows = read.fetch_all(&mut **connection).await.map_err(failed)?;
                Ok(rows.into_iter().map(QueryResult::from).collect())
            }
            Connection::Postgres(transaction) => {
                let (sql, values) = query.build_sqlx(PostgresQueryBuilder);
                let read = sqlx::query_with(AssertSqlSafe(sql), values);
                let rows = read.fetch_all(&mut **transaction).await.map_err(failed)?;
                Ok(rows.into_iter().map(QueryResult::from).collect())
            }
        }
    }

    /// The first row that one statement reads.
    pub(super) async fn read_one<M: FromQueryResult>(
        &mut self,
        query: &SelectStatement,
    ) -> Result<Option<M>, StoreError> {
        let rows = self.read(query).await?;
        let row = rows.first().map(|row| M::from_query_result(row, "")).transpose();
        row.map_err(|error| translate(&error))
    }
}
