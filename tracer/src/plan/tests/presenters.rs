//! The table of presenters: each type that it names has a fixture, and each fixture is presented.
//!
//! A presenter that is lost from the table, or that no longer recognises a type's members, shows
//! the raw members. No other code takes that for an error.

#![expect(dead_code, reason = "only the types of the fields count")]

use std::cell::{Cell, LazyCell, OnceCell, Ref, RefCell, RefMut, UnsafeCell};
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, LinkedList, VecDeque};
use std::ffi::{CString, OsString};
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::num::{NonZeroU32, Saturating, Wrapping};
use std::path::PathBuf;
use std::pin::Pin;
use std::process::Command;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, OnceLock, RwLock, RwLockWriteGuard};
use std::time::{Duration, Instant, SystemTime};

use crate::base::address::LinkAddr;
use crate::debuginfo::module::Module;
use crate::debuginfo::types::{TypeId, TypeKind};
use crate::plan::presenters::{ALL, cpp, libcxx, rust};
use crate::plan::shape::builder::{Builder, BuilderInput};
use crate::plan::shape::presenter::Presenter;
use crate::plan::{AddressBase, Limits, ShapeCache};

/// The struct whose members are the fixtures, in each language.
const SHOWN: &str = "Shown";
/// Levels of members in which types of the libraries themselves are looked for.
const LEVELS: u32 = 8;

/// Names that only other versions of the libraries or compilers give to a type.
const OTHER_VERSIONS: [&str; 9] = [
    "alloc::boxed::Box",
    "string",
    "string_view",
    "std::*_Fwd_list_const_iterator",
    "filesystem::path",
    "filesystem::__cxx11::path",
    "atomic_ref",
    "initializer_list",
    "__hash_map_iterator",
];

/// One field of each type of Rust's libraries that a presenter shows.
struct Shown {
    string: String,
    c_string: CString,
    vec: Vec<u8>,
    deque: VecDeque<u8>,
    rc: std::rc::Rc<u8>,
    arc: Arc<u8>,
    weak: std::rc::Weak<u8>,
    sync_weak: std::sync::Weak<u8>,
    heap: BinaryHeap<u8>,
    list: LinkedList<u8>,
    boxed_slice: Box<[u8]>,
    tree: BTreeMap<u8, u16>,
    tree_set: BTreeSet<u8>,
    once_cell: OnceCell<u8>,
    lazy_cell: LazyCell<u8>,
    borrowed: Ref<'static, u8>,
    mutable: RefMut<'static, u8>,
    cell: Cell<u8>,
    ref_cell: RefCell<u8>,
    pin: Pin<Box<u8>>,
    unsafe_cell: UnsafeCell<u8>,
    manually_drop: ManuallyDrop<u8>,
    atomic: AtomicU64,
    nonzero: NonZeroU32,
    wrapping: Wrapping<u8>,
    saturating: Saturating<u8>,
    non_null: NonNull<u8>,
    phantom: PhantomData<u8>,
    duration: Duration,
    range: std::ops::Range<u8>,
    path: PathBuf,
    os_string: OsString,
    once_lock: OnceLock<u8>,
    lazy_lock: LazyLock<u8>,
    mutex_guard: MutexGuard<'static, u8>,
    write_guard: RwLockWriteGuard<'static, u8>,
    mutex: Mutex<u8>,
    rwlock: RwLock<u8>,
    instant: Instant,
    clock: SystemTime,
    map: HashMap<u8, u8>,
    set: HashSet<u8>,
    text: &'static str,
}

/// The fixtures of one module, and the patterns of the presented types in them.
struct Fixtures<'m> {
    builder: Builder<'m>,
    presented: BTreeSet<&'static str>,
}

impl<'m> Fixtures<'m> {
    fn new(module: &'m Module, shapes: &'m ShapeCache) -> Self {
        Self {
            builder: Builder::new(BuilderInput {
                source: module,
                base: AddressBase::Site(LinkAddr(0)),
                neighbours: &Vec::new,
                limits: Limits::default(),
                shapes,
                presenters: &ALL,
            }),
            presented: BTreeSet::new(),
        }
    }

