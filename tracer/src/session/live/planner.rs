//! The thread that resolves and compiles probes: everything that needs no kernel.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use super::LiveMessage;
use super::executables::{Executable, ExecutableId};
use crate::base::diagnostic::Diagnostic;
use crate::lang::ast::ProbeSpec;
use crate::session::SessionOptions;
use crate::session::actor::{Message, Ticket};
use crate::session::prepare::placing::SitePlacer;
use crate::session::prepare::runtime::runtime_of;
use crate::session::prepare::{PreparedProbe, Setting};
use crate::session::sites::located::ProbeLocation;
use crate::session::sites::module_numbers::ModuleNumbers;
use crate::session::sites::modules::has_sources;
use crate::session::sites::process_modules::ProcessModules;
use crate::session::sites::traced::{SeenCall, TracedCode, resolve_more};

/// A plan to be made.
pub(crate) struct PlanJob {
    pub(crate) ticket: Ticket,
    pub(crate) spec: Arc<ProbeSpec>,
    /// The executables that it is to have sites in.
    pub(super) programs: Vec<PlannedProgram>,
    /// Some probe of the session makes spans.
    pub(super) has_spans: bool,
}

/// An executable that a plan is made for.
pub(crate) struct PlannedProgram {
    executable: ExecutableId,
    modules: Arc<ProcessModules>,
    /// The places of the other probes' sites.
    placing: Arc<SitePlacer>,
    /// The probe is attached there, and is to follow more calls.
    more: Option<MoreCalls>,
}

/// Calls that an attached trace is to follow.
pub(crate) struct MoreCalls {
    pub(super) code: Arc<TracedCode>,
    pub(super) seen: Vec<SeenCall>,
}

impl PlannedProgram {
    pub(super) fn of(executable: &Executable, more: Option<MoreCalls>) -> Self {
        Self {
            executable: executable.id,
            modules: Arc::clone(&executable.modules),
            placing: Arc::clone(&executable.placing),
            more,
        }
    }
}

/// A probe, ready to be attached in each executable that has its location.
pub(crate) struct LivePlan {
    /// Never empty.
    pub(super) parts: Vec<PlannedPart>,
    /// The calls that an attached trace was to follow, whether or not it does.
    pub(super) covered: Vec<CoveredCalls>,
    /// The executables that it was made for.
    pub(super) planned: Vec<ExecutableId>,
    /// Why other executables have none.
    pub(super) notes: Vec<String>,
}

/// A probe, ready to be attached in one executable.
pub(crate) struct PlannedPart {
    pub(super) executable: ExecutableId,
    pub(super) probe: PreparedProbe,
    /// It is attached there, and these are its sites in functions that it follows from now on.
    pub(super) is_more: bool,
}

/// Calls that a plan was asked to follow.
pub(crate) struct CoveredCalls {
    pub(super) executable: ExecutableId,
    /// The first ones of [`PartTrace::unplanned`](super::calls::PartTrace::unplanned).
    pub(super) count: usize,
}

/// The owner's end of the thread, which ends when this is dropped and its last plan is made.
pub(crate) struct Planner(Sender<PlanJob>);

impl Planner {
    /// Starts the thread. Plans come back as messages.
    pub(crate) fn start(
        options: Arc<SessionOptions>,
        numbers: Option<Arc<ModuleNumbers>>,
        messages: Sender<LiveMessage>,
    ) -> io::Result<Self> {
        let (sender, jobs) = channel();
        thread::Builder::new()
            .name("planner".into())
            .spawn(move || serve(&jobs, &options, numbers.as_deref(), &messages))?;
        Ok(Self(sender))
    }

    /// Has a plan made.
    pub(super) fn begin(&self, job: PlanJob) {
        // The thread ends after this, unless it panicked. Then the panic hook has reported it.
        let _ = self.0.send(job);
    }
}

fn serve(
    jobs: &Receiver<PlanJob>,
    options: &SessionOptions,
    numbers: Option<&ModuleNumbers>,
    messages: &Sender<LiveMessage>,
) {
    while let Ok(PlanJob {
        ticket,
        spec,
        programs,
        has_spans,
    }) = jobs.recv()
    {
        let planned = catch_unwind(AssertUnwindSafe(|| {
            let made_with = PlannedWith {
                options,
                numbers,
                has_spans,
            };
            plan(&spec, &programs, made_with)
        }));
        // A caller that waits for the plan would wait forever. The panic hook has reported the
        // rest.
        let result = planned
            .unwrap_or_else(|_| Err(Diagnostic::new("compiling the probe failed: this is a bug")));
        // Let go of before the owner may change it in place.
        drop(programs);
        if messages.send(Message::Planned { ticket, result }).is_err() {
            return;
        }
    }
}

