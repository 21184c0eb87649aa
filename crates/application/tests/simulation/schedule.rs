//! Schedules: which task goes on next.

use std::pin::Pin;

use crate::calls::Answer;
use crate::world::World;

/// Once in so many steps a schedule with few switches goes over to another task.
const SWITCH: usize = 12;

/// Once in so many steps a schedule by priority puts the task that would go on behind all others.
const PRIORITY_CHANGE: usize = 24;

/// Number of priorities that new tasks get, so that few are alike.
const PRIORITIES: usize = 1 << 20;

/// Way in which the next task is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Schedule {
    /// Any task goes on.
    Uniform,
    /// The same task goes on, mostly.
    FewSwitches,
    /// The task with the highest priority goes on; now and then it falls behind all others.
    Priorities,
}

impl Schedule {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Uniform, Self::FewSwitches, Self::Priorities];
}

/// A task of a replica.
pub(crate) struct Task {
    pub(crate) number: u64,
    pub(crate) replica: usize,
    /// Whether it is a round of the replica's keeper.
    pub(crate) is_round: bool,
    pub(crate) work: Pin<Box<dyn Future<Output = Answer>>>,
    priority: i64,
}

/// The tasks of all replicas, and the one that went on last.
pub(crate) struct Tasks {
    schedule: Schedule,
    under_way: Vec<Task>,
    begun: u64,
    last: u64,
    lowest: i64,
}

impl Tasks {
    pub(crate) fn new(schedule: Schedule) -> Self {
        Self { schedule, under_way: Vec::new(), begun: 0, last: 0, lowest: 0 }
    }

    pub(crate) fn begin(
        &mut self,
        world: &World,
        replica: usize,
        is_round: bool,
        work: Pin<Box<dyn Future<Output = Answer>>>,
    ) {
        self.begun += 1;
        let priority = i64::try_from(world.roll(PRIORITIES)).unwrap_or_default();
        self.under_way.push(Task { number: self.begun, replica, is_round, work, priority });
    }

    pub(crate) fn len(&self) -> usize {
        self.under_way.len()
    }

    /// Whether the keeper of `replica` has a round under way.
    pub(crate) fn has_round(&self, replica: usize) -> bool {
        self.under_way.iter().any(|task| task.is_round && task.replica == replica)
    }

    /// Drops the tasks of `replica`, wherever they are.
    pub(crate) fn crash(&mut self, replica: usize) {
        self.under_way.retain(|task| task.replica != replica);
    }

    pub(crate) fn remove(&mut self, number: u64) {
        self.under_way.retain(|task| task.number != number);
    }

    pub(crate) fn clear(&mut self) {
        self.under_way.clear();
    }

    /// The task that goes on; with `stays` the one that went on last. `None` where there is none.
    pub(crate) fn choose(&mut self, world: &World, stays: bool) -> Option<&mut Task> {
        let last = self.under_way.iter().position(|task| task.number == self.last);
        let chosen = match (last, self.schedule) {
            _ if self.under_way.is_empty() => return None,
            (Some(last), _) if stays => last,
            (Some(last), Schedule::FewSwitches) if world.roll(SWITCH) > 0 => last,
            (_, Schedule::Uniform | Schedule::FewSwitches) => world.roll(self.under_way.len()),
            (_, Schedule::Priorities) => self.foremost(world),
        };
        let task = self.under_way.get_mut(chosen)?;
        self.last = task.number;
        Some(task)
    }

    fn foremost(&mut self, world: &World) -> usize {
        if world.roll(PRIORITY_CHANGE) == 0
            && let Some(task) = self.under_way.iter_mut().max_by_key(|task| task.priority)
        {
            self.lowest -= 1;
            task.priority = self.lowest;
        }
        let foremost = self.under_way.iter().enumerate().max_by_key(|(_, task)| task.priority);
        foremost.map_or(0, |(index, _)| index)
    }
}
