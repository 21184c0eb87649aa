//! Last surveys of all accounts, one for each app.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "account_survey")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub app_id: String,
    pub turn_time: Option<i64>,
    pub survey_time: Option<i64>,
    pub active: i64,
    pub reauthorization_required: i64,
    pub first_expire_time: Option<i64>,
    pub due: i64,
    pub overdue: i64,
    pub longest_due_time: Option<i64>,
    pub in_trouble: String,
    pub of_other_apps: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
