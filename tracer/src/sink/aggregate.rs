//! Aggregates for people: a table of counts, a histogram with bars.

use std::fmt;
use std::time::Duration;

use crate::base::visible::Visible;
use crate::event::{Aggregate, AggregateBody, Bucket, CountRow, Histogram, Times};
use crate::value::debug;

/// Characters of a full bar.
const BAR: u32 = 40;
/// Rows of a table that are shown to people. Further rows are summed up.
const ROWS: usize = 50;
/// The percentiles that are shown.
pub(super) const PERCENTILES: [u64; 3] = [50, 90, 99];
/// Characters of a value in a table.
const VALUE: usize = 80;

/// The lines about one probe, each with its line feed.
#[derive(Clone, Copy, Debug)]
pub struct AggregateTable<'a>(pub &'a Aggregate);

impl fmt::Display for AggregateTable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(aggregate) = self;
        let name = Visible(&aggregate.probe_name);
        let hits = match (&aggregate.body, aggregate.total) {
            (AggregateBody::Times(_), 1) => "time",
            (AggregateBody::Times(_), _) => "times",
            (_, 1) => "hit",
            _ => "hits",
        };
        write!(f, "{name} {}", aggregate.action)?;
        if !aggregate.expr.is_empty() {
            let by = if matches!(aggregate.body, AggregateBody::Count(_)) {
                "by "
            } else {
                ""
            };
            write!(f, " {by}{}", Visible(&aggregate.expr))?;
        }
        writeln!(f, ": {} {hits}", aggregate.total)?;
        match &aggregate.body {
            AggregateBody::Count(rows) => counts(f, rows)?,
            AggregateBody::Histogram(histogram) => histogram_of(f, histogram)?,
            AggregateBody::Times(times) => times_of(f, aggregate.total, times)?,
        }
        if aggregate.other > 0 {
            writeln!(
                f,
                "  {:>12}  all other keys (over the limit)",
                aggregate.other
            )?;
        }
        Ok(())
    }
}

fn counts(f: &mut fmt::Formatter<'_>, rows: &[CountRow]) -> fmt::Result {
    for row in rows.iter().take(ROWS) {
        let mut text = String::new();
        debug::write(&mut text, &row.value, debug::DEBUG)?;
        let cut = text.char_indices().nth(VALUE).map(|(at, _)| at);
        if let Some(at) = cut {
            text.truncate(at);
            text.push('…');
        }
        writeln!(f, "  {:>12}  {}", row.count, Visible(&text))?;
    }
    if let Some(rest) = rows.get(ROWS..).filter(|rest| !rest.is_empty()) {
        let hits: u64 = rest.iter().map(|row| row.count).sum();
        writeln!(f, "  {hits:>12}  in {} more rows", rest.len())?;
    }
    Ok(())
}

fn histogram_of(f: &mut fmt::Formatter<'_>, histogram: &Histogram) -> fmt::Result {
    bars(f, &histogram.buckets, range)?;
    for (why, count) in &histogram.unavailable {
        writeln!(f, "  {count:>12}  {}", Visible(&format!("<{why}>")))?;
    }
    Ok(())
}

fn bars(
    f: &mut fmt::Formatter<'_>,
    buckets: &[Bucket],
    range: fn(i128, i128) -> String,
) -> fmt::Result {
    let most = buckets.iter().map(|bucket| bucket.count).max();
    let ranges: Vec<String> = buckets
        .iter()
        .map(|bucket| range(bucket.low, bucket.high))
        .collect();
    let width = ranges.iter().map(|range| range.chars().count()).max();
    let width = width.unwrap_or(0);
    for (bucket, range) in buckets.iter().zip(&ranges) {
        let bar = bar(bucket.count, most.unwrap_or(1));
        writeln!(f, "  {range:>width$} {:>12} |{bar:<40}|", bucket.count)?;
    }
    Ok(())
}

fn times_of(f: &mut fmt::Formatter<'_>, total: u64, times: &Times) -> fmt::Result {
    if let (Some((shortest, longest)), Some(mean)) =
        (times.extremes_ns, times.sum_ns.checked_div(total))
    {
        let (shortest, mean, longest) = (span(shortest), span(mean), span(longest));
        writeln!(f, "  min {shortest}, mean {mean}, max {longest}")?;
        let ranks = PERCENTILES.iter().filter_map(|&percent| {
            let (low, high) = times.percentile(percent)?;
            Some(format!("p{percent} {}", between(low, high)))
        });
        writeln!(f, "  {}", ranks.collect::<Vec<_>>().join(", "))?;
    }
    bars(f, &times.powers(), |low, high| {
        // The next power of two is easier to read than the number just below it.
        let ns = |ns: i128| u64::try_from(ns).unwrap_or(u64::MAX);
        format!("[{}, {})", span(ns(low)), span(ns(high + 1)))
    })?;
    for (count, what) in times.others() {
        if count > 0 {
            writeln!(f, "  {count:>12}  {what}")?;
        }
    }
    Ok(())
}

