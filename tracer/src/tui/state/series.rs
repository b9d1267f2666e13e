//! The numbers of a probe over time, in bounded memory.
//!
//! Each numeric value of an event, and each numeric field of its structs, is a [`Channel`]. A channel keeps
//! the smallest, the largest and the last number of each step of time, at several lengths of the step, so
//! that adding a number takes constant time and drawing takes time in proportion to the width of the screen.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use self::steps::{Slot, Steps};
use crate::event::{Event, NamedValue};
use crate::value::Value;

pub(in crate::tui) mod scale;
pub(in crate::tui) mod steps;

/// Channels of a probe at most.
pub(in crate::tui) const CHANNELS: usize = 8;
/// Levels of structs in which numbers are looked for.
const DEPTH: usize = 4;
/// Numbers of an event that are looked at.
const LOOKED_AT: usize = 64;
/// Events kept as rows of numbers, for pairs.
pub(in crate::tui) const ROWS: usize = 512;
/// Events kept whole, for the table of last values.
pub(in crate::tui) const RECENT: usize = 64;
/// Estimated bytes of the events kept whole. The newest is always kept.
const RECENT_BYTES: usize = 1 << 20;
/// Integers up to this size are exact as `f64`.
const EXACT: u128 = 1 << 53;

/// The unit of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tui) enum NumberUnit {
    /// None.
    Plain,
    /// Nanoseconds.
    Time,
}

/// One number of an event.
#[derive(Clone, Copy, Debug)]
struct PlotNumber {
    value: f64,
    unit: NumberUnit,
    is_exact: bool,
}

/// The names that lead to a number: the expression, then fields.
type Path<'a> = [&'a str];

/// One numeric value over time.
#[derive(Clone, Debug)]
pub(in crate::tui) struct Channel {
    /// The expression as typed, with the fields that lead to the number: `current.x`.
    pub(in crate::tui) name: String,
    /// The unit.
    pub(in crate::tui) unit: NumberUnit,
    /// The numbers.
    pub(in crate::tui) steps: Steps<Slot>,
    /// Some numbers are integers that `f64` cannot hold, so they are drawn rounded.
    pub(in crate::tui) is_rounded: bool,
    /// Events in which the value could not be read, or was not there.
    pub(in crate::tui) absent: u64,
    /// Numbers that were no finite ones.
    pub(in crate::tui) not_finite: u64,
    /// The next number is not joined with the one before.
    is_broken: bool,
}

/// The numbers of one event, by channel.
#[derive(Clone, Copy, Debug)]
pub(in crate::tui) struct SeriesRow {
    /// NaN where there is none.
    pub(in crate::tui) numbers: [f64; CHANNELS],
    /// Hits were left out before it.
    pub(in crate::tui) is_after_gap: bool,
}

/// Everything that is kept of one probe's events.
#[derive(Clone, Debug, Default)]
pub(in crate::tui) struct ProbeSeries {
    /// Its numbers.
    pub(in crate::tui) channels: Vec<Channel>,
    /// It has more numbers than are kept.
    pub(in crate::tui) has_more: bool,
    /// The numbers of the last events, the newest at the back.
    pub(in crate::tui) rows: VecDeque<SeriesRow>,
    /// The last events, the newest at the back.
    pub(in crate::tui) recent: VecDeque<Arc<Event>>,
    /// Number of events so far.
    pub(in crate::tui) events: u64,
    /// Hits that were left out, by time.
    pub(in crate::tui) left_out: Steps<u64>,
    /// Time of the newest event in ns since the Unix epoch, and when it came.
    pub(in crate::tui) newest: Option<(u64, Instant)>,
    /// Time of the oldest event in ns since the Unix epoch.
    pub(in crate::tui) oldest_ns: Option<u64>,
    recent_bytes: usize,
}

