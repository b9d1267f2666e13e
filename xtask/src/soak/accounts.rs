//! Compares a session's report of its hits with the target's own counters.
//!
//! There are two kinds of knowledge. In a window, the target passes only on command and all probes
//! are attached, so each hit and each number is known. If the target passes all the time, or is
//! killed, the counters before and after the session give bounds.

mod added;
mod events;

use std::collections::BTreeMap;

use serde_json::Value;

use added::Untimed;

use super::counters::{Around, Bounds};
use super::findings::{Class, Findings};
use super::places::{Place, SlotRange, Visit};
use super::probes::{EventLimit, Probe};
use super::programs::TargetProgram;
use super::session::Finished;

/// The knowledge about a probe's hits.
#[derive(Clone, Copy, Debug)]
pub(super) enum Known<'a> {
    /// Exactly the hits of these passes.
    Exactly(&'a [SlotRange]),
    /// A number of hits between these bounds.
    Within(&'a Around),
    /// At most the hits of these passes.
    AtMost(&'a [SlotRange]),
}

/// A probe and the knowledge about its hits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected<'a> {
    /// The probe.
    pub(super) probe: &'a Probe,
    /// The knowledge.
    pub(super) known: Known<'a>,
}

/// A session that has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct EndedSession<'a> {
    /// The target.
    pub(super) program: &'a TargetProgram,
    /// Processes that events may belong to. Empty stands for any.
    pub(super) pids: &'a [u32],
    /// True if its probes may have been attached again, with counters that start at zero.
    pub(super) has_lives: bool,
    /// The output of the tracer.
    pub(super) finished: &'a Finished,
}

/// The counters of a summary. Several lives of a probe are added up.
#[derive(Clone, Debug, Default)]
struct Sums {
    lives: u64,
    /// True if the probe has sent its last event and its breakpoints were removed.
    done: bool,
    counters: BTreeMap<&'static str, u64>,
}

/// Counters by which hits end.
const WAYS: [&str; 8] = [
    "events",
    "lost",
    "limited",
    "rejected",
    "faults",
    "silenced",
    "expired",
    "over_budget",
];

impl Sums {
    fn of(values: &[Value], probe: &Probe) -> Self {
        let mut sums = Self::default();
        let mine = |value: &&Value| value["type"] == "summary" && value["probe"] == *probe.name;
        for summary in values.iter().filter(mine) {
            sums.lives += 1;
            sums.done |= !summary["done"].is_null();
            for name in WAYS.into_iter().chain(["hits"]) {
                *sums.counters.entry(name).or_default() += summary[name].as_u64().unwrap_or(0);
            }
        }
        sums
    }

    fn get(&self, name: &str) -> u64 {
        self.counters.get(name).copied().unwrap_or(0)
    }
}

/// Checks a session that ended by itself: every counter, every event, every sum.
pub(super) fn check(ended: EndedSession<'_>, expected: &[Expected<'_>], findings: &mut Findings) {
    let values = ended.finished.values(findings);
    findings.count("sessions with accounts", 1);
    for one in expected {
        let sums = Sums::of(&values, one.probe);
        if sums.lives == 0 {
            no_summary(ended, one.probe, findings);
            continue;
        }
        findings.count("probes with accounts", 1);
        check_sums(*one, &sums, Untimed::of(one.probe, &values), findings);
        added::check(*one, &values, &sums, ended.program.optimised, findings);
        events::check(ended, *one, &values, &sums, findings);
    }
    complain_once(ended, findings);
}

/// Checks the events of a session that was killed, which has no summary.
pub(super) fn check_events(ended: EndedSession<'_>, probes: &[Probe], findings: &mut Findings) {
    let values = ended.finished.values(findings);
    for probe in probes {
        events::check_values(ended, probe, &values, findings);
    }
    complain_once(ended, findings);
}

/// Prints the session with its first differences.
fn complain_once(ended: EndedSession<'_>, findings: &mut Findings) {
    if !findings.all.is_empty() {
        let said = ended.finished.errors.join("\n");
        findings.say(format!("{}\nsaid:\n{said}", ended.finished.shown));
    }
}

