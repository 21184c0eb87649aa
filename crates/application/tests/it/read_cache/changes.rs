//! Changes, by this process and by others.

use std::future::pending;

use futures_util::FutureExt as _;
use ig_domain::ports::{
    AccountWriter, Cause, CompletedImport, CompletedLink, Ids as _, ImportEnded, VisitChange,
    VisitResult, Webhooks as _,
};
use ig_domain::{LeaseHolder, LinkAttempt, ReauthorizationReason, RemovalOutcome, SignedRequest};
use ig_test_support::builders::{long_lived, pending_link, presentation, received};
use rstest::rstest;
use time::OffsetDateTime;

use super::*;

const DAY: Duration = Duration::from_hours(24);

/// Whatever changes an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Updated,
    Refused,
    Removed,
    Imported,
    Relinked,
    LinkedElsewhere,
    ImportedElsewhere,
    Expired,
    Visited,
    Deauthorized,
    Deleted,
}

/// Those by whom a change is made.
struct Ports {
    store: StorePorts,
    removals: Arc<dyn UserRemovals>,
    deletions: Arc<dyn UserDeletions>,
}

impl Scene {
    fn ports(&self) -> Ports {
        Ports { store: self.ports.clone(), removals: self.removals(), deletions: self.deletions() }
    }

    /// The ports of another process.
    fn others(&self) -> Ports {
        let store = Arc::new(self.store.clone());
        Ports { store: StorePorts::of(store.clone()), removals: store.clone(), deletions: store }
    }
}

impl Change {
    /// Changes account 1.
    async fn make(self, ports: &Ports) {
        let key = id(1);
        let former = ports.store.accounts.find(&key).await.unwrap().unwrap();
        let holder = SequentialIds::default().lease_holder();
        let later = START + DAY;
        match self {
            Self::Updated => {
                ports.store.account_writer.update(&renamed(&former), &former, None).await.unwrap();
            }
            Self::Refused => refuse(ports, &former, holder).await,
            Self::Removed => {
                ports.store.account_writer.remove(former.id, former.revision).await.unwrap();
            }
            Self::Imported => import(ports, renamed(&former), Some(&former), None).await,
            Self::Relinked => link(ports, renamed(&former), Some(&former), None).await,
            Self::LinkedElsewhere => {
                refuse(ports, &former, holder).await;
                let displaced = Some((former.id, former.revision + 1));
                link(ports, elsewhere(&former), None, displaced).await;
            }
            Self::ImportedElsewhere => {
                refuse(ports, &former, holder).await;
                let displaced = Some((former.id, former.revision + 1));
                import(ports, elsewhere(&former), None, displaced).await;
            }
            Self::Expired => {
                let marked = ports.store.account_writer.mark_expired(START + DAY * 61, 10).await;
                assert_eq!(marked.unwrap(), 2);
            }
            Self::Visited => visit(ports, former.id, holder, later).await,
            Self::Deauthorized => {
                let outcome = ports.removals.deauthorize(&request(&former), later).await.unwrap();
                assert_eq!(outcome, RemovalOutcome::Done { accounts: vec![former.id] });
            }
            Self::Deleted => {
                let deleted = ports.deletions.delete(&request(&former), &parsed(CODE), later).await;
                let (_, outcome) = deleted.unwrap();
                assert_eq!(outcome, RemovalOutcome::Done { accounts: vec![former.id] });
            }
        }
    }
}

const CODE: &str = "0123456789abcdef0123456789abcdef";

fn request(account: &InstagramAccount) -> SignedRequest {
    SignedRequest { user: account.app_scoped_user_id.clone().unwrap(), issue_time: START + DAY }
}

/// The same professional account, as account 3 of another owner.
fn elsewhere(former: &InstagramAccount) -> InstagramAccount {
    let account = account(3, "shop/8", START);
    InstagramAccount { professional_account_id: former.professional_account_id.clone(), ..account }
}

