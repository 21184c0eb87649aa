//! Ends hosted consents: the browser comes to our own callback, and goes on to the caller or sees a page.

use std::sync::Arc;

use ig_domain::ports::{
    Clock, HostedCodes, InstagramError, LinkAttempts, PendingLinks, StoreError,
};
use ig_domain::{
    AccountId, AuthorizationCode, AuthorizationResponse, ConsentDenial, LinkEnd, LinkRefusal,
    PendingLink, Phase, Presentation, PresentedBy, ReturnUrl, Scope, SessionBinding, StateToken,
    Username,
};

use secrecy::SecretString;
use tokio_util::task::TaskTracker;

use crate::{LinkAccount, LinkAccountError, LinkedAccount, Ports};

/// Ends hosted consents.
pub struct FinishHostedLink {
    /// Finishes the links that end on our own page.
    link: LinkAccount,
    /// Store of the states.
    pending_links: Arc<dyn PendingLinks>,
    /// Store of the attempts.
    attempts: Arc<dyn LinkAttempts>,
    /// Store of the codes that wait for the caller.
    hosted_codes: Arc<dyn HostedCodes>,
    /// Business time.
    clock: Arc<dyn Clock>,
}

/// End of a hosted consent, as the person sees it.
#[derive(Clone, Debug)]
pub enum HostedEnd {
    /// The browser goes on to this URL of the caller, which holds the state and the ticket.
    SendBack(SecretString),
    /// The account is linked.
    Linked {
        /// Its id.
        account: AccountId,
        /// Its handle.
        username: Username,
        /// Scopes that were requested and not granted.
        missing_scopes: Vec<Scope>,
    },
    /// Instagram sent the browser without a code. The same link may be tried again.
    Denied(ConsentDenial),
    /// This code will never become an account.
    Refused(LinkRefusal),
    /// Instagram could not help now. The same visit may be made again.
    Failed(InstagramError),
    /// There is no such state, or it is over; or the linked account is gone.
    StateGone,
}

/// A hosted consent that could not be ended now. The same visit may be made again.
#[derive(Clone, Debug, thiserror::Error)]
pub enum HostedLinkError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The work panicked.
    #[error("the work of linking panicked")]
    Panicked,
}

impl FinishHostedLink {
    /// Ends consents over `ports`, and links in tasks that `tracker` waits for.
    #[must_use]
    pub fn new(ports: &Ports, tracker: TaskTracker) -> Self {
        Self {
            link: LinkAccount::new(ports, tracker),
            pending_links: ports.store.pending_links.clone(),
            attempts: ports.store.link_attempts.clone(),
            hosted_codes: ports.store.hosted_codes.clone(),
            clock: ports.clock.clone(),
        }
    }

    /// Ends the consent of the browser that came with `response`. A second visit has the end of the first. Dropping the
    /// future ends the waiting, not the work on a link.
    ///
    /// # Errors
    ///
    /// Any [`HostedLinkError`].
    #[tracing::instrument(name = "finish_hosted_link", level = "debug", skip_all)]
    pub async fn execute(
        &self,
        response: AuthorizationResponse,
    ) -> Result<HostedEnd, HostedLinkError> {
        match response {
            AuthorizationResponse::Granted { code, state } => self.granted(code, state).await,
            AuthorizationResponse::Denied { denial, state: Some(state) } => {
                self.denied(denial, &state).await
            }
            AuthorizationResponse::Denied { state: None, .. }
            | AuthorizationResponse::Kept { .. } => Ok(HostedEnd::StateGone),
        }
    }

    async fn granted(
        &self,
        code: AuthorizationCode,
        state: StateToken,
    ) -> Result<HostedEnd, HostedLinkError> {
        let Some(pending) = self.pending_links.find(&state.hash()).await? else {
            return Ok(HostedEnd::StateGone);
        };
        match &pending.end {
            LinkEnd::Caller => Ok(HostedEnd::StateGone),
            LinkEnd::Page => self.link(code, state, &pending).await,
            LinkEnd::ReturnUrl(url) => self.keep(&code, &state, &pending, url).await,
        }
    }

