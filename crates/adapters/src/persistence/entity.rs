//! The tables as SeaORM sees them. Instants are microseconds since 1970, lists are comma-separated.

pub(super) mod account_event;
pub(super) mod account_survey;
pub(super) mod account_token;
pub(super) mod app_breaker;
pub(super) mod event_consumer;
pub(super) mod event_log;
pub(super) mod former_account;
pub(super) mod hosted_code;
pub(super) mod instagram_account;
pub(super) mod link_attempt;
pub(super) mod pending_link;
pub(super) mod renewal_lease;
pub(super) mod sealing_key;
pub(super) mod token_audit;
pub(super) mod user_key;
pub(super) mod user_removal;