async fn refuse(ports: &Ports, former: &InstagramAccount, holder: LeaseHolder) {
    assert!(ports.store.renewal_leases.claim(former.id, holder).await.unwrap());
    let dead = former.dead(ReauthorizationReason::TokenRevoked, START);
    ports.store.account_writer.mark_refused(&dead, former.revision, holder).await.unwrap();
}

async fn import(
    ports: &Ports,
    account: InstagramAccount,
    former: Option<&InstagramAccount>,
    displaced: Option<(AccountId, i64)>,
) {
    let former_revision = former.map(|former| former.revision);
    let token = long_lived("IGAA-second");
    let import = CompletedImport { displaced, account, former_revision, token };
    assert_eq!(ports.store.account_writer.import(&import).await.unwrap(), ImportEnded::Stored);
}

async fn link(
    ports: &Ports,
    account: InstagramAccount,
    former: Option<&InstagramAccount>,
    displaced: Option<(AccountId, i64)>,
) {
    let pending = pending_link("another-state", account.owner.as_str(), START);
    ports.store.pending_links.insert(&pending).await.unwrap();
    let presented = presentation("another-code", "another-state", account.owner.as_str());
    let attempt = LinkAttempt::begin(pending, &presented, START);
    let holder = SequentialIds::after(7).lease_holder();
    ports.store.link_attempts.create(&attempt, holder).await.unwrap();
    let link = CompletedLink {
        displaced,
        account,
        former_revision: former.map(|former| former.revision),
        token: Some(long_lived("IGAA-second")),
        missing_scopes: Vec::new(),
        end_time: START,
    };
    ports.store.link_attempts.complete(&attempt.code, holder, &link).await.unwrap();
}

/// The keeper reads a profile.
async fn visit(ports: &Ports, id: AccountId, holder: LeaseHolder, now: OffsetDateTime) {
    let due = ports.store.due_accounts.claim_due(now + DAY, holder, 10).await.unwrap();
    let claimed = due.into_iter().find(|due| due.id == id).unwrap();
    let (former, _) = claimed.found.unwrap();
    // Without an event: no look tells of it.
    let account = InstagramAccount { followers_count: Some(1_000_000), ..former.clone() };
    let change = VisitChange {
        account: account.succeeding(&former, now),
        former_revision: former.revision,
        former_profile_time: former.profile_time,
        token: None,
    };
    let result = VisitResult { id, change: Some(change) };
    assert_eq!(ports.store.due_accounts.finish(&[(holder, result)]).await.unwrap(), []);
}

#[rstest]
#[case(Change::Updated)]
#[case(Change::Refused)]
#[case(Change::Removed)]
#[case(Change::Imported)]
#[case(Change::Relinked)]
#[case(Change::LinkedElsewhere)]
#[case(Change::ImportedElsewhere)]
#[case(Change::Expired)]
#[case(Change::Visited)]
#[case(Change::Deauthorized)]
#[case(Change::Deleted)]
#[tokio::test]
async fn a_change_of_this_process_shows_at_once(#[case] change: Change) {
    let scene = Scene::new().await;
    let keys = [id(1), professional(1)];
    let mut before = Vec::new();
    for key in &keys {
        before.push(scene.get(key).await);
        assert!(scene.is_remembered(key).await);
    }
    change.make(&scene.ports()).await;
    for (key, before) in keys.iter().zip(before) {
        let stored = scene.stored(key).await;
        assert_ne!(stored, before);
        assert_eq!(scene.get(key).await, stored);
    }
}

#[rstest]
#[case(Change::Updated)]
#[case(Change::Refused)]
#[case(Change::Removed)]
#[case(Change::Imported)]
#[case(Change::Relinked)]
#[case(Change::LinkedElsewhere)]
#[case(Change::ImportedElsewhere)]
#[case(Change::Expired)]
#[case(Change::Deauthorized)]
#[case(Change::Deleted)]
#[tokio::test]
async fn a_change_of_another_process_shows_at_the_next_look(#[case] change: Change) {
    let scene = Scene::new().await;
    let keys = [id(1), professional(1)];
    for key in &keys {
        scene.get(key).await;
    }
    change.make(&scene.others()).await;
    for key in &keys {
        assert!(scene.is_remembered(key).await, "nobody has looked");
    }
    scene.look().await;
    for key in &keys {
        assert_eq!(scene.get(key).await, scene.stored(key).await);
    }
}

