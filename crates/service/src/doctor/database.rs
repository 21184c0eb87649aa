//! Checks of the database: whether it can be written, what it lacks, and whether the keys are its own.

use std::fmt::Display;
use std::sync::Arc;

use ig_adapters::persistence::{Database, SeaOrmStore, WriteObstacle};
use ig_adapters::sealing::{KeyCheckError, KeyFile, KeyFileError, KeyRing};
use ig_domain::ports::{KeyChecks as _, StoreError};

use super::{chain, unusable_keys};
use crate::config::{InvalidSettings, Problem, ServeConfig, setting};
use crate::keys::Keys;
use crate::meters::unread_store_meter;
use crate::serve;

/// Asks the database. A finding that lets `serve` serve is returned as a warning.
///
/// # Errors
///
/// The finding that would keep `serve` from serving.
pub(super) async fn examine(
    config: &ServeConfig,
    database: Database,
    key_file: Option<Result<KeyFile, KeyFileError>>,
) -> Result<Option<Problem>, InvalidSettings> {
    if database.will_be_created() {
        return Ok(None);
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
        Some(_) => return Ok(None),
        None => {}
    }
    match (&config.token_keys, key_file) {
        (Some(ring), _) => keys(ring, config, database).await,
        (None, Some(Ok(file))) => keys(&file.ring, config, database).await,
        (None, Some(Err(error)))
            if database.anything_sealed().await.map_err(|error| away(&error))? =>
        {
            Err(unusable_keys(&error))
        }
        (None, _) => Ok(None),
    }
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
    ring: &KeyRing,
    config: &ServeConfig,
    database: Database,
) -> Result<Option<Problem>, InvalidSettings> {
    let (app_id, keys) = (config.instagram.app_id.clone(), Arc::new(Keys::default()));
    let store = SeaOrmStore::new(Arc::new(database), app_id, keys, unread_store_meter());
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
    Ok((!missing.is_empty()).then(|| Problem::warning(&setting::TOKEN_KEYS, &lacks)))
}

fn away(error: &StoreError) -> InvalidSettings {
    refuse(&format_args!(
        "names a database that cannot be asked: {}; check that it is there, and its host, name and password",
        chain(error)
    ))
}

fn refuse(text: &dyn Display) -> InvalidSettings {
    InvalidSettings::with_remedy(&setting::DATABASE_URL, text)
}
