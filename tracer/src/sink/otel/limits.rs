//! Limits of the output to OpenTelemetry and Prometheus

use std::time::Duration;

/// Encoded bytes of log records in one request. The request is sent when it has as many.
///
/// Receivers take 4 MiB by default.
pub const REQUEST_BYTES: usize = 1 << 20;

/// Log records in one request.
pub const REQUEST_RECORDS: usize = 1 << 13;

/// Time after which a request is sent even if it is small.
pub const REQUEST_WAIT: Duration = Duration::from_secs(1);

/// Encoded bytes of requests that wait for a collector. Above it the oldest are dropped, and their events are
/// counted as not delivered.
pub const WAITING_BYTES: usize = 32 << 20;

/// First pause before a request is sent again. Each further one is twice as long.
pub const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// Longest pause before a request is sent again, unless the collector asks for a longer one.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Time after which a request that a collector does not take is dropped.
pub const LONGEST_TRIAL: Duration = Duration::from_secs(300);

/// Bytes of a collector's answer that are read.
pub const ANSWER_BYTES: u64 = 64 << 10;

/// Interval between two reports of metrics, unless `--every` or `OTEL_METRIC_EXPORT_INTERVAL` sets another.
pub const METRICS_INTERVAL: Duration = Duration::from_secs(60);

/// Processes whose resource is kept. Beyond it, all are read again when they send the next event.
pub const RESOURCES: usize = 1 << 12;

/// Scrapes that are answered at the same time. A further one waits.
pub const SCRAPES: usize = 8;

/// Time in which a scraper must have sent its request and taken the answer.
pub const SCRAPE_WAIT: Duration = Duration::from_secs(10);

/// Frames in `code.stacktrace`. A longer stack has its innermost ones, and the number of the others.
pub const STACK_FRAMES: usize = 256;

/// Requests of a recording that wait for a collector. Reading goes on when there are fewer.
pub const REPLAY_REQUESTS: usize = 8;
