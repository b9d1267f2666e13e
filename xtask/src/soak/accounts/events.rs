//! Checks events: each belongs to one hit that happened, and has the target's values.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::{EndedSession, Expected, Known, Sums, hits_of};
use crate::soak::findings::{Class, Findings};
use crate::soak::places::{Variable, Visit};
use crate::soak::probes::{Action, Probe};

/// Checks the events of a probe with a summary.
pub(super) fn check(
    ended: EndedSession<'_>,
    expected: Expected<'_>,
    values: &[Value],
    sums: &Sums,
    findings: &mut Findings,
) {
    let probe = expected.probe;
    let seen = check_values(ended, probe, values, findings);
    if !probe.sends() {
        return;
    }
    let (text, events) = (&probe.text, of(values, probe).count() as u64);
    findings.check(Class::Account, events == sums.get("events"), || {
        format!("`{text}`: {events} events were written: {sums:?}")
    });
    let numbers = of(values, probe).filter_map(|event| event["hit"].as_u64());
    let most = numbers.max().unwrap_or(0);
    findings.check(Class::Account, most <= sums.get("hits"), || {
        format!("`{text}`: an event of hit {most}: {sums:?}")
    });
    if let Known::Exactly(passes) | Known::AtMost(passes) = expected.known {
        let mut left: HashMap<Identity, u64> = HashMap::new();
        for hit in hits_of(probe.place, passes).filter(|hit| probe.takes(*hit)) {
            *left.entry(Identity::of(probe, hit)).or_default() += 1;
        }
        for hit in seen {
            let identity = Identity::of(probe, hit);
            match left.get_mut(&identity) {
                Some(count) if *count > 0 => *count -= 1,
                _ => findings.add(
                    Class::Account,
                    format!("`{text}`: an event of a hit that was not: {hit:?}"),
                ),
            }
        }
    }
}

/// Returns the events of a probe.
fn of<'a>(values: &'a [Value], probe: &'a Probe) -> impl Iterator<Item = &'a Value> {
    values
        .iter()
        .filter(|value| value["type"] == "event" && value["probe"] == *probe.name)
}

/// Variables that distinguish hits, if the place has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Identity {
    slot: Option<u64>,
    sequence: u64,
    level: u64,
}

impl Identity {
    fn of(probe: &Probe, hit: Visit) -> Self {
        let known = probe.place.variables().contains(&Variable::Slot);
        Self {
            slot: known.then_some(hit.slot),
            sequence: hit.sequence,
            level: hit.level,
        }
    }
}

/// Checks each event of a probe by itself. Returns the hits that the events claim.
pub(super) fn check_values(
    ended: EndedSession<'_>,
    probe: &Probe,
    values: &[Value],
    findings: &mut Findings,
) -> Vec<Visit> {
    let mut hits = Vec::new();
    let mut numbers = HashSet::new();
    for event in of(values, probe) {
        let number = event["hit"].as_u64().unwrap_or(0);
        // A probe that was attached again in another program restarts its numbers.
        let is_new = numbers.insert(number) || ended.has_lives;
        findings.check(Class::Account, is_new, || {
            format!("`{}`: hit {number} was sent twice: {event}", probe.text)
        });
        let pid = event["pid"].as_u64().unwrap_or(0);
        let is_ours = ended.pids.is_empty() || ended.pids.iter().any(|&one| u64::from(one) == pid);
        findings.check(Class::Value, is_ours, || {
            format!("`{}`: an event of process {pid}: {event}", probe.text)
        });
        hits.extend(check_event(ended, probe, event, findings));
    }
    findings.count("events checked", of(values, probe).count() as u64);
    hits
}

fn check_event(
    ended: EndedSession<'_>,
    probe: &Probe,
    event: &Value,
    findings: &mut Findings,
) -> Option<Visit> {
    let place = probe.place;
    let shown = |variable: Variable| {
        let name = ended.program.sites.expression(place, variable)?;
        value_of(event, &name)
    };
    let is_log = matches!(
        probe.action,
        Action::Log(_) | Action::LogAll | Action::Snapshot
    );
    if !is_log {
        return None;
    }
    let number = |variable| shown(variable).and_then(Value::as_u64);
    let hit = match (number(Variable::Slot), number(Variable::Sequence)) {
        (slot, Some(sequence)) => Visit {
            slot: slot.unwrap_or(0),
            sequence,
            level: number(Variable::Level).unwrap_or(0),
        },
        // An optimised-out value proves nothing. At -O0 every value is there if the place has it
        // directly and not behind a pointer.
        (_, None) => {
            let must = matches!(probe.action, Action::Log(_)) && !ended.program.optimised;
            findings.check(Class::Value, !must, || {
                format!("`{}`: no sequence number: {event}", probe.text)
            });
            return None;
        }
    };
    for &variable in place.variables() {
        let Some(seen) = shown(variable) else {
            continue;
        };
        let wanted = variable.value(place, hit);
        let unavailable = ended.program.optimised && !seen["$unavailable"].is_null();
        findings.check(Class::Value, *seen == wanted || unavailable, || {
            format!(
                "`{}`: {variable:?} is {seen}, not {wanted}: {event}",
                probe.text
            )
        });
        findings.count("values checked", 1);
    }
    findings.check(Class::Account, probe.takes(hit), || {
        format!("`{}`: the condition does not take {event}", probe.text)
    });
    let known = [Variable::Slot, Variable::Level]
        .iter()
        .all(|variable| !place.variables().contains(variable) || number(*variable).is_some());
    known.then_some(hit)
}

/// Returns the value of an expression in an event.
fn value_of<'a>(event: &'a Value, expression: &str) -> Option<&'a Value> {
    let values = event["values"].as_array()?;
    let found = values.iter().find(|value| value["expr"] == expression)?;
    Some(&found["value"])
}
