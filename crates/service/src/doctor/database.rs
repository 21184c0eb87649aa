//! Checks of the database: whether it can be written, what it lacks, whether the keys are its own, and whether somebody
//! keeps its accounts' tokens alive.

use std::fmt::Display;
use std::sync::Arc;

use ig_adapters::persistence::{Database, SeaOrmStore, WriteObstacle};
use ig_adapters::sealing::{KeyCheckError, KeyFileError, KeyRing};
use ig_domain::ports::{KeyChecks as _, StoreError, Surveys as _};
use time::OffsetDateTime;

use super::{Finding, chain, unusable_keys};
use crate::config::{InvalidSettings, Problem, ServeConfig, setting};
use crate::meters::unread_store_meter;
use crate::serve;

/// A database that lets `serve` serve.
#[derive(Default)]
pub(super) struct Examined {
    /// A finding that lets it all the same.
    pub(super) warning: Option<Problem>,
    /// The rows of the app; `None` where there are none yet.
    pub(super) store: Option<SeaOrmStore>,
}

/// Asks the database; `ring` has the keys, where there are any.
///
/// # Errors
///
/// The finding that would keep `serve` from serving.
pub(super) async fn examine(
    config: &ServeConfig,
    database: Database,
    ring: Option<Result<KeyRing, KeyFileError>>,
) -> Result<Examined, InvalidSettings> {
    if database.will_be_created() {
        return Ok(Examined::default());
    }
    if let Some(obstacle) = database.refused_writing().await.map_err(|error| away(&error))? {
        return Err(unwritable(&obstacle));
    }
    let missing = database.pending_migrations().await.map_err(|error| away(&error))?;
    match missing.first() {
        Some(first) if !serve::migrates(config, &database) => {
            return Err(refuse(&format_args!(
                "names a database that lacks {} migrations, first {first}: run `instagram-accounts migrate`, \
                 or set MIGRATE_ON_START=true",
                missing.len()
            )));
        }
        // Serving brings it up to date.
        Some(_) => return Ok(Examined::default()),
        None => {}
    }
    match ring {
        Some(Ok(ring)) => keys(ring, config, database).await,
        Some(Err(error)) if database.anything_sealed().await.map_err(|error| away(&error))? => {
            Err(unusable_keys(&error))
        }
        Some(Err(_)) | None => Ok(Examined::default()),
    }
}

/// Looks for accounts that nobody visits.
///
/// # Errors
///
/// When the store cannot be asked.
pub(super) async fn examine_visits(
    store: &SeaOrmStore,
    now: OffsetDateTime,
) -> Result<Option<Finding>, StoreError> {
    let overdue = store.survey(now).await?.overdue;
    let text = format_args!(
        "is true on no replica that comes through: visits are overdue (accounts: {overdue}), and tokens will run out; \
         run a replica with KEEPER=true, and where one runs, see `status`"
    );
    Ok((overdue > 0).then(|| Finding::warning(&setting::KEEPER, &text)))
}

/// Serving would not be able to write.
pub(super) fn unwritable(obstacle: &WriteObstacle) -> InvalidSettings {
    let remedy = match obstacle {
        WriteObstacle::File(..) => {
            "let the user of this process write the file, those beside it and their folder"
        }
        WriteObstacle::ReadOnly => {
            "name the primary server, or lift default_transaction_read_only from the role"
        }
        WriteObstacle::Grants(_) => {
            "let the tables' owner grant it, such as GRANT INSERT ON token_audit TO the role"
        }
    };
    refuse(&format_args!("names a database that cannot be written: {}; {remedy}", chain(obstacle)))
}

/// Tries the keys on what the database holds, and looks for others in use.
async fn keys(
    ring: KeyRing,
    config: &ServeConfig,
    database: Database,
) -> Result<Examined, InvalidSettings> {
    let (app_id, ring) = (config.instagram.app_id.clone(), Arc::new(ring));
    let store = SeaOrmStore::new(Arc::new(database), app_id, ring.clone(), unread_store_meter());
    ring.verify(&store).await.map_err(|error| {
        let setting = match error {
            KeyCheckError::Store(_) => &setting::DATABASE_URL,
            KeyCheckError::Mismatch(_) | KeyCheckError::Seal(_) => &setting::TOKEN_KEYS,
        };
        InvalidSettings::with_remedy(setting, &format_args!("cannot be used: {}", chain(&error)))
    })?;
    let missing = store.in_use_except(&ring.ids()).await.map_err(|error| away(&error))?;
    let lacks = format_args!(
        "lacks keys that stored tokens are sealed under ({}), so these cannot be opened: put them behind the first one",
        missing.join(", ")
    );
    let warning = (!missing.is_empty()).then(|| Problem::warning(&setting::TOKEN_KEYS, &lacks));
    Ok(Examined { warning, store: Some(store) })
}

pub(super) fn away(error: &StoreError) -> InvalidSettings {
    refuse(&format_args!(
        "names a database that cannot be asked: {}; check that it is there, and its host, name and password",
        chain(error)
    ))
}

fn refuse(text: &dyn Display) -> InvalidSettings {
    InvalidSettings::with_remedy(&setting::DATABASE_URL, text)
}
