//! Metrics as text in the OpenMetrics format, for Prometheus.

use std::collections::HashMap;
use std::fmt::{self, Write as _};

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;

use super::metrics::{DistributionPoint, MetricFamily, MetricPoints, MetricSet, NumberPoint};
use crate::event::Exemplar;

/// The media type of the page.
pub(super) const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The whole page.
pub(super) fn page(set: &MetricSet, resource: &[KeyValue]) -> String {
    let mut page = String::new();
    // Writing to a string cannot fail.
    let _ = write_page(&mut page, set, resource);
    page
}

fn write_page(page: &mut String, set: &MetricSet, resource: &[KeyValue]) -> fmt::Result {
    writeln!(page, "# TYPE target info\n# HELP target the resource")?;
    writeln!(page, "target_info{} 1", Labels::new(resource))?;
    let mut names = vec!["target".to_owned()];
    for family in &set.families {
        let mut name = family_name(family);
        // Names that differ only in characters that Prometheus has not.
        while names.contains(&name) {
            name.push('_');
        }
        write_family(page, &name, family)?;
        names.push(name);
    }
    writeln!(page, "# EOF")
}

/// The name with Prometheus's characters, and with the unit.
fn family_name(family: &MetricFamily) -> String {
    let mut name = sanitized(&family.name);
    if matches!(family.points, MetricPoints::Counters(_)) {
        name.truncate(name.strip_suffix("_total").map_or(name.len(), str::len));
    }
    if family.unit == "s" && !name.ends_with("_seconds") {
        name.push_str("_seconds");
    }
    name
}

fn sanitized(name: &str) -> String {
    let is_valid = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let valid = name.chars().map(|c| if is_valid(c) { c } else { '_' });
    let first = name.chars().next();
    let prefix = first.filter(|c| c.is_ascii_digit()).map(|_| '_');
    prefix.into_iter().chain(valid).collect()
}

fn write_family(page: &mut String, name: &str, family: &MetricFamily) -> fmt::Result {
    let kind = match &family.points {
        MetricPoints::Counters(_) => "counter",
        MetricPoints::Levels(_) => "gauge",
        MetricPoints::Distributions(_) => "histogram",
    };
    writeln!(page, "# TYPE {name} {kind}")?;
    if family.unit == "s" {
        writeln!(page, "# UNIT {name} seconds")?;
    }
    writeln!(page, "# HELP {name} {}", EscapedText(&family.description))?;
    match &family.points {
        MetricPoints::Counters(points) => write_numbers(page, name, "_total", points),
        MetricPoints::Levels(points) => write_numbers(page, name, "", points),
        MetricPoints::Distributions(points) => points
            .iter()
            .try_for_each(|point| write_distribution(page, name, point)),
    }
}

fn write_numbers(page: &mut String, name: &str, end: &str, points: &[NumberPoint]) -> fmt::Result {
    // Two keys can have the same text, such as a number and its digits.
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut sums: Vec<(String, u64)> = Vec::new();
    for point in points {
        let labels = Labels::new(&point.attributes).to_string();
        let at = *places.entry(labels.clone()).or_insert(sums.len());
        match sums.get_mut(at) {
            Some((_, sum)) => *sum += point.value,
            None => sums.push((labels, point.value)),
        }
    }
    for (labels, value) in sums {
        writeln!(page, "{name}{end}{labels} {value}")?;
    }
    Ok(())
}

/// The bounds are exact. The sum is there only if it is known, and the count with it.
fn write_distribution(page: &mut String, name: &str, point: &DistributionPoint) -> fmt::Result {
    let labels = Labels::new(&point.attributes);
    let mut below = 0;
    let mut exemplars = point.exemplars.iter().peekable();
    for (bound, count) in super::metrics::otlp::bounds(point) {
        below += count;
        let labels = labels.with("le", &format!("{bound:?}"));
        write!(page, "{name}_bucket{labels} {below}")?;
        // The last one in the bucket, if the bucket is not empty.
        let mut inside = None;
        while let Some(one) = exemplars.next_if(|one| point.value(one) <= bound) {
            inside = Some(one).filter(|_| count > 0);
        }
        if let Some(one) = inside {
            write_exemplar(page, point.value(one), one)?;
        }
        writeln!(page)?;
    }
    writeln!(page, "{name}_bucket{} {below}", labels.with("le", "+Inf"))?;
    if let Some(sum) = point.sum {
        writeln!(page, "{name}_count{labels} {below}")?;
        writeln!(page, "{name}_sum{labels} {sum}")?;
    }
    Ok(())
}

