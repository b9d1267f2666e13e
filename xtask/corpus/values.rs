//! Values of Rust's types and standard library, each in a variable of its own.
//!
//! Waits for a line on stdin, runs once, the same each time, and exits.
#![allow(dead_code, unused_variables, clippy::all)]

use std::borrow::Cow;
use std::cell::{Cell, LazyCell, OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, LinkedList, VecDeque};
use std::ffi::{CStr, CString, OsStr, OsString};
use std::fmt::Debug;
use std::hash::{BuildHasherDefault, Hasher};
use std::hint::black_box;
use std::num::{NonZeroI16, NonZeroU8, NonZeroU32, Saturating, Wrapping};
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::rc::{self, Rc};
use std::sync::atomic::{AtomicBool, AtomicI8, AtomicPtr, AtomicU64, AtomicUsize};
use std::sync::{Arc, LazyLock, Mutex, OnceLock, RwLock};
use std::time::{Duration, Instant, SystemTime};

static COUNT: AtomicU64 = AtomicU64::new(41);
static NAME: &str = "a static";
static mut MUTABLE: [i32; 3] = [1, -2, 3];
const LIMIT: u32 = 77;
thread_local! {
    static LOCAL: Cell<u32> = const { Cell::new(7) };
}

/// Hashes the same in every run.
#[derive(Default, Clone)]
struct Fixed(u64);

impl Hasher for Fixed {
    fn finish(&self) -> u64 {
        self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(5) ^ u64::from(*byte);
        }
    }
}

type Map<K, V> = HashMap<K, V, BuildHasherDefault<Fixed>>;
type Set<K> = HashSet<K, BuildHasherDefault<Fixed>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Point {
    x: i16,
    y: i16,
}

#[derive(Clone, Debug)]
struct Pair<A, B>(A, B);

struct Unit;
struct Empty {}

#[derive(Clone, Copy)]
enum Level {
    Low = -1,
    Middle,
    High = 300,
}

#[repr(u8)]
#[derive(Clone, Copy)]
enum Small {
    A = 1,
    B = 200,
}

enum Shape {
    Dot,
    Circle { radius: f64 },
    Rect(u32, u32),
    Named(String, Box<Shape>),
    Many(Vec<Point>),
}

#[repr(u128)]
enum Huge {
    Little(u8) = 1,
    Big(u16) = 1 << 100,
}

enum Only {
    One(u8),
}

#[repr(C)]
enum Foreign {
    Number(i32),
    Real(f32),
}

/// The niche is in the `char` of one variant.
enum Niche {
    Char(char),
    Nothing,
    Neither,
}

enum Nested {
    Inner(Option<Option<bool>>),
    Result(Result<u32, String>),
}

union Bits {
    number: u32,
    real: f32,
}

trait Speak {
    fn speak(&self) -> usize;
}

struct Dog {
    age: u32,
    name: String,
}
struct Cat(u8);

impl Speak for Dog {
    fn speak(&self) -> usize {
        self.age as usize + self.name.len()
    }
}
impl Speak for Cat {
    fn speak(&self) -> usize {
        usize::from(self.0)
    }
}

fn double(n: u32) -> u32 {
    n * 2
}

