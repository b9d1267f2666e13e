//! `tracer lines`, `vars`, `funcs`: list the things to probe in a process or a file.

mod usdt;

use std::io::{self, Write};
use std::time::Duration;

use super::args::{DebugArgs, Funcs, Lines, Subject, Vars};
use super::failure::CommandFailure;
use super::output::{print, say, tell};
use super::subject::subject_pid;
use crate::base::visible::Visible;
use crate::debuginfo::FunctionInfo;
use crate::debuginfo::names::short_generics;
use crate::debuginfo::site::{InlinedInto, Site, SourceLine};
use crate::kernel::TrapCost;
use crate::lang::parse_location;
use crate::placement::{SiteKind, StayReason};
use crate::session::{
    Catalog, LineInfo, LocatedSites, OutlineEntry, SiteCost, SourceFile, VariableInfo,
    expected_trap_cost, trap_ns,
};
use crate::sink::json::listed::{FileLine, FunctionLine, LineLine, SiteLine, SiteNumber};
use crate::sink::json::write_object;
use crate::target::Process;

/// Width of a name's column. Text after a longer name starts at the next tab stop.
const NAME_WIDTH: usize = 24;

/// The catalog of a process or a file.
fn catalog(subject: &Subject, debug: &DebugArgs) -> Result<Catalog, CommandFailure> {
    let options = debug.options();
    match (&subject.pid, &subject.exe) {
        (Some(named), _) => {
            let process = Process::open(subject_pid(named)?)?;
            Ok(Catalog::of_process(&process, &options)?)
        }
        (None, Some(path)) => {
            Catalog::of_file(path, &options).map_err(|error| CommandFailure::from(&*error))
        }
        // clap requires one of them.
        (None, None) => Err(CommandFailure::new("the process or file is missing")),
    }
}

/// Front of the location of a USDT probe.
const USDT: &str = "usdt:";

/// `tracer lines`.
pub(super) fn lines(args: &Lines) -> Result<u8, CommandFailure> {
    let catalog = catalog(&args.subject, &args.debug)?;
    if args.locations.is_empty() {
        let mut files = catalog.source_files()?;
        tell_refusals(&catalog);
        let left_out = match args.all || args.json {
            true => 0,
            false => keep_own(&mut files, |file| file.own),
        };
        let code = print(|out| {
            files
                .iter()
                .try_for_each(|file| write_file(out, file, args.json))
        });
        if left_out > 0 {
            say!(
                "{left_out} more files, of libraries, packages and the compiler: `--all` lists them"
            );
        }
        return code;
    }
    let mut code = super::DONE;
    for typed in &args.locations {
        code = code.max(lines_of(&catalog, typed, args.json)?);
    }
    Ok(code)
}

/// The lines of a file, or the sites of a line.
fn lines_of(catalog: &Catalog, typed: &str, json: bool) -> Result<u8, CommandFailure> {
    if has_line(typed) {
        let located = locate(catalog, typed)?;
        let costs: Vec<_> = located
            .sites
            .iter()
            .map(|site| catalog.cost(&located.module, site))
            .collect();
        let trap = expected_trap_cost();
        return print(|out| write_sites(out, &located, &costs, trap.as_ref(), json));
    }
    let file = catalog.find_file(typed)?;
    let lines = catalog.lines(&file)?;
    let text = catalog.source_text(&file).unwrap_or_else(|error| {
        say!("note: {}", Visible(&error.message));
        if let Some(hint) = error.hint {
            say!("  hint: {hint}");
        }
        None
    });
    let (text, elsewhere) = match text {
        Some(source) => (source.text, source.elsewhere),
        None => Default::default(),
    };
    if let Some(place) = elsewhere {
        say!("note: the source is {}", Visible(&place.to_string_lossy()));
    }
    let outline = match text.is_empty() {
        true => catalog.outline(&file),
        false => Vec::new(),
    };
    print(|out| {
        if json {
            return write_line_objects(out, &file, &lines);
        }
        writeln!(out, "{}", Visible(&file.path.to_string_lossy()))?;
        match text.is_empty() {
            true => write_outline(out, &lines, &outline),
            false => write_lines(out, &lines, &text),
        }
    })
}

