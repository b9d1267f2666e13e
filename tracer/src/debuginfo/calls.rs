//! Calls, by the function that they call: which address each returns to, and the
//! entry that says what was passed.
//!
//! Of a unit all its calls are listed. Which units have calls of a function at all the code
//! tells: no entry of a unit is read that has none.
//!
//! The callee is what the instruction says, not what the debug information
//! calls its origin: of a function with several copies, each is its own.

use std::rc::Rc;

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction};

use super::budget::Reader;
use super::dies::{Dies, Entry, UnitAt};
use super::imports::word_before;
use super::module::Module;
use super::tail_calls::{JumpOut, JumpTarget};
use crate::address::LinkAddr;

/// Steps to skip an entry, and to look at a call.
const SKIP_STEPS: u64 = 12;
const CALL_STEPS: u64 = 150;
/// Bytes that are kept of a call.
const KEPT_BYTES: u64 = 48;
/// Calls of one unit that are kept.
const MAX_CALLS: usize = 1 << 20;
/// Bytes of `call rel32`.
const CALL_BYTES: u64 = 5;
/// Its first byte.
pub(super) const CALL: u8 = 0xe8;
/// Bytes of one function that are looked through.
const MAX_FUNCTION: u64 = 1 << 20;
/// Bytes of a module's code that are looked through for calls from other units.
pub(super) const MAX_CODE: u64 = 256 << 20;
/// Bytes of code above which the memory that looking through it took is given back.
const KEPT_CODE: u64 = 4 << 20;
/// Functions that are looked through for ways back into the first.
const MAX_FUNCTIONS: usize = 32;

/// One call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Call {
    target: u64,
    /// Link address of the instruction behind it.
    pub(super) returns_to: u64,
    /// Its entry in the unit.
    pub(super) site: gimli::UnitOffset,
}

/// The calls of a unit.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// Those whose target the instruction says, by target.
    direct: Vec<Call>,
    /// Those through a word, by where they return to; the word is their target.
    through: Vec<Call>,
}

impl Calls {
    /// Those that call the function at `entry`.
    pub(super) fn to(&self, entry: LinkAddr) -> impl Iterator<Item = &Call> {
        let direct = &self.direct;
        let from = direct.partition_point(|call| call.target < entry.0);
        let rest = direct.get(from..).unwrap_or_default();
        rest.iter().take_while(move |call| call.target == entry.0)
    }

    /// The one that returns to an address.
    pub(super) fn returning_to(&self, address: u64) -> Option<&Call> {
        let through = self
            .through
            .binary_search_by_key(&address, |call| call.returns_to);
        let through = through.ok().and_then(|index| self.through.get(index));
        let mut direct = self.direct.iter();
        through.or_else(|| direct.find(|call| call.returns_to == address))
    }

    fn read<'a>(dies: &Dies<'a>, unit: &UnitAt<'a>) -> Self {
        let mut calls = Self::default();
        // What could be read before an error is as good as it gets.
        let _ = calls.add_all(dies, unit);
        let direct = &mut calls.direct;
        direct.sort_by_key(|call| (call.target, call.returns_to));
        calls.through.sort_by_key(|call| call.returns_to);
        calls
    }

    fn add_all<'a>(&mut self, dies: &Dies<'a>, unit: &UnitAt<'a>) -> Option<()> {
        let dwarf = dies.dwarf(unit.section.file)?;
        let mut raw = unit.unit.entries_raw(None).ok()?;
        let mut entry = Entry::null();
        let budget = &dies.module.budget;
        let mut meter = budget.meter(Reader::Entries);
        while !raw.is_empty() && self.direct.len() + self.through.len() < MAX_CALLS {
            let site = raw.next_offset();
            let mut ahead = raw.clone();
            let Some(abbreviation) = ahead.read_abbreviation().ok()? else {
                raw = ahead;
                continue;
            };
            let tag = abbreviation.tag();
            if !meter.take(SKIP_STEPS + abbreviation.attributes().len() as u64 * 2) {
                break;
            }
            if tag != gimli::DW_TAG_call_site && tag != gimli::DW_TAG_GNU_call_site {
                ahead.skip_attributes(abbreviation.attributes()).ok()?;
                raw = ahead;
                continue;
            }
            raw.read_entry(&mut entry).ok()?;
            let returns_to = entry
                .attr_value(gimli::DW_AT_call_return_pc)
                .or_else(|| entry.attr_value(gimli::DW_AT_low_pc))
                .and_then(|value| dwarf.attr_address(&unit.unit, value).ok().flatten());
            let Some(returns_to) = returns_to else {
                continue;
            };
            if !meter.take(CALL_STEPS) || !budget.hold(Reader::Entries, KEPT_BYTES) {
                break;
            }
            let call = |target| Call {
                target,
                returns_to,
                site,
            };
            if let Some(target) = direct_target_before(dies.module, returns_to) {
                self.direct.push(call(target));
            } else if let Some(word) = word_before(dies.module, returns_to) {
                self.through.push(call(word.0));
            }
        }
        Some(())
    }
}

/// The calls of a unit, read when first asked for.
pub(super) fn calls_of<'a>(dies: &Dies<'a>, unit: &UnitAt<'a>) -> std::sync::Arc<Calls> {
    dies.cache
        .calls((unit.section, unit.start), || Calls::read(dies, unit))
}

