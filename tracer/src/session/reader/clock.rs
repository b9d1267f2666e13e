//! The hit's clock (`CLOCK_MONOTONIC`) against the wall's (`CLOCK_REALTIME`).

/// Offset from a time of `CLOCK_MONOTONIC` to ns since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session) struct WallOffset(i128);

impl WallOffset {
    /// Reads both clocks.
    ///
    /// The real time is read between two readings of the monotonic one, several
    /// times; the closest pair counts, so that being preempted in between
    /// does not shift every event. Off by less than a microsecond.
    pub(in crate::session) fn now() -> Self {
        let sample = || {
            let before = read(libc::CLOCK_MONOTONIC);
            let wall = read(libc::CLOCK_REALTIME);
            let after = read(libc::CLOCK_MONOTONIC);
            (after - before, wall - (before + (after - before) / 2))
        };
        let best = (0..8).map(|_| sample()).min_by_key(|(gap, _)| *gap);
        Self(best.map_or(0, |(_, offset)| offset))
    }

    /// `ktime_ns` as ns since the Unix epoch.
    pub(in crate::session) fn wall(self, ktime_ns: u64) -> u64 {
        u64::try_from(i128::from(ktime_ns) + self.0).unwrap_or(0)
    }
}

/// `CLOCK_MONOTONIC` now, in ns.
pub(in crate::session) fn monotonic_ns() -> u64 {
    u64::try_from(read(libc::CLOCK_MONOTONIC)).unwrap_or(0)
}

fn read(clock: libc::clockid_t) -> i128 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    #[expect(unsafe_code, reason = "std does not give CLOCK_MONOTONIC as a number")]
    // SAFETY: `time` is a valid timespec to write to; both clocks always exist.
    unsafe {
        libc::clock_gettime(clock, &raw mut time);
    }
    i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec)
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::*;

    #[test]
    fn wall_time_of_now_is_the_systems_time() {
        let since_epoch = || {
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap()
                .as_nanos()
        };
        let before = since_epoch();
        let wall = u128::from(WallOffset::now().wall(monotonic_ns()));
        let after = since_epoch();
        assert!(before <= wall + 1_000_000 && wall <= after + 1_000_000);
    }
}
