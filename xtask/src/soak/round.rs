//! One round: its setup, and the checks that every kind has at its end.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::ValueEnum;

use super::findings::{Class, Findings, Hang};
use super::places::Place;
use super::probes::{Choice, Probe};
use super::programs::{SoakPrograms, TargetProgram};
use super::random::Random;
use super::residue::{self, Before};
use super::rounds;
use super::session::{EventReader, Session, Start, attach};
use super::target::{Marker, SoakTarget};

/// Name of the marker of a round's processes.
const MARKER: &str = "TRACER_SOAK_ROUND";

/// The kinds of rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(super) enum RoundKind {
    /// Sessions on targets that pass in windows: every hit, value and sum is known
    Accounts,
    /// Targets that fork, with and without --follow-fork
    Forks,
    /// Tracers that are killed and signalled at random moments
    Kills,
    /// Targets that crash or are killed under their probes
    Deaths,
    /// Readers of the output that stop or go
    Pipes,
    /// Probe files that are rewritten while they are in use
    Reload,
    /// Libraries that are loaded and unloaded
    Loads,
    /// Targets that execute themselves
    Execs,
    /// Texts that are not probes, and damaged files
    Hostile,
}

/// Weights of the kinds.
const WEIGHTS: [(RoundKind, u64); 9] = [
    (RoundKind::Accounts, 6),
    (RoundKind::Forks, 3),
    (RoundKind::Kills, 4),
    (RoundKind::Deaths, 3),
    (RoundKind::Pipes, 1),
    (RoundKind::Reload, 2),
    (RoundKind::Loads, 2),
    (RoundKind::Execs, 1),
    (RoundKind::Hostile, 4),
];

impl RoundKind {
    /// Draws one of the wanted kinds, or of all if none is given.
    fn random(only: &[Self], random: &mut Random) -> Self {
        let wanted = |kind: &Self| only.is_empty() || only.contains(kind);
        let choices = WEIGHTS.iter().filter(|(kind, _)| wanted(kind));
        let kinds: Vec<Self> = choices
            .flat_map(|&(kind, weight)| (0..weight).map(move |_| kind))
            .collect();
        random.pick(&kinds)
    }

    /// Returns the name after `--only`.
    pub(super) fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// A round in progress.
pub(super) struct Round<'a> {
    /// Its kind.
    pub(super) kind: RoundKind,
    /// The source of its random numbers.
    pub(super) random: Random,
    /// The programs that it uses.
    pub(super) programs: &'a SoakPrograms,
    /// Its own directory.
    pub(super) directory: PathBuf,
    /// Its findings.
    pub(super) findings: Findings,
    marker: Marker,
    targets: usize,
}

impl<'a> Round<'a> {
    /// Prepares the round with this number.
    ///
    /// # Errors
    /// Fails if the directory cannot be created.
    pub(super) fn new(
        seed: u64,
        number: u64,
        only: &[RoundKind],
        programs: &'a SoakPrograms,
        above: &Path,
    ) -> Result<Self> {
        let mut random = Random::new(seed ^ (number + 1).wrapping_mul(0xD6E8_FEB8_6659_FD93));
        let kind = RoundKind::random(only, &mut random);
        let directory = above.join(format!("round-{number}"));
        fs::create_dir_all(directory.join("home"))
            .with_context(|| format!("cannot make {}", directory.display()))?;
        Ok(Self {
            kind,
            random,
            programs,
            directory,
            findings: Findings::default(),
            marker: Marker {
                name: MARKER,
                value: format!("{}-{number}", std::process::id()),
            },
            targets: 0,
        })
    }

