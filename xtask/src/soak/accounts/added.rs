//! Checks totals of probes: counts by key, distributions, times.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Expected, Known, Sums, hits_of};
use crate::soak::findings::{Class, Findings};
use crate::soak::places::{Place, Visit};
use crate::soak::probes::{Action, Key, Number, Probe};

/// Checks the totals of a probe, if it has any. A distribution and its counts must always agree
/// with the summary, and with the passes if these are known.
pub(super) fn check(
    expected: Expected<'_>,
    values: &[Value],
    sums: &Sums,
    optimised: bool,
    findings: &mut Findings,
) {
    let probe = expected.probe;
    let kind = match probe.action {
        Action::Count | Action::CountBy(_) => "count",
        Action::Hist(_) => "hist",
        Action::Time => "time",
        Action::Log(_) | Action::LogAll | Action::Snapshot | Action::Returned => return,
    };
    let mine = |value: &&Value| value["type"] == kind && value["probe"] == *probe.name;
    let all: Vec<&Value> = values.iter().filter(mine).collect();
    let total: u64 = all.iter().map(|one| number(one, "total")).sum();
    let text = &probe.text;
    findings.check(Class::Account, total == sums.get("events"), || {
        format!("`{text}`: {total} were added up: {sums:?}")
    });
    for one in &all {
        let parts: u64 = parts(one).sum();
        let has_parts = !matches!(probe.action, Action::Count);
        let total = number(one, "total");
        findings.check(Class::Account, !has_parts || parts == total, || {
            format!("`{text}`: the parts are {parts} of {total}: {one}")
        });
    }
    // The totals of one life of a probe are one record. A window may have several lives.
    let (Known::Exactly(passes), [one]) = (expected.known, all.as_slice()) else {
        return;
    };
    let taken: Vec<Visit> = hits_of(probe.place, passes)
        .filter(|hit| probe.takes(*hit))
        .collect();
    if total == taken.len() as u64 && !(optimised && has_unavailable(one)) {
        check_parts(probe, &taken, one, findings);
    }
}

/// Calls that a `time` probe reports as not timed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Untimed {
    /// Calls that started after its time.
    pub(super) off: u64,
    /// Calls that started in its time, but whose end did not come in it or may belong to another
    /// call.
    pub(super) open: u64,
}

impl Untimed {
    /// Returns the sum over all lives of a probe.
    pub(super) fn of(probe: &Probe, values: &[Value]) -> Self {
        let mine = |value: &&Value| value["type"] == "time" && value["probe"] == *probe.name;
        let all = values.iter().filter(mine);
        all.fold(Self::default(), |sum, one| Self {
            off: sum.off + number(one, "off"),
            open: sum.open
                + number(one, "in_progress")
                + number(one, "unfinished")
                + number(one, "uncertain")
                + number(one, "unpaired"),
        })
    }
}

/// Returns the numbers whose sum is the total.
fn parts(one: &Value) -> impl Iterator<Item = u64> {
    let listed = ["rows", "buckets", "unavailable"]
        .into_iter()
        .flat_map(|name| one[name].as_array().into_iter().flatten());
    let listed = listed.map(|part| number(part, "count"));
    listed.chain([number(one, "other")])
}

fn has_unavailable(one: &Value) -> bool {
    let rows = one["rows"].as_array().into_iter().flatten();
    let unread = rows.filter(|row| !row["value"]["$unavailable"].is_null());
    unread.count() > 0
        || one["unavailable"]
            .as_array()
            .is_some_and(|all| !all.is_empty())
}

fn check_parts(probe: &Probe, taken: &[Visit], one: &Value, findings: &mut Findings) {
    let text = &probe.text;
    let differs = match probe.action {
        Action::CountBy(key) => {
            let seen = rows(one);
            let wanted = keys(probe.place, key, taken);
            (seen != wanted).then(|| format!("keys {seen:?}, not {wanted:?}"))
        }
        Action::Hist(of) => wrong_bucket(probe.place, of, taken, one),
        Action::Time => wrong_times(one),
        _ => None,
    };
    if let Some(differs) = differs {
        findings.add(Class::Account, format!("`{text}`: {differs}"));
    }
    findings.count("aggregates checked", 1);
}

/// Returns the counts by the JSON of their keys.
fn rows(one: &Value) -> BTreeMap<String, u64> {
    let rows = one["rows"].as_array().into_iter().flatten();
    rows.map(|row| (row["value"].to_string(), number(row, "count")))
        .collect()
}

fn keys(place: Place, key: Key, taken: &[Visit]) -> BTreeMap<String, u64> {
    let mut wanted = BTreeMap::new();
    for hit in taken {
        let key = match key {
            Key::SequenceModulo(divisor) => (hit.sequence % divisor).to_string(),
            Key::Of(variable) => variable.value(place, *hit).to_string(),
        };
        *wanted.entry(key).or_default() += 1;
    }
    wanted
}

/// Returns a bucket whose count differs from its hits.
fn wrong_bucket(place: Place, of: Number, taken: &[Visit], one: &Value) -> Option<String> {
    let numbers: Vec<i64> = taken
        .iter()
        .filter_map(|hit| of.variable.value(place, *hit).as_i64())
        .collect();
    let mut seen = 0;
    for bucket in one["buckets"].as_array().into_iter().flatten() {
        let (low, high) = (bucket["low"].as_i64()?, bucket["high"].as_i64()?);
        let inside = numbers
            .iter()
            .filter(|number| (low..=high).contains(number));
        let (wanted, count) = (inside.count() as u64, number(bucket, "count"));
        if wanted != count {
            return Some(format!(
                "{wanted} numbers from {low} to {high}, not {count}"
            ));
        }
        seen += count;
    }
    let all = taken.len() as u64;
    (seen != all).then(|| format!("buckets have {seen} of {all} numbers: {one}"))
}

/// Returns impossible times, given that each call starts and ends in the window.
fn wrong_times(one: &Value) -> Option<String> {
    let (least, mean, most) = (
        number(one, "min_ns"),
        number(one, "mean_ns"),
        number(one, "max_ns"),
    );
    if number(one, "total") > 0 && !(0 < least && least <= mean && mean <= most) {
        return Some(format!("times from {least} over {mean} to {most}"));
    }
    let without = [
        "in_progress",
        "unfinished",
        "uncertain",
        "unpaired",
        "full",
        "other",
        "lost",
    ];
    let without = without.iter().find(|name| number(one, name) != 0);
    without.map(|name| format!("calls without a time ({name}): {one}"))
}

fn number(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap_or(0)
}
