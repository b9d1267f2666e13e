//! Random expressions over floats: generated as texts, and computed by the processor at the same
//! time.
//!
//! The tests of the planner and of the kernel's machine share this file.

use super::numbers::Random;

/// Name, size and frame offset of the variables: floats of 8 and of 4 bytes, an `i32` and a `u64`.
pub(crate) const VARIABLES: [(&str, u64, usize); 6] = [
    ("x", 8, 0),
    ("y", 8, 8),
    ("g", 4, 16),
    ("h", 4, 20),
    ("n", 4, 24),
    ("m", 8, 32),
];

/// Numbers near boundaries.
pub(crate) const NUMBERS: [f64; 13] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    1.5,
    0.1,
    -0.1,
    f64::MIN_POSITIVE,
    5e-324,
    1e300,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
];

/// `a SIGN b`.
pub(crate) fn holds(sign: &str, a: f64, b: f64) -> bool {
    match sign {
        "==" => a == b,
        "!=" => a != b,
        "<" => a < b,
        "<=" => a <= b,
        ">" => a > b,
        _ => a >= b,
    }
}

/// The value of an expression: a float of one of the sizes, or an integer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Number {
    Double(f64),
    Single(f32),
    Int(i32),
    Long(u64),
}

impl Number {
    pub(crate) fn double(self) -> f64 {
        match self {
            Self::Double(value) => value,
            Self::Single(value) => value.into(),
            Self::Int(value) => value.into(),
            Self::Long(value) => value as f64,
        }
    }

    fn single(self) -> f32 {
        match self {
            Self::Double(value) => value as f32,
            Self::Single(value) => value,
            Self::Int(value) => value as f32,
            Self::Long(value) => value as f32,
        }
    }

    pub(crate) fn shown(self) -> String {
        match self {
            Self::Double(value) => format!("{value:?}"),
            Self::Single(value) => format!("{value:?}"),
            Self::Int(value) => value.to_string(),
            Self::Long(value) => value.to_string(),
        }
    }
}

fn operation(sign: &str, a: Number, b: Number) -> Number {
    macro_rules! of {
        ($a:expr, $b:expr) => {
            match sign {
                "+" => $a + $b,
                "-" => $a - $b,
                "*" => $a * $b,
                "/" => $a / $b,
                _ => $a % $b,
            }
        };
    }
    match (a, b) {
        (Number::Double(_), _) | (_, Number::Double(_)) => {
            Number::Double(of!(a.double(), b.double()))
        }
        _ => Number::Single(of!(a.single(), b.single())),
    }
}

/// The values of the variables.
pub(crate) struct Values {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) g: f32,
    pub(crate) h: f32,
    pub(crate) n: i32,
    pub(crate) m: u64,
}

impl Values {
    pub(crate) fn random(random: &mut Random) -> Self {
        let mut double = || match random.below(4) {
            0 => f64::from_bits(random.next()),
            1 => random.pick(&NUMBERS),
            2 => random.next() as i16 as f64 / 8.0,
            _ => f64::from_bits(random.next() & !(0x7ff << 52) | (1000 + random.below(46)) << 52),
        };
        let (x, y, g, h) = (double(), double(), double() as f32, double() as f32);
        let (n, m) = (random.next() as i32, random.next() >> random.below(64));
        Self { x, y, g, h, n, m }
    }

    pub(crate) fn frame(&self) -> Vec<u8> {
        let mut frame = [self.x.to_le_bytes(), self.y.to_le_bytes()].concat();
        frame.extend([self.g.to_le_bytes(), self.h.to_le_bytes()].concat());
        frame.extend(self.n.to_le_bytes());
        frame.extend([0; 4]);
        frame.extend(self.m.to_le_bytes());
        frame
    }

    /// A float of C, from operands of any types.
    pub(crate) fn of_c(&self, random: &mut Random, depth: u32) -> (String, Number) {
        if depth == 0 {
            return match random.below(7) {
                0 => ("x".into(), Number::Double(self.x)),
                1 => ("y".into(), Number::Double(self.y)),
                2 => ("g".into(), Number::Single(self.g)),
                3 => ("h".into(), Number::Single(self.h)),
                4 => ("0.3".into(), Number::Double(0.3)),
                5 => ("0.3f".into(), Number::Single(0.3)),
                _ => ("1e300".into(), Number::Double(1e300)),
            };
        }
        let (text, value) = self.of_c(random, depth - 1);
        match random.below(8) {
            0 => (
                format!("-({text})"),
                operation("*", value, Number::Single(-1.0)),
            ),
            1 => (format!("(float)({text})"), Number::Single(value.single())),
            2 => (format!("(double)({text})"), Number::Double(value.double())),
            kind => {
                let sign = random.pick(&["+", "-", "*", "/"]);
                let (other, beside) = match kind {
                    3 => ("n".into(), Number::Int(self.n)),
                    4 => ("m".into(), Number::Long(self.m)),
                    5 => ("3".into(), Number::Int(3)),
                    _ => self.of_c(random, depth - 1),
                };
                if random.one_in(2) {
                    (
                        format!("({text}) {sign} ({other})"),
                        operation(sign, value, beside),
                    )
                } else {
                    (
                        format!("({other}) {sign} ({text})"),
                        operation(sign, beside, value),
                    )
                }
            }
        }
    }

    /// A float of Rust, from operands of one size.
    pub(crate) fn of_rust(
        &self,
        random: &mut Random,
        single: bool,
        depth: u32,
    ) -> (String, Number) {
        let typed = |value: f64| {
            if single {
                Number::Single(value as f32)
            } else {
                Number::Double(value)
            }
        };
        let name = if single { "f32" } else { "f64" };
        if depth == 0 {
            let (text, value) = match (random.below(5), single) {
                (0 | 1, true) => ("g".into(), Number::Single(self.g)),
                (0 | 1, false) => ("x".into(), Number::Double(self.x)),
                (2, true) => ("h".into(), Number::Single(self.h)),
                (2, false) => ("y".into(), Number::Double(self.y)),
                (3, _) => (
                    format!("n as {name}"),
                    if single {
                        Number::Single(self.n as f32)
                    } else {
                        Number::Double(self.n.into())
                    },
                ),
                _ => (
                    format!("m as {name}"),
                    if single {
                        Number::Single(self.m as f32)
                    } else {
                        Number::Double(self.m as f64)
                    },
                ),
            };
            return (format!("({text})"), value);
        }
        let (text, value) = self.of_rust(random, single, depth - 1);
        let sign = random.pick(&["+", "-", "*", "/", "%"]);
        match random.below(8) {
            0 => (format!("-({text})"), operation("*", value, typed(-1.0))),
            1 => {
                let (text, value) = self.of_rust(random, !single, depth - 1);
                let value = if single {
                    Number::Single(value.single())
                } else {
                    Number::Double(value.double())
                };
                (format!("(({text}) as {name})"), value)
            }
            2 => (
                format!("({text}) {sign} 0.1"),
                operation(sign, value, typed(0.1)),
            ),
            3 => (
                format!("0.7 {sign} ({text})"),
                operation(sign, typed(0.7), value),
            ),
            _ => {
                let (other, beside) = self.of_rust(random, single, depth - 1);
                (
                    format!("({text}) {sign} ({other})"),
                    operation(sign, value, beside),
                )
            }
        }
    }
}
