//! How many lines of a program have a site that costs one trap, at their first
//! instruction and at the cheapest equivalent one.
//!
//!     cargo run --release -p tracer --example placement -- [--why] FILE...
//!
//! One JSON object for each file. Three plans are tried at every site of every
//! line: `log2` reads the first two integers in scope, `log` all variables, `count` nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use rayon::prelude::*;
use serde_json::json;
use tracer::actions::compile;
use tracer::actions::parse_probe;
use tracer::base::address::LinkAddr;
use tracer::debuginfo::site::FileId;
use tracer::debuginfo::types::{TypeKind, TypeSource as _};
use tracer::debuginfo::variable::{Variable, VariableKind};
use tracer::debuginfo::{DebugInfoError, Module};
use tracer::placement::{CodeMap, Needs, PlacementRules, SiteKind};
use tracer::plan::{AddressBase, Limits, PlanInput, ShapeCache};

/// Sums over the lines of a file.
#[derive(Default)]
struct Sums {
    lines: u64,
    sites: u64,
    first: u64,
    chosen: [u64; 3],
    any_first: u64,
    any_chosen: [u64; 3],
    sites_first: u64,
    sites_chosen: [u64; 3],
    why: BTreeMap<(usize, String), u64>,
}

const PLANS: [&str; 3] = ["log2", "log", "count"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut why = false;
    let mut own_line = true;
    for argument in std::env::args().skip(1) {
        if argument == "--why" {
            why = true;
            continue;
        }
        if argument == "--any-line" {
            own_line = false;
            continue;
        }
        report(Path::new(&argument), why, own_line)?;
    }
    Ok(())
}

fn report(path: &Path, why: bool, own_line: bool) -> Result<(), DebugInfoError> {
    let module = Module::open(path)?;
    module.require_dwarf()?;
    let map = CodeMap::default();
    let sums = Mutex::new(Sums::default());
    let files = u32::try_from(module.source_files().len()).unwrap_or(u32::MAX);
    (0..files).into_par_iter().for_each(|file| {
        let Ok(lines) = module.lines(FileId(file)) else {
            return;
        };
        let lines: Vec<u64> = lines.keys().copied().collect();
        lines.par_iter().for_each(|&line| {
            let Ok(sites) = module.sites(FileId(file), line) else {
                return;
            };
            let mut own = Sums {
                lines: 1,
                ..Sums::default()
            };
            let (mut first, mut chosen) = (true, [true; 3]);
            let (mut any_first, mut any_chosen) = (false, [false; 3]);
            for site in &sites.sites {
                own.sites += 1;
                let kind = CodeMap::kind(&module, site.address, true);
                let cheap = kind == Some(SiteKind::OneTrap);
                first &= cheap;
                any_first |= cheap;
                own.sites_first += u64::from(cheap);
                for (plan, needs) in needs(&module, site.address).iter().enumerate() {
                    let placed = map.place(
                        &module,
                        site.address,
                        needs,
                        &PlacementRules {
                            calls: true,
                            rewrites_nops: true,
                            passable: &|from, to| !own_line || passable(&module, from, to),
                            free: &|_| true,
                        },
                    );
                    let cheap = placed.kind == SiteKind::OneTrap;
                    chosen[plan] &= cheap;
                    any_chosen[plan] |= cheap;
                    own.sites_chosen[plan] += u64::from(cheap);
                    let stay = placed.stays.map_or("moved".into(), |stay| stay.to_string());
                    *own.why.entry((plan, stay)).or_default() += 1;
                }
            }
            own.first += u64::from(first);
            own.any_first += u64::from(any_first);
            for (sum, chosen) in own.any_chosen.iter_mut().zip(any_chosen) {
                *sum += u64::from(chosen);
            }
            for (sum, chosen) in own.chosen.iter_mut().zip(chosen) {
                *sum += u64::from(chosen);
            }
            sums.lock()
                .unwrap_or_else(|error| error.into_inner())
                .add(own);
        });
    });
    let sums = sums.into_inner().unwrap_or_else(|error| error.into_inner());
    let share = |part: u64| (part as f64 / sums.lines.max(1) as f64 * 1000.0).round() / 1000.0;
    let of_sites = |part: u64| (part as f64 / sums.sites.max(1) as f64 * 1000.0).round() / 1000.0;
    println!(
        "{}",
        json!({
            "program": path.file_name().map(|name| name.to_string_lossy()),
            "lines": sums.lines, "sites": sums.sites,
            "one_trap_first": share(sums.first),
            "one_trap_chosen": share(sums.chosen[0]),
            "log": share(sums.chosen[1]), "count": share(sums.chosen[2]),
            "any_first": share(sums.any_first), "any_chosen": share(sums.any_chosen[0]),
            "sites_first": of_sites(sums.sites_first),
            "sites_chosen": sums.sites_chosen.map(of_sites),
        })
    );
    if why {
        for ((plan, why), count) in &sums.why {
            println!("  {} {:.3} {why}", PLANS[*plan], of_sites(*count));
        }
    }
    Ok(())
}

