//! Callers that are admitted: those in `CALLERS_FILE`, or everybody.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ig_adapters::callers::{AnonymousCallers, CallersFile, CallersFileError, Look};
use ig_domain::ports::{Callers, Clock};
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

use crate::config::InvalidSettings;

/// Interval between two looks at the file. A change counts at the second look that finds it.
const RELOAD_INTERVAL: Duration = Duration::from_secs(1);

/// The callers of this process.
pub(crate) enum Admitted {
    /// Everybody; nobody is told apart.
    Everybody(Arc<AnonymousCallers>),
    /// Those in a file.
    Listed(Arc<CallersFile>),
}

impl Admitted {
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
        let file = CallersFile::open(path.to_owned(), clock);
        let file = file.map_err(|error| InvalidSettings::callers_file(path, &error))?;
        info!(callers = file.count(), "CALLERS_FILE says who may call");
        Ok(Self::Listed(Arc::new(file)))
    }

    /// The callers as a port.
    pub(crate) fn port(&self) -> Arc<dyn Callers> {
        match self {
            Self::Everybody(callers) => callers.clone(),
            Self::Listed(file) => file.clone(),
        }
    }

    /// Follows the changes of the file, until dropped.
    pub(crate) async fn follow(&self) -> Infallible {
        match self {
            Self::Everybody(_) => std::future::pending().await,
            Self::Listed(file) => follow(file).await,
        }
    }
}

async fn follow(file: &Arc<CallersFile>) -> Infallible {
    let mut seconds = interval(RELOAD_INTERVAL);
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut trouble = None;
    loop {
        seconds.tick().await;
        let looked = Arc::clone(file);
        // A look that panics has told so itself; the next one follows.
        let Ok(look) = spawn_blocking(move || looked.look()).await else { continue };
        tell(file, look, &mut trouble);
    }
}

/// Logs the result of a look, where it is new.
fn tell(
    file: &CallersFile,
    look: Result<Look, CallersFileError>,
    trouble: &mut Option<CallersFileError>,
) {
    match look {
        Ok(Look::Unsettled) => {}
        Ok(Look::Known) if trouble.is_none() => {}
        Ok(Look::Known | Look::New) => {
            *trouble = None;
            match file.count() {
                0 => warn!("CALLERS_FILE was read again and names nobody: every call is refused"),
                callers => info!(callers, "CALLERS_FILE was read again"),
            }
        }
        Err(error) if trouble.as_ref() == Some(&error) => {}
        Err(error) => {
            warn!(%error, "CALLERS_FILE cannot be used; those it named before may still call");
            *trouble = Some(error);
        }
    }
}
