//! Real Rust values of the test process, read through its own debug
//! information: ours against what `{:?}` prints.
#![expect(
    dead_code,
    reason = "fields are read by Debug, and by us through the debug information"
)]

use std::borrow::Cow;
use std::cell::{Cell, LazyCell, OnceCell, Ref, RefCell, RefMut};
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, LinkedList, VecDeque};
use std::ffi::{CStr, CString, OsString};
use std::marker::PhantomData;
use std::num::{NonZeroU32, Wrapping};
use std::path::{Path, PathBuf};
use std::rc::{Rc, Weak};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, OnceLock, RwLock, RwLockWriteGuard};
use std::time::{Duration, Instant, SystemTime};

use super::fixture::spec;
use crate::actions::compile;
use crate::arch::INSTRUCTION_POINTER;
use crate::base::address::{Bias, LinkAddr};
use crate::debuginfo::module::Module;
use crate::debuginfo::place::{LocationExpr, PieceSource, Place, Term};
use crate::debuginfo::types::{TypeId, TypeKind, TypeSource};
use crate::debuginfo::variable::{Variable, VariableKind};
use crate::plan::{AddressBase, Context, DecodeScratch, EventBuffers, Limits, PlanInput};
use crate::program::reference::{Outcome, Own, ReferenceMachine};

/// The test binary's own debug information, opened once.
fn module() -> &'static Module {
    static MODULE: OnceLock<Module> = OnceLock::new();
    MODULE.get_or_init(|| {
        let path = std::env::current_exe().expect("the test runs");
        Module::open(&path).expect("the test binary opens")
    })
}

/// A member of a struct of this file: its type.
fn member(zoo: &str, name: &str) -> TypeId {
    let ty = module().type_named(zoo, None);
    let ty = module().type_of(ty.unwrap_or_else(|| panic!("`{zoo}` in the debug information")));
    let TypeKind::Struct(body) = &ty.kind else {
        panic!("{ty:?}");
    };
    let found = body.members.iter().find(|member| member.name == name);
    found.unwrap_or_else(|| panic!("{name} in {body:?}")).ty
}

/// The text of a value at an address of this process.
fn show(ty: TypeId, address: u64, limits: Limits) -> String {
    let place = Place::whole(PieceSource::Memory(LocationExpr(vec![Term::Const(
        address,
    )])));
    let variables = [Variable {
        name: "v".into(),
        ty,
        kind: VariableKind::Local,
        place,
        line: 1,
        counts: Vec::new(),
        shadow: 1,
    }];
    let spec = spec(None, None);
    let plan = compile(&PlanInput {
        source: module(),
        language: crate::debuginfo::types::Language::Rust,
        base: AddressBase::Site(LinkAddr(0)),
        neighbours: &Vec::new,
        tls: None,
        variables: &variables,
        statics: &|_| None,
        types: &|_| Vec::new(),
        spec: &spec,
        limits,
        shapes: &crate::plan::ShapeCache::default(),
        returned: None,
        redactor: &crate::value::redact::Redactor::default(),
        has_spans: false,
    })
    .expect("compiles");
    let own = Own::open().expect("own memory opens");
    let machine = ReferenceMachine::new(&own).with(INSTRUCTION_POINTER, bias().0);
    let Outcome::Sent(record) = machine.run(&plan.program.ops) else {
        panic!("no record");
    };
    let decoded = plan.layout.decode(&record).expect("decodes");
    let room = EventBuffers {
        message: decoded.message.clone(),
        values: decoded.values.clone(),
    };
    let mut scratch = DecodeScratch::default();
    let again = (plan.layout).decode_into(&record, &Context::default(), room, &mut scratch);
    assert_eq!(again.as_ref(), Ok(&decoded), "in the room of the same");
    decoded.values[0].value.to_string()
}

/// Something whose link address and run address are both known.
static ANCHOR: u32 = 0x5eed;

