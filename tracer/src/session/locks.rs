//! Locks that a panic of another holder leaves usable.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks. If another holder panicked, the data is as it was between two of its steps.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
