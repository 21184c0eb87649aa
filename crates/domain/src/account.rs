//! A linked account: its data and the rules for its changes.

use time::OffsetDateTime;

use crate::schedule::time_span;
use crate::{
    AccountId, AccountType, AppScopedUserId, Consent, GrantedScopes, ImportedLife, MIN_RENEWAL_AGE,
    Owner, ProfessionalAccountId, Profile, TokenGrant, UNKNOWN_END_LIFETIME, Username,
    VisitFailures, WebhookSubscription,
};

/// Reason for which an account's token no longer works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReauthorizationReason {
    /// The token expired, by Instagram's answer (463) or by our clock.
    TokenExpired,
    /// The password changed (460).
    PasswordChanged,
    /// Instagram waits for the person to clear a checkpoint (459, 464).
    Checkpoint,
    /// The token was revoked (458, 466, 467, 492, or nothing more precise).
    TokenRevoked,
    /// The person removed the app, by Meta's signed word: the token was destroyed.
    Deauthorized,
}

impl ReauthorizationReason {
    /// All reasons.
    pub const ALL: [Self; 5] = [
        Self::TokenExpired,
        Self::PasswordChanged,
        Self::Checkpoint,
        Self::TokenRevoked,
        Self::Deauthorized,
    ];

    /// The name by which events and callers know the reason.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TokenExpired => "TOKEN_EXPIRED",
            Self::PasswordChanged => "PASSWORD_CHANGED",
            Self::Checkpoint => "CHECKPOINT",
            Self::TokenRevoked => "TOKEN_REVOKED",
            Self::Deauthorized => "DEAUTHORIZED",
        }
    }

    /// The reason of this name; `None` where it is not one of ours.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == name)
    }
}

/// Status of an account: whether its token works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountStatus {
    /// The token works.
    Active,
    /// The person must consent again.
    ReauthorizationRequired(ReauthorizationReason),
}

/// Reason for which a token is not renewed now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRenewable {
    /// Instagram renews no token younger than [`MIN_RENEWAL_AGE`].
    #[error("the token is less than {} hours old", MIN_RENEWAL_AGE.as_secs() / 3600)]
    TooYoung,
    /// The token is past its expiry.
    #[error("the token has expired")]
    Expired,
}

/// A linked Instagram professional account, without its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstagramAccount {
    /// Our id.
    pub id: AccountId,
    /// Instagram's id of the professional account; unique among linked accounts.
    pub professional_account_id: ProfessionalAccountId,
    /// The person's id under our Meta app; `None` where Instagram never said.
    pub app_scoped_user_id: Option<AppScopedUserId>,
    /// The id that the code exchange gave, where it differs from `app_scoped_user_id`.
    pub exchange_user_id: Option<AppScopedUserId>,
    /// Owner of the account.
    pub owner: Owner,
    /// The handle, by the newest reading.
    pub username: Username,
    /// The display name; `None` where Instagram gave none.
    pub name: Option<String>,
    /// A link to the picture, which expires; `None` where Instagram gave none.
    pub profile_picture_url: Option<String>,
    /// The kind of account, by the newest reading.
    pub account_type: AccountType,
    /// Followers; `None` where Instagram gave no number.
    pub followers_count: Option<i64>,
    /// Accounts followed; `None` where Instagram gave no number.
    pub follows_count: Option<i64>,
    /// Media published; `None` where Instagram gave no number.
    pub media_count: Option<i64>,
    /// Scopes that the person granted.
    pub granted_scopes: GrantedScopes,
    /// Reason for which the token no longer works: Instagram refused it, or the keeper found it past its expiry. `None`
    /// while neither has happened.
    pub refused: Option<ReauthorizationReason>,
    /// Moment at which the code of the stored token's consent was exchanged. Renewals of the token do not change it.
    pub consent_time: OffsetDateTime,
    /// Moment at which the stored token was received, or issued where it was imported. `None` where an import did not
    /// tell, until the first renewal.
    pub token_issue_time: Option<OffsetDateTime>,
    /// Moment at which the stored token expires. `None` where an import did not tell, until the first renewal: no clock
    /// ends the account meanwhile.
    pub token_expire_time: Option<OffsetDateTime>,
    /// Moment at which the account was first linked.
    pub link_time: OffsetDateTime,
    /// Moment of the last reading of the profile.
    pub profile_time: OffsetDateTime,
    /// Failed visits of the keeper since the last one that did all that was due.
    pub failures: VisitFailures,
    /// Webhook subscription; `None` where none was ever wanted, or where it was ended.
    pub subscription: Option<WebhookSubscription>,
    /// Moment of the last change that `revision` counts.
    pub update_time: OffsetDateTime,
    /// Number of the account's stored version: 1 when first stored; each change adds one. Neither a newer
    /// `profile_time` alone, nor another query of the picture's link, nor a failure within trouble, nor a new reason of
    /// a dead account, nor a newer check of the subscription is a change; the beginning and the end of trouble are, and a
    /// deauthorisation is.
    pub revision: i64,
}

