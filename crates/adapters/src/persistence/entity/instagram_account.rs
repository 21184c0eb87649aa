//! Linked accounts.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "instagram_account")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub app_id: String,
    pub professional_account_id: String,
    pub app_scoped_user_id: Option<String>,
    pub exchange_user_id: Option<String>,
    pub owner: String,
    pub username: String,
    pub name: Option<String>,
    pub profile_picture_url: Option<String>,
    pub account_type: String,
    pub followers_count: Option<i64>,
    pub follows_count: Option<i64>,
    pub media_count: Option<i64>,
    pub granted_scopes: Option<String>,
    pub refused: Option<String>,
    pub consent_time: i64,
    pub token_issue_time: i64,
    pub token_expire_time: i64,
    pub link_time: i64,
    pub profile_time: i64,
    pub update_time: i64,
    pub revision: i64,
    pub next_visit_time: Option<i64>,
    pub scheduled_revision: i64,
    pub failed_visits: i64,
    pub retry_time: Option<i64>,
    pub trouble_cause: Option<String>,
    pub trouble_since_time: Option<i64>,
    pub trouble_attempts: i64,
    pub event_revision: i64,
    pub subscription_active: Option<bool>,
    pub subscription_error: Option<String>,
    pub subscription_check_time: Option<i64>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(has_one = "super::account_token::Entity")]
    Token,
}

impl Related<super::account_token::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Token.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