/// Where this process has the test binary.
fn bias() -> Bias {
    let found = module().static_variable("own::ANCHOR");
    match &found[0].place.pieces[0].source {
        PieceSource::Memory(LocationExpr(terms)) => match terms[..] {
            [Term::Address(link)] => Bias(address_of(&ANCHOR).wrapping_sub(link.0)),
            _ => panic!("{terms:?}"),
        },
        other => panic!("{other:?}"),
    }
}

fn address_of<T>(value: &T) -> u64 {
    std::ptr::from_ref(value) as u64
}

macro_rules! compare {
    ($zoo:expr, $name:literal, [$($field:ident),* $(,)?]) => {{
        let mut wrong = Vec::new();
        $(
            let ours = show(member($name, stringify!($field)), address_of(&$zoo.$field), Limits::default());
            let real = format!("{:?}", $zoo.$field);
            if ours != real {
                wrong.push(format!("{}:\n  ours {ours}\n  real {real}", stringify!($field)));
            }
        )*
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }};
}

#[derive(Clone, Debug)]
struct Point {
    x: i16,
    y: i16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Plain {
    Idle = 3,
    Busy = -7,
}

#[derive(Clone, Debug)]
enum Shape {
    Empty,
    Round(f32),
    Named { name: String, at: Point },
    Deep(Box<Shape>, Option<Rc<str>>),
}

#[derive(Debug)]
struct Unit;

#[derive(Debug)]
struct Wrapper(u32, &'static str);

#[derive(Debug)]
struct Generic<T> {
    inner: T,
    nothing: PhantomData<T>,
}

#[derive(Debug)]
struct Scalars {
    i: i8,
    u: u64,
    huge: i128,
    large: u128,
    truth: bool,
    letter: char,
    accent: char,
    single: f32,
    double: f64,
    tiny: f64,
    nothing: (),
    pair: (u8, i32),
    one: (u8,),
    unit: Unit,
    wrapper: Wrapper,
    plain: Plain,
    busy: Plain,
    point: Point,
    array: [u16; 5],
    grid: [[i8; 3]; 2],
    none: [u32; 0],
    points: [Point; 2],
    generic: Generic<i32>,
    nonzero: NonZeroU32,
    wrapping: Wrapping<i64>,
    duration: Duration,
    now: Instant,
    clock: SystemTime,
    range: std::ops::Range<u32>,
}

#[test]
fn scalars_and_structs_are_shown_as_rust_shows_them() {
    let zoo = Scalars {
        i: -128,
        u: u64::MAX,
        huge: i128::MIN,
        large: u128::MAX,
        truth: true,
        letter: 'x',
        accent: '\u{1F980}',
        single: 0.1,
        double: -1.5e300,
        tiny: 1e-7,
        nothing: (),
        pair: (7, -9),
        one: (1,),
        unit: Unit,
        wrapper: Wrapper(5, "five"),
        plain: Plain::Idle,
        busy: Plain::Busy,
        point: Point { x: 812, y: -402 },
        array: [1, 2, 3, 4, 5],
        grid: [[1, 2, 3], [-4, -5, -6]],
        none: [],
        points: [Point { x: 1, y: 2 }, Point { x: 3, y: 4 }],
        generic: Generic {
            inner: 4,
            nothing: PhantomData,
        },
        nonzero: NonZeroU32::MIN,
        wrapping: Wrapping(-3),
        duration: Duration::from_micros(1_234_567),
        now: Instant::now(),
        clock: SystemTime::now(),
        range: 3..9,
    };
    compare!(
        zoo,
        "Scalars",
        [
            i, u, huge, large, truth, letter, accent, single, double, tiny, nothing, pair, one,
            unit, wrapper, plain, busy, point, array, grid, none, points, generic, nonzero,
            wrapping, duration, now, clock, range,
        ]
    );
}

#[derive(Debug)]
struct Owners<'a> {
    text: String,
    empty: String,
    slice: &'a str,
    bytes: &'a [u8],
    numbers: Vec<u32>,
    texts: Vec<String>,
    nested: Vec<Vec<Point>>,
    units: Vec<()>,
    boxed: Box<Point>,
    boxed_text: Box<str>,
    boxed_slice: Box<[i32]>,
    reference: &'a Point,
    twice: &'a &'a Point,
    rc: Rc<Point>,
    arc: Arc<String>,
    rc_text: Rc<str>,
    arc_slice: Arc<[u16]>,
    weak: Weak<u8>,
    queue: VecDeque<u32>,
    texts_queue: VecDeque<String>,
    path: PathBuf,
    os: OsString,
    c: CString,
    c_slice: &'a CStr,
    path_slice: &'a Path,
    owned: Cow<'a, str>,
    borrowed: Cow<'a, str>,
}

#[test]
fn owners_and_references_are_shown_as_rust_shows_them() {
    let point = Point { x: 1, y: -1 };
    let reference = &point;
    let mut queue: VecDeque<u32> = (0..7).collect();
    let mut texts_queue: VecDeque<String> = (0..4).map(|n| format!("t{n}")).collect();
    for n in 0..5 {
        queue.pop_front();
        queue.push_back(100 + n);
        texts_queue.pop_front();
        texts_queue.push_back(format!("u{n}"));
    }
    let zoo = Owners {
        text: "héllo\n\"world\"\\".into(),
        empty: String::new(),
        slice: "slice",
        bytes: b"\x00\x01\xff",
        numbers: (0..10).collect(),
        texts: vec!["a".into(), String::new(), "ccc".into()],
        nested: vec![
            vec![point.clone()],
            vec![],
            vec![point.clone(), point.clone()],
        ],
        units: vec![(); 3],
        boxed: Box::new(point.clone()),
        boxed_text: "boxed".into(),
        boxed_slice: vec![1, -2].into(),
        reference,
        twice: &reference,
        rc: Rc::new(point.clone()),
        arc: Arc::new("arc".into()),
        rc_text: "counted".into(),
        arc_slice: vec![1, 2, 3].into(),
        weak: Weak::new(),
        queue,
        texts_queue,
        path: "/tmp/a b".into(),
        os: "os".into(),
        c: c"null-ended".into(),
        c_slice: c"slice",
        path_slice: Path::new("/etc"),
        owned: Cow::Owned("owned".into()),
        borrowed: Cow::Borrowed("borrowed"),
    };
    compare!(
        zoo,
        "Owners",
        [
            text,
            empty,
            slice,
            bytes,
            numbers,
            texts,
            nested,
            units,
            boxed,
            boxed_text,
            boxed_slice,
            reference,
            twice,
            rc,
            arc,
            rc_text,
            arc_slice,
            weak,
            queue,
            texts_queue,
            path,
            os,
            c,
            c_slice,
            path_slice,
            owned,
            borrowed,
        ]
    );
}

#[derive(Debug)]
struct Choices<'a> {
    some: Option<u32>,
    none: Option<u32>,
    niche: Option<&'a Point>,
    no_niche: Option<&'a Point>,
    boxed: Option<Box<u8>>,
    nonzero: Option<NonZeroU32>,
    text: Option<String>,
    no_text: Option<String>,
    truth: Option<bool>,
    nested: Option<Option<bool>>,
    ok: Result<u8, String>,
    err: Result<u8, String>,
    empty: Shape,
    round: Shape,
    named: Shape,
    deep: Shape,
    shapes: Vec<Shape>,
    plain: Option<Plain>,
    ordering: std::cmp::Ordering,
    cell: Cell<u32>,
    refcell: RefCell<Vec<u8>>,
    mutex: Mutex<Point>,
    rwlock: RwLock<String>,
    flag: AtomicBool,
    count: AtomicU64,
    shared: Arc<Mutex<Vec<u32>>>,
}

