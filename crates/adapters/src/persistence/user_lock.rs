//! The lock of a person, which excludes a removal and the end of a link whose account is not there yet.

use ig_domain::ports::StoreError;
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbBackend, Statement, Value};

use super::SeaOrmStore;
use super::error::translate;

impl SeaOrmStore {
    /// Locks the persons of these hashes until the end of the transaction: before anything else in it, and before the
    /// statement that looks for what the lock excludes. Two persons whose hashes begin alike only wait for each other.
    pub(super) async fn lock_users(
        &self,
        on: &DatabaseTransaction,
        hashes: &[[u8; 32]],
    ) -> Result<(), StoreError> {
        // A transaction that writes has the whole of SQLite.
        if hashes.is_empty() || self.backend() == DbBackend::Sqlite {
            return Ok(());
        }
        let mut numbers: Vec<i64> = hashes.iter().map(lock_number).collect();
        // In one order everywhere, so that no two wait for each other.
        numbers.sort_unstable();
        let locks = (1..=numbers.len()).map(|place| format!("pg_advisory_xact_lock(${place})"));
        let locks = format!("SELECT {}", locks.collect::<Vec<_>>().join(", "));
        let numbers = numbers.into_iter().map(Value::from);
        let locking = Statement::from_sql_and_values(DbBackend::Postgres, locks, numbers);
        on.execute_raw(locking).await.map(drop).map_err(|error| translate(&error))
    }
}

/// The number that PostgreSQL knows the lock by.
fn lock_number(hash: &[u8; 32]) -> i64 {
    let (begin, _) = hash.split_first_chunk().unwrap_or((&[0; 8], &[]));
    i64::from_be_bytes(*begin)
}
