//! Ops that search a text of the target byte by byte with an automaton.
//!
//! Each state takes a few ops: a check for the end of the text, one read, and the comparisons of
//! the byte ranges. The search reads no further than the byte that decides.

use tracer_common::op::{alu, cond};

use crate::base::unavailable::Unavailable;
use crate::plan::limits::SEARCHED;
use crate::plan::methods::regex::{Automaton, Next, State};
use crate::plan::methods::search_budget::Search;
use crate::plan::ops::asm::{Asm, Exits, Label};
use crate::plan::ops::ir::{Failure, Ir, TextTest};

/// The registers and labels of one search.
struct Searching {
    /// The next byte.
    here: u8,
    /// The end of the searched bytes.
    stop: u8,
    byte: u8,
    /// True if the text ends at a zero byte.
    is_ended: bool,
    /// One label for each state.
    states: Vec<Label>,
    /// Targets at `stop`: if a text may end there, and if not.
    stops: [Label; 2],
    found: Label,
    absent: Label,
}

impl Searching {
    fn next(&self, next: Next) -> Label {
        match next {
            // Every state has a label.
            Next::State(state) => self.states.get(state).copied().unwrap_or(self.absent),
            Next::Match => self.found,
            Next::Fail => self.absent,
        }
    }
}

impl Asm {
    /// Continues if the automaton accepts the text, else jumps to `different`. A text that is not
    /// decided within the reach of the search is a fault.
    pub(in crate::plan) fn search(
        &mut self,
        automaton: &Automaton,
        test: &TextTest,
        different: Label,
        exits: &mut Exits,
    ) -> Result<(), Unavailable> {
        match automaton.start {
            Next::Match => return Ok(()),
            Next::Fail => {
                self.jump(different);
                return Ok(());
            }
            Next::State(_) => {}
        }
        let too_long = exits.label(self, Failure::Long);
        let length = match (&test.length, test.most) {
            (Some(length), _) => Some(self.value(length, exits)?),
            (None, Some(most)) => Some(self.value(&Ir::Const(most), exits)?),
            (None, None) => None,
        };
        let pointer = self.value(&test.pointer, exits)?;
        let searching = Searching {
            here: self.take()?,
            stop: self.take()?,
            byte: self.take()?,
            is_ended: test.length.is_none(),
            states: automaton.states.iter().map(|_| self.label()).collect(),
            stops: [self.label(), self.label()],
            found: self.label(),
            absent: self.label(),
        };
        self.alu_const(alu::ADD, searching.here, pointer, 0);
        self.give(pointer);
        let ops = automaton.states.iter().map(State::ops).max();
        let end = self.stop(&searching, length, ops.unwrap_or(1))?;
        for (state, label) in automaton.states.iter().zip(&searching.states) {
            self.place(*label);
            self.state(state, &searching, exits);
        }
        for (label, outcome) in searching
            .stops
            .iter()
            .zip([searching.found, searching.absent])
        {
            self.place(*label);
            if let Some(end) = end {
                self.jump_if(searching.stop, cond::EQ, end, outcome);
            }
            self.jump(too_long);
        }
        self.place(searching.absent);
        self.jump(different);
        self.place(searching.found);
        let taken = [searching.here, searching.stop, searching.byte];
        taken
            .into_iter()
            .chain(end)
            .for_each(|register| self.give(register));
        Ok(())
    }

    /// Sets where a search stops: at the end of the text, or of its reach. Returns the register
    /// with the text's end if the length is known.
    fn stop(
        &mut self,
        searching: &Searching,
        length: Option<u8>,
        ops: usize,
    ) -> Result<Option<u8>, Unavailable> {
        let mut at = vec![self.count()];
        self.alu_const(alu::ADD, searching.stop, searching.here, SEARCHED);
        let mut end = None;
        if let Some(length) = length {
            let register = self.take()?;
            let past = self.label();
            self.alu(alu::ADD, register, searching.here, length);
            at.push(self.count());
            // The check uses the length, since the sum of a wild pointer and a wild length may be
            // anything.
            self.jump_if_const(length, cond::GT, SEARCHED, past);
            self.alu_const(alu::ADD, searching.stop, register, 0);
            self.place(past);
            self.give(length);
            end = Some(register);
        }
        self.searches.push(Search::new(at, ops));
        Ok(end)
    }

    /// One byte at a state.
    fn state(&mut self, state: &State, searching: &Searching, exits: &mut Exits) {
        let Searching {
            here, stop, byte, ..
        } = *searching;
        let [may_end, must_go_on] = searching.stops;
        let (at_stop, at_end) = if state.ends {
            (may_end, searching.found)
        } else {
            (must_go_on, searching.absent)
        };
        self.jump_if(here, cond::EQ, stop, at_stop);
        self.load(byte, here, 0, 1, exits);
        if searching.is_ended {
            self.jump_if_const(byte, cond::EQ, 0, at_end);
        }
        self.alu_const(alu::ADD, here, here, 1);
        let other = searching.next(state.other);
        for range in &state.ranges {
            let to = searching.next(range.to);
            if range.first == range.last {
                self.jump_if_const(byte, cond::EQ, range.first.into(), to);
            } else {
                // Earlier ranges have been checked already.
                self.jump_if_const(byte, cond::LT, range.first.into(), other);
                self.jump_if_const(byte, cond::LE, range.last.into(), to);
            }
        }
        self.jump(other);
    }
}
