//! The results: counts, as a table and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Result;
use serde_json::{Value, json};

use super::compare::{Difference, VariableOutcome};
use super::corpus::CorpusProgram;
use super::listed::LISTED;
use crate::support::failure::Failure;

/// Variables that are listed for each reason for a missing value.
const EXAMPLES: usize = 40;
/// Number of these variables in the table.
const SHOWN: usize = 3;

/// One variable at one site.
pub(super) struct Found {
    /// Number of the site.
    pub(super) site: usize,
    /// The site in readable form.
    pub(super) location: String,
    /// Its name.
    pub(super) variable: String,
    /// Its type in gdb's syntax.
    pub(super) type_name: String,
    /// The result of its comparison.
    pub(super) outcome: VariableOutcome,
}

/// Counts of one program, or of all.
#[derive(Default)]
struct VariableCounts {
    sites: usize,
    equal: usize,
    neither: usize,
    ours_only: usize,
    lacking: BTreeMap<String, usize>,
    wrong: usize,
}

impl VariableCounts {
    fn lacking(&self) -> usize {
        self.lacking.values().sum()
    }

    /// Returns the share of gdb's values that we print too.
    fn share(&self) -> f64 {
        let all = self.equal + self.lacking() + self.wrong;
        if all == 0 {
            return 1.0;
        }
        self.equal as f64 / all as f64
    }

    fn add(&mut self, other: &Self) {
        self.sites += other.sites;
        self.equal += other.equal;
        self.neither += other.neither;
        self.ours_only += other.ours_only;
        self.wrong += other.wrong;
        for (why, count) in &other.lacking {
            *self.lacking.entry(why.clone()).or_default() += count;
        }
    }

    fn json(&self) -> Value {
        json!({
            "sites": self.sites,
            "equal": self.equal,
            "unavailable_in_both": self.neither,
            "unavailable_in_gdb": self.ours_only,
            "unavailable_in_ours": self.lacking,
            "wrong": self.wrong,
        })
    }
}

/// One line of the list of differences.
struct Line {
    program: String,
    location: String,
    variable: String,
    difference: Difference,
    why: Option<&'static str>,
}

/// The results of all programs.
#[derive(Default)]
pub(super) struct FidelityReport {
    programs: Vec<(String, String, &'static str, VariableCounts)>,
    lines: Vec<Line>,
    /// An example of each reason for a missing value.
    examples: BTreeMap<String, Vec<String>>,
}

impl FidelityReport {
    /// Adds the results of a program.
    pub(super) fn add(&mut self, program: &CorpusProgram, found: Vec<Found>) {
        let mut counts = VariableCounts::default();
        let mut sites: Vec<usize> = found.iter().map(|found| found.site).collect();
        sites.dedup();
        counts.sites = sites.len();
        for found in found {
            self.count(program, found, &mut counts);
        }
        let name = program.name.clone();
        self.programs
            .push((name, program.flags.clone(), program.language, counts));
    }

    fn count(&mut self, program: &CorpusProgram, found: Found, counts: &mut VariableCounts) {
        let VariableOutcome {
            equal,
            neither,
            ours_only,
            lacking,
            wrong,
        } = found.outcome;
        let name = format!("{} {}", program.name, program.flags);
        if let Some(difference) = wrong {
            let listed = LISTED.iter().find(|listed| {
                listed.is(
                    &program.name,
                    &program.flags,
                    &found.variable,
                    &found.type_name,
                )
            });
            if listed.is_none() {
                counts.wrong += 1;
            }
            self.lines.push(Line {
                program: name,
                location: found.location,
                variable: format!("{}{}: {}", found.variable, difference.part, found.type_name),
                difference,
                why: listed.map(|listed| listed.why),
            });
        } else if let Some(why) = lacking {
            let why = without_numbers(&why);
            let example = format!(
                "{name}, {}, {}: {}",
                found.location, found.variable, found.type_name
            );
            let examples = self.examples.entry(why.clone()).or_default();
            if examples.len() < EXAMPLES {
                examples.push(example);
            }
            *counts.lacking.entry(why).or_default() += 1;
        } else if equal > 0 || (neither == 0 && ours_only == 0) {
            counts.equal += 1;
        } else if ours_only > 0 {
            counts.ours_only += 1;
        } else {
            counts.neither += 1;
        }
    }

    fn total(&self) -> VariableCounts {
        let mut total = VariableCounts::default();
        for (.., counts) in &self.programs {
            total.add(counts);
        }
        total
    }

    /// Returns the JSON for programs.
    pub(super) fn json(&self) -> Value {
        let programs: Vec<Value> = self
            .programs
            .iter()
            .map(|(name, flags, language, counts)| {
                let mut object = counts.json();
                object["program"] = json!(name);
                object["language"] = json!(language);
                object["flags"] = json!(flags);
                object
            })
            .collect();
        let line = |line: &Line| {
            json!({
                "program": line.program, "location": line.location, "variable": line.variable,
                "gdb": line.difference.gdb, "ours": line.difference.ours,
            })
        };
        let listed = |line: &Line| {
            json!({
                "program": line.program, "location": line.location, "variable": line.variable,
                "why gdb is wrong": line.why,
            })
        };
        json!({
            "programs": programs,
            "total": self.total().json(),
            "wrong": self.lines.iter().filter(|line| line.why.is_none()).map(line).collect::<Vec<_>>(),
            "lacking": self.examples,
            "listed": self.lines.iter().filter(|line| line.why.is_some()).map(listed).collect::<Vec<_>>(),
        })
    }

