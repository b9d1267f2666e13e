//! The choice of a process, when none was named.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use crossterm::event::{self, Event as TerminalEvent, KeyEventKind};
use ratatui::Frame;
use ratatui::layout::{Rect, Size};
use ratatui::style::Style;

use super::super::action::UiAction;
use super::super::glyphs::Pen;
use super::super::keymap::{self, KeyCommand, Mode};
use super::super::run::{FRAME, mouse_action};
use super::super::terminal::{Screen, TerminalSignals};
use super::super::theme::{Role, Theme};
use super::super::view;
use super::super::{Error, UiOptions};
use super::fuzzy::Picker;

/// Interval at which the list is made again.
const REFRESH: Duration = Duration::from_secs(2);
/// Two clicks on one row within this time take it.
const DOUBLE_CLICK: Duration = Duration::from_millis(400);
/// Columns before the command: number, user, name.
const COLUMNS: (usize, usize, usize) = (8, 9, 16);

/// A process that could be the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessEntry {
    /// Its number.
    pub pid: u32,
    /// Short name.
    pub name: String,
    /// Command line.
    pub command: String,
    /// Name of the user who runs it.
    pub user: String,
    /// True if its executable has debug information. `None` if that was not checked.
    pub debug_info: Option<bool>,
}

/// The list and the choice.
#[derive(Debug)]
struct Choice {
    theme: Theme,
    size: Size,
    entries: Vec<ProcessEntry>,
    loaded: bool,
    picker: Picker,
    clicked: Option<(Instant, u16)>,
    /// `Some(None)`: left without a choice.
    done: Option<Option<u32>>,
}

pub(in crate::tui) fn pick(
    list: impl FnMut() -> Vec<ProcessEntry> + Send + 'static,
    options: &UiOptions,
) -> Result<Option<u32>, Error> {
    let mut screen = Screen::open(options.mouse)?;
    let signals = TerminalSignals::listen()?;
    let (lists, _stop) = refresher(list)?;
    let mut choice = Choice::new(Theme::new(options.colours), screen.size()?);
    let mut dirty = true;
    loop {
        if dirty {
            screen.draw(|frame| choice.draw(frame))?;
        }
        dirty = event::poll(FRAME)?;
        if dirty {
            let event = event::read()?;
            if matches!(event, TerminalEvent::Resize(..)) {
                screen.forget()?;
            }
            choice.input(event, Instant::now());
        }
        if let Some(entries) = lists.try_iter().last() {
            choice.set_entries(entries);
            dirty = true;
        }
        if screen.is_lost() {
            return Err(Error::Thread);
        }
        if signals.take().is_some() {
            return Ok(None);
        }
        if let Some(chosen) = choice.done {
            return Ok(chosen);
        }
    }
}

