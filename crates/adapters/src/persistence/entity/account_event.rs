//! Events of accounts.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "account_event")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub app_id: String,
    pub number: Option<i64>,
    pub event_id: Uuid,
    pub kind: String,
    pub event_time: i64,
    pub account_id: Uuid,
    pub professional_account_id: String,
    pub owner: String,
    pub revision: i64,
    pub changed_fields: Option<String>,
    pub cause: Option<String>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
