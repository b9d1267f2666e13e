//! Compares probes at their chosen sites with probes at the first instructions of their lines. No
//! hit and no value may differ.
//!
//! All runs are of the same program from the same start, at the same addresses. Each run probes a
//! part of the program's sites, far from each other, because placement never moves a probe past
//! another site.

use std::collections::BTreeMap;
use std::ffi::OsString;

use anyhow::Result;
use serde_json::Value;

use super::corpus::CorpusProgram;
use super::run::{self, ComparedSite};
use crate::support::failure::Failure;

/// Number of parts into which the sites are split.
pub(super) const GROUPS: usize = 4;
/// Events per probe that are compared. Further hits are only counted.
const EVENTS: usize = 20;
/// Runs of each kind before a difference counts.
const RUNS: usize = 4;
/// Differences that are printed.
const MOST_LINES: usize = 20;
/// Characters that are printed of different values.
const MOST_TEXT: usize = 160;

/// The result of the comparison.
#[derive(Default)]
pub(super) struct MovedReport {
    probes: usize,
    moved: usize,
    hit: usize,
    hits: u64,
    events: usize,
    /// Probes whose values differ between runs of one kind.
    unsteady: usize,
    differences: Vec<String>,
}

impl MovedReport {
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
    /// Fails if some probes differ, or if none could be compared.
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

/// The observations of one probe in one run.
#[derive(Default, PartialEq)]
struct Seen {
    hits: u64,
    /// Texts of events, sorted because threads take turns at random.
    events: Vec<String>,
}

/// Compares both runs of a program for each action. A `log` of everything in scope restricts
/// placement most, a `count` least.
pub(super) fn look_into(
    program: &CorpusProgram,
    sites: &[ComparedSite],
    groups: usize,
    report: &mut MovedReport,
) -> Result<()> {
    let every = groups.max(sites.len().div_ceil(100));
    for action in ["log", "count"] {
        for group in 0..groups {
            let part: Vec<(usize, &ComparedSite)> = (sites.iter().enumerate())
                .skip(group)
                .step_by(every)
                .collect();
            compare(program, &part, action, report)?;
        }
    }
    Ok(())
}

fn compare(
    program: &CorpusProgram,
    sites: &[(usize, &ComparedSite)],
    action: &str,
    report: &mut MovedReport,
) -> Result<()> {
    // A hot loop must not remove a probe.
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
    // Values that differ between runs of one kind prove nothing. Before a variable has a value, its
    // memory contains random data and leftovers of interrupts.
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
        // The number of hits may differ in a later run alone.
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

/// Returns true if a probe saw the same values in all runs of one kind, and other ones in the
/// other kind. A different number of hits always counts.
fn differs(name: &str, firsts: &[Run], cheapests: &[Run]) -> bool {
    let first = firsts[0].get(name);
    let steady = firsts.iter().all(|run| run.get(name) == first);
    let hits = |run: &Run| run.get(name).map(|seen| seen.hits);
    let other = |run: &Run| run.get(name) != first;
    steady
        && (cheapests.iter().all(other)
            || cheapests.iter().any(|run| hits(run) != hits(&firsts[0])))
}

/// Describes the first difference of two runs.
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

/// Returns the observations by name of the probe.
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
        let fine = || MovedReport {
            moved: 1,
            hits: 1,
            ..MovedReport::default()
        };
        assert!(fine().verdict().is_ok());
        let differs = MovedReport {
            differences: vec!["s1".into()],
            ..fine()
        };
        assert!(differs.verdict().is_err() && differs.table().contains("s1"));
        assert!(MovedReport { moved: 0, ..fine() }.verdict().is_err());
        assert!(MovedReport { hits: 0, ..fine() }.verdict().is_err());
    }
}
