//! Begins a link: a single-use state, and the URL to send a person to.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ig_domain::ports::{AccountKey, Accounts, Clock, Ids, Instagram, PendingLinks, StoreError};
use ig_domain::{
    AccountId, GrantedScopes, InstagramAccount, Owner, PendingLink, RedirectUri, RequestedScopes,
    SessionBinding, StateToken,
};
use time::OffsetDateTime;

/// Begins links.
pub struct BeginLink {
    /// Where an account to be re-authorised is found.
    pub accounts: Arc<dyn Accounts>,
    /// Where the state is kept.
    pub pending_links: Arc<dyn PendingLinks>,
    /// Where the person is sent.
    pub instagram: Arc<dyn Instagram>,
    /// Business time.
    pub clock: Arc<dyn Clock>,
    /// Makes the state.
    pub ids: Arc<dyn Ids>,
    /// The redirect URIs that may be used; empty for any.
    pub redirect_uris: Vec<RedirectUri>,
    /// How long a state lives.
    pub state_ttl: Duration,
}

/// What a link begins with.
#[derive(Clone, Debug)]
pub struct BeginLinkCommand {
    /// Whose account it will be.
    pub owner: Owner,
    /// Where the browser shall come back to.
    pub redirect_uri: RedirectUri,
    /// What to ask for; `None` for what was granted before, or else the usual.
    pub scopes: Option<RequestedScopes>,
    /// Whether the person must log in even with a session at Instagram.
    pub force_reauth: bool,
    /// The one account to re-authorise; `None` for any.
    pub account: Option<AccountId>,
    /// The browser session to tie the link to.
    pub session_binding: SessionBinding,
}

/// A link that has begun.
#[derive(Clone)]
pub struct BegunLink {
    /// Where to send the person's browser. Holds the state.
    pub authorization_url: String,
    /// The state in it.
    pub state: StateToken,
    /// From when on it is refused.
    pub expire_time: OffsetDateTime,
}

impl fmt::Debug for BegunLink {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("BegunLink");
        shown.field("expire_time", &self.expire_time).finish_non_exhaustive()
    }
}

/// Why a link does not begin.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BeginLinkError {
    /// The redirect URI is not one of those that may be used.
    #[error("the redirect URI is not on the list of allowed ones")]
    RedirectUriRejected,
    /// The account to be re-authorised is not there, or another owner's.
    #[error("there is no such account of this owner")]
    AccountNotFound,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl BeginLink {
    /// Makes and keeps a state.
    ///
    /// # Errors
    ///
    /// Any [`BeginLinkError`]; nothing is kept then.
    pub async fn execute(&self, command: BeginLinkCommand) -> Result<BegunLink, BeginLinkError> {
        let any = self.redirect_uris.is_empty();
        if !any && !self.redirect_uris.contains(&command.redirect_uri) {
            return Err(BeginLinkError::RedirectUriRejected);
        }
        let granted = match command.account {
            Some(id) => Some(self.account(id, &command.owner).await?.granted_scopes),
            None => None,
        };
        let scopes = command.scopes.unwrap_or_else(|| formerly(granted.as_ref()));
        let state = self.ids.state();
        let now = self.clock.now();
        let pending = PendingLink {
            state: state.hash(),
            owner: command.owner,
            session_binding: command.session_binding.hash(),
            redirect_uri: command.redirect_uri,
            scopes,
            account: command.account,
            create_time: now,
            expire_time: now + self.state_ttl,
            spent_by: None,
        };
        self.pending_links.insert(&pending).await?;
        let authorization_url = self.instagram.authorization_url(
            &pending.redirect_uri,
            &pending.scopes,
            &state,
            command.force_reauth,
        );
        Ok(BegunLink { authorization_url, state, expire_time: pending.expire_time })
    }

    async fn account(
        &self,
        id: AccountId,
        owner: &Owner,
    ) -> Result<InstagramAccount, BeginLinkError> {
        let found = self.accounts.find(&AccountKey::Id(id)).await?;
        found.filter(|account| account.owner == *owner).ok_or(BeginLinkError::AccountNotFound)
    }
}

/// What was granted before, or the usual where nothing is known.
fn formerly(granted: Option<&GrantedScopes>) -> RequestedScopes {
    let known = granted.filter(|granted| granted.are_known());
    let former = known.map(|granted| RequestedScopes::new(granted.iter().cloned()));
    former.and_then(Result::ok).unwrap_or_else(RequestedScopes::usual)
}
