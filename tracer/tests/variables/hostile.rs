//! Damaged debug information. Any answer is fine, as long as there is one.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use object::{Object as _, ObjectSection as _};

use super::*;

/// Types of one damaged module that are read.
const MAX_TYPES: usize = 400;

/// Runs every query at some addresses, and for every type found there.
fn ask_everything(module: &Module, addresses: &[LinkAddr]) {
    let mut types: Vec<TypeId> = Vec::new();
    for address in addresses {
        for scope in module.scopes_at(*address).unwrap_or_default() {
            for variable in scope.variables {
                assert!(!variable.place.to_string().is_empty());
                types.push(variable.ty);
                let _ = module.array_counts(*address, variable.ty);
            }
        }
        let _ = module.variables_at(*address);
        let _ = module.find_variable(*address, "held", 1);
        let _ = module.unit_statics(*address);
        let _ = module.cfa_at(*address);
        types.extend(module.function_return_type(*address).ok().flatten());
    }
    let _ = module.static_variable("global_counter");
    types.extend(module.type_named("everything", None));
    let mut seen = HashSet::new();
    while let Some(id) = types.pop()
        && seen.len() < MAX_TYPES
    {
        if seen.insert(id) {
            types.extend(parts(&module.type_of(id)));
        }
    }
}

fn parts(ty: &Type) -> Vec<TypeId> {
    match &ty.kind {
        TypeKind::Alias(id) | TypeKind::Array { element: id, .. } => vec![*id],
        TypeKind::Pointer { target, .. } => target.iter().copied().collect(),
        TypeKind::Struct(structure) | TypeKind::Union(structure) => {
            let members = structure.members.iter().map(|member| member.ty);
            let variants = structure.variants.iter().flat_map(|part| &part.variants);
            members
                .chain(structure.bases.iter().map(|base| base.ty))
                .chain(variants.map(|variant| variant.ty))
                .collect()
        }
        _ => Vec::new(),
    }
}

/// Returns the ranges of the file with debug information, unwind tables and data of the dynamic
/// linker.
fn targets(bytes: &[u8]) -> Vec<std::ops::Range<usize>> {
    const LINKERS: [&str; 6] = [
        ".dynsym",
        ".dynstr",
        ".rela.dyn",
        ".rela.plt",
        ".plt",
        ".text",
    ];
    let file = object::File::parse(bytes).expect("fixture parses");
    let library = file.section_by_name(".rela.plt").is_some();
    let wanted = |name: &str| {
        let linkers = library && LINKERS.contains(&name);
        linkers || name.starts_with(".debug_") || name == ".eh_frame"
    };
    file.sections()
        .filter(|section| section.name().is_ok_and(wanted))
        .filter_map(|section| section.file_range())
        .map(|(start, size)| start as usize..(start + size) as usize)
        .collect()
}

fn damage(command: &str, labels: &[&str], rounds: u64, started: Instant) {
    let sound = std::fs::read(built(command)).expect("fixture");
    let module = fixture(command);
    let addresses: Vec<_> = labels.iter().map(|label| site(&module, label)).collect();
    let targets = targets(&sound);
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join("damaged");
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % below as u64) as usize
    };
    for round in 0..rounds {
        let mut bytes = sound.clone();
        for _ in 0..1 + round % 24 {
            let section = &targets[next(targets.len())];
            let at = section.start + next(section.len());
            bytes[at] ^= 1 << next(8);
        }
        std::fs::write(&path, &bytes).expect("write");
        let before = Instant::now();
        let damaged = Arc::new(Module::open(&path).expect("the ELF tables are sound"));
        ask_everything(&damaged, &addresses);
        // The module itself acts as the caller from another module.
        let neighbour = Neighbour {
            module: Arc::clone(&damaged),
            place: match round % 3 {
                0 => ModulePlace::Numbered(ModuleNumber(1)),
                _ => ModulePlace::At(Bias(0x7000_0000_0000)),
            },
            lasts: round % 2 == 0,
        };
        for address in &addresses {
            let _ = module.variables_in(*address, &|| vec![neighbour.clone()]);
        }
        let took = before.elapsed();
        assert!(
            took < Duration::from_secs(10),
            "round {round} took {took:?}"
        );
        if started.elapsed() > Duration::from_secs(60) {
            break;
        }
    }
}

#[test]
fn flipped_bits_in_c_and_cpp_never_panic_and_never_hang() {
    let started = Instant::now();
    let c = ["site_locals", "site_sized", "site_types", "site_inlined"];
    damage("gcc -g -O0 -w c_types.c", &c, 120, started);
    damage("gcc -g -O2 -w c_types.c", &c, 120, started);
    damage("clang -gdwarf-4 -O0 -no-pie -w c_types.c", &c, 120, started);
    let library = "gcc -g -O1 -w -shared -fPIC c_called.c c_callers.c";
    damage(library, &["site_elsewhere"], 240, started);
    let cpp = ["site_use", "site_area", "site_lambda"];
    damage(
        "g++ -gdwarf-5 -fdebug-types-section -O0 -w cpp_types.cpp",
        &cpp,
        120,
        started,
    );
}