/// A time span with up to four digits: `1.05ms`.
#[must_use]
pub fn span(ns: u64) -> String {
    let exact = Duration::from_nanos(ns);
    if ns < 1_000 {
        format!("{exact:?}")
    } else {
        format!("{exact:.2?}")
    }
}

/// One time span, or two that something is between.
fn between(low: u64, high: u64) -> String {
    let (low, high) = (span(low), span(high));
    if low == high {
        low
    } else {
        format!("{low} to {high}")
    }
}

/// `7`, or `[4, 7]`: lowest and highest number.
#[must_use]
pub fn range(low: i128, high: i128) -> String {
    if low == high {
        low.to_string()
    } else {
        format!("[{low}, {high}]")
    }
}

/// A bar in proportion to the longest, at least one character for one hit.
#[must_use]
pub fn bar(count: u64, most: u64) -> String {
    let full = u128::from(count) * u128::from(BAR) / u128::from(most.max(1));
    let length = usize::try_from(full)
        .unwrap_or(0)
        .max(usize::from(count > 0));
    "@".repeat(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::unavailable::Unavailable;
    use crate::event::{Bucket, ProbeId};
    use crate::value::Value;

    fn aggregate(action: &'static str, body: AggregateBody) -> Aggregate {
        Aggregate {
            probe: ProbeId(1),
            probe_name: "p1".into(),
            action,
            expr: "x".into(),
            total: 13,
            other: 2,
            body,
        }
    }

    #[test]
    fn counts_are_a_table_with_what_found_no_room() {
        let row = |value, count| CountRow { value, count };
        let body = AggregateBody::Count(vec![
            row(Value::Int(7, 32), 10),
            row(Value::Unavailable(Unavailable::Null), 1),
        ]);
        assert_eq!(
            AggregateTable(&aggregate("count", body)).to_string(),
            "p1 count by x: 13 hits\n\
             \x20           10  7\n\
             \x20            1  <null pointer>\n\
             \x20            2  all other keys (over the limit)\n"
        );
    }

    #[test]
    fn histogram_has_bars_in_proportion() {
        let bucket = |low, high, count| Bucket { low, high, count };
        let body = AggregateBody::Histogram(Histogram {
            step: None,
            buckets: vec![bucket(0, 0, 1), bucket(2, 3, 10)],
            unavailable: Vec::new(),
        });
        let text = AggregateTable(&aggregate("hist", body)).to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1], format!("       0 {:>12} |@@@@{:36}|", 1, ""));
        assert_eq!(
            lines[2],
            format!("  [2, 3] {:>12} |{}|", 10, "@".repeat(40))
        );
    }

    #[test]
    fn times_are_shown_with_their_extremes_and_what_has_none() {
        let bucket = |low, high, count| Bucket { low, high, count };
        let body = AggregateBody::Times(Times {
            buckets: vec![
                bucket(1_536, 1_663, 10),
                bucket(1_920, 2_047, 1),
                bucket(2_883_584, 3_145_727, 2),
            ],
            extremes_ns: Some((1_600, 3_000_000)),
            sum_ns: 6_500_000,
            unfinished: 3,
            ..Times::default()
        });
        let mut times = aggregate("time", body);
        (times.expr, times.other) = ("".into(), 0);
        let text = AggregateTable(&times).to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[..3],
            [
                "p1 time: 13 times",
                "  min 1.60µs, mean 500.00µs, max 3.00ms",
                "  p50 1.60µs to 1.66µs, p90 2.88ms to 3.00ms, p99 2.88ms to 3.00ms",
            ]
        );
        assert_eq!(
            lines[3],
            format!("  [1.02µs, 2.05µs) {:>12} |{}|", 11, "@".repeat(40))
        );
        assert!(lines[4].starts_with("  [2.10ms, 4.19ms) "), "{text}");
        assert!(lines[5].trim_start().starts_with("3  unfinished"), "{text}");
        assert_eq!(lines.len(), 6);
    }
}
