//! Real programs, built when the fuzzer starts, and plans for the variables in their scopes.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tracer::actions::compile;
use tracer::actions::parse_probe;
use tracer::base::address::LinkAddr;
use tracer::base::diagnostic::Diagnostic;
use tracer::debuginfo::Module;
use tracer::debuginfo::variable::Variable;
use tracer::lang::ast::{Action, ProbeSpec};
use tracer::plan::timing::{Frame, Moment, Passes, begin, end};
use tracer::plan::{AddressBase, Context, Limits, Plan, PlanInput, ShapeCache, Symbols, TlsBlock};
use tracer::program::reference::{Outcome, ReferenceMachine};
use tracer::value::redact::Redactor;

use super::memory::Made;
use super::module::{addresses, open};

/// Folder of the sources, from the workspace's root: those of `cargo xtask fidelity`.
const SOURCES: &str = "xtask/corpus";
/// Builds whose scopes differ most.
const COMMANDS: [&str; 4] = [
    "rustc --edition 2024 -g -A warnings values.rs",
    "gcc -g -O0 -w -shared -fPIC types.c",
    "gcc -g -O2 -w -shared -fPIC types.c",
    "g++ -g -O0 -w -std=c++20 -shared -fPIC types.cpp",
];
/// Sites of one program that get plans.
const MAX_SITES: usize = 160;
/// Probes at each site.
const PROBES: [&str; 3] = ["log 0x0", "snapshot 0x0", "log 0x0 depth 6"];

/// A program and its plans.
struct Program {
    module: Module,
    sites: Vec<LinkAddr>,
    plans: Vec<Plan>,
}

/// Builds the programs, and compiles the plans.
pub fn prepare() {
    programs();
}

fn programs() -> &'static [Program] {
    static PROGRAMS: OnceLock<Vec<Program>> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        COMMANDS
            .iter()
            .filter_map(|command| built(command))
            .collect()
    })
}

/// The plan with a number, and its module.
pub fn plan(number: usize) -> Option<(&'static Module, &'static Plan)> {
    let all = || {
        programs()
            .iter()
            .flat_map(|program| program.plans.iter().map(|plan| (&program.module, plan)))
    };
    let count = all().count();
    all().nth(number.checked_rem(count)?)
}

/// Plans for everything in scope at an address.
pub fn plans_at(module: &Module, at: LinkAddr) -> Vec<Plan> {
    let variables = module.variables_at(at).unwrap_or_default();
    let plan = |text: &&str| compile_spec(module, at, &variables, &parse_probe(text).ok()?).ok();
    PROBES.iter().filter_map(plan).collect()
}

/// Compiles the text of a probe for a site of a program.
pub fn compile_text(number: usize, text: &str) {
    let all = programs();
    let Some(program) = number.checked_rem(all.len()).and_then(|at| all.get(at)) else {
        return;
    };
    let Ok(spec) = parse_probe(text) else {
        return;
    };
    let site = number.checked_rem(program.sites.len());
    let Some(site) = site.and_then(|at| program.sites.get(at)) else {
        return;
    };
    let variables = program.module.variables_at(*site).unwrap_or_default();
    if let Ok(plan) = compile_spec(&program.module, *site, &variables, &spec) {
        run(&plan, &Made(text.as_bytes()), &program.module);
    }
}

/// Runs a plan on fictitious memory, and shows the result. The module is at its link addresses.
pub fn run(plan: &Plan, memory: &Made<'_>, module: &Module) {
    let mut machine = ReferenceMachine::new(memory);
    for number in 0..16 {
        machine = machine.with(number, memory.word(u64::from(number) * 8));
    }
    match machine.run(&plan.program.ops) {
        Outcome::Sent(record) => show(plan, &record, module),
        other => {
            black_box(other);
        }
    }
}

/// Decodes a record, and writes down its values.
pub fn show(plan: &Plan, record: &[u8], module: &Module) {
    let names = Names(module);
    let context = Context {
        symbols: Some(&names),
        ..Context::default()
    };
    let decoded = plan.layout.decode_with(record, &context);
    for named in decoded.map(|decoded| decoded.values).unwrap_or_default() {
        black_box(serde_json::to_string(&named.value)).ok();
        black_box(named.value.to_string());
    }
}

fn built(command: &str) -> Option<Program> {
    let directory = tempfile::tempdir().ok()?;
    let path = directory.path().join("program");
    let mut words = command.split_whitespace();
    let status = Command::new(words.next()?)
        .args(words)
        .arg("-o")
        .arg(&path)
        .current_dir(sources()?)
        .status();
    if !status.is_ok_and(|status| status.success()) {
        eprintln!("`{command}` failed: what it builds is not read");
        return None;
    }
    let module = open(&std::fs::read(&path).ok()?)?;
    let mut sites = addresses(&module);
    sites.truncate(MAX_SITES);
    let plans = sites.iter().flat_map(|site| plans_at(&module, *site));
    let plans = plans.collect();
    Some(Program {
        plans,
        module,
        sites,
    })
}

fn sources() -> Option<PathBuf> {
    // Each crate that includes this file has its own directory.
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    above
        .map(|above| above.join(SOURCES))
        .find(|path| path.is_dir())
}

fn compile_spec(
    module: &Module,
    at: LinkAddr,
    variables: &[Variable],
    spec: &ProbeSpec,
) -> Result<Plan, Diagnostic> {
    let redactor = Redactor::default();
    let input = PlanInput {
        source: module,
        language: module.language_at(at),
        base: AddressBase::Site(LinkAddr(0)),
        neighbours: &Vec::new,
        tls: Some(TlsBlock::Static(-64)),
        variables,
        statics: &|path| module.static_variable(path).into_iter().next(),
        types: &|name| module.types_named(name, None),
        spec,
        limits: Limits::default(),
        shapes: &ShapeCache::default(),
        returned: None,
        redactor: &redactor,
        has_spans: false,
    };
    if spec.action != Action::Time {
        return compile(&input);
    }
    let moment = Moment {
        frame: Frame::Above(8),
        group: 0,
    };
    begin(&input, &moment, Passes::Calls, None)?;
    end(&input, &moment)
}

/// The module's symbols, at their link addresses.
struct Names<'m>(&'m Module);

impl Symbols for Names<'_> {
    fn name(&self, address: u64) -> Option<String> {
        let symbol = self.0.symbol_at(LinkAddr(address))?;
        Some(tracer::debuginfo::names::demangle(symbol.name))
    }

    fn code(&self, address: u64, length: usize) -> Option<Vec<u8>> {
        Some(self.0.initial_bytes(LinkAddr(address), length)?.to_vec())
    }
}
