//! The end of a history: once faults have ended, all comes to its end.

use std::time::Duration;

use futures_util::FutureExt as _;
use ig_domain::ports::{Clock as _, UserDeletions};
use ig_domain::{
    AccountId, AccountStatus, DEFAULT_READING_INTERVAL, DeletionState, KeepingPlan, Phase,
};

use crate::callbacks;
use crate::calls::{self, Answer, Work, name};
use crate::history::{History, REPLICAS};
use crate::hosted;
use crate::imports;
use crate::watchers::{self, Follower, Stream};

/// Times that pass between looks of the last keeper: a closed breaker, then the checks of a dead token's first day.
const LAST_SPANS: [Duration; 5] = [
    Duration::from_mins(6),
    Duration::from_hours(7),
    Duration::from_hours(7),
    Duration::from_hours(7),
    Duration::from_hours(7),
];

/// Time after which nobody writes any more what belongs to a deleted account.
const LATE_WRITE_TIME: Duration = Duration::from_secs(31);

/// Maximum number of rounds until nothing is due.
const MAX_ROUNDS: usize = 20;

impl History {
    /// Faults end: every call comes to its end, no matter who held a lease, and so does every attempt. A day later all
    /// accounts are as Instagram says.
    pub(crate) fn finish(&mut self) {
        self.world.note(|| "faults end");
        {
            let mut state = self.world.state();
            (state.faults, state.calmed, state.instagram.sickness) = (false, true, None);
            (0..REPLICAS).for_each(|replica| state.rules.excuse(replica));
        }
        self.abandon_tasks();
        self.pass_lease();
        let ended = self.import_at_last()
            && self.link_at_last()
            && self.redeem_at_last()
            && self.keep_at_last()
            && self.refresh_at_last()
            && self.call_back_at_last()
            && self.erase_at_last();
        if ended {
            self.follow_at_last();
        }
    }

    /// Whether the work ends and breaks nothing.
    fn ends(&mut self, what: &str, work: Work) -> bool {
        self.world.note(|| format!("at last: {what}"));
        let Some(answer) = self.patiently(work) else {
            self.world.violate(format!("{what} never ends"));
            return false;
        };
        self.hear(answer);
        !self.is_checked_broken()
    }

    fn import_at_last(&mut self) -> bool {
        self.imports.clone().into_iter().all(|command| {
            let what = format!("import {}", command.token.text().expose());
            let work = imports::import(&self.processes[0].ports, command);
            self.ends(&what, work)
        })
    }

    fn link_at_last(&mut self) -> bool {
        self.presentations.clone().into_iter().all(|presented| {
            (0..3).all(|_| {
                let work = calls::link(&self.processes[0].ports, presented.clone());
                self.ends(&format!("link {}", name(&presented)), work)
            })
        })
    }

    fn redeem_at_last(&mut self) -> bool {
        let redeemed = self.tickets().into_iter().all(|(visit, ticket)| {
            (0..3).all(|_| {
                let work = hosted::redeem(&self.processes[0], &visit, &ticket);
                self.ends(&format!("{visit:?}"), work)
            })
        });
        if redeemed {
            self.check_attempts();
        }
        redeemed && !self.is_checked_broken()
    }

    fn refresh_at_last(&mut self) -> bool {
        self.world.store.accounts().into_iter().all(|(account, _)| {
            let work = calls::refresh(&self.processes[0].ports, account.id);
            self.ends(&format!("refresh {}", account.id), work)
        })
    }

    /// A keeper goes on alone for a day. Whatever it was to visit once more then works if Instagram takes its token.
    fn keep_at_last(&mut self) -> bool {
        let accounts = self.world.store.accounts().into_iter();
        let awaited = accounts
            .filter(|(account, _)| account.next_visit_time(&KeepingPlan::default()).is_some());
        let awaited: Vec<_> = awaited.map(|(account, _)| account.id).collect();
        let kept = LAST_SPANS.into_iter().all(|span| {
            self.pass(span);
            self.visit_all()
        });
        kept && self.are_as_instagram_says(&awaited)
    }

    /// Instagram sends what was not answered once more.
    fn call_back_at_last(&mut self) -> bool {
        let unanswered = self.world.state().updates.unanswered.clone();
        let ended = unanswered.into_iter().all(|(number, batch)| {
            let work = callbacks::receive(&self.world, &self.processes[0], number, batch);
            self.ends(&format!("batch {number}"), work)
        });
        if !self.world.state().updates.unanswered.is_empty() {
            self.world.violate("a batch is never answered well");
        }
        ended && !self.is_checked_broken()
    }

