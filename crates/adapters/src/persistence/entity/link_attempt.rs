//! Attempts to turn a code into an account.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "link_attempt")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub app_id: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub code_hash: Vec<u8>,
    pub state_hash: Vec<u8>,
    pub owner: String,
    pub session_binding_hash: Vec<u8>,
    pub redirect_uri: String,
    pub scopes: String,
    pub account_id: Option<Uuid>,
    pub create_time: i64,
    pub phase: String,
    pub sealed_token: Option<Vec<u8>>,
    pub receive_time: Option<i64>,
    pub user_id: Option<String>,
    pub granted_scopes: Option<String>,
    pub outcome: Option<String>,
    pub end_time: Option<i64>,
    pub linked_account_id: Option<Uuid>,
    pub created: Option<bool>,
    pub missing_scopes: Option<String>,
    pub graph_code: Option<i64>,
    pub graph_subcode: Option<i64>,
    pub fbtrace_id: Option<String>,
    pub lease_holder: Option<Uuid>,
    pub lease_end: Option<i64>,
    pub link_end: Option<String>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
