//! Several threads read, one stores.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;

use crate::clients::Buffer;
use crate::store::StoreError;

/// Nobody takes what is read any more.
#[derive(Debug)]
pub(super) struct Stopped;

/// Where a thread that reads puts what it has read.
pub(super) type HandOver<'o, T> = &'o mut dyn FnMut(T) -> Result<(), Stopped>;

/// How it is done.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReadPlan {
    /// How many jobs there are.
    pub(super) jobs: usize,
    /// More threads than that do not make it faster.
    pub(super) max_threads: usize,
    /// From how many threads on any are started. A job that one thread does is better done by the caller's own, whose memory then
    /// serves what comes next.
    pub(super) min_threads: usize,
}

/// Hands each thread the jobs' numbers, in their order, by `next`, and what they hand over to `store`, on the caller's thread.
/// Readers wait for the writer, so that what was read does not pile up. If no thread can be started the caller's reads, too.
///
/// # Errors
/// The first of `store`'s; then nothing more is read.
pub(super) fn run<T: Send>(
    plan: ReadPlan,
    read: impl Fn(&mut dyn Iterator<Item = usize>, &mut Buffer, HandOver<'_, T>) -> Result<(), Stopped> + Sync,
    mut store: impl FnMut(T) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let next = AtomicUsize::new(0);
    let jobs =
        || std::iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)).filter(|job| *job < plan.jobs));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = threads.clamp(1, plan.max_threads).min(plan.jobs);
    let threads = if threads < plan.min_threads { 0 } else { threads };
    std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel::<T>(2);
        for _ in 0..threads {
            let (sender, jobs, read) = (sender.clone(), &jobs, &read);
            let reads = move || {
                let mut hand_over = |piece| sender.send(piece).map_err(|_| Stopped);
                // A writer that has stopped has its own error.
                let _stopped = read(&mut jobs(), &mut Buffer::default(), &mut hand_over).is_err();
            };
            if std::thread::Builder::new().spawn_scoped(scope, reads).is_err() {
                // The user may have no more threads: those that there are do it, and this one what is left.
                break;
            }
        }
        drop(sender);
        receiver.into_iter().try_for_each(&mut store)
    })?;
    let mut fault = None;
    let mut hand_over = |piece| {
        store(piece).map_err(|error| {
            fault = Some(error);
            Stopped
        })
    };
    let _stopped = read(&mut jobs(), &mut Buffer::default(), &mut hand_over).is_err();
    fault.map_or(Ok(()), Err)
}
