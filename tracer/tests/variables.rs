//! Variables, their types and locations in programs of the installed compilers. Each `site_…` label
//! of a fixture is a tested address.

#![expect(clippy::panic, reason = "a test fails by a panic")]

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tracer::base::address::{Bias, LinkAddr, ModuleNumber, ModulePlace};
use tracer::base::unavailable::Unavailable;
use tracer::debuginfo::place::{Binary, LocationExpr, PieceSource, Place, Term};
use tracer::debuginfo::types::{
    BaseOffset, Language, PointerKind, StructType, Type, TypeId, TypeKind, TypeSource,
};
use tracer::debuginfo::variable::{Variable, VariableKind};
use tracer::debuginfo::{Module, Neighbour};

#[path = "variables/c.rs"]
mod c;
#[path = "variables/cpp.rs"]
mod cpp;
#[path = "variables/gdb.rs"]
mod gdb;
#[path = "variables/hostile.rs"]
mod hostile;
#[path = "variables/rust.rs"]
mod rust;

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/variables");

/// A function and its callers, in separate units.
const ELSEWHERE: [&str; 3] = [
    "gcc -g -O1 -w c_called.c c_callers.c",
    "gcc -gdwarf-4 -O2 -w c_called.c c_callers.c",
    "gcc -g -O2 -w c_callers.c c_called.c",
];

/// Builds a fixture once per set of flags and test run.
fn built(command: &str) -> PathBuf {
    static BUILT: OnceLock<(tempfile::TempDir, Mutex<HashMap<String, PathBuf>>)> = OnceLock::new();
    let (directory, built) = BUILT.get_or_init(|| {
        let directory = tempfile::tempdir().expect("temporary directory");
        (directory, Mutex::default())
    });
    let mut built = built.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(path) = built.get(command) {
        return path.clone();
    }
    let path = directory.path().join(format!("fixture{}", built.len()));
    let mut words = command.split_whitespace();
    let status = Command::new(words.next().expect("compiler"))
        .args(words)
        .arg("-o")
        .arg(&path)
        .current_dir(SOURCES)
        .status();
    assert!(status.expect("the compiler runs").success(), "{command}");
    built.insert(command.to_owned(), path.clone());
    path
}

/// Builds and opens a fixture.
fn fixture(command: &str) -> Module {
    Module::open(&built(command)).expect("fixture opens")
}

fn site(module: &Module, name: &str) -> LinkAddr {
    let symbols = module.symbols_named(name);
    symbols
        .first()
        .unwrap_or_else(|| panic!("no label {name}"))
        .address
}

fn variables(module: &Module, label: &str) -> Vec<Variable> {
    module.variables_at(site(module, label)).expect("variables")
}

fn named<'v>(variables: &'v [Variable], name: &str) -> &'v Variable {
    let found = variables.iter().find(|variable| variable.name == name);
    found.unwrap_or_else(|| panic!("no {name} in {variables:#?}"))
}

fn type_of(module: &Module, variable: &Variable) -> std::sync::Arc<Type> {
    module.type_of(variable.ty)
}

/// Returns the type without typedefs and qualifiers.
fn stripped(module: &Module, mut id: TypeId) -> std::sync::Arc<Type> {
    while let TypeKind::Alias(next) = module.type_of(id).kind {
        id = next;
    }
    module.type_of(id)
}

fn target(module: &Module, id: TypeId) -> TypeId {
    match stripped(module, id).kind {
        TypeKind::Pointer {
            target: Some(target),
            ..
        } => target,
        ref other => panic!("no pointer but {other:?}"),
    }
}

fn structure(ty: &Type) -> &StructType {
    match &ty.kind {
        TypeKind::Struct(structure) | TypeKind::Union(structure) => structure,
        other => panic!("no struct but {other:?}"),
    }
}
