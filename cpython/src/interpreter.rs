//! The CPython of a process: its version, its addresses, its offsets.
//!
//! `runtime` finds it.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use crate::memory::{Numbers as _, TargetMemory, Unreadable};
use crate::native::{KnownObjects, Native};
use crate::offsets::{Offsets, VersionTable, table};

/// The versions that have a table.
pub(crate) const KNOWN_VERSIONS: &str = "CPython 3.8 to 3.15";

/// A version of CPython 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PyVersion {
    /// 11 of 3.11.2.
    pub minor: u8,
    /// 2 of 3.11.2. `None` before 3.11, where the interpreter does not tell it.
    pub micro: Option<u8>,
}

impl fmt::Display for PyVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "3.{}", self.minor)?;
        match self.micro {
            Some(micro) => write!(f, ".{micro}"),
            None => Ok(()),
        }
    }
}

/// The place of the pointer to a thread's state while it runs Python code.
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
    pub version: PyVersion,
    /// The file that the process runs it from: an executable or `libpython`.
    pub path: PathBuf,
    /// The address of `_PyRuntime`.
    pub runtime: u64,
    /// Addresses of the interpreter states. The main interpreter is the last one.
    pub states: Vec<u64>,
    /// Addresses of the code that runs Python code, in ascending order. An access to an
    /// instruction from anywhere else is not an execution.
    pub eval: Vec<Range<u64>>,
    /// The place of the pointer to a thread's state.
    pub thread_state: ThreadStatePlace,
    /// Offsets in the structures of this interpreter.
    pub offsets: Offsets,
    /// Addresses of known types and objects.
    pub known: KnownObjects,
    /// The heads of the garbage collector's lists.
    pub(crate) collector: Vec<u64>,
    /// The facts of the version.
    pub(crate) table: &'static VersionTable,
}

impl Interpreter {
    /// An interpreter whose addresses the caller knows: for tests with made-up memory.
    #[doc(hidden)]
    #[must_use]
    pub fn assume(minor: u8, runtime: u64, known: KnownObjects) -> Option<Self> {
        let table = table(minor)?;
        Some(Self {
            version: PyVersion { minor, micro: None },
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
    /// [`Unreadable`] if the memory cannot be read.
    pub fn jit_is_on(&self, memory: &dyn TargetMemory) -> Result<bool, Unreadable> {
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

    /// A pointer of a frame without its tag. From 3.14 on, two bits say how it is counted.
    #[must_use]
    pub fn untagged(&self, pointer: u64) -> u64 {
        if self.version.minor >= 14 {
            pointer & !3
        } else {
            pointer
        }
    }
}

impl ThreadStatePlace {
    /// The thread state of the thread with this thread pointer (`fs` base). Zero if the thread
    /// does not run Python code; up to 3.11, the thread state of the GIL's holder.
    ///
    /// # Errors
    ///
    /// [`Unreadable`] if the memory cannot be read.
    pub fn read(self, memory: &dyn TargetMemory, thread_pointer: u64) -> Result<u64, Unreadable> {
        match self {
            Self::Global(address) => memory.word(address),
            Self::FromThreadPointer(offset) => {
                memory.word(thread_pointer.wrapping_add_signed(offset))
            }
            Self::InModule { module, offset } => {
                let vector = memory.word(thread_pointer.wrapping_add(8))?;
                let block = memory.word(vector.wrapping_add(module.wrapping_mul(16)))?;
                memory.word(block.wrapping_add(offset))
            }
        }
    }
}
