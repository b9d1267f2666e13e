//! Renders the report as tables.

use super::report::{BenchReport, HitRow, Tool};

/// One table: its headings, and rows with as many cells.
pub(super) struct ReportTable {
    pub(super) title: &'static str,
    pub(super) headings: Vec<&'static str>,
    pub(super) rows: Vec<Vec<String>>,
}

/// All tables that have rows.
pub(super) fn tables(report: &BenchReport) -> Vec<ReportTable> {
    let all = [
        hits(report),
        start(report),
        sites(report),
        real(report),
        lookup(report),
        targets(report),
        placement(report),
        otlp(report),
        recordings(report),
        opened(report),
        ui(report),
        traces(report),
        watches(report),
    ];
    all.into_iter()
        .filter(|table| !table.rows.is_empty())
        .collect()
}

/// The report for a terminal.
pub(super) fn text(report: &BenchReport) -> String {
    let host = &report.host;
    let mut text = format!("Linux {}, {} CPUs, {}\n", host.kernel, host.cpus, host.date);
    for table in tables(report) {
        text.push_str(&format!("\n{}\n", table.title));
        let widths = widths(&table);
        for row in std::iter::once(&owned(&table.headings)).chain(&table.rows) {
            let cells = row.iter().zip(&widths).enumerate();
            let cells = cells.map(|(column, (cell, &width))| {
                if is_text(&table, column) {
                    format!("{cell:<width$}")
                } else {
                    format!("{cell:>width$}")
                }
            });
            let line = cells.collect::<Vec<_>>().join("  ");
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
    if !report.absent.is_empty() {
        text.push_str("\nnot measured\n");
        for absent in &report.absent {
            text.push_str(&format!("{absent}\n"));
        }
    }
    text
}

/// The tables as Markdown.
pub(super) fn markdown(report: &BenchReport) -> String {
    let mut text = String::new();
    for table in tables(report) {
        let rule: Vec<&str> = (0..table.headings.len())
            .map(|column| {
                if is_text(&table, column) {
                    "---"
                } else {
                    "--:"
                }
            })
            .collect();
        text.push_str(&format!("\n### {}\n\n", table.title));
        text.push_str(&format!("| {} |\n", table.headings.join(" | ")));
        text.push_str(&format!("| {} |\n", rule.join(" | ")));
        for row in &table.rows {
            text.push_str(&format!("| {} |\n", row.join(" | ")));
        }
    }
    text
}

fn owned(cells: &[&str]) -> Vec<String> {
    cells.iter().map(|&cell| cell.to_owned()).collect()
}

fn widths(table: &ReportTable) -> Vec<usize> {
    let width = |column: usize| {
        let cells = table.rows.iter().filter_map(|row| row.get(column));
        let heading = table
            .headings
            .get(column)
            .map_or(0, |cell| cell.chars().count());
        cells
            .map(|cell| cell.chars().count())
            .fold(heading, usize::max)
    };
    (0..table.headings.len()).map(width).collect()
}

/// Returns true if a column has words and not numbers.
fn is_text(table: &ReportTable, column: usize) -> bool {
    table
        .rows
        .iter()
        .filter_map(|row| row.get(column))
        .any(|cell| cell.starts_with(|c: char| c.is_ascii_alphabetic()) || cell.ends_with('k'))
}

fn hits(report: &BenchReport) -> ReportTable {
    // Rows for comparison are adjacent: all tools at one site and pace.
    let mut rows: Vec<&HitRow> = report.hits.iter().collect();
    rows.sort_by_key(|row| (row.threads, row.pace, row.site));
    ReportTable {
        title: "What a hit costs",
        headings: vec![
            "site",
            "pace",
            "threads",
            "tool",
            "workload",
            "ns/hit",
            "× empty",
            "eBPF ns",
            "hits",
            "delivered",
            "lost",
            "CPU µs/event",
        ],
        rows: rows.into_iter().map(hit).collect(),
    }
}

fn hit(row: &HitRow) -> Vec<String> {
    vec![
        word(row.site),
        word(row.pace),
        row.threads.to_string(),
        word(row.tool),
        word(row.what),
        format!("{:.0}", row.ns_per_hit),
        row.ratio_to_empty
            .filter(|_| row.tool != Tool::Empty)
            .map_or_else(String::new, |ratio| format!("{ratio:.2}")),
        maybe(row.bpf_ns, 0),
        row.hits.to_string(),
        count(row.delivered),
        count(row.lost),
        maybe(row.cpu_us_per_event, 2),
    ]
}

fn start(report: &BenchReport) -> ReportTable {
    let row = |row: &super::report::StartRow| {
        vec![
            word(row.tool),
            row.target.to_owned(),
            format!("{:.0}", row.first_event_ms),
            format!("{:.0}", row.peak_rss_mb),
            format!("{:.0}", row.exit_ms),
        ]
    };
    ReportTable {
        title: "Start and end",
        headings: vec!["tool", "target", "first event ms", "peak MB", "exit ms"],
        rows: report.start.iter().map(row).collect(),
    }
}

fn sites(report: &BenchReport) -> ReportTable {
    let row = |row: &super::report::SitesRow| {
        vec![
            row.count.to_string(),
            format!("{:.1}", row.attach_ms),
            format!("{:.1}", row.detach_ms),
        ]
    };
    ReportTable {
        title: "Many sites",
        headings: vec!["sites", "attach ms", "detach ms"],
        rows: report.sites.iter().map(row).collect(),
    }
}

fn lookup(report: &BenchReport) -> ReportTable {
    let row = |row: &super::report::LookupRow| {
        vec![
            word(row.tool),
            format!("{:.0}", row.binary_mb),
            format!("{:.0}", row.ms),
            format!("{:.0}", row.peak_rss_mb),
        ]
    };
    ReportTable {
        title: "A line of a large binary",
        headings: vec!["tool", "binary MB", "ms", "peak MB"],
        rows: report.lookup.iter().map(row).collect(),
    }
}

fn targets(report: &BenchReport) -> ReportTable {
    let rows = report.targets.iter().flat_map(|row| {
        let count = row.processes;
        let (one, all) = (row.one_attached_ms, row.all_attached_ms);
        // Half as much again, and 2 ms for each process.
        let limit = one * 1.5 + f64::from(count) * 2.0;
        [
            [
                format!("{count} processes, {} probes: all attached, ms", row.probes),
                format!("{all:.0}, one process {one:.0}"),
                format!("{limit:.0}"),
            ],
            [
                "memory of each further process, kB".into(),
                format!("{:.0}", row.memory_kb_each),
                "100".into(),
            ],
            [
                format!("idle with {count} processes, % of one CPU"),
                format!("{:.2}", row.idle_cpu_percent),
                "0.5".into(),
            ],
            [
                "added to a short process that comes, ms".into(),
                format!("{:.2}", row.short_added_ms),
                "5".into(),
            ],
            [
                format!("missed hits of {} such processes", row.short_processes),
                row.short_missed_hits.to_string(),
                "0".into(),
            ],
            [
                "a hit of a process that is not selected, ns".into(),
                format!(
                    "{:.0}, selected {:.0}, without a session {:.0}",
                    row.unselected_ns, row.selected_ns, row.untraced_ns
                ),
                String::new(),
            ],
        ]
    });
    ReportTable {
        title: "Many processes of one program",
        headings: vec!["measurement", "value", "limit"],
        rows: rows.map(Vec::from).collect(),
    }
}

fn placement(report: &BenchReport) -> ReportTable {
    let row = |row: &super::report::PlacementRow| {
        vec![
            row.program.clone(),
            row.flags.clone(),
            row.profile.to_owned(),
            row.lines.to_string(),
            format!("{:.1}", row.one_trap_first * 100.0),
            format!("{:.1}", row.one_trap_chosen * 100.0),
            format!("{:.1}", row.any_first * 100.0),
            format!("{:.1}", row.any_chosen * 100.0),
        ]
    };
    ReportTable {
        title: "Lines with a site of one trap",
        headings: vec![
            "program",
            "flags",
            "profile",
            "lines",
            "% first",
            "% chosen",
            "% first, any",
            "% chosen, any",
        ],
        rows: report.placement.iter().map(row).collect(),
    }
}

fn recordings(report: &BenchReport) -> ReportTable {
    let row = |row: &super::report::RecordingRow| {
        vec![
            word(row.output),
            row.events.to_string(),
            row.lost.to_string(),
            format!("{:.0}", row.start_cpu_ms),
            format!("{:.2}", row.cpu_us_per_event),
            maybe(row.ratio_to_json, 2),
            maybe(row.bytes_per_event, 1),
        ]
    };
    ReportTable {
        title: "Recordings",
        headings: vec![
            "output",
            "events",
            "lost",
            "start CPU ms",
            "CPU µs/event",
            "× JSON",
            "bytes/event",
        ],
        rows: report.recordings.iter().map(row).collect(),
    }
}

fn opened(report: &BenchReport) -> ReportTable {
    let row = |row: &super::report::OpenedRow| {
        vec![
            row.events.to_string(),
            format!("{:.0}", row.mb),
            format!("{:.2}", row.seconds),
            maybe(row.peak_rss_mb, 0),
        ]
    };
    ReportTable {
        title: "A long recording",
        headings: vec!["events", "MB", "seconds to the first screen", "peak MB"],
        rows: report.opened.iter().map(row).collect(),
    }
}

fn traces(report: &BenchReport) -> ReportTable {
    let row = |row: &super::report::TraceRow| {
        vec![
            row.lines.to_string(),
            format!("{:.0}", row.bare_ns),
            format!("{:.0}", row.logged_ns),
            format!("{:.0}", row.recorded_ns),
            format!("{:.2}", row.recorded_ratio),
            format!("{:.0}", row.rejected_ns),
            format!("{:.0}", row.turned_away_ns),
            format!("{:.2}", row.turned_away_ratio),
            row.attached_sites.to_string(),
            format!("{:.0}", row.attach_ms),
            format!("{:.0}", row.detach_ms),
        ]
    };
    ReportTable {
        title: "Recorded calls",
        headings: vec![
            "lines",
            "bare ns",
            "logged ns",
            "recorded ns",
            "× logged",
            "rejected ns",
            "turned away ns",
            "× rejected",
            "sites",
            "attach ms",
            "detach ms",
        ],
        rows: report.traces.iter().map(row).collect(),
    }
}

fn watches(report: &BenchReport) -> ReportTable {
    let row = |row: &super::report::WatchRow| {
        vec![
            format!("{:.1}", row.bare_ns),
            format!("{:.0}", row.empty_ns),
            format!("{:.0}", row.rejected_ns),
            format!("{:.2}", row.rejected_ratio),
            format!("{:.0}", row.sent_ns),
            format!("{:.2}", row.sent_ratio),
        ]
    };
    ReportTable {
        title: "Watched values",
        headings: vec![
            "bare ns",
            "empty ns",
            "rejected ns",
            "× empty",
            "event ns",
            "× empty",
        ],
        rows: report.watches.iter().map(row).collect(),
    }
}

fn ui(report: &BenchReport) -> ReportTable {
    let row = |row: &super::report::UiRow| {
        vec![
            format!("{}x{}", row.columns, row.rows),
            format!("{:.0}", row.events_per_second),
            row.events.to_string(),
            row.lost.to_string(),
            row.keys.to_string(),
            format!("{:.1}", row.p50_ms),
            format!("{:.1}", row.p99_ms),
            format!("{:.1}", row.max_ms),
        ]
    };
    ReportTable {
        title: "Answers of the terminal UI",
        headings: vec![
            "terminal", "events/s", "events", "lost", "keys", "p50 ms", "p99 ms", "max ms",
        ],
        rows: report.ui.iter().map(row).collect(),
    }
}

fn otlp(report: &BenchReport) -> ReportTable {
    let row = |row: &super::report::OtlpRow| {
        vec![
            word(row.receiver),
            word(row.pace),
            format!("{:.0}", row.seconds),
            row.hits.to_string(),
            row.events.to_string(),
            row.lost.to_string(),
            row.undelivered.to_string(),
            count(row.received),
            format!("{:.2}", row.cpu_us_per_event),
            maybe(row.ratio_to_json, 2),
            format!("{:.0}", row.peak_rss_mb),
        ]
    };
    ReportTable {
        title: "Events to a collector",
        headings: vec![
            "receiver",
            "pace",
            "seconds",
            "hits",
            "events",
            "lost",
            "not delivered",
            "received",
            "CPU µs/event",
            "× JSON",
            "peak MB",
        ],
        rows: report.otlp.iter().map(row).collect(),
    }
}

fn real(report: &BenchReport) -> ReportTable {
    let row = |row: &super::report::RealRow| {
        vec![
            row.program.to_owned(),
            row.function.to_owned(),
            word(row.tool),
            word(row.what),
            row.hits_per_task.to_string(),
            format!("{:.0}", row.task_us),
            format!("{:.2}", row.slowdown),
            count(row.delivered),
            count(row.lost),
        ]
    };
    ReportTable {
        title: "A real program",
        headings: vec![
            "program",
            "function",
            "tool",
            "workload",
            "hits/task",
            "task µs",
            "× untraced",
            "delivered",
            "lost",
        ],
        rows: report.real.iter().map(row).collect(),
    }
}

/// The value as in the JSON.
pub(super) fn word(value: impl serde::Serialize) -> String {
    serde_json::to_value(value)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}

fn maybe(value: Option<f64>, places: usize) -> String {
    value.map_or_else(String::new, |value| format!("{value:.places$}"))
}

fn count(value: Option<u64>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::report::{Host, SitesRow};
    use super::*;

    fn report() -> BenchReport {
        BenchReport {
            host: Host {
                kernel: "6.18".into(),
                cpus: 2,
                date: "2026-11-24".into(),
                repeats: 5,
                milliseconds: 800,
                load: None,
            },
            sites: vec![
                SitesRow {
                    count: 1,
                    attach_ms: 0.5,
                    detach_ms: 21.25,
                },
                SitesRow {
                    count: 1000,
                    attach_ms: 9.0,
                    detach_ms: 36.0,
                },
            ],
            ..BenchReport::default()
        }
    }

    #[test]
    fn text_has_its_columns_under_each_other() {
        assert_eq!(
            text(&report()),
            "Linux 6.18, 2 CPUs, 2026-11-24\n\nMany sites\n\
             sites  attach ms  detach ms\n    \
                 1        0.5       21.2\n \
              1000        9.0       36.0\n"
        );
    }

    #[test]
    fn markdown_has_a_rule_and_no_empty_tables() {
        assert_eq!(
            markdown(&report()),
            "\n### Many sites\n\n| sites | attach ms | detach ms |\n| --: | --: | --: |\n\
             | 1 | 0.5 | 21.2 |\n| 1000 | 9.0 | 36.0 |\n"
        );
    }
}
