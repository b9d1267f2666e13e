//! The start of a session: its targets, its first program, the kernel's side, and its threads.

use std::collections::BTreeMap;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;

use tracer_common::limits::MAX_ACCOUNTS;

use super::actor::{self, Actor, Message};
use super::live::trap_cost::known_trap_cost;
use super::live::{Arrival, FamilyWatch, Live, LiveParts, NewMember, Planner, SelectedTargets};
use super::reader::wait::{Stopper, Waiter};
use super::sites::known_processes::KnownProcesses;
use super::sites::module_numbers::ModuleNumbers;
use super::sites::modules::Modules;
use super::sites::process_modules::ProcessModules;
use super::{AttachError, Session, SessionOptions, reader};
use crate::base::limits::BUFFER_BYTES;
use crate::kernel::{LoadOptions, Machine};
use crate::session::Forks;
use crate::session::shared::{ReaderNews, SharedState};
use crate::target::paging::Pager;
use crate::target::select::Selection;
use crate::target::{ExecutableFile, Process, has_debug_info};

/// The processes that a session is for.
#[derive(Debug)]
pub enum Aim {
    /// One process, and with [`SessionOptions::forks`] those that it forks.
    Process(u32),
    /// All processes that match, now and later.
    Selection(Box<Selection>),
    /// A process that executes a program soon.
    Launched {
        /// The process.
        pid: u32,
        /// The file that it will execute.
        program: PathBuf,
    },
}

/// The program that a session begins with.
struct FirstProgram {
    file: ExecutableFile,
    modules: ProcessModules,
}

impl FirstProgram {
    /// The program that a process runs.
    fn of_process(process: Arc<Process>, options: &SessionOptions) -> Result<Self, AttachError> {
        let (file, held) = process.executable_file()?;
        let modules = Modules::read(&process, &options.debug)?.holding_main(held);
        Ok(Self {
            file,
            modules: ProcessModules::new(Some(process), options.debug.clone(), modules),
        })
    }

    /// A program that no process runs yet.
    fn of_file(path: PathBuf, options: &SessionOptions) -> Result<Self, AttachError> {
        let (file, held) = match ExecutableFile::hold(&path) {
            Ok(held) => held,
            Err(source) => return Err(AttachError::Program { path, source }),
        };
        let modules = Modules::of_program(&path, file, &options.debug).holding_main(held);
        Ok(Self {
            file,
            modules: ProcessModules::new(None, options.debug.clone(), modules),
        })
    }

    /// Reads its tables now, and fails if it is no program.
    fn check(self, pid: u32) -> Result<Self, AttachError> {
        let modules = self.modules.now();
        let main = modules.all().first().ok_or(AttachError::NoCode { pid })?;
        let debug = main
            .debug()
            .map_err(|error| AttachError::Executable(Arc::clone(error)))?;
        let _warm = debug.source_files();
        Ok(self)
    }
}

/// The first program and the processes of a session.
struct Start {
    program: FirstProgram,
    /// The one process, where it is one.
    process: Option<Arc<Process>>,
    /// The processes that match now.
    members: Vec<NewMember>,
}

impl Start {
    fn of(aim: &Aim, options: &SessionOptions) -> Result<Self, AttachError> {
        match aim {
            Aim::Process(pid) => {
                let process = Arc::new(Process::open(*pid)?);
                let program = FirstProgram::of_process(Arc::clone(&process), options)?;
                Ok(Self {
                    program: program.check(*pid)?,
                    process: Some(process),
                    members: Vec::new(),
                })
            }
            Aim::Launched { pid, program } => Ok(Self {
                program: FirstProgram::of_file(program.clone(), options)?.check(*pid)?,
                process: None,
                members: Vec::new(),
            }),
            Aim::Selection(selection) => Self::of_selection(selection, options),
        }
    }

    /// Begins with the first process that can be read, or with a selected file that none runs yet. A program
    /// with debug information goes before the shell that has started it.
    fn of_selection(selection: &Selection, options: &SessionOptions) -> Result<Self, AttachError> {
        let mut matching = selection.scan()?;
        let mut known = BTreeMap::new();
        matching.sort_by_key(|process| {
            let can_be_read = known
                .entry(process.executable.inode)
                .or_insert_with(|| has_debug_info(process.pid));
            *can_be_read != Some(true)
        });
        let mut first_error = None;
        let mut program = None;
        for process in &matching {
            let opened = Process::open(process.pid).map_err(AttachError::from);
            let read = opened.and_then(|process| {
                let pid = process.pid();
                FirstProgram::of_process(Arc::new(process), options)?.check(pid)
            });
            match read {
                Ok(read) => {
                    program = Some(read);
                    break;
                }
                Err(error) => {
                    first_error.get_or_insert(error);
                }
            }
        }
        let program = match (program, first_error) {
            (Some(program), _) => program,
            (None, Some(error)) => return Err(error),
            (None, None) => {
                let path = selection.paths().into_iter().next();
                let path = path.filter(|_| selection.selector().wait);
                let path =
                    path.ok_or_else(|| AttachError::Selection(selection.nothing_matches()))?;
                FirstProgram::of_file(path, options)?.check(0)?
            }
        };
        let member = |process: &crate::target::select::ProcessFacts| NewMember {
            process: process.pid,
            initial: process.pid,
            is_reported: false,
            arrival: match selection.empty_ns() {
                Some(empty_ns) => Arrival::awaited(process, empty_ns),
                None => Arrival::Before,
            },
        };
        Ok(Self {
            program,
            process: None,
            members: matching.iter().map(member).collect(),
        })
    }
}

/// The kernel's side and the first program of a session.
struct LoadedStart {
    machine: Machine,
    start: Start,
}

