//! Codes of hosted consents: sealed, each under the hash of its ticket.

use async_trait::async_trait;
use ig_domain::ports::{HostedCode, HostedCodes, MAX_HOSTED_CODES, SealContext, StoreError};
use ig_domain::{
    AuthorizationCode, CodeHash, HOSTED_CODE_RETENTION, LINK_RETENTION, StateHash, StateToken,
    Ticket, TicketHash,
};
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Condition, OnConflict};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, DatabaseTransaction, EntityTrait as _,
    IntoActiveModel as _, QueryFilter as _, QuerySelect as _, QueryTrait as _, Select,
};
use secrecy::ExposeSecret as _;
use time::OffsetDateTime;

use super::SeaOrmStore;
use super::columns::{hash, instant, micros};
use super::entity::hosted_code::{ActiveModel, Column, Entity, Model};
use super::error::{corrupt, translate, translate_seal};
use super::store_meter::Operation;
use super::sweep::locked_keys;

/// Context that a code is bound to.
pub(super) fn of_hosted_code(code: &CodeHash) -> SealContext {
    let row = code.as_bytes().to_vec();
    SealContext { table: "hosted_code", row, purpose: "authorization code" }
}

#[async_trait]
impl HostedCodes for SeaOrmStore {
    async fn keep(
        &self,
        code: &AuthorizationCode,
        state: &StateToken,
        now: OffsetDateTime,
    ) -> Result<Option<Ticket>, StoreError> {
        self.call(Operation::KeepCode, async {
            let ticket = self.user_key().await?.ticket(code, state)?;
            let row = self.hosted_code_row(code, state, &ticket, now)?;
            let kept =
                OnConflict::columns([Column::AppId, Column::CodeHash]).do_nothing().to_owned();
            let write = self.database.begin_write().await?;
            Entity::insert(row.into_active_model().reset_all())
                .on_conflict(kept)
                .exec_without_returning(write.on())
                .await
                .map_err(|error| translate(&error))?;
            if self.has_too_many_codes(write.on(), state).await? {
                return Ok(None);
            }
            let stored = self.under_ticket(&ticket.hash()).one(write.on()).await;
            let stored = stored.map_err(|error| translate(&error))?;
            write.commit().await?;
            Ok(stored.map(|_| ticket))
        })
        .await
    }

    async fn ticket(
        &self,
        code: &AuthorizationCode,
        state: &StateToken,
    ) -> Result<Option<Ticket>, StoreError> {
        self.call(Operation::FindTicket, async {
            let ticket = self.user_key().await?.ticket(code, state)?;
            let query = self.under_ticket(&ticket.hash()).into_query();
            let stored: Option<Model> = self.database.read_one(&query).await?;
            Ok(stored.map(|_| ticket))
        })
        .await
    }

    async fn find(&self, ticket: &TicketHash) -> Result<Option<HostedCode>, StoreError> {
        self.call(Operation::FindCode, async {
            let query = self.under_ticket(ticket).into_query();
            let found: Option<Model> = self.database.read_one(&query).await?;
            found.map(|row| self.hosted_code(&row)).transpose()
        })
        .await
    }
}

impl SeaOrmStore {
    fn hosted_code_row(
        &self,
        code: &AuthorizationCode,
        state: &StateToken,
        ticket: &Ticket,
        now: OffsetDateTime,
    ) -> Result<Model, StoreError> {
        let hash = code.hash();
        let sealed = self.cipher.seal(&of_hosted_code(&hash), code.expose());
        Ok(Model {
            app_id: self.app.as_str().to_owned(),
            code_hash: hash.as_bytes().to_vec(),
            ticket_hash: ticket.hash().as_bytes().to_vec(),
            state_hash: state.hash().as_bytes().to_vec(),
            sealed_code: Some(sealed.map_err(translate_seal)?),
            present_time: micros(now),
        })
    }

    fn hosted_code(&self, row: &Model) -> Result<HostedCode, StoreError> {
        let Model { app_id: _, code_hash, ticket_hash: _, state_hash, sealed_code, present_time } =
            row;
        let context = of_hosted_code(&CodeHash::from_bytes(hash("code_hash", code_hash)?));
        let open = |sealed: &Vec<u8>| {
            let opened = self.cipher.open(&context, sealed).map_err(translate_seal)?;
            opened.expose_secret().parse().map_err(|error| corrupt("sealed_code", error))
        };
        Ok(HostedCode {
            state: StateHash::from_bytes(hash("state_hash", state_hash)?),
            code: sealed_code.as_ref().map(open).transpose()?,
            present_time: instant("present_time", *present_time)?,
        })
    }

    /// Whether a state has more codes than it may have.
    async fn has_too_many_codes(
        &self,
        on: &DatabaseTransaction,
        state: &StateToken,
    ) -> Result<bool, StoreError> {
        let codes = Entity::find()
            .select_only()
            .column(Column::CodeHash)
            .filter(Column::AppId.eq(self.app.as_str()))
            .filter(Column::StateHash.eq(state.hash().as_bytes().to_vec()))
            .limit(MAX_HOSTED_CODES + 1)
            .into_tuple::<Vec<u8>>()
            .all(on)
            .await;
        Ok(codes.map_err(|error| translate(&error))?.len() as u64 > MAX_HOSTED_CODES)
    }

    fn under_ticket(&self, ticket: &TicketHash) -> Select<Entity> {
        Entity::find()
            .filter(Column::AppId.eq(self.app.as_str()))
            .filter(Column::TicketHash.eq(ticket.as_bytes().to_vec()))
    }

    /// Erases codes that serve no more, and forgets those that nobody will ask for.
    pub(super) async fn sweep_hosted_codes(
        &self,
        on: &DatabaseTransaction,
        now: OffsetDateTime,
        limit: u64,
    ) -> Result<u64, StoreError> {
        let forgotten = Column::PresentTime.lte(micros(now - LINK_RETENTION));
        let codes = self.hosted_codes(on, Condition::all().add(forgotten), limit).await?;
        let forgotten = Entity::delete_many()
            .filter(Column::AppId.eq(self.app.as_str()))
            .filter(Column::CodeHash.is_in(codes))
            .exec(on)
            .await
            .map_err(|error| translate(&error))?;
        let served = Condition::all()
            .add(Column::SealedCode.is_not_null())
            .add(Column::PresentTime.lte(micros(now - HOSTED_CODE_RETENTION)));
        let codes = self.hosted_codes(on, served, limit).await?;
        let erased = Entity::update_many()
            .set(ActiveModel { sealed_code: Set(None), ..Default::default() })
            .filter(Column::AppId.eq(self.app.as_str()))
            .filter(Column::CodeHash.is_in(codes))
            .exec(on)
            .await
            .map_err(|error| translate(&error))?;
        Ok(forgotten.rows_affected + erased.rows_affected)
    }

    /// The keys of some of this app's codes, locked.
    async fn hosted_codes(
        &self,
        on: &DatabaseTransaction,
        condition: Condition,
        limit: u64,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let keys = Entity::find()
            .select_only()
            .column(Column::CodeHash)
            .filter(Column::AppId.eq(self.app.as_str()))
            .filter(condition);
        locked_keys(on, keys, limit).await
    }
}