#[test]
fn enums_and_cells_are_shown_as_rust_shows_them() {
    let point = Point { x: 5, y: 6 };
    let named = Shape::Named {
        name: "n".into(),
        at: point.clone(),
    };
    let zoo = Choices {
        some: Some(4),
        none: None,
        niche: Some(&point),
        no_niche: None,
        boxed: Some(Box::new(3)),
        nonzero: NonZeroU32::new(9),
        text: Some("t".into()),
        no_text: None,
        truth: Some(false),
        nested: Some(None),
        ok: Ok(1),
        err: Err("bad".into()),
        empty: Shape::Empty,
        round: Shape::Round(1.25),
        named: named.clone(),
        deep: Shape::Deep(Box::new(named.clone()), Some("rc".into())),
        shapes: vec![Shape::Empty, named, Shape::Round(0.5)],
        plain: Some(Plain::Busy),
        ordering: std::cmp::Ordering::Less,
        cell: Cell::new(11),
        refcell: RefCell::new(vec![1, 2]),
        mutex: Mutex::new(point.clone()),
        rwlock: RwLock::new("locked".into()),
        flag: AtomicBool::new(true),
        count: AtomicU64::new(77),
        shared: Arc::new(Mutex::new(vec![1, 2, 3])),
    };
    compare!(
        zoo,
        "Choices",
        [
            some, none, niche, no_niche, boxed, nonzero, text, no_text, truth, nested, ok, err,
            empty, round, named, deep, shapes, plain, ordering, cell, refcell, mutex, rwlock, flag,
            count, shared,
        ]
    );
}

