//! Events of accounts, and updates of them that came by webhook.

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
    pub webhook_id: Option<Vec<u8>>,
    pub webhook_field: Option<String>,
    pub webhook_direction: Option<String>,
    pub webhook_peer_id: Option<String>,
    pub webhook_time: Option<i64>,
    pub payload_size: Option<i64>,
}

/// Column of the sealed payload, which is up to 128 KiB: it is read only where it is asked for.
pub(in crate::persistence) const SEALED_PAYLOAD: &str = "sealed_payload";

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