/// Reports that the list lacks the program itself, or the libraries that it lacks.
fn tell_refusals(catalog: &Catalog) {
    if let Some((why, hint)) = catalog.program_without_debug_info() {
        tell(&format!(
            "note: {}: its own lines and variables are not known\n",
            Visible(&why)
        ));
        if let Some(hint) = hint {
            tell(&format!("  hint: {}\n", Visible(&hint)));
        }
    }
    for refusal in catalog.refusals() {
        tell(&format!("note: {}\n", Visible(&refusal)));
    }
}

/// `FILE:LINE` or a USDT probe, and not a file alone.
fn has_line(typed: &str) -> bool {
    if typed
        .rsplit('!')
        .next()
        .is_some_and(|last| last.starts_with(USDT))
    {
        return true;
    }
    typed.rsplit_once(':').is_some_and(|(_, line)| {
        !line.is_empty() && line.chars().all(|digit| digit.is_ascii_digit())
    })
}

fn locate(catalog: &Catalog, typed: &str) -> Result<LocatedSites, CommandFailure> {
    let location = parse_location(typed).map_err(|error| CommandFailure::of_text(error, typed))?;
    catalog
        .locate(&location)
        .map_err(|error| CommandFailure::of_text(error, typed))
}

/// `tracer vars`.
pub(super) fn vars(args: &Vars) -> Result<u8, CommandFailure> {
    let catalog = catalog(&args.subject, &args.debug)?;
    let located = locate(&catalog, &args.location)?;
    let variables = located
        .sites
        .iter()
        .map(|site| catalog.variables(&located.module, site))
        .collect::<Result<Vec<_>, _>>()?;
    print(|out| {
        for note in located.notes.iter().filter(|_| !args.json) {
            writeln!(out, "{}", Visible(note))?;
        }
        let count = located.sites.len();
        for (index, (site, variables)) in located.sites.iter().zip(&variables).enumerate() {
            let number = SiteNumber::new(index, count);
            if args.json {
                write_object(
                    &mut *out,
                    &SiteLine::new(site, number, &located, Some(variables)),
                )?;
            } else {
                write_site(out, site, number)?;
                write_variables(out, variables)?;
            }
        }
        Ok(())
    })
}

/// `tracer funcs`.
pub(super) fn funcs(args: &Funcs) -> Result<u8, CommandFailure> {
    let catalog = catalog(&args.subject, &args.debug)?;
    let mut probes = catalog.usdt_probes(args.pattern.as_deref());
    let of_usdt = args
        .pattern
        .as_ref()
        .filter(|pattern| pattern.starts_with(USDT));
    if let Some(pattern) = of_usdt {
        return match probes.is_empty() {
            false => print(|out| usdt::write(out, &probes, args.json)),
            true => Err(
                CommandFailure::new(format!("no USDT probe has `{pattern}` in its name"))
                    .hint("`tracer funcs usdt:` lists all of them".to_owned()),
            ),
        };
    }
    let mut functions = match catalog.functions(args.pattern.as_deref()) {
        // Programs without debug information have these probes.
        Err(_) if !probes.is_empty() => Vec::new(),
        functions => functions?,
    };
    tell_refusals(&catalog);
    if let (true, Some(pattern)) = (functions.is_empty() && probes.is_empty(), &args.pattern) {
        let near = catalog.near_functions(pattern);
        let near: Vec<String> = near.iter().map(|name| format!("`{name}`")).collect();
        let hint = (!near.is_empty()).then(|| format!("did you mean {}?", near.join(" or ")));
        return Err(CommandFailure::new(format!("no function `{pattern}`")).hint(hint));
    }
    let left_out = match args.all || args.json {
        true => 0,
        false => {
            keep_own(&mut probes, |probe| probe.own);
            keep_own(&mut functions, |function| function.own)
        }
    };
    let code = print(|out| {
        usdt::write(out, &probes, args.json)?;
        functions.iter().try_for_each(|function| {
            if args.json {
                write_object(&mut *out, &FunctionLine::from(function))
            } else {
                write_function(out, &function.info, args.full_names)
            }
        })
    });
    if left_out > 0 {
        say!(
            "{left_out} more functions, of libraries, packages and the compiler: `--all` lists them"
        );
    }
    code
}

