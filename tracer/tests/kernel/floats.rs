//! Floats that users' expressions compute in the kernel are the same as the processor's.
//!
//! As in [`crate::expressions`], each text is attached to a site of its own, and one call passes
//! all sites.

use std::collections::BTreeMap;
use std::sync::Arc;

use tracer::debuginfo::types::{Language, Type, TypeId, TypeKind, TypeSource};
use tracer::debuginfo::variable::{Variable, VariableKind};
use tracer::plan::Plan;

use crate::support::compiled::{at_frame, compiled};
use crate::support::floats::{VARIABLES, Values, holds};
use crate::support::random::Random;
use crate::support::rig::{Rig, UNLIMITED, Way, emulated};
use crate::support::site::{row, row_offset};

/// Number of expressions of one call.
const BATCH: usize = 400;
/// Number of calls for each language.
const BATCHES: u64 = 4;
const RING: u32 = 1 << 20;
/// Bytes of the variables of one expression.
const FRAME: usize = 40;

/// The types of a language's variables, by their numbers.
struct Types(Language);

impl TypeSource for Types {
    fn type_of(&self, id: TypeId) -> Arc<Type> {
        let index = usize::try_from(id.0).expect("a small number");
        let (name, size, _) = VARIABLES[index];
        let (name, kind) = match (name, self.0, size) {
            ("n", Language::Rust, _) => ("i32", TypeKind::Int { signed: true }),
            ("m", Language::Rust, _) => ("u64", TypeKind::Int { signed: false }),
            ("n", ..) => ("int", TypeKind::Int { signed: true }),
            ("m", ..) => ("unsigned long", TypeKind::Int { signed: false }),
            (_, Language::Rust, 4) => ("f32", TypeKind::Float),
            (_, Language::Rust, _) => ("f64", TypeKind::Float),
            (_, _, 4) => ("float", TypeKind::Float),
            _ => ("double", TypeKind::Float),
        };
        Arc::new(Type {
            name: name.into(),
            size: Some(size),
            language: self.0,
            kind,
        })
    }
}

/// One expression, its variables, and its value. The value is `None` if its condition is false.
struct Case {
    text: String,
    plan: Plan,
    frame: Vec<u8>,
    wanted: Option<String>,
}

impl Case {
    fn new(random: &mut Random, language: Language, index: usize) -> Self {
        let values = Values::random(random);
        let single = random.one_in(2);
        let number = |random: &mut Random, depth| match language {
            Language::Rust => values.of_rust(random, single, depth),
            _ => values.of_c(random, depth),
        };
        let (shown, value) = number(random, 3);
        let (left, a) = number(random, 2);
        let (right, b) = number(random, 1);
        let sign = random.pick(&["==", "!=", "<", "<=", ">", ">="]);
        let (test, is_sent) = if random.one_in(2) {
            let is = holds(sign, a.double(), b.double());
            (format!(" if {left} {sign} {right}"), is)
        } else {
            (String::new(), true)
        };
        let text = format!("log 0x0 \"{{{shown}}}\"{test}");
        let variables: Vec<Variable> = (0..)
            .zip(VARIABLES)
            .map(|(id, (name, _, at))| Variable {
                name: name.into(),
                ty: TypeId(id),
                kind: VariableKind::Local,
                place: at_frame(index * FRAME + at),
                line: 1,
                counts: Vec::new(),
                shadow: 1,
            })
            .collect();
        Self {
            plan: compiled(&text, &Types(language), language, &variables),
            text,
            frame: values.frame(),
            wanted: is_sent.then(|| value.shown()),
        }
    }
}

/// Attaches a batch, passes it once, and compares. Returns the number of sent records.
fn check(rig: &mut Rig, language: Language, seed: u64, count: usize) -> usize {
    let mut random = Random::new(seed);
    let cases: Vec<Case> = (0..count)
        .map(|index| Case::new(&mut random, language, index))
        .collect();
    let frames: Vec<u8> = cases.iter().flat_map(|case| case.frame.clone()).collect();
    let sites: Vec<_> = (0..)
        .zip(&cases)
        .map(|(index, case)| (row_offset(index), case.plan.program.ops.clone()))
        .collect();
    let (slot, cookies) = rig.probe(&UNLIMITED, &sites);
    row().pass([frames.as_ptr() as u64, 0, 0, 0, 0, 0]);
    let mut records: BTreeMap<u32, Vec<u8>> = rig
        .records()
        .into_iter()
        .map(|record| (record.header.site, record.bytes))
        .collect();
    for (index, (case, cookie)) in cases.iter().zip(&cookies).enumerate() {
        let got = records.remove(cookie);
        let got = got.map(|record| case.plan.layout.decode(&record).expect("decodes").message);
        assert_eq!(
            got, case.wanted,
            "{language:?}, seed {seed}, case {index}: {} over {:x?}",
            case.text, case.frame
        );
    }
    let counters = rig.counters(slot);
    let sent = cases.iter().filter(|case| case.wanted.is_some()).count();
    assert_eq!(
        (counters.events, counters.rejected),
        (sent as u64, (count - sent) as u64)
    );
    rig.remove(slot);
    sent
}

#[test]
fn random_floats_of_the_kernel_are_those_of_the_processor() {
    let Some(mut rig) = Rig::load(Way::Best, RING) else {
        return;
    };
    // Attaching one link at a time takes long.
    let (count, batches) = match (rig.machine.has_multi_links(), emulated()) {
        (true, false) => (BATCH, BATCHES),
        (true, true) => (BATCH, 1),
        (false, _) => (BATCH / 8, 1),
    };
    for language in [Language::Rust, Language::C] {
        for seed in 0..batches {
            let sent = check(&mut rig, language, seed, count);
            assert!((count / 2..count).contains(&sent), "{sent}");
        }
    }
}