#[inline(never)]
fn primitives(flag: bool, argument: u32) -> u64 {
    let i8 = i8::MIN;
    let u8 = u8::MAX;
    let i16 = -1234_i16;
    let u16 = 54321_u16;
    let i32 = i32::MIN;
    let u32 = argument;
    let i64 = i64::MIN + 1;
    let u64 = u64::MAX - 1;
    let i128 = i128::MIN + 7;
    let u128 = u128::MAX / 3;
    let isize = -5_isize;
    let usize = usize::MAX;
    let letter = 'ß';
    let newline = '\n';
    let single = 1.5_f32;
    let pi = std::f64::consts::PI;
    let infinite = f64::NEG_INFINITY;
    let nothing = ();
    let tuple = (1_u8, -2_i32, true, 'x');
    let array = [5_u16, 6, 7];
    let matrix = [[1_i32, 2], [3, 4], [5, 6]];
    let point = Point { x: 640, y: -402 };
    let pair = Pair(point, "text");
    let unit = Unit;
    let empty = Empty {};
    let range = 3..argument;
    let inclusive = 1..=9_u8;
    let function: fn(u32) -> u32 = double;
    let raw = &point as *const Point;
    let null = std::ptr::null::<u32>();
    let bits = Bits { real: 1.0 };
    black_box((&i8, &u8, &i16, &u16, &i32, &u32, &i64, &u64, &i128, &u128, &isize, &usize));
    black_box((&letter, &newline, &single, &pi, &infinite, &nothing, &tuple, &array, &matrix));
    black_box((&point, &pair, &unit, &empty, &range, &inclusive, &function, &raw, &null, &bits));
    u64::from(function(u32)) + u64::from(flag)
}

#[inline(never)]
fn enums(number: u32) -> u64 {
    let low = Level::Low;
    let high = Level::High;
    let small = Small::B;
    let dot = Shape::Dot;
    let circle = Shape::Circle { radius: 2.5 };
    let rect = Shape::Rect(number, 9);
    let named = Shape::Named("outer".into(), Box::new(Shape::Circle { radius: 1.0 }));
    let many = Shape::Many(vec![Point { x: 1, y: 2 }, Point { x: 3, y: 4 }]);
    let little = Huge::Little(3);
    let big = Huge::Big(4);
    let only = Only::One(8);
    let foreign = Foreign::Number(-3);
    let real = Foreign::Real(0.25);
    let char = Niche::Char('q');
    let neither = Niche::Neither;
    let inner = Nested::Inner(Some(None));
    let inner_true = Nested::Inner(Some(Some(true)));
    let result = Nested::Result(Err("failed".into()));
    let some_ref = Some(&number);
    let none_ref: Option<&u32> = None;
    let nonzero = NonZeroU32::new(number);
    let none_nonzero = NonZeroU8::new(0);
    let some_box = Some(Box::new(number));
    let ok: Result<u64, Box<dyn std::error::Error>> = Ok(5);
    let ordering = number.cmp(&4);
    let some_string = Some(String::from("in an option"));
    let none_string: Option<String> = None;
    let deep: Option<Option<Option<u16>>> = Some(Some(None));
    black_box((&low, &high, &small, &dot, &circle, &rect, &named, &many, &little, &big, &only));
    black_box((&foreign, &real, &char, &neither, &inner, &inner_true, &result, &some_ref));
    black_box((&none_ref, &nonzero, &none_nonzero, &some_box, &ok, &ordering, &some_string));
    black_box((&none_string, &deep));
    u64::from(number)
}

#[inline(never)]
fn texts(text: &str, bytes: &[u8], path: &Path, os: &OsStr, c: &CStr) -> usize {
    let string = String::from("gr\u{fc}n \"quoted\" \n");
    let empty = String::new();
    let path_buf = PathBuf::from("/tmp/file.txt");
    let os_string = OsString::from("os");
    let c_string = CString::new("c string").unwrap();
    let boxed: Box<str> = "boxed".into();
    let shared: Rc<str> = "shared".into();
    let atomic: Arc<str> = "atomic".into();
    let borrowed: Cow<'static, str> = Cow::Borrowed("borrowed");
    let owned: Cow<'static, str> = Cow::Owned(String::from("owned"));
    let slice_cow: Cow<'static, [u8]> = Cow::Borrowed(b"abc");
    let mut grown = String::with_capacity(100);
    grown.push_str("short");
    let mutable = &mut grown;
    mutable.push('!');
    let mutable_str = mutable.as_mut_str();
    black_box((&string, &empty, &path_buf, &os_string, &c_string, &boxed, &shared, &atomic));
    black_box((&borrowed, &owned, &slice_cow, &mutable_str));
    text.len() + bytes.len() + path.as_os_str().len() + os.len() + c.to_bytes().len()
}

