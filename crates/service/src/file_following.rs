//! Follows files, so that a change of them needs no restart.

use std::time::Duration;

use tokio::time::sleep;

/// Interval between two looks at the files.
const RELOAD_INTERVAL: Duration = Duration::from_secs(1);

/// Files whose contents are in use, and may change.
pub(crate) trait ReloadableFiles {
    /// Contents of the files.
    type Contents: Clone + PartialEq;
    /// Reason for which the files cannot be used.
    type Error: Clone + PartialEq;

    /// Reads the files.
    async fn read(&self) -> Result<Self::Contents, Self::Error>;

    /// Takes `contents` into use in place of the former ones, which stay in use where it fails.
    async fn apply(&self, contents: &Self::Contents) -> Result<(), Self::Error>;

    /// Logs that changed files are in use, or why they are not.
    fn log(&self, applied: Result<(), Self::Error>);
}

/// Files that are followed.
pub(crate) struct FollowedFiles<F: ReloadableFiles> {
    files: F,
    /// Result of the last look.
    last_look: Option<Result<F::Contents, F::Error>>,
    /// Result that two looks in a row found last, and that was applied or told.
    settled: Result<F::Contents, F::Error>,
}

impl<F: ReloadableFiles> FollowedFiles<F> {
    /// Files whose `contents` are in use.
    pub(crate) fn new(files: F, contents: F::Contents) -> Self {
        Self { files, last_look: None, settled: Ok(contents) }
    }

    /// The files.
    pub(crate) fn files(&self) -> &F {
        &self.files
    }

    /// Looks at the files each second, until dropped.
    pub(crate) async fn follow(mut self) -> ! {
        loop {
            sleep(RELOAD_INTERVAL).await;
            if let Some(applied) = self.look().await {
                self.files.log(applied);
            }
        }
    }

    /// Looks at the files again. `Some` when there is something to tell: new ones are in use, or cannot be.
    ///
    /// A result counts once two looks in a row have found it: an editor may empty a file before it writes it, half a
    /// list reads as a whole one, and files are seldom replaced all at once.
    pub(crate) async fn look(&mut self) -> Option<Result<(), F::Error>> {
        let found = self.files.read().await;
        let is_settled = self.last_look.as_ref() == Some(&found);
        self.last_look = Some(found.clone());
        if !is_settled || found == self.settled {
            return None;
        }
        self.settled = found;
        Some(match &self.settled {
            Ok(contents) => self.files.apply(contents).await,
            Err(error) => Err(error.clone()),
        })
    }
}
