//! One attempt to turn a code into an account: a stored row, so that it survives its caller and its server.

use std::time::Duration;

use time::OffsetDateTime;

use crate::ports::GraphFacts;
use crate::{
    AccountId, AppScopedUserId, CodeHash, GrantedScopes, Owner, PendingLink, Presentation,
    RedirectUri, RequestedScopes, Scope, SessionBindingHash, ShortLivedToken, StateHash,
    StateRejection,
};

/// How long the same call again is answered like the first one.
pub const REPLAY_WINDOW: Duration = Duration::from_hours(1);

/// How long a short-lived token lives.
///
/// Source: <https://developers.facebook.com/docs/instagram-platform/instagram-api-with-instagram-login/business-login>.
pub const SHORT_LIVED_LIFETIME: Duration = Duration::from_hours(1);

/// How long states and attempts are remembered after they served, so that a late repetition is told what
/// became of it. Ours; nothing in them is secret by then.
pub const LINK_RETENTION: Duration = Duration::from_hours(7 * 24);

/// An attempt to link: made by the first presentation of a code, kept under the code's hash.
#[derive(Clone, Debug)]
pub struct LinkAttempt {
    /// The code's hash, the key.
    pub code: CodeHash,
    /// The state that the code came with.
    pub state: StateHash,
    /// Whose account it is to be.
    pub owner: Owner,
    /// The browser session it is tied to.
    pub session_binding: SessionBindingHash,
    /// The redirect URI of the authorization, needed again in the exchange.
    pub redirect_uri: RedirectUri,
    /// What the person was asked to grant.
    pub scopes: RequestedScopes,
    /// The one account that may come of it; `None` for any.
    pub account: Option<AccountId>,
    /// When the code was first presented.
    pub create_time: OffsetDateTime,
    /// How far it has come.
    pub phase: Phase,
}

/// How far an attempt has come.
#[derive(Clone, Debug)]
pub enum Phase {
    /// Instagram has not taken the code: it was never sent, or Instagram answered so.
    Unsent,
    /// The code is on its way, or its answer was lost. Such a code is never sent again.
    Sent,
    /// The code was exchanged; the rest can be done any time while the short-lived token lives.
    Exchanged(ShortLivedGrant),
    /// Nothing more will happen.
    Ended {
        /// What became of it.
        outcome: LinkOutcome,
        /// When.
        end_time: OffsetDateTime,
    },
}

/// What a code was exchanged for.
#[derive(Clone, Debug)]
pub struct ShortLivedGrant {
    /// The short-lived token.
    pub token: ShortLivedToken,
    /// What else came with it.
    pub consent: Consent,
}

/// What a person agreed to, as the code exchange told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consent {
    /// When the exchange was answered.
    pub receive_time: OffsetDateTime,
    /// `user_id` of the exchange: app-scoped in kind; `None` where Instagram left it out.
    pub user_id: Option<AppScopedUserId>,
    /// What the person granted.
    pub granted_scopes: GrantedScopes,
}

impl ShortLivedGrant {
    /// Whether the token's hour is over at `now`.
    #[must_use]
    pub fn is_stale(&self, now: OffsetDateTime) -> bool {
        self.consent.receive_time + SHORT_LIVED_LIFETIME <= now
    }
}

/// What became of an attempt; the same call again gets the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkOutcome {
    /// The account is linked.
    Linked {
        /// Which account.
        account: AccountId,
        /// Whether it was new.
        created: bool,
        /// What was asked for and not granted.
        missing_scopes: Vec<Scope>,
    },
    /// It never will be.
    Refused(LinkRefusal),
}

/// Why a code will never become an account.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkRefusal {
    /// Instagram refused the code, or the token that it had just given for it.
    #[error("Instagram refused the authorization code: used, expired or unknown")]
    CodeRejected(GraphFacts),
    /// The account is personal.
    #[error("the account is a personal one; only professional accounts can be linked")]
    PersonalAccount,
    /// [`Scope::basic`] was not granted.
    #[error("the person did not grant instagram_business_basic")]
    ScopeMissing {
        /// All that was asked for and not granted.
        missing: Vec<Scope>,
    },
    /// Another account than the one that was to be re-authorised.
    #[error("the person chose another account than the one to be re-authorised")]
    WrongAccount,
    /// The account lives under another owner.
    #[error("the account is linked under another owner")]
    OwnedByAnother,
    /// The code was sent and its answer lost.
    #[error("the code was sent to Instagram and the answer was lost")]
    Interrupted,
    /// Instagram took the code and answered without a readable token.
    #[error("Instagram answered the code without a readable token")]
    Unreadable(GraphFacts),
}

impl LinkAttempt {
    /// The attempt of `presented` under the state it spends.
    #[must_use]
    pub fn begin(pending: PendingLink, presented: &Presentation, now: OffsetDateTime) -> Self {
        Self {
            code: presented.code.hash(),
            state: pending.state,
            owner: pending.owner,
            session_binding: pending.session_binding,
            redirect_uri: pending.redirect_uri,
            scopes: pending.scopes,
            account: pending.account,
            create_time: now,
            phase: Phase::Unsent,
        }
    }

    /// Whether `presented` is a repetition of this attempt that still gets its answer at `now`.
    ///
    /// # Errors
    ///
    /// [`StateRejection::Used`] with another state or after [`REPLAY_WINDOW`]; `OtherOwner`, `OtherSession`.
    pub fn admit(
        &self,
        presented: &Presentation,
        now: OffsetDateTime,
    ) -> Result<(), StateRejection> {
        if presented.state.hash() != self.state {
            return Err(StateRejection::Used);
        }
        crate::pending_link::same_party(presented, &self.owner, self.session_binding)?;
        match self.phase {
            Phase::Ended { end_time, .. } if end_time + REPLAY_WINDOW <= now => {
                Err(StateRejection::Used)
            }
            _ => Ok(()),
        }
    }
}