/// It shows within the bound of readings.
#[tokio::test]
async fn a_change_without_an_event_shows_within_a_minute() {
    let scene = Scene::new().await;
    let (holder, others) = (SequentialIds::default().lease_holder(), scene.others());
    for key in [id(1), professional(1)] {
        scene.get(&key).await;
    }
    let AccountKey::Id(account) = id(1) else { unreachable!() };
    visit(&others, account, holder, START + DAY).await;
    for _ in 0..119 {
        scene.timer.advance(Duration::from_millis(500));
        scene.look().await;
        assert!(scene.is_remembered(&id(1)).await);
    }
    scene.timer.advance(Duration::from_millis(500));
    scene.look().await;
    for key in [id(1), professional(1)] {
        assert_eq!(scene.get(&key).await, scene.stored(&key).await);
    }
    assert!(scene.is_remembered(&id(1)).await, "from this reading on");
}

/// Updates of accounts come often, and change none.
#[tokio::test]
async fn a_webhook_makes_nothing_forgotten() {
    let scene = Scene::new().await;
    let account = scene.get(&id(1)).await.unwrap();
    let update = received(&account, 1, 10);
    assert_eq!(scene.store.store(&[update]).await.unwrap().stored, 1);
    scene.look().await;
    assert!(scene.is_remembered(&id(1)).await);
}

/// What becomes of a write, as its caller sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    AnswerLost,
    GivenUp,
}

/// A store that writes, and whose answer does not come.
struct Unanswered(MemoryStore, End);

impl Unanswered {
    async fn answer<T>(&self) -> Result<T, StoreError> {
        match self.1 {
            End::AnswerLost => Err(StoreError::Unavailable(Cause::new("lost"))),
            End::GivenUp => pending().await,
        }
    }
}

#[async_trait]
impl AccountWriter for Unanswered {
    async fn update(
        &self,
        account: &InstagramAccount,
        former: &InstagramAccount,
        token: Option<LongLivedToken>,
    ) -> Result<(), StoreError> {
        self.0.update(account, former, token).await?;
        self.answer().await
    }

    async fn import(&self, import: &CompletedImport) -> Result<ImportEnded, StoreError> {
        self.0.import(import).await?;
        self.answer().await
    }

    async fn mark_refused(
        &self,
        account: &InstagramAccount,
        former_revision: i64,
        holder: LeaseHolder,
    ) -> Result<(), StoreError> {
        self.0.mark_refused(account, former_revision, holder).await?;
        self.answer().await
    }

    async fn remove(&self, id: AccountId, revision: i64) -> Result<(), StoreError> {
        self.0.remove(id, revision).await?;
        self.answer().await
    }

    async fn mark_expired(&self, now: OffsetDateTime, limit: u64) -> Result<u64, StoreError> {
        self.0.mark_expired(now, limit).await?;
        self.answer().await
    }
}

#[rstest]
#[tokio::test]
async fn a_change_of_which_its_caller_does_not_hear_shows_at_once(
    #[values(End::AnswerLost, End::GivenUp)] end: End,
    #[values(false, true)] names_accounts: bool,
) {
    let scene = Scene::new().await;
    let account_writer = Arc::new(Unanswered(scene.store.clone(), end));
    let ports = StorePorts { account_writer, ..StorePorts::of(Arc::new(scene.store.clone())) };
    let writer = ports.cached_by(&scene.cache).account_writer;
    let former = scene.get(&id(1)).await.unwrap();
    let next = renamed(&former);
    let written = async {
        if names_accounts {
            writer.update(&next, &former, None).await
        } else {
            writer.mark_expired(START + DAY * 61, 10).await.map(drop)
        }
    };
    assert!(!matches!(written.now_or_never(), Some(Ok(()))));
    let stored = scene.stored(&id(1)).await;
    assert_ne!(stored, Some(former));
    assert_eq!(scene.get(&id(1)).await, stored);
}