    /// Deletions come to their end, and nothing is left of what they are about.
    fn erase_at_last(&mut self) -> bool {
        let ended = self.erase_all() && {
            self.pass(LATE_WRITE_TIME);
            self.erase_all()
        };
        if !ended {
            self.world.violate("there is always something to be erased");
        }
        let codes = self.world.state().removals.codes();
        for code in codes {
            let found = UserDeletions::find(&self.world.store, &code).now_or_never();
            let state = found.and_then(Result::ok).flatten().map(|deletion| deletion.state);
            if state.is_none_or(|state| state == DeletionState::Running) {
                self.world.violate(format!("a deletion never ends: {state:?}"));
            }
        }
        self.world.check_erased();
        ended && !self.is_checked_broken()
    }

    /// Erases until there is nothing left to be erased now.
    fn erase_all(&mut self) -> bool {
        (0..MAX_ROUNDS).any(|_| {
            let erased = self.patiently(callbacks::erase(&self.processes[0]));
            matches!(erased, Some(Answer::Other(line)) if line == "erased: Ok(0)")
        })
    }

    /// Those who follow the events get all of them.
    fn follow_at_last(&mut self) {
        let caught_up = [Follower::Copy, Follower::Feed].into_iter().all(|follower| {
            // A cursor that has expired takes a second stream.
            let caught_up = (0..2).any(|_| self.is_poll_complete() && self.catches_up(follower));
            if !caught_up {
                self.world.violate(format!("{follower:?} never catches up"));
            }
            caught_up
        });
        if caught_up {
            self.world.check_followers();
            self.world.check_all_told();
        }
        self.is_checked_broken();
    }

    /// Polls until all events are there.
    fn is_poll_complete(&mut self) -> bool {
        (0..MAX_ROUNDS).any(|_| {
            let look = watchers::poll_events(&self.processes[0]);
            let polled = self.patiently(look);
            matches!(polled, Some(Answer::Other(line)) if line == "polled: Ok(true)")
        })
    }

    fn catches_up(&mut self, follower: Follower) -> bool {
        self.streams += 1;
        let stream = Stream::new(&self.world, &self.processes[0], follower, (self.streams, 0));
        let Some(answer) = self.patiently(stream.catch_up()) else { return false };
        let caught_up = matches!(&answer, Answer::Watched(_, ended) if ended == "caught up");
        self.hear(answer);
        caught_up
    }

    /// Visits accounts until none is due.
    fn visit_all(&mut self) -> bool {
        for _ in 0..MAX_ROUNDS {
            let Some(answer) = self.patiently(calls::look(&self.processes[0])) else {
                self.world.violate("a round of the keeper never ends");
                return false;
            };
            let visited = if let Answer::Visited(Ok(visited)) = answer { visited } else { 0 };
            self.hear(answer);
            if self.is_checked_broken() {
                return false;
            }
            if visited == 0 {
                return true;
            }
        }
        self.world.violate("the keeper always finds something due");
        false
    }

    fn are_as_instagram_says(&self, awaited: &[AccountId]) -> bool {
        let now = self.world.clock.now();
        if self.world.state().rules.is_open() {
            // All tokens may be dead, or those that were asked as witnesses.
            return true;
        }
        for (account, token) in self.world.store.accounts() {
            let works = self.world.state().instagram.accepts(token.text().expose(), now);
            let is_active = account.status(now) == AccountStatus::Active;
            if works && !is_active && awaited.contains(&account.id) {
                self.world.violate(format!("{} is not healed after a day", account.id));
            }
            // Days may pass here before an answer is heard, so a token may end before our side thinks so: by the next
            // reading it knows.
            let worked = self
                .world
                .state()
                .instagram
                .accepts(token.text().expose(), now - DEFAULT_READING_INTERVAL);
            if !worked && is_active {
                self.world.violate(format!("{} is active after a day", account.id));
            }
            let next = self.world.store.next_visit_time(account.id);
            if next.is_some_and(|next| next <= now) {
                self.world.violate(format!("nobody visits {}, which is due", account.id));
            }
        }
        self.world.state().violation.is_none()
    }

    fn check_attempts(&self) {
        let attempts = self.world.store.attempts();
        let mut attempts = attempts.iter();
        // One whose code was erased before it ended is swept.
        let erased = self.erased_codes();
        let open = attempts.find(|attempt| {
            !matches!(attempt.phase, Phase::Ended { .. }) && !erased.contains(&attempt.code)
        });
        if let Some(attempt) = open {
            self.world.violate(format!("an attempt did not end: {:?}", attempt.phase));
        }
    }
}
