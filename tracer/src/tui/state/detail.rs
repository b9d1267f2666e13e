//! An event in full: its tabs, their folded parts, and search.

use std::sync::Arc;

use ratatui::layout::Size;
use tui_input::Input;

use super::super::action::{Pane, UiEffect};
use super::super::keymap::{self, KeyCommand, Mode};
use super::super::list::List;
use super::super::tree::{self, Fold, LaidTree, NodeId, Row, RowKind, SourcePlace, TreeLook};
use super::{Overlay, UiState, overlay_area};
use crate::event::{Event, NamedValue};
use crate::sink::json;
use crate::sources::is_own_source;

/// Rows above the tree: the origin of the event, and the tabs.
pub(in crate::tui) const HEAD: u16 = 3;
/// Characters of a text to search for.
const SEARCHED: usize = 256;

/// A view of an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::tui) enum Tab {
    /// Message and values.
    #[default]
    Values,
    /// The call stack, with the variables of the callers.
    Stack,
    /// The JSON of the output.
    Raw,
}

impl Tab {
    /// In their order on the screen.
    pub(in crate::tui) const ALL: [Self; 3] = [Self::Values, Self::Stack, Self::Raw];

    /// Its name.
    pub(in crate::tui) fn name(self) -> &'static str {
        match self {
            Self::Values => "Values",
            Self::Stack => "Stack",
            Self::Raw => "Raw",
        }
    }

    fn next(self, back: bool) -> Self {
        match (self, back) {
            (Self::Values, false) | (Self::Raw, true) => Self::Stack,
            (Self::Stack, false) | (Self::Values, true) => Self::Raw,
            (Self::Raw, false) | (Self::Stack, true) => Self::Values,
        }
    }
}

/// The way in which an event is looked at.
#[derive(Clone, Debug, Default)]
pub(in crate::tui) struct EventLook {
    /// The tab.
    pub(in crate::tui) tab: Tab,
    /// Numbers and bytes are hexadecimal.
    pub(in crate::tui) hex: bool,
    /// Types are shown in full.
    pub(in crate::tui) full_types: bool,
    /// Selected and first row.
    pub(in crate::tui) list: List,
    /// The text that was searched for last.
    pub(in crate::tui) needle: String,
}

/// Says which event it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tui) enum EventIdentity {
    /// The event of this number in the recording. The list gets other numbers with each window that is read.
    Recorded(u64),
    /// The event of this number in the list.
    Listed(u64),
}

/// An event in full.
#[derive(Debug)]
pub(in crate::tui) struct Detail {
    /// Its number in the list.
    pub(in crate::tui) number: u64,
    /// The event's identity.
    pub(in crate::tui) identity: EventIdentity,
    /// The event.
    pub(in crate::tui) event: Arc<Event>,
    /// The event before it of the same probe.
    before: Option<Arc<Event>>,
    /// For each frame of its stack: it is in the program's own code.
    own: Vec<bool>,
    /// The way in which it is looked at.
    pub(in crate::tui) look: EventLook,
    /// The text that is being typed to search for.
    pub(in crate::tui) search: Option<Input>,
    /// The rows of the tab.
    pub(in crate::tui) rows: Vec<Row>,
    /// Parts that are folded.
    pub(in crate::tui) hidden: usize,
}

/// The event that was closed last, and the way in which it was looked at.
#[derive(Debug)]
pub(super) struct LeftDetail {
    identity: EventIdentity,
    look: EventLook,
}

/// Columns and rows of an event's tree.
fn tree_size(size: Size) -> Size {
    let area = overlay_area::event_area(size);
    Size {
        width: area.width.saturating_sub(4),
        height: area.height.saturating_sub(2 + HEAD),
    }
}

