//! The store on SQLite: what every store promises, and what only a file can do.

#![cfg(test)]

mod concurrency;
mod damage;
mod fixture;
mod migrations;
mod outage;
mod secrets;

use fixture::Sqlite;

async fn fresh() -> Sqlite {
    Sqlite::migrated().await
}

ig_test_support::store_contract!(fresh);
