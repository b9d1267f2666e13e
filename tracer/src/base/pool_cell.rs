//! Values that are made on first use, by work that the threads of rayon's pool share.

use std::sync::{Mutex, OnceLock, PoisonError};

/// A value that is made on first use.
///
/// With a `OnceLock`, threads of the pool could wait for a value whose maker waits for the pool. Here they make the
/// value themselves, and the first one that is finished is kept. Other threads wait for each other.
#[derive(Debug)]
pub(crate) struct PoolCell<T> {
    value: OnceLock<T>,
    making: Mutex<()>,
}

impl<T> Default for PoolCell<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> PoolCell<T> {
    /// A cell without its value.
    pub(crate) const fn new() -> Self {
        Self {
            value: OnceLock::new(),
            making: Mutex::new(()),
        }
    }

    /// The value, if it was made.
    pub(crate) fn get(&self) -> Option<&T> {
        self.value.get()
    }

    /// The value. It is made now if it is not there.
    pub(crate) fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        if let Some(value) = self.value.get() {
            return value;
        }
        let is_outside = rayon::current_thread_index().is_none();
        let lock = || self.making.lock().unwrap_or_else(PoisonError::into_inner);
        let _one = is_outside.then(lock);
        if let Some(value) = self.value.get() {
            return value;
        }
        let made = make();
        self.value.get_or_init(|| made)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use rayon::prelude::*;

    use super::*;

    /// Work for all threads of the pool.
    fn shared_work() -> usize {
        (0..1_000).into_par_iter().map(|n| n % 2).sum()
    }

    #[test]
    fn pool_does_not_wait_for_one_that_waits_for_it() {
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            for _ in 0..200 {
                let cell = Arc::new(PoolCell::new());
                let asking = (0..4).map(|_| {
                    let cell = Arc::clone(&cell);
                    std::thread::spawn(move || {
                        let sums = (0..64)
                            .into_par_iter()
                            .map(|_| *cell.get_or_init(shared_work));
                        let all: usize = sums.sum();
                        all + *cell.get_or_init(shared_work)
                    })
                });
                let asking: Vec<_> = asking.collect();
                for one in asking {
                    assert_eq!(one.join().expect("no panic"), 65 * 500);
                }
            }
            sender.send(())
        });
        receiver
            .recv_timeout(Duration::from_secs(60))
            .expect("no thread waits for ever");
    }

    #[test]
    fn threads_outside_make_it_once() {
        let made = AtomicUsize::new(0);
        let cell = PoolCell::new();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| cell.get_or_init(|| made.fetch_add(1, Ordering::Relaxed)));
            }
        });
        assert_eq!((made.into_inner(), cell.get()), (1, Some(&0)));
    }
}
