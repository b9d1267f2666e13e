//! Users' expressions have the same value in the kernel, on the reference machine, and by a direct
//! evaluation of the syntax tree with the rules of Rust and of C.
//!
//! Each expression is printed, parsed, compiled, and attached to a site of its own. Four hundred
//! are attached at once. One call passes all sites, over the registers and the memory of that call.

use std::collections::BTreeMap;
use std::sync::Arc;

use tracer::actions::parse_probe;
use tracer::debuginfo::place::{PieceSource, Place, Register};
use tracer::debuginfo::types::{Language, Type, TypeId, TypeKind, TypeSource};
use tracer::debuginfo::variable::{Variable, VariableKind};
use tracer::plan::Plan;
use tracer::program::reference::{Outcome, ReferenceMachine, Regions};

use crate::support::compiled::{RDI, at_frame, compiled};
use crate::support::expressions::{
    FRAME, Fault, VARIABLES, bare, evaluate, frame, guarded, holds, number, print, truth,
    variable_named,
};
use crate::support::random::Random;
use crate::support::rig::{Rig, UNLIMITED, Way, emulated, ways};
use crate::support::site::{row, row_address, row_offset};
use crate::support::standard::{evaluate_c, number_of_c};
use tracer::lang::ast::Expr;

/// Number of expressions of one call.
const BATCH: usize = 400;
/// Number of calls for each language: two thousand expressions.
const BATCHES: u64 = 5;
const RING: u32 = 4 << 20;
/// DWARF numbers of the registers with variables.
const RSI: u8 = 4;
const RDX: u8 = 1;
const RCX: u8 = 2;
/// The variables in registers. Their upper bytes have other data.
const IN_REGISTERS: [(&str, u8); 3] = [("e", RSI), ("f", RDX), ("h", RCX)];

/// The integer types of a language, by their size, plus 256 for a signed type.
struct Integers(Language);

impl TypeSource for Integers {
    fn type_of(&self, id: TypeId) -> Arc<Type> {
        let (size, signed) = (id.0 & 0xff, id.0 & 0x100 != 0);
        let name = match (self.0, size, signed) {
            (Language::Rust, _, true) => format!("i{}", size * 8),
            (Language::Rust, _, false) => format!("u{}", size * 8),
            (_, size, true) => of_c(size).to_owned(),
            (_, size, false) => format!("unsigned {}", of_c(size)),
        };
        Arc::new(Type {
            name,
            size: Some(size),
            language: self.0,
            kind: TypeKind::Int { signed },
        })
    }
}

/// The C type of this size.
fn of_c(size: u64) -> &'static str {
    match size {
        1 => "char",
        2 => "short",
        4 => "int",
        _ => "long",
    }
}

/// One expression, its frame, and its expected result.
struct Case {
    language: Language,
    text: String,
    plan: Plan,
    /// `None` if it has no condition.
    condition: Option<Expr>,
    /// `None` if it has no value.
    value: Option<Expr>,
    frame: Vec<u8>,
}

