//! The sums of a probe: hits by value, by ranges of numbers, by ranges of times.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::super::super::compact::compact_value;
use super::super::super::glyphs::{self, Pen};
use super::super::super::state::UiState;
use super::super::super::theme::Role;
use crate::event::{
    Aggregate, AggregateBody, Bucket, CountRow, Histogram, Times, counted, grouped,
};
use crate::session::ProbeStatus;
use crate::sink::aggregate::{range, span};

/// The percentiles that are shown.
const PERCENTILES: [u64; 3] = [50, 90, 99];
/// Columns of a bar at most.
const BAR: usize = 60;

/// A row below the heading.
enum SumRow {
    /// A part of the hits, with its bar.
    Bar { label: String, count: u64 },
    /// Ranges without hits.
    Empty,
    /// Hits that are not in the table, and why.
    Note { count: u64, text: String },
}

pub(super) fn draw(state: &UiState, probe: &ProbeStatus, buffer: &mut Buffer, area: Rect) {
    let Some(aggregate) = state.aggregate(probe.id).filter(|one| has_any(one)) else {
        return super::instead(state, buffer, area, &super::none_yet(probe));
    };
    let rows = usize::from(area.height).saturating_sub(1);
    let top = state.results.top;
    let is_log = state.results.has_log_bars(&aggregate.body);
    let (mut heading, rows) = match &aggregate.body {
        AggregateBody::Count(all) => (
            vec![count_heading(aggregate, all)],
            count_rows(aggregate, all, top, rows),
        ),
        AggregateBody::Histogram(all) => (
            histogram_heading(aggregate, all),
            histogram_rows(aggregate, all),
        ),
        AggregateBody::Times(all) => (times_heading(aggregate, all), times_rows(all)),
    };
    if is_log {
        heading.insert(1.min(heading.len()), "log scale".into());
    }
    let skip = match &aggregate.body {
        // Only the rows on the screen are made, because there may be thousands.
        AggregateBody::Count(_) => 0,
        _ => top.min(rows.len().saturating_sub(usize::from(area.height) - 1)),
    };
    let heads = draw_heading(state, buffer, area, &heading);
    let body = Rect {
        y: area.y + heads,
        height: area.height.saturating_sub(heads),
        ..area
    };
    let layout = BarLayout::new(aggregate, &rows, usize::from(area.width), is_log);
    for (row, sum) in rows
        .iter()
        .skip(skip)
        .take(usize::from(body.height))
        .enumerate()
    {
        let pen = Pen::new(buffer, body, row as u16);
        layout.row(state, pen, sum);
    }
}

/// Draws figures on one row, or on two where they do not fit. Returns the number of rows.
fn draw_heading(state: &UiState, buffer: &mut Buffer, area: Rect, figures: &[String]) -> u16 {
    let room = usize::from(area.width).saturating_sub(2);
    let fits = |figures: &[String]| glyphs::width(&figures.join("  "), room + 1) <= room;
    let is_split = !fits(figures) && area.height > 5;
    let first = match is_split {
        true => (1..figures.len())
            .rev()
            .find(|count| fits(&figures[..*count])),
        false => None,
    };
    let (first, second) = figures.split_at(first.unwrap_or(figures.len()));
    let rows = if second.is_empty() { 1 } else { 2 };
    for (row, figures) in [first, second].into_iter().enumerate().take(rows) {
        let mut pen = Pen::new(buffer, area, row as u16);
        pen.text(" ", Style::new()).fitted(
            &figures.join("  "),
            room,
            state.theme.role(Role::Heading),
        );
    }
    rows as u16
}

fn has_any(aggregate: &Aggregate) -> bool {
    let is_in_progress = match &aggregate.body {
        AggregateBody::Times(times) => times.others().iter().any(|(count, _)| *count > 0),
        _ => false,
    };
    aggregate.total > 0 || aggregate.other > 0 || is_in_progress
}

/// The widths of the columns.
struct BarLayout {
    total: u64,
    most: u64,
    label: usize,
    count: usize,
    bar: usize,
    /// Labels stand behind their bars: they may be long.
    is_label_last: bool,
    /// The bars have a logarithmic scale.
    is_log: bool,
}

