//! Measures the cost of a hit: every tool at both kinds of site, in turn, several times.
//!
//! In each repeat, all tools observe the same process one after the other, next to the empty
//! program. So other work on the machine affects all of them alike.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use super::observed::{EventCounts, Observer};
use super::observer;
use super::report::{BenchReport, HitRow, Pace, SiteKind, Tool, Workload};
use super::statistics::{median, median_of_all, round, sum_of_all};
use super::table::word;
use super::target::{HITTER, Hitter, compile};
use super::{Extent, programs};

/// Hits before the measurement, which warm up pages and caches.
const WARM_UP_MS: u64 = 40;

/// A tool and its task.
type Job = (Tool, Workload);

/// Tools and tasks that are always measured. Peers are optional.
const JOBS: &[Job] = &[
    (Tool::Untraced, Workload::None),
    (Tool::Empty, Workload::None),
    (Tool::HandWritten, Workload::Log2),
    (Tool::HandWritten, Workload::Rejected),
    (Tool::HandWritten, Workload::Count),
    (Tool::Tracer, Workload::Log2),
    (Tool::Tracer, Workload::LogStruct),
    (Tool::Tracer, Workload::Rejected),
    (Tool::Tracer, Workload::Count),
];
const PEERS: &[Job] = &[
    (Tool::Bpftrace, Workload::Log2),
    (Tool::Bpftrace, Workload::Rejected),
    (Tool::Bpftrace, Workload::Count),
    (Tool::Perf, Workload::Log2),
    (Tool::Gdb, Workload::Log2),
];

/// Site and pace of the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Load {
    site: SiteKind,
    pace: Pace,
    threads: u32,
}

/// One observation.
#[derive(Clone, Copy, Debug)]
struct Sample {
    ns: f64,
    ratio: Option<f64>,
    bpf_ns: Option<f64>,
    hits: u64,
    counts: EventCounts,
    cpu_us_per_event: Option<f64>,
}

/// Measures all observations.
///
/// # Errors
/// The target or the empty program failed. Failures of other tools are noted.
pub(super) fn measure(report: &mut BenchReport, extent: &Extent) -> Result<()> {
    let object = programs::build()?;
    let mut hitter = Hitter::start(&compile(HITTER)?)?;
    let mut jobs: Vec<Job> = JOBS.to_vec();
    if extent.peers {
        jobs.extend(PEERS);
    }
    for load in loads(extent) {
        eprintln!("bench: hits at {}", place(load));
        let mut samples: BTreeMap<Job, Vec<Sample>> = BTreeMap::new();
        for _ in 0..extent.repeats {
            let mut empty = None;
            for &job in &jobs {
                let sample = match sample(&object, job, &mut hitter, load, extent) {
                    Ok(sample) => sample,
                    Err(error) if job.0 == Tool::Empty => return Err(error),
                    Err(error) => {
                        report.note(&name(job, load), &error);
                        // A failed tool may have damaged the target.
                        hitter = Hitter::start(hitter.path())?;
                        continue;
                    }
                };
                if job.0 == Tool::Empty {
                    empty = Some(sample.ns);
                }
                let ratio = empty
                    .filter(|_| job.0 != Tool::Untraced)
                    .map(|empty| sample.ns / empty);
                samples
                    .entry(job)
                    .or_default()
                    .push(Sample { ratio, ..sample });
            }
            jobs.retain(|job| samples.contains_key(job));
        }
        report.hits.extend(jobs.iter().filter_map(|&job| {
            let samples = samples.get(&job)?;
            row(job, load, samples)
        }));
    }
    Ok(())
}

fn name((tool, what): Job, load: Load) -> String {
    format!("{} {} at {}", word(tool), word(what), place(load))
}

fn place(load: Load) -> String {
    let threads = if load.threads == 1 {
        ""
    } else {
        ", several threads"
    };
    format!("{}, {}{threads}", word(load.site), word(load.pace))
}

fn loads(extent: &Extent) -> Vec<Load> {
    let mut loads = Vec::new();
    for &threads in extent.threads {
        for pace in [Pace::Tight, Pace::FourThousand] {
            for site in [SiteKind::OneTrap, SiteKind::TwoTrap] {
                loads.push(Load {
                    site,
                    pace,
                    threads,
                });
            }
        }
    }
    loads
}

/// Attaches a tool, lets the target hit, and detaches.
fn sample(
    object: &Path,
    job: Job,
    hitter: &mut Hitter,
    load: Load,
    extent: &Extent,
) -> Result<Sample> {
    let code = hitter.code(load.site)?;
    let mut observer = observer::start(object, job.0, job.1, hitter, load.site)?;
    let measured = observe(observer.as_mut(), job, hitter, load, extent);
    let counts = observer.stop()?;
    let mut sample = measured?;
    code.wait_restored()?;
    sample.counts = counts;
    // All hits were delivered at the same cost.
    sample.cpu_us_per_event = match (sample.cpu_us_per_event, counts.delivered) {
        (Some(each), Some(delivered)) if delivered > 0 && job.1 != Workload::Count => {
            Some(each * sample.hits as f64 / delivered as f64)
        }
        _ => None,
    };
    Ok(sample)
}