#[inline(never)]
fn sequences(slice: &[u32], points: &[Point], names: &[&str]) -> usize {
    let vec = vec![10_u64, 20, 30];
    let empty: Vec<u32> = Vec::new();
    let strings = vec![String::from("one"), String::from("two")];
    let nested = vec![vec![1_u8], vec![], vec![2, 3]];
    let units = vec![(); 4];
    let mut deque = VecDeque::with_capacity(4);
    deque.extend([1_u16, 2, 3]);
    deque.pop_front();
    deque.pop_front();
    deque.extend([4, 5]);
    let boxed: Box<[u16]> = vec![7, 8].into();
    let shared: Rc<[u32]> = vec![1, 2, 3].into();
    let heap = BinaryHeap::from(vec![3, 1, 2]);
    let list = LinkedList::from([1_u8, 2, 3]);
    let array_of_strings = [String::from("a"), String::from("bc")];
    let pointers = vec![&slice[0], &slice[1]];
    let options = vec![Some(1_u32), None, Some(3)];
    let shapes = vec![Shape::Dot, Shape::Rect(1, 2), Shape::Named("n".into(), Box::new(Shape::Dot))];
    let long: Vec<u32> = (0..40).collect();
    black_box((&vec, &empty, &strings, &nested, &units, &deque, &boxed, &shared, &heap, &list));
    black_box((&array_of_strings, &pointers, &options, &shapes, &long));
    slice.len() + points.len() + names.len()
}

#[inline(never)]
fn maps(count: u32) -> usize {
    let mut hash: Map<u32, String> = Map::default();
    let mut set: Set<&str> = Set::default();
    let mut tree = BTreeMap::new();
    let mut tree_set = BTreeSet::new();
    let empty_hash: Map<u64, u64> = Map::default();
    let empty_tree: BTreeMap<u8, u8> = BTreeMap::new();
    for n in 0..count {
        hash.insert(n, format!("value {n}"));
        tree.insert(n * 3 % 40, u64::from(n));
        tree_set.insert(Point { x: n as i16, y: 0 });
    }
    set.extend(["red", "green", "blue"]);
    let small: BTreeMap<&str, Vec<u8>> = BTreeMap::from([("a", vec![1]), ("b", vec![2, 3])]);
    let of_maps: Map<u8, BTreeMap<u8, char>> =
        Map::from_iter([(1, BTreeMap::from([(1, 'a')])), (2, BTreeMap::new())]);
    let unit_set: Set<()> = Set::from_iter([()]);
    black_box((&hash, &set, &tree, &tree_set, &empty_hash, &empty_tree, &small, &of_maps, &unit_set));
    hash.len() + tree.len()
}

