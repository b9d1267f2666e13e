//! The limits of a probe, as the kernel's side wants them: rate, hits, time to live.

use std::time::Duration;

use tracer_common::control::ProbeControl;

use crate::lang::ast::ProbeSpec;
use crate::session::reader::clock::monotonic_ns;

/// Events per second that a `log` sends without the option `rate`.
pub(in crate::session) const DEFAULT_RATE: u64 = 1_000;
/// Lifetime of a probe without `for`, in ns: one hour.
pub(in crate::session) const DEFAULT_TTL_NS: u64 = 3_600_000_000_000;
/// Events a second from which on a rate is no limit: all hits of a probe count up one number,
/// which CPUs together do not do as often.
const UNREACHED_RATE: u64 = 100_000_000;

/// Limits of a probe, as the kernel side wants them.
pub(in crate::session) fn control(spec: &ProbeSpec) -> ProbeControl {
    const SECOND: u64 = 1_000_000_000;
    let nanoseconds = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let options = &spec.options;
    let action = spec.action.kind();
    // Aggregates of the kernel send no flood of events.
    let default = action.sends_events(spec).then_some(DEFAULT_RATE);
    let rate = options.rate.or(default);
    let (interval_ns, burst_ns) = match (options.every, rate) {
        // Both limits hold then: events keep to the longer of the two intervals.
        (Some(every), _) => {
            let spaced = options.rate.map_or(0, |rate| SECOND / rate.max(1));
            (nanoseconds(every).max(spaced), 0)
        }
        // Hits never reach this rate, so the kernel side has no decision to make at each.
        (None, Some(UNREACHED_RATE..)) => (0, 0),
        // A second's worth may come at once: the first event, and the others ahead of their time.
        (None, Some(rate)) => {
            let interval = (SECOND / rate.max(1)).max(1);
            (interval, SECOND - interval)
        }
        (None, None) => (0, 0),
    };
    let ttl = options.ttl.map_or(DEFAULT_TTL_NS, nanoseconds);
    ProbeControl {
        enabled: 1,
        per_process: u32::from(options.per_process),
        expires_ns: monotonic_ns().saturating_add(ttl),
        hit_budget: action.hit_limit(spec),
        interval_ns,
        burst_ns,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_that_no_hits_reach_is_no_limit() {
        let limits = |text: &str| {
            let control = control(&crate::actions::parse_probe(text).expect("a probe"));
            (control.interval_ns, control.burst_ns)
        };
        assert_eq!(limits("log main.rs:1 \"x\""), (1_000_000, 999_000_000));
        assert_eq!(limits("log main.rs:1 rate 1/s"), (1_000_000_000, 0));
        assert_eq!(limits("log main.rs:1 every 1ms rate 4/s"), (250_000_000, 0));
        assert_eq!(
            limits("log main.rs:1 every 1s rate 4/s"),
            (1_000_000_000, 0)
        );
        assert_eq!(
            limits("log main.rs:1 \"x\" rate 99999999/s"),
            (10, 999_999_990)
        );
        assert_eq!(limits("log main.rs:1 \"x\" rate 100000000/s"), (0, 0));
        assert_eq!(limits("count main.rs:1"), (0, 0));
    }
}
