//! A loop that only inserts, for measurements: `insert_updates DATABASE_URL APP_ID NUMBER BATCH`.
//!
//! It reads so many updates that the service stored for the app, inserts the same rows for another app, their numbers
//! included, each batch by one statement and one commit, prints how many rows it inserted in a second, and deletes them.

use std::error::Error;
use std::io::Write as _;
use std::time::Instant;

use sea_orm::sea_query::{Alias, Expr, Query};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DbBackend, FromQueryResult, Statement, Value,
};
use uuid::Uuid;

/// The app that the rows are inserted for.
const OTHER_APP: &str = "0";

/// A stored update.
#[derive(FromQueryResult)]
struct Update {
    number: i64,
    event_id: Uuid,
    kind: String,
    event_time: i64,
    account_id: Uuid,
    professional_account_id: String,
    owner: String,
    revision: i64,
    webhook_id: Vec<u8>,
    webhook_field: String,
    webhook_direction: Option<String>,
    webhook_peer_id: Option<String>,
    webhook_time: i64,
    payload_size: i64,
    sealed_payload: Option<Vec<u8>>,
}

const COLUMNS: [&str; 16] = [
    "app_id",
    "number",
    "event_id",
    "kind",
    "event_time",
    "account_id",
    "professional_account_id",
    "owner",
    "revision",
    "webhook_id",
    "webhook_field",
    "webhook_direction",
    "webhook_peer_id",
    "webhook_time",
    "payload_size",
    "sealed_payload",
];

impl Update {
    fn values(self) -> [Value; COLUMNS.len()] {
        [
            OTHER_APP.into(),
            self.number.into(),
            self.event_id.into(),
            self.kind.into(),
            self.event_time.into(),
            self.account_id.into(),
            self.professional_account_id.into(),
            self.owner.into(),
            self.revision.into(),
            self.webhook_id.into(),
            self.webhook_field.into(),
            self.webhook_direction.into(),
            self.webhook_peer_id.into(),
            self.webhook_time.into(),
            self.payload_size.into(),
            self.sealed_payload.into(),
        ]
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, app, number, batch] = arguments.as_slice() else {
        return Err("needs DATABASE_URL, APP_ID, NUMBER and BATCH".into());
    };
    let (number, batch): (u32, usize) = (number.parse()?, batch.parse()?);
    let database =
        Database::connect(ConnectOptions::new(url).max_connections(1).to_owned()).await?;
    let backend = database.get_database_backend();
    if backend == DbBackend::Sqlite {
        // As the service's connections.
        for pragma in ["synchronous = FULL", "secure_delete = ON", "busy_timeout = 3000"] {
            database.execute_unprepared(&format!("PRAGMA {pragma}")).await?;
        }
    }
    let stored = Statement::from_sql_and_values(
        backend,
        "SELECT * FROM account_event WHERE app_id = $1 AND webhook_id IS NOT NULL AND number IS NOT NULL ORDER BY id DESC LIMIT $2",
        [app.as_str().into(), i64::from(number).into()],
    );
    let mut updates = Update::find_by_statement(stored).all(&database).await?;
    if u32::try_from(updates.len())? != number {
        return Err(format!("only {} updates are stored", updates.len()).into());
    }
    let mut seconds = 0.0;
    while !updates.is_empty() {
        let some = updates.split_off(updates.len().saturating_sub(batch));
        let started = Instant::now();
        let mut insert = Query::insert()
            .into_table(Alias::new("account_event"))
            .columns(COLUMNS.map(Alias::new))
            .take();
        for update in some {
            insert.values(update.values().map(Expr::value))?;
        }
        database.execute(&insert).await?;
        seconds += started.elapsed().as_secs_f64();
    }
    writeln!(std::io::stdout(), "{:.1}", f64::from(number) / seconds)?;
    let inserted = "DELETE FROM account_event WHERE app_id = $1";
    database
        .execute_raw(Statement::from_sql_and_values(backend, inserted, [OTHER_APP.into()]))
        .await?;
    database.close().await?;
    Ok(())
}