/// Keeps only the program's own entries of a list, if there are any. Returns the number removed.
fn keep_own<T>(all: &mut Vec<T>, is_own: impl Fn(&T) -> bool) -> usize {
    let before = all.len();
    if all.iter().any(&is_own) {
        all.retain(is_own);
    }
    before - all.len()
}

fn write_file(out: &mut impl Write, file: &SourceFile, json: bool) -> io::Result<()> {
    let path = file.path.to_string_lossy();
    if json {
        return write_object(out, &FileLine::from(file));
    }
    let absent = if file.on_disk { "" } else { "  (not on disk)" };
    writeln!(out, "{}{absent}", Visible(&path))
}

fn write_line_objects(
    out: &mut impl Write,
    file: &SourceFile,
    lines: &[LineInfo],
) -> io::Result<()> {
    let line = |line| write_object(&mut *out, &LineLine::new(file, line));
    lines.iter().try_for_each(line)
}

/// The lines with their text.
fn write_lines(out: &mut impl Write, lines: &[LineInfo], text: &str) -> io::Result<()> {
    let mut source = (1..).zip(text.lines()).peekable();
    lines.iter().try_for_each(|line| {
        let mut shown = "";
        while let Some((_, text)) = source.next_if(|(number, _)| *number <= line.line) {
            shown = text;
        }
        write_line(out, line, &shown.replace('\t', "    "))
    })
}

/// Writes the lines of a file whose text is missing. The first line of each function has its name.
fn write_outline(
    out: &mut impl Write,
    lines: &[LineInfo],
    outline: &[OutlineEntry],
) -> io::Result<()> {
    let mut functions = outline.iter().peekable();
    lines.iter().try_for_each(|line| {
        let mut shown = String::new();
        while let Some(entry) = functions.next_if(|entry| entry.line <= line.line) {
            shown = format!(
                "in {}, line {}",
                short_generics(&entry.function),
                entry.line
            );
        }
        write_line(out, line, &shown)
    })
}

fn write_line(out: &mut impl Write, line: &LineInfo, shown: &str) -> io::Result<()> {
    let plural = if line.sites == 1 { " " } else { "s" };
    let sites = format!("{} site{plural}", line.sites);
    let row = format!("{:>6}  {sites:<9}  {}", line.line, Visible(shown));
    writeln!(out, "{}", row.trim_end())
}

fn write_sites(
    out: &mut impl Write,
    located: &LocatedSites,
    costs: &[Option<SiteCost>],
    trap: Option<&TrapCost>,
    json: bool,
) -> io::Result<()> {
    let count = located.sites.len();
    for note in located.notes.iter().filter(|_| !json) {
        writeln!(out, "{}", Visible(note))?;
    }
    for (index, (site, cost)) in located.sites.iter().zip(costs).enumerate() {
        let number = SiteNumber::new(index, count);
        if json {
            let mut line = SiteLine::new(site, number, located, None);
            line.set_cost(cost.as_ref(), trap);
            write_object(&mut *out, &line)?;
        } else {
            write_site(out, site, number)?;
            if let Some(cost) = cost {
                write_cost(out, cost, trap)?;
            }
        }
    }
    Ok(())
}