impl Detail {
    /// The rows of the tab, with their contents.
    pub(super) fn lay_out(&self, folds: &tree::Folds, size: Size, all: bool) -> LaidTree<'_> {
        let size = tree_size(size);
        let look = TreeLook {
            columns: usize::from(size.width),
            rows: usize::from(size.height),
            hex: self.look.hex,
            full_types: self.look.full_types,
            all,
            folds,
            own: &self.own,
        };
        let before = self.before.as_deref();
        match self.look.tab {
            Tab::Values => tree::values(&self.event, before, look),
            Tab::Stack => tree::stack(&self.event, before, look),
            Tab::Raw => tree::raw(&json::event_line(&self.event), look),
        }
    }

    /// The selected row.
    fn row(&self) -> Option<&Row> {
        self.rows.get(self.look.list.cursor)
    }

    /// The row of the part that a row is in: the next one above that is less deep.
    fn outer(&self, row: usize) -> Option<usize> {
        outer(&self.rows, row)
    }

    /// The rows of the parts around a row, innermost first.
    fn path(&self, row: usize) -> Vec<usize> {
        std::iter::successors(Some(row), |row| self.outer(*row)).collect()
    }

    /// The selected value as an expression, such as `order.items[2]`. `None` if the row is of something else, or of a
    /// part that has no such name.
    pub(super) fn expr(&self) -> Option<String> {
        let is_value = |row: &Row| matches!(row.kind, RowKind::Value) && !row.is_key;
        let path = self.path(self.look.list.cursor);
        let rows = path.iter().filter_map(|row| self.rows.get(*row));
        let mut rows: Vec<&Row> = rows.take_while(|row| is_value(row)).collect();
        let root = rows.pop()?;
        let mut expr = match self.look.tab {
            Tab::Raw => return None,
            _ => root.label.clone(),
        };
        let is_variable = |named: &NamedValue| *named.expr == *expr;
        let frames = self.event.stack.frames.iter();
        let mut all = self
            .event
            .values
            .iter()
            .chain(frames.flat_map(|frame| &frame.values));
        if !all.any(is_variable) || expr.starts_with('$') {
            return None;
        }
        for part in rows.iter().rev() {
            let label = part.label.trim();
            let is_index = !label.is_empty() && label.chars().all(|c| c.is_ascii_digit());
            let is_name =
                label.chars().all(|c| c.is_alphanumeric() || c == '_') && !label.is_empty();
            match (is_index, is_name) {
                (true, _) => expr.push_str(&format!("[{label}]")),
                (_, true) => expr.push_str(&format!(".{label}")),
                _ => return None,
            }
        }
        Some(expr)
    }

    /// The place in the source of the selected frame, or of the event.
    pub(super) fn place(&self) -> SourcePlace {
        let path = self.path(self.look.list.cursor);
        let mut places = path
            .iter()
            .filter_map(|row| self.rows.get(*row)?.place.clone());
        let of_frame = places.next().filter(|_| self.look.tab == Tab::Stack);
        of_frame.unwrap_or_else(|| SourcePlace {
            file: Arc::clone(&self.event.origin.file),
            line: self.event.origin.line,
        })
    }
}

fn outer(rows: &[Row], row: usize) -> Option<usize> {
    let depth = rows.get(row)?.depth;
    rows.get(..row)?
        .iter()
        .rposition(|outer| outer.depth < depth)
}

/// The rows in which a text occurs. Pieces of one text are searched as one.
fn matches(rows: &[Row], needle: &str) -> Vec<usize> {
    let needle = needle.to_ascii_lowercase();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(row) = rows.get(at) {
        let is_text = |row: &Row| row.kind == RowKind::Piece && row.label.is_empty();
        let of_text = rows
            .iter()
            .skip(at)
            .take_while(|other| is_text(row) && is_text(other) && other.node == row.node);
        let count = of_text.clone().count();
        if count == 0 {
            let has = |text: &str| text.to_ascii_lowercase().contains(&needle);
            if has(&row.label) || has(&row.text) || has(&row.ty) {
                found.push(at);
            }
            at += 1;
            continue;
        }
        let (mut whole, mut starts) = (String::new(), Vec::new());
        for row in of_text {
            starts.push(whole.len());
            whole.push_str(&row.text.to_ascii_lowercase());
        }
        for (offset, _) in whole.match_indices(&needle) {
            let row = at
                + starts
                    .partition_point(|start| *start <= offset)
                    .saturating_sub(1);
            if found.last() != Some(&row) {
                found.push(row);
            }
        }
        at += count;
    }
    found
}

impl UiState {
    /// Shows an event in full, looked at as before if it is the last one that was.
    pub(in crate::tui) fn show_event(&mut self, number: u64) {
        let Some(row) = self.events.row_of(number) else {
            return;
        };
        if let Some((event, before)) = self.events.shared_pair(row) {
            self.show_detail(number, event, before);
        }
    }

