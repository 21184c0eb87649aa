//! Makes the store fit to serve: its migrations, and the keys of its tokens.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use ig_adapters::persistence::{Database, SeaOrmStore};
use ig_adapters::sealing::{KeyCheckError, KeyFile, KeyRing};
use ig_domain::ports::StoreError;
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use crate::keys::Keys;

/// Maximum time that the start waits for the store before it answers calls without it.
const START_TIMEOUT: Duration = Duration::from_secs(5);

/// Interval between two attempts.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Preparation of a store that is to serve.
pub(crate) struct Preparation {
    /// The database.
    pub(crate) database: Arc<Database>,
    /// Whether it is migrated here; its probe tells what is missing.
    pub(crate) migrates: bool,
    /// The keys, to be read from beside the database where none are configured, and verified.
    pub(crate) keys: Arc<Keys>,
    /// Store by which the keys are verified.
    pub(crate) store: Arc<SeaOrmStore>,
}

/// Work left after the start: it ends once the store is fit, or with the reason for which it never will be.
pub(crate) type Rest<'a> = Pin<Box<dyn Future<Output = anyhow::Result<()>> + 'a>>;

impl Preparation {
    /// Begins, and waits for [`START_TIMEOUT`] at most. Returns the rest where it takes longer, or cannot be done while
    /// the store is away, as its probe will tell; `None` when nothing is left.
    ///
    /// # Errors
    ///
    /// When trying again would not help. A file that cannot be opened is one that is wrong at the start.
    pub(crate) async fn begin(&self) -> anyhow::Result<Option<Rest<'_>>> {
        let is_file = self.database.key_file().is_some();
        begin(|| self.prepare(), |error| is_file && is_unreachable(error)).await
    }

    async fn prepare(&self) -> anyhow::Result<()> {
        if self.migrates {
            self.database.migrate().await.context("the database was not brought up to date")?;
        }
        if !self.keys.are_verified() {
            self.verify_keys().await?;
        }
        let prepared = self.store.prepare_user_key().await;
        prepared.context("the key of persons' hashes cannot be read")
    }

    async fn verify_keys(&self) -> anyhow::Result<()> {
        let ring = match self.keys.ring() {
            Some(ring) => ring,
            None => self.keys.learn(self.key_file().await?),
        };
        match ring.verify_and_keep(&*self.store).await {
            Ok(()) => self.keys.set_verified(),
            Err(KeyCheckError::Store(error)) => {
                return Err(error).context("the sealing keys cannot be checked");
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// The keys of the file beside the database, which is made where nothing is sealed yet.
    async fn key_file(&self) -> anyhow::Result<KeyRing> {
        let path = self.database.key_file().context("there is no place for a key file")?;
        let sealed = self.database.anything_sealed().await;
        let sealed = sealed.context("the database cannot be asked for sealed tokens")?;
        let KeyFile { ring, is_new } = KeyFile::load_or_create(&path, !sealed)?;
        if is_new {
            let (path, key) = (path.display(), ring.ids().join(","));
            warn!(
                %path,
                key,
                "a new sealing key was made: back the file up, apart from the database; without it every person must consent again"
            );
        }
        Ok(ring)
    }
}

/// Maximum time of an attempt. Ours: many times what a migration takes, and an end for one whose connection hangs.
const ATTEMPT_TIMEOUT: Duration = Duration::from_hours(1);

/// Begins the first attempt, and waits for it for [`START_TIMEOUT`]; an error for which `is_for_good` holds ends it.
///
/// An attempt that takes longer goes on in the [`Rest`]: a migration that was given up would begin anew, and never end.
async fn begin<'a, F>(
    prepare: impl Fn() -> F + 'a,
    is_for_good: impl Fn(&anyhow::Error) -> bool,
) -> anyhow::Result<Option<Rest<'a>>>
where
    F: Future<Output = anyhow::Result<()>> + 'a,
{
    let mut first = Box::pin(prepare());
    let underway = match timeout(START_TIMEOUT, &mut first).await {
        Ok(Err(error)) if is_for_good(&error) => return Err(error),
        Ok(prepared) => {
            if to_attempt(prepared)? {
                return Ok(None);
            }
            None
        }
        Err(_) => {
            info!(
                "the database is still being brought up to date; the service is not ready until it is"
            );
            Some(first)
        }
    };
    Ok(Some(Box::pin(finish(underway, prepare))))
}

/// Finishes the attempt that is under way, then makes one each second until the store is there.
async fn finish<F>(underway: Option<Pin<Box<F>>>, prepare: impl Fn() -> F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let mut done = match underway {
        Some(underway) => within_timeout(underway).await?,
        None => false,
    };
    while !done {
        sleep(RETRY_INTERVAL).await;
        done = within_timeout(prepare()).await?;
    }
    info!("the database is up to date");
    Ok(())
}

/// Ends an attempt after [`ATTEMPT_TIMEOUT`], since its connection may hang.
async fn within_timeout(attempt: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<bool> {
    let Ok(prepared) = timeout(ATTEMPT_TIMEOUT, attempt).await else {
        let minutes = ATTEMPT_TIMEOUT.as_secs() / 60;
        warn!(minutes, "the database was not brought up to date in time; this begins anew");
        return Ok(false);
    };
    to_attempt(prepared)
}

/// Whether the store was prepared; `false` when trying again may help.
fn to_attempt(prepared: anyhow::Result<()>) -> anyhow::Result<bool> {
    match prepared {
        Ok(()) => Ok(true),
        Err(error) if is_away(&error) => {
            debug!(error = format!("{error:#}"), "the store cannot be brought up to date yet");
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

fn is_unreachable(error: &anyhow::Error) -> bool {
    error.downcast_ref().is_some_and(Database::is_unreachable)
}

fn is_away(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(StoreError::Unavailable(_) | StoreError::Overloaded(_)))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use ig_adapters::persistence::{DatabaseSettings, StoreMeter};
    use ig_domain::ports::{
        Cause, KeyChecks as _, SealContext, SealError, StoreProbe as _, TokenCipher as _,
    };
    use ig_metrics::Registry;
    use tokio::time::Instant;

    use super::*;

    const KEY: &str = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const OTHER: &str = "k1:Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=";

    fn preparation(file: &Path, configured: Option<&str>) -> Preparation {
        let url = format!("sqlite://{}?mode=rwc", file.display());
        let database = Arc::new(Database::open(&DatabaseSettings::of(&url)).unwrap());
        let keys = Arc::new(Keys::new(configured.map(|keys| keys.parse().unwrap())));
        let meter = StoreMeter::register(&mut Registry::new("test", "1"));
        let app = "1".parse().unwrap();
        let store = SeaOrmStore::new(Arc::clone(&database), app, keys.clone(), meter);
        Preparation { database, migrates: true, keys, store: Arc::new(store) }
    }

    #[tokio::test]
    async fn a_new_database_gets_its_migrations_and_a_key() {
        let folder = tempfile::tempdir().unwrap();
        let preparation = preparation(&folder.path().join("accounts.db"), None);
        assert!(preparation.begin().await.unwrap().is_none());
        assert!(preparation.keys.are_verified());
        assert_eq!(preparation.database.pending_migrations().await.unwrap(), [""; 0]);
    }

    #[tokio::test]
    async fn what_is_away_at_the_start_is_made_fit_once_it_comes() {
        let folder = tempfile::tempdir().unwrap();
        let away = folder.path().join("volume");
        let preparation = preparation(&away.join("accounts.db"), Some(KEY));
        assert!(!to_attempt(preparation.prepare().await).unwrap());
        let context = SealContext { table: "account_token", row: Vec::new(), purpose: "test" };
        let sealed = preparation.keys.seal(&context, "token");
        assert!(matches!(sealed, Err(SealError::NoKeys)), "unverified keys seal nothing");
        fs::create_dir(&away).unwrap();
        finish(None, || preparation.prepare()).await.unwrap();
        assert!(preparation.keys.seal(&context, "token").is_ok());
    }

    #[tokio::test]
    async fn a_store_whose_keys_are_not_verified_cannot_serve_yet() {
        let folder = tempfile::tempdir().unwrap();
        let preparation = preparation(&folder.path().join("accounts.db"), Some(KEY));
        preparation.database.migrate().await.unwrap();
        assert!(matches!(preparation.store.check().await, Err(StoreError::Unavailable(_))));
        preparation.prepare().await.unwrap();
        preparation.store.check().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_migration_that_hangs_is_begun_anew() {
        let begun = AtomicUsize::new(0);
        let migrate = || async {
            if begun.fetch_add(1, Ordering::Relaxed) == 0 {
                std::future::pending::<()>().await;
            }
            Ok(())
        };
        let rest = begin(migrate, |_| true).await.unwrap().expect("it goes on");
        rest.await.unwrap();
        assert_eq!(begun.into_inner(), 2);
    }

    /// A migration of a large table takes minutes. Its transaction would be undone each time that it were given up.
    #[tokio::test(start_paused = true)]
    async fn a_migration_that_takes_longer_than_the_start_waits_is_begun_once() {
        let (begun, start) = (AtomicUsize::new(0), Instant::now());
        let migrate = || async {
            begun.fetch_add(1, Ordering::Relaxed);
            sleep(Duration::from_mins(3)).await;
            Ok(())
        };
        let rest = begin(migrate, |_| true).await.unwrap().expect("it goes on");
        assert_eq!(start.elapsed(), START_TIMEOUT, "calls are answered meanwhile");
        rest.await.unwrap();
        assert_eq!((begun.into_inner(), start.elapsed()), (1, Duration::from_mins(3)));
    }

    /// As one that waits for another replica's, and is told that the server stops.
    #[tokio::test(start_paused = true)]
    async fn a_migration_that_fails_late_for_want_of_the_store_is_tried_again() {
        let begun = AtomicUsize::new(0);
        let migrate = || async {
            if begun.fetch_add(1, Ordering::Relaxed) > 0 {
                return Ok(());
            }
            sleep(Duration::from_mins(1)).await;
            Err(StoreError::Unavailable(Cause::new("away".to_owned())).into())
        };
        let rest = begin(migrate, |_| true).await.unwrap().expect("it goes on");
        rest.await.unwrap();
        assert_eq!(begun.into_inner(), 2);
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_opened_fails_the_start_by_its_whole_path() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing").join("accounts.db");
        let no_database = folder.path().join("text.db");
        fs::write(&no_database, "this is no database".repeat(100)).unwrap();
        for (file, why) in [(missing, "unable to open"), (no_database, "not a database")] {
            let preparation = preparation(&file, Some(KEY));
            let text = format!("{:#}", preparation.begin().await.err().unwrap());
            assert!(text.contains(&file.display().to_string()) && text.contains(why), "{text}");
        }
    }

    #[tokio::test]
    async fn other_bytes_under_a_known_key_id_refuse_to_serve_and_say_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("accounts.db");
        assert!(preparation(&file, Some(KEY)).begin().await.unwrap().is_none());
        let wrong = preparation(&file, Some(OTHER));
        let text = wrong.begin().await.err().unwrap().to_string();
        assert!(text.contains(r#"put the former key back under "k1""#), "{text}");
        assert!(!wrong.keys.are_verified());
        assert!(preparation(&file, Some(KEY)).begin().await.unwrap().is_none());
    }

    /// So that a former key can be retired, though nobody was linked or unlinked meanwhile.
    #[tokio::test]
    async fn a_start_seals_the_key_of_persons_under_the_first_key() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("accounts.db");
        let next = OTHER.replace("k1:", "k2:");
        for (keys, sealing) in [(KEY.to_owned(), "k1"), (format!("{next},{KEY}"), "k2")] {
            let preparation = preparation(&file, Some(&keys));
            assert!(preparation.begin().await.unwrap().is_none());
            assert_eq!(preparation.store.in_use_except(&[]).await.unwrap(), [sealing]);
        }
    }

    #[tokio::test]
    async fn a_key_of_persons_that_does_not_open_is_no_reason_not_to_serve() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("accounts.db");
        assert!(preparation(&file, Some(KEY)).begin().await.unwrap().is_none());
        let other = OTHER.replace("k1:", "k2:");
        assert!(preparation(&file, Some(&other)).begin().await.unwrap().is_none());
    }

    /// The made key file and a key of one's own never have one id.
    #[tokio::test]
    async fn a_key_of_ones_own_may_follow_a_made_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("accounts.db");
        assert!(preparation(&file, None).begin().await.unwrap().is_none());
        let made = fs::read_to_string(folder.path().join("accounts.db.keys")).unwrap();
        assert!(!made.starts_with("k1:"));
        let both = format!("{KEY},{}", made.trim());
        assert!(preparation(&file, Some(&both)).begin().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_damaged_key_file_is_for_good() {
        let folder = tempfile::tempdir().unwrap();
        let key_file = folder.path().join("accounts.db.keys");
        fs::write(&key_file, "planted").unwrap();
        fs::set_permissions(&key_file, Permissions::from_mode(0o600)).unwrap();
        let preparation = preparation(&folder.path().join("accounts.db"), None);
        let text = format!("{:#}", preparation.begin().await.err().unwrap());
        assert!(text.contains("accounts.db.keys") && !text.contains("planted"), "{text}");
    }
}
