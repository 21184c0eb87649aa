//! Deletions of persons' data: the accounts go at once, and what is left of them is marked to be erased.

use async_trait::async_trait;
use ig_domain::ports::{StoreError, UserDeletions};
use ig_domain::{
    AccountId, ConfirmationCode, Deletion, DeletionState, EventChange, RemovalOutcome,
    SignedRequest,
};
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Condition, Expr, ExprTrait as _};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, DatabaseTransaction, EntityTrait as _,
    IntoActiveModel as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, QueryTrait as _,
};
use time::OffsetDateTime;
use uuid::Uuid;

use super::SeaOrmStore;
use super::columns::{instant, micros, parse};
use super::entity::user_removal::{Column, Entity, Model};
use super::entity::{former_account, instagram_account, link_attempt};
use super::error::{corrupt, translate};
use super::store_meter::Operation;
use super::user_key::UserKey;
use super::user_removals::{DEAUTHORIZATION, DELETION, MICROS_PER_SECOND, seconds};

const STATES: [(DeletionState, &str); 6] = [
    (DeletionState::Running, RUNNING),
    (DeletionState::Running, OLDER_RUNNING),
    (DeletionState::Deleted, "deleted"),
    (DeletionState::OlderDeleted, "older_deleted"),
    (DeletionState::ConsentedSince, "consented_since"),
    (DeletionState::NothingStored, "nothing_stored"),
];

/// State of a deletion that is running, and ends as [`DeletionState::Deleted`].
const RUNNING: &str = "running";

/// State of a deletion that is running, and ends as [`DeletionState::OlderDeleted`].
const OLDER_RUNNING: &str = "older_running";

/// Accounts of a person, unlinked ones among them, by what a deletion does to them.
#[derive(Default)]
pub(super) struct Judged {
    /// Those that are being erased, for whichever deletion.
    pub(super) marked: Vec<AccountId>,
    /// Those whose consent is newer.
    kept: Vec<AccountId>,
}

impl Judged {
    /// The name by which the state is kept.
    fn state(&self) -> &'static str {
        match (self.marked.is_empty(), self.kept.is_empty()) {
            (false, true) => RUNNING,
            (false, false) => OLDER_RUNNING,
            (true, false) => state_name(DeletionState::ConsentedSince),
            (true, true) => state_name(DeletionState::NothingStored),
        }
    }
}

fn is_running(state: &str) -> bool {
    matches!(state, RUNNING | OLDER_RUNNING)
}

fn state_name(state: DeletionState) -> &'static str {
    STATES.into_iter().find(|(known, _)| *known == state).map_or("", |(_, name)| name)
}

#[async_trait]
impl UserDeletions for SeaOrmStore {
    async fn delete(
        &self,
        request: &SignedRequest,
        code: &ConfirmationCode,
        now: OffsetDateTime,
    ) -> Result<(ConfirmationCode, RemovalOutcome), StoreError> {
        let deleted = Box::pin(async {
            let key = self.user_key().await?;
            let hash = key.hash(request.user.as_str())?;
            let write = self.database.begin_write().await?;
            self.lock_users(write.on(), &[hash]).await?;
            if let Some(kept) = self.kept_deletion(write.on(), hash, request).await? {
                let former = self.former_accounts_of(write.on(), &hash).await?;
                return Ok((kept.code, again(kept.state, former.marked)));
            }
            self.erase_attempts_of(write.on(), request).await?;
            let kept = self.delete_accounts_of(write.on(), request, key, now).await?;
            self.mark_former_accounts(write.on(), hash, request, code).await?;
            let mut judged = self.former_accounts_of(write.on(), &hash).await?;
            judged.kept.extend(kept);
            self.keep_deletion(write.on(), hash, request, (code, judged.state()), now).await?;
            self.forget_deauthorizations_of(write.on(), hash, request).await?;
            write.commit().await?;
            self.database.note_erased();
            Ok((code.clone(), RemovalOutcome::of(judged.marked, judged.kept)))
        });
        self.call(Operation::DeleteUser, deleted).await
    }

