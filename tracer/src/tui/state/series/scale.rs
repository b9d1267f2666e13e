//! Axes of plots: round numbers for ticks, and their labels.

use super::NumberUnit;

/// Characters of a label. Where numbers need more, labels are distances from the lowest one.
const LABEL: usize = 9;
/// Parts of a step that the ends of an axis are rounded to.
const ENDS: f64 = 5.0;
/// How often the step is made smaller for an axis with less than two ticks.
const MORE_TICKS: usize = 4;
/// Decimals of a label at most.
const DECIMALS: f64 = 9.0;

/// An axis from one number to another.
#[derive(Clone, Copy, Debug)]
pub(in crate::tui) struct Scale {
    low: f64,
    high: f64,
    step: f64,
    unit: NumberUnit,
}

/// A place on an axis.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::tui) struct Tick {
    /// From 0, the low end, to 1.
    pub(in crate::tui) position: f64,
    /// Its number.
    pub(in crate::tui) label: String,
}

/// The suffix of a number, and the size of its unit.
type Suffix = (&'static str, f64);

/// The step between round numbers that divides a span into no more than `count` parts.
fn round_step(span_of_one: f64) -> f64 {
    let size = 10_f64.powf(span_of_one.log10().floor());
    let round = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * size)
        .find(|step| *step >= span_of_one * (1.0 - 1e-9));
    round
        .filter(|step| step.is_finite() && *step > 0.0)
        .unwrap_or(span_of_one.max(f64::MIN_POSITIVE))
}

/// The next number above that is 1, 2 or 5 times a power of ten.
pub(in crate::tui) fn round_above(number: f64) -> f64 {
    if number <= 0.0 {
        return 1.0;
    }
    round_step(number * (1.0 + 1e-6))
}

impl Scale {
    /// An axis that shows numbers from `min` to `max`, which must be finite, with up to `ticks` steps.
    pub(in crate::tui) fn new(min: f64, max: f64, unit: NumberUnit, ticks: usize) -> Self {
        let size = min.abs().max(max.abs());
        // `f64` cannot tell closer numbers apart.
        let is_flat = max - min <= size * f64::EPSILON * 16.0;
        let (min, max) = match (is_flat, size > 0.0) {
            (false, _) => (min, max),
            (true, true) => (min - size * 0.1, max + size * 0.1),
            (true, false) => (-1.0, 1.0),
        };
        let parts = ticks.max(1) as f64;
        let mut step = round_step(max / parts - min / parts);
        // An end is near its number, so that the drawing has the room.
        let within = |end: f64| end.clamp(f64::MIN, f64::MAX);
        let grain = step / ENDS;
        let mut scale = Self {
            low: within((min / grain).floor() * grain),
            high: within((max / grain).ceil() * grain),
            step,
            unit,
        };
        for _ in 0..MORE_TICKS {
            if scale.numbers().len() > 1 {
                break;
            }
            step = round_step(step / 2.1);
            scale.step = step;
        }
        scale
    }

    /// An axis from 0 that shows numbers up to `max`.
    pub(in crate::tui) fn from_zero(max: f64, unit: NumberUnit, ticks: usize) -> Self {
        Self::new(0.0, max.max(1e-9), unit, ticks)
    }

    /// The place of a number: 0 at the low end, 1 at the high one.
    pub(in crate::tui) fn position(&self, number: f64) -> f64 {
        // Halves, because the difference of two large numbers may be infinite.
        let (low, high) = (self.low / 2.0, self.high / 2.0);
        ((number / 2.0 - low) / (high - low)).clamp(0.0, 1.0)
    }

    /// The ticks, from the low end. The second value is the number of the lowest tick where labels are
    /// distances from it.
    pub(in crate::tui) fn ticks(&self) -> (Vec<Tick>, Option<String>) {
        let size = self.low.abs().max(self.high.abs());
        let numbers = self.numbers();
        let plain = self.labels(&numbers, size);
        if plain.iter().all(|label| label.chars().count() <= LABEL) {
            return (self.with_labels(&numbers, plain), None);
        }
        let lowest = numbers.first().copied().unwrap_or(self.low);
        let distances: Vec<f64> = numbers.iter().map(|number| number - lowest).collect();
        let labels = self.labels(&distances, self.high - self.low);
        let labels = labels.into_iter().map(|label| format!("+{label}"));
        let base = match lowest.abs() {
            size if size < 1e21 => format!("{lowest}"),
            _ => format!("{lowest:e}"),
        };
        (self.with_labels(&numbers, labels.collect()), Some(base))
    }

    /// The multiples of the step on the axis.
    fn numbers(&self) -> Vec<f64> {
        let first = (self.low / self.step - 1e-9).ceil();
        let last = (self.high / self.step + 1e-9).floor();
        let count = (last - first).clamp(0.0, 50.0) as u32;
        (0..=count)
            .map(|index| (first + f64::from(index)) * self.step)
            .filter(|number| number.is_finite())
            .collect()
    }

    fn with_labels(&self, numbers: &[f64], labels: Vec<String>) -> Vec<Tick> {
        numbers
            .iter()
            .zip(labels)
            .map(|(number, label)| Tick {
                position: self.position(*number),
                label,
            })
            .collect()
    }

