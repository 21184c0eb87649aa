//! Deletions of persons' data: the accounts go at once, and what is left of them is marked to be erased.

use async_trait::async_trait;
use ig_domain::ports::{GraphFacts, StoreError, UserDeletions};
use ig_domain::{
    AccountId, ConfirmationCode, Deletion, DeletionState, EventChange, LinkOutcome, LinkRefusal,
    RemovalOutcome, SignedRequest,
};
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::Condition;
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, DatabaseTransaction, EntityTrait as _,
    IntoActiveModel as _, QueryFilter as _, QuerySelect as _, QueryTrait as _,
};
use time::OffsetDateTime;
use uuid::Uuid;

use super::SeaOrmStore;
use super::attempt_row::ended_columns;
use super::columns::{instant, micros, parse};
use super::entity::user_removal::{Column, Entity, Model};
use super::entity::{former_account, instagram_account, link_attempt};
use super::error::{corrupt, translate};
use super::store_meter::Operation;
use super::user_key::UserKey;
use super::user_removals::{DEAUTHORIZATION, DELETION, MICROS_PER_SECOND, seconds};

const STATES: [(DeletionState, &str); 4] = [
    (DeletionState::Running, "running"),
    (DeletionState::Deleted, "deleted"),
    (DeletionState::ConsentedSince, "consented_since"),
    (DeletionState::NothingStored, "nothing_stored"),
];

/// The name by which a state is kept.
pub(super) fn state_name(state: DeletionState) -> &'static str {
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
                return Ok((kept.code, again(kept.state)));
            }
            self.end_attempts_of(write.on(), request, now).await?;
            let outcome = self.delete_accounts_of(write.on(), request, key, now).await?;
            let marked = self.mark_former_accounts(write.on(), hash, request, code).await?;
            self.keep_deletion(write.on(), hash, request, (code, state(&outcome, marked)), now)
                .await?;
            self.forget_deauthorizations_of(write.on(), hash, request).await?;
            write.commit().await?;
            self.database.note_erased();
            Ok((code.clone(), outcome))
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

/// The outcome of a request that came before.
fn again(state: DeletionState) -> RemovalOutcome {
    match state {
        DeletionState::Running | DeletionState::Deleted => {
            RemovalOutcome::Done { accounts: Vec::new() }
        }
        DeletionState::ConsentedSince => RemovalOutcome::ConsentedSince { accounts: Vec::new() },
        DeletionState::NothingStored => RemovalOutcome::NothingStored,
    }
}

/// State of a deletion by what it did to the accounts, and whether anything is left to be erased.
fn state(outcome: &RemovalOutcome, is_marked: bool) -> DeletionState {
    match outcome {
        _ if is_marked => DeletionState::Running,
        RemovalOutcome::Done { .. } => DeletionState::Deleted,
        RemovalOutcome::ConsentedSince { .. } => DeletionState::ConsentedSince,
        RemovalOutcome::NothingStored => DeletionState::NothingStored,
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
            .filter(self.removals_of(DELETION, hash))
            .filter(Column::IssueTime.eq(micros(request.issue_time)))
            .one(on)
            .await;
        kept.map_err(|error| translate(&error))?.map(to_domain).transpose()
    }

    fn removals_of(&self, kind: &str, hash: [u8; 32]) -> Condition {
        Condition::all()
            .add(Column::AppId.eq(self.app.as_str()))
            .add(Column::Kind.eq(kind))
            .add(Column::UserHash.eq(hash.to_vec()))
    }

    /// Ends the person's links under way, as those of a spent code, and erases their codes: whoever holds one loses it.
    async fn end_attempts_of(
        &self,
        on: &DatabaseTransaction,
        request: &SignedRequest,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        use link_attempt::Column::{AppId, ReceiveTime, UserId};
        let ended = link_attempt::Entity::update_many()
            .set(rejected(now))
            .filter(AppId.eq(self.app.as_str()))
            .filter(UserId.eq(request.user.as_str()))
            .filter(ReceiveTime.lt(end_of_second(request)))
            .exec_with_returning(on)
            .await;
        let ended = ended.map_err(|error| translate(&error))?;
        let codes = ended.into_iter().map(|row| row.code_hash).collect();
        self.erase_hosted_codes(on, codes).await.map(drop)
    }

    /// Deletes the person's accounts, each with its event; those whose consent is newer become due.
    async fn delete_accounts_of(
        &self,
        on: &DatabaseTransaction,
        request: &SignedRequest,
        key: &UserKey,
        now: OffsetDateTime,
    ) -> Result<RemovalOutcome, StoreError> {
        use instagram_account::Column::{ConsentTime, Id, Revision};
        // No more of a row than is needed: one that cannot be read is deleted, too.
        let accounts = self.accounts_of(request.user.as_str()).select_only();
        let accounts = accounts.columns([Id, Revision, ConsentTime]);
        let accounts = accounts.into_tuple::<(Uuid, i64, i64)>().all(on).await;
        let (mut deleted, mut kept) = (Vec::new(), Vec::new());
        for (id, revision, consent_time) in accounts.map_err(|error| translate(&error))? {
            let id = AccountId::from_uuid(id);
            if seconds(consent_time) > request.issue_time.unix_timestamp() {
                kept.push(id);
                continue;
            }
            self.delete_account(on, (id, revision), EventChange::Deleted, Some(key)).await?;
            deleted.push(id);
        }
        self.make_accounts_due(on, &kept, now, self.plan.reading_interval).await?;
        Ok(RemovalOutcome::of(deleted, kept))
    }

    /// Marks what the person's accounts have left, those deleted now and those unlinked before. `true` where there is
    /// anything. What another deletion erases already stays that one's.
    async fn mark_former_accounts(
        &self,
        on: &DatabaseTransaction,
        hash: [u8; 32],
        request: &SignedRequest,
        code: &ConfirmationCode,
    ) -> Result<bool, StoreError> {
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
        Ok(marked.map_err(|error| translate(&error))?.rows_affected > 0)
    }

    async fn keep_deletion(
        &self,
        on: &DatabaseTransaction,
        hash: [u8; 32],
        request: &SignedRequest,
        (code, state): (&ConfirmationCode, DeletionState),
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let row = Model {
            app_id: self.app.as_str().to_owned(),
            kind: DELETION.to_owned(),
            user_hash: hash.to_vec(),
            issue_time: micros(request.issue_time),
            code: Some(code.as_str().to_owned()),
            state: state_name(state).to_owned(),
            request_time: micros(now),
            end_time: (state != DeletionState::Running).then(|| micros(now)),
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
            .filter(self.removals_of(DEAUTHORIZATION, hash))
            .filter(Column::IssueTime.lte(micros(request.issue_time)))
            .exec(on)
            .await;
        forgotten.map(drop).map_err(|error| translate(&error))
    }
}

/// Columns of an attempt that has ended as one whose code is spent, and that nobody holds.
pub(super) fn rejected(now: OffsetDateTime) -> link_attempt::ActiveModel {
    let refusal = LinkRefusal::CodeRejected(GraphFacts::default());
    link_attempt::ActiveModel {
        lease_holder: Set(None),
        lease_end: Set(None),
        ..ended_columns(&LinkOutcome::Refused(refusal), now)
    }
}
