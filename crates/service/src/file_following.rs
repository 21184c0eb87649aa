//! Follows files, so that a change of them needs no restart.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
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
    /// Result that two looks in a row found last, once it was applied or told.
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

    /// Looks at the files now and then each second, until dropped. A look that panics, which the panic's own log line
    /// says, changes nothing; the next one takes up the same files again.
    pub(crate) async fn follow(mut self) -> ! {
        loop {
            if let Ok(Some(applied)) = AssertUnwindSafe(self.look()).catch_unwind().await {
                self.files.log(applied);
            }
            sleep(RELOAD_INTERVAL).await;
        }
    }

    /// Looks at the files again. `Some` when there is something to tell: new ones are in use, or cannot be.
    ///
    /// A result counts once two looks in a row have found it: an editor may empty a file before it writes it, half a
    /// list reads as a whole one, and files are seldom replaced all at once.
    ///
    /// It is told once: the same contents, and the same failure to read them, are not told again. Other contents are,
    /// also where they cannot be used for the same reason as the former: somebody has changed them in vain.
    pub(crate) async fn look(&mut self) -> Option<Result<(), F::Error>> {
        let found = self.files.read().await;
        let is_settled = self.last_look.as_ref() == Some(&found);
        self.last_look = Some(found.clone());
        if !is_settled || found == self.settled {
            return None;
        }
        let applied = match &found {
            Ok(contents) => self.files.apply(contents).await,
            Err(error) => Err(error.clone()),
        };
        self.settled = found;
        Some(applied)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::convert::Infallible;
    use std::rc::Rc;

    use tokio::time::{Instant, timeout};

    use super::*;

    /// New files, of which the first application panics.
    struct NewFiles {
        begin: Instant,
        /// All that happened, and the second at which it did.
        events: Rc<RefCell<Vec<(&'static str, u64)>>>,
    }

    impl NewFiles {
        fn note(&self, event: &'static str) {
            self.events.borrow_mut().push((event, self.begin.elapsed().as_secs()));
        }
    }

    impl ReloadableFiles for NewFiles {
        type Contents = &'static str;
        type Error = Infallible;

        async fn read(&self) -> Result<&'static str, Infallible> {
            Ok("new")
        }

        async fn apply(&self, _: &&'static str) -> Result<(), Infallible> {
            let is_first = self.events.borrow().is_empty();
            self.note("applied");
            assert!(!is_first, "on purpose");
            Ok(())
        }

        fn log(&self, _: Result<(), Infallible>) {
            self.note("told");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn looks_begin_at_once_and_one_that_panics_is_taken_again() {
        let events = Rc::default();
        let files = NewFiles { begin: Instant::now(), events: Rc::clone(&events) };
        let followed = FollowedFiles::new(files, "former").follow();
        timeout(Duration::from_secs(9), followed).await.unwrap_err();
        assert_eq!(*events.borrow(), [("applied", 1), ("applied", 2), ("told", 2)]);
    }
}
