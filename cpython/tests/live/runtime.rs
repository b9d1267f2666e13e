//! Finding an interpreter.

use std::process::{Command, Stdio};

use tracer_cpython::memory::{TargetMemory, Unreadable};
use tracer_cpython::native::Native;
use tracer_cpython::runtime::{Interpreter, Refusal, ThreadStatePlace};
use tracer_cpython::threads::{frames, threads};

use crate::programs::all;

const WAITING: &str = r#"
import sys, threading, time, builtins
def spin():
    while True:
        pass
def wait():
    sys.stdin.read()
for name in ("one", "two"):
    threading.Thread(target=spin, name=name, daemon=True).start()
print("ready", flush=True)
print(sys.version_info[1], sys.version_info[2], id(dict), id(sys.modules), threading.get_ident(), flush=True)
wait()
"#;

const QUIET: &str = "import sys\nprint('ready', flush=True)\nsys.stdin.read()\n";

#[test]
fn an_interpreter_is_found_with_its_version_types_and_threads() {
    for python in all() {
        let mut target = python.start(WAITING);
        let said: Vec<u64> = target
            .line()
            .split(' ')
            .map(|word| word.parse().unwrap())
            .collect();
        let found = target.interpreter();
        let name = python.name();
        println!(
            "{name}: {} eval {:x?} {:?}",
            found.version, found.eval, found.thread_state
        );
        assert_eq!(u64::from(found.version.minor), said[0], "{name}");
        if let Some(micro) = found.version.micro {
            assert_eq!(u64::from(micro), said[1], "{name}");
        }
        assert_eq!(found.type_of(Native::Dict), Some(said[2]), "{name}");
        if python.program.starts_with("/usr/bin") {
            // Debian's compiler moves the unlikely parts of the function away, and strips the
            // symbol of one of the two.
            assert_eq!(found.eval.len(), 2, "{name}: {:x?}", found.eval);
            let bytes: u64 = found.eval.iter().map(|range| range.end - range.start).sum();
            assert!(bytes > 60_000, "{name}: {:x?}", found.eval);
        }
        let memory = target.memory();
        let all = threads(&memory, &found);
        assert_eq!(all.len(), 3, "{name}");
        let main = all
            .iter()
            .find(|thread| thread.thread_pointer == said[4])
            .unwrap();
        if let Some(id) = main.native_id {
            assert_eq!(id, u64::from(target.pid()), "{name}");
        }
        assert_eq!(frames(&memory, &found, main.state).len(), 2, "{name}");
    }
}

#[test]
fn a_running_thread_has_its_own_thread_state() {
    for python in all() {
        let target = python.start(WAITING);
        let found = target.interpreter();
        let memory = target.memory();
        let all = threads(&memory, &found);
        // Two threads spin: nearly always one of them has the GIL and its thread state.
        let seen = (0..100_000).any(|_| {
            all.iter().any(|thread| {
                let own = found.thread_state.read(&memory, thread.thread_pointer);
                own == Ok(thread.state)
            })
        });
        assert!(seen, "{}: {:?}", python.name(), found.thread_state);
    }
}

#[test]
fn each_form_of_thread_local_state_is_met() {
    let mut forms = [false; 3];
    for python in all() {
        let target = python.start(WAITING);
        let form = match target.interpreter().thread_state {
            ThreadStatePlace::Global(_) => 0,
            ThreadStatePlace::FromThreadPointer(_) => 1,
            ThreadStatePlace::InModule { .. } => 2,
        };
        forms[form] = true;
    }
    println!("global, from the thread pointer, in a module: {forms:?}");
}

#[test]
fn other_programs_are_refused() {
    let mut other = Command::new("sleep")
        .arg("60")
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let refusal = Interpreter::find(other.id()).unwrap_err();
    other.kill().unwrap();
    other.wait().unwrap();
    assert!(matches!(refusal, Refusal::NoPython { .. }), "{refusal}");
    assert!(refusal.hint().is_some());
}