#[derive(Debug)]
struct Collections {
    map: HashMap<String, u32>,
    empty_map: HashMap<u8, u8>,
    set: HashSet<i16>,
    deep: HashMap<u64, Vec<String>>,
    tree: BTreeMap<u32, String>,
    empty_tree: BTreeMap<u32, String>,
    tall: BTreeMap<u16, u16>,
    tree_set: BTreeSet<char>,
    many: BTreeSet<u32>,
}

#[test]
fn collections_are_shown_as_rust_shows_them() {
    let zoo = Collections {
        map: (0..9).map(|n| (format!("key{n}"), n)).collect(),
        empty_map: HashMap::new(),
        set: (0..30).map(|n| n * 7 - 50).collect(),
        deep: (0..3)
            .map(|n| (n, vec![format!("v{n}"); n as usize]))
            .collect(),
        tree: (0..5).map(|n| (n, n.to_string())).collect(),
        empty_tree: BTreeMap::new(),
        tall: (0..60).map(|n| (n, n * 2)).collect(),
        tree_set: "tracer".chars().collect(),
        many: (0..64).collect(),
    };
    compare!(
        zoo,
        "Collections",
        [
            map, empty_map, set, deep, tree, empty_tree, tall, tree_set, many
        ]
    );
}

#[test]
fn long_collections_are_cut_with_their_count() {
    let zoo = Collections {
        map: HashMap::new(),
        empty_map: HashMap::new(),
        set: HashSet::new(),
        deep: HashMap::new(),
        tree: BTreeMap::new(),
        empty_tree: BTreeMap::new(),
        tall: (0..2000).map(|n| (n, n)).collect(),
        tree_set: BTreeSet::new(),
        many: (0..1000).collect(),
    };
    let limits = Limits {
        elements: 3,
        ..Limits::default()
    };
    let many = show(member("Collections", "many"), address_of(&zoo.many), limits);
    assert_eq!(many, "{0, 1, 2, … 1000 in all}");
    let tall = show(member("Collections", "tall"), address_of(&zoo.tall), limits);
    assert_eq!(tall, "{0: 0, 1: 1, 2: 2, … 2000 in all}");
    let first: Vec<u16> = zoo.tall.range(..64).map(|(key, _)| *key).collect();
    let whole = show(
        member("Collections", "tall"),
        address_of(&zoo.tall),
        Limits::default(),
    );
    assert!(whole.starts_with("{0: 0, 1: 1") && whole.ends_with("63: 63, … 2000 in all}"));
    assert_eq!(first.len(), 64);
}

trait Speak: std::fmt::Debug {}

#[derive(Debug)]
struct Dog {
    name: String,
    age: u8,
}

/// Aligned beyond the counts that stand before it in an `Rc`.
#[derive(Debug)]
#[repr(align(64))]
struct Cat(u16);

#[derive(Debug)]
struct Nobody;

impl Speak for Dog {}
impl Speak for Cat {}
impl Speak for Nobody {}

