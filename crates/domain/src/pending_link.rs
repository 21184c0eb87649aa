//! A pending link: the single-use state, and the conditions for its presentation.

use std::str::FromStr;

use secrecy::{ExposeSecret, SecretString};
use time::OffsetDateTime;

use crate::{
    AccountId, AuthorizationCode, CodeHash, Owner, RedirectUri, RequestedScopes, ReturnUrl,
    SessionBindingHash, StateHash, Ticket,
};

/// The `state` of an authorization URL: single use and unguessable, so a secret.
///
/// 1 to [`MAX_LENGTH`](Self::MAX_LENGTH) visible ASCII characters. `Debug` hides it.
#[derive(Clone, Debug)]
pub struct StateToken(SecretString);

/// The text cannot be a state; it is not repeated here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a state is 1 to {} printable ASCII characters without blanks", StateToken::MAX_LENGTH)]
pub struct InvalidStateToken;

impl StateToken {
    /// Maximum number of characters.
    pub const MAX_LENGTH: usize = 128;

    /// The state itself, for the authorization URL and the answer to the caller.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Hash of the state, its key in the store.
    #[must_use]
    pub fn hash(&self) -> StateHash {
        StateHash::of(self.expose())
    }
}

impl FromStr for StateToken {
    type Err = InvalidStateToken;

    fn from_str(raw: &str) -> Result<Self, Self::Err> {
        let state = raw.strip_suffix("#_").unwrap_or(raw);
        let visible = state.bytes().all(|byte| byte.is_ascii_graphic());
        let valid = visible && (1..=Self::MAX_LENGTH).contains(&state.len());
        if valid { Ok(Self(SecretString::from(state))) } else { Err(InvalidStateToken) }
    }
}

/// An opaque text that ties a link to the browser session that began it; empty when the caller uses none.
///
/// At most [`MAX_LENGTH`](Self::MAX_LENGTH) bytes, no control characters. `Debug` hides it.
#[derive(Clone, Debug, Default)]
pub struct SessionBinding(SecretString);

/// The text is too long or holds control characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a session binding is at most {} bytes, without control characters",
    SessionBinding::MAX_LENGTH
)]
pub struct InvalidSessionBinding;

impl SessionBinding {
    /// Maximum number of bytes.
    pub const MAX_LENGTH: usize = 256;

    /// Hash of the binding, its only form in the store.
    #[must_use]
    pub fn hash(&self) -> SessionBindingHash {
        SessionBindingHash::of(self.0.expose_secret())
    }
}

impl FromStr for SessionBinding {
    type Err = InvalidSessionBinding;

    fn from_str(raw: &str) -> Result<Self, Self::Err> {
        let valid = raw.len() <= Self::MAX_LENGTH && !raw.chars().any(char::is_control);
        if valid { Ok(Self(SecretString::from(raw))) } else { Err(InvalidSessionBinding) }
    }
}

/// Data that is presented to finish a link.
#[derive(Clone, Debug)]
pub struct Presentation {
    /// The code that the browser brought.
    pub code: AuthorizationCode,
    /// The state that the browser brought with the code.
    pub state: StateToken,
    /// Owner of the account to be linked; the same as when the link began.
    pub owner: Owner,
    /// The browser session; the same as when the link began.
    pub session_binding: SessionBinding,
    /// The way on which the code came.
    pub by: PresentedBy,
}

/// Data that a caller presents to finish a link whose code this service keeps.
#[derive(Clone, Debug)]
pub struct TicketPresentation {
    /// The ticket that the browser brought.
    pub ticket: Ticket,
    /// The state that the browser brought with the ticket.
    pub state: StateToken,
    /// Owner of the account to be linked; the same as when the link began.
    pub owner: Owner,
    /// The browser session; the same as when the link began.
    pub session_binding: SessionBinding,
}

/// The way on which a code came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PresentedBy {
    /// The caller brought the code.
    Caller,
    /// The browser brought the code to our own callback.
    Callback,
    /// The caller brought the ticket of a code that our own callback kept.
    Ticket {
        /// Moment at which the browser brought the code.
        present_time: OffsetDateTime,
    },
}

impl PresentedBy {
    /// The only kind of end that a link may have whose code comes on this way.
    #[must_use]
    pub fn end(self) -> LinkEndKind {
        match self {
            Self::Caller => LinkEndKind::Caller,
            Self::Callback => LinkEndKind::Page,
            Self::Ticket { .. } => LinkEndKind::ReturnUrl,
        }
    }

