//! Witnesses: other accounts that are asked before a refusal is held against an account, or against the app.

use std::sync::atomic::{AtomicU64, Ordering};

use ig_domain::ports::{InstagramError, InstagramErrorKind, OpenBreaker, StoreError};
use ig_domain::{AccountId, InstagramAccount, LongLivedToken, TroubleCause};
use time::OffsetDateTime;
use tokio::sync::Mutex;

use crate::Ports;
use crate::token_calls;

/// Maximum number of witnesses that one judgement asks.
const MAX_WITNESSES: u64 = 3;

/// Number of accounts among which a probe of the open breaker finds its witness at random: one whose own token is dead
/// must not keep the breaker open.
const PROBE_CANDIDATES: u64 = 16;

/// Verdict on a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is the account's own matter.
    Account,
    /// It is the app's: all witnesses were refused, too. The breaker is open for this cause.
    App(TroubleCause),
    /// No witness could be asked: nothing follows from the refusal.
    Undecided,
}

/// A refusal that is to be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Instagram refused the token, twice.
    Token,
    /// Instagram refused the app.
    App,
}

impl Verdict {
    /// The failure that a refusal comes to by this verdict; `None` where it stands as it is.
    pub(crate) fn failure(self, refusal: &InstagramError) -> Option<InstagramError> {
        let kind = match self {
            Self::Account => return None,
            Self::App(TroubleCause::AppMisconfigured) => InstagramErrorKind::AppMisconfigured,
            Self::Undecided if refusal.rejects_token() => InstagramErrorKind::Unconfirmed,
            Self::App(_) | Self::Undecided => InstagramErrorKind::Unavailable,
        };
        Some(InstagramError { kind, ..refusal.clone() })
    }
}

/// Judgements of one process: those at the same time share one round of asking.
#[derive(Default)]
pub(crate) struct Judgements {
    /// Number of rounds that have begun.
    begun: AtomicU64,
    last: Mutex<Option<Round>>,
}

/// A round of asking that has ended.
#[derive(Clone, Copy)]
struct Round {
    number: u64,
    finding: Finding,
}

/// Finding of a round.
#[derive(Clone, Copy)]
enum Finding {
    /// This witness is well.
    Well(AccountId),
    /// All were refused; `true` where one of them was refused for the app.
    AllRefused { app: bool },
    /// There is no other account.
    NobodyElse,
    /// One could not be asked.
    Undecided,
}

/// Answer of one witness.
enum Testimony {
    Well,
    Refused(Refused),
    None,
}

/// Judges a refusal that `accused` met, by witnesses that are asked after it; they keep their readings. Opens the
/// breaker where it is the app's matter, and closes it where a witness was asked and is well.
///
/// # Errors
///
/// [`StoreError::Unavailable`].
pub(crate) async fn judge(
    ports: &Ports,
    accused: AccountId,
    refused: Refused,
) -> Result<Verdict, StoreError> {
    let judgements = &ports.health.judgements;
    let (heard_at, begun) = (ports.clock.now(), judgements.begun.load(Ordering::SeqCst));
    let mut last = judgements.last.lock().await;
    // Only a round that began after the refusal was heard tells anything about it.
    let shared = last.filter(|round| round.number > begun && serves(round.finding, accused));
    let finding = if let Some(round) = shared {
        round.finding
    } else {
        let number = judgements.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let finding = ask_witnesses(ports, accused, heard_at).await?;
        *last = Some(Round { number, finding });
        finding
    };
    verdict(ports, refused, finding).await
}

/// Whether another's round decides about `accused`, too: it must not be its own witness.
fn serves(finding: Finding, accused: AccountId) -> bool {
    match finding {
        Finding::Well(witness) => witness != accused,
        Finding::AllRefused { .. } | Finding::Undecided => true,
        Finding::NobodyElse => false,
    }
}

async fn ask_witnesses(
    ports: &Ports,
    accused: AccountId,
    heard_at: OffsetDateTime,
) -> Result<Finding, StoreError> {
    let due_accounts = &ports.store.due_accounts;
    let witnesses = due_accounts.witnesses(accused, ports.clock.now(), MAX_WITNESSES).await?;
    if witnesses.is_empty() {
        return Ok(Finding::NobodyElse);
    }
    let seen = ports.store.breaker.load().await?.open;
    let mut app = false;
    for (witness, token) in witnesses {
        let is_known_well =
            witness.profile_time > heard_at && witness.profile_time <= ports.clock.now();
        if is_known_well {
            return Ok(Finding::Well(witness.id));
        }
        match testimony(ports, &witness, &token).await {
            Testimony::Well => {
                close_breaker(ports, seen).await?;
                return Ok(Finding::Well(witness.id));
            }
            Testimony::Refused(refused) => app |= refused == Refused::App,
            Testimony::None => return Ok(Finding::Undecided),
        }
    }
    Ok(Finding::AllRefused { app })
}

