//! Probes where they are placed against the same probes at the first instructions of their
//! lines: no hit and no value may differ.
//!
//! Both runs are of the same program from the same start, at the same addresses. Of a program's
//! sites some are probed at a time, far from each other: a probe is not carried past another's site.

use std::collections::BTreeMap;
use std::ffi::OsString;

use anyhow::Result;
use serde_json::Value;

use super::corpus::Program;
use super::run::{self, Site};
use crate::failure::Failure;

/// Parts in which the sites of a program are probed.
pub(super) const GROUPS: usize = 4;
/// Events of a probe that are compared; of further hits only the number.
const EVENTS: usize = 20;
/// Runs of each kind after which a difference is one.
const RUNS: usize = 4;
/// Differences that are printed.
const MOST_LINES: usize = 20;
/// Characters that are printed of values that differ.
const MOST_TEXT: usize = 160;

/// What was compared.
#[derive(Default)]
pub(super) struct Report {
    probes: usize,
    moved: usize,
    hit: usize,
    hits: u64,
    events: usize,
    /// Probes whose values are not the same in runs of one kind.
    unsteady: usize,
    differences: Vec<String>,
}

impl Report {
    pub(super) fn table(&self) -> String {
        let mut text = format!(
            "{} probes, {} of them placed elsewhere than at their line's first instruction: {} hit, {} hits and {} events compared, {} of them unsteady by themselves, {} differences\n",
            self.probes,
            self.moved,
            self.hit,
            self.hits,
            self.events,
            self.unsteady,
            self.differences.len()
        );
        for line in self.differences.iter().take(MOST_LINES) {
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    /// # Errors
    /// Something differs, or there was nothing that could.
    pub(super) fn verdict(&self) -> Result<()> {
        if let Some(difference) = self.differences.first() {
            let what = format!(
                "{} placed probes are not what they are at the first instruction: {difference}",
                self.differences.len()
            );
            return Err(Failure::new(what).into());
        }
        if self.moved == 0 || self.hits == 0 {
            return Err(Failure::new("no probe was placed elsewhere, or none was hit").into());
        }
        Ok(())
    }
}

/// What one run has of one probe.
#[derive(Default, PartialEq)]
struct Seen {
    hits: u64,
    /// In order of their text: threads take turns as they like.
    events: Vec<String>,
}

/// Both runs of a program for each action: a `log` of all that is in scope binds a probe most, a
/// `count` least.
pub(super) fn look_into(
    program: &Program,
    sites: &[Site],
    groups: usize,
    report: &mut Report,
) -> Result<()> {
    let every = groups.max(sites.len().div_ceil(100));
    for action in ["log", "count"] {
        for group in 0..groups {
            let part: Vec<(usize, &Site)> = (sites.iter().enumerate())
                .skip(group)
                .step_by(every)
                .collect();
            compare(program, &part, action, report)?;
        }
    }
    Ok(())
}

fn compare(
    program: &Program,
    sites: &[(usize, &Site)],
    action: &str,
    report: &mut Report,
) -> Result<()> {
    // A hot loop is no reason to take a probe out.
    let mut probes: Vec<OsString> = vec!["--max-cpu".into(), "off".into()];
    for (id, site) in sites {
        let limit = if action == "log" {
            format!(" hits {EVENTS}")
        } else {
            String::new()
        };
        probes.push("-e".into());
        probes.push(format!("{action} {}{limit} as s{id}", site.probe()).into());
    }
    let moved = run::check(program, &probes)?
        .iter()
        .flat_map(|probe| probe["sites"].as_array().cloned().unwrap_or_default())
        .filter(|site| site["address"] != site["probed"])
        .count();
    let mut at_first = probes.clone();
    at_first.extend(["--site".into(), "first".into()]);
    let first = seen(&run::trace(program, &at_first)?);
    let cheapest = seen(&run::trace(program, &probes)?);
    report.probes += sites.len();
    report.moved += moved;
    let mut differing = Vec::new();
    for (id, site) in sites {
        let name = format!("s{id}");
        let (first, cheapest) = (first.get(&name), cheapest.get(&name));
        if let Some(seen) = first {
            report.hit += usize::from(seen.hits > 0);
            report.hits += seen.hits;
            report.events += seen.events.len();
        }
        if first != cheapest {
            differing.push((name, site));
        }
    }
    // What differs from run to run by itself says nothing: programs leave what is random, and
    // what depends on when they were preempted, where a variable has no value yet.
    let (mut firsts, mut cheapests) = (vec![first], vec![cheapest]);
    for _ in 1..RUNS {
        if differing.is_empty() {
            return Ok(());
        }
        firsts.push(seen(&run::trace(program, &at_first)?));
        cheapests.push(seen(&run::trace(program, &probes)?));
        let before = differing.len();
        differing.retain(|(name, _)| differs(name, &firsts, &cheapests));
        report.unsteady += before - differing.len();
    }
    for (name, site) in differing {
        let first = firsts[0].get(&name);
        // The hits may be others in a later run alone.
        let hits = |seen: Option<&Seen>| seen.map(|seen| seen.hits);
        let other = |run: &&Run| hits(run.get(&name)) != hits(first);
        let cheapest = cheapests.iter().find(other).unwrap_or(&cheapests[0]);
        let cheapest = cheapest.get(&name);
        report.differences.push(format!(
            "{} {}: {action} {}: {}",
            program.name,
            program.flags,
            site.location(),
            difference(first, cheapest)
        ));
    }
    Ok(())
}

type Run = BTreeMap<String, Seen>;

/// Whether a probe saw the same in all runs of the one kind, and never that in the other. A hit
/// more or less is a difference whenever it occurs.
fn differs(name: &str, firsts: &[Run], cheapests: &[Run]) -> bool {
    let first = firsts[0].get(name);
    let steady = firsts.iter().all(|run| run.get(name) == first);
    let hits = |run: &Run| run.get(name).map(|seen| seen.hits);
    let other = |run: &Run| run.get(name) != first;
    steady
        && (cheapests.iter().all(other)
            || cheapests.iter().any(|run| hits(run) != hits(&firsts[0])))
}

/// Where two runs part, in words.
fn difference(first: Option<&Seen>, cheapest: Option<&Seen>) -> String {
    let (Some(first), Some(cheapest)) = (first, cheapest) else {
        return "seen in one of both runs".to_owned();
    };
    if first.hits != cheapest.hits {
        return format!(
            "{} hits at the first instruction, {} where it is placed",
            first.hits, cheapest.hits
        );
    }
    let mut pairs = first.events.iter().zip(&cheapest.events);
    let Some((one, other)) = pairs.find(|(one, other)| one != other) else {
        return format!(
            "{} events at the first instruction, {} where it is placed",
            first.events.len(),
            cheapest.events.len()
        );
    };
    let same = one
        .chars()
        .zip(other.chars())
        .take_while(|(a, b)| a == b)
        .count();
    let part = |text: &str| -> String {
        text.chars()
            .skip(same.saturating_sub(MOST_TEXT / 2))
            .take(MOST_TEXT)
            .collect()
    };
    format!(
        "`{}` at the first instruction, `{}` where it is placed",
        part(one),
        part(other)
    )
}

/// By name of the probe.
fn seen(lines: &[Value]) -> Run {
    let mut seen = Run::new();
    for line in lines {
        let Some(probe) = line["probe"].as_str() else {
            continue;
        };
        let of = seen.entry(probe.to_owned()).or_default();
        match line["type"].as_str() {
            Some("event") => of.events.push(line["values"].to_string()),
            Some("summary") => of.hits = line["hits"].as_u64().unwrap_or(0),
            _ => {}
        }
    }
    for of in seen.values_mut() {
        of.events.sort_unstable();
    }
    seen
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run(values: [u64; 2], hits: u64) -> Vec<Value> {
        let event = |value| json!({"type": "event", "probe": "s1", "values": [{"value": value}]});
        vec![
            event(values[0]),
            event(values[1]),
            json!({"type": "summary", "probe": "s1", "hits": hits}),
        ]
    }

    #[test]
    fn runs_are_the_same_when_hits_and_values_are_in_whatever_order() {
        assert!(seen(&run([1, 2], 7)) == seen(&run([2, 1], 7)));
        assert!(seen(&run([1, 2], 7)) != seen(&run([1, 2], 8)));
        assert!(seen(&run([1, 2], 7)) != seen(&run([1, 3], 7)));
    }

    #[test]
    fn difference_is_what_is_steady_on_one_side_and_never_there_on_the_other() {
        let runs = |values: &[[u64; 2]]| -> Vec<Run> {
            values.iter().map(|&values| seen(&run(values, 7))).collect()
        };
        assert!(differs(
            "s1",
            &runs(&[[1, 2], [1, 2]]),
            &runs(&[[1, 3], [1, 4]])
        ));
        assert!(!differs(
            "s1",
            &runs(&[[1, 2], [1, 2]]),
            &runs(&[[1, 3], [1, 2]])
        ));
        assert!(!differs(
            "s1",
            &runs(&[[1, 2], [1, 5]]),
            &runs(&[[1, 3], [1, 4]])
        ));
        let cheapest = [seen(&run([1, 2], 8)), seen(&run([1, 2], 7))];
        assert!(differs("s1", &runs(&[[1, 2], [1, 2]]), &cheapest));
    }

    #[test]
    fn difference_says_where_the_runs_part() {
        let (one, more) = (seen(&run([1, 2], 7)), seen(&run([1, 2], 8)));
        let other = seen(&run([1, 3], 7));
        let of = |other: &Run| difference(one.get("s1"), other.get("s1"));
        assert!(of(&more).contains("7 hits at the first instruction, 8 where"));
        assert!(of(&other).contains(r#""value":2"#) && of(&other).contains(r#""value":3"#));
        assert!(difference(None, one.get("s1")).contains("one of both"));
    }

    #[test]
    fn verdict_fails_for_a_difference_and_for_nothing_compared() {
        let fine = || Report {
            moved: 1,
            hits: 1,
            ..Report::default()
        };
        assert!(fine().verdict().is_ok());
        let differs = Report {
            differences: vec!["s1".into()],
            ..fine()
        };
        assert!(differs.verdict().is_err() && differs.table().contains("s1"));
        assert!(Report { moved: 0, ..fine() }.verdict().is_err());
        assert!(Report { hits: 0, ..fine() }.verdict().is_err());
    }
}