/// An account, or a pointer to one, together with its status at the moment of reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountView<A = InstagramAccount> {
    /// The account.
    pub account: A,
    /// Status of the account at the moment of reading.
    pub status: AccountStatus,
}

impl InstagramAccount {
    /// A new account, as it is first stored: from the profile that was read at a moment, and `consent`, with the token of
    /// `grant`.
    #[must_use]
    pub fn link(
        id: AccountId,
        owner: Owner,
        (profile, now): (Profile, OffsetDateTime),
        consent: &Consent,
        grant: &TokenGrant,
    ) -> Self {
        let mut account = Self {
            id,
            professional_account_id: profile.professional_account_id.clone(),
            app_scoped_user_id: None,
            exchange_user_id: None,
            owner,
            username: profile.username.clone(),
            name: None,
            profile_picture_url: None,
            account_type: profile.account_type,
            followers_count: None,
            follows_count: None,
            media_count: None,
            granted_scopes: consent.granted_scopes.clone(),
            refused: None,
            consent_time: consent.receive_time,
            token_issue_time: grant.issue_time,
            token_expire_time: grant.expire_time,
            link_time: now,
            profile_time: now,
            failures: VisitFailures::default(),
            subscription: None,
            update_time: now,
            revision: 1,
        };
        account.read_profile(profile, now);
        account.learn_exchange_id(consent.user_id.clone());
        account
    }

    /// Status of the account at `now`: a token past its expiry is dead, whether marked so or not.
    #[must_use]
    pub fn status(&self, now: OffsetDateTime) -> AccountStatus {
        let expired = || self.is_expired(now).then_some(ReauthorizationReason::TokenExpired);
        self.refused
            .or_else(expired)
            .map_or(AccountStatus::Active, AccountStatus::ReauthorizationRequired)
    }

    /// Whether the stored token is past its expiry at `now`.
    #[must_use]
    pub fn is_expired(&self, now: OffsetDateTime) -> bool {
        self.token_expire_time.is_some_and(|end| end <= now)
    }

    /// Remaining lifetime of the stored token at `now`, negative past its expiry. One of unknown end is taken to have
    /// [`UNKNOWN_END_LIFETIME`].
    #[must_use]
    pub fn remaining_lifetime(&self, now: OffsetDateTime) -> time::Duration {
        let unknown = || time_span(UNKNOWN_END_LIFETIME);
        self.token_expire_time.map_or_else(unknown, |end| end - now)
    }

    /// The account with its status at `now`.
    #[must_use]
    pub fn view(self, now: OffsetDateTime) -> AccountView {
        AccountView { status: self.status(now), account: self }
    }

    /// Whether Instagram would renew the stored token at `now`. An unknown age forbids nothing.
    ///
    /// # Errors
    ///
    /// The reason for which it would not.
    pub fn renewable(&self, now: OffsetDateTime) -> Result<(), NotRenewable> {
        if self.is_expired(now) {
            return Err(NotRenewable::Expired);
        }
        let young = self.token_issue_time.is_some_and(|issue| issue + MIN_RENEWAL_AGE > now);
        if young { Err(NotRenewable::TooYoung) } else { Ok(()) }
    }

    /// Takes over a reading of the profile that was made at `now`. A former app-scoped id that differs becomes an
    /// alias.
    pub fn read_profile(&mut self, profile: Profile, now: OffsetDateTime) {
        // Everything is taken apart, so that a forgotten field does not compile.
        let Profile {
            professional_account_id: _, // By it the account was found.
            app_scoped_user_id,
            username,
            name,
            profile_picture_url,
            account_type,
            followers_count,
            follows_count,
            media_count,
        } = profile;
        if let Some(id) = app_scoped_user_id {
            let former = self.app_scoped_user_id.replace(id);
            self.learn_exchange_id(former);
        }
        self.username = username;
        self.name = name;
        self.profile_picture_url = profile_picture_url;
        self.account_type = account_type;
        self.followers_count = followers_count;
        self.follows_count = follows_count;
        self.media_count = media_count;
        self.profile_time = now;
        if self.failures.trouble.is_none() {
            self.visit_succeeded();
        }
    }

    /// Takes over the person's id from the code exchange: as the app-scoped id where `/me` gave none, as an alias where
    /// the two differ.
    pub fn learn_exchange_id(&mut self, user_id: Option<AppScopedUserId>) {
        let Some(user_id) = user_id else { return };
        match &self.app_scoped_user_id {
            None => self.app_scoped_user_id = Some(user_id),
            Some(known) if *known == user_id => {}
            Some(_) => self.exchange_user_id = Some(user_id),
        }
    }

    /// Takes over a renewal of the stored token.
    pub fn take_renewal(&mut self, grant: &TokenGrant) {
        self.token_issue_time = grant.issue_time;
        self.token_expire_time = grant.expire_time;
        self.heal();
    }