#[derive(Debug)]
struct TraitObjects {
    boxed: Box<dyn Speak>,
    empty: Box<dyn Speak + Send>,
    shared: Rc<dyn Speak>,
    aligned: Arc<dyn Speak>,
    list: Vec<Box<dyn Speak>>,
    reference: &'static dyn Speak,
    none: Option<&'static dyn Speak>,
}

#[test]
fn trait_objects_are_shown_as_what_they_are() {
    let dog = |age| Dog {
        name: "Rex".into(),
        age,
    };
    let zoo = TraitObjects {
        boxed: Box::new(dog(3)),
        empty: Box::new(Nobody),
        shared: Rc::new(dog(4)),
        aligned: Arc::new(Cat(7)),
        list: vec![Box::new(Cat(1)), Box::new(dog(2))],
        reference: &Nobody,
        none: None,
    };
    compare!(
        zoo,
        "TraitObjects",
        [boxed, empty, shared, aligned, list, reference, none]
    );
}

#[derive(Debug)]
struct Wrapped {
    heap: BinaryHeap<u8>,
    list: LinkedList<String>,
    no_list: LinkedList<u8>,
    once: OnceCell<u16>,
    no_once: OnceCell<u16>,
    lock: OnceLock<String>,
    no_lock: OnceLock<u8>,
    lazy: LazyLock<String>,
    no_lazy: LazyLock<String>,
    lazy_cell: LazyCell<u32>,
    no_lazy_cell: LazyCell<u32>,
    borrowed: Ref<'static, Vec<u8>>,
    mutable: RefMut<'static, u32>,
    guard: MutexGuard<'static, String>,
    writing: RwLockWriteGuard<'static, [i8; 2]>,
}

#[test]
fn lists_cells_and_guards_are_shown_as_what_they_hold() {
    let cell: &'static RefCell<Vec<u8>> = Box::leak(Box::default());
    let number: &'static RefCell<u32> = Box::leak(Box::new(RefCell::new(5)));
    let mutex: &'static Mutex<String> = Box::leak(Box::new(Mutex::new("held".into())));
    let rwlock: &'static RwLock<[i8; 2]> = Box::leak(Box::new(RwLock::new([1, -1])));
    let zoo = Wrapped {
        heap: BinaryHeap::from(vec![3, 1, 2]),
        list: LinkedList::from(["one".to_owned(), String::new()]),
        no_list: LinkedList::new(),
        once: OnceCell::from(6),
        no_once: OnceCell::new(),
        lock: OnceLock::from("set".to_owned()),
        no_lock: OnceLock::new(),
        lazy: LazyLock::new(|| "made".to_owned()),
        no_lazy: LazyLock::new(String::new),
        lazy_cell: LazyCell::new(|| 7),
        no_lazy_cell: LazyCell::new(|| 8),
        borrowed: cell.borrow(),
        mutable: number.borrow_mut(),
        guard: mutex.lock().expect("nobody panics"),
        writing: rwlock.write().expect("nobody panics"),
    };
    LazyLock::force(&zoo.lazy);
    LazyCell::force(&zoo.lazy_cell);
    compare!(
        zoo,
        "Wrapped",
        [
            heap,
            list,
            no_list,
            once,
            no_once,
            lock,
            no_lock,
            lazy,
            no_lazy,
            lazy_cell,
            no_lazy_cell,
            borrowed,
            mutable,
            guard,
            writing
        ]
    );
}

#[test]
fn chain_that_is_shorter_than_its_count_is_no_list() {
    let list = LinkedList::from([1_u8, 2]);
    let mut bytes = [0_u8; size_of::<LinkedList<u8>>()];
    let memory = std::fs::File::open("/proc/self/mem").expect("our own memory");
    std::os::unix::fs::FileExt::read_exact_at(&memory, &mut bytes, address_of(&list))
        .expect("the list's bytes");
    let place = bytes
        .chunks_exact(8)
        .position(|word| word == 2_u64.to_le_bytes());
    let at = place.expect("the number of entries") * 8;
    bytes[at] = 9;
    let shown = show(
        member("Wrapped", "no_list"),
        address_of(&bytes),
        Limits::default(),
    );
    assert_eq!(shown, "<invalid value: 2 entries in a chain of 9>");
}
