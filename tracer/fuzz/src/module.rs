//! Asks everything of a hostile module that a session asks.

use std::collections::HashSet;
use std::hint::black_box;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::path::Path;

use tracer::base::address::{FileOffset, LinkAddr, RunAddr};
use tracer::debuginfo::types::{Type, TypeId, TypeKind, TypeSource as _};
use tracer::debuginfo::{DebugOptions, Module};

/// Most items of one module that are asked for.
const MAX_SYMBOLS: usize = 32;
const MAX_FUNCTIONS: usize = 6;
const MAX_LINES: usize = 6;
const MAX_TYPES: usize = 400;

/// Opens these bytes as a file.
pub fn open(bytes: &[u8]) -> Option<Module> {
    let flags = rustix::fs::MemfdFlags::CLOEXEC;
    let descriptor = rustix::fs::memfd_create("input", flags).ok()?;
    let mut file = std::fs::File::from(descriptor);
    file.write_all(bytes).ok()?;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let display = Path::new("/nowhere/input");
    Module::open_as(Path::new(&path), display, &DebugOptions::default()).ok()
}

/// Asks for properties of the file.
pub fn ask_file(module: &Module) {
    black_box((module.build_id(), module.is_stripped(), module.looked()));
    black_box(module.require_dwarf()).ok();
    black_box((module.tls(), module.tls_word()));
    black_box(module.bias(RunAddr(0x5555_0000_0000), FileOffset(0), 1 << 20));
    let addresses: Vec<LinkAddr> = module
        .symbols()
        .take(MAX_SYMBOLS)
        .map(|symbol| symbol.address)
        .collect();
    let starts = module.segments().iter().map(|segment| segment.address);
    let starts: Vec<LinkAddr> = starts.take(MAX_SYMBOLS).collect();
    for address in addresses.into_iter().chain(starts) {
        black_box(module.is_code(address));
        black_box(module.symbol_at(address));
        black_box(module.initial_bytes(address, 64));
        if let Some(offset) = module.file_offset(address) {
            black_box(module.link_addr(offset));
        }
        black_box(module.cfa_at(address)).ok();
        black_box(module.landing_pads(&[(address.0, address.0.saturating_add(64))]));
    }
    black_box(module.symbols_named("main"));
    for section in module.sections().iter().take(MAX_SYMBOLS) {
        black_box(&section.name);
    }
    black_box((
        module.eh_frame(),
        module.eh_frame_hdr(),
        module.debug_frame(),
    ));
    black_box(module.units().len());
    black_box(module.split_units());
    ask_usdt(module);
}

/// Asks for the USDT probes and their arguments.
pub fn ask_usdt(module: &Module) {
    for probe in module.usdt_probes().iter().take(MAX_SYMBOLS) {
        if let Some(semaphore) = probe.semaphore {
            black_box(module.semaphore_offset(semaphore));
        }
        let found = module.usdt_sites(&probe.provider, &probe.name);
        for site in found
            .map(|found| found.sites)
            .unwrap_or_default()
            .iter()
            .take(MAX_LINES)
        {
            for variable in module.usdt_arguments(site) {
                black_box((variable.place.to_string(), module.type_of(variable.ty)));
            }
            black_box(module.types_at(site, "char"));
            black_box(module.language_of(site));
        }
    }
}

/// Asks for lines and functions.
pub fn ask_lines(module: &Module) {
    for file in module.source_files().iter().take(4) {
        black_box(module.find_files(&file.path.to_string_lossy()));
        let lines = module.lines(file.id).unwrap_or_default();
        for line in lines.keys().copied().take(MAX_LINES) {
            let sites = module.sites(file.id, line);
            for site in sites.map(|sites| sites.sites).unwrap_or_default() {
                ask_code(module, site.address);
            }
        }
        black_box(module.sites(file.id, 2)).ok();
    }
    for function in functions(module) {
        black_box(module.function_sites(&function.name)).ok();
        black_box(module.return_sites(&function.name)).ok();
        black_box(module.entry_sites(&function.name)).ok();
        for address in function.addresses.into_iter().take(2) {
            ask_code(module, address);
        }
    }
}

fn ask_code(module: &Module, address: LinkAddr) {
    black_box(module.site_at(address));
    black_box((module.line_at(address), module.is_row(address)));
    black_box(module.statement_at(address));
    black_box(module.statements_between(address, address.add(64)));
    black_box(module.function_code_at(address));
    black_box(module.has_inlined_code(address));
}

fn functions(module: &Module) -> Vec<tracer::debuginfo::FunctionInfo> {
    let mut functions = module.functions(None).unwrap_or_default();
    functions.truncate(MAX_FUNCTIONS);
    functions
}

/// Addresses in the code of the module's functions.
pub fn addresses(module: &Module) -> Vec<LinkAddr> {
    functions(module)
        .into_iter()
        .flat_map(|function| {
            let own = function.addresses.into_iter().take(2);
            own.chain(function.inlined.into_iter().take(2))
        })
        .flat_map(|address| [address, address.add(9)])
        .collect()
}

/// Asks for variables and their types.
pub fn ask_variables(module: &Module) {
    let mut types: Vec<TypeId> = Vec::new();
    for address in addresses(module) {
        for scope in module.scopes_at(address).unwrap_or_default() {
            for variable in scope.variables {
                black_box(variable.place.to_string());
                types.push(variable.ty);
                black_box(module.array_counts(address, variable.ty)).ok();
            }
        }
        black_box(module.variables_at(address)).ok();
        black_box(module.unit_statics(address)).ok();
        black_box(module.has_changed_calls(address));
        types.extend(module.function_return_type(address).ok().flatten());
        types.extend(module.outer_return_type(address).ok().flatten());
        types.extend(module.type_named("int", Some(address)));
    }
    black_box(module.static_variable("global"));
    types.extend(module.type_named("everything", None));
    ask_types(module, types);
}

fn ask_types(module: &Module, mut types: Vec<TypeId>) {
    let mut seen = HashSet::new();
    while let Some(id) = types.pop()
        && seen.len() < MAX_TYPES
    {
        if !seen.insert(id) {
            continue;
        }
        let ty = module.type_of(id);
        if seen.len() < 8 {
            black_box(module.derived(&ty.name, 8));
            black_box(module.implementers(&ty.name, 8));
        }
        types.extend(parts(&ty));
    }
}

fn parts(ty: &Type) -> Vec<TypeId> {
    match &ty.kind {
        TypeKind::Alias(id) | TypeKind::Array { element: id, .. } => vec![*id],
        TypeKind::Pointer { target, .. } => target.iter().copied().collect(),
        TypeKind::MemberPointer { target, class } => {
            target.iter().copied().chain([*class]).collect()
        }
        TypeKind::Struct(body) | TypeKind::Union(body) => {
            let members = body.members.iter().map(|member| member.ty);
            let variants = body.variants.iter().flat_map(|part| &part.variants);
            members
                .chain(body.bases.iter().map(|base| base.ty))
                .chain(variants.map(|variant| variant.ty))
                .chain(body.type_arguments.iter().map(|(_, ty)| *ty))
                .collect()
        }
        _ => Vec::new(),
    }
}