/// ` # {trace_id="…",span_id="…"} VALUE SECONDS`
fn write_exemplar(page: &mut String, value: f64, exemplar: &Exemplar) -> fmt::Result {
    let Exemplar { ids, time_ns, .. } = exemplar;
    let (seconds, rest) = (time_ns / 1_000_000_000, time_ns % 1_000_000_000);
    write!(
        page,
        " # {{trace_id=\"{}\",span_id=\"{}\"}} {value:?} {seconds}.{rest:09}",
        ids.trace, ids.span
    )
}

/// `{key="value",…}`, each key once.
#[derive(Clone, Default)]
struct Labels {
    pairs: Vec<(String, String)>,
}

impl Labels {
    fn new(attributes: &[KeyValue]) -> Self {
        let mut labels = Self::default();
        for attribute in attributes {
            let value = attribute
                .value
                .as_ref()
                .and_then(|value| value.value.as_ref());
            labels.add(sanitized(&attribute.key), &text(value));
        }
        labels
    }

    /// Values of keys that have become the same are joined, as the conventions want it.
    fn add(&mut self, key: String, value: &str) {
        match self.pairs.iter_mut().find(|(known, _)| *known == key) {
            Some((_, there)) => {
                there.push(';');
                there.push_str(value);
            }
            None => self.pairs.push((key, value.to_owned())),
        }
    }

    fn with(&self, key: &str, value: &str) -> Self {
        let mut labels = self.clone();
        labels.pairs.retain(|(known, _)| known != key);
        labels.pairs.push((key.to_owned(), value.to_owned()));
        labels
    }
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (key, value)) in self.pairs.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            write!(f, "{before}{key}=\"{}\"", EscapedText(value))?;
        }
        f.write_str(if self.pairs.is_empty() { "" } else { "}" })
    }
}

/// The text of an attribute. Ours are never nested.
fn text(value: Option<&Any>) -> String {
    match value {
        Some(Any::StringValue(text)) => text.clone(),
        Some(Any::BoolValue(value)) => value.to_string(),
        Some(Any::IntValue(number)) => number.to_string(),
        Some(Any::DoubleValue(number)) => number.to_string(),
        Some(Any::BytesValue(bytes)) => bytes.escape_ascii().to_string(),
        _ => String::new(),
    }
}

struct EscapedText<'t>(&'t str);

