//! How often a thread is woken.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use futures_util::FutureExt as _;
use rstest::rstest;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

use super::*;

/// Counts its wakes.
#[derive(Default)]
struct Counted(AtomicUsize);

impl Wake for Counted {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn counted() -> (Arc<Counted>, Waker) {
    let counted = Arc::<Counted>::default();
    (Arc::clone(&counted), counted.into())
}

#[test]
fn tasks_that_another_thread_wakes_wake_theirs_once() {
    let (of_thread, thread_waker) = counted();
    let mut passing_on = gather_wakes().boxed_local();
    let mut of_thread_context = Context::from_waker(&thread_waker);
    assert!(passing_on.poll_unpin(&mut of_thread_context).is_pending());
    let (senders, tasks): (Vec<_>, Vec<_>) = (0..3)
        .map(|_| {
            let (sender, receiver) = oneshot::channel::<()>();
            (sender, Gathered::new(receiver.map(|_| ()).boxed()))
        })
        .unzip();
    let mut woken = Vec::new();
    let mut waiting = Vec::new();
    for mut task in tasks {
        let (of_task, task_waker) = counted();
        assert!(task.poll_unpin(&mut Context::from_waker(&task_waker)).is_pending());
        woken.push(of_task);
        waiting.push(task);
    }
    let number = |of_tasks: &[Arc<Counted>]| {
        of_tasks.iter().map(|one| one.0.load(Ordering::Relaxed)).collect::<Vec<_>>()
    };
    thread::spawn(move || senders.into_iter().for_each(|sender| sender.send(()).unwrap()))
        .join()
        .unwrap();
    assert_eq!((of_thread.0.load(Ordering::Relaxed), number(&woken)), (1, vec![0; 3]));
    assert!(passing_on.poll_unpin(&mut of_thread_context).is_pending());
    assert_eq!(number(&woken), [1; 3]);
    for mut task in waiting {
        let (_, task_waker) = counted();
        assert!(task.poll_unpin(&mut Context::from_waker(&task_waker)).is_ready());
    }
}

#[test]
fn few_tasks_are_woken_in_a_turn() {
    let (_, thread_waker) = counted();
    let mut passing_on = gather_wakes().boxed_local();
    let mut turn = || passing_on.poll_unpin(&mut Context::from_waker(&thread_waker));
    assert!(turn().is_pending());
    let (of_tasks, task_waker) = counted();
    let tasks: Vec<_> = (0..=MAX_WAKES_PER_TURN)
        .map(|_| {
            let (sender, receiver) = oneshot::channel::<()>();
            let mut task = Gathered::new(receiver.map(|_| ()).boxed());
            assert!(task.poll_unpin(&mut Context::from_waker(&task_waker)).is_pending());
            (sender, task)
        })
        .collect();
    let (senders, _tasks): (Vec<_>, Vec<_>) = tasks.into_iter().unzip();
    thread::spawn(move || senders.into_iter().for_each(|sender| sender.send(()).unwrap()))
        .join()
        .unwrap();
    for woken in [MAX_WAKES_PER_TURN, MAX_WAKES_PER_TURN + 1] {
        assert!(turn().is_pending());
        assert_eq!(of_tasks.0.load(Ordering::Relaxed), woken);
    }
}

#[test]
fn a_task_that_its_own_thread_wakes_is_woken_at_once() {
    let (_, thread_waker) = counted();
    let mut passing_on = gather_wakes().boxed_local();
    assert!(passing_on.poll_unpin(&mut Context::from_waker(&thread_waker)).is_pending());
    let (sender, receiver) = oneshot::channel::<()>();
    let mut task = Gathered::new(receiver.map(|_| ()).boxed());
    let (of_task, task_waker) = counted();
    assert!(task.poll_unpin(&mut Context::from_waker(&task_waker)).is_pending());
    sender.send(()).unwrap();
    assert_eq!(of_task.0.load(Ordering::Relaxed), 1);
}

#[rstest]
#[case::where_its_runtime_ends(true)]
#[case::where_nothing_is_gathered(false)]
fn a_task_is_woken(#[case] gathers: bool) {
    let passing_on = gathers.then(gather_wakes);
    let (sender, receiver) = oneshot::channel::<()>();
    let mut task = Gathered::new(receiver.map(|_| ()).boxed());
    let (of_task, task_waker) = counted();
    assert!(task.poll_unpin(&mut Context::from_waker(&task_waker)).is_pending());
    drop(passing_on);
    thread::spawn(move || sender.send(()).unwrap()).join().unwrap();
    assert_eq!(of_task.0.load(Ordering::Relaxed), 1);
}

/// Also after the wakes of its own thread.
#[test]
fn a_task_of_a_runtime_goes_on_after_each_wake() {
    let runtime = Builder::new_current_thread().build().unwrap();
    let handle = runtime.handle().clone();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = thread::spawn(move || {
        runtime.spawn(gather_wakes());
        runtime.block_on(stopped)
    });
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let (answer, answers) = std::sync::mpsc::channel();
    let task = async move {
        while let Some(number) = receiver.recv().await {
            yield_now().await;
            answer.send(number).unwrap();
        }
    };
    handle.spawn(Gathered::new(task.boxed()));
    for number in 0..100 {
        sender.send(number).unwrap();
        assert_eq!(answers.recv(), Ok(number));
    }
    drop(sender);
    assert!(answers.recv().is_err(), "it has ended");
    stop.send(()).unwrap();
    serving.join().unwrap().unwrap();
}
