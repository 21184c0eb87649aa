//! Callers that are admitted: those in `CALLERS_FILE`, or everybody.

use std::future::pending;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::Arc;

use ig_adapters::callers::{AnonymousCallers, CallersFile, CallersFileError};
use ig_domain::ports::{Callers, Clock};
use tokio::task::{JoinError, spawn_blocking};
use tracing::{info, warn};

use crate::config::InvalidSettings;
use crate::file_following::{FollowedFiles, ReloadableFiles};

/// The callers of this process.
pub(crate) enum AdmittedCallers {
    /// Everybody; nobody is told apart.
    Everybody(Arc<AnonymousCallers>),
    /// Those in a file.
    Listed(FollowedFiles<Arc<CallersFile>>),
}

impl AdmittedCallers {
    /// Those in the file, or everybody where there is none.
    ///
    /// # Errors
    ///
    /// When the file cannot be used.
    pub(crate) fn read(
        file: Option<&Path>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, InvalidSettings> {
        let Some(path) = file else { return Ok(Self::Everybody(Arc::default())) };
        let file = CallersFile::new(path.to_owned(), clock);
        let text = file.read().and_then(|text| file.apply(&text).map(|()| text));
        let text = text.map_err(|error| InvalidSettings::callers_file(path, &error))?;
        info!(callers = file.count(), "CALLERS_FILE says who may call");
        Ok(Self::Listed(FollowedFiles::new(Arc::new(file), text)))
    }

    /// The callers as a port.
    pub(crate) fn port(&self) -> Arc<dyn Callers> {
        match self {
            Self::Everybody(callers) => callers.clone(),
            Self::Listed(file) => file.files().clone(),
        }
    }

    /// The file; `None` where everybody may call.
    pub(crate) fn file(&self) -> Option<Arc<CallersFile>> {
        match self {
            Self::Everybody(_) => None,
            Self::Listed(file) => Some(file.files().clone()),
        }
    }

    /// Follows the changes of the file, until dropped.
    pub(crate) async fn follow(self) -> ! {
        match self {
            Self::Everybody(_) => pending().await,
            Self::Listed(file) => file.follow().await,
        }
    }
}

impl ReloadableFiles for Arc<CallersFile> {
    type Contents = String;
    type Error = CallersFileError;

    async fn read(&self) -> Result<String, CallersFileError> {
        let file = Self::clone(self);
        blocking(move || CallersFile::read(&file)).await
    }

    async fn apply(&self, text: &String) -> Result<(), CallersFileError> {
        let (file, text) = (Self::clone(self), text.clone());
        blocking(move || CallersFile::apply(&file, &text)).await
    }

    fn log(&self, applied: Result<(), CallersFileError>) {
        match applied.map(|()| self.count()) {
            Ok(0) => warn!("CALLERS_FILE was read again and names nobody: every call is refused"),
            Ok(callers) => info!(callers, "CALLERS_FILE was read again"),
            Err(error) => {
                warn!(%error, "CALLERS_FILE cannot be used; those it named before may still call");
            }
        }
    }
}

/// Runs `work` where it may block, and panics when it does.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match spawn_blocking(work).await.map_err(JoinError::try_into_panic) {
        Ok(done) => done,
        Err(Ok(panic)) => resume_unwind(panic),
        // The process ends.
        Err(Err(_cancelled)) => pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use ig_adapters::callers::Stanza;
    use ig_domain::BearerToken;
    use ig_domain::ports::{Authorization, Credentials};
    use ig_test_support::FakeClock;
    use ig_test_support::builders::START;
    use tempfile::TempDir;

    use super::*;

    struct CallersFixture {
        _folder: TempDir,
        path: PathBuf,
        callers: FollowedFiles<Arc<CallersFile>>,
    }

    fn stanza(name: &str) -> String {
        let token: BearerToken = name.parse().unwrap();
        let stanza = Stanza {
            name: name.to_owned(),
            roles: vec!["read".to_owned()],
            owners: vec!["*".to_owned()],
            ..Stanza::default()
        };
        stanza.with_token(&token.hash()).to_toml().unwrap()
    }

    impl CallersFixture {
        fn new(text: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("callers.toml");
            fs::write(&path, text).unwrap();
            let admitted =
                AdmittedCallers::read(Some(&path), Arc::new(FakeClock::at(START))).unwrap();
            let AdmittedCallers::Listed(callers) = admitted else {
                panic!("everybody is admitted")
            };
            Self { _folder: folder, path, callers }
        }

        fn write(&self, text: &str) {
            fs::write(&self.path, text).unwrap();
        }

        async fn look(&mut self) -> Option<Result<(), CallersFileError>> {
            self.callers.look().await
        }

        /// Whether a caller's token, which is its name, is good.
        fn knows(&self, name: &str) -> bool {
            let token: BearerToken = name.parse().unwrap();
            let authorization = Authorization::Bearer(&token);
            let credentials = Credentials { authorization, certificate_names: &[] };
            self.callers.files().authenticate(credentials).is_ok()
        }
    }

    #[tokio::test]
    async fn a_change_counts_once_it_was_seen_twice() {
        let mut fixture = CallersFixture::new(&stanza("a"));
        assert_eq!((fixture.look().await, fixture.look().await), (None, None));
        // An editor empties the file first.
        fixture.write("");
        assert_eq!(fixture.look().await, None);
        assert!(fixture.knows("a"), "nobody is lost while the file is written");
        fixture.write(&stanza("b"));
        assert_eq!(fixture.look().await, None);
        assert!(fixture.knows("a") && !fixture.knows("b"));
        assert_eq!(fixture.look().await, Some(Ok(())));
        assert!(!fixture.knows("a") && fixture.knows("b"));
        assert_eq!((fixture.look().await, fixture.callers.files().count()), (None, 1));
    }

    #[tokio::test]
    async fn a_file_that_stays_broken_is_told_once_and_its_callers_stay() {
        let mut fixture = CallersFixture::new(&stanza("a"));
        fixture.write("[[caller]]\nname = ");
        assert_eq!(fixture.look().await, None);
        let broken = fixture.look().await.unwrap().unwrap_err();
        assert!(matches!(broken, CallersFileError::Invalid(_)), "{broken}");
        assert_eq!(fixture.look().await, None);
        fs::remove_file(&fixture.path).unwrap();
        assert_eq!(fixture.look().await, None);
        let gone = fixture.look().await.unwrap().unwrap_err();
        assert_eq!(gone.to_string(), "it cannot be read (entity not found)");
        assert!(fixture.knows("a"));
        fixture.write(&stanza("a"));
        assert_eq!(
            (fixture.look().await, fixture.look().await),
            (None, Some(Ok(()))),
            "well again"
        );
    }
}