impl ProbeSeries {
    /// Takes an event.
    pub(in crate::tui) fn take(&mut self, event: &Arc<Event>, now: Instant) {
        let time_ns = event.time_ns;
        self.events += 1;
        self.oldest_ns = Some(self.oldest_ns.map_or(time_ns, |old| old.min(time_ns)));
        let newest_ns = self.newest.map_or(time_ns, |(old, _)| old.max(time_ns));
        self.newest = Some((newest_ns, now));
        let left_out = event.left_out.limited.saturating_add(event.left_out.lost);
        let is_after_gap = left_out > 0;
        if is_after_gap {
            self.left_out.put(time_ns, &left_out);
            self.channels
                .iter_mut()
                .for_each(|channel| channel.is_broken = true);
        }
        let row = self.numbers(event);
        if !self.channels.is_empty() {
            if self.rows.len() >= ROWS {
                self.rows.pop_front();
            }
            self.rows.push_back(SeriesRow {
                numbers: row,
                is_after_gap,
            });
        }
        self.keep(event);
    }

    /// Takes the numbers of an event into their channels. Returns them.
    fn numbers(&mut self, event: &Event) -> [f64; CHANNELS] {
        let mut taken = Taken {
            series: self,
            time_ns: event.time_ns,
            row: [f64::NAN; CHANNELS],
            seen: [false; CHANNELS],
            next: 0,
            left: LOOKED_AT,
        };
        if let Some(span) = &event.span {
            let number = PlotNumber {
                value: span.duration_ns as f64,
                unit: NumberUnit::Time,
                is_exact: true,
            };
            taken.number(&["duration"], number);
            for named in &span.attributes {
                taken.value(&mut vec![&*named.expr], &named.value);
            }
        }
        for named in &event.values {
            taken.value(&mut vec![&*named.expr], &named.value);
        }
        let (row, seen) = (taken.row, taken.seen);
        for (channel, is_seen) in self.channels.iter_mut().zip(seen) {
            if !is_seen {
                channel.absent += 1;
                channel.is_broken = true;
            }
        }
        row
    }

    fn keep(&mut self, event: &Arc<Event>) {
        self.recent_bytes += event.weight();
        self.recent.push_back(Arc::clone(event));
        while self.recent.len() > RECENT
            || (self.recent_bytes > RECENT_BYTES && self.recent.len() > 1)
        {
            let Some(gone) = self.recent.pop_front() else {
                break;
            };
            self.recent_bytes -= gone.weight().min(self.recent_bytes);
        }
    }

    /// The channel of a name.
    pub(in crate::tui) fn channel(&self, name: &str) -> Option<&Channel> {
        self.channels.iter().find(|channel| channel.name == name)
    }
}

/// Walks the values of one event.
struct Taken<'a> {
    series: &'a mut ProbeSeries,
    time_ns: u64,
    row: [f64; CHANNELS],
    seen: [bool; CHANNELS],
    /// The channel that the next number most likely belongs to: events of a probe are alike.
    next: usize,
    left: usize,
}

