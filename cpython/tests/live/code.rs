//! Code objects, lines and sites.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Instant;

use tracer_cpython::code::{CodeIndex, CodeSiteKind};
use tracer_cpython::heap::Heap;
use tracer_cpython::runtime::Interpreter;

use crate::programs::{Target, all};

const KINDS: &str = include_str!("kinds.py");

/// Line sites by line: address of the code object, and offset.
fn line_sites(target: &Target, python: &Interpreter) -> BTreeMap<u32, Vec<(u64, usize)>> {
    let memory = target.memory();
    let index = CodeIndex::search(&memory, python);
    assert!(index.is_complete);
    let heap = Heap::new(&memory, python);
    let mut all: BTreeMap<u32, Vec<(u64, usize)>> = BTreeMap::new();
    for line in index.lines(&heap, &target.file) {
        let sites = index.line(&heap, &target.file, line);
        let of = sites.of_kind(CodeSiteKind::Line);
        all.insert(
            line,
            of.iter().map(|site| (site.code, site.offset)).collect(),
        );
    }
    all
}

/// Lines that `sys.settrace` reports more often than they run: version, text and reason.
const EXCEPTIONS: [(u8, &str, &str); 1] = [(
    8,
    "return end.value",
    "the cleanup of `end` jumps back into the middle of the line",
)];

#[test]
fn sites_of_a_line_run_as_often_as_settrace_reports_it() {
    let mut failures = Vec::new();
    for python in all() {
        let mut target = python.start(KINDS);
        let found = target.interpreter();
        let before = line_sites(&target, &found);
        target.send("go");
        let lines: BTreeMap<u32, u64> = target
            .line()
            .split(" ")
            .filter(|item| !item.is_empty())
            .map(pair)
            .collect();
        let ops: HashMap<String, u64> = target
            .line()
            .split(" ")
            .filter(|item| !item.is_empty())
            .map(pair)
            .collect();
        assert_eq!(target.line(), "traced");
        let during = line_sites(&target, &found);
        let source: Vec<&str> = KINDS.lines().collect();
        let (mut right, mut sites) = (0, 0);
        for (line, reported) in &lines {
            let at = (*line as usize).wrapping_sub(1);
            let text = source.get(at).map_or("", |text| text.trim());
            let of_line = before.get(line).cloned().unwrap_or_default();
            let runs: Vec<u64> = of_line
                .iter()
                .map(|(code, offset)| {
                    // RESUME is reported as a call.
                    let count = |offset: usize| ops.get(&format!("{code}/{offset}")).copied();
                    let at_start = if *offset == 0 { vec![0, 2, 4] } else { vec![0] };
                    let mut places = at_start.into_iter();
                    places.find_map(|more| count(offset + more)).unwrap_or(0)
                })
                .collect();
            sites = sites.max(of_line.len());
            if during.get(line) != Some(&of_line) {
                failures.push(format!(
                    "{} line {line} `{text}`: sites {of_line:x?}, while traced {:x?}",
                    python.name(),
                    during.get(line)
                ));
            }
            let is_excepted = EXCEPTIONS
                .iter()
                .any(|(minor, of, _)| (*minor, *of) == (python.minor, text));
            if runs.iter().sum::<u64>() == *reported || is_excepted {
                right += 1;
            } else {
                failures.push(format!(
                    "{} line {line} `{text}`: reported {reported}, run {runs:?} at {of_line:x?}",
                    python.name()
                ));
            }
        }
        println!(
            "{}: {right} of {} lines, at most {sites} sites a line",
            python.name(),
            lines.len()
        );
    }
    assert!(
        failures.is_empty(),
        "{}\n{}",
        failures.len(),
        failures.join("\n")
    );
}

fn pair<K: std::str::FromStr<Err: std::fmt::Debug>>(item: &str) -> (K, u64) {
    let (key, count) = item.split_once(':').unwrap();
    (key.parse().unwrap(), count.parse().unwrap())
}

const MANY: &str = r#"
import gc, sys, types
for name in ("json http.server unittest asyncio email.message decimal xml.dom.minidom argparse logging.config "
             "concurrent.futures ctypes difflib doctest ftplib imaplib multiprocessing.pool optparse pdb pydoc "
             "sqlite3 ssl tarfile tempfile typing urllib.request wave zipfile dataclasses statistics").split():
    try:
        __import__(name)
    except ImportError:
        pass
def truth():
    found = {}
    def add(code):
        if id(code) not in found:
            found[id(code)] = code
            for constant in code.co_consts:
                if isinstance(constant, types.CodeType):
                    add(constant)
    for thing in gc.get_objects():
        if isinstance(thing, types.FunctionType):
            add(thing.__code__)
    frame = sys._getframe()
    while frame:
        add(frame.f_code)
        frame = frame.f_back
    return found
FOUND = truth()
print("ready", flush=True)
print(" ".join(map(str, FOUND)), flush=True)
for code in FOUND.values():
    if hasattr(code, "co_lines"):
        lines = sorted({line for _, _, line in code.co_lines() if line})
    else:
        import dis
        lines = sorted({line for _, line in dis.findlinestarts(code)})
    print(id(code), code.co_firstlineno, getattr(code, "co_qualname", code.co_name), *lines, flush=True)
sys.stdin.read()
"#;

#[test]
fn all_code_objects_are_found_with_their_lines_and_names() {
    for python in all() {
        let mut target = python.start(MANY);
        let truth: HashSet<u64> = target
            .line()
            .split(' ')
            .map(|id| id.parse().unwrap())
            .collect();
        let found = target.interpreter();
        let memory = target.memory();
        let start = Instant::now();
        let index = CodeIndex::search(&memory, &found);
        let took = start.elapsed();
        let by_address: HashMap<u64, _> = index
            .codes
            .iter()
            .map(|code| (code.address, code))
            .collect();
        let missed = truth
            .iter()
            .filter(|code| !by_address.contains_key(code))
            .count();
        println!(
            "{}: {} of {} code objects, {} more, among {} objects, in {took:?}",
            python.name(),
            truth.len() - missed,
            truth.len(),
            index.codes.len() + missed - truth.len(),
            index.objects
        );
        assert_eq!(missed, 0, "{}", python.name());
        assert!(index.is_complete, "{}", python.name());
        let heap = Heap::new(&memory, &found);
        for _ in 0..truth.len() {
            let line = target.line();
            let mut words = line.split(' ');
            let mut number = || words.next().unwrap().parse::<u64>().unwrap();
            let (id, first) = (number(), number());
            let name = words.next().unwrap();
            let lines: Vec<u32> = words.map(|line| line.parse().unwrap()).collect();
            let code = by_address[&id];
            assert_eq!(code.name, name, "{}", python.name());
            assert_eq!(u64::from(code.first_line), first, "{}", python.name());
            let table = tracer_cpython::code::line_table(&heap, id).unwrap();
            let mut ours: Vec<u32> = table.iter().filter_map(|entry| entry.line).collect();
            ours.retain(|line| *line > 0);
            ours.sort_unstable();
            ours.dedup();
            assert_eq!(ours, lines, "{} {name}", python.name());
        }
    }
}