    fn labels(&self, numbers: &[f64], size: f64) -> Vec<String> {
        let suffix = match self.unit {
            NumberUnit::Time => Some(time_suffix(size)),
            NumberUnit::Plain => plain_suffix(size),
        };
        let Some((suffix, unit)) = suffix else {
            return numbers
                .iter()
                .map(|number| format!("{number:.1e}"))
                .collect();
        };
        let decimals = (-(self.step / unit).log10() - 1e-6).ceil();
        let decimals = decimals.clamp(0.0, DECIMALS) as usize;
        numbers
            .iter()
            .map(|number| {
                let text = format!("{:.decimals$}", number / unit);
                let is_zero = text.chars().all(|c| matches!(c, '-' | '0' | '.'));
                match is_zero {
                    true => "0".to_owned(),
                    false => format!("{text}{suffix}"),
                }
            })
            .collect()
    }
}

/// The unit of times up to a size in ns.
fn time_suffix(size: f64) -> Suffix {
    match size {
        size if size < 1e3 => ("ns", 1.0),
        size if size < 1e6 => ("µs", 1e3),
        size if size < 1e9 => ("ms", 1e6),
        size if size < 120e9 => ("s", 1e9),
        size if size < 7_200e9 => ("min", 60e9),
        _ => ("h", 3_600e9),
    }
}

/// The power of a thousand for numbers up to a size. `None` for those that need an exponent.
fn plain_suffix(size: f64) -> Option<Suffix> {
    Some(match size {
        size if size < 1e-3 => return None,
        size if size < 1e5 => ("", 1.0),
        size if size < 1e6 => ("k", 1e3),
        size if size < 1e9 => ("M", 1e6),
        size if size < 1e12 => ("G", 1e9),
        size if size < 1e15 => ("T", 1e12),
        size if size < 1e18 => ("P", 1e15),
        size if size < 1e21 => ("E", 1e18),
        _ => return None,
    })
}

/// A number in few characters: `812`, `12.5k`, `1.25ms`.
pub(in crate::tui) fn short_number(number: f64, unit: NumberUnit) -> String {
    let suffix = match unit {
        NumberUnit::Time => Some(time_suffix(number.abs())),
        NumberUnit::Plain if number == 0.0 => Some(("", 1.0)),
        NumberUnit::Plain => plain_suffix(number.abs()),
    };
    let Some((suffix, size)) = suffix else {
        return format!("{number:.2e}");
    };
    let text = format!("{:.3}", number / size);
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text}{suffix}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(min: f64, max: f64, unit: NumberUnit) -> Vec<String> {
        let (ticks, base) = Scale::new(min, max, unit, 4).ticks();
        let labels = ticks.into_iter().map(|tick| tick.label);
        base.into_iter().chain(labels).collect()
    }

    #[test]
    fn ticks_are_round_numbers_with_their_units() {
        assert_eq!(labels(0.0, 100.0, NumberUnit::Plain), ["0", "50", "100"]);
        assert_eq!(
            labels(312.0, 870.0, NumberUnit::Plain),
            ["400", "600", "800"]
        );
        assert_eq!(labels(-3.0, 4.0, NumberUnit::Plain), ["-2", "0", "2", "4"]);
        assert_eq!(
            labels(0.0, 3_000_000.0, NumberUnit::Time),
            ["0", "1ms", "2ms", "3ms"]
        );
        assert_eq!(labels(0.0, 2.2e6, NumberUnit::Plain), ["0", "1M", "2M"]);
    }

    #[test]
    fn close_numbers_far_from_zero_have_labels_as_distances() {
        let labels = labels(1.7e18, 1.7e18 + 40_960_000.0, NumberUnit::Plain);
        assert_eq!(labels[0], "1700000000000000000");
        assert_eq!(labels[1..], ["+0", "+20M", "+40M"]);
    }

    #[test]
    fn round_above_is_never_the_number_itself() {
        for (number, above) in [(0.0, 1.0), (99.0, 100.0), (100.0, 200.0), (120.0, 200.0)] {
            assert!((round_above(number) - above).abs() < 1e-6, "{number}");
        }
    }

    #[test]
    fn short_numbers_have_no_needless_digits() {
        for (number, text) in [
            (812.0, "812"),
            (12_500.0, "12500"),
            (1.5e6, "1.5M"),
            (0.0, "0"),
        ] {
            assert_eq!(short_number(number, NumberUnit::Plain), text);
        }
        assert_eq!(short_number(1_250_000.0, NumberUnit::Time), "1.25ms");
    }

    proptest! {
        #[test]
        fn any_two_numbers_have_an_axis(a in proptest::num::f64::NORMAL, b in proptest::num::f64::NORMAL, ticks in 1usize..9) {
            let (min, max) = (a.min(b), a.max(b));
            let scale = Scale::new(min, max, NumberUnit::Plain, ticks);
            let (all, _) = scale.ticks();
            prop_assert!((1..=52).contains(&all.len()));
            for tick in &all {
                prop_assert!((0.0..=1.0).contains(&tick.position));
            }
            prop_assert!(scale.position(min) <= scale.position(max));
            prop_assert!(scale.position(min).is_finite());
        }
    }
}
