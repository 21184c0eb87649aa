//! Attempts to link, and the lease on each.

use async_trait::async_trait;
use ig_domain::ports::{
    ATTEMPT_LEASE, CompletedLink, GraphFacts, LinkAttempts, LinkEnded, StoreError,
};
use ig_domain::{CodeHash, LeaseHolder, LinkAttempt, LinkOutcome, LinkRefusal, Phase, StateHash};
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{
    Condition, Expr, InsertStatement, IntoCondition, LockBehavior, LockType, Query,
};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait, ConnectionTrait as _, DatabaseTransaction, EntityTrait,
    Iterable as _, QueryFilter, QuerySelect, QueryTrait, Select, UpdateMany,
};
use time::OffsetDateTime;

use super::attempt_row::{ENDED, UNSENT, ended_columns, phase_columns, to_domain, to_row};
use super::entity::link_attempt::{ActiveModel, Column, Entity, Model};
use super::entity::{hosted_code, pending_link};
use super::error::translate;
use super::linked_accounts::Linked;
use super::store_meter::Operation;
use super::user_removals::DELETION;
use super::{SeaOrmStore, lease};

/// Maximum number of attempts that are erased at once.
const MAX_ERASED_ATTEMPTS: u64 = 1000;

#[async_trait]
impl LinkAttempts for SeaOrmStore {
    async fn find(&self, code: &CodeHash) -> Result<Option<LinkAttempt>, StoreError> {
        self.call(Operation::FindAttempt, async {
            let query = Entity::find().filter(self.key(code)).into_query();
            let found: Option<Model> = self.database.read_one(&query).await?;
            found.map(|row| to_domain(&*self.cipher, &row)).transpose()
        })
        .await
    }

    async fn create(&self, attempt: &LinkAttempt, holder: LeaseHolder) -> Result<(), StoreError> {
        self.call(Operation::CreateAttempt, async {
            let write = self.database.begin_write().await?;
            self.spend(write.on(), attempt).await?;
            let row = to_row(&*self.cipher, &self.app, attempt)?;
            let inserted = write.on().execute(&self.leased_row(row, holder)).await;
            inserted.map_err(|error| translate(&error))?;
            write.commit().await
        })
        .await
    }

    async fn discard_unsent(&self, code: &CodeHash, state: &StateHash) -> Result<bool, StoreError> {
        self.call(Operation::DiscardAttempt, async {
            let write = self.database.begin_write().await?;
            let discarded = Entity::delete_many()
                .filter(self.key(code))
                .filter(Column::Phase.eq(UNSENT))
                .filter(self.is_free())
                .exec(write.on())
                .await
                .map_err(|error| translate(&error))?;
            let discarded = discarded.rows_affected > 0;
            if discarded {
                self.unspend(write.on(), code, state).await?;
            }
            write.commit().await?;
            Ok(discarded)
        })
        .await
    }

    async fn claim(
        &self,
        code: &CodeHash,
        holder: LeaseHolder,
    ) -> Result<Option<LinkAttempt>, StoreError> {
        self.call(Operation::ClaimAttempt, async {
            let write = self.database.begin_write().await?;
            // A row that is locked is being written under its lease: there is nothing to claim, and none to wait for.
            let claimable = Entity::find()
                .select_only()
                .column(Column::CodeHash)
                .filter(self.key(code))
                .filter(Column::Phase.ne(ENDED))
                .filter(self.is_free())
                .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
                .into_query();
            let claim =
                self.leased_to(code, holder).filter(Column::CodeHash.in_subquery(claimable));
            let claimed = claim.exec_with_returning(write.on()).await;
            let claimed = claimed.map_err(|error| translate(&error))?;
            let attempt = claimed.first().map(|row| to_domain(&*self.cipher, row)).transpose()?;
            write.commit().await?;
            Ok(attempt)
        })
        .await
    }

    async fn advance(
        &self,
        code: &CodeHash,
        holder: LeaseHolder,
        phase: &Phase,
    ) -> Result<(), StoreError> {
        if let Phase::Ended { .. } = phase {
            return self.release(code, holder, phase).await;
        }
        self.call(Operation::AdvanceAttempt, async {
            let columns = phase_columns(&*self.cipher, code, phase)?;
            let write = self.database.begin_write().await?;
            let step = self.leased_to(code, holder).set(columns);
            self.step(write.on(), holder, step).await?;
            write.commit().await
        })
        .await
    }

