//! The background task that follows the survey of all accounts and the log of events, and the gauges that show them.

mod events;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ig_application::SurveyAccounts;
use ig_domain::TroubleCause;
use ig_domain::ports::{
    AppBreaker, Breaker, Clock, ConsumerState, Consumers, EventSurvey, LogCount, StoreError, Survey,
};
use ig_metrics::{ComputedGauge, Labels, Registry};
use tokio::time::{MissedTickBehavior, interval};
use tracing::{debug, warn};

/// Interval between two looks at the last survey, each of which takes a new one where that is a minute old.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// Gauges of all accounts, as the last survey that was seen counted them. Clones show the same.
#[derive(Clone)]
pub(crate) struct SurveyGauges(Arc<Mutex<Option<Seen>>>);

/// State of all accounts, as it was seen last.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) survey: Survey,
    pub(crate) breaker: Breaker,
    pub(crate) log: LogCount,
    pub(crate) consumers: Vec<ConsumerState>,
    pub(crate) event_window: Duration,
}

impl SurveyGauges {
    /// Registers the gauges, which are left out until something is [shown](Self::show). `clock` gives business time.
    pub(crate) fn register(registry: &mut Registry, clock: &Arc<dyn Clock>) -> Self {
        let gauges = Self(Arc::default());
        gauges.register_counts(registry);
        gauges.register_times(registry, clock);
        gauges.register_events(registry);
        gauges
    }

    /// Shows this from now on.
    pub(crate) fn show(&self, seen: Seen) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
    }

    fn register_counts(&self, registry: &mut Registry) {
        let help = "Accounts by status";
        self.add(registry, "accounts", help, Some("status"), |seen| {
            let Survey { active, reauthorization_required, .. } = seen.survey;
            vec![("active", active), ("reauthorization_required", reauthorization_required)]
        });
        let help = "Accounts that are to be visited now";
        self.add(registry, "due", help, None, |seen| vec![("", seen.survey.due)]);
        let help = "Accounts that have been due for more than 15 minutes";
        self.add(registry, "overdue", help, None, |seen| vec![("", seen.survey.overdue)]);
        let help = "Accounts whose last renewal failed";
        self.add(registry, "in_trouble", help, Some("cause"), |seen| {
            let number = |cause| seen.survey.in_trouble.get(&cause).copied().unwrap_or_default();
            TroubleCause::ALL.map(|cause| (cause.as_str(), number(cause))).into()
        });
        let help = "Time for which the longest due account had been due";
        self.add_seconds(registry, "lag", help, |seen| Some(whole(seen.survey.lag().as_secs())));
        let help = "Whether Instagram refuses the app as a whole, so that no account is visited";
        self.add(registry, "breaker_open", help, None, |seen| {
            vec![("", u64::from(seen.breaker.open.is_some()))]
        });
        let help = "Accounts of other apps in the same database";
        self.add(registry, "accounts_of_other_apps", help, None, |seen| {
            vec![("", seen.survey.of_other_apps)]
        });
    }

    fn register_times(&self, registry: &mut Registry, clock: &Arc<dyn Clock>) {
        let help = "Time until the first token of an active account expires";
        let now = Arc::clone(clock);
        self.add_seconds(registry, "first_expiry", help, move |seen| {
            seen.survey.first_expire_time.map(|end| (end - now.now()).whole_seconds())
        });
        let help = "Time since all accounts were counted";
        let now = Arc::clone(clock);
        self.add_seconds(registry, "survey_age", help, move |seen| {
            Some((now.now() - seen.survey.time).whole_seconds())
        });
    }

    fn add(
        &self,
        registry: &mut Registry,
        name: &'static str,
        help: &'static str,
        label: Option<&'static str>,
        numbers: impl Fn(&Seen) -> Vec<(&'static str, u64)> + Send + Sync + 'static,
    ) {
        let compute = self.computed(move |seen| {
            let numbers = numbers(seen).into_iter();
            let labelled = |value: &str| label.map(|label| (label, value.to_owned()));
            numbers
                .map(|(value, number)| (labelled(value).into_iter().collect(), whole(number)))
                .collect()
        });
        ComputedGauge { name, help, in_seconds: false, compute }.register(registry);
    }

    fn add_seconds(
        &self,
        registry: &mut Registry,
        name: &'static str,
        help: &'static str,
        seconds: impl Fn(&Seen) -> Option<i64> + Send + Sync + 'static,
    ) {
        let compute = self.computed(move |seen| {
            seconds(seen).map(|left| (Vec::new(), left)).into_iter().collect()
        });
        ComputedGauge { name, help, in_seconds: true, compute }.register(registry);
    }

    fn computed(
        &self,
        samples: impl Fn(&Seen) -> Vec<(Labels, i64)> + Send + Sync + 'static,
    ) -> ig_metrics::Compute {
        let seen = self.clone();
        Box::new(move || {
            let seen = seen.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
            seen.as_ref().map(&samples).unwrap_or_default()
        })
    }
}

fn whole(number: u64) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// Follows the survey of all accounts, and the log of events.
pub(crate) struct Surveying {
    /// Takes the survey, where it is this replica's turn.
    pub(crate) accounts: SurveyAccounts,
    /// The app's breaker.
    pub(crate) breaker: Arc<dyn AppBreaker>,
    /// The log of events.
    pub(crate) log: Arc<dyn EventSurvey>,
    /// Those who follow it.
    pub(crate) consumers: Arc<dyn Consumers>,
    /// Time for which events are kept.
    pub(crate) event_window: Duration,
    /// Gauges that show all of it.
    pub(crate) gauges: SurveyGauges,
}

