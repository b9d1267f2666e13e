//! Limits of a session, as options and as settings of the configuration file.

use clap::{Args as ClapArgs, Command, Parser as _};

use crate::base::diagnostic::Diagnostic;
use crate::base::limits::BUFFER_BYTES_LEAST;
use crate::lang::parse_share;

/// CPUs that all probes together may cost, unless the user says something else.
const USUAL_CPU: MaxCpu = MaxCpu(Some(0.25));

/// Limits on what is read of a value, and on what the probes may cost.
#[derive(ClapArgs, Clone, Debug, Default, PartialEq)]
pub(in crate::cli) struct LimitArgs {
    /// Levels that are followed from a variable's object on: a collection, a reference or a smart
    /// pointer is one, a raw pointer two [default: 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=16))]
    max_depth: Option<u32>,
    /// Elements that are read of an array or collection [default: 64]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=4096))]
    max_elements: Option<u64>,
    /// Bytes that are read of a text [default: 256]
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1..=4095))]
    max_string: Option<u64>,
    /// Bytes that are read of one value before its pointers are followed [default: 4096]
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1..=16384))]
    max_value: Option<u64>,
    /// CPU time that all probes together may cost the target, traps included; `off`: any
    /// [default: 25%]
    #[arg(
        long,
        value_name = "PERCENT",
        value_parser = max_cpu,
        long_help = "CPU time that all probes together may cost the target, including traps, as a percentage of one CPU; `off` for no limit. If they cost more for some seconds, the most expensive ones are silenced and removed, with a warning. `cpu N%` in a probe limits that probe alone [default: 25%]"
    )]
    pub(in crate::cli) max_cpu: Option<MaxCpu>,
    /// Bytes of events that may wait for the output: `64M`; beyond, the oldest are lost, and counted
    /// [default: 256M]
    #[arg(long, value_name = "SIZE", value_parser = buffer_size)]
    pub(in crate::cli) buffer_size: Option<usize>,
    /// Bytes of the ring between kernel and tracer [default: 16 MiB]
    #[arg(long, value_name = "BYTES", hide_short_help = true)]
    pub(in crate::cli) ring_bytes: Option<u32>,
}

/// The limits alone, for the configuration file.
#[derive(clap::Parser, Debug)]
#[command(
    no_binary_name = true,
    disable_help_flag = true,
    disable_version_flag = true
)]
struct LimitOptions {
    #[command(flatten)]
    limits: LimitArgs,
}

impl LimitArgs {
    /// The names of the limits, without `--`.
    pub(in crate::cli) fn names() -> Vec<String> {
        let command = Self::augment_args(Command::new("limits"));
        let names = command.get_arguments().filter_map(|limit| limit.get_long());
        names.map(str::to_owned).collect()
    }

    /// One limit, by its name without `--`.
    ///
    /// # Errors
    /// The value is none of this limit.
    pub(in crate::cli) fn one(name: &str, value: &str) -> Result<Self, Diagnostic> {
        let option = format!("--{name}={value}");
        match LimitOptions::try_parse_from([option]) {
            Ok(options) => Ok(options.limits),
            Err(error) => {
                let why = std::error::Error::source(&error).map(ToString::to_string);
                let text = error.to_string();
                let first = text.lines().next().unwrap_or_default();
                let why = why.unwrap_or_else(|| first.trim_start_matches("error: ").to_owned());
                Err(Diagnostic::new(format!(
                    "`{name}` cannot be `{value}`: {why}"
                )))
            }
        }
    }

    /// These limits, and the others where these are not set.
    pub(in crate::cli) fn or(self, other: Self) -> Self {
        Self {
            max_depth: self.max_depth.or(other.max_depth),
            max_elements: self.max_elements.or(other.max_elements),
            max_string: self.max_string.or(other.max_string),
            max_value: self.max_value.or(other.max_value),
            max_cpu: self.max_cpu.or(other.max_cpu),
            buffer_size: self.buffer_size.or(other.buffer_size),
            ring_bytes: self.ring_bytes.or(other.ring_bytes),
        }
    }

