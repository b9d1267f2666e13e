//! What the kernel has added up, as values: keys decoded, equal ones of several sites joined.

use std::collections::{BTreeMap, HashMap};

use tracer_common::timing::bucket_range;

use super::shared::{SiteEntry, SiteTable};
use crate::event::{Aggregate, AggregateBody, Bucket, CountRow, Histogram, ProbeId, Times};
use crate::kernel::{Machine, Tallies};
use crate::plan::{Buckets, Key};
use crate::unavailable::Unavailable;
use crate::value::{Value, debug};

/// A probe that may add hits up.
pub(super) struct Adding {
    pub(super) id: ProbeId,
    pub(super) name: String,
    /// Index in the kernel's maps.
    pub(super) slot: u32,
    /// Its sites.
    pub(super) cookies: Vec<u32>,
}

/// What each of the probes has added up; those that send records are left out.
pub(super) fn aggregates(
    machine: &Machine,
    sites: &SiteTable,
    probes: Vec<Adding>,
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
    // Counters first: what is read later may have more hits, never fewer keys than counted.
    let all: Vec<_> = std::iter::once(first).chain(adding).collect();
    let tallies = Sorted::new(machine.tallies().unwrap_or_default());
    all.into_iter()
        .map(|(probe, entry, key)| aggregate(machine, sites, &tallies, &probe, entry, key))
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
    fn rows(&self, sites: &SiteTable, cookies: &[u32]) -> Vec<(Value, u64)> {
        let wrong = |_| Value::Unavailable(Unavailable::Invalid("key of another plan".into()));
        let mut rows = Vec::new();
        for cookie in cookies {
            let Some(key) = sites.get(*cookie).and_then(|entry| entry.key.as_ref()) else {
                continue;
            };
            for (status, value, count) in self.numbers.get(cookie).into_iter().flatten() {
                rows.push((key.of_number(*status, *value).unwrap_or_else(wrong), *count));
            }
            for (bytes, count) in self.values.get(cookie).into_iter().flatten() {
                rows.push((key.of_bytes(bytes).unwrap_or_else(wrong), *count));
            }
        }
        rows
    }
}

fn aggregate(
    machine: &Machine,
    sites: &SiteTable,
    tallies: &Sorted,
    probe: &Adding,
    entry: &SiteEntry,
    key: &Key,
) -> Aggregate {
    let rows = tallies.rows(sites, &probe.cookies);
    let other = machine
        .counters(probe.slot)
        .map_or(0, |counters| counters.other);
    let events = machine
        .counters(probe.slot)
        .map_or(0, |counters| counters.events);
    let total = if key.expr.is_empty() && !key.is_time() {
        events
    } else {
        rows.iter().map(|(_, count)| count).sum::<u64>() + other
    };
    let body = match key.buckets() {
        _ if key.is_time() => AggregateBody::Times(times(machine, probe.slot, rows)),
        Some(buckets) => AggregateBody::Histogram(histogram(rows, buckets)),
        None => AggregateBody::Count(count(rows)),
    };
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

/// Joins equal values; the most frequent first, then by their text.
fn count(rows: Vec<(Value, u64)>) -> Vec<CountRow> {
    let mut joined: BTreeMap<String, CountRow> = BTreeMap::new();
    for (value, count) in rows {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = debug::write(&mut text, &value, debug::DEBUG);
        joined
            .entry(text)
            .and_modify(|row| row.count += count)
            .or_insert(CountRow { value, count });
    }
    let mut rows: Vec<CountRow> = joined.into_values().collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.count));
    rows
}

fn times(machine: &Machine, slot: u32, rows: Vec<(Value, u64)>) -> Times {
    let mut found: BTreeMap<u64, u64> = BTreeMap::new();
    for (value, count) in rows {
        if let Value::Int(bucket, _) = value {
            // A bucket's number was read from eight bytes.
            *found.entry(bucket as u64).or_default() += count;
        }
    }
    let bucket = |(bucket, count): (u64, u64)| {
        let (low, high) = bucket_range(bucket)?;
        let (low, high) = (i128::from(low), i128::from(high));
        Some(Bucket { low, high, count })
    };
    // A map of our own that cannot be read shows nothing rather than something wrong.
    let counters = machine.times(slot).unwrap_or_default();
    let inverse = counters.shortest_ns_inverse;
    Times {
        buckets: found.into_iter().filter_map(bucket).collect(),
        extremes_ns: (inverse > 0).then_some((!inverse, counters.longest_ns)),
        sum_ns: counters.sum_ns,
        in_progress: counters
            .begun
            .saturating_sub(counters.ended)
            .saturating_sub(counters.unfinished)
            .saturating_sub(counters.uncertain),
        unfinished: counters.unfinished,
        uncertain: counters.uncertain,
        unpaired: counters.unpaired,
        off: counters.off,
        rejected: counters.rejected,
        faults: counters.faults,
        lost: counters.lost,
        full: counters.full,
    }
}

fn histogram(rows: Vec<(Value, u64)>, buckets: Buckets) -> Histogram {
    let mut found: BTreeMap<i64, u64> = BTreeMap::new();
    let mut unavailable: Vec<(Unavailable, u64)> = Vec::new();
    for (value, count) in rows {
        match value {
            Value::Int(bucket, _) => {
                // A bucket's number was read from eight bytes.
                *found.entry(bucket as i64).or_default() += count;
            }
            Value::Unavailable(why) => match unavailable.iter_mut().find(|(one, _)| *one == why) {
                Some((_, sum)) => *sum += count,
                None => unavailable.push((why, count)),
            },
            _ => {}
        }
    }
    let bucket = |(bucket, count): (i64, u64)| {
        let (low, high) = buckets.range(bucket);
        Bucket { low, high, count }
    };
    Histogram {
        step: match buckets {
            Buckets::Steps(step) => Some(step),
            Buckets::Powers => None,
        },
        buckets: found.into_iter().map(bucket).collect(),
        unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_of_several_sites_are_one_row() {
        let rows = vec![
            (Value::Int(3, 32), 2),
            (Value::Int(4, 32), 9),
            (Value::Int(3, 32), 5),
        ];
        let joined: Vec<(Value, u64)> = count(rows)
            .into_iter()
            .map(|row| (row.value, row.count))
            .collect();
        assert_eq!(joined, [(Value::Int(4, 32), 9), (Value::Int(3, 32), 7)]);
    }

    #[test]
    fn histogram_keeps_what_could_not_be_read_apart() {
        let rows = vec![
            (Value::Int(2, 32), 4),
            (Value::Unavailable(Unavailable::Null), 1),
            (Value::Int(-1, 32), 2),
            (Value::Unavailable(Unavailable::Null), 1),
        ];
        let histogram = histogram(rows, Buckets::Powers);
        let ranges: Vec<(i128, i128, u64)> = histogram
            .buckets
            .iter()
            .map(|bucket| (bucket.low, bucket.high, bucket.count))
            .collect();
        assert_eq!(ranges, [(-1, -1, 2), (2, 3, 4)]);
        assert_eq!(histogram.unavailable, [(Unavailable::Null, 2)]);
    }
}