impl BarLayout {
    fn new(aggregate: &Aggregate, rows: &[SumRow], width: usize, is_log: bool) -> Self {
        let is_label_last = matches!(aggregate.body, AggregateBody::Count(_));
        let bars = rows.iter().filter_map(|row| match row {
            SumRow::Bar { label, count } => Some((label, *count)),
            SumRow::Empty | SumRow::Note { .. } => None,
        });
        let most = match &aggregate.body {
            AggregateBody::Count(all) => all.first().map_or(0, |row| row.count),
            _ => bars.clone().map(|(_, count)| count).max().unwrap_or(0),
        };
        let label = bars
            .clone()
            .map(|(label, _)| glyphs::width(label, 40))
            .max();
        let label = label.unwrap_or(0);
        let count = grouped(most.max(aggregate.other)).len().max(5);
        // Margins, count, share, and blanks between.
        let rest = width.saturating_sub(count + 14);
        let bar = match is_label_last {
            true => rest / 2,
            false => rest.saturating_sub(label + 2),
        };
        Self {
            total: aggregate.total.max(1),
            most: most.max(1),
            label,
            count,
            bar: bar.min(BAR),
            is_label_last,
            is_log,
        }
    }

    fn row(&self, state: &UiState, mut pen: Pen<'_>, row: &SumRow) {
        let role = |role| state.theme.role(role);
        let count_width = self.count;
        pen.text(" ", Style::new());
        match row {
            SumRow::Bar { label, count } => {
                if !self.is_label_last {
                    let width = glyphs::width(label, self.label);
                    pen.text(&" ".repeat(self.label - width), Style::new())
                        .fitted(label, self.label, Style::new())
                        .text("  ", Style::new());
                }
                let share = *count as f64 * 100.0 / self.total as f64;
                let number = format!("{:>count_width$}", grouped(*count));
                pen.text(&number, role(Role::Value))
                    .text(&format!(" {share:>5.1}%  "), role(Role::Dim));
                let bar = match self.is_log {
                    true => log_bar(*count, self.most, self.bar),
                    false => bar(*count, self.most, self.bar),
                };
                pen.text(&bar, role(Role::Accent));
                if self.is_label_last {
                    let room = pen.text("  ", Style::new()).room();
                    pen.fitted(label, room, Style::new());
                }
            }
            SumRow::Empty => {
                let width = if self.is_label_last { 0 } else { self.label };
                pen.text(&format!("{:>width$}", "⋮"), role(Role::Dim));
            }
            SumRow::Note { count, text } => {
                let width = count_width
                    + if self.is_label_last {
                        0
                    } else {
                        self.label + 2
                    };
                let number = format!("{:>width$}  ", grouped(*count));
                let room = pen.text(&number, role(Role::Warn)).room();
                pen.fitted(text, room, role(Role::Dim));
            }
        }
    }
}

/// A bar from zero, padded to `columns`. The smallest part of one is shown.
fn bar(count: u64, most: u64, columns: usize) -> String {
    let eighths = u128::from(count) * (columns as u128) * 8 / u128::from(most.max(1));
    let eighths = usize::try_from(eighths).unwrap_or(0);
    bar_of(eighths.max(usize::from(count > 0)), columns)
}

/// A bar on a logarithmic scale, padded to `columns`. Each doubling of the count has the same length, and one hit has
/// that of a doubling.
fn log_bar(count: u64, most: u64, columns: usize) -> String {
    if count == 0 {
        return bar_of(0, columns);
    }
    let length = |count: u64| 1.0 + (count.max(1) as f64).log2();
    let eighths = (length(count) / length(most) * (columns * 8) as f64).round();
    bar_of((eighths as usize).max(1), columns)
}

/// A bar of a number of eighths of a column, padded to `columns`.
fn bar_of(eighths: usize, columns: usize) -> String {
    const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = eighths.min(columns * 8);
    let mut text = "█".repeat(eighths / 8);
    text.push_str(PARTS.get(eighths % 8).copied().unwrap_or(""));
    let used = eighths.div_ceil(8);
    text.push_str(&" ".repeat(columns.saturating_sub(used)));
    text
}

fn count_heading(aggregate: &Aggregate, rows: &[CountRow]) -> String {
    let total = counted(aggregate.total, "hit");
    match aggregate.expr.is_empty() {
        true => total,
        false => format!(
            "{total} by {}: {}, the most frequent first",
            aggregate.expr,
            counted(rows.len(), "value")
        ),
    }
}