    /// Presents each member of [`SHOWN`]. Returns those without a presenter.
    fn present_all(&mut self, module: &Module) -> Vec<String> {
        let shown = module.type_named(SHOWN, None);
        let shown = self
            .builder
            .resolve(shown.expect("the debug information has the struct"));
        let TypeKind::Struct(body) = &shown.kind else {
            panic!("{shown:?}");
        };
        let mut raw = Vec::new();
        for member in &body.members {
            if !self.present(member.ty, LEVELS) {
                raw.push(format!(
                    "{}: {}",
                    member.name,
                    self.builder.resolve_name(member.ty)
                ));
            }
        }
        raw
    }

    /// Returns true if a type has a presenter. Looks into its members as well.
    fn present(&mut self, id: TypeId, levels: u32) -> bool {
        let ty = self.builder.resolve(id);
        let (TypeKind::Struct(body) | TypeKind::Union(body)) = &ty.kind else {
            return false;
        };
        // A builder has room for parts while and after it makes a variable.
        self.builder.variable(id);
        let found = ALL.structs.iter().find_map(|presenter: &Presenter| {
            let pattern = presenter.pattern_of(&ty)?;
            (presenter.present)(&mut self.builder, &ty, body, 2).map(|_| pattern)
        });
        self.presented.extend(found);
        if let Some(deeper) = levels.checked_sub(1) {
            let bases = body.bases.iter().map(|base| base.ty);
            for ty in bases.chain(body.members.iter().map(|member| member.ty)) {
                self.present(ty, deeper);
            }
        }
        found.is_some()
    }
}

/// Builds a fixture as a library and opens it.
fn compiled(compiler: &str, flags: &[&str], source: &str) -> Module {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let library = folder.path().join("library.so");
    let source = format!(
        "{}/tests/fixtures/presenters/{source}",
        env!("CARGO_MANIFEST_DIR")
    );
    let status = Command::new(compiler)
        .args(["-std=c++2b", "-g", "-O0", "-shared", "-fPIC", &source, "-o"])
        .arg(&library)
        .args(flags)
        .status();
    assert!(status.expect("the compiler runs").success(), "{source}");
    Module::open(&library).expect("opens")
}

/// Checks the fixtures of some modules against a part of the table.
fn check(modules: &[&Module], presenters: &[Presenter]) {
    let mut presented = BTreeSet::new();
    for module in modules {
        let shapes = ShapeCache::default();
        let mut fixtures = Fixtures::new(module, &shapes);
        let raw = fixtures.present_all(module);
        assert!(raw.is_empty(), "without a presenter:\n{}", raw.join("\n"));
        presented.extend(fixtures.presented);
    }
    let all = presenters.iter().flat_map(|presenter| presenter.types);
    let missing: Vec<_> = all
        .filter(|name| !presented.contains(*name) && !OTHER_VERSIONS.contains(name))
        .collect();
    assert!(missing.is_empty(), "without a fixture: {missing:?}");
}

#[test]
fn types_of_rust_have_fixtures_and_presenters() {
    std::hint::black_box(None::<Shown>);
    let path = std::env::current_exe().expect("the test runs");
    let module = Module::open(&path).expect("the test binary opens");
    check(&[&module], &rust::ALL);
}

#[test]
fn types_of_libstdcxx_have_fixtures_and_presenters() {
    let library = compiled("g++", &[], "library.cpp");
    let checked = compiled("g++", &[], "checked.cpp");
    check(&[&library, &checked], &[cpp::CHECKED, cpp::LIBSTDCXX]);
}

#[test]
fn types_of_libcxx_have_fixtures_and_presenters() {
    let library = compiled("clang++", &["-stdlib=libc++"], "library.cpp");
    check(&[&library], &[libcxx::PRESENTER]);
}
