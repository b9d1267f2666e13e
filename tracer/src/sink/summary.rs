//! The summary of a probe, on one line for people.

use std::fmt;
use std::time::Duration;

use super::stamp::Clock;
use crate::base::visible::Visible;
use crate::event::{Counters, ProcessHits, noun};
use crate::session::{ProbeStatus, percent};

/// Share of one CPU below which the cost of a probe is negligible.
const NEGLIGIBLE: f64 = 0.01;

/// The line about one probe: `p1 main.rs:57: 20 hits, 17 events, 3 limited; 255 ns in eBPF a hit`.
#[derive(Debug)]
pub struct Summary<'p> {
    /// The probe, with its last counters.
    pub probe: &'p ProbeStatus,
    /// For times.
    pub clock: Clock,
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let probe = self.probe;
        let counters = &probe.counters;
        write!(
            f,
            "{} {}: {}",
            Visible(&probe.name),
            Visible(&probe.place()),
            plural(counters.hits, "hit")
        )?;
        write!(f, ", {}", plural(counters.events, "event"))?;
        for (count, what) in unsent(counters) {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        if probe.undelivered > 0 {
            let undelivered = plural(probe.undelivered, "event");
            write!(f, "; {undelivered} not delivered to the collector")?;
        }
        if counters.read_faults > 0 {
            write!(
                f,
                "; {} with unreadable memory",
                plural(counters.read_faults, "event")
            )?;
        }
        if counters.cut > 0 {
            write!(f, "; {} cut at a limit", plural(counters.cut, "event"))?;
        }
        let each = |ns: u64| ns.checked_div(counters.hits).map(Duration::from_nanos);
        let total = probe.cost.total_ns(counters);
        match (total.and_then(each), each(counters.bpf_ns)) {
            (Some(all), Some(ebpf)) => write!(f, "; {all:?} a hit, {ebpf:?} of it in eBPF"),
            (None, Some(ebpf)) => write!(f, "; {ebpf:?} in eBPF a hit"),
            _ => Ok(()),
        }?;
        if let Some(share) = probe.cost.share(counters).filter(|_| counters.hits > 0) {
            write!(f, ", {}% of one CPU", percent(share))?;
            match probe.cost.allowed {
                _ if share < NEGLIGIBLE => write!(f, " (negligible)")?,
                Some(allowed) => write!(f, " (of {}% allowed)", percent(allowed))?,
                None => {}
            }
        }
        match probe.done {
            Some(done) => {
                let mut clock = self.clock.clone();
                let time = clock.moment(done.time_ns);
                write!(f, "; done at {time}, {}", done.reason)
            }
            None => Ok(()),
        }
    }
}

/// The line about one process of a probe: `  4242 app: 12 hits, 10 events, 0.2% of one CPU`.
#[derive(Debug)]
pub struct ProcessSummary<'p> {
    /// The probe, with its last counters.
    pub probe: &'p ProbeStatus,
    /// The process. `None` for those that are not listed one by one.
    pub process: Option<&'p ProcessHits>,
}

impl ProcessSummary<'_> {
    /// The lines about the processes of a probe, which add up to its hits.
    pub fn all(probe: &ProbeStatus) -> impl Iterator<Item = ProcessSummary<'_>> {
        let processes = probe.processes.iter().map(Some);
        let others = (probe.hits_of_others() > 0).then_some(None);
        processes
            .chain(others)
            .map(move |process| ProcessSummary { probe, process })
    }
}

impl fmt::Display for ProcessSummary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(process) = self.process else {
            let hits = plural(self.probe.hits_of_others(), "hit");
            return write!(f, "  other processes: {hits}");
        };
        let name = Visible(process.labels.shown_name());
        match process.pid {
            Some(pid) => write!(f, "  {pid} {name}")?,
            None => write!(f, "  more processes {name}")?,
        }
        let hits = plural(process.hits, "hit");
        write!(f, ": {hits}, {}", plural(process.events, "event"))?;
        if let Some(share) = self.probe.share_of(process) {
            write!(f, ", {}% of one CPU", percent(share))?;
        }
        if process.has_ended {
            write!(f, "; ended")?;
        }
        Ok(())
    }
}

