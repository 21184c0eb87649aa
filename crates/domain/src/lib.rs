//! Linked Instagram professional accounts: the values, the rules and the ports.
//!
//! Nothing here does I/O, reads a clock or knows a framework. Text from outside becomes one of these
//! types exactly once, at the edge; whoever holds a value may rely on it.

mod account;
mod attempt;
mod audit;
mod authorization_response;
mod bearer_token;
mod caller;
mod code;
mod consumer;
mod event;
mod grant;
mod hash;
mod identifiers;
mod instagram_id;
mod line_limit;
mod listing;
mod owner;
mod owner_scope;
mod pending_link;
pub mod ports;
mod profile;
mod public_url;
mod redirect_uri;
mod return_url;
mod schedule;
mod scope;
mod subscription;
mod ticket;
mod token;
mod user_removal;
mod username;
mod webhook;
mod webhook_fields;

pub use account::{
    AccountStatus, AccountView, InstagramAccount, NotRenewable, ReauthorizationReason,
};
pub use attempt::{
    CODE_LIFETIME, Consent, HOSTED_CODE_RETENTION, LINK_RETENTION, LinkAttempt, LinkOutcome,
    LinkRefusal, Phase, REPLAY_WINDOW, SHORT_LIVED_LIFETIME, ShortLivedGrant,
};
pub use audit::{
    AuditEntry, AuditId, InvalidPurpose, InvalidRequestId, Purpose, Recipient, RequestId,
};
pub use authorization_response::{
    AuthorizationResponse, ConsentDenial, InvalidAuthorizationResponse,
};
pub use bearer_token::{BearerToken, InvalidBearerToken};
pub use caller::{Caller, CallerName, InvalidCallerName, InvalidRole, Role};
pub use code::{AuthorizationCode, InvalidAuthorizationCode};
pub use consumer::{ConsumerName, InvalidConsumerName};
pub use event::{
    AccountEvent, ChangedField, ChangedFields, EventChange, EventKind, EventPosition, LoggedEvent,
    UnlinkCause,
};
pub use grant::{
    ImportedLife, InvalidTokenTime, MIN_RENEWAL_AGE, TokenGrant, TokenLifetime,
    UNKNOWN_END_LIFETIME,
};
pub use hash::{BearerHash, CodeHash, ImportHash, SessionBindingHash, StateHash, TicketHash};
pub use identifiers::{
    AccountId, AppId, EventId, InvalidAccountId, InvalidAppId, LeaseHolder, LogId,
};
pub use instagram_id::{AppScopedUserId, InstagramId, InvalidInstagramId, ProfessionalAccountId};
pub use line_limit::LineLimit;
pub use listing::{ListingOrder, ListingPosition};
pub use owner::{InvalidOwner, Owner};
pub use owner_scope::{OwnerNotAllowed, OwnerPattern, OwnerScope};
pub use pending_link::{
    InvalidSessionBinding, InvalidStateToken, LinkEnd, LinkEndKind, PendingLink, Presentation,
    PresentedBy, SessionBinding, StateRejection, StateToken, TicketPresentation,
};
pub use profile::{AccountType, Profile};
pub use public_url::{InvalidPublicUrl, PublicUrl};
pub use redirect_uri::{InvalidRedirectUri, RedirectUri};
pub use return_url::{InvalidReturnUrl, ReturnUrl};
pub use schedule::{
    DEFAULT_READING_INTERVAL, KeepingPlan, RefreshTrouble, TroubleCause, URGENT_LIFETIME,
    VisitFailures, VisitTask,
};
pub use scope::{GrantedScopes, InvalidScope, RequestedScopes, Scope, TooManyScopes};
pub use subscription::WebhookSubscription;
pub use ticket::{InvalidTicket, Ticket};
pub use token::{InvalidToken, LongLivedToken, ShortLivedToken, TokenText};
pub use user_removal::{
    ConfirmationCode, Deletion, DeletionState, InvalidConfirmationCode, MAX_ISSUE_TIME_AHEAD,
    RemovalOutcome, SignedRequest,
};
pub use username::{InvalidUsername, Username};
pub use webhook::{
    Direction, ReceivedUpdate, UpdateFacts, UpdateKind, WebhookField, WebhookId, WebhookPayload,
    WebhookUpdate,
};
pub use webhook_fields::{InvalidWebhookField, WebhookFields};
