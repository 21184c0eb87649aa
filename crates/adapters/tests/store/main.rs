//! The store on SQLite and on PostgreSQL: what every store promises, and what only a database can do.

#![cfg(test)]

mod concurrency;
mod consumers;
mod damage;
mod erasure;
mod event_order;
mod examination;
mod fixture;
mod flooding;
mod gathered_reads;
mod grants;
mod keeper;
mod keys;
mod migrations;
mod outage;
mod read_cache;
mod removals;
mod restore;
mod rotation;
mod round_trips;
mod secrets;
mod told_by_triggers;
mod unlinked;
mod upgrade;
mod webhooks;

mod sqlite {
    use super::fixture::Sqlite;

    async fn fresh() -> Sqlite {
        Sqlite::migrated().await
    }

    ig_test_support::store_contract!(fresh);
    ig_test_support::faults_are_seen!(fresh);
}

mod postgres {
    use super::fixture::Postgres;

    async fn fresh() -> Postgres {
        Postgres::migrated().await
    }

    ig_test_support::store_contract!(fresh);
    ig_test_support::faults_are_seen!(fresh);
}