/// `main.rs:57  1 of 2  0x1234  app::twice, inlined into app::main at main.rs:80`
fn write_site(
    out: &mut impl Write,
    site: &Site,
    SiteNumber { number, count }: SiteNumber,
) -> io::Result<()> {
    write!(
        out,
        "{}  {number} of {count}  {}  {}",
        place(site.source.as_ref()),
        site.address,
        Visible(&site.function)
    )?;
    for InlinedInto { function, call } in &site.inlined_into {
        write!(out, ", inlined into {}", Visible(function))?;
        if let Some(call) = call {
            write!(out, " at {}", place(Some(call)))?;
        }
    }
    writeln!(out)
}

/// Writes the cost of a hit there to the kernel, and the place of a cheaper one.
fn write_cost(out: &mut impl Write, cost: &SiteCost, trap: Option<&TrapCost>) -> io::Result<()> {
    if let Some(obstacle) = &cost.obstacle {
        let obstacle = Visible(obstacle);
        return match cost.cheapest {
            Some((place, at)) => {
                writeln!(out, "    {} at {place}, since {obstacle}", kind(at, trap))
            }
            None => writeln!(out, "    no probe: {obstacle}"),
        };
    }
    write!(out, "    {}", kind(cost.first, trap))?;
    match (cost.cheapest, cost.stays) {
        (Some((place, at)), _) => writeln!(out, ", {} at {place} at best", kind(at, trap)),
        (None, Some(StayReason::Cheapest) | None) => writeln!(out),
        (None, Some(why)) => writeln!(out, ": {why}"),
    }
}

/// `one trap (450ns)`: the kind of an instruction to the kernel, and its cost on this machine.
pub(super) fn kind(kind: SiteKind, trap: Option<&TrapCost>) -> String {
    let name = kind.name();
    match trap.map(|trap| trap_ns(trap, kind)) {
        Some(ns) => format!("{name} ({:?})", Duration::from_nanos(ns)),
        None => name.to_owned(),
    }
}

pub(super) fn place(source: Option<&SourceLine>) -> String {
    let named = source.and_then(|source| Some((source.file.file_name()?, source.line)));
    match named {
        Some((name, line)) => format!("{}:{line}", Visible(&name.to_string_lossy())),
        None => "(no line)".to_owned(),
    }
}

fn write_variables(out: &mut impl Write, variables: &[VariableInfo]) -> io::Result<()> {
    if variables.is_empty() {
        return writeln!(out, "    no variables in scope");
    }
    let width = |of: fn(&VariableInfo) -> &str| {
        let longest = variables.iter().map(|one| of(one).chars().count()).max();
        longest.unwrap_or(0).min(NAME_WIDTH)
    };
    let (names, types) = (width(|one| &one.name), width(|one| &one.ty));
    for variable in variables {
        let place = match &variable.unavailable {
            None => variable.place.clone(),
            Some(why) => format!("unavailable: {why}"),
        };
        writeln!(
            out,
            "    {:<names$}  {:<types$}  {:<9}  {}",
            Visible(&variable.name).to_string(),
            Visible(&variable.ty).to_string(),
            variable.kind,
            Visible(&place)
        )?;
    }
    Ok(())
}

fn write_function(out: &mut impl Write, function: &FunctionInfo, full: bool) -> io::Result<()> {
    if full {
        write!(out, "{}", Visible(&function.name))?;
    } else {
        write!(out, "{}", Visible(&short_generics(&function.name)))?;
    }
    if let Some(declared) = &function.declared {
        let file = declared.file.to_string_lossy();
        write!(out, "  {}:{}", Visible(&file), declared.line)?;
    }
    match function.addresses.as_slice() {
        [] => {}
        [address] => write!(out, "  {address}")?,
        several => write!(out, "  {} instances", several.len())?,
    }
    match function.inlined.len() {
        0 => {}
        1 => write!(out, "  1 inlined copy")?,
        count => write!(out, "  {count} inlined copies")?,
    }
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_line_is_a_colon_and_digits() {
        assert!(has_line("main.rs:57"));
        assert!(has_line("libfoo.so!src/a.c:1"));
        for typed in ["main.rs", "main.rs:", "std::vec", "main.rs:x1"] {
            assert!(!has_line(typed), "{typed}");
        }
    }
}
