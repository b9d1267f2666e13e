//! One round: what its kind needs, and what every kind checks at the end.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::ValueEnum;

use super::findings::{Class, Findings, Hang};
use super::places::Place;
use super::probes::{Choice, Probe};
use super::programs::{Program, Programs};
use super::random::Random;
use super::residue::{self, Before};
use super::rounds;
use super::session::{Reader, Session, Start, attach};
use super::target::Target;

/// In the environment of all processes of a round.
const MARKER: &str = "TRACER_SOAK_ROUND";

/// What a round does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(super) enum Kind {
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
    /// Probes that are none, and damaged files
    Hostile,
}

/// How often each kind is drawn.
const WEIGHTS: [(Kind, u64); 9] = [
    (Kind::Accounts, 6),
    (Kind::Forks, 3),
    (Kind::Kills, 4),
    (Kind::Deaths, 3),
    (Kind::Pipes, 1),
    (Kind::Reload, 2),
    (Kind::Loads, 2),
    (Kind::Execs, 1),
    (Kind::Hostile, 4),
];

impl Kind {
    /// A random one of those that are wanted; none: of all.
    fn random(only: &[Self], random: &mut Random) -> Self {
        let wanted = |kind: &Self| only.is_empty() || only.contains(kind);
        let choices = WEIGHTS.iter().filter(|(kind, _)| wanted(kind));
        let kinds: Vec<Self> = choices
            .flat_map(|&(kind, weight)| (0..weight).map(move |_| kind))
            .collect();
        random.pick(&kinds)
    }

    /// As it is written behind `--only`.
    pub(super) fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// A round that runs.
pub(super) struct Round<'a> {
    /// What it does.
    pub(super) kind: Kind,
    /// The source of all that is random in it.
    pub(super) random: Random,
    /// What it works with.
    pub(super) programs: &'a Programs,
    /// A directory of its own.
    pub(super) directory: PathBuf,
    /// What it has found.
    pub(super) findings: Findings,
    marker: String,
    targets: usize,
}

impl<'a> Round<'a> {
    /// Prepares the round of this number.
    ///
    /// # Errors
    /// Its directory cannot be made.
    pub(super) fn new(
        seed: u64,
        number: u64,
        only: &[Kind],
        programs: &'a Programs,
        above: &Path,
    ) -> Result<Self> {
        let mut random = Random::new(seed ^ (number + 1).wrapping_mul(0xD6E8_FEB8_6659_FD93));
        let kind = Kind::random(only, &mut random);
        let directory = above.join(format!("round-{number}"));
        fs::create_dir_all(directory.join("home"))
            .with_context(|| format!("cannot make {}", directory.display()))?;
        Ok(Self {
            kind,
            random,
            programs,
            directory,
            findings: Findings::default(),
            marker: format!("{}-{number}", std::process::id()),
            targets: 0,
        })
    }

    /// Runs it to its end, and looks for what it left.
    pub(super) fn run(&mut self, before: &Before) {
        let result = match self.kind {
            Kind::Accounts => rounds::accounts::run(self),
            Kind::Forks => rounds::forks::run(self),
            Kind::Kills => rounds::kills::run(self),
            Kind::Deaths => rounds::deaths::run(self),
            Kind::Pipes => rounds::pipes::run(self),
            Kind::Reload => rounds::reload::run(self),
            Kind::Loads => rounds::loads::run(self),
            Kind::Execs => rounds::execs::run(self),
            Kind::Hostile => rounds::hostile::run(self),
        };
        if let Err(error) = result {
            let class = if error.downcast_ref::<Hang>().is_some() {
                Class::Hang
            } else {
                Class::Soak
            };
            self.findings.add(class, format!("{error:#}"));
        }
        let marker = (MARKER, self.marker.as_str());
        residue::check_machine(before, marker, &self.home(), &mut self.findings);
    }

    /// The tracers' home and working directory, which must be empty in the end.
    pub(super) fn home(&self) -> PathBuf {
        self.directory.join("home")
    }

    /// Starts a target, one of all.
    ///
    /// # Errors
    /// It does not start.
    pub(super) fn target(&mut self) -> Result<Target> {
        self.target_of(|_| true)
    }

    /// Starts a target that is not optimised.
    ///
    /// # Errors
    /// It does not start.
    pub(super) fn plain_target(&mut self) -> Result<Target> {
        self.target_of(|program| !program.optimised)
    }

    fn target_of(&mut self, is_meant: impl Fn(&Program) -> bool) -> Result<Target> {
        let meant = self.programs.targets.iter().filter(|one| is_meant(one));
        let meant: Vec<&Program> = meant.collect();
        let program = self.random.pick(&meant);
        self.findings.count("targets", 1);
        self.targets += 1;
        let marker = (MARKER, self.marker.as_str());
        Target::start(program, &self.directory, marker, self.targets)
    }

    /// Random probes for a target: `a`, `b`, ….
    pub(super) fn probes(
        &mut self,
        target: &Target,
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

    /// How a tracer with these arguments is started.
    pub(super) fn start_of(&self, arguments: Vec<String>) -> Start {
        Start {
            tracer: self.programs.tracer.clone(),
            home: self.home(),
            marker: (MARKER, self.marker.clone()),
            arguments,
        }
    }

    /// Starts a tracer with probes on a target.
    ///
    /// # Errors
    /// It does not start.
    pub(super) fn session(
        &mut self,
        target: &Target,
        probes: &[Probe],
        more: &[String],
    ) -> Result<Session> {
        self.session_with(target, probes, more, Reader::Reads)
    }

    /// The same with another reader of its output.
    ///
    /// # Errors
    /// It does not start.
    pub(super) fn session_with(
        &mut self,
        target: &Target,
        probes: &[Probe],
        more: &[String],
        reader: Reader,
    ) -> Result<Session> {
        self.findings.count("sessions", 1);
        let start = self.start_of(attach(target.pid(), probes, more));
        Session::start(&start, reader)
    }

    /// Options of a tracer that change nothing of what must come out.
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