impl fmt::Display for EscapedText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '\n' => f.write_str("\\n")?,
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::metrics::Metrics;
    use super::super::metrics::tests::{aggregate, rows, status};
    use super::super::text_attribute;
    use super::*;
    use std::num::{NonZeroU64, NonZeroU128};

    use crate::event::{
        AggregateBody, Bucket, CountRow, Counters, Histogram, ProbeId, SpanId, SpanIds, Times,
        TraceId,
    };
    use crate::value::{Text, Value};

    fn lines(page: &str, start: &str) -> Vec<String> {
        let lines = page.lines().filter(|line| line.contains(start));
        lines.map(str::to_owned).collect()
    }

    #[test]
    fn count_is_a_counter_with_escaped_labels() {
        let counted = aggregate("requests_total", "r.kind", rows());
        let status = status("requests_total", Counters::default());
        let set = Metrics::new(5).of(&[counted], &[status], 9);
        let page = page(&set, &[text_attribute("service.name", "a\nb")]);
        assert!(page.contains("\ntarget_info{service_name=\"a\\nb\"} 1\n"));
        assert!(page.ends_with("# EOF\n"));
        let probe = "tracer_probe=\"requests_total\",code_function_name=\"report\"";
        assert_eq!(
            lines(&page, "requests_total{"),
            [
                format!("requests_total{{{probe},r_kind=\"get \\\"x\\\"\"}} 5"),
                format!("requests_total{{{probe},r_kind=\"-4\"}} 2"),
                format!("requests_total{{{probe},tracer_unavailable=\"optimised out\"}} 1"),
                format!("requests_total{{{probe},otel_metric_overflow=\"true\"}} 1"),
            ]
        );
        assert_eq!(lines(&page, "# TYPE requests"), ["# TYPE requests counter"]);
    }

    #[test]
    fn bucket_has_the_last_span_in_it() {
        let ids = |number| SpanIds {
            trace: TraceId(NonZeroU128::MIN),
            span: SpanId(NonZeroU64::new(number).expect("a number")),
        };
        let exemplar = |number, elapsed_ns| Exemplar {
            ids: ids(number),
            elapsed_ns,
            time_ns: 1_000_000_002,
        };
        let bucket = |low, high, count| Bucket { low, high, count };
        let times = Times {
            buckets: vec![bucket(1_000, 1_023, 2), bucket(2_048, 2_303, 3)],
            sum_ns: 5_400,
            // The first and the last are of calls whose hits are in no bucket.
            exemplars: vec![
                exemplar(1, 500),
                exemplar(2, 1_023),
                exemplar(3, 2_048),
                exemplar(4, 5_000),
            ],
            ..Times::default()
        };
        let mut one = aggregate("t", "", AggregateBody::Times(times));
        one.other = 0;
        let page = page(&Metrics::new(5).of(&[one], &[], 9), &[]);
        let example = |span, value| {
            format!(
                " # {{trace_id=\"{:032x}\",span_id=\"{span:016x}\"}} {value} 1.000000002",
                1
            )
        };
        assert_eq!(
            lines(&page, "t_seconds_bucket"),
            [
                "t_seconds_bucket{tracer_probe=\"t\",le=\"9.99e-7\"} 0".to_owned(),
                "t_seconds_bucket{tracer_probe=\"t\",le=\"1.023e-6\"} 2".to_owned()
                    + &example(2, "1.023e-6"),
                "t_seconds_bucket{tracer_probe=\"t\",le=\"2.047e-6\"} 2".to_owned(),
                "t_seconds_bucket{tracer_probe=\"t\",le=\"2.303e-6\"} 5".to_owned()
                    + &example(3, "2.048e-6"),
                "t_seconds_bucket{tracer_probe=\"t\",le=\"+Inf\"} 5".to_owned(),
            ]
        );
    }

    #[test]
    fn time_has_exact_bounds_in_seconds() {
        let bucket = |low, high, count| Bucket { low, high, count };
        let times = Times {
            buckets: vec![bucket(1_000, 1_023, 2), bucket(1_024, 1_151, 3)],
            sum_ns: 5_400,
            ..Times::default()
        };
        let mut one = aggregate("t", "", AggregateBody::Times(times));
        one.other = 0;
        let page = page(&Metrics::new(5).of(&[one], &[], 9), &[]);
        assert_eq!(
            lines(&page, "t_seconds"),
            [
                "# TYPE t_seconds histogram",
                "# UNIT t_seconds seconds",
                "# HELP t_seconds ",
                "t_seconds_bucket{tracer_probe=\"t\",le=\"9.99e-7\"} 0",
                "t_seconds_bucket{tracer_probe=\"t\",le=\"1.023e-6\"} 2",
                "t_seconds_bucket{tracer_probe=\"t\",le=\"1.151e-6\"} 5",
                "t_seconds_bucket{tracer_probe=\"t\",le=\"+Inf\"} 5",
                "t_seconds_count{tracer_probe=\"t\"} 5",
                "t_seconds_sum{tracer_probe=\"t\"} 0.0000054",
            ]
        );
    }

    #[test]
    fn labels_and_names_that_become_the_same_stay_apart_or_are_added_up() {
        let text = Value::Text(Text {
            bytes: b"4".to_vec(),
            cut: None,
        });
        let row = |value, count| CountRow { value, count };
        let body = AggregateBody::Count(vec![row(text, 5), row(Value::Int(4, 32), 2)]);
        let mut first = aggregate("a.b", "x", body);
        first.other = 0;
        let mut second = first.clone();
        (second.probe, second.probe_name) = (ProbeId(2), "a_b".into());
        let page = page(&Metrics::new(5).of(&[first, second], &[], 9), &[]);
        assert_eq!(
            lines(&page, "_total{"),
            [
                "a_b_total{tracer_probe=\"a.b\",x=\"4\"} 7",
                "a_b__total{tracer_probe=\"a_b\",x=\"4\"} 7",
            ]
        );
    }

    #[test]
    fn histogram_without_a_sum_has_no_count() {
        let histogram = Histogram {
            step: None,
            buckets: vec![Bucket {
                low: -1,
                high: -1,
                count: 2,
            }],
            unavailable: Vec::new(),
        };
        let one = aggregate("h", "x", AggregateBody::Histogram(histogram));
        let page = page(&Metrics::new(5).of(&[one], &[], 9), &[]);
        assert_eq!(
            lines(&page, "h_bucket"),
            [
                "h_bucket{tracer_probe=\"h\",le=\"-2.0\"} 0",
                "h_bucket{tracer_probe=\"h\",le=\"-1.0\"} 2",
                "h_bucket{tracer_probe=\"h\",le=\"+Inf\"} 2",
            ]
        );
        assert!(lines(&page, "h_count").is_empty() && lines(&page, "h_sum").is_empty());
    }
}
