//! The store over SeaORM: rows of one Meta app behind the domain's ports, in SQLite or PostgreSQL.
//!
//! Reads are single statements, in PostgreSQL within transactions whose length the server bounds. Writes are
//! transactions of guarded statements: each changes only rows that are still as its guard says, and locks what it
//! changes until the commit. (SQLite locks the whole database.) Leases are timed by the database's own clock,
//! everything else by the instants that callers hand in.

use std::sync::Arc;

use ig_domain::ports::{BatchKey, TokenCipher};
use ig_domain::{AccountId, AppId, KeepingPlan};
use tokio::sync::OnceCell;

mod account_row;
mod accounts;
mod app_breaker;
mod attempt_row;
mod audit;
mod batch;
mod columns;
mod database;
mod database_url;
mod due_accounts;
#[expect(unreachable_pub, reason = "what SeaORM derives is as public as what it derives from")]
mod entity;
mod erasure;
mod error;
mod event_consumers;
mod event_log;
mod event_purge;
mod events;
mod examination;
mod former_accounts;
mod gathered_reads;
mod held_connection;
mod hosted_codes;
mod key_checks;
mod lease;
mod link_attempts;
mod linked_accounts;
mod listing;
mod paging;
mod pending_links;
#[cfg(test)]
mod plans;
mod postgres;
mod probe;
mod random_id;
mod renewal_leases;
mod restoration;
mod sealed_secrets;
mod sessions;
mod sqlite;
mod sqlite_log;
mod store_meter;
mod survey;
mod survey_row;
mod sweep;
mod tokens;
mod unreachable;
mod unreadable;
mod user_deletions;
mod user_key;
mod user_lock;
mod user_removals;
mod visit_changes;
mod webhooks;
mod write_obstacle;

use self::gathered_reads::GatheredReads;
use self::user_key::UserKey;

pub use database::Database;
pub use database_url::{DatabaseSettings, InvalidDatabaseUrl};
pub use examination::SubscriptionGroup;
pub use store_meter::StoreMeter;
pub use write_obstacle::WriteObstacle;

/// The rows of one Meta app in a database.
#[derive(Clone)]
pub struct SeaOrmStore {
    database: Arc<Database>,
    app: AppId,
    cipher: Arc<dyn TokenCipher>,
    meter: StoreMeter,
    plan: Arc<KeepingPlan>,
    user_key: Arc<OnceCell<UserKey>>,
    gathered_reads: Arc<GatheredReads<BatchKey>>,
    gathered_tokens: Arc<GatheredReads<AccountId>>,
}

impl SeaOrmStore {
    /// The rows of `app` in `database`, their tokens sealed by `cipher`, and calls counted by `meter`.
    #[must_use]
    pub fn new(
        database: Arc<Database>,
        app: AppId,
        cipher: Arc<dyn TokenCipher>,
        meter: StoreMeter,
    ) -> Self {
        let (plan, user_key, gathered_reads, gathered_tokens) = Default::default();
        Self { database, app, cipher, meter, plan, user_key, gathered_reads, gathered_tokens }
    }

    /// The same rows, scheduled by `plan`.
    #[must_use]
    pub fn with_plan(self, plan: KeepingPlan) -> Self {
        Self { plan: Arc::new(plan), ..self }
    }
}