    /// Takes back what was said against the stored token.
    pub fn heal(&mut self) {
        self.refused = None;
        self.visit_succeeded();
    }

    /// Takes over the token of a newer consent, and clears the refusal of the former one. A token that is dead at `now`
    /// is also replaced by that of an older consent.
    ///
    /// Returns whether it was taken over; if not, nothing changes and the token must not be stored.
    #[must_use]
    pub fn take_consent(
        &mut self,
        consent: &Consent,
        grant: &TokenGrant,
        now: OffsetDateTime,
    ) -> bool {
        if self.status(now) == AccountStatus::Active && consent.receive_time <= self.consent_time {
            return false;
        }
        self.consent_time = consent.receive_time;
        self.granted_scopes = consent.granted_scopes.clone();
        self.take_renewal(grant);
        true
    }

    /// Whether the token of an import takes the place of the stored one at `now`: where that is dead, and where it lives
    /// shorter, as far as is known of both. An unknown end is earlier than any.
    #[must_use]
    pub fn gives_way_to_import(&self, life: &ImportedLife, now: OffsetDateTime) -> bool {
        let is_later = || {
            let later = |end| self.token_expire_time.is_none_or(|stored| stored < end);
            life.expire_time().is_some_and(later)
        };
        self.status(now) != AccountStatus::Active || is_later()
    }

    /// Takes over an imported token with its `consent`, and forgets what was known of the former one. The subscription,
    /// which is the account's and not a token's, is kept and reconciled anew.
    pub fn take_import(&mut self, consent: &Consent, grant: &TokenGrant) {
        self.consent_time = consent.receive_time;
        self.granted_scopes = consent.granted_scopes.clone();
        if let Some(subscription) = &mut self.subscription {
            subscription.check_time = None;
        }
        self.take_renewal(grant);
    }

    /// The account, marked at `now` as one whose token has expired.
    #[must_use]
    pub fn expired(&self, now: OffsetDateTime) -> Self {
        self.dead(ReauthorizationReason::TokenExpired, now)
    }

    /// The account, marked at `now` as one whose token is dead for `reason`.
    #[must_use]
    pub fn dead(&self, reason: ReauthorizationReason, now: OffsetDateTime) -> Self {
        let failures = VisitFailures::default();
        Self { refused: Some(reason), failures, ..self.clone() }.succeeding(self, now)
    }

    /// The account, marked at `now` as one whose person removed the app, which ends its subscription; `None` where it is
    /// marked so already.
    #[must_use]
    pub fn deauthorized(&self, now: OffsetDateTime) -> Option<Self> {
        let reason = ReauthorizationReason::Deauthorized;
        let marked = || Self { subscription: None, ..self.dead(reason, now) };
        (self.refused != Some(reason)).then(marked)
    }

    /// The account as one whose token is not stored any more: it needs re-authorisation, for
    /// [`TokenRevoked`](ReauthorizationReason::TokenRevoked) where no other reason is known.
    #[must_use]
    pub fn without_token(self) -> Self {
        let refused = self.refused.or(Some(ReauthorizationReason::TokenRevoked));
        Self { refused, ..self }
    }

    /// Whether both show the same picture: the query of a link to one is another with each reading.
    #[must_use]
    pub fn has_picture_of(&self, other: &Self) -> bool {
        self.picture() == other.picture()
    }

    /// The link to the picture without its query.
    fn picture(&self) -> Option<&str> {
        self.profile_picture_url.as_deref().and_then(|url| url.split('?').next())
    }

    /// `self` with the revision and time of a successor to `former`: both move where anything but `profile_time`, the
    /// query of the picture's link, the reason of a dead account, the failures and the subscription's check time
    /// differs, and where trouble begins or ends. A deauthorisation differs from any other reason: it also destroyed the
    /// token.
    #[must_use]
    pub fn succeeding(self, former: &Self, now: OffsetDateTime) -> Self {
        let in_trouble = |account: &Self| account.failures.trouble.is_some();
        let same_subscription =
            WebhookSubscription::are_same(self.subscription, former.subscription);
        let unchanged = Self {
            profile_picture_url: former.profile_picture_url.clone(),
            refused: match self.refused {
                Some(ReauthorizationReason::Deauthorized) => self.refused,
                reason => reason.map(|reason| former.refused.unwrap_or(reason)),
            },
            profile_time: former.profile_time,
            failures: former.failures,
            subscription: if same_subscription { former.subscription } else { self.subscription },
            update_time: former.update_time,
            revision: former.revision,
            ..self.clone()
        };
        let is_same = unchanged == *former && self.has_picture_of(former);
        if is_same && in_trouble(&self) == in_trouble(former) {
            let Self { update_time, revision, .. } = unchanged;
            return Self { update_time, revision, ..self };
        }
        Self { update_time: now, revision: former.revision + 1, ..self }
    }
}

#[cfg(test)]
mod tests;