    /// Finishes the link itself.
    async fn link(
        &self,
        code: AuthorizationCode,
        state: StateToken,
        pending: &PendingLink,
    ) -> Result<HostedEnd, HostedLinkError> {
        let presented = Presentation {
            code,
            state,
            owner: pending.owner.clone(),
            session_binding: SessionBinding::default(),
            by: PresentedBy::Callback,
        };
        match self.link.execute(presented, ()).await {
            Ok(LinkedAccount { view, missing_scopes, .. }) => {
                let (account, username) = (view.account.id, view.account.username);
                Ok(HostedEnd::Linked { account, username, missing_scopes })
            }
            Err(LinkAccountError::Refused(refusal)) => Ok(HostedEnd::Refused(refusal)),
            Err(LinkAccountError::Instagram(error)) => Ok(HostedEnd::Failed(error)),
            Err(LinkAccountError::StateRejected(_) | LinkAccountError::AccountNotFound) => {
                Ok(HostedEnd::StateGone)
            }
            Err(LinkAccountError::Store(error)) => Err(error.into()),
            Err(LinkAccountError::Panicked) => Err(HostedLinkError::Panicked),
        }
    }

    /// Keeps the code for the caller, to whom the browser goes on with a ticket.
    async fn keep(
        &self,
        code: &AuthorizationCode,
        state: &StateToken,
        pending: &PendingLink,
        url: &ReturnUrl,
    ) -> Result<HostedEnd, HostedLinkError> {
        let mut ticket = self.hosted_codes.ticket(code, state).await?;
        if ticket.is_none() && self.takes_code(pending).await? {
            ticket = self.hosted_codes.keep(code, state, self.clock.now()).await?;
        }
        Ok(ticket.map_or(HostedEnd::StateGone, |ticket| {
            let query = [("state", state.expose()), ("ticket", ticket.expose())];
            HostedEnd::SendBack(url.with(query).into())
        }))
    }

    async fn denied(
        &self,
        denial: ConsentDenial,
        state: &StateToken,
    ) -> Result<HostedEnd, HostedLinkError> {
        let pending = self.pending_links.find(&state.hash()).await?;
        let Some(pending) = pending else { return Ok(HostedEnd::StateGone) };
        if !self.takes_code(&pending).await? {
            return Ok(HostedEnd::StateGone);
        }
        Ok(match pending.end {
            LinkEnd::Caller => HostedEnd::StateGone,
            LinkEnd::Page => HostedEnd::Denied(denial),
            LinkEnd::ReturnUrl(url) => {
                HostedEnd::SendBack(with_denial(&url, state, &denial).into())
            }
        })
    }

    /// Whether the person may still consent: the state lives, and Instagram took no code of it.
    async fn takes_code(&self, pending: &PendingLink) -> Result<bool, StoreError> {
        if pending.has_expired(self.clock.now()) {
            return Ok(false);
        }
        let Some(code) = pending.spent_by else { return Ok(true) };
        let spending = self.attempts.find(&code).await?;
        Ok(spending.is_some_and(|attempt| matches!(attempt.phase, Phase::Unsent)))
    }
}

/// The URL with the state, and the error as Instagram sent it.
fn with_denial(url: &ReturnUrl, state: &StateToken, denial: &ConsentDenial) -> String {
    let ConsentDenial { error, error_reason, error_description } = denial;
    let optional = [("error_reason", error_reason), ("error_description", error_description)];
    let optional = optional.iter().filter_map(|(name, text)| Some((*name, text.as_deref()?)));
    // Without it the caller could not tell this from a forged visit.
    let error = error.as_deref().unwrap_or("access_denied");
    url.with([("state", state.expose()), ("error", error)].into_iter().chain(optional))
}