    async fn find(&self, code: &ConfirmationCode) -> Result<Option<Deletion>, StoreError> {
        self.call(Operation::FindDeletion, async {
            let query = Entity::find()
                .filter(Column::AppId.eq(self.app.as_str()))
                .filter(Column::Code.eq(code.as_str()));
            let found: Option<Model> = self.database.read_one(&query.into_query()).await?;
            found.map(to_domain).transpose()
        })
        .await
    }

    async fn erase(&self, now: OffsetDateTime, limit: u64) -> Result<u64, StoreError> {
        self.call(Operation::Erase, Box::pin(self.erase_round(now, limit))).await
    }
}

/// The outcome of a request that came before, while what is left of these accounts is being erased.
fn again(state: DeletionState, marked: Vec<AccountId>) -> RemovalOutcome {
    match state {
        DeletionState::ConsentedSince => RemovalOutcome::ConsentedSince { accounts: Vec::new() },
        DeletionState::NothingStored => RemovalOutcome::NothingStored,
        DeletionState::Running | DeletionState::Deleted | DeletionState::OlderDeleted => {
            RemovalOutcome::Done { accounts: marked }
        }
    }
}

fn to_domain(row: Model) -> Result<Deletion, StoreError> {
    let Model { code, state, request_time, end_time, .. } = row;
    let known = STATES.into_iter().find(|(_, name)| *name == state);
    let (state, _) = known.ok_or_else(|| corrupt("user_removal.state", "unknown"))?;
    Ok(Deletion {
        code: parse("user_removal.code", &code.unwrap_or_default())?,
        state,
        request_time: instant("user_removal.request_time", request_time)?,
        end_time: end_time.map(|time| instant("user_removal.end_time", time)).transpose()?,
    })
}

/// The first microsecond behind the second of the request: what is before it is as old as the request.
fn end_of_second(request: &SignedRequest) -> i64 {
    micros(request.issue_time) + MICROS_PER_SECOND
}

impl SeaOrmStore {
    /// The deletion that the same request has made.
    async fn kept_deletion(
        &self,
        on: &DatabaseTransaction,
        hash: [u8; 32],
        request: &SignedRequest,
    ) -> Result<Option<Deletion>, StoreError> {
        let kept = Entity::find()
            .filter(self.removals_of(DELETION, &hash))
            .filter(Column::IssueTime.eq(micros(request.issue_time)))
            .one(on)
            .await;
        kept.map_err(|error| translate(&error))?.map(to_domain).transpose()
    }

    fn removals_of(&self, kind: &str, hash: &[u8]) -> Condition {
        Condition::all()
            .add(Column::AppId.eq(self.app.as_str()))
            .add(Column::Kind.eq(kind))
            .add(Column::UserHash.eq(hash.to_vec()))
    }

    /// Erases the person's links under way.
    async fn erase_attempts_of(
        &self,
        on: &DatabaseTransaction,
        request: &SignedRequest,
    ) -> Result<(), StoreError> {
        use link_attempt::Column::{CreateTime, UserId};
        let persons = self.ids_of_person(on, request.user.as_str()).await?;
        let which = UserId.is_in(persons).and(CreateTime.lt(end_of_second(request)));
        self.erase_attempts(on, which).await.map(drop)
    }

    /// Deletes the person's accounts, each with its event. Those whose consent is newer become due and are returned.
    async fn delete_accounts_of(
        &self,
        on: &DatabaseTransaction,
        request: &SignedRequest,
        key: &UserKey,
        now: OffsetDateTime,
    ) -> Result<Vec<AccountId>, StoreError> {
        use instagram_account::Column::{ConsentTime, Id, Revision};
        // No more of a row than is needed: one that cannot be read is deleted, too.
        let accounts = self.accounts_of(request.user.as_str()).select_only();
        let accounts = accounts.columns([Id, Revision, ConsentTime]);
        let accounts = accounts.into_tuple::<(Uuid, i64, i64)>().all(on).await;
        let mut kept = Vec::new();
        for (id, revision, consent_time) in accounts.map_err(|error| translate(&error))? {
            let id = AccountId::from_uuid(id);
            if seconds(consent_time) > request.issue_time.unix_timestamp() {
                kept.push(id);
                continue;
            }
            self.delete_account(on, (id, revision), EventChange::Deleted, Some(key)).await?;
        }
        self.make_accounts_due(on, &kept, now, self.plan.reading_interval).await?;
        Ok(kept)
    }

