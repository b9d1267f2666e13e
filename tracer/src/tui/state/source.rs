//! The open source file: text, lines with code, cursor, variables at the cursor.

pub(in crate::tui) mod file_index;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::document::{Document, LineSpans, hue_at};
use super::super::list::List;
use super::super::theme::Hue;
use crate::base::diagnostic::Diagnostic;
use crate::session::{LineInfo, OutlineEntry, SourceFile, VariableInfo};

/// Time that the cursor must rest on a line before its variables are requested.
const REST: Duration = Duration::from_millis(120);

/// Text that may not be there yet.
#[derive(Debug)]
pub(in super::super) enum LoadedText {
    /// It is being read.
    Waiting,
    /// Here it is.
    Text(Arc<Document>),
    /// Why it is not.
    Failed(Diagnostic),
}

/// Variables at the cursor's line.
#[derive(Debug)]
pub(in super::super) enum Variables {
    /// The line has no code, as far as is known.
    None,
    /// They are not requested yet, or are being found.
    Waiting,
    /// Here they are.
    Known(Vec<VariableInfo>),
    /// Why they are not.
    Failed(Diagnostic),
}

/// The open file.
#[derive(Debug)]
pub(in super::super) struct SourceView {
    /// The file.
    pub(in super::super) file: SourceFile,
    /// Numbers the files opened.
    pub(in super::super) generation: u64,
    /// Its text.
    pub(in super::super) text: LoadedText,
    /// Lines with code (from 1) and the sites of each.
    pub(in super::super) code: BTreeMap<u64, u32>,
    /// Why the lines with code are not known.
    pub(in super::super) code_error: Option<Diagnostic>,
    /// Functions by line, where the text is not there.
    pub(in super::super) outline: Vec<OutlineEntry>,
    /// Syntax, as far as it is known.
    pub(in super::super) spans: Vec<LineSpans>,
    /// The cursor, from 0, and the first line shown.
    pub(in super::super) list: List,
    /// Columns scrolled to the right.
    pub(in super::super) shift: usize,
    /// The variables at the cursor.
    pub(in super::super) variables: Variables,
    code_known: bool,
    /// Line that the variables are for, and when the cursor came to it.
    arrived: Option<(u64, Instant)>,
    asked: bool,
    /// Line to go to when the text is there.
    wanted: Option<u64>,
}

impl SourceView {
    /// View of a file whose text is being read.
    pub(super) fn new(file: SourceFile, generation: u64, line: Option<u64>) -> Self {
        Self {
            file,
            generation,
            text: LoadedText::Waiting,
            code: BTreeMap::new(),
            code_error: None,
            outline: Vec::new(),
            spans: Vec::new(),
            list: List::default(),
            shift: 0,
            variables: Variables::None,
            code_known: false,
            arrived: None,
            asked: false,
            wanted: line,
        }
    }

    /// The cursor's line, from 1.
    pub(in super::super) fn line(&self) -> u64 {
        self.list.cursor as u64 + 1
    }

    /// The text of the cursor's line, if it is there.
    pub(super) fn line_text(&self) -> Option<String> {
        match &self.text {
            LoadedText::Text(document) => Some(document.line(self.list.cursor).to_owned()),
            LoadedText::Waiting | LoadedText::Failed(_) => None,
        }
    }

    /// Lines that can be gone to: those of the text, or up to the last with code.
    pub(in super::super) fn len(&self) -> usize {
        match &self.text {
            LoadedText::Text(document) => document.len(),
            _ => self.code.last_key_value().map_or(0, |(line, _)| {
                usize::try_from(*line).unwrap_or(0).min(1 << 24)
            }),
        }
    }

    /// The function that is declared on a line, from 1, where the text is not there.
    pub(in super::super) fn declared(&self, line: u64) -> Option<&str> {
        let entry = self.outline.binary_search_by_key(&line, |entry| entry.line);
        let entry = self.outline.get(entry.ok()?)?;
        Some(&entry.function)
    }

    pub(super) fn set_text(&mut self, text: Result<Arc<Document>, Diagnostic>, rows: usize) {
        self.text = match text {
            Ok(document) => LoadedText::Text(document),
            Err(error) => LoadedText::Failed(error),
        };
        self.go_to_wanted(rows);
    }

    fn go_to_wanted(&mut self, rows: usize) {
        if let Some(line) = self.wanted
            && self.len() > 0
        {
            self.go_to(line, rows);
        }
    }

