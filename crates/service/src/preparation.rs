//! Makes the store fit to serve: its migrations, and the keys of its tokens.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use ig_adapters::persistence::Database;
use ig_adapters::sealing::KeyRing;
use ig_domain::ports::StoreError;
use tokio::time::{sleep, timeout};
use tracing::debug;

use crate::keys::Keys;

/// How long the start waits for the store before it serves without.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long to wait between two tries.
const PAUSE: Duration = Duration::from_secs(1);

/// A store that is made fit.
pub(crate) struct Preparation {
    /// The database.
    pub(crate) database: Arc<Database>,
    /// Whether it is migrated here; its probe tells what is missing.
    pub(crate) migrates: bool,
    /// The keys, to be read from beside the database where none are configured.
    pub(crate) keys: Arc<Keys>,
}

impl Preparation {
    /// One try, five seconds at most. `false` when the store is away, as its probe will tell.
    ///
    /// # Errors
    ///
    /// When trying again would not help.
    pub(crate) async fn begin(&self) -> anyhow::Result<bool> {
        timeout(PATIENCE, self.attempt()).await.unwrap_or(Ok(false))
    }

    /// Tries each second until the store is there.
    ///
    /// # Errors
    ///
    /// When trying again would not help.
    pub(crate) async fn finish(&self) -> anyhow::Result<()> {
        while !self.attempt().await? {
            sleep(PAUSE).await;
        }
        debug!("the store is up to date");
        Ok(())
    }

    async fn attempt(&self) -> anyhow::Result<bool> {
        match self.prepare().await {
            Ok(()) => Ok(true),
            Err(error) if is_away(&error) => {
                debug!(error = format!("{error:#}"), "the store cannot be brought up to date yet");
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    async fn prepare(&self) -> anyhow::Result<()> {
        if self.migrates {
            self.database.migrate().await.context("the database was not brought up to date")?;
        }
        if self.keys.are_known() {
            return Ok(());
        }
        let key_file = self.database.key_file().context("there is no place for a key file")?;
        let sealed = self.database.anything_sealed().await;
        let sealed = sealed.context("the database cannot be asked for sealed tokens")?;
        self.keys.learn(KeyRing::load_or_create(&key_file, !sealed)?);
        Ok(())
    }
}

fn is_away(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(StoreError::Unavailable(_) | StoreError::Overloaded(_)))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use ig_adapters::persistence::DatabaseSettings;
    use ig_domain::ports::{SealContext, SealError, TokenCipher as _};

    use super::*;

    fn preparation(file: &Path) -> Preparation {
        let url = format!("sqlite://{}?mode=rwc", file.display());
        let database = Arc::new(Database::open(&DatabaseSettings::of(&url)).unwrap());
        Preparation { database, migrates: true, keys: Arc::new(Keys::new(None)) }
    }

    #[tokio::test]
    async fn a_new_database_gets_its_migrations_and_a_key() {
        let folder = tempfile::tempdir().unwrap();
        let preparation = preparation(&folder.path().join("accounts.db"));
        assert!(preparation.begin().await.unwrap());
        assert!(preparation.keys.are_known());
        assert_eq!(preparation.database.pending_migrations().await.unwrap(), [""; 0]);
    }

    #[tokio::test]
    async fn what_is_away_at_the_start_is_made_fit_once_it_comes() {
        let folder = tempfile::tempdir().unwrap();
        let away = folder.path().join("volume");
        let preparation = preparation(&away.join("accounts.db"));
        assert!(!preparation.begin().await.unwrap());
        let context = SealContext { table: "account_token", row: Vec::new(), purpose: "test" };
        let sealed = preparation.keys.seal(&context, "token");
        assert!(matches!(sealed, Err(SealError::NoKeys)));
        fs::create_dir(&away).unwrap();
        preparation.finish().await.unwrap();
        assert!(preparation.keys.seal(&context, "token").is_ok());
    }

    #[tokio::test]
    async fn a_damaged_key_file_is_for_good() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("accounts.db.keys"), "planted").unwrap();
        let error = preparation(&folder.path().join("accounts.db")).begin().await.unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("accounts.db.keys") && !text.contains("planted"), "{text}");
    }
}
