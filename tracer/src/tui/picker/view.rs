//! Draws the choice of processes.

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::super::glyphs::{self, Pen};
use super::super::keymap::{self, KeyCommand, Mode, hint};
use super::super::theme::Role;
use super::super::times::short_age;
use super::super::view;
use super::lister::{Matching, ProcessEntry};
use super::processes::{COLUMNS, Choice, HEAD, Order};
use super::selectors::completions;
use crate::base::diagnostic::Diagnostic;
use crate::event::counted;
use crate::target::select::Selector;

/// Columns of the numbers of a process.
const CPU: usize = 5;
const AGE: usize = 5;
const THREADS: usize = 5;

pub(super) fn draw(choice: &Choice, frame: &mut Frame<'_>) {
    let theme = choice.theme;
    let screen = frame.area();
    let buffer = frame.buffer_mut();
    let foot = foot(choice);
    let inner = view::frame(theme, buffer, screen, " Which processes? ", &foot);
    let cursor = view::search_line(theme, &choice.picker, buffer, inner, &count(choice));
    let (text, role) = remark(choice);
    let mut pen = Pen::new(buffer, inner, 2);
    let room = pen.room();
    pen.fitted(&text, room, theme.role(role));
    if let Some(selector) = choice.chosen() {
        let mut pen = Pen::new(buffer, inner, 3);
        pen.text("$ ", theme.role(Role::Dim));
        let room = pen.room();
        let wait = if selector.wait { "--wait " } else { "" };
        let command = format!("tracer attach {wait}{selector}");
        pen.fitted(&command, room, theme.role(Role::Heading));
    }
    heading(choice, &mut Pen::new(buffer, inner, HEAD - 1));
    let body = Rect {
        y: inner.y.saturating_add(HEAD),
        height: inner.height.saturating_sub(HEAD),
        ..inner
    };
    rows(choice, buffer, body);
    theme.finish(buffer);
    if screen.contains(cursor.into()) {
        frame.set_cursor_position(cursor);
    }
}

/// The keys, for the foot of the frame.
fn foot(choice: &Choice) -> String {
    let of = |hints: &[(&[KeyCommand], &str)]| keymap::foot(Mode::Picker, hints);
    let enter = |what| of(&[(&[KeyCommand::Activate], what)]);
    let complete = |what| (&[KeyCommand::Complete] as &[KeyCommand], what);
    let leave = (&[KeyCommand::Back] as &[KeyCommand], "leaves");
    match choice.typed {
        None => {
            let sort = (&[KeyCommand::Sort] as &[KeyCommand], "sorts");
            let others = of(&[complete("selectors"), sort, leave]);
            format!("{}  Space marks  {others}  ✓ has lines", enter("attaches"))
        }
        Some(_) => {
            let enters = match awaited(choice) {
                Some(_) => "waits for the first process",
                None => "attaches to these and later ones",
            };
            format!("{}  {}", enter(enters), of(&[complete("completes"), leave]))
        }
    }
}

/// The names of the columns. The one by which the list is sorted has a mark.
fn heading(choice: &Choice, pen: &mut Pen<'_>) {
    let theme = choice.theme;
    let (pid, user, name, place) = COLUMNS;
    pen.text("    ", theme.role(Role::Dim));
    for (order, text, width, right) in [
        (Order::Cpu, "CPU%", CPU, true),
        (Order::Age, "AGE", AGE, true),
        (Order::Threads, "THR", THREADS, true),
        (Order::Pid, "PID", pid - 1, true),
        (Order::DebugInfo, "", 1, false),
        (Order::User, "USER", user, false),
        (Order::Name, "NAME", name, false),
        (Order::Place, "UNIT", place, false),
    ] {
        let is_sorted = choice.order == order && order != Order::DebugInfo;
        let text = match is_sorted {
            true => format!("{text}▾"),
            false => text.to_owned(),
        };
        let text = match right {
            true => format!("{text:>width$}"),
            false => format!("{text:<width$}"),
        };
        let role = if is_sorted { Role::Accent } else { Role::Dim };
        pen.text(&text, theme.role(role));
    }
    pen.text("COMMAND", theme.role(Role::Dim));
}

/// The share of a CPU, the age, and the threads of a process.
fn numbers(entry: &ProcessEntry) -> String {
    let cpu = match entry.cpu {
        Some(share) => format!("{:.0}", share * 100.0),
        None => "-".into(),
    };
    let (age, threads) = (short_age(entry.age), entry.threads);
    format!("{cpu:>CPU$}{age:>AGE$}{threads:>THREADS$}")
}

/// At the end of the typed line: how many processes fit.
fn count(choice: &Choice) -> String {
    if !choice.loaded {
        return "reading…".into();
    }
    let (fits, all) = choice.picker.counts();
    match (&choice.typed, choice.matched()) {
        (None, _) => format!("{fits} of {all}"),
        (Some(_), Some(Ok(Matching::Now(pids)))) => format!("{} of {all}", pids.len()),
        (Some(_), Some(_)) => format!("0 of {all}"),
        (Some(_), None) => String::new(),
    }
}

