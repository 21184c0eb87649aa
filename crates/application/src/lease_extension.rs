//! Extension of a lease during a call to Instagram.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::{maybe_done, select};
use ig_domain::ports::{StoreError, Timer};
use ig_domain::{AccountId, LeaseHolder};

use crate::Ports;

/// Interval between two extensions of a lease during a call to Instagram.
const LEASE_EXTENSION_INTERVAL: Duration = Duration::from_secs(1);

/// A renewal lease that is held, and extended while the work under it takes time.
pub(crate) struct HeldLease<'a> {
    ports: &'a Ports,
    /// The account that it is about.
    pub(crate) id: AccountId,
    /// Its holder.
    pub(crate) holder: LeaseHolder,
    /// Moment before the last write that began the lease's lifetime, by the timer.
    begin: Mutex<Instant>,
}

impl<'a> HeldLease<'a> {
    /// The lease of `holder` on `id`, whose claim was sent at `begin` by the timer.
    pub(crate) fn claimed(
        ports: &'a Ports,
        id: AccountId,
        holder: LeaseHolder,
        begin: Instant,
    ) -> Self {
        Self { ports, id, holder, begin: Mutex::new(begin) }
    }

    /// Extends the lease where that was not done within [`LEASE_EXTENSION_INTERVAL`].
    ///
    /// # Errors
    ///
    /// [`StoreError::LeaseLost`] when another may have worked, and left, since; [`StoreError::Unavailable`].
    pub(crate) async fn ensure(&self) -> Result<(), StoreError> {
        let begin = *self.begin.lock().unwrap_or_else(PoisonError::into_inner);
        let is_fresh = self.ports.timer.now().duration_since(begin) < LEASE_EXTENSION_INTERVAL;
        if is_fresh { Ok(()) } else { self.extend().await }
    }

    /// Waits for `call`, and keeps the lease meanwhile.
    pub(crate) async fn keep<T>(&self, call: impl Future<Output = T>) -> T {
        while_extending(&*self.ports.timer, call, || self.extend()).await
    }

    /// Gives the lease back.
    pub(crate) async fn release(&self) {
        if let Err(error) = self.ports.store.renewal_leases.release(self.id, self.holder).await {
            tracing::debug!(%error, "a lease could not be given back and ends by itself");
        }
    }

    async fn extend(&self) -> Result<(), StoreError> {
        let begin = self.ports.timer.now();
        self.ports.store.renewal_leases.extend(self.id, self.holder).await?;
        *self.begin.lock().unwrap_or_else(PoisonError::into_inner) = begin;
        Ok(())
    }
}

/// Waits for `call`, and meanwhile runs `extend` again and again, each time after [`LEASE_EXTENSION_INTERVAL`].
///
/// An extension that fails changes nothing: the next one may succeed, and a holder that has lost the lease learns it by
/// its next write. An extension that is under way when `call` ends is waited for, so that it never comes after that
/// write.
pub(crate) async fn while_extending<T, E>(
    timer: &dyn Timer,
    call: impl Future<Output = T>,
    extend: impl Fn() -> E,
) -> T
where
    E: Future<Output = Result<(), StoreError>>,
{
    let mut call = pin!(maybe_done(call));
    loop {
        select(call.as_mut(), timer.sleep(LEASE_EXTENSION_INTERVAL)).await;
        if let Some(answer) = call.as_mut().take_output() {
            return answer;
        }
        let mut extension = pin!(extend());
        let extended = poll_fn(|context| {
            // Goes on meanwhile; its answer is kept.
            let _ = call.as_mut().poll(context);
            extension.as_mut().poll(context)
        });
        if let Err(error) = extended.await {
            tracing::debug!(%error, "a lease could not be extended");
        }
        if let Some(answer) = call.as_mut().take_output() {
            return answer;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use ig_test_support::FakeTimer;
    use tokio::sync::oneshot;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_lease_is_extended_until_the_call_has_ended() {
        let (end, ended) = oneshot::channel();
        let (extensions, end) = (Cell::new(0), Cell::new(Some(end)));
        let extend = || async {
            extensions.set(extensions.get() + 1);
            if extensions.get() == 30 {
                end.take().unwrap().send("answer").unwrap();
            }
            // The first one fails: it is not the last.
            if extensions.get() == 1 { Err(StoreError::LeaseLost) } else { Ok(()) }
        };
        let timer = FakeTimer::new();
        let answer = while_extending(&timer, ended, extend);
        let answer = timeout(LEASE_EXTENSION_INTERVAL, answer).await.expect("it goes on");
        assert_eq!((answer, extensions.get()), (Ok("answer"), 30));
    }

    #[tokio::test]
    async fn an_extension_under_way_is_waited_for() {
        let (end, ended) = oneshot::channel();
        let (end, extended) = (Cell::new(Some(end)), Cell::new(false));
        let extend = || async {
            end.take().unwrap().send(()).unwrap();
            tokio::task::yield_now().await;
            extended.set(true);
            Ok(())
        };
        while_extending(&FakeTimer::new(), ended, extend).await.unwrap();
        assert!(extended.get());
    }
}