impl Sums {
    fn add(&mut self, other: Self) {
        self.lines += other.lines;
        self.sites += other.sites;
        self.first += other.first;
        self.any_first += other.any_first;
        self.sites_first += other.sites_first;
        for plan in 0..3 {
            self.chosen[plan] += other.chosen[plan];
            self.any_chosen[plan] += other.any_chosen[plan];
            self.sites_chosen[plan] += other.sites_chosen[plan];
        }
        for (why, count) in other.why {
            *self.why.entry(why).or_default() += count;
        }
    }
}

/// No statement of another line begins behind `from`, up to `to`.
fn passable(module: &Module, from: LinkAddr, to: LinkAddr) -> bool {
    let rows = module.statements_between(from, to);
    let own = rows.iter().rev().find(|row| row.address <= from).copied();
    rows.iter().filter(|row| row.address > from).all(|row| {
        row.line == 0 || own.is_some_and(|own| (own.file, own.line) == (row.file, row.line))
    })
}

/// Reads of each plan at a site.
fn needs(module: &Module, site: LinkAddr) -> [Needs; 3] {
    let variables = module.variables_at(site).unwrap_or_default();
    let integers: Vec<&str> = variables
        .iter()
        .filter(|variable| is_integer(module, variable))
        .map(|variable| variable.name.as_str())
        .collect();
    let named = |count: usize| {
        let holes: Vec<String> = integers
            .iter()
            .take(count)
            .map(|name| format!("{{{name}}}"))
            .collect();
        format!("log {site} \"{}\"", holes.join(" "))
    };
    let plan = |text: &str| -> Option<Needs> {
        let spec = parse_probe(text).ok()?;
        let plan = compile(&PlanInput {
            source: module,
            language: module.language_at(site),
            base: AddressBase::Site(site),
            neighbours: &Vec::new,
            tls: None,
            variables: &variables,
            statics: &|_| None,
            types: &|_| Vec::new(),
            spec: &spec,
            limits: Limits::default(),
            shapes: &ShapeCache::default(),
            returned: None,
            redactor: &tracer::value::redact::Redactor::default(),
            has_spans: false,
        })
        .ok()?;
        Some(plan.program.reads)
    };
    [
        plan(&named(2))
            .or_else(|| plan(&named(1)))
            .unwrap_or_default(),
        plan(&format!("log {site}")).unwrap_or_default(),
        Needs::nothing(),
    ]
}

fn is_integer(module: &Module, variable: &Variable) -> bool {
    let mut ty = variable.ty;
    for _ in 0..8 {
        match &module.type_of(ty).kind {
            TypeKind::Alias(next) => ty = *next,
            TypeKind::Int { .. } | TypeKind::Bool | TypeKind::Char { .. } => {
                return variable.kind != VariableKind::Static
                    && variable.shadow <= 1
                    && !variable.name.is_empty()
                    && !matches!(
                        variable.place.pieces[0].source,
                        tracer::debuginfo::place::PieceSource::Unavailable(_)
                    );
            }
            _ => return false,
        }
    }
    false
}
