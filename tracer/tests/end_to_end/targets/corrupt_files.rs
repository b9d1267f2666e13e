//! Damaged headers and debug information. The tracer may read less of such files, but must end by
//! itself, in bounded memory, and leave a running target intact.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use object::{Object, ObjectSection};

use crate::support::build::{c, probe_line, rust, scratch};
use crate::support::needs;
use crate::support::program::{Program, run};
use crate::support::text::Text;
use crate::support::tracer::{Finished, TRACER, Tracer, attach_args};

/// Address space limit of a command: far above its need, far below a damaged size.
const MEMORY_KIB: u64 = 4 << 20;
/// Time limit for a damaged file of a few kilobytes.
const TIME: Duration = Duration::from_secs(10);

/// Reproducible random numbers (xorshift64*).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).expect("64 bits")
    }
}

/// A damaged copy: a description of the damage, and the bytes.
type Damage = (String, Vec<u8>);

/// Headers that contradict themselves or the file.
fn damaged_headers(good: &[u8]) -> Vec<Damage> {
    let mut all = Vec::new();
    for length in [
        0,
        1,
        4,
        16,
        63,
        64,
        100,
        1000,
        good.len() / 2,
        good.len() - 1,
    ] {
        all.push((format!("cut to {length} bytes"), good[..length].to_vec()));
    }
    // e_phoff, e_shoff, e_phentsize and e_phnum, e_shentsize and e_shnum, e_shstrndx.
    for (start, end) in [(32, 40), (40, 48), (54, 58), (58, 62), (62, 64)] {
        for byte in [0x00, 0x7f, 0xff] {
            let mut bad = good.to_vec();
            bad[start..end].fill(byte);
            all.push((format!("bytes {start}..{end} are {byte:#x}"), bad));
        }
    }
    let table = usize::try_from(u64::from_le_bytes(
        good[40..48].try_into().expect("8 bytes"),
    ));
    let table = table.expect("64 bits");
    for seed in 1..=12_u64 {
        let mut random = Random(seed);
        let mut bad = good.to_vec();
        let range = if seed % 2 == 0 {
            4..64
        } else {
            table..good.len()
        };
        for _ in 0..6 {
            let at = range.start + random.below(range.len());
            bad[at] = random.next().to_le_bytes()[0];
        }
        all.push((format!("random bytes in {range:?}, seed {seed}"), bad));
    }
    all
}

/// Debug information that contradicts itself. The program still runs.
fn damaged_dwarf(good: &[u8], seeds: u64) -> Vec<Damage> {
    let file = object::File::parse(good).expect("the compiler's file is right");
    let mut all = Vec::new();
    for section in file.sections() {
        let name = section.name().expect("it has a name").to_owned();
        let Some((start, length)) = section.file_range() else {
            continue;
        };
        if !name.starts_with(".debug") || length < 8 {
            continue;
        }
        let start = usize::try_from(start).expect("64 bits");
        let length = usize::try_from(length).expect("64 bits");
        let mut damage = |what: &str, change: &mut dyn FnMut(&mut [u8])| {
            let mut bad = good.to_vec();
            change(&mut bad[start..start + length]);
            all.push((format!("{name} {what}"), bad));
        };
        damage("all zero", &mut |bytes| bytes.fill(0));
        damage("all ones", &mut |bytes| bytes.fill(0xff));
        damage("length huge", &mut |bytes| {
            bytes[..4].copy_from_slice(&[0xef, 0xff, 0xff, 0x7f])
        });
        for seed in 1..=seeds {
            let mut random = Random(seed * 7919);
            damage(&format!("random, seed {seed}"), &mut |bytes| {
                for _ in 0..bytes.len().div_ceil(40) {
                    let at = random.below(bytes.len());
                    bytes[at] = random.next().to_le_bytes()[0];
                }
            });
        }
    }
    assert!(!all.is_empty(), "the fixture has debug information");
    all
}

/// Runs the tracer with bounded memory. It must end by itself with one of its exit codes.
#[track_caller]
fn bounded(args: &[String], what: &str) -> Finished {
    let mut command = Command::new("sh");
    let limit = format!("ulimit -v {MEMORY_KIB}; exec \"$0\" \"$@\"");
    command.args(["-c", &limit, TRACER]).args(args);
    let finished = Tracer::spawn(command).finish();
    let code = finished.code;
    assert!(matches!(code, Some(0..=2)), "{what}: {finished}");
    assert!(finished.took < TIME, "{what}: {finished}");
    let said = finished.stderr.join("\n");
    assert!(
        code == Some(0) || said.contains("tracer: "),
        "{what}: {finished}"
    );
    assert!(!said.contains("allocation"), "{what}: {finished}");
    finished
}

fn list_all(path: &Path, line: &str, what: &str) {
    let path = path.to_str().expect("test paths are UTF-8");
    for args in [
        &["lines", "--exe", path] as &[&str],
        &["lines", "--exe", path, line],
        &["funcs", "--exe", path],
        &["vars", "--exe", path, line],
    ] {
        let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        bounded(&args, what);
    }
}

