//! Logs of events, one for each app.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "event_log")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub app_id: String,
    pub log_id: Uuid,
    pub head_number: i64,
    pub head_event_id: Uuid,
    pub purged_number: i64,
    pub purged_event_id: Uuid,
    pub purged_time: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