/// Below the typed line: what it means, its mistake, or how it may go on.
fn remark(choice: &Choice) -> (String, Role) {
    let line = choice.picker.input.value();
    let Some(typed) = &choice.typed else {
        return match choice.marked.len() {
            0 => (
                "letters search, or name: exe: unit: cgroup: container: pod: user: pid:".into(),
                Role::Dim,
            ),
            1 => ("1 process is marked".into(), Role::Good),
            marked => (
                format!("{} are marked", counted(marked, "process")),
                Role::Good,
            ),
        };
    };
    let error = mistake(choice, typed);
    if is_begun(choice) {
        let words = completions(line, &choice.known);
        let tab = hint(Mode::Picker, KeyCommand::Complete);
        return (format!("{tab}: {}", words.join("  ")), Role::Plain);
    }
    match (error, choice.matched()) {
        (Some(error), _) => {
            // Its hint stands in the list, which is empty.
            (format!("! {}", error.message), Role::Bad)
        }
        (None, Some(Ok(Matching::Later(error)))) => {
            let enter = hint(Mode::Picker, KeyCommand::Activate);
            (format!("{}; {enter} waits", error.message), Role::Warn)
        }
        (None, Some(Ok(Matching::Now(pids)))) => {
            let more = if choice
                .selector()
                .is_some_and(|one| one.pids.is_empty() && one.pid_names.is_empty())
            {
                ", and each later one"
            } else {
                ""
            };
            let verb = if pids.len() == 1 { "matches" } else { "match" };
            let text = format!("{} {verb} now{more}", counted(pids.len(), "process"));
            (text, Role::Good)
        }
        (None, _) if choice.selector().is_some() => ("looking…".into(), Role::Dim),
        (None, _) => ("a value is missing".into(), Role::Dim),
    }
}

/// Returns true if the last word can become another one that exists, and matches nothing as it is.
fn is_begun(choice: &Choice) -> bool {
    let line = choice.picker.input.value();
    choice.typed.is_some()
        && !line.ends_with(' ')
        && !matches!(choice.matched(), Some(Ok(Matching::Now(_))))
        && !completions(line, &choice.known).is_empty()
}

/// The mistake that is shown, or the reason why a process has to be waited for.
fn shown_mistake(choice: &Choice) -> Option<&Diagnostic> {
    let typed = choice.typed.as_ref()?;
    let shown = mistake(choice, typed).or_else(|| awaited(choice));
    shown.filter(|_| !is_begun(choice))
}

/// The reason why a process has to be waited for.
fn awaited(choice: &Choice) -> Option<&Diagnostic> {
    match choice.matched() {
        Some(Ok(Matching::Later(reason))) => Some(reason),
        _ => None,
    }
}

/// A text in lines of at most `columns`, between its words.
fn lines(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let wide = glyphs::width(word, columns) + 1;
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if glyphs::width(line, columns) + wide <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Why no process is selected.
fn mistake<'c>(
    choice: &'c Choice,
    typed: &'c Result<Selector, Diagnostic>,
) -> Option<&'c Diagnostic> {
    match (typed, choice.matched()) {
        (Err(error), _) | (Ok(_), Some(Err(error))) => Some(error),
        _ => None,
    }
}

fn rows(choice: &Choice, buffer: &mut Buffer, body: Rect) {
    let theme = choice.theme;
    if let Some(hint) = shown_mistake(choice).and_then(|error| error.hint.as_ref()) {
        let lines = lines(&format!("hint: {hint}"), usize::from(body.width));
        for (row, line) in (0..body.height).zip(lines) {
            Pen::new(buffer, body, row).text(&line, theme.role(Role::Plain));
        }
        return;
    }
    let list = choice.list();
    let shown = choice.visible(usize::from(body.height));
    for (row, (index, letters)) in shown.into_iter().enumerate() {
        let Some(entry) = choice.entries.get(index) else {
            continue;
        };
        let selected = list.top + row == list.cursor;
        let base = if selected {
            theme.role(Role::Selected)
        } else {
            Style::new()
        };
        let (sign, role) = match entry.debug_info {
            Some(true) => ("✓", Role::Good),
            Some(false) => ("✗", Role::Warn),
            None => ("?", Role::Dim),
        };
        let is_marked = choice.typed.is_none() && choice.marked.contains(&entry.pid);
        let front = match (is_marked, selected) {
            (true, _) => "● ",
            (false, true) => "› ",
            (false, false) => "  ",
        };
        let mut pen = Pen::new(buffer, body, row as u16);
        pen.text(front, base)
            .text(sign, theme.role(role).patch(base))
            .text(" ", base)
            .text(&numbers(entry), base);
        view::found_text(&mut pen, choice.picker.text(index), &letters, theme, base);
        pen.fill(' ', base);
    }
}
