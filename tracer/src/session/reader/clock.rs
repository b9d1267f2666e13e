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

/// A time in clock ticks since boot, as `/proc` gives it, in ns of `CLOCK_MONOTONIC`. `None` if it is
/// out of range.
///
/// Off by a tick at most (10 ms): the kernel rounds down.
pub(in crate::session) fn monotonic_of_ticks(ticks: u64) -> Option<u64> {
    let ns_per_tick = 1_000_000_000 / rustix::param::clock_ticks_per_second().max(1);
    let since_boot = i128::from(ticks.checked_mul(ns_per_tick)?);
    // Only the clock of boot goes on while the machine sleeps.
    let asleep = read(libc::CLOCK_BOOTTIME) - read(libc::CLOCK_MONOTONIC);
    u64::try_from(since_boot - asleep).ok()
}

fn read(clock: libc::clockid_t) -> i128 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    #[expect(unsafe_code, reason = "std does not give these clocks as a number")]
    // SAFETY: `time` is a valid timespec to write to; these clocks always exist.
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
    fn start_of_this_process_is_before_now() {
        let stat = std::fs::read_to_string("/proc/self/stat").expect("our stat");
        let (_, fields) = stat.rsplit_once(") ").expect("a name");
        // The first of these fields is the third of all; the start is the 22nd.
        let ticks = fields.split(' ').nth(22 - 3).expect("the start");
        let started = monotonic_of_ticks(ticks.parse().expect("a number")).expect("in range");
        let now = monotonic_ns();
        assert!(started <= now, "{started} {now}");
        assert!(now - started < 600_000_000_000, "{started} {now}");
        assert_eq!(monotonic_of_ticks(u64::MAX), None);
    }

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
