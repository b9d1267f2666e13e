//! Measures the export of events to an OpenTelemetry collector: its CPU time in comparison with JSON alone, a minute of
//! 100,000 events a second, and a collector that hangs.

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::Extent;
use super::observed::{Observed, Scratch};
use super::observer::{NO_RATE, OutputTotals, attach, number, tracer};
use super::report::{BenchReport, EventReceiver, OtlpRow, Pace, SiteKind};
use super::statistics::{median, round};
use super::target::{HITTER, Hitter, compile, marked_line};
use crate::setup::otel_tools;
use crate::support::failure::Failure;

/// The kind of the probed site.
const SITE: SiteKind = SiteKind::OneTrap;
/// Time of one run that is compared with JSON.
const COMPARED: Duration = Duration::from_secs(5);
/// Time of the run at the highest pace.
const FAST: Duration = Duration::from_secs(60);
/// Time in which the collector hangs.
const HANGING: Duration = Duration::from_secs(30);
/// Share of those times with `--quick`.
const QUICK: u32 = 5;
/// Time for a collector to start, and to print what it has received.
const PATIENCE: Duration = Duration::from_secs(15);

/// Measures all receivers.
///
/// # Errors
/// The target, the collector or tracer failed.
pub(super) fn measure(report: &mut BenchReport, extent: &Extent, quick: bool) -> Result<()> {
    let mut hitter = Hitter::start(&compile(HITTER)?)?;
    let share = if quick { QUICK } else { 1 };
    for receiver in [EventReceiver::Grpc, EventReceiver::Http] {
        compared(report, &mut hitter, receiver, extent.repeats)?;
    }
    let fast = Measurement {
        receiver: EventReceiver::Grpc,
        pace: Pace::HundredThousand,
        time: FAST / share,
    };
    report.otlp.push(fast.run(&mut hitter)?);
    let hanging = Measurement {
        receiver: EventReceiver::Hanging,
        pace: Pace::TwentyThousand,
        time: HANGING / share,
    };
    report.otlp.push(hanging.run(&mut hitter)?);
    Ok(())
}

/// Runs with JSON alone and with a collector, in turns.
fn compared(
    report: &mut BenchReport,
    hitter: &mut Hitter,
    receiver: EventReceiver,
    repeats: u32,
) -> Result<()> {
    let of = |receiver| Measurement {
        receiver,
        pace: Pace::TwentyThousand,
        time: COMPARED,
    };
    let (mut alone, mut both, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..repeats {
        let json = of(EventReceiver::Json).run(hitter)?;
        let exported = of(receiver).run(hitter)?;
        ratios.push(exported.cpu_us_per_event / json.cpu_us_per_event);
        alone.push(json);
        both.push(exported);
    }
    let mut exported = total(&both).context("there was no repeat")?;
    exported.ratio_to_json = median(&ratios).map(|ratio| round(ratio, 2));
    report.otlp.extend(total(&alone));
    report.otlp.push(exported);
    Ok(())
}

/// One row of several runs: sums of their counts, and medians of their figures.
fn total(rows: &[OtlpRow]) -> Option<OtlpRow> {
    let first = rows.first()?;
    let sum = |of: fn(&OtlpRow) -> u64| rows.iter().map(of).sum();
    let middle = |of: fn(&OtlpRow) -> f64| median(&rows.iter().map(of).collect::<Vec<f64>>());
    Some(OtlpRow {
        seconds: rows.iter().map(|row| row.seconds).sum(),
        hits: sum(|row| row.hits),
        events: sum(|row| row.events),
        lost: sum(|row| row.lost),
        undelivered: sum(|row| row.undelivered),
        received: rows.iter().map(|row| row.received).sum(),
        cpu_us_per_event: middle(|row| row.cpu_us_per_event)?,
        peak_rss_mb: middle(|row| row.peak_rss_mb)?,
        ..first.clone()
    })
}

/// One session.
struct Measurement {
    receiver: EventReceiver,
    pace: Pace,
    time: Duration,
}

impl Measurement {
    fn run(&self, hitter: &mut Hitter) -> Result<OtlpRow> {
        let milliseconds = u64::try_from(self.time.as_millis())?;
        let mut collector = match self.receiver {
            EventReceiver::Json => OtherEnd::None,
            EventReceiver::Grpc | EventReceiver::Http => OtherEnd::Rotel(Rotel::start()?),
            EventReceiver::Hanging => OtherEnd::hanging()?,
        };
        let summary = Scratch::new("summary")?;
        let mut session = self.session(hitter, &collector, &summary)?;
        session.wait_attached()?;
        let before = session.cpu().context("the session has no CPU time")?;
        let hits = hitter.run(SITE, self.pace, 1, milliseconds)?.count;
        // The last batch is sent after a second at most.
        thread::sleep(Duration::from_millis(1500));
        session.check_runs()?;
        let cpu = session.cpu().context("the session has no CPU time")? - before;
        let peak_rss_mb = session.peak_rss_mb().context("it has no memory")?;
        session.interrupt()?;
        let text = std::fs::read_to_string(summary.path()).context("tracer wrote no summary")?;
        let mut totals = OutputTotals::default();
        text.lines().for_each(|line| totals.take(line));
        let summary = totals.summary.context("tracer wrote no summary")?;
        let events = number(&summary, "events").context("the summary has no events")?;
        let undelivered = number(&summary, "undelivered").unwrap_or(0);
        Ok(OtlpRow {
            receiver: self.receiver,
            pace: self.pace,
            seconds: self.time.as_secs_f64(),
            hits,
            events,
            lost: number(&summary, "lost").unwrap_or(0),
            undelivered,
            received: collector.received(events.saturating_sub(undelivered))?,
            cpu_us_per_event: round(cpu.as_secs_f64() * 1e6 / events.max(1) as f64, 3),
            ratio_to_json: None,
            peak_rss_mb: round(peak_rss_mb, 1),
        })
    }

    fn session(
        &self,
        hitter: &Hitter,
        collector: &OtherEnd,
        summary: &Scratch,
    ) -> Result<Observed> {
        let line = marked_line(HITTER, "one_trap")?;
        let probe = format!(r#"log {HITTER}:{line} "{{left}} {{right}}" {NO_RATE}"#);
        let mut command: Command = attach(&tracer(true), hitter.pid(), &probe);
        command.arg("--summary").arg(summary.path());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("OTEL_") {
                command.env_remove(name);
            }
        }
        let protocol = match self.receiver {
            EventReceiver::Http => "http/protobuf",
            _ => "grpc",
        };
        if let Some(port) = collector.port(self.receiver) {
            command.env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol);
            command.args(["--otlp", &format!("http://127.0.0.1:{port}")]);
        }
        Observed::spawn_without_output(&mut command)
    }
}

