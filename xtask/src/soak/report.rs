//! Reports progress, and each failed round with the command that repeats it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::findings::{Class, Findings};
use super::round::{Round, RoundKind};

/// Bytes of evidence that are kept of all rounds together.
const MOST_EVIDENCE: u64 = 1 << 30;
/// Differences of a round that are printed. All are in its directory.
const SHOWN: usize = 5;

/// All rounds so far.
pub(super) struct SoakReport {
    seed: u64,
    began: Instant,
    rounds: BTreeMap<RoundKind, u64>,
    /// Differences by kind.
    classes: BTreeMap<Class, u64>,
    failed: Vec<String>,
    /// The first difference of the first round that failed.
    first: Option<String>,
    findings: Findings,
    evidence: u64,
}

impl SoakReport {
    /// Returns an empty report.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            began: Instant::now(),
            rounds: BTreeMap::new(),
            classes: BTreeMap::new(),
            failed: Vec::new(),
            first: None,
            findings: Findings::default(),
            evidence: 0,
        }
    }

    /// Returns the number of rounds with differences.
    pub(super) fn failed(&self) -> usize {
        self.failed.len()
    }

    /// Returns the first difference of the first failed round, or an empty text if there is none.
    pub(super) fn first(&self) -> &str {
        self.first.as_deref().unwrap_or_default()
    }

    /// Adds a finished round. A failed round is reported at once, and its evidence is kept.
    ///
    /// # Errors
    /// Fails if the evidence cannot be kept.
    pub(super) fn add(&mut self, round: &Round<'_>, number: u64, above: &Path) -> Result<()> {
        *self.rounds.entry(round.kind).or_default() += 1;
        self.findings.add_numbers(&round.findings);
        if round.findings.all.is_empty() {
            return fs::remove_dir_all(&round.directory)
                .with_context(|| format!("cannot remove {}", round.directory.display()));
        }
        for finding in &round.findings.all {
            *self.classes.entry(finding.class).or_default() += 1;
        }
        if let (None, Some(finding)) = (&self.first, round.findings.all.first()) {
            let text: String = finding.text.chars().take(1500).collect();
            self.first = Some(format!("{}: {text}", finding.class));
        }
        let kept = self.keep(round, number, above)?;
        let mut text = format!(
            "round {number} ({}) failed: {} differences",
            round.kind.name(),
            round.findings.all.len()
        );
        for finding in round.findings.all.iter().take(SHOWN) {
            let first: String = finding.text.chars().take(1500).collect();
            // Writing to a text does not fail.
            let _ = write!(text, "\n  {}: {first}", finding.class);
        }
        let repeat = format!(
            "cargo xtask soak --seed {} --round {number} --only {}",
            self.seed,
            round.kind.name()
        );
        let _ = write!(text, "\n  evidence: {kept}\n  repeat it: {repeat}");
        println!("{text}");
        self.failed.push(format!("{repeat}    # {kept}"));
        Ok(())
    }

    /// Moves a round's directory to the evidence, with all findings in it.
    fn keep(&mut self, round: &Round<'_>, number: u64, above: &Path) -> Result<String> {
        let mut text = String::new();
        for finding in &round.findings.all {
            let _ = writeln!(text, "{}: {}", finding.class, finding.text);
        }
        for note in &round.findings.notes {
            let _ = writeln!(text, "\n{note}");
        }
        fs::write(round.directory.join("findings.txt"), text).context("cannot keep evidence")?;
        let size = size(&round.directory);
        if self.evidence + size > MOST_EVIDENCE {
            fs::remove_dir_all(&round.directory).context("cannot remove evidence")?;
            return Ok("none, there is too much of it".to_owned());
        }
        self.evidence += size;
        let kept = above.join(format!("failed-{}-{number}", self.seed));
        if kept.exists() {
            fs::remove_dir_all(&kept).context("cannot remove old evidence")?;
        }
        fs::rename(&round.directory, &kept).context("cannot keep evidence")?;
        Ok(kept.display().to_string())
    }

    /// Returns the table of all rounds.
    pub(super) fn text(&self) -> String {
        let took = Duration::from_secs(self.began.elapsed().as_secs());
        let all: u64 = self.rounds.values().sum();
        let mut text = format!(
            "soak: seed {}, {took:?}, {all} rounds, {} failed\n",
            self.seed,
            self.failed.len()
        );
        let rounds: Vec<String> = self
            .rounds
            .iter()
            .map(|(kind, count)| format!("{} {count}", kind.name()))
            .collect();
        let _ = writeln!(text, "  rounds: {}", rounds.join(", "));
        for (what, number) in &self.findings.numbers {
            let _ = writeln!(text, "  {what:<36} {number:>12}");
        }
        for class in Class::ALL {
            let number = self.classes.get(&class).copied().unwrap_or(0);
            let _ = writeln!(text, "  {:<36} {number:>12}", class.to_string());
        }
        if let Some((time, input)) = &self.findings.slowest {
            let _ = writeln!(text, "  slowest hostile input: {time:?}, `{input}`");
        }
        for failed in &self.failed {
            let _ = writeln!(text, "  failed: {failed}");
        }
        text
    }
}

/// Returns the bytes of the files below a directory.
fn size(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| {
        let path: PathBuf = entry.path();
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size(&path),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        }
    });
    sizes.sum()
}