/// Checks a probe without a summary. It may lack one for three reasons, and the tracer must name
/// one: optimised code has no value for it, the tracer was asked to end before it was attached,
/// or the target ended before that.
fn no_summary(ended: EndedSession<'_>, probe: &Probe, findings: &mut Findings) {
    let refused = ended.finished.code == Some(2) && ended.program.optimised;
    if refused {
        findings.count("probes refused in optimised code", 1);
        return;
    }
    let says = |start: &str| {
        let mut lines = ended.finished.errors.iter();
        lines.any(|line| line.starts_with(start))
    };
    let refused_at_the_end =
        says("tracer: cannot attach at ") || says("tracer: the target has exited");
    let target_ended = says("the target exited") && refused_at_the_end;
    if says("warning: interrupted before ") || target_ended {
        findings.count("probes not attached yet", 1);
        return;
    }
    let said = ended.finished.errors.join("\n");
    findings.add(
        Class::Account,
        format!("no summary of `{}`; the tracer said:\n{said}", probe.text),
    );
}

/// Checks the counters of a probe. A pass that a `time` probe did not time is not a hit of it.
fn check_sums(expected: Expected<'_>, sums: &Sums, untimed: Untimed, findings: &mut Findings) {
    let probe = expected.probe;
    let text = &probe.text;
    let hits = sums.get("hits");
    findings.count("hits checked", hits);
    let ends: u64 = WAYS.iter().map(|way| sums.get(way)).sum();
    findings.check(Class::Account, hits == ends, || {
        format!("`{text}`: {hits} hits, and {ends} of them have an end: {sums:?}")
    });
    let Bounds { least, most } = bounds(expected);
    let sure = hits + untimed.off;
    // Calls in progress outlive a probe only if its time is limited.
    let open = match probe.limit {
        EventLimit::For(_) => untimed.open,
        _ => 0,
    };
    // Hits of a probe after it is done are not counted.
    let least = if sums.done { 0 } else { least };
    let is_right = sure <= most && sure + open >= least;
    findings.check(Class::Account, is_right, || {
        format!("`{text}`: {hits} hits, {untimed:?}, and the target passed {least} to {most} times: {sums:?}")
    });
    if let Known::Exactly(passes) = expected.known {
        let taken = hits_of(probe.place, passes).filter(|hit| probe.takes(*hit));
        check_ways(probe, taken.count() as u64, sums, findings);
    }
}

/// Checks the counters of a window, given the number of hits with a true condition.
fn check_ways(probe: &Probe, taken: u64, sums: &Sums, findings: &mut Findings) {
    let text = &probe.text;
    let mut must = |holds: bool, what: &str| {
        findings.check(Class::Account, holds, || {
            format!("`{text}`: {what} (the condition takes {taken}): {sums:?}")
        });
    };
    let (events, lost) = (sums.get("events"), sums.get("lost"));
    must(sums.get("faults") == 0, "conditions that could not be read");
    must(sums.get("silenced") == 0, "hits while it was silenced");
    must(events <= taken, "more events than hits it takes");
    must(
        matches!(probe.limit, EventLimit::For(_)) || sums.get("expired") == 0,
        "hits after its time",
    );
    must(
        matches!(probe.limit, EventLimit::Rate(_) | EventLimit::Every(_))
            || sums.get("limited") == 0,
        "hits over a rate limit that it does not have",
    );
    // The condition of a lost hit was decided or not, depending on where the room ran out.
    let all = sums.get("hits");
    match probe.limit {
        EventLimit::None => {
            must(events + lost >= taken, "fewer events than hits it takes");
            must(
                sums.get("rejected") + lost >= all - taken.min(all),
                "fewer rejected hits than its condition rejects",
            );
        }
        EventLimit::Hits(limit) => {
            // Each life of a probe has its own limit.
            let most = taken.min(limit.saturating_mul(sums.lives));
            must(events <= most, "more events than its hits");
            let least = taken.min(limit);
            must(events + lost >= least, "fewer events than its hits");
        }
        EventLimit::Rate(_) | EventLimit::Every(_) => {
            must(
                events + lost + sums.get("limited") >= taken,
                "hits it takes that are neither events nor limited",
            );
            must(events + lost > 0 || taken == 0, "no event at all");
        }
        EventLimit::For(_) => {}
    }
}

/// Returns all hits of some passes.
fn hits_of(place: Place, passes: &[SlotRange]) -> impl Iterator<Item = Visit> {
    passes.iter().flat_map(move |range| range.hits(place))
}

fn bounds(expected: Expected<'_>) -> Bounds {
    let place = expected.probe.place;
    match expected.known {
        Known::Exactly(passes) => {
            let hits = hits_of(place, passes).count() as u64;
            Bounds {
                least: hits,
                most: hits,
            }
        }
        Known::AtMost(passes) => Bounds {
            least: 0,
            most: hits_of(place, passes).count() as u64,
        },
        Known::Within(around) => around.bounds(place),
    }
}
