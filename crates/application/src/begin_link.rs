//! Begins a link: makes a single-use state, and the URL to send a person to.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ig_domain::ports::{
    AccountKey, AccountReader, Clock, Ids, Instagram, PendingLinks, StoreError,
};
use ig_domain::{
    AccountId, GrantedScopes, InstagramAccount, LinkEnd, Owner, PendingLink, RedirectUri,
    RequestedScopes, ReturnUrl, SessionBinding, StateToken,
};
use time::OffsetDateTime;

/// Begins links.
pub struct BeginLink {
    /// Store of the account to be re-authorised.
    pub accounts: Arc<dyn AccountReader>,
    /// Store of the state.
    pub pending_links: Arc<dyn PendingLinks>,
    /// Instagram, to which the person is sent.
    pub instagram: Arc<dyn Instagram>,
    /// Business time.
    pub clock: Arc<dyn Clock>,
    /// Source of the state.
    pub ids: Arc<dyn Ids>,
    /// Rules of the links.
    pub settings: LinkSettings,
}

/// Rules of the links that begin.
#[derive(Clone, Debug)]
pub struct LinkSettings {
    /// The callers' redirect URIs that may be used; empty for any.
    pub redirect_uris: Vec<RedirectUri>,
    /// Rules of hosted consent; `None` where it is not offered.
    pub hosted: Option<HostedConsent>,
    /// Lifetime of a state, where no other is asked for.
    pub state_ttl: Duration,
}

/// Rules of hosted consent, in which Instagram sends the browser to our own callback.
#[derive(Clone, Debug)]
pub struct HostedConsent {
    /// Our own callback.
    pub redirect_uri: RedirectUri,
    /// URLs of which one, or a page below one, may be a return URL; empty for none.
    pub return_urls: Vec<ReturnUrl>,
}

/// Arguments of [`BeginLink::execute`].
#[derive(Clone, Debug)]
pub struct BeginLinkCommand {
    /// Owner of the account to be linked.
    pub owner: Owner,
    /// Place that the browser shall come back to.
    pub link_return: LinkReturn,
    /// Scopes to ask for; `None` for those granted before, or else the default ones.
    pub scopes: Option<RequestedScopes>,
    /// Whether the person must log in even with a session at Instagram.
    pub force_reauth: bool,
    /// The one account to re-authorise; `None` for any.
    pub account: Option<AccountId>,
    /// The browser session to tie the link to.
    pub session_binding: SessionBinding,
}

/// Place that the browser of a link shall come back to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkReturn {
    /// The caller.
    Caller(RedirectUri),
    /// Our own callback.
    Hosted {
        /// Page of the caller to which the browser goes on; `None` where our own page ends the link.
        return_url: Option<ReturnUrl>,
        /// Lifetime of the state; `None` for the usual one.
        ttl: Option<Duration>,
    },
}

/// A link that has begun.
#[derive(Clone)]
pub struct BegunLink {
    /// URL to send the person's browser to. Holds the state.
    pub authorization_url: String,
    /// The state in it.
    pub state: StateToken,
    /// Moment from which on the state is refused.
    pub expire_time: OffsetDateTime,
}

impl fmt::Debug for BegunLink {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("BegunLink");
        shown.field("expire_time", &self.expire_time).finish_non_exhaustive()
    }
}

/// Reason for which a link does not begin.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BeginLinkError {
    /// The redirect URI is not one of those that may be used.
    #[error("the redirect URI is not on the list of allowed ones")]
    RedirectUriRejected,
    /// There is no hosted consent, and no redirect URI to do without.
    #[error("hosted consent is not offered")]
    NoHostedConsent,
    /// The return URL is neither one of those that may be used nor below one.
    #[error("the return URL is not on the list of allowed ones")]
    ReturnUrlRejected,
    /// The account to be re-authorised does not exist, or is another owner's.
    #[error("there is no such account of this owner")]
    AccountNotFound,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl BeginLink {
    /// Makes a state and stores it.
    ///
    /// # Errors
    ///
    /// Any [`BeginLinkError`]; nothing is stored then.
    pub async fn execute(&self, command: BeginLinkCommand) -> Result<BegunLink, BeginLinkError> {
        let Return { redirect_uri, end, ttl } = self.settings.admit(command.link_return)?;
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
            redirect_uri,
            end,
            scopes,
            account: command.account,
            create_time: now,
            expire_time: now + ttl,
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

/// Place that the browser comes back to, and the time for it.
struct Return {
    redirect_uri: RedirectUri,
    end: LinkEnd,
    ttl: Duration,
}

impl LinkSettings {
    fn admit(&self, link_return: LinkReturn) -> Result<Return, BeginLinkError> {
        match link_return {
            LinkReturn::Caller(redirect_uri) => {
                if !self.redirect_uris.is_empty() && !self.redirect_uris.contains(&redirect_uri) {
                    return Err(BeginLinkError::RedirectUriRejected);
                }
                Ok(Return { redirect_uri, end: LinkEnd::Caller, ttl: self.state_ttl })
            }
            LinkReturn::Hosted { return_url, ttl } => {
                let hosted = self.hosted.as_ref().ok_or(BeginLinkError::NoHostedConsent)?;
                let end = match return_url {
                    None => LinkEnd::Page,
                    Some(url) if hosted.return_urls.iter().any(|allowed| url.is_below(allowed)) => {
                        LinkEnd::ReturnUrl(url)
                    }
                    Some(_) => return Err(BeginLinkError::ReturnUrlRejected),
                };
                let redirect_uri = hosted.redirect_uri.clone();
                Ok(Return { redirect_uri, end, ttl: ttl.unwrap_or(self.state_ttl) })
            }
        }
    }
}

/// Scopes to ask for by default: those granted before, or the usual ones where none are known.
fn formerly(granted: Option<&GrantedScopes>) -> RequestedScopes {
    let known = granted.filter(|granted| granted.are_known());
    let former = known.map(|granted| RequestedScopes::new(granted.iter().cloned()));
    former.and_then(Result::ok).unwrap_or_else(RequestedScopes::usual)
}
