//! `tracer attach --check`: shows probes without attaching them.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::time::Duration;

use super::args::{Attach, Output};
use super::failure::CommandFailure;
use super::lists::{kind, place};
use super::output::{Colours, print, tell};
use super::probes::{self, WrittenProbe};
use super::subject::{matched, options, report_all, selector};
use super::{BAD_INPUT, DONE};
use crate::base::visible::Visible;
use crate::event::counted;
use crate::kernel::TrapCost;
use crate::placement::StayReason;
use crate::plan::PlannedValue;
use crate::session::{Catalog, Checked, CheckedSite, SessionOptions, expected_trap_cost};
use crate::sink::json::listed::{CheckedProbeLine, RefusedLine};
use crate::sink::json::write_object;
use crate::target::Process;
use crate::target::select::Selector;

/// Runs the command.
pub(super) fn run(args: &Attach, colours: Colours) -> Result<u8, CommandFailure> {
    let written = match probes::read(&args.trace.probes, &args.trace.files) {
        Ok(written) => written,
        Err(failures) => return Err(report_all(failures, colours)),
    };
    let selector = selector(args, &written.target)?;
    let written = written.probes;
    if written.is_empty() {
        return Err(CommandFailure::new("there is no probe to check").hint(
            "pass one with `-e`, as in `-e 'log main.rs:57'`, or a file with `-f`".to_owned(),
        ));
    }
    let options = options(&args.trace);
    let (catalog, pid) = subject(&selector, &options)?;
    let specs: Vec<_> = written.iter().map(|written| &written.spec).collect();
    let checked = catalog.check(pid, &specs, &options);
    let trap = expected_trap_cost();
    let json = matches!(args.trace.output, Some(Output::Json));
    print(|out| {
        for (written, checked) in written.iter().zip(&checked) {
            match checked {
                Ok(probe) if json => {
                    write_object(
                        &mut *out,
                        &CheckedProbeLine::new(&written.spec, probe, trap.as_ref()),
                    )?;
                }
                Ok(probe) => write_probe(out, written, probe, trap.as_ref())?,
                Err(error) if json => {
                    write_object(&mut *out, &RefusedLine::new(&written.spec.text, error))?
                }
                Err(_) => {}
            }
        }
        Ok(())
    })?;
    let mut code = DONE;
    for (WrittenProbe { spec, place }, checked) in written.iter().zip(checked) {
        if let Err(error) = checked {
            code = BAD_INPUT;
            if !json {
                let failure = CommandFailure::of_text(error, &spec.text).at(place.as_deref());
                tell(&failure.render(colours.stderr));
            }
        }
    }
    Ok(code)
}

/// The program to check, and a process that runs it.
fn subject(
    selector: &Selector,
    options: &SessionOptions,
) -> Result<(Catalog, Option<u32>), CommandFailure> {
    if selector.is_empty() {
        return Err(CommandFailure::new("the process or file is missing").hint(
            "pass `--pid PID` for a process, or `--exe PATH` for a program that need not run"
                .to_owned(),
        ));
    }
    if let [path] = selector.exes.as_slice()
        && selector.is_one_exe()
    {
        let catalog = Catalog::of_file(path, &options.debug);
        return Ok((
            catalog.map_err(|error| CommandFailure::from(&*error))?,
            None,
        ));
    }
    let selection = selector.resolve()?;
    let found = matched(&selection)?;
    let programs: BTreeSet<_> = found.iter().map(|one| one.executable.inode).collect();
    let Some(first) = found.first().filter(|_| programs.len() == 1) else {
        let report = selection.report(&found);
        let count = programs.len();
        return Err(
            CommandFailure::new(format!("{report} run {count} programs")).hint(
                "`--check` looks at one program; `--check --exe PATH` needs no process".to_owned(),
            ),
        );
    };
    let process = Process::open(first.pid)?;
    let catalog = Catalog::of_process(&process, &options.debug)?;
    Ok((catalog, Some(process.pid())))
}

/// Writes a probe's text, its sites with their values, and the notes for the user.
fn write_probe(
    out: &mut impl Write,
    written: &WrittenProbe,
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
    let each = match written.spec.options.per_process {
        true => " per process",
        false => "",
    };
    if let Some(hits) = probe.hits {
        let hits = counted(hits, "event");
        write!(out, ", at most {hits}{each}")?;
    }
    match probe.rate {
        Some(rate) if rate >= 1.0 => writeln!(out, ", at most {rate:.0} events a second{each}")?,
        Some(rate) => writeln!(
            out,
            ", at most one event every {:?}{each}",
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
            place(site.source.as_ref()),
            site.address,
            Visible(&site.function)
        )?;
        write!(out, "    {}", kind(placed.kind, trap))?;
        match placed.stays {
            None => writeln!(out, " at {}", placed.address)?,
            Some(StayReason::Cheapest) => writeln!(out)?,
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