    /// Marks what the person's accounts have left, those deleted now and those unlinked before. What another deletion
    /// erases already stays that one's.
    async fn mark_former_accounts(
        &self,
        on: &DatabaseTransaction,
        hash: [u8; 32],
        request: &SignedRequest,
        code: &ConfirmationCode,
    ) -> Result<(), StoreError> {
        use former_account::Column::{AccountId, AppId, ConsentTime, RemovalCode, UserHash};
        let of_user = former_account::Entity::find()
            .select_only()
            .column(AccountId)
            .filter(AppId.eq(self.app.as_str()))
            .filter(UserHash.eq(hash.to_vec()))
            .filter(ConsentTime.lt(end_of_second(request)))
            .into_query();
        let removal_code = Set(Some(code.as_str().to_owned()));
        let marked = former_account::Entity::update_many()
            .set(former_account::ActiveModel { removal_code, ..Default::default() })
            .filter(AppId.eq(self.app.as_str()))
            .filter(AccountId.in_subquery(of_user))
            .filter(RemovalCode.is_null())
            .exec(on)
            .await;
        marked.map(drop).map_err(|error| translate(&error))
    }

    /// The person's accounts that are gone and have left something.
    pub(super) async fn former_accounts_of(
        &self,
        on: &DatabaseTransaction,
        hash: &[u8],
    ) -> Result<Judged, StoreError> {
        use former_account::Column::{AccountId as Account, AppId, RemovalCode, UserHash};
        let former = former_account::Entity::find()
            .select_only()
            .columns([Account, RemovalCode])
            .filter(AppId.eq(self.app.as_str()))
            .filter(UserHash.eq(hash.to_vec()))
            .order_by_asc(Account)
            .into_tuple::<(Uuid, Option<String>)>()
            .all(on)
            .await;
        let mut judged = Judged::default();
        for (id, removal_code) in former.map_err(|error| translate(&error))? {
            let judgement =
                if removal_code.is_some() { &mut judged.marked } else { &mut judged.kept };
            judgement.push(AccountId::from_uuid(id));
        }
        Ok(judged)
    }

    /// Ends the deletions of a person of whom nothing is left to erase.
    pub(super) async fn end_deletions_of(
        &self,
        on: &DatabaseTransaction,
        hash: &[u8],
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let ends =
            [(RUNNING, DeletionState::Deleted), (OLDER_RUNNING, DeletionState::OlderDeleted)];
        for (running, ended) in ends {
            let ended = Entity::update_many()
                .col_expr(Column::State, Expr::value(state_name(ended)))
                .col_expr(Column::EndTime, Expr::value(micros(now)))
                .filter(self.removals_of(DELETION, hash))
                .filter(Column::State.eq(running))
                .exec(on)
                .await;
            ended.map_err(|error| translate(&error))?;
        }
        Ok(())
    }

    async fn keep_deletion(
        &self,
        on: &DatabaseTransaction,
        hash: [u8; 32],
        request: &SignedRequest,
        (code, state): (&ConfirmationCode, &str),
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let row = Model {
            app_id: self.app.as_str().to_owned(),
            kind: DELETION.to_owned(),
            user_hash: hash.to_vec(),
            issue_time: micros(request.issue_time),
            code: Some(code.as_str().to_owned()),
            state: state.to_owned(),
            request_time: micros(now),
            end_time: (!is_running(state)).then(|| micros(now)),
        };
        let row = row.into_active_model().reset_all();
        let kept = Entity::insert(row).exec_without_returning(on).await;
        kept.map(drop).map_err(|error| translate(&error))
    }

    /// Forgets the person's deauthorisations that this deletion is not older than.
    async fn forget_deauthorizations_of(
        &self,
        on: &DatabaseTransaction,
        hash: [u8; 32],
        request: &SignedRequest,
    ) -> Result<(), StoreError> {
        let forgotten = Entity::delete_many()
            .filter(self.removals_of(DEAUTHORIZATION, &hash))
            .filter(Column::IssueTime.lte(micros(request.issue_time)))
            .exec(on)
            .await;
        forgotten.map(drop).map_err(|error| translate(&error))
    }
}
