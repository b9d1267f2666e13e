//! What was added up, for people: a table of counts, a histogram with bars.

use std::fmt;

use crate::event::{Aggregate, AggregateBody, CountRow, Histogram};
use crate::value::debug;
use crate::visible::Visible;

/// Characters of a full bar.
const BAR: u32 = 40;
/// Rows of a table that are shown to people; the others are summed up.
const ROWS: usize = 50;
/// Characters of a value in a table.
const VALUE: usize = 80;

/// The lines about one probe, each with its line feed.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a>(pub &'a Aggregate);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(aggregate) = self;
        let name = Visible(&aggregate.probe_name);
        let hits = if aggregate.total == 1 { "hit" } else { "hits" };
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
            AggregateBody::Histogram(histogram) => bars(f, histogram)?,
        }
        if aggregate.other > 0 {
            writeln!(f, "  {:>12}  other keys, beyond the limit", aggregate.other)?;
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

fn bars(f: &mut fmt::Formatter<'_>, histogram: &Histogram) -> fmt::Result {
    let most = histogram.buckets.iter().map(|bucket| bucket.count).max();
    let ranges: Vec<String> = histogram
        .buckets
        .iter()
        .map(|bucket| range(bucket.low, bucket.high))
        .collect();
    let width = ranges.iter().map(String::len).max().unwrap_or(0);
    for (bucket, range) in histogram.buckets.iter().zip(&ranges) {
        let bar = bar(bucket.count, most.unwrap_or(1));
        writeln!(f, "  {range:>width$} {:>12} |{bar:<40}|", bucket.count)?;
    }
    for (why, count) in &histogram.unavailable {
        writeln!(f, "  {count:>12}  {}", Visible(&format!("<{why}>")))?;
    }
    Ok(())
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
    use crate::event::{Bucket, ProbeId};
    use crate::unavailable::Unavailable;
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
            row(Value::Int(7), 10),
            row(Value::Unavailable(Unavailable::Null), 1),
        ]);
        assert_eq!(
            Table(&aggregate("count", body)).to_string(),
            "p1 count by x: 13 hits\n\
             \x20           10  7\n\
             \x20            1  <null pointer>\n\
             \x20            2  other keys, beyond the limit\n"
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
        let text = Table(&aggregate("hist", body)).to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1], format!("       0 {:>12} |@@@@{:36}|", 1, ""));
        assert_eq!(
            lines[2],
            format!("  [2, 3] {:>12} |{}|", 10, "@".repeat(40))
        );
    }
}
