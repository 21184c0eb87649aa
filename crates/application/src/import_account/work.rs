//! The work of importing: the profile is read, the token renewed once, and both are stored together.

use ig_domain::ports::{
    CompletedImport, CountedEvent, ImportEnded, InstagramError, InstagramErrorKind, StoreError,
};
use ig_domain::{
    AccountId, AccountType, Consent, GrantedScopes, InstagramAccount, MIN_RENEWAL_AGE, Profile,
    TokenGrant,
};
use time::OffsetDateTime;

use super::{ImportAccountCommand, ImportAccountError, ImportOutcome, ImportedAccount};
use crate::placement::{OwnedByAnother, Placement, stored_account};
use crate::retry::{MAX_TRIES, ONCE, retry, retry_up_to};
use crate::witness::{self, Refused};
use crate::{Ports, token_calls};

/// The work of [`ImportAccount`](super::ImportAccount): a future that may be dropped between any two calls to a port;
/// the same command then begins anew, and finds what is stored.
pub struct ImportWork {
    ports: Ports,
}

/// All data of one import.
struct Import<'a> {
    command: &'a ImportAccountCommand,
    /// Id of the account, if it is new.
    new_id: AccountId,
    profile: Profile,
    read_time: OffsetDateTime,
    consent: Consent,
}

impl ImportWork {
    /// The work over `ports`.
    #[must_use]
    pub fn new(ports: &Ports) -> Self {
        Self { ports: ports.clone() }
    }

    /// Imports the token.
    ///
    /// # Errors
    ///
    /// Any [`ImportAccountError`] but `Panicked`.
    #[tracing::instrument(name = "import_account", level = "debug", skip_all)]
    pub async fn run(
        &self,
        command: &ImportAccountCommand,
    ) -> Result<ImportedAccount, ImportAccountError> {
        let new_id = self.ports.ids.account_id(self.ports.clock.now());
        let profile = self.read(new_id, command).await?;
        if profile.account_type == AccountType::Personal {
            return Err(ImportAccountError::PersonalAccount);
        }
        let consent = Consent {
            receive_time: command.life.consent_time(),
            user_id: None,
            granted_scopes: GrantedScopes::Unknown,
        };
        let read_time = self.ports.clock.now();
        self.store(&Import { command, new_id, profile, read_time, consent }).await
    }

