//! One attempt to turn a code into an account: a stored row, so that it survives its caller and its server.

use std::time::Duration;

use time::OffsetDateTime;

use crate::ports::{CompletedLink, GraphFacts};
use crate::{
    AccountId, AppScopedUserId, CodeHash, GrantedScopes, LinkEndKind, Owner, PendingLink,
    Presentation, RedirectUri, RequestedScopes, Scope, SessionBindingHash, ShortLivedToken,
    StateHash, StateRejection,
};

/// Time after the end of an attempt in which a repetition of its call gets the first answer.
pub const REPLAY_WINDOW: Duration = Duration::from_hours(1);

/// Lifetime of a code. An attempt whose code was presented longer ago cannot have it exchanged any more.
///
/// Source: <https://developers.facebook.com/docs/instagram-platform/instagram-api-with-instagram-login/business-login>.
pub const CODE_LIFETIME: Duration = Duration::from_hours(1);

/// Lifetime of a short-lived token.
///
/// Source: <https://developers.facebook.com/docs/instagram-platform/instagram-api-with-instagram-login/business-login>.
pub const SHORT_LIVED_LIFETIME: Duration = Duration::from_hours(1);

/// Time after which the code of a hosted consent is erased: by then no attempt of it can be replayed any more.
pub const HOSTED_CODE_RETENTION: Duration =
    CODE_LIFETIME.saturating_add(SHORT_LIVED_LIFETIME).saturating_add(REPLAY_WINDOW);

/// Time for which ended states and attempts are kept, so that a late repetition learns the outcome. Ours; nothing in
/// them is secret by then.
pub const LINK_RETENTION: Duration = Duration::from_hours(7 * 24);

/// An attempt to link: made by the first presentation of a code, kept under the code's hash.
#[derive(Clone, Debug)]
pub struct LinkAttempt {
    /// The code's hash, the key.
    pub code: CodeHash,
    /// The state that the code came with.
    pub state: StateHash,
    /// Owner of the account to be linked.
    pub owner: Owner,
    /// The browser session that the attempt is tied to.
    pub session_binding: SessionBindingHash,
    /// The redirect URI of the authorization, needed again in the exchange.
    pub redirect_uri: RedirectUri,
    /// Kind of the link's end.
    pub end: LinkEndKind,
    /// Scopes that the person was asked to grant.
    pub scopes: RequestedScopes,
    /// The only account that the attempt may link; `None` for any.
    pub account: Option<AccountId>,
    /// Moment at which the browser brought the code: the person had consented by then. A removal that was issued in
    /// this second or later refuses the link.
    pub create_time: OffsetDateTime,
    /// Phase that the attempt has reached.
    pub phase: Phase,
}

/// Phase that an attempt has reached.
#[derive(Clone, Debug)]
pub enum Phase {
    /// Instagram has not taken the code: it was never sent, or Instagram answered so.
    Unsent,
    /// The code is on its way, or its answer was lost. Such a code is never sent again.
    Sent,
    /// The code was exchanged; the rest can be done any time while the short-lived token lives.
    Exchanged(ShortLivedGrant),
    /// The attempt is over; its outcome does not change any more.
    Ended {
        /// Outcome of the attempt.
        outcome: LinkOutcome,
        /// Moment at which it ended.
        end_time: OffsetDateTime,
    },
}

/// Result of a code exchange.
#[derive(Clone, Debug)]
pub struct ShortLivedGrant {
    /// The short-lived token.
    pub token: ShortLivedToken,
    /// The consent that came with it.
    pub consent: Consent,
}

/// Consent of a person, by the answer to the code exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consent {
    /// Moment at which the exchange was answered.
    pub receive_time: OffsetDateTime,
    /// `user_id` of the exchange: app-scoped in kind; `None` where Instagram left it out.
    pub user_id: Option<AppScopedUserId>,
    /// Scopes that the person granted.
    pub granted_scopes: GrantedScopes,
}

impl ShortLivedGrant {
    /// Whether the token's hour is over at `now`.
    #[must_use]
    pub fn is_stale(&self, now: OffsetDateTime) -> bool {
        self.consent.receive_time + SHORT_LIVED_LIFETIME <= now
    }
}

/// Outcome of an attempt; a repetition of the call gets the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkOutcome {
    /// The account is linked.
    Linked {
        /// The linked account.
        account: AccountId,
        /// Whether it was new.
        created: bool,
        /// Scopes that were requested and not granted.
        missing_scopes: Vec<Scope>,
    },
    /// The code will never become an account.
    Refused(LinkRefusal),
}

impl LinkOutcome {
    /// Outcome of the attempt that `link` ends.
    #[must_use]
    pub fn of(link: &CompletedLink) -> Self {
        Self::Linked {
            account: link.account.id,
            created: link.former_revision.is_none(),
            missing_scopes: link.missing_scopes.clone(),
        }
    }
}

/// Reason for which a code will never become an account.
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
        /// All scopes that were requested and not granted.
        missing: Vec<Scope>,
    },
    /// The person chose another account than the one to be re-authorised.
    #[error("the person chose another account than the one to be re-authorised")]
    WrongAccount,
    /// The account is linked under another owner.
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
    /// The attempt of `presented`, which comes at `now`, under the state it spends. It is marked as sent: whoever stores
    /// it sends the code next.
    #[must_use]
    pub fn begin(pending: PendingLink, presented: &Presentation, now: OffsetDateTime) -> Self {
        Self {
            code: presented.code.hash(),
            state: pending.state,
            owner: pending.owner,
            session_binding: pending.session_binding,
            redirect_uri: pending.redirect_uri,
            end: pending.end.kind(),
            scopes: pending.scopes,
            account: pending.account,
            create_time: presented.by.code_time(now),
            phase: Phase::Sent,
        }
    }

    /// Whether `presented` is a repetition of this attempt that still gets its answer at `now`.
    ///
    /// # Errors
    ///
    /// [`StateRejection::Used`] with another state or after [`REPLAY_WINDOW`]; `Unknown` where the code came on another
    /// way; `OtherOwner`, `OtherSession`.
    pub fn admit(
        &self,
        presented: &Presentation,
        now: OffsetDateTime,
    ) -> Result<(), StateRejection> {
        if presented.state.hash() != self.state {
            return Err(StateRejection::Used);
        }
        if presented.by.end() != self.end {
            return Err(StateRejection::Unknown);
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
