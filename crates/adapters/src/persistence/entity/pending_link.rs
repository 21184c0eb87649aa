//! Links that have begun.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "pending_link")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub app_id: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub state_hash: Vec<u8>,
    pub owner: String,
    pub session_binding_hash: Vec<u8>,
    pub redirect_uri: String,
    pub scopes: String,
    pub account_id: Option<Uuid>,
    pub create_time: i64,
    pub expire_time: i64,
    pub spent_by: Option<Vec<u8>>,
    pub link_end: Option<String>,
    pub return_url: Option<String>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