/// Makes the list again and again, until the sender that is returned is dropped.
fn refresher(
    mut list: impl FnMut() -> Vec<ProcessEntry> + Send + 'static,
) -> Result<(Receiver<Vec<ProcessEntry>>, Sender<()>), Error> {
    let (sender, lists) = channel();
    let (stop, stopped) = channel::<()>();
    thread::Builder::new()
        .name("tui-processes".into())
        .spawn(move || {
            while sender.send(list()).is_ok() {
                if stopped.recv_timeout(REFRESH) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        })?;
    Ok((lists, stop))
}

impl Choice {
    fn new(theme: Theme, size: Size) -> Self {
        let (entries, picker) = (Vec::new(), Picker::default());
        Self {
            theme,
            size,
            entries,
            loaded: false,
            picker,
            clicked: None,
            done: None,
        }
    }

    fn set_entries(&mut self, entries: Vec<ProcessEntry>) {
        let (pid, user, name) = COLUMNS;
        let text = |entry: &ProcessEntry| {
            let (who, what) = (cut(&entry.user, user - 1), cut(&entry.name, name - 1));
            format!(
                "{:>width$} {who:<user$}{what:<name$}{}",
                entry.pid,
                entry.command,
                width = pid - 1
            )
        };
        self.picker.set_texts(entries.iter().map(text).collect());
        self.entries = entries;
        self.loaded = true;
        self.settle();
    }

    fn input(&mut self, event: TerminalEvent, now: Instant) {
        match event {
            TerminalEvent::Key(key) if key.kind != KeyEventKind::Release => {
                match keymap::command(Mode::Picker, key) {
                    Some(command) => self.command(command),
                    None => self.picker.type_key(key),
                }
            }
            TerminalEvent::Paste(text) => self.picker.type_text(&text),
            TerminalEvent::Resize(width, height) => self.size = Size::new(width, height),
            TerminalEvent::Mouse(mouse) => match mouse_action(mouse) {
                Some(UiAction::Scroll { lines, .. }) => self.picker.list.step(lines),
                Some(UiAction::Click { y, .. }) => self.click(y, now),
                _ => {}
            },
            _ => {}
        }
        self.picker.search();
        self.settle();
    }

    fn command(&mut self, command: KeyCommand) {
        let page = isize::try_from(self.rows()).unwrap_or(1).max(1);
        match command {
            KeyCommand::Up => self.picker.list.step(-1),
            KeyCommand::Down => self.picker.list.step(1),
            KeyCommand::PageUp => self.picker.list.step(-page),
            KeyCommand::PageDown => self.picker.list.step(page),
            KeyCommand::Activate => {
                let chosen = self
                    .picker
                    .selected()
                    .and_then(|index| self.entries.get(index));
                self.done = chosen.map(|entry| Some(entry.pid));
            }
            KeyCommand::Back | KeyCommand::Quit => self.done = Some(None),
            _ => {}
        }
    }

    fn click(&mut self, y: u16, now: Instant) {
        let Some(row) = usize::from(y).checked_sub(4) else {
            return;
        };
        if row >= self.rows() || self.picker.list.top + row >= self.picker.counts().0 {
            return;
        }
        let double = self.clicked.is_some_and(|(then, at)| {
            at == y && now.saturating_duration_since(then) < DOUBLE_CLICK
        });
        self.clicked = Some((now, y));
        self.picker.list.cursor = self.picker.list.top + row;
        if double {
            self.command(KeyCommand::Activate);
        }
    }

    fn rows(&self) -> usize {
        usize::from(self.size.height).saturating_sub(5)
    }

    fn settle(&mut self) {
        let (fits, rows) = (self.picker.counts().0, self.rows());
        self.picker.list.settle(fits, rows);
    }

    fn draw(&self, frame: &mut Frame<'_>) {
        let theme = self.theme;
        let screen = frame.area();
        let buffer = frame.buffer_mut();
        let foot = "Enter attaches  ↑↓ choose  Esc leaves  ✓ debug information  ✗ none";
        let inner = view::frame(theme, buffer, screen, " Which process? ", foot);
        let cursor = view::search_line(theme, &self.picker, buffer, inner, !self.loaded);
        let (pid, user, name) = COLUMNS;
        let heading = format!(
            "    {:>width$} {:<user$}{:<name$}{}",
            "PID",
            "USER",
            "NAME",
            "COMMAND",
            width = pid - 1
        );
        Pen::new(buffer, inner, 2).text(&heading, theme.role(Role::Dim));
        let body = Rect {
            y: inner.y.saturating_add(3),
            height: inner.height.saturating_sub(3),
            ..inner
        };
        for (row, (index, letters)) in self
            .picker
            .visible(usize::from(body.height))
            .into_iter()
            .enumerate()
        {
            let Some(entry) = self.entries.get(index) else {
                continue;
            };
            let selected = self.picker.list.top + row == self.picker.list.cursor;
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
            let mut pen = Pen::new(buffer, body, row as u16);
            pen.text(if selected { "› " } else { "  " }, base)
                .text(sign, theme.role(role).patch(base))
                .text(" ", base);
            view::found_text(&mut pen, self.picker.text(index), &letters, theme, base);
            pen.fill(' ', base);
        }
        if screen.contains(cursor.into()) {
            frame.set_cursor_position(cursor);
        }
    }
}

fn cut(text: &str, chars: usize) -> String {
    text.chars().take(chars).collect()
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
    use proptest::prelude::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;

    fn entries() -> Vec<ProcessEntry> {
        let entry = |pid, name: &str, command: &str, debug_info| ProcessEntry {
            pid,
            name: name.into(),
            command: command.into(),
            user: "dev".into(),
            debug_info,
        };
        vec![
            entry(1, "init", "/sbin/init", Some(false)),
            entry(4242, "target-app", "./target-app --seconds 60", Some(true)),
            entry(99, "ev\x1b[31mil", "日本語 \u{202e}evil", None),
        ]
    }

    fn choice(size: (u16, u16)) -> Choice {
        let mut choice = Choice::new(Theme::new(true), size.into());
        choice.set_entries(entries());
        choice
    }

    fn press(choice: &mut Choice, code: KeyCode) {
        choice.input(
            TerminalEvent::Key(KeyEvent::new(code, KeyModifiers::NONE)),
            Instant::now(),
        );
    }

    fn draw(choice: &Choice) -> Terminal<TestBackend> {
        let mut terminal =
            Terminal::new(TestBackend::new(choice.size.width, choice.size.height)).unwrap();
        terminal.draw(|frame| choice.draw(frame)).unwrap();
        terminal
    }

    #[test]
    fn letters_and_enter_choose_the_process() {
        let mut choice = choice((80, 24));
        for c in "target".chars() {
            press(&mut choice, KeyCode::Char(c));
        }
        press(&mut choice, KeyCode::Enter);
        assert_eq!(choice.done, Some(Some(4242)));
    }

    #[test]
    fn enter_without_a_match_does_nothing_and_escape_leaves() {
        let mut choice = choice((80, 24));
        for c in "nothing has this".chars() {
            press(&mut choice, KeyCode::Char(c));
        }
        press(&mut choice, KeyCode::Enter);
        assert_eq!(choice.done, None);
        press(&mut choice, KeyCode::Esc);
        assert_eq!(choice.done, Some(None));
    }

    #[test]
    fn screen_at_80x24_shows_hostile_names_as_visible_forms() {
        insta::assert_snapshot!(draw(&choice((80, 12))).backend());
    }

    proptest! {
        #[test]
        fn draw_at_any_size_does_not_panic(width in 1u16..120, height in 1u16..40, downs in 0usize..5) {
            let mut choice = choice((width, height));
            (0..downs).for_each(|_| press(&mut choice, KeyCode::Down));
            draw(&choice);
        }
    }
}