#[inline(never)]
fn cells(number: u32) -> u32 {
    let cell = Cell::new(number);
    let ref_cell = RefCell::new(vec![number]);
    let once = OnceCell::from(5_u8);
    let mutex = Mutex::new(String::from("locked"));
    let rwlock = RwLock::new(Point { x: 1, y: 2 });
    let once_lock: OnceLock<u32> = OnceLock::new();
    let filled: OnceLock<String> = OnceLock::from(String::from("filled"));
    let lazy_cell: LazyCell<u16> = LazyCell::new(|| 77);
    let lazy_lock: LazyLock<String> = LazyLock::new(|| String::from("lazy"));
    let unforced: LazyLock<Vec<u8>> = LazyLock::new(Vec::new);
    black_box((&lazy_cell, &lazy_lock, &unforced));
    let forced = lazy_lock.len() + usize::from(*lazy_cell);
    let flag = AtomicBool::new(true);
    let byte = AtomicI8::new(-3);
    let size = AtomicUsize::new(12);
    let pointer = AtomicPtr::new(std::ptr::null_mut::<u8>());
    let nonzero = NonZeroI16::new(-5).unwrap();
    let wrapping = Wrapping(250_u8);
    let saturating = Saturating(3_i32);
    let boxed = Box::new(Point { x: 9, y: 8 });
    let rc = Rc::new(String::from("counted"));
    let weak = Rc::downgrade(&rc);
    let dangling: rc::Weak<String> = rc::Weak::new();
    let arc = Arc::new(Mutex::new(3_u64));
    let arc_weak = Arc::downgrade(&arc);
    let arc_dead = Arc::downgrade(&Arc::new(1_u8));
    let shared_cell = Rc::new(RefCell::new(Some(number)));
    let guard = mutex.lock().unwrap();
    let borrowed = ref_cell.borrow();
    let second = ref_cell.borrow();
    black_box((&cell, &ref_cell, &once, &mutex, &rwlock, &once_lock, &filled, &flag, &byte));
    black_box((&size, &pointer, &nonzero, &wrapping, &saturating, &boxed, &rc, &weak, &dangling));
    black_box((&arc, &arc_weak, &arc_dead, &shared_cell, &guard, &borrowed, &second));
    black_box((&lazy_cell, &lazy_lock, &unforced, forced));
    cell.get()
}

#[inline(never)]
fn times(duration: Duration) -> u64 {
    let zero = Duration::ZERO;
    let long = Duration::new(u64::MAX, 999_999_999);
    let epoch = SystemTime::UNIX_EPOCH;
    let later = epoch + Duration::new(1_700_000_000, 5);
    // An `Instant` of now would differ from run to run.
    let instant = unsafe { std::mem::transmute::<(u64, u64), Instant>((1_000, 77)) };
    black_box((&zero, &long, &epoch, &later, &instant));
    duration.as_secs()
}

#[inline(never)]
fn dynamic(speaker: &dyn Speak, boxed: Box<dyn Speak>, any: &dyn Debug) -> usize {
    let shared: Rc<dyn Speak> = Rc::new(Cat(7));
    let call: Box<dyn Fn(u32) -> u32> = Box::new(|n| n + 1);
    let list: Vec<Box<dyn Speak>> = vec![
        Box::new(Cat(1)),
        Box::new(Dog { age: 2, name: "Rex".into() }),
    ];
    let error: Box<dyn std::error::Error> = "went wrong".into();
    let function: fn(&Dog) -> usize = Dog::speak;
    let optional: Option<&dyn Speak> = Some(speaker);
    black_box((&shared, &call, &list, &error, &function, &optional));
    speaker.speak() + boxed.speak() + call(1) as usize
}

#[inline(never)]
fn shadows(value: u32) -> u32 {
    let value = value + 1;
    let outer = value;
    {
        let value = i64::from(value) - 100;
        let outer = "inner";
        black_box((&value, outer));
    }
    let value = [value, outer];
    black_box(&value);
    value[0]
}

fn main() {
    let mut line = String::new();
    let _ = std::io::stdin().read_line(&mut line);
    let mut sum = primitives(true, 42);
    sum += enums(7);
    sum += texts(
        "a text",
        b"bytes\x00\xff",
        Path::new("/etc/hosts"),
        OsStr::new("os"),
        c"a c string",
    ) as u64;
    sum += sequences(&[1, 2, 3], &[Point { x: 1, y: -1 }], &["a", "bb"]) as u64;
    sum += maps(20) as u64;
    sum += u64::from(cells(11));
    sum += times(Duration::from_millis(1500));
    let dog = Dog { age: 3, name: String::from("Bello") };
    sum += dynamic(&dog, Box::new(Cat(5)), &Some(3)) as u64;
    sum += u64::from(shadows(5));
    LOCAL.with(|local| local.set(local.get() + 1));
    unsafe { MUTABLE[0] = 5 };
    sum += COUNT.load(std::sync::atomic::Ordering::Relaxed) + NAME.len() as u64 + u64::from(LIMIT);
    println!("{sum}");
}