/// Times and costs while a tool is attached. The CPU time is per hit.
fn observe(
    observer: &mut dyn Observer,
    job: Job,
    hitter: &mut Hitter,
    load: Load,
    extent: &Extent,
) -> Result<Sample> {
    let Load {
        site,
        pace,
        threads,
    } = load;
    let warm = hitter.run(site, pace, threads, WARM_UP_MS)?;
    observer.settle()?;
    let before = observer.cpu();
    // Bursts give fewer numbers in the same time.
    let milliseconds = match pace {
        Pace::Tight => extent.milliseconds,
        _ => 2 * extent.milliseconds,
    };
    let measured = hitter.run(site, pace, threads, milliseconds)?;
    observer.settle()?;
    let cpu = spent(before, observer.cpu());
    let mut hits = warm.count + measured.count;
    let mut bpf_ns = None;
    if job.0 != Tool::Untraced && observer.run_time().is_some() {
        // Statistics are turned off on drop, however the bench ends.
        let statistics = aya::sys::enable_stats(aya::sys::Stats::RunTime)
            .context("cannot have the kernel count run time")?;
        let before = observer.run_time();
        hits += hitter.run(site, pace, threads, milliseconds / 4)?.count;
        let after = observer.run_time();
        drop(statistics);
        bpf_ns = before
            .zip(after)
            .and_then(|(before, after)| after.ns_each_since(before));
    }
    Ok(Sample {
        ns: measured.ns,
        ratio: None,
        bpf_ns,
        hits,
        counts: EventCounts::default(),
        cpu_us_per_event: cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / measured.count.max(1) as f64),
    })
}

fn spent(before: Option<Duration>, after: Option<Duration>) -> Option<Duration> {
    after?.checked_sub(before?)
}

fn row((tool, what): Job, load: Load, samples: &[Sample]) -> Option<HitRow> {
    let all = |value: fn(&Sample) -> Option<f64>| {
        median_of_all(&samples.iter().map(value).collect::<Vec<_>>())
    };
    let ns: Vec<f64> = samples.iter().map(|sample| sample.ns).collect();
    Some(HitRow {
        tool,
        what,
        site: load.site,
        pace: load.pace,
        threads: load.threads,
        ns_per_hit: round(median(&ns)?, 1),
        ratio_to_empty: all(|sample| sample.ratio).map(|ratio| round(ratio, 3)),
        bpf_ns: all(|sample| sample.bpf_ns).map(|ns| round(ns, 1)),
        hits: samples.iter().map(|sample| sample.hits).sum(),
        delivered: sum_of_all(samples.iter().map(|sample| sample.counts.delivered)),
        lost: sum_of_all(samples.iter().map(|sample| sample.counts.lost)),
        cpu_us_per_event: all(|sample| sample.cpu_us_per_event).map(|us| round(us, 3)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(ns: f64, ratio: f64, delivered: Option<u64>) -> Sample {
        Sample {
            ns,
            ratio: Some(ratio),
            bpf_ns: None,
            hits: 10,
            counts: EventCounts {
                delivered,
                lost: Some(1),
            },
            cpu_us_per_event: Some(0.5),
        }
    }

    #[test]
    fn row_has_medians_of_times_and_sums_of_counts() {
        let load = Load {
            site: SiteKind::OneTrap,
            pace: Pace::Tight,
            threads: 1,
        };
        let samples = [
            sample(700.0, 1.5, Some(9)),
            sample(600.0, 1.2, Some(9)),
            sample(650.0, 1.4, Some(9)),
        ];
        let row = row((Tool::Tracer, Workload::Log2), load, &samples).unwrap();
        assert_eq!((row.ns_per_hit, row.ratio_to_empty), (650.0, Some(1.4)));
        assert_eq!((row.hits, row.delivered, row.lost), (30, Some(27), Some(3)));
        assert_eq!(row.bpf_ns, None);
    }

    #[test]
    fn unmeasured_repeat_leaves_the_row_without_the_number() {
        let load = Load {
            site: SiteKind::TwoTrap,
            pace: Pace::Tight,
            threads: 1,
        };
        let samples = [sample(1.0, 1.0, Some(9)), sample(1.0, 1.0, None)];
        let row = row((Tool::Perf, Workload::Log2), load, &samples).unwrap();
        assert_eq!((row.delivered, row.lost), (None, Some(2)));
    }
}