/// Calls of the function at `entry` from code of other units than its own, at most so many.
pub(super) fn from_other_units<'a>(
    dies: &Dies<'a>,
    entry: LinkAddr,
    most: usize,
) -> Vec<(Rc<UnitAt<'a>>, Call)> {
    let own = dies.module.unit_at(entry);
    let is_other = |returns_to: u64| dies.module.unit_at(LinkAddr(returns_to - 1)) != own;
    let look = || direct_calls(dies.module, (CALL, entry), most, is_other);
    let returns = dies.cache.callers(entry.0, look);
    let known = returns.iter().filter_map(|&returns_to| {
        let (other, call) = returning_to(dies, returns_to)?;
        (call.target == entry.0).then_some((other, call))
    });
    known.collect()
}

/// The call that returns to an address, if its unit has an entry for it.
pub(super) fn returning_to<'a>(dies: &Dies<'a>, returns_to: u64) -> Option<(Rc<UnitAt<'a>>, Call)> {
    // The call itself is in the unit; what is behind it need not be.
    let unit = dies.unit_at(LinkAddr(returns_to.checked_sub(1)?))?;
    let call = *calls_of(dies, &unit).returning_to(returns_to)?;
    Some((unit, call))
}

/// What is behind the direct calls of `entry` that are `wanted`, or behind the jumps there, by the
/// code alone: bytes that only look like one are among them.
pub(super) fn direct_calls(
    module: &Module,
    (opcode, entry): (u8, LinkAddr),
    most: usize,
    wanted: impl Fn(u64) -> bool,
) -> Vec<u64> {
    let ranges = &module.code_ranges;
    let total: u64 = ranges.iter().map(|(begin, end)| end - begin).sum();
    if total > MAX_CODE {
        return Vec::new();
    }
    if !module.budget.spend(Reader::Code, total / 2, total) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for &(begin, end) in ranges {
        let length = usize::try_from(end - begin).unwrap_or(0);
        let code = module.initial_bytes(LinkAddr(begin), length);
        let code = code.unwrap_or_default();
        for at in memchr::memchr_iter(opcode, code) {
            let Some(&[a, b, c, d]) = code.get(at + 1..).and_then(|rest| rest.first_chunk()) else {
                break;
            };
            let returns_to = begin.saturating_add(at as u64 + CALL_BYTES);
            let distance = i32::from_le_bytes([a, b, c, d]);
            if returns_to.wrapping_add_signed(distance.into()) == entry.0 && wanted(returns_to) {
                found.push(returns_to);
                if found.len() >= most {
                    return found;
                }
            }
        }
    }
    release_code(module, total);
    found
}

/// Gives back the memory of so many bytes of code that were looked through, when that pays.
pub(super) fn release_code(module: &Module, total: u64) {
    if total > KEPT_CODE {
        module.release();
    }
}

/// What the direct call before an address calls.
pub(super) fn direct_target_before(module: &Module, returns_to: u64) -> Option<u64> {
    let call = LinkAddr(returns_to.checked_sub(CALL_BYTES)?);
    if !module.is_code(call) {
        return None;
    }
    match *module.initial_bytes(call, CALL_BYTES as usize)? {
        [CALL, a, b, c, d] => {
            let distance = i32::from_le_bytes([a, b, c, d]);
            Some(returns_to.wrapping_add_signed(distance.into()))
        }
        _ => None,
    }
}

/// Whether a function could come to be entered again by jumps, its own or of
/// what it jumps to, so that its return address does not tell what was passed.
/// True where that is not known.
pub(super) fn may_enter_itself(module: &Module, entry: LinkAddr) -> bool {
    let (mut asked, mut next) = (vec![entry.0], 0);
    while let Some(function) = asked.get(next).copied() {
        next += 1;
        let Some(targets) = jumps_out(module, LinkAddr(function)) else {
            return true;
        };
        for jump in targets {
            let JumpTarget::Address(target) = jump.to else {
                return true;
            };
            if target == entry.0 || asked.len() >= MAX_FUNCTIONS {
                return true;
            }
            if !asked.contains(&target) {
                asked.push(target);
            }
        }
    }
    false
}

/// The jumps of a function that leave it, or go back to its entry; `None` when it is not known
/// where one leads.
pub(super) fn jumps_out(module: &Module, entry: LinkAddr) -> Option<Vec<JumpOut>> {
    let function = module
        .function_code_at(entry)
        .filter(|function| function.entry == entry)?;
    let inside = |address: u64| {
        let mut ranges = function.ranges.iter();
        address != entry.0 && ranges.any(|(begin, end)| (begin.0..end.0).contains(&address))
    };
    let mut targets = Vec::new();
    for (begin, end) in &function.ranges {
        let length = end
            .0
            .checked_sub(begin.0)
            .filter(|length| *length <= MAX_FUNCTION)?;
        let bytes = module
            .initial_bytes(*begin, usize::try_from(length).ok()?)
            .filter(|bytes| bytes.len() as u64 == length)?;
        let mut decoder = Decoder::with_ip(64, bytes, begin.0, DecoderOptions::NONE);
        let mut instruction = Instruction::default();
        while decoder.can_decode() {
            decoder.decode_out(&mut instruction);
            if instruction.is_invalid() {
                return None;
            }
            match instruction.flow_control() {
                FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch => {
                    let target = instruction.near_branch_target();
                    if !inside(target) {
                        targets.push(JumpOut {
                            from: LinkAddr(instruction.ip()),
                            to: JumpTarget::Address(target),
                        });
                    }
                }
                FlowControl::IndirectBranch if instruction.is_ip_rel_memory_operand() => {
                    let word = LinkAddr(instruction.ip_rel_memory_address());
                    targets.push(JumpOut {
                        from: LinkAddr(instruction.ip()),
                        to: JumpTarget::Word(word),
                    });
                }
                FlowControl::IndirectBranch => return None,
                _ => {}
            }
        }
    }
    Some(targets)
}