/// The other end.
enum OtherEnd {
    None,
    Rotel(Rotel),
    /// Takes connections, and never answers.
    Hanging(u16),
}

impl OtherEnd {
    fn hanging() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("there is no free port")?;
        let port = listener.local_addr()?.port();
        thread::spawn(move || {
            // They are held open to the end of the bench.
            let mut taken = Vec::new();
            for stream in listener.incoming() {
                match stream {
                    Ok(stream) => taken.push(stream),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(_) => break,
                }
            }
        });
        Ok(Self::Hanging(port))
    }

    fn port(&self, receiver: EventReceiver) -> Option<u16> {
        match self {
            Self::None => None,
            Self::Rotel(rotel) if receiver == EventReceiver::Http => Some(rotel.http),
            Self::Rotel(rotel) => Some(rotel.grpc),
            Self::Hanging(port) => Some(*port),
        }
    }

    /// Log records that it says it has received, once they are as many as these or the time is up.
    fn received(&mut self, expected: u64) -> Result<Option<u64>> {
        let Self::Rotel(rotel) = self else {
            return Ok(None);
        };
        let until = Instant::now() + PATIENCE;
        loop {
            let received = rotel.received()?;
            if received >= expected || Instant::now() > until {
                return Ok(Some(received));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The collector `rotel-agent`, which throws away what it has received and counted.
struct Rotel {
    process: Observed,
    grpc: u16,
    http: u16,
}

impl Rotel {
    fn start() -> Result<Self> {
        let [grpc, http] = [free_port()?, free_port()?];
        let mut command = Command::new(otel_tools::collector()?);
        command
            .args(["start", "--exporter", "blackhole", "--debug-log", "logs"])
            .args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{grpc}")])
            .args(["--otlp-http-endpoint", &format!("127.0.0.1:{http}")]);
        let mut process = Observed::spawn(&mut command)?;
        let until = Instant::now() + PATIENCE;
        while [grpc, http]
            .iter()
            .any(|port| TcpStream::connect(("127.0.0.1", *port)).is_err())
        {
            process.check_runs()?;
            if Instant::now() > until {
                return Err(Failure::new("the collector rotel does not listen").into());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(Self {
            process,
            grpc,
            http,
        })
    }

    fn received(&self) -> Result<u64> {
        let mut records = 0;
        self.process
            .for_each_line(|line| records += printed_records(line).unwrap_or(0))?;
        Ok(records)
    }
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("there is no free port")?;
    Ok(listener.local_addr()?.port())
}

/// The number in `Received logs. data_type="logs" resource_logs=1 logs=5`, which may have colours.
fn printed_records(line: &str) -> Option<u64> {
    let (_, behind) = line.split_once("Received logs.")?;
    let (_, behind) = behind.rsplit_once('=')?;
    // A colour sequence ends with an `m`.
    let digits = behind.rsplit('m').next()?;
    digits.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_line_gives_its_number_of_records() {
        let line = "INFO Received logs. data_type=\"logs\" resource_logs=1 logs=5";
        assert_eq!(printed_records(line), Some(5));
        let coloured = "INFO\u{1b}[0m Received logs. \u{1b}[3mlogs\u{1b}[0m\u{1b}[2m=\u{1b}[0m812";
        assert_eq!(printed_records(coloured), Some(812));
        assert_eq!(printed_records("INFO Starting Rotel."), None);
    }

    #[test]
    fn several_runs_are_one_row_with_sums_and_medians() {
        let row = |cpu: f64, received| OtlpRow {
            receiver: EventReceiver::Grpc,
            pace: Pace::TwentyThousand,
            seconds: 5.0,
            hits: 10,
            events: 10,
            lost: 0,
            undelivered: 1,
            received,
            cpu_us_per_event: cpu,
            ratio_to_json: None,
            peak_rss_mb: 50.0,
        };
        let made = total(&[row(1.0, Some(9)), row(9.0, Some(9)), row(2.0, Some(9))]);
        let made = made.expect("there are rows");
        assert_eq!(
            (made.hits, made.undelivered, made.received),
            (30, 3, Some(27))
        );
        assert_eq!((made.seconds, made.cpu_us_per_event), (15.0, 2.0));
        assert!(total(&[]).is_none());
    }
}
