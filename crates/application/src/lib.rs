//! Use cases of the service: one a file, over the ports of the domain.
//!
//! A use case that must outlive its caller comes in two halves: the work itself, a plain future that may be dropped
//! between any two port calls without harm, and the entry that runs it in a task of its own, once for all concurrent
//! callers that ask for the same.

mod app_health;
mod begin_link;
mod count_sealed;
mod deauthorize;
mod delete_user_data;
mod fetch_access_token;
mod get_account;
mod get_accounts;
mod group_commit;
mod guarded_update;
mod hosted_link;
mod import_account;
mod keeper;
mod lease_extension;
mod lease_wait;
mod leased_calls;
mod link_account;
mod list_accounts;
mod placement;
mod ports;
mod purge_audit;
mod read_account;
mod read_cache;
mod receive_webhooks;
mod refresh_account;
mod retry;
mod rotate_keys;
mod single_flight;
mod subscriptions;
mod survey_accounts;
mod sweep;
mod throttle;
mod token_calls;
mod unlink_account;
mod watch;
mod witness;

pub use app_health::AppHealth;
pub use begin_link::{
    BeginLink, BeginLinkCommand, BeginLinkError, BegunLink, HostedConsent, LinkReturn, LinkSettings,
};
pub use count_sealed::{CountSealed, KeyUse};
pub use deauthorize::{Deauthorize, RemovalError};
pub use delete_user_data::{DeleteUserData, EraseRemoved, FindDeletion};
pub use fetch_access_token::{
    FetchAccessToken, FetchAccessTokenCommand, FetchAccessTokenError, FetchedAccessToken,
    HandOutRecorder, NotRenewed,
};
pub use get_account::{GetAccount, GetAccountError};
pub use get_accounts::{FoundAccounts, GetAccounts};
pub use hosted_link::{FinishHostedLink, HostedEnd, HostedLinkError};
pub use import_account::{
    ImportAccount, ImportAccountCommand, ImportAccountError, ImportOutcome, ImportWork,
    ImportedAccount,
};
pub use keeper::{Keeper, KeeperSettings, KeeperWork};
pub use lease_wait::MAX_TAKEOVER_TIME;
pub use link_account::{LinkAccount, LinkAccountError, LinkWork, LinkedAccount, Presented};
pub use list_accounts::{ListAccounts, ListAccountsQuery, ListedAccounts};
pub use ports::{Ports, StorePorts};
pub use purge_audit::PurgeAudit;
pub use read_account::ReadAccount;
pub use read_cache::{CachedAccounts, ReadCache};
pub use receive_webhooks::{ReceiveWebhooks, ReceiveWebhooksError, ReceiveWork};
pub use refresh_account::{
    DeadToken, RefreshAccount, RefreshAccountError, RefreshWork, RefreshedAccount, TokenOutcome,
};
pub use rotate_keys::{RotateKeys, RotatedKeys};
pub use survey_accounts::SurveyAccounts;
pub use sweep::Sweep;
pub use unlink_account::{UnlinkAccount, UnlinkAccountError};
pub use watch::{
    CommitWatch, CommitWatchError, ConsumerHolds, EventPoller, OpenWatch, OpenWatchError,
    PurgeEvents, RightsLost, SharedMessage, Watch, WatchCommand, WatchEnd, WatchFrom, WatchMessage,
    WatchPorts, WatchRights, WatchScope, WatchStream,
};
