//! Code of Rust as optimisers change it: loops, generics, closures, inlined
//! copies, coroutines. Waits for a line on stdin, runs once, and exits.
#![allow(dead_code, clippy::all)]

use std::future::Future;
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

#[derive(Clone, Copy, Debug)]
struct Particle {
    id: u32,
    position: [i32; 3],
    speed: (i32, i32),
}

struct Grid<T> {
    width: usize,
    cells: Vec<T>,
}

impl<T: Copy + PartialEq> Grid<T> {
    fn new(width: usize, height: usize, fill: T) -> Self {
        Self { width, cells: vec![fill; width * height] }
    }

    #[inline]
    fn at(&self, x: usize, y: usize) -> T {
        let index = y * self.width + x;
        self.cells[index]
    }

    #[inline(never)]
    fn set(&mut self, x: usize, y: usize, value: T) {
        let index = y * self.width + x;
        self.cells[index] = value;
    }

    #[inline(never)]
    fn count(&self, wanted: T) -> usize {
        let mut found = 0;
        for (index, cell) in self.cells.iter().enumerate() {
            if *cell == wanted {
                found += 1;
                black_box(index);
            }
        }
        found
    }
}

#[inline(never)]
fn step(particles: &mut [Particle], time: i32) -> i64 {
    let mut energy = 0_i64;
    for particle in particles.iter_mut() {
        let (dx, dy) = particle.speed;
        particle.position[0] += dx * time;
        particle.position[1] += dy * time;
        let square = i64::from(dx) * i64::from(dx) + i64::from(dy) * i64::from(dy);
        energy += square;
    }
    energy
}

#[inline(never)]
fn parse(text: &str) -> Result<u32, String> {
    let mut value = 0_u32;
    for (place, c) in text.chars().enumerate() {
        let digit = match c.to_digit(10) {
            Some(digit) => digit,
            None => return Err(format!("`{c}` at {place}")),
        };
        value = value.wrapping_mul(10).wrapping_add(digit);
    }
    Ok(value)
}

#[inline(always)]
fn mix(a: u64, b: u64) -> u64 {
    let rotated = a.rotate_left(7);
    let sum = rotated.wrapping_add(b);
    sum ^ (sum >> 3)
}

#[inline(never)]
fn hash(bytes: &[u8], seed: u64) -> u64 {
    let mut state = seed;
    for chunk in bytes.chunks(4) {
        let mut word = 0_u64;
        for byte in chunk {
            word = word << 8 | u64::from(*byte);
        }
        state = mix(state, word);
    }
    mix(state, bytes.len() as u64)
}

#[inline(never)]
fn apply<F: Fn(u32, &str) -> usize>(values: &[u32], call: F) -> usize {
    let mut total = 0;
    for value in values {
        total += call(*value, "each");
    }
    total
}

#[inline(never)]
fn closures(base: u32, text: String) -> usize {
    let factor = base + 2;
    let mut seen = Vec::new();
    let by_reference = apply(&[1, 2], |value, name| {
        let product = value * factor;
        black_box(&product);
        product as usize + name.len() + text.len()
    });
    let mut push = |value: u32| {
        seen.push(value + base);
        seen.len()
    };
    push(4);
    push(5);
    let owned = move |extra: usize| {
        let all = text.len() + extra;
        black_box(all)
    };
    by_reference + owned(3) + seen.len()
}

#[inline(never)]
fn recursive(depth: u32, path: &mut Vec<u32>) -> u32 {
    path.push(depth);
    if depth == 0 {
        return path.len() as u32;
    }
    let left = recursive(depth - 1, path);
    let right = recursive(depth / 2, path);
    left + right
}

#[inline(never)]
fn many(a: u8, b: u16, c: u32, d: u64, e: i8, f: i16, g: i32, h: i64, i: &str, j: [u8; 24]) -> u64 {
    let sum = u64::from(a) + u64::from(b) + u64::from(c) + d;
    let signed = i64::from(e) + i64::from(f) + i64::from(g) + h;
    black_box((sum, signed, i, &j));
    sum + signed as u64 + i.len() as u64 + u64::from(j[3])
}

#[inline(never)]
fn pairs(pair: (u32, u64), slice: &[u16], option: Option<u32>) -> (u64, u32) {
    let (first, second) = pair;
    let head = slice.first().copied();
    let chosen = option.unwrap_or(first);
    black_box(head);
    (second + u64::from(chosen), first)
}

struct Later {
    left: u32,
}

impl Future for Later {
    type Output = u32;
    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<u32> {
        if self.left == 0 {
            return Poll::Ready(5);
        }
        self.left -= 1;
        Poll::Pending
    }
}

async fn inner(seed: u32, name: &str) -> u32 {
    let doubled = seed * 2;
    let got = Later { left: 1 }.await;
    black_box((&doubled, name));
    doubled + got
}

async fn outer(seed: u32) -> u64 {
    let name = String::from("future");
    let first = inner(seed, &name).await;
    let list = vec![first, seed];
    let second = inner(first, &name).await;
    black_box(&list);
    u64::from(second) + list.len() as u64
}

#[inline(never)]
fn drive(seed: u32) -> u64 {
    let mut future = pin!(outer(seed));
    let mut context = Context::from_waker(Waker::noop());
    let mut polls = 0;
    loop {
        polls += 1;
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value + polls,
            Poll::Pending => black_box(&future),
        };
    }
}

#[inline(never)]
fn unwinds(limit: usize) -> usize {
    let caught = std::panic::catch_unwind(|| {
        let mut sum = 0;
        for n in 0..limit {
            sum += n;
        }
        black_box(sum)
    });
    caught.unwrap_or(0)
}

fn main() {
    let mut line = String::new();
    let _ = std::io::stdin().read_line(&mut line);
    let mut particles = vec![
        Particle { id: 1, position: [0, 1, 2], speed: (3, -4) },
        Particle { id: 2, position: [5, 5, 5], speed: (-1, 2) },
    ];
    let energy = step(&mut particles, 2);
    let mut grid = Grid::new(4, 3, 0_u8);
    grid.set(1, 2, 9);
    let mut wide = Grid::new(2, 2, 'a');
    wide.set(1, 1, 'z');
    let found = grid.count(9) + wide.count('a') + usize::from(grid.at(1, 2));
    let parsed = parse("1234").unwrap_or(0);
    let failed = parse("12x4");
    let hashed = hash(b"some bytes to hash", 99);
    let captured = closures(parsed, String::from("captured"));
    let deep = recursive(3, &mut Vec::new());
    let sum = many(1, 2, 3, 4, -5, -6, -7, -8, "nine", [10; 24]);
    let (pair, _) = pairs((7, 8), &[1, 2], Some(deep));
    let driven = drive(3);
    let unwound = unwinds(5);
    println!("{energy} {found} {failed:?} {hashed} {captured} {sum} {pair} {driven} {unwound}");
}