    pub(super) fn set_lines(&mut self, lines: Result<Vec<LineInfo>, Diagnostic>) {
        self.code_known = true;
        match lines {
            Ok(lines) => {
                self.code = lines
                    .into_iter()
                    .map(|info| (info.line, info.sites))
                    .collect()
            }
            Err(error) => self.code_error = Some(error),
        }
        if self.wanted.is_none()
            && self.list.cursor == 0
            && let Some((first, _)) = self.code.first_key_value()
        {
            // A file opens where its code begins.
            self.list.cursor = usize::try_from(first.saturating_sub(1)).unwrap_or(0);
        }
        self.go_to_wanted(20);
        self.arrived = None;
    }

    pub(super) fn set_spans(&mut self, from: usize, spans: Vec<LineSpans>) {
        if from == self.spans.len() {
            self.spans.extend(spans);
        }
    }

    pub(super) fn set_variables(
        &mut self,
        line: u64,
        variables: Result<Vec<VariableInfo>, Diagnostic>,
    ) {
        if line == self.line() {
            self.variables = match variables {
                Ok(variables) => Variables::Known(variables),
                Err(error) => Variables::Failed(error),
            };
        }
    }

    /// Puts the cursor on a line, from 1.
    pub(super) fn go_to(&mut self, line: u64, rows: usize) {
        let index = usize::try_from(line.saturating_sub(1))
            .unwrap_or(usize::MAX)
            .min(self.len().saturating_sub(1));
        self.list.jump(index, rows);
        let is_waiting = matches!(self.text, LoadedText::Waiting);
        self.wanted = is_waiting.then_some(line);
    }

    /// The next line with code after the cursor, or the one before.
    pub(super) fn next_code(&self, back: bool) -> Option<u64> {
        let line = self.line();
        if back {
            self.code.range(..line).next_back().map(|(line, _)| *line)
        } else {
            self.code.range(line + 1..).next().map(|(line, _)| *line)
        }
    }

    pub(super) fn settle(&mut self, rows: usize, now: Instant) {
        if self.wanted.is_none() || self.len() > 0 {
            self.list.settle(self.len().max(1), rows);
        }
        let line = self.line();
        if self.arrived.is_none_or(|(at, _)| at != line) {
            self.arrived = Some((line, now));
            self.asked = false;
            self.variables = if self.code.contains_key(&line) {
                Variables::Waiting
            } else {
                Variables::None
            };
        }
    }

    /// The line whose variables are to be fetched now, if any. Returns each line once.
    pub(super) fn due(&mut self, now: Instant) -> Option<u64> {
        let (line, at) = self.arrived?;
        let due = !self.asked
            && self.code.contains_key(&line)
            && now.saturating_duration_since(at) >= REST;
        self.asked |= due;
        due.then_some(line)
    }

    /// The lines with code have been looked up.
    pub(in super::super) fn code_known(&self) -> bool {
        self.code_known
    }

    /// The names on a line that may be variables, in their order: neither members nor functions nor words of the
    /// language. Lines count from 0.
    pub(super) fn names_on(&self, index: usize) -> Vec<&str> {
        let LoadedText::Text(document) = &self.text else {
            return Vec::new();
        };
        let line = document.line(index);
        let spans = self.spans.get(index).map_or(&[][..], Vec::as_slice);
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let mut names: Vec<&str> = Vec::new();
        let mut rest = line;
        while let Some(begin) = rest.find(is_part) {
            let at = line.len() - rest.len() + begin;
            let (front, from) = line.split_at(at);
            let end = from.find(|c| !is_part(c)).unwrap_or(from.len());
            let (name, behind) = from.split_at(end);
            rest = behind;
            let behind = behind.trim_start();
            let is_member = front.ends_with('.') || front.ends_with("->");
            let is_called = behind.starts_with(['(', '!']) && !behind.starts_with("!=");
            let is_constant = || name != "NULL" && !name.contains(char::is_lowercase);
            let fits = match hue_at(spans, at) {
                Hue::Plain => true,
                Hue::Literal => is_constant(),
                _ => false,
            };
            let is_name = fits
                && !name.starts_with(|c: char| c.is_ascii_digit())
                && !behind.starts_with("::");
            if is_name && !is_member && !is_called && !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// Variables at the cursor, where they are known.
    pub(in super::super) fn known_variables(&self) -> &[VariableInfo] {
        match &self.variables {
            Variables::Known(variables) => variables,
            _ => &[],
        }
    }
}
