//! The keeper, by a set clock: what it does to accounts, and what it asks of Instagram, over days and years.

mod dead_tokens;
mod outage;
mod sick_app;
mod visits;

use std::sync::Arc;
use std::time::Duration;

use ig_application::StorePorts;
use ig_domain::KeepingPlan;
use ig_test_support::keeper::{Scene, Stage};

use crate::empty_store;

/// Maximum number of visits at the same time.
const IN_FLIGHT: usize = 16;

/// A scene over an empty store in memory.
fn scene() -> Scene {
    scene_over(StorePorts::of(Arc::new(empty_store())))
}

/// A scene over a store in memory, in paused time, so that calls overlap and nobody waits for them.
fn scene_over(store: StorePorts) -> Scene {
    Scene::new(Stage {
        store,
        call_time: Duration::from_millis(50),
        plan: KeepingPlan::default(),
        in_flight: IN_FLIGHT,
    })
}