    /// Shows an event in full that need not be in the list.
    pub(super) fn show_detail(
        &mut self,
        number: u64,
        event: Arc<Event>,
        before: Option<Arc<Event>>,
    ) {
        let identity = self.identity(number);
        let (look, at) = match (&mut self.overlay, self.left.take()) {
            (Overlay::Event(detail), _) => {
                let at = detail.row().map(|row| (row.node, row.part));
                (detail.look.clone(), at)
            }
            (_, Some(left)) if left.identity == identity => (left.look, None),
            _ => {
                self.folds.fit_screen();
                (EventLook::default(), None)
            }
        };
        let own = self.own_frames(&event);
        let mut detail = Detail {
            number,
            identity,
            event,
            before,
            own,
            look,
            search: None,
            rows: Vec::new(),
            hidden: 0,
        };
        let tree = detail.lay_out(&self.folds, self.size, false);
        (detail.rows, detail.hidden) = (tree.rows, tree.hidden);
        if let Some((node, part)) = at {
            let same = |row: &Row| row.node == node && row.part == part;
            let rows = &detail.rows;
            let found = rows.iter().position(same);
            let found = found.or_else(|| rows.iter().position(|row| row.node == node));
            detail.look.list.cursor = found.unwrap_or(0);
        }
        // The list must not move on to newer events while one is being read.
        self.events.follow = false;
        self.overlay = Overlay::Event(detail);
    }

    /// For each frame of an event's stack: it is in a file of the program itself.
    fn own_frames(&self, event: &Event) -> Vec<bool> {
        let is_own = |path: &std::path::PathBuf| {
            let known = self.files.as_ref().and_then(|files| files.find(path));
            known.map_or_else(|| is_own_source(path), |file| file.own)
        };
        let frames = event.stack.frames.iter();
        frames
            .map(|frame| frame.file.as_deref().is_some_and(is_own))
            .collect()
    }

    /// The program's files are known now: they say which frames of the open event are its own.
    pub(super) fn renew_own_frames(&mut self) {
        let Overlay::Event(detail) = &self.overlay else {
            return;
        };
        let own = self.own_frames(&detail.event);
        if let Overlay::Event(detail) = &mut self.overlay {
            detail.own = own;
        }
        self.lay_out_event();
    }

    /// Lays the event out again, on a screen of another size.
    pub(super) fn lay_out_event(&mut self) {
        let Overlay::Event(detail) = &mut self.overlay else {
            return;
        };
        let path = detail.path(detail.look.list.cursor);
        let names: Vec<(NodeId, usize)> = path
            .iter()
            .filter_map(|row| detail.rows.get(*row))
            .map(|row| (row.node, row.part))
            .collect();
        let tree = detail.lay_out(&self.folds, self.size, false);
        (detail.rows, detail.hidden) = (tree.rows, tree.hidden);
        if detail.look.tab == Tab::Raw {
            return;
        }
        // The selected row, or else the innermost part around it that still has one.
        let rows = &detail.rows;
        let row_of = |(node, part): &(NodeId, usize)| {
            let same = rows
                .iter()
                .position(|row| row.node == *node && row.part == *part);
            same.or_else(|| rows.iter().position(|row| row.node == *node))
        };
        detail.look.list.cursor = names.iter().find_map(row_of).unwrap_or(0);
    }

    /// Leaves the event. It is looked at in the same way if it is opened again.
    pub(super) fn leave_event(&mut self) {
        if let Overlay::Event(detail) = std::mem::replace(&mut self.overlay, Overlay::None) {
            self.left = Some(LeftDetail {
                identity: detail.identity,
                look: detail.look,
            });
        }
    }

    /// Keeps the cursor in the rows.
    pub(super) fn settle_event(&mut self) {
        let rows = usize::from(tree_size(self.size).height);
        if let Overlay::Event(detail) = &mut self.overlay {
            detail.look.list.settle(detail.rows.len(), rows);
        }
    }

    /// Rows of the tree on the screen.
    pub(super) fn event_rows(&self) -> usize {
        usize::from(tree_size(self.size).height)
    }

