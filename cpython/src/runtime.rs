//! CPython in a process: its file, its version, its state, and the code that runs Python code.

mod image;
mod layout;
mod mappings;
mod refusal;
mod thread_state;

pub use self::refusal::Refusal;

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use self::image::{EVAL, Image};
use self::layout::{check_layout, settle_offsets};
use crate::limits::THREADS;
use crate::memory::{LiveMemory, Memory, Numbers as _};
use crate::native::{KnownObjects, Native};
use crate::offsets::{Offsets, VersionTable, table};

/// The versions that have a table.
pub(crate) const KNOWN_VERSIONS: &str = "CPython 3.8 to 3.15";

/// A version of CPython 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// 11 of 3.11.2.
    pub minor: u8,
    /// 2 of 3.11.2. `None` before 3.11, where the interpreter does not tell it.
    pub micro: Option<u8>,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "3.{}", self.minor)?;
        match self.micro {
            Some(micro) => write!(f, ".{micro}"),
            None => Ok(()),
        }
    }
}

/// Where a thread finds its thread state while it runs Python code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThreadStatePlace {
    /// A global variable, of the thread that holds the GIL: up to 3.11.
    Global(u64),
    /// A thread-local variable, at this offset from the thread pointer (`fs` base).
    FromThreadPointer(i64),
    /// A thread-local variable of a library: `*(*(fs base + 8) + 16 * module) + offset`.
    InModule {
        /// Number of the module.
        module: u64,
        /// Offset in the module's block.
        offset: u64,
    },
}

/// The CPython of a process.
#[derive(Clone, Debug)]
pub struct Interpreter {
    /// Its version.
    pub version: Version,
    /// The file that the process runs it from: an executable or `libpython`.
    pub path: PathBuf,
    /// The address of `_PyRuntime`.
    pub runtime: u64,
    /// Addresses of the interpreter states. The main interpreter is the last one.
    pub states: Vec<u64>,
    /// Addresses of the code that runs Python code, in ascending order. An access to an
    /// instruction from anywhere else is no execution.
    pub eval: Vec<Range<u64>>,
    /// Where a thread finds its thread state.
    pub thread_state: ThreadStatePlace,
    /// Offsets in the structures of this interpreter.
    pub offsets: Offsets,
    /// Addresses of known types and objects.
    pub known: KnownObjects,
    /// The heads of the garbage collector's lists.
    pub(crate) collector: Vec<u64>,
    /// What is known of the version.
    pub(crate) table: &'static VersionTable,
}

/// The parts of an interpreter that its file tells.
struct Loaded {
    path: PathBuf,
    bias: u64,
    image: Image,
}

impl Loaded {
    fn address(&self, symbol: &str) -> Option<u64> {
        let symbol = self.image.symbol(symbol)?;
        Some(symbol.address.wrapping_add(self.bias))
    }

    fn required(&self, symbol: &'static str) -> Result<u64, Refusal> {
        self.address(symbol).ok_or_else(|| Refusal::NoSymbol {
            path: self.path.clone(),
            symbol,
        })
    }

    /// The version: the variable `Py_Version` or, before 3.11, the file's name.
    fn version(&self, memory: &dyn Memory) -> Result<Version, Refusal> {
        if let Some(address) = self.address("Py_Version") {
            let [_, micro, minor, major] = memory.array::<4>(address)?;
            let version = Version {
                minor,
                micro: Some(micro),
            };
            return match major {
                3 => Ok(version),
                _ => Err(Refusal::UnknownVersion { version }),
            };
        }
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let digits = name.split("python3.").nth(1).unwrap_or_default();
        let end = digits.find(|c: char| !c.is_ascii_digit());
        let digits = &digits[..end.unwrap_or(digits.len())];
        match digits.parse() {
            Ok(minor) => Ok(Version { minor, micro: None }),
            Err(_) => Err(Refusal::NoVersion {
                path: self.path.clone(),
            }),
        }
    }
}

