//! Picking one of many by typing some of its letters.

use crossterm::event::{Event as TerminalEvent, KeyEvent};
use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};
use tui_input::backend::crossterm::to_input_request;
use tui_input::{Input, InputRequest};

use super::super::list::List;

/// Characters that the line may have.
const LENGTH: usize = 512;

/// A list of texts, the typed search, and the matches.
#[derive(Debug, Default)]
pub(in crate::tui) struct Picker {
    /// The line typed.
    pub(in crate::tui) input: Input,
    /// Selected and first row among those that fit.
    pub(in crate::tui) list: List,
    texts: Vec<String>,
    fits: Vec<u32>,
    /// Texts that have the letters of the search, also scattered ones.
    scattered: Vec<u32>,
    /// The search that produced `fits`.
    searched: String,
}

impl Picker {
    /// Replaces the texts. The typed line stays, and the selected text stays selected.
    pub(in crate::tui) fn set_texts(&mut self, texts: Vec<String>) {
        let selected = self
            .selected()
            .and_then(|index| self.texts.get(index))
            .cloned();
        self.texts = texts;
        self.search_all();
        let row = selected.and_then(|text| {
            self.fits
                .iter()
                .position(|index| self.text_at(*index) == text)
        });
        self.list.cursor = row.unwrap_or(0);
    }

    /// A key for the line.
    pub(in crate::tui) fn type_key(&mut self, key: KeyEvent) {
        if let Some(request) = to_input_request(&TerminalEvent::Key(key)) {
            self.request(request);
        }
    }

    /// Text for the line.
    pub(in crate::tui) fn type_text(&mut self, text: &str) {
        text.chars()
            .filter(|c| !c.is_control())
            .for_each(|c| self.request(InputRequest::InsertChar(c)));
    }

    fn request(&mut self, request: InputRequest) {
        if !matches!(request, InputRequest::InsertChar(_)) || self.input.value().len() < LENGTH {
            self.input.handle(request);
        }
    }

    /// Searches again if the line has changed.
    pub(in crate::tui) fn search(&mut self) {
        if self.input.value() == self.searched {
            return;
        }
        let plain = |text: &str| {
            text.chars()
                .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/'))
        };
        let narrower = self.input.value().starts_with(&self.searched) && plain(self.input.value());
        if narrower && !self.searched.is_empty() {
            // A text that did not fit the shorter search does not fit the longer one.
            let candidates = std::mem::take(&mut self.scattered);
            self.rank(candidates);
        } else {
            self.search_all();
        }
        self.list = List::default();
    }

    fn search_all(&mut self) {
        self.rank((0..self.texts.len() as u32).collect());
    }

    fn rank(&mut self, mut candidates: Vec<u32>) {
        self.searched = self.input.value().to_owned();
        if self.searched.trim().is_empty() {
            self.scattered.clone_from(&candidates);
            self.fits = candidates;
            return;
        }
        candidates.sort_unstable();
        let (mut matcher, pattern) = (matcher(), self.pattern());
        let mut buffer = Vec::new();
        let mut ranked: Vec<(u32, u32)> = candidates
            .into_iter()
            .filter_map(|index| {
                let score = pattern.score(
                    Utf32Str::new(self.text_at(index), &mut buffer),
                    &mut matcher,
                )?;
                Some((score, index))
            })
            .collect();
        ranked.sort_by_key(|(score, index)| (std::cmp::Reverse(*score), *index));
        self.scattered = ranked.into_iter().map(|(_, index)| index).collect();
        // Letters that are scattered over a path are a guess, which is of use only if nothing has the word itself.
        let words: Vec<String> = self
            .searched
            .split_whitespace()
            .map(str::to_lowercase)
            .collect();
        let has_words = |index: &&u32| {
            let text = self.text_at(**index).to_lowercase();
            words.iter().all(|word| text.contains(word.as_str()))
        };
        let whole: Vec<u32> = self.scattered.iter().filter(has_words).copied().collect();
        self.fits = match whole.is_empty() {
            true => self.scattered.clone(),
            false => whole,
        };
    }

