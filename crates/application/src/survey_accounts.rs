//! Survey: counts all accounts once in an interval, by whichever replica comes first, for all replicas.

use std::sync::Arc;
use std::time::Duration;

use ig_domain::ports::{Clock, StoreError, Survey, Surveys};

/// Interval between two surveys of all replicas together.
const SURVEY_INTERVAL: Duration = Duration::from_mins(1);

/// Surveys all accounts.
pub struct SurveyAccounts {
    /// Store that counts the accounts and keeps the last survey.
    pub surveys: Arc<dyn Surveys>,
    /// Business time.
    pub clock: Arc<dyn Clock>,
}

impl SurveyAccounts {
    /// The last survey, which is taken now where it is older than a minute and nobody else takes it; `None`
    /// where there is none yet.
    ///
    /// # Errors
    ///
    /// When the store failed.
    pub async fn execute(&self) -> Result<Option<Survey>, StoreError> {
        let now = self.clock.now();
        let last = self.surveys.last().await?;
        let is_fresh = last.as_ref().is_some_and(|last| {
            last.time > now - SURVEY_INTERVAL && last.time <= now + SURVEY_INTERVAL
        });
        if is_fresh || !self.surveys.take_turn(now, SURVEY_INTERVAL).await? {
            return Ok(last);
        }
        let survey = self.surveys.survey(now).await?;
        self.surveys.keep(&survey).await?;
        Ok(Some(survey))
    }
}
