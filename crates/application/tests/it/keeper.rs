//! The keeper, by a set clock: what it does to accounts, and what it asks of Instagram, over days and years.

mod dead_tokens;
mod instagram;
mod life;
mod outage;
mod scene;
mod sick_app;
mod visits;
mod year;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use ig_application::StorePorts;
use ig_domain::DEFAULT_READING_INTERVAL;
use ig_domain::ports::Timer;

use self::scene::{Scene, Stage};
use crate::empty_store;

/// Tokio's own time, which a test pauses: a sleep ends once everybody else waits.
pub(crate) struct PausedTimer;

#[async_trait]
impl Timer for PausedTimer {
    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}

/// A scene over an empty store in memory.
fn scene() -> Scene {
    scene_over(StorePorts::of(Arc::new(empty_store())))
}

/// A scene over a store in memory, in paused time, so that calls overlap and nobody waits for them.
fn scene_over(store: StorePorts) -> Scene {
    Scene::new(Stage {
        store,
        timer: Arc::new(PausedTimer),
        call_time: Duration::from_millis(50),
        reading_interval: DEFAULT_READING_INTERVAL,
    })
}