    async fn release(
        &self,
        code: &CodeHash,
        holder: LeaseHolder,
        phase: &Phase,
    ) -> Result<(), StoreError> {
        self.call(Operation::ReleaseAttempt, async {
            let columns = phase_columns(&*self.cipher, code, phase)?;
            let write = self.database.begin_write().await?;
            let step = self.leased_to_nobody(code, columns);
            self.step(write.on(), holder, step).await?;
            write.commit().await
        })
        .await
    }

    async fn complete(
        &self,
        code: &CodeHash,
        holder: LeaseHolder,
        link: &CompletedLink,
    ) -> Result<LinkEnded, StoreError> {
        self.call(Operation::CompleteLink, async {
            let users = self.user_hashes(&link.account).await?;
            let key = self.key_for(link.displaced).await?;
            let write = self.database.begin_write().await?;
            // A removal that is under way is waited for, and a later one finds the account.
            self.lock_users(write.on(), users.as_deref().unwrap_or_default()).await?;
            let code_time = self.code_time(code);
            if let Some(removal) = self.removal_since(write.on(), users, code_time).await? {
                self.end_removed(write.on(), (code, holder), &removal, link.end_time).await?;
                write.commit().await?;
                return Ok(LinkEnded::UserRemoved);
            }
            let step =
                self.leased_to_nobody(code, ended_columns(&LinkOutcome::of(link), link.end_time));
            self.step(write.on(), holder, step).await?;
            let CompletedLink { displaced, account, former_revision, token, .. } = link;
            let linked = Linked {
                displaced: *displaced,
                account,
                former_revision: *former_revision,
                token: token.as_ref(),
                is_import: false,
            };
            self.store_linked(write.on(), &linked, key).await?;
            write.commit().await?;
            if link.displaced.is_some() {
                self.database.note_erased();
            }
            Ok(LinkEnded::Stored)
        })
        .await
    }

    async fn sweep(&self, now: OffsetDateTime, limit: u64) -> Result<u64, StoreError> {
        self.call(Operation::Sweep, self.sweep_links(now, limit)).await
    }
}

impl SeaOrmStore {
    pub(super) fn key(&self, code: &CodeHash) -> Condition {
        Condition::all()
            .add(Column::AppId.eq(self.app.as_str()))
            .add(Column::CodeHash.eq(code.as_bytes().to_vec()))
    }

    /// Spends the state that the attempt came with.
    async fn spend(
        &self,
        on: &DatabaseTransaction,
        attempt: &LinkAttempt,
    ) -> Result<(), StoreError> {
        use pending_link::Column::{AppId, SpentBy, StateHash};
        let spent_by = Set(Some(attempt.code.as_bytes().to_vec()));
        let spent = pending_link::Entity::update_many()
            .set(pending_link::ActiveModel { spent_by, ..Default::default() })
            .filter(AppId.eq(self.app.as_str()))
            .filter(StateHash.eq(attempt.state.as_bytes().to_vec()))
            .filter(SpentBy.is_null())
            .exec(on)
            .await
            .map_err(|error| translate(&error))?;
        if spent.rows_affected == 0 { Err(StoreError::Conflict) } else { Ok(()) }
    }

    /// Makes a state unspent that `code` spent.
    async fn unspend(
        &self,
        on: &DatabaseTransaction,
        code: &CodeHash,
        state: &StateHash,
    ) -> Result<(), StoreError> {
        use pending_link::Column::{AppId, SpentBy, StateHash};
        pending_link::Entity::update_many()
            .set(pending_link::ActiveModel { spent_by: Set(None), ..Default::default() })
            .filter(AppId.eq(self.app.as_str()))
            .filter(StateHash.eq(state.as_bytes().to_vec()))
            .filter(SpentBy.eq(code.as_bytes().to_vec()))
            .exec(on)
            .await
            .map_err(|error| translate(&error))?;
        Ok(())
    }

    /// The insertion of an attempt that `holder` has from now on.
    fn leased_row(&self, row: ActiveModel, holder: LeaseHolder) -> InsertStatement {
        let row = ActiveModel { lease_holder: Set(Some(*holder.as_uuid())), ..row };
        let set = Column::iter().filter_map(|column| Some((column, row.get(column).into_value()?)));
        let set = set.map(|(column, value)| (column, Expr::value(value)));
        let lease_end = (Column::LeaseEnd, lease::end(ATTEMPT_LEASE, self.backend()));
        let (columns, values): (Vec<_>, Vec<_>) = set.chain([lease_end]).unzip();
        Query::insert().into_table(Entity).columns(columns).values_panic(values).take()
    }