impl Interpreter {
    /// Finds CPython in a process, and checks that its structures are as this crate knows them.
    ///
    /// # Errors
    ///
    /// [`Refusal`] if there is none or if its lines cannot be traced exactly.
    pub fn find(pid: u32) -> Result<Self, Refusal> {
        let memory = LiveMemory::open(pid).map_err(|error| Refusal::Open {
            path: format!("/proc/{pid}/mem").into(),
            error,
        })?;
        Self::find_in(pid, &memory)
    }

    /// As [`Self::find`], with memory that is open already.
    ///
    /// # Errors
    ///
    /// As [`Self::find`].
    pub fn find_in(pid: u32, memory: &dyn Memory) -> Result<Self, Refusal> {
        let loaded = mappings::load(pid)?;
        let version = loaded.version(memory)?;
        let table = table(version.minor).ok_or(Refusal::UnknownVersion { version })?;
        let runtime = loaded.required("_PyRuntime")?;
        let offsets = settle_offsets(memory, runtime, version, table)?;
        let states = states(memory, runtime, &offsets)?;
        if states.is_empty() {
            return Err(Refusal::NotYet { pid });
        }
        loaded.required(EVAL)?;
        let eval = loaded.image.eval_ranges();
        let place = |range: Range<u64>| {
            range.start.wrapping_add(loaded.bias)..range.end.wrapping_add(loaded.bias)
        };
        let mut python = Self {
            version,
            runtime,
            eval: eval.into_iter().map(place).collect(),
            thread_state: thread_state::find(memory, &loaded, runtime, &offsets)
                .ok_or(Refusal::NoThreadState { version })?,
            known: KnownObjects::by_symbols(|symbol| loaded.address(symbol)),
            path: loaded.path,
            states,
            offsets,
            collector: Vec::new(),
            table,
        };
        if python.jit_is_on(memory)? {
            return Err(Refusal::JitOn { version });
        }
        check_layout(memory, &mut python, pid)?;
        Ok(python)
    }

    /// An interpreter of which the caller knows all addresses: for tests with made-up memory.
    #[doc(hidden)]
    #[must_use]
    pub fn assume(minor: u8, runtime: u64, known: KnownObjects) -> Option<Self> {
        let table = table(minor)?;
        Some(Self {
            version: Version { minor, micro: None },
            path: PathBuf::new(),
            runtime,
            states: vec![runtime.wrapping_add(0x1000)],
            eval: Vec::new(),
            thread_state: ThreadStatePlace::Global(runtime),
            offsets: table.offsets.clone(),
            known,
            collector: vec![runtime.wrapping_add(0x2000)],
            table,
        })
    }

    /// Returns true if the JIT is on or has run.
    ///
    /// # Errors
    ///
    /// [`Refusal::Memory`] if the memory cannot be read.
    pub fn jit_is_on(&self, memory: &dyn Memory) -> Result<bool, Refusal> {
        for state in &self.states {
            if let Some(jit) = self.offsets.interpreter_jit
                && memory.byte(state.wrapping_add(jit))? != 0
            {
                return Ok(true);
            }
            if let Some(executors) = self.offsets.interpreter_executors
                && memory.word(state.wrapping_add(executors))? != 0
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns true if an instruction at this address runs Python code.
    #[must_use]
    pub fn runs_python(&self, address: u64) -> bool {
        self.eval.iter().any(|range| range.contains(&address))
    }

    /// The address of a type.
    #[must_use]
    pub fn type_of(&self, native: Native) -> Option<u64> {
        self.known.address(native)
    }
}

/// The interpreter states, newest first.
fn states(memory: &dyn Memory, runtime: u64, offsets: &Offsets) -> Result<Vec<u64>, Refusal> {
    let mut states = Vec::new();
    let mut state = memory.word(runtime.wrapping_add(offsets.runtime_interpreters_head))?;
    while state != 0 && states.len() < THREADS && !states.contains(&state) {
        states.push(state);
        state = memory.word(state.wrapping_add(offsets.interpreter_next))?;
    }
    Ok(states)
}