/// Asks a witness, and stores its reading where it is well.
async fn testimony(ports: &Ports, witness: &InstagramAccount, token: &LongLivedToken) -> Testimony {
    let profile = match token_calls::read(ports, witness, token).await {
        Ok(profile) => profile,
        Err(error) if error.rejects_token() => return Testimony::Refused(Refused::Token),
        Err(error) if error.kind == InstagramErrorKind::AppMisconfigured => {
            return Testimony::Refused(Refused::App);
        }
        Err(error) => {
            tracing::debug!(%error, "a witness could not be asked");
            return Testimony::None;
        }
    };
    let mut read = witness.clone();
    let now = ports.clock.now();
    read.read_profile(profile, now);
    let read = read.succeeding(witness, now);
    // Somebody else may have changed it meanwhile: what it said counts all the same.
    if let Err(error) = ports.store.account_writer.update(&read, witness, None).await {
        tracing::debug!(%error, "a witness's reading was not stored");
    }
    Testimony::Well
}

async fn verdict(ports: &Ports, refused: Refused, finding: Finding) -> Result<Verdict, StoreError> {
    let app = match (finding, refused) {
        (Finding::Undecided, _) => return Ok(Verdict::Undecided),
        (Finding::Well(_), _) | (Finding::NobodyElse, Refused::Token) => {
            return Ok(Verdict::Account);
        }
        (Finding::NobodyElse, Refused::App) => true,
        (Finding::AllRefused { app }, refused) => app || refused == Refused::App,
    };
    let cause =
        if app { TroubleCause::AppMisconfigured } else { TroubleCause::InstagramUnavailable };
    if ports.store.breaker.open(cause, ports.clock.now()).await? {
        let cause = cause.as_str();
        tracing::error!(
            cause,
            "Instagram refuses the app: the keeper waits until a witness is well"
        );
    }
    Ok(Verdict::App(cause))
}

/// Closes the breaker where it was `seen` open before a witness was asked that is well. That witness says nothing about
/// a later opening.
async fn close_breaker(ports: &Ports, seen: Option<OpenBreaker>) -> Result<(), StoreError> {
    let Some(OpenBreaker { since_time, .. }) = seen else { return Ok(()) };
    if ports.store.breaker.close(since_time, ports.clock.now()).await? {
        tracing::info!("a witness is well: the keeper goes on");
    }
    Ok(())
}

/// Whether an account that is stored is well, so that a refusal of the app is another account's own matter. Closes the
/// breaker where it is. `false` where there is no account to ask, or none could be asked.
///
/// # Errors
///
/// [`StoreError::Unavailable`].
pub(crate) async fn is_anybody_well(ports: &Ports) -> Result<bool, StoreError> {
    let now = ports.clock.now();
    let nobody = ports.ids.account_id(now);
    Ok(matches!(ask_witnesses(ports, nobody, now).await?, Finding::Well(_)))
}

/// Asks one account, found at random among those that were read last, whether the app is well again; closes the breaker
/// where it is, and where there is no account to ask.
///
/// # Errors
///
/// [`StoreError::Unavailable`].
pub(crate) async fn probe(ports: &Ports) -> Result<(), StoreError> {
    let seen = ports.store.breaker.load().await?.open;
    let now = ports.clock.now();
    let nobody = ports.ids.account_id(now);
    let mut candidates = ports.store.due_accounts.witnesses(nobody, now, PROBE_CANDIDATES).await?;
    if candidates.is_empty() {
        return close_breaker(ports, seen).await;
    }
    let index = usize::try_from(ports.ids.draw()).unwrap_or_default() % candidates.len();
    let (witness, token) = candidates.swap_remove(index);
    match testimony(ports, &witness, &token).await {
        Testimony::Well => close_breaker(ports, seen).await,
        Testimony::Refused(_) | Testimony::None => Ok(()),
    }
}