    /// Gives `holder` the attempt from now on.
    fn leased_to(&self, code: &CodeHash, holder: LeaseHolder) -> UpdateMany<Entity> {
        let lease_holder = Set(Some(*holder.as_uuid()));
        Entity::update_many()
            .set(ActiveModel { lease_holder, ..Default::default() })
            .col_expr(Column::LeaseEnd, lease::end(ATTEMPT_LEASE, self.backend()))
            .filter(self.key(code))
    }

    /// Writes `columns` and gives the lease back.
    fn leased_to_nobody(&self, code: &CodeHash, columns: ActiveModel) -> UpdateMany<Entity> {
        let columns = ActiveModel { lease_holder: Set(None), lease_end: Set(None), ..columns };
        Entity::update_many().set(columns).filter(self.key(code))
    }

    /// Takes a step that only the holder may take.
    async fn step(
        &self,
        on: &DatabaseTransaction,
        holder: LeaseHolder,
        step: UpdateMany<Entity>,
    ) -> Result<(), StoreError> {
        let step = step.filter(Column::LeaseHolder.eq(*holder.as_uuid()));
        let taken = step.exec(on).await.map_err(|error| translate(&error))?;
        if taken.rows_affected == 0 { Err(StoreError::LeaseLost) } else { Ok(()) }
    }

    /// Ends an attempt whose person has removed the app, as that of a spent code: a deletion erases it.
    async fn end_removed(
        &self,
        on: &DatabaseTransaction,
        (code, holder): (&CodeHash, LeaseHolder),
        removal: &str,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let refusal = LinkRefusal::CodeRejected(GraphFacts::default());
        let columns = ended_columns(&LinkOutcome::Refused(refusal), now);
        self.step(on, holder, self.leased_to_nobody(code, columns)).await?;
        if removal == DELETION {
            self.erase_attempts(on, Column::CodeHash.eq(code.as_bytes().to_vec())).await?;
            self.database.note_erased();
        }
        Ok(())
    }

    /// Erases attempts, their states, and the codes that were kept for them. Whoever holds one finds it gone. Returns
    /// their number, at most [`MAX_ERASED_ATTEMPTS`].
    pub(super) async fn erase_attempts(
        &self,
        on: &DatabaseTransaction,
        which: impl IntoCondition,
    ) -> Result<u64, StoreError> {
        let erased = self.attempts_to_erase(which).into_tuple::<(Vec<u8>, Vec<u8>)>().all(on).await;
        let erased = erased.map_err(|error| translate(&error))?;
        if erased.is_empty() {
            return Ok(0);
        }
        let (codes, states): (Vec<_>, Vec<_>) = erased.into_iter().unzip();
        let app = self.app.as_str();
        let attempts = Entity::delete_many()
            .filter(Column::AppId.eq(app))
            .filter(Column::CodeHash.is_in(codes.clone()));
        let spent = pending_link::Entity::delete_many()
            .filter(pending_link::Column::AppId.eq(app))
            .filter(pending_link::Column::StateHash.is_in(states));
        let kept = hosted_code::Entity::delete_many()
            .filter(hosted_code::Column::AppId.eq(app))
            .filter(hosted_code::Column::CodeHash.is_in(codes));
        let attempts = attempts.exec(on).await.map_err(|error| translate(&error))?;
        spent.exec(on).await.map_err(|error| translate(&error))?;
        kept.exec(on).await.map_err(|error| translate(&error))?;
        Ok(attempts.rows_affected)
    }

    /// Code and state of each of these attempts, locked.
    pub(super) fn attempts_to_erase(&self, which: impl IntoCondition) -> Select<Entity> {
        Entity::find()
            .select_only()
            .columns([Column::CodeHash, Column::StateHash])
            .filter(Column::AppId.eq(self.app.as_str()))
            .filter(which)
            .limit(MAX_ERASED_ATTEMPTS)
            .lock_exclusive()
    }

    /// Moment at which an attempt's code came, as a part of another query.
    pub(super) fn code_time(&self, code: &CodeHash) -> Expr {
        let code_time = Entity::find()
            .select_only()
            .expr(Expr::col((Entity, Column::CreateTime)))
            .filter(self.key(code))
            .into_query();
        Expr::from(code_time)
    }

    /// Whether nobody holds an attempt.
    pub(super) fn is_free(&self) -> Condition {
        Condition::any().add(Column::LeaseHolder.is_null()).add(lease::has_ended(
            Column::LeaseEnd,
            ATTEMPT_LEASE,
            self.backend(),
        ))
    }

    pub(super) fn backend(&self) -> sea_orm::DbBackend {
        self.database.backend()
    }
}