    /// Whether Instagram lets the app read an account that is stored, so that it refused single tokens and not the app,
    /// whatever its refusals said. `false` where there is none to ask.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn is_app_well(&self) -> Result<bool, StoreError> {
        witness::is_anybody_well(&self.ports).await
    }

    /// Asks `/me` whose the token is, and once more where it refuses the token.
    async fn read(
        &self,
        new_id: AccountId,
        command: &ImportAccountCommand,
    ) -> Result<Profile, ImportAccountError> {
        let (ports, token) = (&self.ports, command.token.text());
        // Whose it is is not known yet: throttling of the account is remembered by its token.
        let key = command.token.import_hash();
        let ask = || token_calls::unless_throttled(ports, key, || ports.instagram.profile(token));
        let refusal = match ask().await {
            Err(refusal) if refusal.rejects_token() => refusal,
            read => return Ok(read?),
        };
        let again = match ask().await {
            Ok(profile) => return Ok(profile),
            Err(again) => again,
        };
        let InstagramErrorKind::TokenRejected(reason) = again.kind else {
            let kind = InstagramErrorKind::Unconfirmed;
            return Err(InstagramError { kind, ..refusal }.into());
        };
        let verdict = witness::judge(ports, new_id, Refused::Token).await?;
        Err(match verdict.failure(&again) {
            Some(failure) => failure.into(),
            None => ImportAccountError::TokenRejected(reason, again.facts),
        })
    }

    /// Stores the account, anew for as long as others change it meanwhile. The token is renewed once, and only where it
    /// is to be stored.
    async fn store(&self, import: &Import<'_>) -> Result<ImportedAccount, ImportAccountError> {
        let id = &import.profile.professional_account_id;
        let find = || stored_account(&*self.ports.store.accounts, id);
        let mut attempted = None;
        loop {
            // Giving up after a renewal would drop the new token.
            let tries = if attempted.is_some() { MAX_TRIES } else { ONCE };
            let stored = retry_up_to(tries, &*self.ports.timer, find).await?;
            let now = self.ports.clock.now();
            let placed = match Placement::of(stored, &import.command.owner, now) {
                Err(OwnedByAnother) => return Err(ImportAccountError::OwnedByAnother),
                Ok(Placement::Stored(stored))
                    if !stored.gives_way_to_import(&import.command.life, now) =>
                {
                    return Ok(untouched(import, *stored, now));
                }
                Ok(placed) => placed,
            };
            let renewal = match &attempted {
                Some(renewal) => renewal,
                None => attempted.insert(self.renew(import, &placed).await),
            };
            let completed = self.completed(import, &placed, renewal.as_ref());
            if let Placement::Stored(stored) = &placed
                && stored.revision == completed.account.revision
            {
                // Its token has run out since it was asked about, and is this very one.
                return Ok(untouched(import, (**stored).clone(), now));
            }
            let writer = &self.ports.store.account_writer;
            match retry(&*self.ports.timer, || writer.import(&completed)).await {
                Ok(ImportEnded::Stored) => {
                    if renewal.is_some() {
                        self.ports.metrics.count(CountedEvent::TokenRenewed);
                    }
                    let outcome = match placed {
                        Placement::New { .. } => ImportOutcome::Created,
                        Placement::Stored(_) => ImportOutcome::Replaced,
                    };
                    return Ok(ImportedAccount { view: completed.account.view(now), outcome });
                }
                Ok(ImportEnded::UserRemoved) => return Err(ImportAccountError::UserRemoved),
                Ok(ImportEnded::RemovalUnreadable) => {
                    return Err(ImportAccountError::RemovalUnreadable);
                }
                // Somebody linked or imported it meanwhile.
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The renewed token, after one try; `None` where that failed, and where the token is known to be too young.
    async fn renew(&self, import: &Import<'_>, placed: &Placement) -> Option<TokenGrant> {
        let ImportAccountCommand { token, life, .. } = import.command;
        let now = self.ports.clock.now();
        if life.issue_time().is_some_and(|issue| issue + MIN_RENEWAL_AGE > now) {
            return None;
        }
        let id = match placed {
            Placement::Stored(stored) => stored.id,
            Placement::New { .. } => import.new_id,
        };
        let renewal = token_calls::renew(&self.ports, id, token).await;
        renewal
            .inspect_err(|error| {
                self.ports.metrics.count(CountedEvent::RenewalFailed(error.kind));
                tracing::debug!(account.id = %id, %error, "an imported token could not be renewed");
            })
            .ok()
    }

    /// The account as the import leaves it.
    fn completed(
        &self,
        import: &Import<'_>,
        placed: &Placement,
        renewal: Option<&TokenGrant>,
    ) -> CompletedImport {
        let Import { command, new_id, profile, read_time, consent } = import;
        let (profile, read_time) = (profile.clone(), *read_time);
        let given = || command.life.grant(command.token.clone());
        let grant = renewal.cloned().unwrap_or_else(given);
        let token = grant.token.clone();
        match placed {
            Placement::Stored(stored) => {
                let mut account = (**stored).clone();
                account.read_profile(profile, read_time);
                account.take_import(consent, &grant);
                let account = account.succeeding(stored, self.ports.clock.now());
                let former_revision = Some(stored.revision);
                CompletedImport { displaced: None, account, former_revision, token }
            }
            Placement::New { displaced } => CompletedImport {
                displaced: *displaced,
                account: InstagramAccount::link(
                    *new_id,
                    command.owner.clone(),
                    (profile, read_time),
                    consent,
                    &grant,
                ),
                former_revision: None,
                token,
            },
        }
    }
}

/// The account that the import leaves as it is. Where it is the one of this very import, the answer to its write was lost.
fn untouched(
    import: &Import<'_>,
    stored: InstagramAccount,
    now: OffsetDateTime,
) -> ImportedAccount {
    let created = stored.id == import.new_id;
    let outcome = if created { ImportOutcome::Created } else { ImportOutcome::Unchanged };
    ImportedAccount { view: stored.view(now), outcome }
}