#[test]
fn a_jit_is_refused() {
    for python in all() {
        if python.minor < 14 {
            continue;
        }
        let probe = "import sys\nprint('ready', flush=True)\nprint(int(hasattr(sys, '_jit') and sys._jit.is_enabled()), flush=True)\nsys.stdin.read()\n";
        let mut target = python.start_with(probe, &[("PYTHON_JIT", "1")]);
        let found = Interpreter::find(target.pid());
        if target.line() == "0" {
            println!("{}: built without the JIT", python.name());
            assert!(found.is_ok());
            continue;
        }
        assert!(matches!(found, Err(Refusal::JitOn { .. })), "{found:?}");
        let off = python.start_with(probe, &[("PYTHON_JIT", "0")]);
        off.interpreter();
    }
}

/// A process's memory with some bytes replaced.
struct Changed<'a> {
    memory: &'a dyn TargetMemory,
    at: u64,
    bytes: Vec<u8>,
}

impl TargetMemory for Changed<'_> {
    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        self.memory.read(address, into)?;
        for (at, byte) in (address..).zip(into) {
            let index = at.checked_sub(self.at).map(|index| index as usize);
            if let Some(changed) = index.and_then(|index| self.bytes.get(index)) {
                *byte = *changed;
            }
        }
        Ok(())
    }
}

#[test]
fn garbage_other_builds_and_other_versions_are_refused() {
    for python in all() {
        let target = python.start(QUIET);
        let found = target.interpreter();
        let memory = target.memory();
        let refusal = |at: u64, bytes: &[u8]| {
            let changed = Changed {
                memory: &memory,
                at,
                bytes: bytes.to_vec(),
            };
            match Interpreter::find_in(target.pid(), &changed) {
                Ok(_) => panic!("{}: {bytes:x?} at {at:#x} passes", python.name()),
                Err(refusal) => refusal,
            }
        };
        let heads = found.runtime + found.offsets.runtime_interpreters_head;
        let none = refusal(heads, &[0; 8]);
        assert!(matches!(none, Refusal::NotYet { .. }), "{none}");
        let lost = refusal(heads, &[0x10; 8]);
        assert!(matches!(lost, Refusal::Memory(_)), "{lost}");
        let modules = found.states[0] + found.offsets.interpreter_modules;
        let other = refusal(modules, &found.states[0].to_le_bytes());
        assert!(matches!(other, Refusal::Layout { .. }), "{other}");
        if python.minor < 13 {
            continue;
        }
        let cookie = refusal(found.runtime, b"ydebugpx");
        assert!(matches!(cookie, Refusal::Layout { .. }), "{cookie}");
        let threaded = refusal(found.runtime + 16, &[1]);
        assert!(
            matches!(threaded, Refusal::FreeThreaded { .. }),
            "{threaded}"
        );
        let version = refusal(found.runtime + 8, &[0, 9, 99]);
        assert!(matches!(version, Refusal::Layout { .. }), "{version}");
        for field in (24..560).step_by(88) {
            let told = u64::MAX / 2;
            let changed = Changed {
                memory: &memory,
                at: found.runtime + field,
                bytes: told.to_le_bytes().to_vec(),
            };
            // Fields that this crate does not use may say anything.
            if let Ok(other) = Interpreter::find_in(target.pid(), &changed) {
                assert_eq!(other.offsets, found.offsets);
            }
        }
    }
}

#[test]
fn a_version_that_has_no_table_is_refused() {
    for python in all() {
        let target = python.start(QUIET);
        let memory = target.memory();
        let found = target.interpreter();
        if found.version.micro.is_none() {
            continue;
        }
        // `Py_Version` is the one variable with these bytes, where the file says that it is.
        let changed = OtherVersion(&memory, found.version.minor);
        let refusal = Interpreter::find_in(target.pid(), &changed).unwrap_err();
        assert!(
            matches!(refusal, Refusal::UnknownVersion { version } if version.minor == 99),
            "{refusal}"
        );
        assert!(refusal.hint().unwrap().contains("3.8 to 3.15"));
    }
}

/// A memory whose `Py_Version` is of CPython 3.99: the first four bytes that are read at once.
struct OtherVersion<'a>(&'a dyn TargetMemory, u8);

impl TargetMemory for OtherVersion<'_> {
    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        self.0.read(address, into)?;
        if let [_, _, minor, 3] = into
            && *minor == self.1
        {
            *minor = 99;
        }
        Ok(())
    }
}
