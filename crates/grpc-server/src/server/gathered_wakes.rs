//! Wakes of tasks from other threads, gathered for a runtime of one thread.
//!
//! Such a runtime makes a write call for each of its tasks that another thread wakes, whether its own sleeps or not: a
//! hundred of them where a hundred streams are told of one change. Here all wakes that come before the runtime looks
//! are one.

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tokio::task::yield_now;

/// Maximum number of tasks that are woken before the runtime looks for what clients have sent. Ours: a few messages of
/// streams leave together, and a call that comes meanwhile waits for few.
const MAX_WAKES_PER_TURN: usize = 8;

thread_local! {
    /// Takes the wakes for the runtime of this thread; `None` where none are gathered.
    static WAKES: RefCell<Option<mpsc::UnboundedSender<Waker>>> = const { RefCell::new(None) };
}

/// Gathers the wakes of tasks of the runtime whose only thread this is, from now on. The future passes them on, as a task
/// of that runtime.
pub(super) fn gather_wakes() -> impl Future<Output = ()> + Send {
    let (sender, mut wakes) = mpsc::unbounded_channel();
    WAKES.set(Some(sender));
    async move {
        let mut some = Vec::with_capacity(MAX_WAKES_PER_TURN);
        while wakes.recv_many(&mut some, MAX_WAKES_PER_TURN).await > 0 {
            some.drain(..).for_each(Waker::wake);
            yield_now().await;
        }
    }
}

/// A task that other threads wake by way of [`gather_wakes`], where that runs on the thread of the task.
pub(super) struct Gathered {
    task: BoxFuture<'static, ()>,
    /// `None` before the first poll, and where no wakes are gathered.
    waker: Option<Arc<ByWayOfThread>>,
}

/// Wakes a task by way of the thread of its runtime.
struct ByWayOfThread {
    /// The runtime's own waker of the task.
    waker: Waker,
    wakes: mpsc::UnboundedSender<Waker>,
}

impl Gathered {
    pub(super) fn new(task: BoxFuture<'static, ()>) -> Self {
        Self { task, waker: None }
    }
}

impl Future for Gathered {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Self { task, waker } = &mut *self;
        if waker.as_ref().is_none_or(|waker| !waker.waker.will_wake(context.waker())) {
            *waker = ByWayOfThread::of(context.waker());
        }
        match waker {
            Some(waker) => {
                let waker = Arc::clone(waker).into();
                task.as_mut().poll(&mut Context::from_waker(&waker))
            }
            None => task.as_mut().poll(context),
        }
    }
}

impl ByWayOfThread {
    /// That of a task on this thread, which `of_runtime` wakes; `None` where no wakes are gathered.
    fn of(of_runtime: &Waker) -> Option<Arc<Self>> {
        let wakes = WAKES.with_borrow(Clone::clone)?;
        Some(Arc::new(Self { waker: of_runtime.clone(), wakes }))
    }
}

impl Wake for ByWayOfThread {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let is_own = |wakes: &mpsc::UnboundedSender<Waker>| wakes.same_channel(&self.wakes);
        let is_here = WAKES.try_with(|of_thread| of_thread.borrow().as_ref().is_some_and(is_own));
        // On its own thread, and where its runtime ends, a task is woken as ever.
        if is_here == Ok(true) || self.wakes.send(self.waker.clone()).is_err() {
            self.waker.wake_by_ref();
        }
    }
}