    /// Runs the round to its end, and checks for leftovers.
    pub(super) fn run(&mut self, before: &Before) {
        let result = match self.kind {
            RoundKind::Accounts => rounds::accounts::run(self),
            RoundKind::Forks => rounds::forks::run(self),
            RoundKind::Kills => rounds::kills::run(self),
            RoundKind::Deaths => rounds::deaths::run(self),
            RoundKind::Pipes => rounds::pipes::run(self),
            RoundKind::Reload => rounds::reload::run(self),
            RoundKind::Loads => rounds::loads::run(self),
            RoundKind::Execs => rounds::execs::run(self),
            RoundKind::Hostile => rounds::hostile::run(self),
        };
        if let Err(error) = result {
            let class = if error.downcast_ref::<Hang>().is_some() {
                Class::Hang
            } else {
                Class::Soak
            };
            self.findings.add(class, format!("{error:#}"));
        }
        let home = self.home();
        residue::check_machine(before, &self.marker, &home, &mut self.findings);
    }

    /// Returns the tracers' home and working directory, which must be empty at the end.
    pub(super) fn home(&self) -> PathBuf {
        self.directory.join("home")
    }

    /// Starts a random target.
    ///
    /// # Errors
    /// Fails if the target does not start.
    pub(super) fn target(&mut self) -> Result<SoakTarget> {
        self.target_of(|_| true)
    }

    /// Starts a random target without optimisation.
    ///
    /// # Errors
    /// Fails if the target does not start.
    pub(super) fn plain_target(&mut self) -> Result<SoakTarget> {
        self.target_of(|program| !program.optimised)
    }

    fn target_of(&mut self, is_meant: impl Fn(&TargetProgram) -> bool) -> Result<SoakTarget> {
        let meant = self.programs.targets.iter().filter(|one| is_meant(one));
        let meant: Vec<&TargetProgram> = meant.collect();
        let program = self.random.pick(&meant);
        self.findings.count("targets", 1);
        self.targets += 1;
        SoakTarget::start(program, &self.directory, &self.marker, self.targets)
    }

    /// Creates random probes for a target: `a`, `b`, ….
    pub(super) fn probes(
        &mut self,
        target: &SoakTarget,
        places: &[Place],
        most: u64,
        limits: bool,
    ) -> Vec<Probe> {
        let choice = Choice { places, limits };
        let count = 1 + self.random.below(most);
        let names = ('a'..='z').take(usize::try_from(count).unwrap_or(1));
        let sites = &target.program.sites;
        names
            .map(|name| Probe::random(&name.to_string(), sites, choice, &mut self.random))
            .collect()
    }

    /// Returns the command of a tracer with these arguments.
    pub(super) fn start_of(&self, arguments: Vec<String>) -> Start {
        Start {
            tracer: self.programs.tracer.clone(),
            home: self.home(),
            marker: self.marker.clone(),
            arguments,
        }
    }

    /// Starts a tracer with probes on a target.
    ///
    /// # Errors
    /// Fails if the tracer does not start.
    pub(super) fn session(
        &mut self,
        target: &SoakTarget,
        probes: &[Probe],
        more: &[String],
    ) -> Result<Session> {
        self.session_with(target, probes, more, EventReader::Reads)
    }

    /// Starts a tracer with probes on a target, and another reader of its output.
    ///
    /// # Errors
    /// Fails if the tracer does not start.
    pub(super) fn session_with(
        &mut self,
        target: &SoakTarget,
        probes: &[Probe],
        more: &[String],
        reader: EventReader,
    ) -> Result<Session> {
        self.findings.count("sessions", 1);
        let start = self.start_of(attach(target.pid(), probes, more));
        Session::start(&start, reader)
    }

    /// Returns options of a tracer that must not change its results.
    pub(super) fn options(&mut self) -> Vec<String> {
        let mut options: Vec<&str> = Vec::new();
        if self.random.one_in(6) {
            options.extend(["--site", "first"]);
        }
        if self.random.one_in(10) {
            options.push("--perf-events");
        }
        if self.random.one_in(4) {
            options.extend(["--ring-bytes", "1048576"]);
        }
        options.into_iter().map(str::to_owned).collect()
    }
}
