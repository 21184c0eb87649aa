//! The database schema, step by step: forward only, the same steps for every database.

use std::collections::HashSet;

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::EntityTrait;
use sea_orm_migration::seaql_migrations;

mod event_triggers;
mod m20261124_000001_create_account;
mod m20261124_000002_create_pending_link;
mod m20261124_000003_create_link_attempt;
mod m20261124_000004_create_renewal_lease;
mod m20261124_000005_create_token_audit;
mod m20261128_000001_index_listings;
mod m20261128_000002_create_sealing_key;
mod m20261128_000003_default_token_issue_time;
mod m20261128_000004_schedule_visits;
mod m20261128_000005_survey_accounts;
mod m20261129_000001_log_events;
mod m20261129_000002_receive_callbacks;
mod m20261129_000003_bound_callbacks;
mod m20261130_000001_index_audit_and_keys;
mod m20261130_000002_slim_event_indexes;

/// Brings a database up to date.
///
/// Steps that a newer binary has taken are no error: a roll-back of the binary must start.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261124_000001_create_account::Migration),
            Box::new(m20261124_000002_create_pending_link::Migration),
            Box::new(m20261124_000003_create_link_attempt::Migration),
            Box::new(m20261124_000004_create_renewal_lease::Migration),
            Box::new(m20261124_000005_create_token_audit::Migration),
            Box::new(m20261128_000001_index_listings::Migration),
            Box::new(m20261128_000002_create_sealing_key::Migration),
            Box::new(m20261128_000003_default_token_issue_time::Migration),
            Box::new(m20261128_000004_schedule_visits::Migration),
            Box::new(m20261128_000005_survey_accounts::Migration),
            Box::new(m20261129_000001_log_events::Migration),
            Box::new(m20261129_000002_receive_callbacks::Migration),
            Box::new(m20261129_000003_bound_callbacks::Migration),
            Box::new(m20261130_000001_index_audit_and_keys::Migration),
            Box::new(m20261130_000002_slim_event_indexes::Migration),
        ]
    }

    async fn get_migration_models<C>(db: &C) -> Result<Vec<seaql_migrations::Model>, DbErr>
    where
        C: ConnectionTrait,
    {
        Self::install(db).await?;
        let steps = Self::migrations();
        let known: HashSet<&str> = steps.iter().map(|step| step.name()).collect();
        let mut taken = seaql_migrations::Entity::find().all(db).await?;
        taken.retain(|step| known.contains(step.version.as_str()));
        Ok(taken)
    }
}
