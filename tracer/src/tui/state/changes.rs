//! Differences between two messages of one probe, and the last values of each probe.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::tree::SourcePlace;
use super::series::scale::round_above;
use crate::event::Event;

/// Values remembered of one probe.
const REMEMBERED: usize = 64;
/// Bytes of a message remembered.
const REMEMBERED_BYTES: usize = 512;
/// Most bytes of two messages that are compared. Later differences are not marked.
const COMPARED_BYTES: usize = 4096;
/// Samples of the rate kept.
const SAMPLES: usize = 120;
/// A rate is measured over at least this time.
const SAMPLE_TIME: Duration = Duration::from_millis(450);

/// The words of `now` that `before` has otherwise.
///
/// Words are counted from both ends, so that one that came or went in the
/// middle marks that place alone.
pub(in crate::tui) fn changed(before: &str, now: &str) -> Vec<Range<usize>> {
    if before == now || before.len() > COMPARED_BYTES || now.len() > COMPARED_BYTES {
        return Vec::new();
    }
    let (old, new) = (words(before), words(now));
    let same = |a: &Range<usize>, b: &Range<usize>| before.get(a.clone()) == now.get(b.clone());
    if old.len() == new.len() {
        return old
            .iter()
            .zip(&new)
            .filter(|(a, b)| !same(a, b))
            .map(|(_, b)| b.clone())
            .collect();
    }
    let head = old.iter().zip(&new).take_while(|(a, b)| same(a, b)).count();
    let room = old.len().min(new.len()) - head;
    let tail = old
        .iter()
        .rev()
        .zip(new.iter().rev())
        .take(room)
        .take_while(|(a, b)| same(a, b))
        .count();
    new.get(head..new.len() - tail).unwrap_or(&[]).to_vec()
}

/// Runs of letters and digits (with their sign and point).
fn words(text: &str) -> Vec<Range<usize>> {
    let mut out = Vec::new();
    let mut start = None;
    for (at, ch) in text.char_indices() {
        let inside = ch.is_alphanumeric() || matches!(ch, '_' | '-' | '.');
        match (inside, start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                out.push(from..at);
                start = None;
            }
            _ => {}
        }
    }
    out.extend(start.map(|from| from..text.len()));
    out
}

/// One remembered value.
#[derive(Clone, Debug)]
pub(in crate::tui) struct Past {
    /// Time of the hit, ns since the Unix epoch.
    pub(in crate::tui) time_ns: u64,
    /// Message, cut.
    pub(in crate::tui) message: String,
}

/// Hits a second, and the end of the time that they were counted in.
#[derive(Clone, Copy, Debug)]
pub(in crate::tui) struct RateSample {
    /// The end.
    pub(in crate::tui) at: Instant,
    /// Hits a second.
    pub(in crate::tui) rate: f64,
}

/// The last rates as bars, and their scale.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::tui) struct RateBars {
    /// One character for each rate, the newest at the right.
    pub(in crate::tui) bars: String,
    /// The rate of a full bar: a round number above all that are shown.
    pub(in crate::tui) full: f64,
}

/// Earlier messages and values of one probe.
#[derive(Debug, Default)]
pub(in crate::tui) struct Trail {
    /// Last values, the newest at the back.
    pub(in crate::tui) past: VecDeque<Past>,
    /// The newest value in few columns, and the words in it that the one shown before had otherwise.
    pub(in crate::tui) brief: Option<(String, Vec<Range<usize>>)>,
    /// When the value last was another one than before.
    pub(in crate::tui) changed_at: Option<Instant>,
    /// Hits a second, now.
    pub(in crate::tui) rate: f64,
    /// Hits a second, the newest at the back.
    pub(in crate::tui) samples: VecDeque<RateSample>,
    /// The place of the last access, if the probe watches a value.
    pub(in crate::tui) access: Option<SourcePlace>,
    counted: Option<(Instant, u64)>,
}

