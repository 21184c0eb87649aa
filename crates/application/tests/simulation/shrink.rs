//! Shrinking: finds a short history that fails as a long one does.

use crate::plan::{Action, Plan, Step};

/// Maximum number of histories that are played in order to shrink one.
const MAX_PLAYS: usize = 4_000;

/// Shrinks `plan` while `fails` says that it still fails: leaves out events, callbacks, imports, reads, steps, then faults, then switches between tasks.
pub(crate) fn shrink(plan: Plan, mut fails: impl FnMut(&Plan) -> bool) -> Plan {
    let mut shrinking = Shrinking { plan, plays: 0, fails: &mut fails };
    shrinking.leave_out(Action::is_about_events);
    shrinking.leave_out(Action::is_about_callbacks);
    shrinking.leave_out(Action::is_import);
    shrinking.leave_out(Action::is_about_reads);
    while shrinking.leaves_out_steps() {}
    shrinking.change_steps(|step| step.faults, |step| step.faults = false);
    shrinking
        .change_steps(|step| step.action == Action::Poll && !step.stays, |step| step.stays = true);
    shrinking.plan
}

struct Shrinking<'a> {
    plan: Plan,
    plays: usize,
    fails: &'a mut dyn FnMut(&Plan) -> bool,
}

impl Shrinking<'_> {
    /// Takes over `steps` if the history fails with them, too.
    fn is_taken(&mut self, steps: Vec<Step>) -> bool {
        self.plays += 1;
        let plan = Plan { steps, ..self.plan.clone() };
        let taken = self.plays <= MAX_PLAYS && (self.fails)(&plan);
        if taken {
            self.plan = plan;
        }
        taken
    }

    /// Leaves out all actions of a kind on which few failures depend.
    fn leave_out(&mut self, is_of_kind: fn(Action) -> bool) {
        let steps = self.plan.steps.iter().copied();
        let others = steps.filter(|step| !is_of_kind(step.action)).collect();
        let _ = self.is_taken(others);
    }

    /// Leaves out steps: half of them at once, then ever fewer. Returns whether any could be left out.
    fn leaves_out_steps(&mut self) -> bool {
        let former = self.plan.steps.len();
        let mut size = self.plan.steps.len().div_ceil(2);
        while size > 0 && self.plays < MAX_PLAYS {
            let mut start = 0;
            while start < self.plan.steps.len() {
                let end = (start + size).min(self.plan.steps.len());
                let mut steps = self.plan.steps.clone();
                steps.drain(start..end);
                if !self.is_taken(steps) {
                    start = end;
                }
            }
            size /= 2;
        }
        self.plan.steps.len() < former && self.plays < MAX_PLAYS
    }

    /// Changes the steps that `may_change` names: all at once, then ever fewer.
    fn change_steps(&mut self, may_change: fn(&Step) -> bool, change: fn(&mut Step)) {
        let mut size = self.plan.steps.len();
        while size > 0 && self.plays < MAX_PLAYS {
            for start in (0..self.plan.steps.len()).step_by(size) {
                let mut steps = self.plan.steps.clone();
                let chunk = steps.iter_mut().skip(start).take(size);
                let chunk: Vec<_> = chunk.filter(|step| may_change(step)).collect();
                if !chunk.is_empty() {
                    chunk.into_iter().for_each(change);
                    let _ = self.is_taken(steps);
                }
            }
            size /= 2;
        }
    }
}