impl LoadedStart {
    /// Loads the kernel's side, while the tables of the executable are read.
    fn of(aim: &Aim, options: &SessionOptions) -> Result<Self, AttachError> {
        let processes = super::live::processes_of(aim, options.forks);
        let load = LoadOptions {
            ring_bytes: options.ring_bytes,
            perf_events: options.perf_events,
            more_probes: options.more_probes,
            processes,
            // One process has all hits.
            accounts: match processes.are_reported() {
                false => 0,
                true => MAX_ACCOUNTS,
            },
        };
        let (machine, start) = thread::scope(|scope| {
            let loading = scope.spawn(move || Machine::load(&load));
            let start = Start::of(aim, options);
            (loading.join(), start)
        });
        let machine = match machine {
            Ok(machine) => machine?,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        Ok(Self {
            machine,
            start: start?,
        })
    }
}

/// Follows the processes of a session. `None` if it is for one process alone.
fn watch(
    machine: &mut Machine,
    aim: Aim,
    process: Option<&Process>,
    options: &SessionOptions,
) -> Result<Option<FamilyWatch>, AttachError> {
    let Some(selection) = machine.take_selection() else {
        return Ok(None);
    };
    let forks = options.forks;
    Ok(Some(match (aim, process) {
        (Aim::Process(_), Some(process)) => FamilyWatch::new(selection, process, forks)?,
        (aim, _) => FamilyWatch::selected(selection, SelectedTargets::of(aim, forks))?,
    }))
}

impl Session {
    /// Opens a process and loads the kernel's side. Attaches no probe yet.
    ///
    /// # Errors
    /// The process cannot be traced, or a privilege or kernel feature is missing.
    pub fn attach(pid: u32, options: &SessionOptions) -> Result<Arc<Self>, AttachError> {
        Self::begin(Aim::Process(pid), options)
    }

    /// Finds the targets and loads the kernel's side. Attaches no probe yet.
    ///
    /// # Errors
    /// No process matches, none that does can be traced, or a privilege or kernel feature is missing.
    pub fn begin(aim: Aim, options: &SessionOptions) -> Result<Arc<Self>, AttachError> {
        let program = options.pager.clone();
        let pager = program.and_then(|program| Pager::start(program).ok());
        let LoadedStart { mut machine, start } = LoadedStart::of(&aim, options)?;
        let Start {
            program: FirstProgram { file, modules },
            process,
            members,
        } = start;
        let thread_error = |source| AttachError::Reader { source };
        let ring = machine.take_ring().ok_or(AttachError::NoCode { pid: 0 })?;
        let open_calls = machine.open_calls().map_err(thread_error)?;
        let stopper = Stopper::new().map_err(thread_error)?;
        let selectors = match &aim {
            Aim::Selection(selection) => Some(selection.selector().to_string()),
            Aim::Process(_) | Aim::Launched { .. } => None,
        };
        let apart = !matches!(aim, Aim::Process(_));
        let family = watch(&mut machine, aim, process.as_deref(), options)?;
        let exited = match (&family, &process) {
            (Some(family), _) => family.all_gone(),
            (None, Some(process)) => process.pidfd().as_fd(),
            (None, None) => return Err(AttachError::NoCode { pid: 0 }),
        };
        let waiter = Waiter::new(stopper.as_fd(), exited, ring.as_fd()).map_err(thread_error)?;
        let buffer = match options.buffer_bytes {
            0 => BUFFER_BYTES,
            bytes => bytes,
        };
        let first = Arc::new(modules);
        let (messages, inbox) = channel();
        let of_reader = messages.clone();
        let news = Box::new(move |news| {
            // The owner ends with the session.
            let _ = of_reader.send(match news {
                ReaderNews::LibraryLoaded => Message::LibraryLoaded,
                ReaderNews::Watch(news) => Message::Watch(news),
            });
        });
        let known = match apart {
            false => KnownProcesses::of_one(Arc::clone(&first)),
            true => KnownProcesses::of_many(Arc::clone(&first), options.debug.clone()),
        };
        let shared = Arc::new(SharedState::new(known, news, pager));
        let of_reader = Arc::clone(&shared);
        let reader = thread::Builder::new()
            .name("reader".into())
            .spawn(move || {
                let parts = reader::RingReaderParts { ring, open_calls };
                reader::run(&of_reader, parts, &waiter, buffer / 2);
            })
            .map_err(thread_error)?;
        let mut options = options.clone();
        if apart {
            // The sites are in every process that runs the file, as with this mode.
            options.forks = Forks::Exact;
        }
        let options = Arc::new(options);
        let numbers = apart.then(Arc::<ModuleNumbers>::default);
        let planner = Planner::start(Arc::clone(&options), numbers.clone(), messages.clone());
        let planner = planner.map_err(thread_error)?;
        if let Some(family) = &family {
            family.start(messages.clone()).map_err(thread_error)?;
        }
        let mut live = Live::new(LiveParts {
            file,
            modules: Arc::clone(&first),
            options,
            machine,
            shared: Arc::clone(&shared),
            planner,
            family,
            known_trap: known_trap_cost(),
            messages: messages.clone(),
            numbers,
        });
        for member in members {
            live.join(member);
        }
        live.expect_programs();
        let owner = thread::Builder::new()
            .name("session".into())
            .spawn(move || actor::run(Actor::new(live), &inbox))
            .map_err(thread_error)?;
        Ok(Arc::new(Self {
            first,
            selectors,
            shared,
            queue_bytes: buffer / 4,
            messages,
            owner: Mutex::new(Some(owner)),
            stopper,
            reader: Mutex::new(Some(reader)),
        }))
    }
}