impl Trail {
    /// Remembers a hit.
    pub(in crate::tui) fn hit(&mut self, event: &Event, now: Instant) {
        let mut end = event.message.len().min(REMEMBERED_BYTES);
        while !event.message.is_char_boundary(end) {
            end -= 1;
        }
        let message = &event.message[..end];
        if self.past.back().is_none_or(|past| past.message != message) {
            self.changed_at = Some(now);
        }
        self.access = event.access.is_some().then(|| SourcePlace {
            file: Arc::clone(&event.origin.file),
            line: event.origin.line,
        });
        if self.past.len() >= REMEMBERED {
            self.past.pop_front();
        }
        self.past.push_back(Past {
            time_ns: event.time_ns,
            message: message.to_owned(),
        });
    }

    /// Takes the newest value in few columns.
    pub(in crate::tui) fn set_brief(&mut self, brief: String) {
        let marks = self
            .brief
            .as_ref()
            .map(|(before, _)| changed(before, &brief))
            .unwrap_or_default();
        self.brief = Some((brief, marks));
    }

    /// The newest value, and the words in it that the one before has otherwise.
    pub(in crate::tui) fn latest(&self) -> Option<(&Past, Vec<Range<usize>>)> {
        let last = self.past.back()?;
        let before = self
            .past
            .len()
            .checked_sub(2)
            .and_then(|index| self.past.get(index));
        Some((
            last,
            before
                .map(|before| changed(&before.message, &last.message))
                .unwrap_or_default(),
        ))
    }

    /// Takes the present count of hits.
    pub(in crate::tui) fn count(&mut self, hits: u64, now: Instant) {
        let Some((then, before)) = self.counted else {
            self.counted = Some((now, hits));
            return;
        };
        let time = now.saturating_duration_since(then);
        if time < SAMPLE_TIME {
            return;
        }
        self.rate = hits.saturating_sub(before) as f64 / time.as_secs_f64();
        self.counted = Some((now, hits));
        if self.samples.len() >= SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back(RateSample {
            at: now,
            rate: self.rate,
        });
    }

    /// The last `columns` rates as bars, from zero to a round number.
    pub(in crate::tui) fn bars(&self, columns: usize) -> RateBars {
        const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
        let from = self.samples.len().saturating_sub(columns);
        let shown = self.samples.iter().skip(from).map(|sample| sample.rate);
        let full = round_above(shown.clone().fold(0.0, f64::max));
        let bar = |rate: f64| match rate {
            rate if rate <= 0.0 => ' ',
            rate => BARS[((rate / full * 8.0).ceil() as usize).clamp(1, 8) - 1],
        };
        let bars: String = shown.map(bar).collect();
        RateBars {
            bars: format!("{bars:>columns$}"),
            full,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::fake::event;
    use super::*;

    fn marked<'a>(before: &str, now: &'a str) -> Vec<&'a str> {
        changed(before, now)
            .into_iter()
            .map(|range| &now[range])
            .collect()
    }

    #[test]
    fn changed_with_as_many_words_marks_those_that_differ() {
        assert_eq!(
            marked("x 640 -> 812, y -3", "x 812 -> 812, y 3"),
            ["812", "3"]
        );
        assert_eq!(marked("same", "same"), Vec::<&str>::new());
    }

    #[test]
    fn changed_with_a_word_more_marks_the_middle() {
        assert_eq!(marked("a Some 1 z", "a None z"), ["None"]);
        assert_eq!(marked("a z", "a b c z"), ["b", "c"]);
        assert_eq!(marked("", "é ü"), ["é", "ü"]);
    }

    #[test]
    fn trail_remembers_a_bounded_number_of_bounded_messages() {
        let mut trail = Trail::default();
        for hit in 0..1000 {
            trail.hit(&event(1, hit, &"é".repeat(1000)), Instant::now());
        }
        assert_eq!(trail.past.len(), REMEMBERED);
        assert!(trail.past[0].message.len() <= REMEMBERED_BYTES);
    }

    #[test]
    fn trail_counts_give_the_rate_over_their_time() {
        let start = Instant::now();
        let mut trail = Trail::default();
        for step in 0..4u64 {
            trail.count(step * 50, start + Duration::from_millis(500 * step));
        }
        assert!((trail.rate - 100.0).abs() < 1e-6);
        // A steady rate is a bar of its share of the scale, not a full block.
        let RateBars { bars, full } = trail.bars(5);
        assert_eq!(bars, "  ▄▄▄");
        assert!((full - 200.0).abs() < 1e-6);
    }
}