    /// Returns the report for the terminal.
    pub(super) fn table(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(
            out,
            "{:<58} {:>5} {:>6} {:>7} {:>7} {:>7} {:>6} {:>7}",
            "program", "sites", "equal", "neither", "gdb not", "we not", "WRONG", "printed"
        );
        let total = self.total();
        let rows = self
            .programs
            .iter()
            .map(|(name, flags, _, counts)| (format!("{name} {flags}"), counts));
        for (name, counts) in rows.chain([("total".to_owned(), &total)]) {
            let _ = writeln!(
                out,
                "{name:<58} {:>5} {:>6} {:>7} {:>7} {:>7} {:>6} {:>6.1}%",
                counts.sites,
                counts.equal,
                counts.neither,
                counts.ours_only,
                counts.lacking(),
                counts.wrong,
                100.0 * counts.share()
            );
        }
        out.push_str(&self.summary());
        for (why, count) in &total.lacking {
            let _ = writeln!(out, "lacking {count}: {why}");
            for example in self.examples.get(why).into_iter().flatten().take(SHOWN) {
                let _ = writeln!(out, "    as in {example}");
            }
        }
        out.push_str(&self.differences());
        let mut listed: BTreeMap<&str, usize> = BTreeMap::new();
        for line in &self.lines {
            if let Some(why) = line.why {
                *listed.entry(why).or_default() += 1;
            }
        }
        for (why, count) in listed {
            let _ = writeln!(out, "listed {count}: {why}");
        }
        out
    }

    /// Returns the wrong values. A variable that is wrong at many sites is listed once.
    fn differences(&self) -> String {
        let mut out = String::new();
        let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        let wrong = || self.lines.iter().filter(|line| line.why.is_none());
        for line in wrong() {
            *counts.entry((&line.program, &line.variable)).or_default() += 1;
        }
        for line in wrong() {
            let Some(count) = counts.remove(&(line.program.as_str(), line.variable.as_str()))
            else {
                continue;
            };
            let more = match count {
                1 => String::new(),
                count => format!(" (and at {} more sites)", count - 1),
            };
            let Difference { gdb, ours, .. } = &line.difference;
            let _ = writeln!(
                out,
                "WRONG {}, {}, {}{more}\n    gdb:  {gdb}\n    ours: {ours}",
                line.program, line.location, line.variable
            );
        }
        out
    }

    /// Fails if a value is wrong, or if too many are not printed.
    pub(super) fn verdict(&self) -> Result<()> {
        let total = self.total();
        if total.wrong > 0 {
            return Err(Failure::new(format!("{} values are wrong", total.wrong)).into());
        }
        if total.equal == 0 {
            return Err(Failure::new("nothing was compared").into());
        }
        for (language, optimised, counts) in self.groups() {
            let (share, least) = (counts.share(), least(optimised));
            if share < least {
                let what = if optimised { "optimised" } else { "-O0" };
                return Err(Failure::new(format!(
                    "of {language} {what}, {:.1} % of what gdb prints is printed, at least {:.0} % is promised",
                    100.0 * share,
                    100.0 * least
                ))
                .into());
            }
        }
        Ok(())
    }

    /// Returns the counts by language and by optimisation, without programs that are not in the
    /// corpus.
    fn groups(&self) -> Vec<(&'static str, bool, VariableCounts)> {
        let mut groups: BTreeMap<(&str, bool), VariableCounts> = BTreeMap::new();
        let known = self.programs.iter();
        for (_, flags, language, counts) in known.filter(|(.., language, _)| !language.is_empty()) {
            let plain = flags.contains("-O0") || flags.contains("opt-level=0");
            groups.entry((language, !plain)).or_default().add(counts);
        }
        let groups = groups.into_iter();
        groups
            .map(|((language, optimised), counts)| (language, optimised, counts))
            .collect()
    }

    /// Returns the groups as lines of the table.
    fn summary(&self) -> String {
        let mut out = String::new();
        for (language, optimised, counts) in self.groups() {
            let what = if optimised { "optimised" } else { "-O0" };
            let _ = writeln!(
                out,
                "{:<58} {:>5} {:>6} {:>7} {:>7} {:>7} {:>6} {:>6.1}%",
                format!("all of {language}, {what}"),
                counts.sites,
                counts.equal,
                counts.neither,
                counts.ours_only,
                counts.lacking(),
                counts.wrong,
                100.0 * counts.share()
            );
        }
        out
    }
}

/// Returns the share of gdb's values that we promise to print.
const fn least(optimised: bool) -> f64 {
    if optimised { 0.95 } else { 0.99 }
}

/// Returns a reason without addresses and numbers, for counting.
fn without_numbers(why: &str) -> String {
    let words = why.split(' ').map(|word| {
        if word.starts_with("0x") {
            "0x…"
        } else {
            word
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(flags: &str, equal: usize, lacking: usize) -> FidelityReport {
        let counts = VariableCounts {
            equal,
            lacking: BTreeMap::from([("a reason".to_owned(), lacking)]),
            ..VariableCounts::default()
        };
        FidelityReport {
            programs: vec![("a.c".into(), flags.into(), "c", counts)],
            ..FidelityReport::default()
        }
    }

    #[test]
    fn verdict_fails_below_what_is_promised() {
        assert!(report("gcc -O0", 99, 1).verdict().is_ok());
        assert!(report("gcc -O0", 98, 2).verdict().is_err());
        assert!(report("gcc -O2", 95, 5).verdict().is_ok());
        assert!(report("gcc -O2", 94, 6).verdict().is_err());
        assert!(report("rustc -C opt-level=0", 98, 2).verdict().is_err());
        assert!(report("rustc -C opt-level=3", 96, 4).verdict().is_ok());
    }
}