/// Counts of the hits that are not events, with their reasons.
const fn unsent(counters: &Counters) -> [(u64, &'static str); 7] {
    [
        (counters.lost, "lost"),
        (counters.limited, "over the rate limit"),
        (counters.rejected, "with a false condition"),
        (counters.faults, "with an unreadable condition"),
        (counters.silenced, "while silenced"),
        (counters.expired, "after its time"),
        (counters.over_budget, "after its last hit"),
    ]
}

fn plural(count: u64, what: &str) -> String {
    format!("{count} {}", noun(count, what))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::event::{ProbeId, ProcessLabels};
    use crate::session::Cost;

    fn summary(counters: Counters) -> String {
        summary_with(counters, Cost::default())
    }

    fn written(probe: &ProbeStatus) -> String {
        let clock = Clock::new(crate::sink::TimeStyle::Local, jiff::tz::TimeZone::UTC, 0);
        Summary { probe, clock }.to_string()
    }

    fn summary_with(counters: Counters, cost: Cost) -> String {
        written(&status(counters, cost))
    }

    fn status(counters: Counters, cost: Cost) -> ProbeStatus {
        ProbeStatus {
            placement: None,
            id: ProbeId(1),
            name: "p1".into(),
            text: "log main.rs:57".into(),
            file: Arc::new("/src/main.rs".into()),
            line: 57,
            function: "report".into(),
            sites: 1,
            enabled: true,
            done: None,
            counters,
            cost,
            notes: Vec::new(),
            processes: Vec::new(),
            undelivered: 0,
        }
    }

    #[test]
    fn summary_without_loss_is_short() {
        let counters = Counters {
            hits: 6,
            events: 6,
            bpf_ns: 1530,
            ..Counters::default()
        };
        assert_eq!(
            summary(counters),
            "p1 main.rs:57: 6 hits, 6 events; 255ns in eBPF a hit"
        );
        assert_eq!(
            summary(Counters::default()),
            "p1 main.rs:57: 0 hits, 0 events"
        );
    }

    #[test]
    fn summary_with_a_known_trap_says_what_the_target_paid() {
        let counters = Counters {
            hits: 2,
            events: 2,
            bpf_ns: 500,
            ..Counters::default()
        };
        let cost = Cost {
            trap_ns: Some(750),
            ..Cost::default()
        };
        assert_eq!(
            summary_with(counters, cost),
            "p1 main.rs:57: 2 hits, 2 events; 1µs a hit, 250ns of it in eBPF"
        );
        let cost = Cost {
            attached: Duration::from_micros(500),
            ..cost
        };
        assert_eq!(
            summary_with(counters, cost),
            "p1 main.rs:57: 2 hits, 2 events; 1µs a hit, 250ns of it in eBPF, 0.4% of one CPU (negligible)"
        );
        let attached = Duration::from_micros(50);
        let allowed = Some(0.25);
        for (cost, verdict) in [
            (
                Cost {
                    attached,
                    allowed,
                    ..cost
                },
                "4% of one CPU (of 25% allowed)",
            ),
            (Cost { attached, ..cost }, "4% of one CPU"),
        ] {
            let summary = summary_with(counters, cost);
            assert!(summary.ends_with(verdict), "{summary}");
        }
    }

    #[test]
    fn lines_of_processes_add_up() {
        let counters = Counters {
            hits: 20,
            events: 17,
            bpf_ns: 20_000,
            ..Counters::default()
        };
        let process = |pid, name: &str, hits, has_ended| ProcessHits {
            pid,
            target: None,
            labels: Arc::new(ProcessLabels::gone(
                Some(name).filter(|name| !name.is_empty()),
            )),
            hits,
            events: hits,
            has_ended,
        };
        let mut probe = status(counters, Cost::default());
        probe.cost.trap_ns = Some(1000);
        probe.cost.attached = Duration::from_millis(1);
        probe.processes = vec![
            process(Some(42), "app", 10, false),
            process(Some(43), "", 1, true),
            process(None, "short\x1b", 2, true),
        ];
        let lines: Vec<String> = ProcessSummary::all(&probe)
            .map(|line| line.to_string())
            .collect();
        assert_eq!(
            lines,
            [
                "  42 app: 10 hits, 10 events, 2% of one CPU",
                "  43 ?: 1 hit, 1 event, 0.2% of one CPU; ended",
                "  more processes short\\u{1b}: 2 hits, 2 events, 0.4% of one CPU; ended",
                "  other processes: 7 hits",
            ]
        );
        assert_eq!(probe.cost_of(&probe.processes[0]), Some(20_000));
    }

    #[test]
    fn summary_with_losses_names_each() {
        let counters = Counters {
            hits: 11,
            events: 1,
            lost: 2,
            limited: 3,
            rejected: 5,
            read_faults: 1,
            bpf_ns: 55_000,
            ..Counters::default()
        };
        assert_eq!(
            summary(counters),
            "p1 main.rs:57: 11 hits, 1 event, 2 lost, 3 over the rate limit, 5 with a false condition; \
             1 event with unreadable memory; 5µs in eBPF a hit"
        );
    }
}