    /// Limits on how much of a value is read.
    pub(in crate::cli) fn of_values(&self) -> crate::plan::Limits {
        let default = crate::plan::Limits::default();
        crate::plan::Limits {
            depth: self.max_depth.unwrap_or(default.depth),
            elements: self.max_elements.unwrap_or(default.elements),
            string_bytes: self.max_string.unwrap_or(default.string_bytes),
            value_bytes: self.max_value.unwrap_or(default.value_bytes),
            ..default
        }
    }

    /// CPUs that all probes may cost; `None`: any.
    pub(in crate::cli) fn cpus(&self) -> Option<f64> {
        self.max_cpu.unwrap_or(USUAL_CPU).0
    }
}

/// CPUs that all probes may cost; `None`: any.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::cli) struct MaxCpu(Option<f64>);

fn max_cpu(text: &str) -> Result<MaxCpu, String> {
    if text == "off" {
        return Ok(MaxCpu(None));
    }
    let percent = format!("{}%", text.trim_end_matches('%'));
    parse_share(&percent)
        .map(|share| MaxCpu(Some(share)))
        .ok_or_else(|| "write a percentage of one CPU, as in `25%`, or `off`".into())
}

fn buffer_size(text: &str) -> Result<usize, String> {
    let (digits, unit) = match text.char_indices().find(|(_, c)| !c.is_ascii_digit()) {
        Some((at, _)) => text.split_at(at),
        None => (text, ""),
    };
    let shift = match unit {
        "" => Some(0),
        "K" | "KiB" => Some(10),
        "M" | "MiB" => Some(20),
        "G" | "GiB" => Some(30),
        _ => None,
    };
    let bytes = shift.and_then(|shift| digits.parse::<usize>().ok()?.checked_mul(1 << shift));
    match bytes {
        Some(bytes) if bytes >= BUFFER_BYTES_LEAST => Ok(bytes),
        Some(_) => Err(format!("{} MiB is the minimum", BUFFER_BYTES_LEAST >> 20)),
        None => Err("write a number of bytes, with an optional K, M or G: `64M`".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffer_size_has_units_and_a_least() {
        assert_eq!(buffer_size("64M"), Ok(64 << 20));
        assert_eq!(buffer_size("8192KiB"), Ok(8 << 20));
        assert_eq!(buffer_size("1G"), Ok(1 << 30));
        assert_eq!(buffer_size("8000000"), Ok(8_000_000));
        for text in [
            "",
            "M",
            "64X",
            "-1",
            "1M",
            "99999999999999999999",
            "99999999999G",
        ] {
            assert!(buffer_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn limit_of_a_name_is_that_of_its_option() {
        let depth = LimitArgs::one("max-depth", "5").unwrap();
        let cpu = LimitArgs::one("max-cpu", "off").unwrap();
        let both = depth
            .clone()
            .or(cpu)
            .or(LimitArgs::one("max-depth", "9").unwrap());
        assert_eq!((both.of_values().depth, both.cpus()), (5, None));
        assert_eq!(depth.cpus(), Some(0.25));
        for (name, value, why) in [
            (
                "max-depth",
                "17",
                "`max-depth` cannot be `17`: 17 is not in 0..=16",
            ),
            (
                "max-cpu",
                "much",
                "`max-cpu` cannot be `much`: write a percentage",
            ),
            ("buffer-size", "1", "`buffer-size` cannot be `1`: "),
        ] {
            let error = LimitArgs::one(name, value).unwrap_err();
            assert!(error.message.starts_with(why), "{error}");
        }
    }

    #[test]
    fn every_limit_has_a_name_and_is_merged() {
        for name in LimitArgs::names() {
            let value = if name == "buffer-size" { "64M" } else { "7" };
            let one = LimitArgs::one(&name, value).unwrap();
            assert_ne!(one, LimitArgs::default(), "{name}");
            assert_eq!(LimitArgs::default().or(one.clone()), one, "{name}");
        }
    }
}