    /// Moment at which the browser brought the code that is presented at `now`.
    #[must_use]
    pub fn code_time(self, now: OffsetDateTime) -> OffsetDateTime {
        match self {
            Self::Ticket { present_time } => present_time,
            Self::Caller | Self::Callback => now,
        }
    }
}

/// End of a link, fixed when it begins: the place to which the browser comes back, and thereby who finishes the link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkEnd {
    /// The browser goes to the caller, who finishes the link with the code.
    Caller,
    /// The browser goes to our own callback, which finishes the link and shows a page.
    Page,
    /// The browser goes to our own callback and on to this URL with a ticket; the caller finishes the link with it.
    ReturnUrl(ReturnUrl),
}

impl LinkEnd {
    /// The end without its URL.
    #[must_use]
    pub fn kind(&self) -> LinkEndKind {
        match self {
            Self::Caller => LinkEndKind::Caller,
            Self::Page => LinkEndKind::Page,
            Self::ReturnUrl(_) => LinkEndKind::ReturnUrl,
        }
    }
}

/// Kind of a [`LinkEnd`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the variants of LinkEnd say it")]
pub enum LinkEndKind {
    Caller,
    Page,
    ReturnUrl,
}

/// A link that has begun and waits for its code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingLink {
    /// The state's hash, the key.
    pub state: StateHash,
    /// Owner of the account to be linked.
    pub owner: Owner,
    /// The browser session that the link is tied to.
    pub session_binding: SessionBindingHash,
    /// URI that the browser comes back to; needed again when the code is exchanged.
    pub redirect_uri: RedirectUri,
    /// The link's end.
    pub end: LinkEnd,
    /// Scopes that the person is asked to grant.
    pub scopes: RequestedScopes,
    /// The only account that the link may lead to; `None` for any.
    pub account: Option<AccountId>,
    /// Moment at which the link began.
    pub create_time: OffsetDateTime,
    /// Moment from which on the state is refused.
    pub expire_time: OffsetDateTime,
    /// Hash of the first code that was presented with it; `None` while unspent.
    pub spent_by: Option<CodeHash>,
}

/// Reason for which a state is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateRejection {
    /// The state was not issued here, was forgotten long after its end, or its code came on another way than the link
    /// is to end: nothing is told of a state to whom it does not concern.
    #[error("this state was not issued here")]
    Unknown,
    /// The state has expired.
    #[error("this state has expired")]
    Expired,
    /// Another code was presented with it, its code came with another state, or the replay time is over.
    #[error("this state or its code has been used")]
    Used,
    /// The state was issued for another owner.
    #[error("this state was issued for another owner")]
    OtherOwner,
    /// The state was issued for another browser session.
    #[error("this state was issued for another browser session")]
    OtherSession,
}

impl PendingLink {
    /// Whether `presented`, whose code has not been seen before, may spend this state at `now`. A ticket keeps a state
    /// alive that lived when its code came.
    ///
    /// # Errors
    ///
    /// Any [`StateRejection`].
    pub fn admit(
        &self,
        presented: &Presentation,
        now: OffsetDateTime,
    ) -> Result<(), StateRejection> {
        if presented.by.end() != self.end.kind() {
            return Err(StateRejection::Unknown);
        }
        same_party(presented, &self.owner, self.session_binding)?;
        let came = presented.by.code_time(now);
        if self.spent_by.is_some() {
            return Err(StateRejection::Used);
        }
        if self.has_expired(came) { Err(StateRejection::Expired) } else { Ok(()) }
    }

    /// Whether a first code comes too late at `now`.
    #[must_use]
    pub fn has_expired(&self, now: OffsetDateTime) -> bool {
        self.expire_time <= now
    }
}

