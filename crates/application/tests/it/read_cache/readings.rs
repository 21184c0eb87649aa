//! Readings during which something changes.

use futures_util::FutureExt as _;
use ig_domain::ports::{EventLog as _, Restoration as _};
use rstest::rstest;

use super::*;

/// What happens while an account is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meanwhile {
    /// This process changes it.
    Written,
    /// Another one does, and the poller looks.
    HeardOf,
    /// Another log takes the place of the one before.
    Restored,
}

impl Meanwhile {
    async fn happen(self, scene: &Scene) {
        match self {
            Self::Written => {
                let former = scene.stored(&id(1)).await.unwrap();
                let writer = &scene.ports.account_writer;
                writer.update(&renamed(&former), &former, None).await.unwrap();
            }
            Self::HeardOf => {
                scene.rename(1).await;
                scene.look().await;
            }
            Self::Restored => {
                scene.rename(1).await;
                // Its event has its number, and is gone with the log before.
                scene.store.number_waiting().await.unwrap();
                scene.store.begin_new_log().await.unwrap();
                scene.look().await;
            }
        }
    }
}

#[rstest]
#[tokio::test]
async fn a_reading_that_began_before_a_change_is_not_kept(
    #[values(Meanwhile::Written, Meanwhile::HeardOf, Meanwhile::Restored)] meanwhile: Meanwhile,
    #[values(false, true)] of_many: bool,
) {
    let scene = Scene::new().await;
    let accounts = scene.accounts();
    scene.reads.waits.store(true, Ordering::Relaxed);
    let reading = async {
        if of_many {
            let AccountKey::Id(one) = id(1) else { unreachable!() };
            accounts.find_many(&[BatchKey::Id(one)]).await.unwrap().pop().unwrap()
        } else {
            accounts.find(&professional(1)).await.unwrap()
        }
    };
    let mut reading = std::pin::pin!(reading);
    assert!((&mut reading).now_or_never().is_none(), "the store has read, and does not answer");
    scene.reads.waits.store(false, Ordering::Relaxed);
    meanwhile.happen(&scene).await;
    scene.reads.permits.add_permits(1);
    let read = reading.await.unwrap();
    let stored = scene.stored(&id(1)).await;
    assert_ne!(stored.as_ref(), Some(&**read), "it was read before");
    for key in [id(1), professional(1)] {
        assert_eq!(scene.get(&key).await, stored);
    }
}

/// Also where the former reading ends last.
#[tokio::test]
async fn a_later_reading_is_not_replaced_by_a_former_one() {
    let scene = Scene::new().await;
    let accounts = scene.accounts();
    scene.reads.waits.store(true, Ordering::Relaxed);
    let key = id(1);
    let mut former = std::pin::pin!(accounts.find(&key));
    assert!((&mut former).now_or_never().is_none());
    scene.reads.waits.store(false, Ordering::Relaxed);
    scene.timer.advance(MOMENT);
    let changed = scene.rename(1).await;
    assert_eq!(scene.get(&key).await, Some(changed.clone()));
    scene.reads.permits.add_permits(1);
    assert_ne!(**former.await.unwrap().unwrap(), changed);
    assert_eq!(scene.read(&key).await, (Some(changed), 0));
}

/// Another account's change is none of this one's.
#[tokio::test]
async fn a_reading_is_kept_while_others_change() {
    let scene = Scene::new().await;
    let accounts = scene.accounts();
    scene.reads.waits.store(true, Ordering::Relaxed);
    let key = id(1);
    let mut reading = std::pin::pin!(accounts.find(&key));
    assert!((&mut reading).now_or_never().is_none());
    scene.reads.waits.store(false, Ordering::Relaxed);
    scene.rename(2).await;
    scene.look().await;
    scene.reads.permits.add_permits(1);
    reading.await.unwrap();
    assert!(scene.is_remembered(&key).await);
}