fn write(name: &str, bytes: &[u8]) -> PathBuf {
    let path = scratch("corrupt").join(format!("{name}-{}", std::process::id()));
    fs::write(&path, bytes).expect("writable");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&path, mode).expect("it is ours");
    path
}

/// All of these commands work on the undamaged file.
fn check_good(good: &[u8], line: &str) {
    let path = write("good", good);
    let number = line.rsplit(':').next().expect("FILE:LINE");
    let exe = path.to_str().expect("test paths are UTF-8");
    for command in ["lines", "vars"] {
        let args = [command, "--exe", exe, line].map(str::to_owned);
        let finished = bounded(&args, "not damaged");
        finished.assert_code(0);
        assert!(finished.text().contains(number), "{finished}");
    }
    fs::remove_file(path).expect("it is there");
}

fn check_lists(name: &str, line: &str, all: Vec<Damage>) {
    for (what, bytes) in all {
        let path = write(name, &bytes);
        list_all(&path, line, &what);
        fs::remove_file(path).expect("it is there");
    }
}

fn good_c() -> (Vec<u8>, String) {
    let path = c("places-corrupt", "e2e_places.c", &["-O1", "-gdwarf-5"]);
    let line = format!("e2e_places.c:{}", probe_line("e2e_places.c", "place"));
    (fs::read(path).expect("it is built"), line)
}

#[test]
fn corrupt_elf_headers_are_survived() {
    let (good, line) = good_c();
    check_good(&good, &line);
    check_lists("elf", &line, damaged_headers(&good));
}

#[test]
fn corrupt_dwarf_5_is_survived() {
    let (good, line) = good_c();
    check_lists("dwarf5", &line, damaged_dwarf(&good, 3));
}

#[test]
fn corrupt_dwarf_4_of_optimised_code_is_survived() {
    let path = c("inline-corrupt", "e2e_inline.c", &["-O2", "-gdwarf-4"]);
    let line = format!("e2e_inline.c:{}", probe_line("e2e_inline.c", "inlined"));
    let good = fs::read(path).expect("it is built");
    check_good(&good, &line);
    check_lists("dwarf4", &line, damaged_dwarf(&good, 2));
}

#[test]
fn compressed_section_of_absurd_size_is_survived() {
    if !needs::tools(&["objcopy"]) {
        return;
    }
    let path = c("places-corrupt", "e2e_places.c", &["-O1", "-gdwarf-5"]);
    let packed = scratch("corrupt").join(format!("packed-{}", std::process::id()));
    let flag = "--compress-debug-sections=zlib".as_ref();
    run("objcopy", [flag, path.as_os_str(), packed.as_os_str()]);
    let mut bytes = fs::read(&packed).expect("objcopy made it");
    fs::remove_file(packed).expect("it is there");
    let mut lies = Vec::new();
    {
        let file = object::File::parse(&*bytes).expect("objcopy's file is right");
        for section in file.sections() {
            let compressed = section.compressed_file_range();
            let compressed =
                compressed.is_ok_and(|range| range.uncompressed_size != range.compressed_size);
            if let Some((start, _)) = section.file_range().filter(|_| compressed) {
                lies.push(usize::try_from(start).expect("64 bits"));
            }
        }
    }
    assert!(!lies.is_empty(), "objcopy compressed something");
    for start in lies {
        // ch_size of the compression header: an exbibyte.
        bytes[start + 8..start + 16].copy_from_slice(&(1_u64 << 60).to_le_bytes());
    }
    let line = format!("e2e_places.c:{}", probe_line("e2e_places.c", "place"));
    check_lists("bomb", &line, vec![("absurd size".to_owned(), bytes)]);
}

#[test]
fn corrupt_debug_information_of_running_target_is_survived() {
    if !needs::kernel() {
        return;
    }
    let path = rust(
        "values-corrupt",
        "e2e_places.rs",
        &["-Cpanic=abort", "-Cstrip=none", "-O"],
    );
    let line = probe_line("e2e_places.rs", "place");
    let good_rust = damaged_dwarf(&fs::read(path).expect("it is built"), 0);
    let (good, c_line) = good_c();
    let mut all: Vec<(Damage, String)> = Vec::new();
    let every_second = good_rust.into_iter().step_by(2);
    all.extend(every_second.map(|damage| (damage, format!("e2e_places.rs:{line}"))));
    let dwarf = damaged_dwarf(&good, 2).into_iter();
    all.extend(dwarf.map(|damage| (damage, c_line.clone())));
    for ((what, bytes), line) in all {
        let path = write("running", &bytes);
        let mut program = Program::ready(&path, &[]);
        let text = Text::of_exe(program.pid());
        let probe = format!("log {line}");
        bounded(
            &attach_args(program.pid(), "json", &[&probe], &["--for", "60ms"]),
            &what,
        );
        text.wait_restored();
        assert!(program.is_running(), "{what}: the target is gone");
        drop(program);
        fs::remove_file(path).expect("it is there");
    }
}
