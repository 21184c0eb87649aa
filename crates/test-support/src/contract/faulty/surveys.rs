//! Surveys, with faults.

use std::time::Duration;

use async_trait::async_trait;
use ig_domain::ports::{StoreError, Survey, Surveys, WorstAccount};
use time::OffsetDateTime;

use super::{Fault, FaultyPorts};

#[async_trait]
impl Surveys for FaultyPorts {
    async fn survey(&self, now: OffsetDateTime) -> Result<Survey, StoreError> {
        let mut survey = self.ports.surveys.survey(now).await?;
        match self.fault {
            Fault::BlindSurveys => {
                survey.overdue = 0;
                survey.in_trouble.clear();
            }
            Fault::SloppySurveys => {
                survey.active += survey.reauthorization_required + survey.of_other_apps;
                survey.longest_due_time = Some(now);
            }
            _ => {}
        }
        Ok(survey)
    }

    async fn worst(
        &self,
        now: OffsetDateTime,
        limit: u64,
    ) -> Result<Vec<WorstAccount>, StoreError> {
        let mut worst = self.ports.surveys.worst(now, limit).await?;
        if self.has(Fault::SloppySurveys) {
            worst.sort_by_key(|one| one.account.id);
        }
        Ok(worst)
    }

    async fn take_turn(&self, now: OffsetDateTime, interval: Duration) -> Result<bool, StoreError> {
        let taken = self.ports.surveys.take_turn(now, interval).await?;
        match self.fault {
            Fault::BlindSurveys => Ok(true),
            Fault::SloppySurveys => Ok(false),
            _ => Ok(taken),
        }
    }

    async fn keep(&self, survey: &Survey) -> Result<(), StoreError> {
        match self.fault {
            Fault::BlindSurveys => Ok(()),
            _ => self.ports.surveys.keep(survey).await,
        }
    }

    async fn last(&self) -> Result<Option<Survey>, StoreError> {
        self.ports.surveys.last().await
    }
}
