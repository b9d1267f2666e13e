//! The results of a run of the bench, as rows of the JSON and of the tables.
//!
//! A number that was not measured is absent, never zero.

use serde::Serialize;

/// The whole run.
#[derive(Debug, Default, Serialize)]
pub(super) struct BenchReport {
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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) targets: Option<TargetsRow>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) placement: Vec<PlacementRow>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) otlp: Vec<OtlpRow>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) recordings: Vec<RecordingRow>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) opened: Vec<OpenedRow>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) ui: Vec<UiRow>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) traces: Vec<TraceRow>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) watches: Vec<WatchRow>,
    /// Numbers that could not be measured, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) absent: Vec<String>,
}

impl BenchReport {
    /// Notes that a number was not measured, and goes on.
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
    /// Repeats of each measurement.
    pub(super) repeats: u32,
    /// Milliseconds of hits in a tight loop for one observation.
    pub(super) milliseconds: u64,
    /// The load average over the last five minutes of the run. On a quiet machine the bench itself
    /// causes 1 or 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) load: Option<f64>,
}

/// The observers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Tool {
    /// No observer: the cost of the call itself.
    Untraced,
    /// A program that does nothing: the lower bound.
    Empty,
    /// The smallest eBPF program for the task.
    HandWritten,
    Tracer,
    Bpftrace,
    Perf,
    Gdb,
}

/// The tasks of observers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Workload {
    None,
    /// Logs two integers.
    Log2,
    /// Logs a whole struct, with a string behind one of its pointers.
    LogStruct,
    /// Logs two integers under a condition that is never true.
    Rejected,
    /// Counts hits.
    Count,
}

/// The kind of the instruction under the probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SiteKind {
    OneTrap,
    TwoTrap,
}

/// The pace of the target's hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) enum Pace {
    /// Call after call.
    #[serde(rename = "tight")]
    Tight,
    /// 40 calls every 10 ms.
    #[serde(rename = "4k")]
    FourThousand,
    /// 200 calls every 10 ms.
    #[serde(rename = "20k")]
    TwentyThousand,
    /// 1,000 calls every 10 ms.
    #[serde(rename = "100k")]
    HundredThousand,
}

/// The cost of a hit.
#[derive(Clone, Debug, Serialize)]
pub(super) struct HitRow {
    pub(super) tool: Tool,
    pub(super) what: Workload,
    pub(super) site: SiteKind,
    pub(super) pace: Pace,
    pub(super) threads: u32,
    /// Measured inside the target: the median over repeats of medians.
    pub(super) ns_per_hit: f64,
    /// Ratio to the empty program in the same repeat: the median over repeats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ratio_to_empty: Option<f64>,
    /// The kernel's own statistics, from a separate stretch, because collecting them costs time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bpf_ns: Option<f64>,
    /// Hits over all repeats, as counted by the target.
    pub(super) hits: u64,
    /// Events for these hits that the observer wrote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) delivered: Option<u64>,
    /// Events that the observer reports as lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lost: Option<u64>,
    /// CPU time of the observing process per delivered event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cpu_us_per_event: Option<f64>,
}

/// Times of one start and end.
pub(super) struct StartTimes {
    pub(super) first_event_ms: f64,
    pub(super) peak_rss_mb: f64,
    pub(super) exit_ms: f64,
}

/// Start and end of an observation.
#[derive(Clone, Debug, Serialize)]
pub(super) struct StartRow {
    pub(super) tool: Tool,
    pub(super) target: &'static str,
    /// Time from the observer's start to its first line of output, without the time until the
    /// target passed the line once the probe was attached.
    pub(super) first_event_ms: f64,
    pub(super) peak_rss_mb: f64,
    /// Time from the interrupt to the end of the process.
    pub(super) exit_ms: f64,
}

/// Many sites at once.
#[derive(Clone, Debug, Serialize)]
pub(super) struct SitesRow {
    pub(super) count: u32,
    /// For a probe that is added to a running session, with all debug information read.
    pub(super) attach_ms: f64,
    /// Time until the target's code is as before.
    pub(super) detach_ms: f64,
}

/// A real program.
#[derive(Clone, Debug, Serialize)]
pub(super) struct RealRow {
    pub(super) program: &'static str,
    pub(super) function: &'static str,
    pub(super) tool: Tool,
    pub(super) what: Workload,
    /// CPU time of one task.
    pub(super) task_us: f64,
    /// Ratio to the same task without an observer, in the same repeat.
    pub(super) slowdown: f64,
    pub(super) hits_per_task: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) delivered: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lost: Option<u64>,
}

/// The lookup of one line of a large binary.
#[derive(Clone, Debug, Serialize)]
pub(super) struct LookupRow {
    pub(super) tool: Tool,
    pub(super) binary_mb: f64,
    /// Time from the tool's start to its end.
    pub(super) ms: f64,
    pub(super) peak_rss_mb: f64,
}

/// Many processes of one program.
#[derive(Clone, Debug, Serialize)]
pub(super) struct TargetsRow {
    /// Running processes of the file, and probes in it.
    pub(super) processes: u32,
    pub(super) probes: u32,
    /// Time from the start until all probes are attached, with one process and with all.
    pub(super) one_attached_ms: f64,
    pub(super) all_attached_ms: f64,
    /// Memory of the observer for each process after the first, in kB (10³ bytes).
    pub(super) memory_kb_each: f64,
    /// CPU time of the observer while no process hits, in percent of one CPU.
    pub(super) idle_cpu_percent: f64,
    /// Processes that came and ended during the session.
    pub(super) short_processes: u32,
    /// Time that their tracing added, from the start of one to its end.
    pub(super) short_added_ms: f64,
    /// Hits that they made and that were not counted.
    pub(super) short_missed_hits: u64,
    /// Time per call in a process of the file: without a session, selected, and not selected.
    pub(super) untraced_ns: f64,
    pub(super) selected_ns: f64,
    pub(super) unselected_ns: f64,
}