    /// The keys of an event in full.
    pub(super) fn event_command(&mut self, command: KeyCommand) -> Vec<UiEffect> {
        let page = isize::try_from(self.event_rows()).unwrap_or(1).max(2) - 1;
        let Overlay::Event(detail) = &mut self.overlay else {
            return Vec::new();
        };
        if detail.search.is_some() {
            self.search_command(command);
            return Vec::new();
        }
        let list = &mut detail.look.list;
        match command {
            KeyCommand::Up => list.step(-1),
            KeyCommand::Down => list.step(1),
            KeyCommand::PageUp => list.step(-page),
            KeyCommand::PageDown => list.step(page),
            KeyCommand::Home => list.step(isize::MIN / 2),
            KeyCommand::End => list.step(isize::MAX / 2),
            KeyCommand::Activate | KeyCommand::Toggle => return self.activate_row(),
            KeyCommand::Left => self.fold_or_leave(),
            KeyCommand::Right => self.unfold_or_enter(),
            KeyCommand::UnfoldAll => self.unfold_all(),
            KeyCommand::FoldAll => {
                self.folds.fold_all();
                self.lay_out_event();
            }
            KeyCommand::PreviousEvent => self.next_event(true),
            KeyCommand::NextEvent => self.next_event(false),
            KeyCommand::NextPane | KeyCommand::PreviousPane => {
                let next = detail.look.tab.next(command == KeyCommand::PreviousPane);
                self.show_tab(next);
            }
            KeyCommand::ValuesTab => self.show_tab(Tab::Values),
            KeyCommand::StackTab => self.show_tab(Tab::Stack),
            KeyCommand::RawTab => self.show_tab(Tab::Raw),
            KeyCommand::Hex => {
                detail.look.hex = !detail.look.hex;
                self.lay_out_event();
            }
            KeyCommand::Types => {
                detail.look.full_types = !detail.look.full_types;
                self.lay_out_event();
            }
            KeyCommand::Search => detail.search = Some(Input::default()),
            KeyCommand::NextMatch => self.find(false),
            KeyCommand::PreviousMatch => self.find(true),
            KeyCommand::Copy => return self.copy_row(),
            KeyCommand::CopyAll => {
                let line = json::event_line(&detail.event);
                return self.copy(line.trim_end().to_owned());
            }
            KeyCommand::OpenSource => return self.open_row(),
            KeyCommand::Watch => return self.watch_row(),
            KeyCommand::EditSource => return self.edit_source(),
            KeyCommand::Help => self.open_help(),
            KeyCommand::Back => self.leave_event(),
            _ => {}
        }
        Vec::new()
    }

    fn show_tab(&mut self, tab: Tab) {
        let Overlay::Event(detail) = &mut self.overlay else {
            return;
        };
        if detail.look.tab == tab {
            return;
        }
        detail.look.tab = tab;
        detail.look.list = List::default();
        detail.rows.clear();
        self.lay_out_event();
    }

    /// Folds or unfolds the selected part, or opens the place of a frame.
    fn activate_row(&mut self) -> Vec<UiEffect> {
        let Overlay::Event(detail) = &self.overlay else {
            return Vec::new();
        };
        let Some(row) = detail.row() else {
            return Vec::new();
        };
        let (node, fold) = (row.node, row.fold);
        match (row.kind, fold) {
            (RowKind::Place, _) | (RowKind::OwnFrame | RowKind::OtherFrame, Fold::Whole) => {
                return self.open_row();
            }
            (RowKind::Json, _) | (RowKind::Value | RowKind::Unavailable, Fold::Whole) => {}
            // A piece belongs to a part that is unfolded.
            (RowKind::Piece, _) => self.folds.set(node, false),
            _ => self.folds.set(node, fold == Fold::Folded),
        }
        self.lay_out_event();
        Vec::new()
    }

    fn fold_or_leave(&mut self) {
        let Overlay::Event(detail) = &mut self.overlay else {
            return;
        };
        let Some(row) = detail.row() else {
            return;
        };
        if row.fold == Fold::Unfolded {
            self.folds.set(row.node, false);
            return self.lay_out_event();
        }
        if let Some(outer) = detail.outer(detail.look.list.cursor) {
            detail.look.list.cursor = outer;
        }
    }

    fn unfold_or_enter(&mut self) {
        let Overlay::Event(detail) = &mut self.overlay else {
            return;
        };
        match detail.row().map(|row| (row.fold, row.node)) {
            Some((Fold::Folded, node)) => {
                self.folds.set(node, true);
                self.lay_out_event();
            }
            Some((Fold::Unfolded, _)) => detail.look.list.step(1),
            _ => {}
        }
    }

    /// Unfolds the selected part and all below.
    fn unfold_all(&mut self) {
        let Overlay::Event(detail) = &self.overlay else {
            return;
        };
        let Some(row) = detail.row() else {
            return;
        };
        let all = detail.lay_out(&self.folds, self.size, true).rows;
        let Some(first) = all.iter().position(|one| one.node == row.node) else {
            return;
        };
        let depth = row.depth;
        let below = all
            .iter()
            .skip(first + 1)
            .take_while(|row| row.depth > depth);
        let unfolded = all.iter().skip(first).take(1).chain(below);
        for row in unfolded.filter(|row| row.fold == Fold::Unfolded) {
            self.folds.set(row.node, true);
        }
        self.lay_out_event();
    }