    fn pattern(&self) -> Pattern {
        Pattern::parse(&self.searched, CaseMatching::Smart, Normalization::Smart)
    }

    fn text_at(&self, index: u32) -> &str {
        self.texts.get(index as usize).map_or("", String::as_str)
    }

    /// A text by its index.
    pub(in crate::tui) fn text(&self, index: usize) -> &str {
        self.texts.get(index).map_or("", String::as_str)
    }

    /// Number of matches, and of all texts.
    pub(in crate::tui) fn counts(&self) -> (usize, usize) {
        (self.fits.len(), self.texts.len())
    }

    /// Index of the selected text.
    pub(in crate::tui) fn selected(&self) -> Option<usize> {
        self.fits.get(self.list.cursor).map(|index| *index as usize)
    }

    /// Indices of the texts on `rows` rows from the first on the screen, with the letters that were found.
    pub(in crate::tui) fn visible(&self, rows: usize) -> Vec<(usize, Vec<u32>)> {
        let (mut matcher, pattern) = (matcher(), self.pattern());
        let mut buffer = Vec::new();
        self.fits
            .iter()
            .skip(self.list.top)
            .take(rows)
            .map(|index| {
                let mut letters = Vec::new();
                if !self.searched.trim().is_empty() {
                    pattern.indices(
                        Utf32Str::new(self.text_at(*index), &mut buffer),
                        &mut matcher,
                        &mut letters,
                    );
                    letters.sort_unstable();
                }
                (*index as usize, letters)
            })
            .collect()
    }
}

fn matcher() -> Matcher {
    Matcher::new(Config::DEFAULT.match_paths())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picker(texts: &[&str], typed: &str) -> Picker {
        let mut picker = Picker::default();
        picker.set_texts(texts.iter().map(|text| (*text).to_owned()).collect());
        picker.input = Input::new(typed.to_owned());
        picker.search();
        picker
    }

    #[test]
    fn search_of_some_letters_puts_the_file_name_first() {
        let picker = picker(
            &["src/mainframe/x.rs", "src/main.rs", "src/other.rs"],
            "mainrs",
        );
        assert_eq!(picker.selected(), Some(1));
        assert_eq!(picker.counts(), (2, 3));
    }

    #[test]
    fn scattered_letters_are_found_only_if_nothing_has_the_word() {
        let texts = ["r/o/u/t/e/r.rs", "src/Router.rs", "src/router/x.rs", "a.rs"];
        let found = |typed: &str| -> Vec<usize> {
            let picker = picker(&texts, typed);
            picker
                .visible(9)
                .into_iter()
                .map(|(index, _)| index)
                .collect()
        };
        assert_eq!(found("router"), [1, 2]);
        assert_eq!(found("routerx"), [2]);
        assert_eq!(found("x router"), [2]);
        assert_eq!(found("rtr"), [0, 1, 2]);
    }

    #[test]
    fn search_of_nothing_keeps_the_order() {
        let picker = picker(&["b", "a"], "");
        assert_eq!(picker.visible(9), [(0, vec![]), (1, vec![])]);
    }

    #[test]
    fn search_letter_by_letter_finds_what_a_whole_search_finds() {
        let texts: Vec<String> = (0..200)
            .map(|i| format!("src/{}/file{i}.rs", i % 7))
            .collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let mut stepwise = picker(&texts, "");
        for typed in ["f", "fi", "fi1", "fi12"] {
            stepwise.input = Input::new(typed.into());
            stepwise.search();
        }
        assert_eq!(stepwise.fits, picker(&texts, "fi12").fits);
    }

    #[test]
    fn set_texts_again_keeps_the_selected_text() {
        let mut picker = picker(&["a", "b", "c"], "");
        picker.list.cursor = 2;
        picker.set_texts(vec!["c".into(), "a".into()]);
        assert_eq!(picker.selected(), Some(0));
    }

    #[test]
    fn visible_tells_the_letters_that_were_found() {
        assert_eq!(
            picker(&["src/main.rs"], "main").visible(1),
            [(0, vec![4, 5, 6, 7])]
        );
    }
}