/// Whether `presented` comes from the owner and session that the link began with.
pub(crate) fn same_party(
    presented: &Presentation,
    owner: &Owner,
    session_binding: SessionBindingHash,
) -> Result<(), StateRejection> {
    if presented.owner != *owner {
        return Err(StateRejection::OtherOwner);
    }
    let same_session = presented.session_binding.hash() == session_binding;
    if same_session { Ok(()) } else { Err(StateRejection::OtherSession) }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use time::Duration;

    use super::*;

    const NOW: OffsetDateTime = time::macros::datetime!(2026-11-24 08:00 UTC);

    fn pending() -> PendingLink {
        PendingLink {
            state: "state".parse::<StateToken>().unwrap().hash(),
            owner: "shop/7".parse().unwrap(),
            session_binding: "session".parse::<SessionBinding>().unwrap().hash(),
            redirect_uri: "https://example.com/callback".parse().unwrap(),
            end: LinkEnd::Caller,
            scopes: RequestedScopes::usual(),
            account: None,
            create_time: NOW,
            expire_time: NOW + Duration::minutes(15),
            spent_by: None,
        }
    }

    fn presentation(owner: &str, session: &str) -> Presentation {
        Presentation {
            code: "code".parse().unwrap(),
            state: "state".parse().unwrap(),
            owner: owner.parse().unwrap(),
            session_binding: session.parse().unwrap(),
            by: PresentedBy::Caller,
        }
    }

    /// A ticket whose code came so many seconds after the link began.
    fn ticket(seconds: i64) -> PresentedBy {
        PresentedBy::Ticket { present_time: NOW + Duration::seconds(seconds) }
    }

    fn return_url() -> LinkEnd {
        LinkEnd::ReturnUrl("https://example.com/linked".parse().unwrap())
    }

    #[rstest]
    #[case::the_same_party("shop/7", "session", 0, Ok(()))]
    #[case::another_owner("shop/8", "session", 0, Err(StateRejection::OtherOwner))]
    #[case::another_session("shop/7", "else", 0, Err(StateRejection::OtherSession))]
    #[case::just_in_time("shop/7", "session", 899, Ok(()))]
    #[case::too_late("shop/7", "session", 900, Err(StateRejection::Expired))]
    fn a_state_serves_whom_it_was_made_for_in_its_time(
        #[case] owner: &str,
        #[case] session: &str,
        #[case] seconds: i64,
        #[case] expected: Result<(), StateRejection>,
    ) {
        let now = NOW + Duration::seconds(seconds);
        assert_eq!(pending().admit(&presentation(owner, session), now), expected);
    }

    #[test]
    fn a_spent_state_serves_nobody() {
        let spent = PendingLink { spent_by: Some(CodeHash::from_bytes([1; 32])), ..pending() };
        let refused = spent.admit(&presentation("shop/7", "session"), NOW);
        assert_eq!(refused, Err(StateRejection::Used));
    }

    #[test]
    fn a_code_that_comes_on_another_way_is_told_nothing_of_the_state() {
        let ends = [LinkEnd::Caller, LinkEnd::Page, return_url()];
        let ways = [PresentedBy::Caller, PresentedBy::Callback, ticket(0)];
        for (right, end) in ends.into_iter().enumerate() {
            for (way, by) in ways.into_iter().enumerate() {
                let well = Presentation { by, ..presentation("shop/7", "session") };
                let expected = if way == right { Ok(()) } else { Err(StateRejection::Unknown) };
                let pending = PendingLink { end: end.clone(), ..pending() };
                assert_eq!(pending.admit(&well, NOW), expected, "{end:?} {by:?}");
                let ill = Presentation { by, ..presentation("shop/8", "else") };
                let expected = expected.and(Err(StateRejection::OtherOwner));
                assert_eq!(pending.admit(&ill, NOW), expected, "{end:?} {by:?}");
            }
        }
    }

    #[rstest]
    #[case::in_time(899, Ok(()))]
    #[case::too_late(900, Err(StateRejection::Expired))]
    fn a_ticket_outlives_its_state_if_its_code_came_in_time(
        #[case] came: i64,
        #[case] expected: Result<(), StateRejection>,
    ) {
        let pending = PendingLink { end: return_url(), ..pending() };
        let presented = Presentation { by: ticket(came), ..presentation("shop/7", "session") };
        assert_eq!(pending.admit(&presented, NOW + Duration::hours(3)), expected);
        let spent = PendingLink { spent_by: Some(CodeHash::from_bytes([1; 32])), ..pending };
        assert_eq!(spent.admit(&presented, NOW), Err(StateRejection::Used));
    }

    #[test]
    fn debug_shows_neither_state_nor_binding() {
        let shown = format!("{:?} {:?}", presentation("", "session"), pending());
        assert!(!shown.contains("\"state\"") && !shown.contains("\"session\""), "{shown}");
    }
}