    /// The next event of the list, from the one that is shown in full.
    fn next_event(&mut self, back: bool) {
        let Overlay::Event(detail) = &self.overlay else {
            return;
        };
        let here = self.events.row_of(detail.number);
        let row = here.unwrap_or(self.events.list.cursor);
        let mut rows: Box<dyn Iterator<Item = usize>> = if back {
            Box::new((0..row).rev())
        } else {
            Box::new(row + 1..self.events.len())
        };
        let next = rows.find(|row| self.events.event(*row).is_some());
        drop(rows);
        let Some(next) = next else {
            let end = if back { "first" } else { "last" };
            return self.say(format!("this is the {end} event of the list"), false);
        };
        self.events.list.cursor = next;
        if let Some(number) = self.events.number(next) {
            self.show_event(number);
        }
    }

    /// The keys while a text is typed to search for.
    fn search_command(&mut self, command: KeyCommand) {
        let Overlay::Event(detail) = &mut self.overlay else {
            return;
        };
        let typed = detail.search.take();
        if let (KeyCommand::Activate, Some(typed)) = (command, typed)
            && !typed.value().is_empty()
        {
            detail.look.needle = typed.value().to_owned();
            self.find(false);
        }
    }

    /// A key for the text to search for.
    pub(super) fn type_search(&mut self, request: tui_input::InputRequest) {
        if let Overlay::Event(detail) = &mut self.overlay
            && let Some(typed) = &mut detail.search
            && (typed.value().len() < SEARCHED
                || !matches!(request, tui_input::InputRequest::InsertChar(_)))
        {
            typed.handle(request);
        }
    }

    /// Goes to the next row with the text, and unfolds what is around it.
    fn find(&mut self, back: bool) {
        let Overlay::Event(detail) = &mut self.overlay else {
            return;
        };
        let needle = detail.look.needle.clone();
        if needle.is_empty() {
            let search = keymap::hint(Mode::Event, KeyCommand::Search);
            return self.say(format!("{search} searches in the event"), false);
        }
        let all = detail.lay_out(&self.folds, self.size, true).rows;
        let found = matches(&all, &needle);
        let raw = detail.look.tab == Tab::Raw;
        let here = detail.row().and_then(|row| {
            let same = |one: &Row| (raw || one.node == row.node) && one.part == row.part;
            all.iter().position(same)
        });
        let here = here.unwrap_or(0);
        let next = if back {
            let before = found.iter().rev().find(|row| **row < here);
            before.or_else(|| found.last())
        } else {
            let after = found.iter().find(|row| **row > here);
            after.or_else(|| found.first())
        };
        let Some(next) = next.copied() else {
            let tab = detail.look.tab.name();
            return self.say(format!("`{needle}` is not in {tab}"), true);
        };
        if raw {
            detail.look.list.cursor = next;
            return;
        }
        let mut around = outer(&all, next);
        while let Some(row) = around {
            if let Some(one) = all.get(row) {
                self.folds.set(one.node, true);
            }
            around = outer(&all, row);
        }
        self.lay_out_event();
        let rows = usize::from(tree_size(self.size).height);
        if let (Overlay::Event(detail), Some(wanted)) = (&mut self.overlay, all.get(next)) {
            let same = |row: &Row| row.node == wanted.node && row.part == wanted.part;
            if let Some(row) = detail.rows.iter().position(same) {
                detail.look.list.jump(row, rows);
            }
        }
    }

    /// Opens the place of the selected frame, or of the event, in the source pane.
    fn open_row(&mut self) -> Vec<UiEffect> {
        let Overlay::Event(detail) = &self.overlay else {
            return Vec::new();
        };
        let place = detail.place();
        if place.line == 0 || place.file.file_name().is_none() {
            self.say("no debug information says where its source is", false);
            return Vec::new();
        }
        self.leave_event();
        (self.focus, self.zoom) = (Pane::Source, false);
        self.open_at(&place.file, place.line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(node: NodeId, text: &str) -> Row {
        Row {
            node,
            text: text.into(),
            kind: RowKind::Piece,
            ..Row::default()
        }
    }

    #[test]
    fn text_that_is_wrapped_is_searched_as_one() {
        let rows = [
            piece(1, "one tw"),
            piece(1, "o three"),
            piece(2, "two"),
            Row {
                label: "TWO".into(),
                ..Row::default()
            },
        ];
        assert_eq!(matches(&rows, "two"), [0, 2, 3]);
        assert_eq!(matches(&rows, "three"), [1]);
        assert_eq!(matches(&rows, "threetwo"), [0; 0]);
    }
}
