//! The kernel's aggregates as values: keys decoded, for the action of the probe to report.

use std::collections::HashMap;

use crate::actions::{ActionReport, HitCounts};
use crate::base::unavailable::Unavailable;
use crate::event::{Aggregate, CountRow, Counters, ProbeId, ProcessHits};
use crate::kernel::{Machine, Tallies};
use crate::plan::Key;
use crate::session::reader::site_table::{SiteEntry, SiteTable};
use crate::value::Value;

/// A probe that may add hits up.
pub(in crate::session) struct Adding {
    pub(in crate::session) id: ProbeId,
    pub(in crate::session) name: String,
    /// Index in the kernel's maps.
    pub(in crate::session) slot: u32,
    /// Its sites.
    pub(in crate::session) cookies: Vec<u32>,
}

/// Returns the hits of each process with a probe that has these counters.
pub(in crate::session) type HitsOfProcesses<'a> =
    dyn Fn(&Adding, &Counters) -> Vec<ProcessHits> + 'a;

/// The aggregate of each probe. Probes that send records have none.
pub(in crate::session) fn aggregates(
    machine: &Machine,
    sites: &SiteTable,
    probes: Vec<Adding>,
    processes: &HitsOfProcesses<'_>,
) -> Vec<Aggregate> {
    let mut adding = probes.into_iter().filter_map(|probe| {
        let entry = probe
            .cookies
            .first()
            .and_then(|&cookie| sites.get(cookie))?;
        let key = entry.key.as_ref()?;
        Some((probe, entry, key))
    });
    let Some(first) = adding.next() else {
        return Vec::new();
    };
    // Counters first: data that is read later may have more hits, never fewer keys than counted.
    let all: Vec<_> = std::iter::once(first).chain(adding).collect();
    let tallies = Sorted::new(machine.tallies().unwrap_or_default());
    all.into_iter()
        .map(|(probe, entry, key)| {
            let rows = |counters: &Counters| match key.process() {
                Some(special) => {
                    let row = |process: ProcessHits| CountRow {
                        value: process.labels.value(special),
                        count: process.events,
                    };
                    let rows = processes(&probe, counters).into_iter().map(row);
                    rows.filter(|row| row.count > 0).collect()
                }
                None => tallies.rows(sites, &probe.cookies),
            };
            aggregate(machine, &rows, &probe, entry, key)
        })
        .collect()
}

/// Tallies by site.
struct Sorted {
    numbers: HashMap<u32, Vec<(u32, u64, u64)>>,
    values: HashMap<u32, Vec<(Vec<u8>, u64)>>,
}

impl Sorted {
    fn new(tallies: Tallies) -> Self {
        let mut numbers: HashMap<u32, Vec<(u32, u64, u64)>> = HashMap::new();
        for (key, count) in tallies.numbers {
            let of_site = numbers.entry(key.site).or_default();
            of_site.push((key.status, key.value, count));
        }
        let mut values: HashMap<u32, Vec<(Vec<u8>, u64)>> = HashMap::new();
        for (key, count) in tallies.values {
            let bytes: &[u8] = bytemuck::cast_slice(&key.words);
            let bytes = bytes.get(..key.length as usize).unwrap_or(bytes).to_vec();
            values.entry(key.site).or_default().push((bytes, count));
        }
        Self { numbers, values }
    }

    /// Every key of a probe, decoded, with its hits. A key that is none of the plan's is not
    /// shown as something that it is not.
    fn rows(&self, sites: &SiteTable, cookies: &[u32]) -> Vec<CountRow> {
        let wrong = |_| Value::Unavailable(Unavailable::Invalid("key of another plan".into()));
        let mut rows = Vec::new();
        for cookie in cookies {
            let Some(key) = sites.get(*cookie).and_then(|entry| entry.key.as_ref()) else {
                continue;
            };
            for (status, value, count) in self.numbers.get(cookie).into_iter().flatten() {
                rows.push(CountRow {
                    value: key.of_number(*status, *value).unwrap_or_else(wrong),
                    count: *count,
                });
            }
            for (bytes, count) in self.values.get(cookie).into_iter().flatten() {
                rows.push(CountRow {
                    value: key.of_bytes(bytes).unwrap_or_else(wrong),
                    count: *count,
                });
            }
        }
        rows
    }
}

fn aggregate(
    machine: &Machine,
    rows: &dyn Fn(&Counters) -> Vec<CountRow>,
    probe: &Adding,
    entry: &SiteEntry,
    key: &Key,
) -> Aggregate {
    let counters = machine.counters(probe.slot).unwrap_or_default();
    let rows = rows(&Counters {
        hits: counters.hits,
        events: counters.events,
        ..Counters::default()
    });
    let other = match key.process() {
        Some(_) => {
            let told: u64 = rows.iter().map(|row| row.count).sum();
            counters.events.saturating_sub(told)
        }
        None => counters.other,
    };
    let ActionReport { total, body } = entry.spec.action.kind().report(HitCounts {
        rows,
        events: counters.events,
        other,
        // An unreadable map of the tracer shows no numbers rather than wrong ones.
        times: &|| machine.times(probe.slot).unwrap_or_default(),
    });
    Aggregate {
        probe: probe.id,
        probe_name: probe.name.clone(),
        action: entry.origin.action,
        expr: key.expr.clone(),
        total,
        other,
        body,
    }
}