fn count_rows(aggregate: &Aggregate, all: &[CountRow], top: usize, rows: usize) -> Vec<SumRow> {
    let label = |row: &CountRow| match aggregate.expr.is_empty() {
        true => "all".to_owned(),
        false => compact_value(&row.value),
    };
    let top = top.min((all.len() + 1).saturating_sub(rows));
    let bars = all.iter().skip(top).map(|row| SumRow::Bar {
        label: label(row),
        count: row.count,
    });
    let other = (aggregate.other > 0).then(|| SumRow::Note {
        count: aggregate.other,
        text: "all other values: there is no space for more".to_owned(),
    });
    bars.chain(other).take(rows).collect()
}

/// `p50 4 to 7`: exact only where the range has one number.
fn bounds(name: &str, ends: Option<[String; 2]>) -> Option<String> {
    let [low, high] = ends?;
    Some(match low == high {
        true => format!("{name} {low}"),
        false => format!("{name} {low} to {high}"),
    })
}

fn histogram_heading(aggregate: &Aggregate, all: &Histogram) -> Vec<String> {
    let ranks = PERCENTILES.iter().map(|&percent| {
        let ends = all.percentile(percent);
        bounds(
            &format!("p{percent}"),
            ends.map(|(low, high)| [low.to_string(), high.to_string()]),
        )
    });
    let max = all.buckets.last();
    let max = bounds(
        "max",
        max.map(|one| [one.low.to_string(), one.high.to_string()]),
    );
    let total = format!("{}: {}", aggregate.expr, counted(aggregate.total, "hit"));
    [total]
        .into_iter()
        .chain(ranks.flatten())
        .chain(max)
        .collect()
}

fn histogram_rows(aggregate: &Aggregate, all: &Histogram) -> Vec<SumRow> {
    let mut rows = bars(&all.buckets, |bucket| range(bucket.low, bucket.high));
    rows.extend(all.unavailable.iter().map(|(why, count)| SumRow::Note {
        count: *count,
        text: format!("<{why}>"),
    }));
    if aggregate.other > 0 {
        rows.push(SumRow::Note {
            count: aggregate.other,
            text: "all other numbers: there is no space for more".to_owned(),
        });
    }
    rows
}

/// Buckets as rows, with a sign for the empty ones between them.
fn bars(buckets: &[Bucket], label: impl Fn(&Bucket) -> String) -> Vec<SumRow> {
    let mut rows = Vec::new();
    let mut next: Option<i128> = None;
    for bucket in buckets {
        if next.is_some_and(|next| next < bucket.low) {
            rows.push(SumRow::Empty);
        }
        next = bucket.high.checked_add(1);
        rows.push(SumRow::Bar {
            label: label(bucket),
            count: bucket.count,
        });
    }
    rows
}

fn times_heading(aggregate: &Aggregate, times: &Times) -> Vec<String> {
    let mut texts = vec![counted(aggregate.total, "time")];
    if let Some((shortest, longest)) = times.extremes_ns {
        texts.push(format!("min {}", span(shortest)));
        let mean = times.sum_ns.checked_div(aggregate.total);
        texts.extend(mean.map(|mean| format!("mean {}", span(mean))));
        texts.extend(PERCENTILES.iter().filter_map(|&percent| {
            let ends = times.percentile(percent)?;
            bounds(&format!("p{percent}"), Some([span(ends.0), span(ends.1)]))
        }));
        texts.push(format!("max {}", span(longest)));
    }
    texts
}

fn times_rows(times: &Times) -> Vec<SumRow> {
    let ns = |ns: i128| span(u64::try_from(ns).unwrap_or(u64::MAX));
    // The next power of two is easier to read than the number just below it.
    let mut rows = bars(&times.powers(), |bucket| {
        format!(
            "[{}, {})",
            ns(bucket.low),
            ns(bucket.high.saturating_add(1))
        )
    });
    let others = times.others().into_iter().filter(|(count, _)| *count > 0);
    rows.extend(others.map(|(count, text)| SumRow::Note {
        count,
        text: text.to_owned(),
    }));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_grow_with_the_count_or_with_its_logarithm() {
        let bars = |draw: fn(u64, u64, usize) -> String| {
            [0, 1, 10, 1_000, 100_000].map(|count| draw(count, 100_000, 10).trim_end().to_owned())
        };
        assert_eq!(bars(bar), ["", "▏", "▏", "▏", "██████████"]);
        assert_eq!(bars(log_bar), ["", "▋", "██▌", "██████▎", "██████████"]);
        assert_eq!(bar(5, 0, 0), "");
        assert_eq!(log_bar(u64::MAX, u64::MAX, 2), "██");
    }
}
