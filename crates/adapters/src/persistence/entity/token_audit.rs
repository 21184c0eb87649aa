//! Audit: which token was handed to whom.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "token_audit")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub app_id: String,
    pub hand_out_time: i64,
    pub caller: String,
    pub purpose: String,
    pub request_id: String,
    pub account_id: Uuid,
    pub professional_account_id: String,
    pub owner: String,
    pub token_issue_time: i64,
    pub token_expire_time: i64,
    pub revision: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
