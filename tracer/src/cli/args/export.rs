//! Options of exports.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args as ClapArgs;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};

use super::duration;
use crate::sink::export::{ExportFormat, FORMATS};

/// The name of the format that writes to a collector instead of a file.
const OTLP: &str = "otlp";

/// Convert a recording.
#[derive(ClapArgs, Debug)]
pub(in crate::cli) struct ExportArgs {
    /// The recording
    #[arg(value_name = "FILE")]
    pub(in crate::cli) recording: PathBuf,
    /// The format
    #[arg(
        long,
        value_name = "FORMAT",
        value_parser = export_to(),
        long_help = "The format. json: the lines of `--output json`. csv, parquet: a row for each event, a column for each value. chrome, perfetto: threads as tracks, spans as slices, logs as instants, numbers as counters. pprof: stacks by hits, and by time for spans. otlp: to an OpenTelemetry collector"
    )]
    pub(in crate::cli) to: ExportTo,
    /// Write to this file [default: stdout]
    #[arg(long, short, value_name = "PATH")]
    pub(in crate::cli) output: Option<PathBuf>,
    /// The collector, for `--to otlp` [default: `$OTEL_EXPORTER_OTLP_ENDPOINT`, or
    /// `http://localhost:4318`]
    #[arg(long, value_name = "URL")]
    pub(in crate::cli) otlp: Option<String>,
    /// Give the collector up when it takes nothing for so long
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration)]
    pub(in crate::cli) otlp_timeout: Duration,
}

/// The destination of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum ExportTo {
    /// A file, or stdout.
    File(ExportFormat),
    /// A collector.
    Otlp,
}

fn export_to() -> impl clap::builder::TypedValueParser<Value = ExportTo> {
    let names = FORMATS.iter().map(|(name, _)| *name).chain([OTLP]);
    PossibleValuesParser::new(names.collect::<Vec<_>>())
        .map(|name| ExportFormat::named(&name).map_or(ExportTo::Otlp, ExportTo::File))
}

/// An export of a session: its format and its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct LiveExport {
    pub(in crate::cli) format: ExportFormat,
    pub(in crate::cli) path: PathBuf,
}

pub(super) fn live_export(text: &str) -> Result<LiveExport, String> {
    let names: Vec<&str> = FORMATS.iter().map(|(name, _)| *name).collect();
    let names = names.join(", ");
    let Some((format, path)) = text.split_once('=') else {
        return Err(format!(
            "write `FORMAT=PATH`, such as `perfetto=trace.pftrace`; the formats are {names}"
        ));
    };
    if format == OTLP {
        return Err("`--otlp URL` sends events to a collector".to_owned());
    }
    let Some(format) = ExportFormat::named(format) else {
        return Err(format!("`{format}` is none of {names}"));
    };
    if path.is_empty() {
        return Err("the path behind `=` is missing".to_owned());
    }
    let path = PathBuf::from(path);
    Ok(LiveExport { format, path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn export_of_a_session_has_a_format_and_a_path() {
        let export = live_export("chrome=a=b.json").expect("it is one");
        assert_eq!(export.format, ExportFormat::Chrome);
        assert_eq!(export.path, PathBuf::from("a=b.json"));
        for (text, why) in [
            ("chrome", "write `FORMAT=PATH`"),
            (
                "xml=a",
                "`xml` is none of json, csv, parquet, chrome, perfetto, pprof",
            ),
            ("csv=", "the path behind `=` is missing"),
            ("otlp=http://x", "`--otlp URL`"),
        ] {
            let error = live_export(text).expect_err(text);
            assert!(error.starts_with(why), "{error}");
        }
    }
}