impl Surveying {
    /// Shows the last survey, which is looked up every [`LOOK_INTERVAL`] and whenever time jumps, until dropped.
    pub(crate) async fn follow(self) -> ! {
        let clock = Arc::clone(&self.accounts.clock);
        let mut looks = interval(LOOK_INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failed_before = false;
        loop {
            let jumps = clock.jumps();
            let done = self.look().await;
            match &done {
                Ok(()) => {}
                // The watch over the store says so.
                Err(StoreError::Unavailable(_) | StoreError::Overloaded(_)) => {
                    debug!("the store is away or has too much to do: accounts are not counted");
                }
                Err(_) if failed_before => debug!("counting accounts fails still"),
                Err(error) => {
                    let error = anyhow::Error::new(error.clone());
                    warn!(error = format!("{error:#}"), "counting accounts failed");
                }
            }
            failed_before = done.is_err();
            looks.reset();
            tokio::select! {
                _ = looks.tick() => {}
                () = clock.jumped(jumps) => {}
            }
        }
    }

    async fn look(&self) -> Result<(), StoreError> {
        let survey = self.accounts.execute().await?;
        let breaker = self.breaker.load().await?;
        let log = self.log.count_log().await?;
        let consumers = self.consumers.list(self.event_window).await?;
        if let Some(survey) = survey {
            let event_window = self.event_window;
            self.gauges.show(Seen { survey, breaker, log, consumers, event_window });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ig_domain::ports::{ConsumerKey, OpenBreaker};
    use ig_metrics::TextFormat;
    use ig_test_support::builders::{START, parsed};
    use ig_test_support::{FakeClock, MemoryStore};

    use super::*;

    fn text(registry: &Registry) -> String {
        registry.text(TextFormat::Classic).unwrap()
    }

    #[tokio::test]
    async fn what_was_seen_last_is_shown_and_time_goes_on() {
        let store = Arc::new(MemoryStore::new(parsed("1")));
        let fake = FakeClock::at(START);
        let clock: Arc<dyn Clock> = Arc::new(fake.clone());
        let mut registry = Registry::new("test", "1");
        let gauges = SurveyGauges::register(&mut registry, &clock);
        assert!(!text(&registry).contains("test_due"), "nothing is known yet");
        let cause = TroubleCause::AppMisconfigured;
        store.open(cause, START).await.unwrap();
        let accounts = SurveyAccounts { surveys: store.clone(), clock };
        let surveying = Surveying {
            accounts,
            breaker: store.clone(),
            log: store.clone(),
            consumers: store,
            event_window: Duration::from_hours(48),
            gauges: gauges.clone(),
        };
        surveying.look().await.unwrap();
        let shown = text(&registry);
        for line in [
            "test_due 0",
            "test_breaker_open 1",
            "test_accounts{status=\"active\"} 0",
            "test_events_kept 0",
            "test_events_unnumbered_age_seconds 0",
        ] {
            assert!(shown.contains(line), "{line}: {shown}");
        }
        assert!(!shown.contains("first_expiry"), "none is active");
        assert!(!shown.contains("consumer"), "there is none");

        let minute = Duration::from_mins(1);
        let survey = Survey {
            first_expire_time: Some(START + minute),
            longest_due_time: Some(START - minute),
            in_trouble: [(cause, 3)].into(),
            ..seen(&gauges).survey
        };
        let open = Some(OpenBreaker { cause, since_time: START });
        let consumer = ConsumerState {
            key: ConsumerKey { caller: parsed("publisher"), name: parsed("copy") },
            committed: None,
            is_held: false,
            lag_events: 7,
            lag: minute,
            window_left: minute * 2,
        };
        let lost = ConsumerKey { name: parsed("lost"), ..consumer.key.clone() };
        let lost = ConsumerState { key: lost, window_left: Duration::ZERO, ..consumer.clone() };
        let log = LogCount { kept: 5, unnumbered: 2, ..seen(&gauges).log };
        let (breaker, consumers) = (Breaker { open, close_time: None }, vec![consumer, lost]);
        gauges.show(Seen { survey, breaker, log, consumers, event_window: minute * 4 });
        fake.advance(minute / 2);
        let shown = text(&registry);
        for line in [
            "test_first_expiry_seconds 30",
            "test_lag_seconds 60",
            "test_survey_age_seconds 30",
            "test_in_trouble{cause=\"APP_MISCONFIGURED\"} 3",
            "test_in_trouble{cause=\"RATE_LIMITED\"} 0",
            "test_events_kept 5",
            "test_events_unnumbered 2",
            "test_consumer_lag_events{caller=\"publisher\",consumer=\"lost\"} 7",
            "test_consumer_lag_seconds{caller=\"publisher\",consumer=\"copy\"} 60",
            "test_consumer_window_left_seconds{caller=\"publisher\",consumer=\"copy\"} 120",
            "test_consumer_window_left_seconds{caller=\"publisher\",consumer=\"lost\"} 0",
            "test_event_window_seconds 240",
        ] {
            assert!(shown.contains(line), "{line}: {shown}");
        }
    }

    fn seen(gauges: &SurveyGauges) -> Seen {
        gauges.0.lock().unwrap().clone().unwrap()
    }
}