/// Lines of a program that have a site with one trap.
#[derive(Clone, Debug, Serialize)]
pub(super) struct PlacementRow {
    /// `all` stands for every program of the profile.
    pub(super) program: String,
    pub(super) flags: String,
    /// `debug` stands for builds without optimisation.
    pub(super) profile: &'static str,
    pub(super) lines: u64,
    /// With the first instruction of the line: a share of 1.
    pub(super) one_trap_first: f64,
    /// With the instruction that is chosen for a log of two integers.
    pub(super) one_trap_chosen: f64,
    /// Shares of lines with at least one such site.
    #[serde(rename = "one_trap_any_first")]
    pub(super) any_first: f64,
    #[serde(rename = "one_trap_any_chosen")]
    pub(super) any_chosen: f64,
}

/// The receivers of a session's events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum EventReceiver {
    /// JSON alone.
    Json,
    /// JSON, and a collector over gRPC.
    Grpc,
    /// JSON, and a collector over HTTP.
    Http,
    /// JSON, and a collector that takes connections and does not answer.
    Hanging,
}

/// The only output of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RecordedOutput {
    /// JSON to `/dev/null`.
    Json,
    /// A recording.
    Recording,
}

/// Sessions with one output, 20,000 events of two integers a second.
#[derive(Clone, Debug, Serialize)]
pub(super) struct RecordingRow {
    pub(super) output: RecordedOutput,
    pub(super) events: u64,
    pub(super) lost: u64,
    /// CPU time after the probe was attached and before the first event.
    pub(super) start_cpu_ms: f64,
    /// CPU time of the session for each event.
    pub(super) cpu_us_per_event: f64,
    /// Ratio to JSON in the same repeat: the median over repeats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ratio_to_json: Option<f64>,
    /// Bytes of the file for each event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bytes_per_event: Option<f64>,
}

/// The terminal UI on a long recording.
#[derive(Clone, Debug, Serialize)]
pub(super) struct OpenedRow {
    pub(super) events: u64,
    /// Size of the file in MB.
    pub(super) mb: f64,
    /// From the start of the program to its first screen with events.
    pub(super) seconds: f64,
    /// Peak memory by then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) peak_rss_mb: Option<f64>,
}

/// Events to a collector.
#[derive(Clone, Debug, Serialize)]
pub(super) struct OtlpRow {
    pub(super) receiver: EventReceiver,
    pub(super) pace: Pace,
    pub(super) seconds: f64,
    /// Hits that the target made.
    pub(super) hits: u64,
    /// Events of the reader, and those that it lost.
    pub(super) events: u64,
    pub(super) lost: u64,
    /// Events that the collector did not get.
    pub(super) undelivered: u64,
    /// Events that the collector says it has received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) received: Option<u64>,
    /// CPU time of the session for each event.
    pub(super) cpu_us_per_event: f64,
    /// Ratio to JSON alone in the same repeat: the median over repeats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ratio_to_json: Option<f64>,
    pub(super) peak_rss_mb: f64,
}

/// Answers of the terminal UI while events come in.
#[derive(Clone, Debug, Serialize)]
pub(super) struct UiRow {
    /// Of the terminal.
    pub(super) columns: u16,
    pub(super) rows: u16,
    /// Events that reached the screen, by second.
    pub(super) events_per_second: f64,
    pub(super) events: u64,
    pub(super) lost: u64,
    /// Keys that were pressed.
    pub(super) keys: usize,
    /// Time from the key to its answer on the screen.
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) max_ms: f64,
}

/// Values that are watched. Times are those of one write, in ns.
#[derive(Clone, Debug, Serialize)]
pub(super) struct WatchRow {
    /// Without any watchpoint.
    pub(super) bare_ns: f64,
    /// With a program on the watchpoint that does nothing.
    pub(super) empty_ns: f64,
    /// With a condition that is false, and with an event for each write.
    pub(super) rejected_ns: f64,
    pub(super) rejected_ratio: f64,
    pub(super) sent_ns: f64,
    pub(super) sent_ratio: f64,
}

/// Calls that are recorded line by line.
#[derive(Clone, Debug, Serialize)]
pub(super) struct TraceRow {
    /// Lines of the function that is called.
    pub(super) lines: usize,
    /// A call without any probe, in ns.
    pub(super) bare_ns: f64,
    /// A call with a log on each line, and one that is recorded.
    pub(super) logged_ns: f64,
    pub(super) recorded_ns: f64,
    pub(super) recorded_ratio: f64,
    /// A call with a log on each line whose condition is false, and one on a thread that is in no recorded call.
    pub(super) rejected_ns: f64,
    pub(super) turned_away_ns: f64,
    pub(super) turned_away_ratio: f64,
    /// Sites of a function of a thousand lines, and the time to attach a trace of it.
    pub(super) attached_sites: u32,
    pub(super) attach_ms: f64,
    pub(super) detach_ms: f64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn row_has_the_keys_of_the_interface() {
        let row = HitRow {
            tool: Tool::HandWritten,
            what: Workload::LogStruct,
            site: SiteKind::OneTrap,
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
            what: Workload::None,
            site: SiteKind::TwoTrap,
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
            serde_json::to_value(BenchReport::default()).unwrap(),
            json!({"host":{"kernel":"","cpus":0,"date":"","repeats":0,"milliseconds":0}})
        );
    }
}
