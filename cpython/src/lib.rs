//! Reads a running CPython process from outside: where its lines begin, and what its names mean.
//!
//! Nothing is written into the process and it is never stopped: everything comes from its memory
//! and from the file of its interpreter. This crate knows nothing of eBPF or of breakpoints; it
//! says what to watch, and decodes what is there.
//!
//! - [`runtime`] finds the interpreter in a process, or refuses it with a reason.
//! - [`code`] finds code objects, and the code units at which the passes over a line begin.
//! - [`scope`] has the names of a code object, and their values in a frame.
//! - [`value`] decodes objects to typed trees, and writes them as `repr()` does.
//! - [`expr`] evaluates expressions and templates.
//! - [`stack`] has the frames of a thread, and the names of threads.
//!
//! ```no_run
//! use tracer_cpython::code::CodeIndex;
//! use tracer_cpython::heap::Heap;
//! use tracer_cpython::memory::LiveMemory;
//! use tracer_cpython::runtime::Interpreter;
//!
//! let pid = 4711;
//! let python = Interpreter::find(pid)?;
//! let memory = LiveMemory::open(pid)?;
//! let index = CodeIndex::search(&memory, &python);
//! let heap = Heap::new(&memory, &python);
//! for site in index.line(&heap, "tracker.py", 26).sites {
//!     println!("watch the byte at {:#x}", site.watch_address());
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Consistency
//!
//! A running process changes while it is read. Every read is bounded, and what makes no sense is
//! an error, not a panic. But a value may mix two moments, unless the caller sees to it that the
//! thread with the global interpreter lock does not run meanwhile: by reading in the kernel while
//! a thread is at its line, or by stopping the process.
//!
//! # Versions
//!
//! CPython 3.8 to 3.15 with the global interpreter lock, on x86-64 Linux. Free-threaded builds,
//! and a JIT that is on, are refused.

pub(crate) mod arch;
pub mod code;
pub mod expr;
pub mod heap;
pub(crate) mod interpreter;
pub mod limits;
pub mod memory;
pub mod native;
pub mod offsets;
pub mod runtime;
pub mod scope;
pub mod stack;
pub mod threads;
pub mod value;
