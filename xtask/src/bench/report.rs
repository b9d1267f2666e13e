//! What a run of the bench found: the rows, as they are in the JSON and the table.
//!
//! What was not measured is absent, never zero.

use serde::Serialize;

/// The whole run.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    pub(super) host: Host,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) hits: Vec<HitRow>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) start: Vec<StartRow>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) sites: Vec<SitesRow>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) real: Vec<RealRow>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) lookup: Vec<LookupRow>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) placement: Vec<PlacementRow>,
    /// What could not be measured, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) absent: Vec<String>,
}

impl Report {
    /// Notes that something was not measured, and goes on.
    pub(super) fn note(&mut self, what: &str, error: &anyhow::Error) {
        let text = format!("{what}: {error:#}");
        eprintln!("bench: not measured: {text}");
        self.absent.push(text);
    }
}

/// The machine and the day.
#[derive(Debug, Default, Serialize)]
pub(super) struct Host {
    pub(super) kernel: String,
    pub(super) cpus: usize,
    /// Year, month and day, in UTC.
    pub(super) date: String,
    /// Of everything.
    pub(super) repeats: u32,
    /// Of hitting in a tight loop, for one observation.
    pub(super) milliseconds: u64,
    /// The load average over the last five minutes of the run: a quiet machine has as much as it measures, 1 or 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) load: Option<f64>,
}

/// Who observes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Tool {
    /// Nobody: what the call itself takes.
    Untraced,
    /// A program that does nothing: the limit.
    Empty,
    /// The least eBPF that does the task.
    HandWritten,
    Tracer,
    Bpftrace,
    Perf,
    Gdb,
}

/// What is observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum What {
    None,
    /// Two integers.
    Log2,
    /// A whole struct, with a string that it points to.
    LogStruct,
    /// Two integers, if an integer is one that it never is.
    Rejected,
    /// The number of hits.
    Count,
}

/// The kind of the instruction under the probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Site {
    OneTrap,
    TwoTrap,
}

/// How the target hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) enum Pace {
    /// Call after call.
    #[serde(rename = "tight")]
    Tight,
    /// 40 calls each 10 ms.
    #[serde(rename = "4k")]
    FourThousand,
}

/// The cost of a hit.
#[derive(Clone, Debug, Serialize)]
pub(super) struct HitRow {
    pub(super) tool: Tool,
    pub(super) what: What,
    pub(super) site: Site,
    pub(super) pace: Pace,
    pub(super) threads: u32,
    /// Seen from inside the target: the median over repeats of medians.
    pub(super) ns_per_hit: f64,
    /// The median over repeats of the ratio to the empty program measured in the same repeat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ratio_to_empty: Option<f64>,
    /// The kernel's own statistics, taken apart from the times above, since taking them costs time too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bpf_ns: Option<f64>,
    /// Over all repeats, what the target says.
    pub(super) hits: u64,
    /// What the observer wrote for these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) delivered: Option<u64>,
    /// What the observer says that it lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lost: Option<u64>,
    /// CPU of the observer's process for one event that it delivered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cpu_us_per_event: Option<f64>,
}

/// Start and end of an observation.
#[derive(Clone, Debug, Serialize)]
pub(super) struct StartRow {
    pub(super) tool: Tool,
    pub(super) target: &'static str,
    /// From the observer's start to its first line of output, without the time
    /// that the target took to pass the line once the probe was there.
    pub(super) first_event_ms: f64,
    pub(super) peak_rss_mb: f64,
    /// From the interrupt to the end of the process.
    pub(super) exit_ms: f64,
}

/// Many sites at once.
#[derive(Clone, Debug, Serialize)]
pub(super) struct SitesRow {
    pub(super) count: u32,
    /// Of a probe added to a session that runs, with all debug information read.
    pub(super) attach_ms: f64,
    /// Until the target's code is as it was.
    pub(super) detach_ms: f64,
}

/// A program that does something real.
#[derive(Clone, Debug, Serialize)]
pub(super) struct RealRow {
    pub(super) program: &'static str,
    pub(super) function: &'static str,
    pub(super) tool: Tool,
    pub(super) what: What,
    /// CPU time of one run of its task.
    pub(super) task_us: f64,
    /// To the same task with nobody watching, in the same repeat.
    pub(super) slowdown: f64,
    pub(super) hits_per_task: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) delivered: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lost: Option<u64>,
}

/// One line of a large binary, looked up.
#[derive(Clone, Debug, Serialize)]
pub(super) struct LookupRow {
    pub(super) tool: Tool,
    pub(super) binary_mb: f64,
    /// From the tool's start to its end.
    pub(super) ms: f64,
    pub(super) peak_rss_mb: f64,
}

/// Lines of a program with a site that costs one trap.
#[derive(Clone, Debug, Serialize)]
pub(super) struct PlacementRow {
    /// `all`: every program of the profile, line by line.
    pub(super) program: String,
    pub(super) flags: String,
    /// `debug` is without optimisation.
    pub(super) profile: &'static str,
    pub(super) lines: u64,
    /// At the first instruction of the line: a share of 1.
    pub(super) one_trap_first: f64,
    /// At the instruction that is chosen for a log of two integers.
    pub(super) one_trap_chosen: f64,
    /// The same of lines of which at least one site is so.
    #[serde(rename = "one_trap_any_first")]
    pub(super) any_first: f64,
    #[serde(rename = "one_trap_any_chosen")]
    pub(super) any_chosen: f64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn row_has_the_keys_of_the_interface() {
        let row = HitRow {
            tool: Tool::HandWritten,
            what: What::LogStruct,
            site: Site::OneTrap,
            pace: Pace::FourThousand,
            threads: 1,
            ns_per_hit: 668.0,
            ratio_to_empty: Some(1.36),
            bpf_ns: Some(172.0),
            hits: 300_000,
            delivered: Some(300_000),
            lost: Some(0),
            cpu_us_per_event: Some(0.4),
        };
        assert_eq!(
            serde_json::to_value(row).unwrap(),
            json!({"tool":"hand-written","what":"log_struct","site":"one_trap","pace":"4k",
                   "threads":1,"ns_per_hit":668.0,"ratio_to_empty":1.36,"bpf_ns":172.0,
                   "hits":300_000,"delivered":300_000,"lost":0,"cpu_us_per_event":0.4})
        );
    }

    #[test]
    fn unmeasured_is_absent() {
        let row = HitRow {
            tool: Tool::Perf,
            what: What::None,
            site: Site::TwoTrap,
            pace: Pace::Tight,
            threads: 2,
            ns_per_hit: 16_000.0,
            ratio_to_empty: None,
            bpf_ns: None,
            hits: 10,
            delivered: None,
            lost: None,
            cpu_us_per_event: None,
        };
        assert_eq!(
            serde_json::to_value(row).unwrap(),
            json!({"tool":"perf","what":"none","site":"two_trap","pace":"tight",
                   "threads":2,"ns_per_hit":16_000.0,"hits":10})
        );
        assert_eq!(
            serde_json::to_value(Report::default()).unwrap(),
            json!({"host":{"kernel":"","cpus":0,"date":"","repeats":0,"milliseconds":0}})
        );
    }
}