impl Taken<'_> {
    fn value<'v>(&mut self, path: &mut Vec<&'v str>, value: &'v Value) {
        if path.len() > DEPTH || self.left == 0 {
            return;
        }
        self.left -= 1;
        match value {
            Value::Struct(inner) => self.fields(path, &inner.fields),
            Value::Variant(inner) => match inner.fields.as_slice() {
                // `Some(5)` is a number where `None` is none.
                [(name, value)] if name == "0" => self.value(path, value),
                fields => self.fields(path, fields),
            },
            Value::Pointer(pointer) if pointer.transparent => {
                if let Some(target) = &pointer.target {
                    self.value(path, target);
                }
            }
            other => {
                if let Some(number) = number(other) {
                    self.number(path, number);
                }
            }
        }
    }

    fn fields<'v>(&mut self, path: &mut Vec<&'v str>, fields: &'v [(String, Value)]) {
        for (name, value) in fields {
            path.push(name);
            self.value(path, value);
            path.pop();
        }
    }

    fn number(&mut self, path: &Path<'_>, number: PlotNumber) {
        let is_there =
            |channel: &Channel| channel.unit == number.unit && is_path(&channel.name, path);
        let expected = self.series.channels.get(self.next).is_some_and(is_there);
        let at = match expected {
            true => Some(self.next),
            false => self.series.channels.iter().position(is_there),
        };
        let at = match at {
            Some(at) => at,
            None if self.series.channels.len() < CHANNELS => {
                self.series.channels.push(Channel {
                    name: path.join("."),
                    unit: number.unit,
                    steps: Steps::default(),
                    is_rounded: false,
                    absent: 0,
                    not_finite: 0,
                    is_broken: false,
                });
                self.series.channels.len() - 1
            }
            None => {
                self.series.has_more = true;
                return;
            }
        };
        self.next = at + 1;
        let (Some(channel), Some(seen), Some(cell)) = (
            self.series.channels.get_mut(at),
            self.seen.get_mut(at),
            self.row.get_mut(at),
        ) else {
            return;
        };
        *seen = true;
        if !number.value.is_finite() {
            channel.not_finite += 1;
            channel.is_broken = true;
            return;
        }
        channel.is_rounded |= !number.is_exact;
        *cell = number.value;
        let slot = Slot::of(number.value, std::mem::take(&mut channel.is_broken));
        channel.steps.put(self.time_ns, &slot);
    }
}

/// Returns true if a name is that of a path.
fn is_path(name: &str, path: &Path<'_>) -> bool {
    let mut rest = name;
    for (index, part) in path.iter().enumerate() {
        let dotted = match index {
            0 => Some(rest),
            _ => rest.strip_prefix('.'),
        };
        match dotted.and_then(|rest| rest.strip_prefix(part)) {
            Some(left) => rest = left,
            None => return false,
        }
    }
    rest.is_empty()
}

/// The value of a channel in an event.
pub(in crate::tui) fn value_of<'e>(event: &'e Event, name: &str) -> Option<&'e Value> {
    let within = |named: &'e NamedValue| {
        let rest = name.strip_prefix(&*named.expr)?;
        let fields = match rest {
            "" => Vec::new(),
            rest => rest.strip_prefix('.')?.split('.').collect(),
        };
        field_of(&named.value, &fields)
    };
    event.values.iter().find_map(within)
}

fn field_of<'v>(value: &'v Value, path: &Path<'_>) -> Option<&'v Value> {
    let field = |fields: &'v [(String, Value)]| {
        let (first, rest) = path.split_first()?;
        let (_, value) = fields.iter().find(|(name, _)| name == first)?;
        field_of(value, rest)
    };
    match value {
        Value::Pointer(pointer) if pointer.transparent => {
            field_of(pointer.target.as_deref()?, path)
        }
        _ if path.is_empty() => Some(value),
        Value::Struct(inner) => field(&inner.fields),
        Value::Variant(inner) => match inner.fields.as_slice() {
            [(name, value)] if name == "0" => field_of(value, path),
            fields => field(fields),
        },
        _ => None,
    }
}

fn number(value: &Value) -> Option<PlotNumber> {
    let integer = |value: f64, size: u128, unit| PlotNumber {
        value,
        unit,
        is_exact: size <= EXACT,
    };
    Some(match *value {
        Value::Int(value, _) => integer(value as f64, value.unsigned_abs(), NumberUnit::Plain),
        Value::Uint(value) => integer(value as f64, value, NumberUnit::Plain),
        Value::Nanoseconds(ns) => integer(ns as f64, ns.into(), NumberUnit::Time),
        Value::Duration(time) => {
            let ns = time.as_nanos();
            integer(ns as f64, ns, NumberUnit::Time)
        }
        Value::Float32(value) => integer(value.into(), 0, NumberUnit::Plain),
        Value::Float64(value) => integer(value, 0, NumberUnit::Plain),
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