impl Case {
    /// The expression with this index in a batch. Its variables are in its own part of the frames,
    /// or in the registers, which all share.
    fn new(random: &mut Random, language: Language, index: usize, registers: &[u8]) -> Self {
        let condition = match random.below(8) {
            0 => None,
            1..=3 => Some(guarded(random)),
            _ => Some(truth(random, 3)),
        };
        // An expression without a condition has a value.
        let has_value = condition.is_none() || random.below(2) == 0;
        let value = has_value.then(|| match language {
            Language::Rust => number(random, 4),
            _ => number_of_c(random, 4),
        });
        let hole = value
            .as_ref()
            .map_or_else(|| "hit".to_owned(), |value| format!("{{{}}}", print(value)));
        let test = condition
            .as_ref()
            .map_or_else(String::new, |condition| format!(" if {}", print(condition)));
        let text = format!("log 0x0 \"{hole}\"{test}");
        let mut own = frame(random);
        let in_registers = random.below(2) == 0;
        if in_registers {
            for (name, register) in IN_REGISTERS {
                let (size, _, at) = variable_named(name);
                let from = usize::from(register) * 8;
                own[at..at + size as usize].copy_from_slice(&registers[from..from + size as usize]);
            }
        }
        let variables: Vec<Variable> = VARIABLES
            .iter()
            .map(|&(name, size, signed, at)| {
                let register = IN_REGISTERS.iter().find(|(other, _)| *other == name);
                let place = match register.filter(|_| in_registers) {
                    Some((_, register)) => Place::whole(PieceSource::Register(Register(*register))),
                    None => at_frame(index * FRAME + at),
                };
                integer(name, TypeId(size | u64::from(signed) << 8), place)
            })
            .collect();
        let spec = parse_probe(&text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        assert_eq!(spec.condition.as_ref().map(bare), condition, "{text}");
        Self {
            language,
            plan: compiled(&text, &Integers(language), language, &variables),
            text,
            condition,
            value,
            frame: own,
        }
    }

    /// Evaluates the tree directly. Returns the message, or the rejection or fault.
    fn wanted(&self) -> Wanted {
        let is_c = self.language != Language::Rust;
        let holds = |tree| match is_c {
            true => evaluate_c(tree, &self.frame).map(|value| value.number != 0),
            false => holds(tree, &self.frame),
        };
        match self.condition.as_ref().map(holds) {
            None | Some(Ok(true)) => {}
            Some(Ok(false)) => return Wanted::Rejected,
            Some(Err(Fault)) => return Wanted::Faulted,
        }
        let Some(value) = &self.value else {
            return Wanted::Sent(Some("hit".to_owned()));
        };
        let value = match is_c {
            true => evaluate_c(value, &self.frame).map(|value| value.number),
            false => evaluate(value, &self.frame).map(|value| value.whole()),
        };
        Wanted::Sent(value.ok().map(|value| value.to_string()))
    }
}

/// Outcome of a hit.
#[derive(Debug, PartialEq)]
enum Wanted {
    /// A record with this message, or with an unavailable value (`None`).
    Sent(Option<String>),
    Rejected,
    Faulted,
}

fn integer(name: &str, ty: TypeId, place: Place) -> Variable {
    Variable {
        name: name.into(),
        ty,
        kind: VariableKind::Local,
        place,
        line: 1,
        counts: Vec::new(),
        shadow: 1,
    }
}

/// Returns true if a message has the expected value.
fn is_message(plan: &Plan, record: &[u8], wanted: Option<&str>) -> bool {
    let decoded = plan.layout.decode(record).expect("decodes");
    // C's truth values are numbers, and are shown as `true` and `false`.
    let shown = match &*decoded.message {
        "true" => "1",
        "false" => "0",
        message => message,
    };
    match wanted {
        Some(wanted) => shown == wanted,
        None => shown.starts_with('<'),
    }
}

/// Attaches a batch, passes it once, and compares. Returns the numbers of sent, rejected and
/// faulted hits.
fn check(rig: &mut Rig, language: Language, seed: u64, count: usize) -> [u64; 3] {
    let mut random = Random::new(seed);
    let mut arguments = [0; 6];
    // Some variables are in registers: in the lower bytes, with other data above.
    for argument in &mut arguments {
        *argument = random.next() >> (random.below(8) * 8);
    }
    let dwarf = [RDI, RSI, RDX, RCX, 8, 9];
    let mut registers = vec![0; 17 * 8];
    for (register, argument) in dwarf.iter().zip(arguments).skip(1) {
        let at = usize::from(*register) * 8;
        registers[at..at + 8].copy_from_slice(&u64::to_le_bytes(argument));
    }
    let cases: Vec<Case> = (0..count)
        .map(|index| Case::new(&mut random, language, index, &registers))
        .collect();
    let frames: Vec<u8> = cases.iter().flat_map(|case| case.frame.clone()).collect();
    arguments[0] = frames.as_ptr() as u64;
    let memory = Regions(BTreeMap::from([(arguments[0], frames.clone())]));
    let sites: Vec<_> = (0..)
        .zip(&cases)
        .map(|(index, case)| (row_offset(index), case.plan.program.ops.clone()))
        .collect();
    let (slot, cookies) = rig.probe(&UNLIMITED, &sites);
    row().pass(arguments);
    let mut records: BTreeMap<u32, Vec<u8>> = rig
        .records()
        .into_iter()
        .map(|record| (record.header.site, record.bytes))
        .collect();
    let mut ended = [0; 3];
    for ((index, case), cookie) in cases.iter().enumerate().zip(&cookies) {
        let name = || {
            format!(
                "{language:?}, seed {seed}, case {index}: {} over {:x?}",
                case.text, case.frame
            )
        };
        let machine = dwarf
            .iter()
            .zip(arguments)
            .fold(
                ReferenceMachine::new(&memory),
                |machine, (register, argument)| machine.with(*register, argument),
            )
            .with(16, row_address(index));
        let reference = machine.run(&case.plan.program.ops);
        let got = records.remove(cookie);
        match (case.wanted(), reference, got) {
            (Wanted::Sent(message), Outcome::Sent(reference), Some(got)) => {
                let message = message.as_deref();
                assert!(is_message(&case.plan, &reference, message), "{}", name());
                assert!(is_message(&case.plan, &got, message), "{}", name());
                ended[0] += 1;
            }
            (Wanted::Rejected, Outcome::Rejected, None) => ended[1] += 1,
            (Wanted::Faulted, Outcome::Faulted, None) => ended[2] += 1,
            (wanted, reference, got) => panic!(
                "{}: {wanted:?} is wanted, the reference has {reference:?}, the kernel {got:?}",
                name()
            ),
        }
    }
    let counters = rig.counters(slot);
    // Hits without a record are known by their numbers only.
    assert_eq!(
        [counters.events, counters.rejected, counters.faults],
        ended,
        "{language:?}, seed {seed}"
    );
    rig.remove(slot);
    ended
}

#[test]
fn random_expressions_end_in_the_kernel_as_they_must() {
    for &way in ways() {
        let Some(mut rig) = Rig::load(way, RING) else {
            return;
        };
        let whole = way == Way::Best && rig.machine.has_multi_links();
        let (count, batches) = match (whole, emulated()) {
            (true, false) => (BATCH, BATCHES),
            (true, true) => (BATCH, 1),
            (false, _) => (BATCH / 8, 1),
        };
        for language in [Language::Rust, Language::C] {
            let mut all = [0; 3];
            for seed in 0..batches {
                let ended = check(&mut rig, language, seed, count);
                for (all, ended) in all.iter_mut().zip(ended) {
                    *all += ended;
                }
            }
            eprintln!("{way:?}, {language:?}: {all:?} sent, rejected, faulted");
            assert_eq!(all.iter().sum::<u64>(), batches * count as u64);
            assert!(all.iter().all(|&one| one > 0), "{all:?}");
        }
    }
}
