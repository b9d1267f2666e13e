//! Metrics in the form of OTLP.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint,
    Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
    exemplar, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;

use super::{DistributionPoint, MetricFamily, MetricPoints, MetricSet, NS_PER_SECOND, NumberPoint};
use crate::sink::otel::logs::{span_bytes, trace_bytes};
use crate::sink::otel::{SCHEMA_URL, scope};

const CUMULATIVE: i32 = AggregationTemporality::Cumulative as i32;

/// Scale of powers of two.
const POWERS: i32 = 0;
/// Scale of eight buckets to each power of two, for times.
const EIGHTHS: i32 = 3;

/// An encoded request.
pub(in crate::sink::otel) fn request(set: &MetricSet, resource: &[KeyValue]) -> Vec<u8> {
    let metrics = set
        .families
        .iter()
        .map(|family| metric(family, set.time_ns));
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(Resource {
                attributes: resource.to_vec(),
                ..Resource::default()
            }),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(scope()),
                metrics: metrics.collect(),
                schema_url: SCHEMA_URL.to_owned(),
            }],
            schema_url: SCHEMA_URL.to_owned(),
        }],
    }
    .encode_to_vec()
}

pub(in crate::sink::otel) fn metric(family: &MetricFamily, time_ns: u64) -> Metric {
    let data = match &family.points {
        MetricPoints::Counters(points) => sum(points, true, time_ns),
        MetricPoints::Levels(points) => sum(points, false, time_ns),
        MetricPoints::Distributions(points) if points.iter().any(|point| point.is_linear) => {
            metric::Data::Histogram(Histogram {
                data_points: points
                    .iter()
                    .map(|point| explicit(point, time_ns))
                    .collect(),
                aggregation_temporality: CUMULATIVE,
            })
        }
        MetricPoints::Distributions(points) => {
            let points = points.iter().map(|point| exponential(point, time_ns));
            metric::Data::ExponentialHistogram(ExponentialHistogram {
                data_points: points.collect(),
                aggregation_temporality: CUMULATIVE,
            })
        }
    };
    Metric {
        name: family.name.clone(),
        description: family.description.clone(),
        unit: family.unit.to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

fn sum(points: &[NumberPoint], is_monotonic: bool, time_ns: u64) -> metric::Data {
    let point = |point: &NumberPoint| NumberDataPoint {
        attributes: point.attributes.clone(),
        start_time_unix_nano: point.start_ns,
        time_unix_nano: time_ns,
        value: Some(number_data_point::Value::AsInt(
            i64::try_from(point.value).unwrap_or(i64::MAX),
        )),
        ..NumberDataPoint::default()
    };
    metric::Data::Sum(Sum {
        data_points: points.iter().map(point).collect(),
        aggregation_temporality: CUMULATIVE,
        is_monotonic,
    })
}

/// Bounds of a histogram of integers: the largest number of each bucket, and the number before the first of
/// each run of buckets. A number that is a bound is below it.
pub(in crate::sink::otel) fn bounds(point: &DistributionPoint) -> Vec<(f64, u64)> {
    let mut bounds: Vec<(i128, u64)> = Vec::with_capacity(point.buckets.len() + 1);
    for bucket in &point.buckets {
        let before = bucket.low.saturating_sub(1);
        if bounds.last().is_none_or(|(bound, _)| *bound < before) {
            bounds.push((before, 0));
        }
        bounds.push((bucket.high, bucket.count));
    }
    let scaled = bounds.into_iter();
    scaled
        .map(|(bound, count)| (bound as f64 / point.per_unit, count))
        .collect()
}

fn explicit(point: &DistributionPoint, time_ns: u64) -> HistogramDataPoint {
    let bounds = bounds(point);
    let counts = bounds.iter().map(|(_, count)| *count).chain([0]);
    HistogramDataPoint {
        attributes: point.attributes.clone(),
        start_time_unix_nano: point.start_ns,
        time_unix_nano: time_ns,
        count: point.count(),
        sum: point.sum,
        bucket_counts: counts.collect(),
        explicit_bounds: bounds.iter().map(|(bound, _)| *bound).collect(),
        exemplars: exemplars(point),
        min: point.extremes.map(|(least, _)| least),
        max: point.extremes.map(|(_, most)| most),
        ..HistogramDataPoint::default()
    }
}

/// Each of our buckets is in the exponential one that has its middle. So a number is in the bucket beside its
/// own at most.
fn exponential(point: &DistributionPoint, time_ns: u64) -> ExponentialHistogramDataPoint {
    let scale = match point.per_unit == NS_PER_SECOND {
        true => EIGHTHS,
        false => POWERS,
    };
    let (mut positive, mut negative) = (Vec::new(), Vec::new());
    let mut zero_count = 0;
    for bucket in &point.buckets {
        let middle = (bucket.low as f64 + bucket.high as f64) / 2.0 / point.per_unit;
        let indexed = |middle: f64| (index(middle, scale), bucket.count);
        if middle > 0.0 {
            positive.push(indexed(middle));
        } else if middle < 0.0 {
            negative.push(indexed(-middle));
        } else {
            zero_count += bucket.count;
        }
    }
    ExponentialHistogramDataPoint {
        attributes: point.attributes.clone(),
        start_time_unix_nano: point.start_ns,
        time_unix_nano: time_ns,
        count: point.count(),
        sum: point.sum,
        scale,
        zero_count,
        positive: Some(buckets(&positive)),
        negative: Some(buckets(&negative)),
        exemplars: exemplars(point),
        min: point.extremes.map(|(least, _)| least),
        max: point.extremes.map(|(_, most)| most),
        ..ExponentialHistogramDataPoint::default()
    }
}

fn exemplars(point: &DistributionPoint) -> Vec<Exemplar> {
    let exemplar = |one: &crate::event::Exemplar| Exemplar {
        filtered_attributes: Vec::new(),
        time_unix_nano: one.time_ns,
        span_id: span_bytes(one.ids.span),
        trace_id: trace_bytes(one.ids.trace),
        value: Some(exemplar::Value::AsDouble(point.value(one))),
    };
    point.exemplars.iter().map(exemplar).collect()
}

/// The bucket of a positive number: its upper bound is in it, its lower one is not.
fn index(number: f64, scale: i32) -> i32 {
    let exact = number.log2() * f64::from(scale).exp2();
    #[expect(clippy::cast_possible_truncation, reason = "at most 128 × 8")]
    let index = exact.ceil() as i32 - 1;
    index
}

fn buckets(counts: &[(i32, u64)]) -> Buckets {
    let Some(offset) = counts.iter().map(|(index, _)| *index).min() else {
        return Buckets::default();
    };
    let mut buckets = Buckets {
        offset,
        bucket_counts: Vec::new(),
    };
    for (index, count) in counts {
        let at = usize::try_from(index - offset).unwrap_or_default();
        if buckets.bucket_counts.len() <= at {
            buckets.bucket_counts.resize(at + 1, 0);
        }
        if let Some(there) = buckets.bucket_counts.get_mut(at) {
            *there += count;
        }
    }
    buckets
}

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU64, NonZeroU128};

    use super::*;
    use crate::event::{Bucket, SpanId, SpanIds, TraceId};

    fn point(buckets: &[(i128, i128, u64)], per_unit: f64) -> DistributionPoint {
        let bucket = |&(low, high, count): &(i128, i128, u64)| Bucket { low, high, count };
        DistributionPoint {
            attributes: Vec::new(),
            start_ns: 1,
            buckets: buckets.iter().map(bucket).collect(),
            per_unit,
            is_linear: false,
            sum: None,
            extremes: None,
            exemplars: Vec::new(),
        }
    }

    #[test]
    fn exemplars_have_the_span_and_its_time_in_seconds() {
        let mut point = point(&[(1_000, 1_023, 2)], NS_PER_SECOND);
        point.exemplars = vec![crate::event::Exemplar {
            ids: SpanIds {
                trace: TraceId(NonZeroU128::MIN),
                span: SpanId(NonZeroU64::MIN),
            },
            elapsed_ns: 1_010,
            time_ns: 7,
        }];
        let [made] = &exponential(&point, 9).exemplars[..] else {
            panic!("one exemplar");
        };
        let (one, zeros) = (vec![1], |count| vec![0; count]);
        assert_eq!(made.trace_id, [zeros(15), one.clone()].concat());
        assert_eq!(made.span_id, [zeros(7), one].concat());
        assert_eq!(made.value, Some(exemplar::Value::AsDouble(1.01e-6)));
        assert_eq!(made.time_unix_nano, 7);
    }

    #[test]
    fn powers_of_two_are_buckets_of_scale_0() {
        let point = point(
            &[
                (-3, -2, 4),
                (-1, -1, 2),
                (0, 0, 5),
                (1, 1, 1),
                (2, 3, 7),
                (8, 15, 9),
            ],
            1.0,
        );
        let made = exponential(&point, 9);
        assert_eq!((made.scale, made.zero_count, made.count), (0, 5, 28));
        let positive = made.positive.expect("buckets");
        // (0.5, 1], (1, 2], (2, 4], (4, 8], (8, 16]
        assert_eq!(
            (positive.offset, positive.bucket_counts),
            (-1, vec![1, 0, 7, 0, 9])
        );
        let negative = made.negative.expect("buckets");
        assert_eq!(
            (negative.offset, negative.bucket_counts),
            (-1, vec![2, 0, 4])
        );
    }

    #[test]
    fn times_are_in_the_bucket_of_their_own_bucket_s_middle() {
        let point = point(
            &[(1_000_000_000, 1_124_999_999, 3), (16, 17, 1)],
            NS_PER_SECOND,
        );
        let made = exponential(&point, 9);
        let positive = made.positive.expect("buckets");
        assert_eq!(made.scale, 3);
        let last = positive.offset + positive.bucket_counts.len() as i32 - 1;
        let bound = |index: i32| (f64::from(index) / 8.0).exp2();
        assert!(bound(last) < 1.0625 && 1.0625 <= bound(last + 1));
        assert_eq!(positive.bucket_counts.last(), Some(&3));
        assert_eq!(positive.bucket_counts.first(), Some(&1));
        assert!(bound(positive.offset) < 16.5e-9 && 16.5e-9 <= bound(positive.offset + 1));
    }

    #[test]
    fn linear_buckets_keep_their_bounds() {
        let mut point = point(&[(-5, -1, 2), (0, 4, 3), (20, 24, 1)], 1.0);
        point.is_linear = true;
        let made = explicit(&point, 9);
        assert_eq!(made.explicit_bounds, [-6.0, -1.0, 4.0, 19.0, 24.0]);
        assert_eq!(made.bucket_counts, [0, 2, 3, 0, 1, 0]);
        assert_eq!((made.count, made.sum), (6, None));
    }
}