/// The session's part of a plan.
#[derive(Clone, Copy)]
struct PlannedWith<'p> {
    options: &'p SessionOptions,
    numbers: Option<&'p ModuleNumbers>,
    has_spans: bool,
}

/// Plans a probe for each executable. One that lacks the location does not disturb the others.
fn plan(
    spec: &ProbeSpec,
    programs: &[PlannedProgram],
    made_with: PlannedWith<'_>,
) -> Result<LivePlan, Diagnostic> {
    let mut plan = LivePlan {
        parts: Vec::new(),
        covered: programs.iter().filter_map(covered).collect(),
        planned: programs.iter().map(|program| program.executable).collect(),
        notes: Vec::new(),
    };
    let mut best: Option<ProgramRefusal> = None;
    for program in programs {
        match plan_one(spec, program, made_with) {
            Ok(mut probe) => {
                // Calls begin in the last part. Lines that are attached after it would be missing in them.
                let elsewhere = std::mem::take(&mut probe.elsewhere);
                plan.parts.extend(
                    elsewhere
                        .into_iter()
                        .chain([probe])
                        .map(|probe| PlannedPart {
                            executable: program.executable,
                            probe,
                            is_more: program.more.is_some(),
                        }),
                );
            }
            Err(mut refusal) => {
                let modules = program.modules.now();
                let name = modules.all().first().map(|main| main.file.name.clone());
                let name = name.unwrap_or_default();
                let message = &mut refusal.error.message;
                plan.notes.push(format!("no site in `{name}`: {message}"));
                if programs.len() > 1 && !message.contains(&name) {
                    *message = format!("{message} (in `{name}`)");
                }
                if best
                    .as_ref()
                    .is_none_or(|best| best.nearness < refusal.nearness)
                {
                    best = Some(refusal);
                }
            }
        }
    }
    match best {
        Some(refusal) if plan.parts.is_empty() => Err(refusal.error),
        _ => Ok(plan),
    }
}

fn covered(program: &PlannedProgram) -> Option<CoveredCalls> {
    let more = program.more.as_ref()?;
    Some(CoveredCalls {
        executable: program.executable,
        count: more.seen.len(),
    })
}

/// The reason why a probe has no site in one program.
struct ProgramRefusal {
    nearness: Nearness,
    error: Diagnostic,
}

/// How near a program is to be the one that is meant. A shell or a supervisor beside it has no debug
/// information, or other files.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Nearness {
    NoDebugInfo,
    NoLocation,
    Located,
}

/// Resolves, types and compiles for one executable.
fn plan_one(
    spec: &ProbeSpec,
    program: &PlannedProgram,
    made_with: PlannedWith<'_>,
) -> Result<PreparedProbe, ProgramRefusal> {
    let runtime = runtime_of(spec);
    let mut modules = program.modules.now();
    let resolved = match &program.more {
        Some(more) => {
            // A library may have been loaded since the last look.
            modules = program.modules.look_again().unwrap_or(modules);
            resolve_more(&modules, spec, &more.code, &more.seen).map(ProbeLocation::Traced)
        }
        None => runtime.resolve(&modules, spec),
    };
    let location = match resolved {
        Ok(location) => location,
        Err(error) if program.more.is_some() => {
            return Err(ProgramRefusal {
                nearness: Nearness::Located,
                error,
            });
        }
        // A library may have been loaded since the last look.
        Err(error) => {
            let mut again = Err(error);
            if let Some(now) = program.modules.look_again() {
                modules = now;
                again = runtime.resolve(&modules, spec);
            }
            again.map_err(|error| ProgramRefusal {
                nearness: match has_sources(&modules) {
                    true => Nearness::NoLocation,
                    false => Nearness::NoDebugInfo,
                },
                error,
            })?
        }
    };
    let setting = Setting {
        modules: &modules,
        placing: &program.placing,
        options: made_with.options,
        numbers: made_with.numbers,
        has_spans: made_with.has_spans,
    };
    let planned = runtime.plan(spec, location, setting);
    planned.map_err(|error| ProgramRefusal {
        nearness: Nearness::Located,
        error,
    })
}
