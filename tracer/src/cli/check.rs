//! `tracer attach --check`: what probes would be, without attaching them.

use std::io::{self, Write};
use std::time::Duration;

use serde::Serialize;

use super::args::{Attach, Output};
use super::attach::{counted, options, report_all, subject_pid};
use super::failure::Failure;
use super::lists::{kind, place};
use super::output::{Colours, print, tell};
use super::probes::{self, Written};
use super::{BAD_INPUT, DONE};
use crate::kernel::TrapCost;
use crate::plan::PlannedValue;
use crate::plan::placement::Stay;
use crate::session::{Catalog, Checked, CheckedSite, ProbeError, expected_trap_cost, trap_ns};
use crate::sink::json::write_object;
use crate::target::Process;
use crate::visible::Visible;

/// Runs the command.
pub(super) fn run(args: &Attach, colours: Colours) -> Result<u8, Failure> {
    let written = match probes::read(&args.probes, &args.files) {
        Ok(written) => written,
        Err(failures) => return Err(report_all(failures, colours)),
    };
    if written.is_empty() {
        return Err(Failure::new("there is no probe to check").hint(
            "name one with `-e`, as in `-e 'log main.rs:57'`, or a file of them with `-f`"
                .to_owned(),
        ));
    }
    let options = options(args);
    let (catalog, pid) = match (&args.exe, args.process()?) {
        (Some(path), _) => {
            let catalog = Catalog::of_file(path, &options.debug);
            (catalog.map_err(|error| Failure::from(&*error))?, None)
        }
        (None, Some(named)) => {
            let process = Process::open(subject_pid(named)?)?;
            let catalog = Catalog::of_process(&process, &options.debug)?;
            (catalog, Some(process.pid()))
        }
        (None, None) => {
            return Err(Failure::new("neither a process nor a file is named").hint(
                "`--pid PID` names a process, `--exe PATH` a program that need not run".to_owned(),
            ));
        }
    };
    let specs: Vec<_> = written.iter().map(|written| &written.spec).collect();
    let checked = catalog.check(pid, &specs, &options);
    let trap = expected_trap_cost();
    let json = matches!(args.output, Some(Output::Json));
    print(|out| {
        for (written, checked) in written.iter().zip(&checked) {
            match checked {
                Ok(probe) if json => write_json(out, written, probe, trap.as_ref())?,
                Ok(probe) => write_probe(out, written, probe, trap.as_ref())?,
                Err(error) if json => write_object(&mut *out, &RefusedLine::new(written, error))?,
                Err(_) => {}
            }
        }
        Ok(())
    })?;
    let mut code = DONE;
    for (Written { spec, place }, checked) in written.iter().zip(checked) {
        if let Err(error) = checked {
            code = BAD_INPUT;
            if !json {
                let failure = Failure::of_probe(error, &spec.text).at(place.as_deref());
                tell(&failure.render(colours.stderr));
            }
        }
    }
    Ok(code)
}

/// The probe's text, its sites with their values, and what the user should know.
fn write_probe(
    out: &mut impl Write,
    written: &Written,
    probe: &Checked,
    trap: Option<&TrapCost>,
) -> io::Result<()> {
    writeln!(out, "{}", Visible(written.spec.text.trim()))?;
    write!(
        out,
        "  {} in {}",
        counted(probe.sites.len(), "site"),
        Visible(&probe.module)
    )?;
    if let Some(hits) = probe.hits {
        write!(
            out,
            ", at most {}",
            counted(usize::try_from(hits).unwrap_or(usize::MAX), "event")
        )?;
    }
    match probe.rate {
        Some(rate) if rate >= 1.0 => writeln!(out, ", at most {rate:.0} events a second")?,
        Some(rate) => writeln!(
            out,
            ", at most an event every {:?}",
            Duration::from_secs_f64(1.0 / rate)
        )?,
        None => writeln!(out)?,
    }
    for note in &probe.notes {
        writeln!(out, "  note: {}", Visible(note))?;
    }
    let count = probe.sites.len();
    for (number, site) in (1..).zip(&probe.sites) {
        let CheckedSite {
            site,
            place: placed,
            values,
            ..
        } = site;
        writeln!(
            out,
            "  {}  {number} of {count}  {}  {}",
            place(&site.source),
            site.address,
            Visible(&site.function)
        )?;
        write!(out, "    {}", kind(placed.kind, trap))?;
        match placed.stays {
            None => writeln!(out, " at {}", placed.address)?,
            Some(Stay::Cheapest) => writeln!(out)?,
            Some(why) => writeln!(out, ": {why}")?,
        }
        for value in values {
            write_value(out, value)?;
        }
    }
    Ok(())
}

fn write_value(out: &mut impl Write, value: &PlannedValue) -> io::Result<()> {
    let PlannedValue {
        expr,
        ty,
        unavailable,
    } = value;
    write!(out, "      {}: {}", Visible(expr), Visible(ty))?;
    match unavailable {
        Some(why) => writeln!(out, "  unavailable: {}", Visible(&why.to_string())),
        None => writeln!(out),
    }
}

#[derive(Serialize)]
struct ProbeLine<'l> {
    r#type: &'static str,
    text: &'l str,
    module: &'l str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hits: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<f64>,
    sites: Vec<SiteLine<'l>>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    notes: &'l [String],
}

#[derive(Serialize)]
struct SiteLine<'l> {
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    function: &'l str,
    address: String,
    probed: String,
    cost: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    trap_ns: Option<u64>,
    ops: usize,
    values: Vec<ValueLine<'l>>,
}

#[derive(Serialize)]
struct ValueLine<'l> {
    expr: &'l str,
    r#type: &'l str,
    #[serde(skip_serializing_if = "Option::is_none")]
    unavailable: Option<String>,
}

#[derive(Serialize)]
struct RefusedLine<'l> {
    r#type: &'static str,
    text: &'l str,
    message: &'l str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'l str>,
    /// Bytes from the start of the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    span: Option<[usize; 2]>,
}

impl<'l> RefusedLine<'l> {
    fn new(written: &'l Written, error: &'l ProbeError) -> Self {
        Self {
            r#type: "refused",
            text: &written.spec.text,
            message: &error.message,
            hint: error.hint.as_deref(),
            span: error.span.as_ref().map(|span| [span.start, span.end]),
        }
    }
}

fn write_json(
    out: &mut impl Write,
    written: &Written,
    probe: &Checked,
    trap: Option<&TrapCost>,
) -> io::Result<()> {
    let value = |value: &'_ PlannedValue| value.unavailable.as_ref().map(ToString::to_string);
    let sites = probe.sites.iter().map(|checked| SiteLine {
        file: (!checked.site.bare).then(|| checked.site.source.file.to_string_lossy().into_owned()),
        line: (!checked.site.bare).then_some(checked.site.source.line),
        function: &checked.site.function,
        address: checked.site.address.to_string(),
        probed: checked.place.address.to_string(),
        cost: checked.place.kind.name(),
        trap_ns: trap.map(|trap| trap_ns(trap, checked.place.kind)),
        ops: checked.ops,
        values: checked
            .values
            .iter()
            .map(|planned| ValueLine {
                expr: &planned.expr,
                r#type: &planned.ty,
                unavailable: value(planned),
            })
            .collect(),
    });
    write_object(
        out,
        &ProbeLine {
            r#type: "probe",
            text: &written.spec.text,
            module: &probe.module,
            hits: probe.hits,
            rate: probe.rate,
            sites: sites.collect(),
            notes: &probe.notes,
        },
    )
}
