//! Hits that are counted by a key, or sorted into buckets.

mod variants;

use super::*;

#[test]
fn counted_text_is_the_key_wherever_it_is_in_memory() {
    let mut fixture = Fixture::default();
    let text = fixture.str();
    fixture.variable("path", text, at_frame(0));
    fixture.action(Action::Count(CountAction {
        by: Some(name("path")),
    }));
    let plan = fixture.plan().expect("compiles");
    let key = plan.key.as_ref().expect("a key");
    let mut seen = Vec::new();
    for address in [0x5000_u64, 0x6000] {
        let mut bytes = address.to_le_bytes().to_vec();
        bytes.extend(5_u64.to_le_bytes());
        let mut memory = stack(&bytes);
        memory.0.insert(address, b"/home and more".to_vec());
        let outcome = ReferenceMachine::new(&memory)
            .with(RBP, STACK)
            .run(&plan.program.ops);
        let Outcome::TalliedRecord(chunks) = outcome else {
            panic!("{outcome:?}");
        };
        let value = key.of_bytes(&chunks).expect("decodes");
        let mut text = String::new();
        debug::write(&mut text, &value, debug::DEBUG).expect("writes");
        assert_eq!(text, "\"/home\"");
        seen.push(chunks);
    }
    assert_eq!(seen[0], seen[1]);
}

#[test]
fn counted_number_that_is_unreadable_is_a_key_of_its_own() {
    let mut fixture = Fixture::default();
    fixture.variable("n", int(2, true), at_frame(0));
    fixture.action(Action::Count(CountAction {
        by: Some(name("n")),
    }));
    let plan = fixture.plan().expect("compiles");
    let key = plan.key.as_ref().expect("a key");
    let run = |memory: &Regions| {
        ReferenceMachine::new(memory)
            .with(RBP, STACK)
            .run(&plan.program.ops)
    };
    let shown = |outcome| match outcome {
        Outcome::Tallied(status, number) => key.of_number(status, number).expect("decodes"),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        shown(run(&stack(&(-3_i16).to_le_bytes()))),
        Value::Int(-3, 16)
    );
    assert_eq!(
        shown(run(&Regions::default())),
        Value::Unavailable(Unavailable::Unreadable(None))
    );
}

#[test]
fn counting_needs_no_op_and_a_condition_only_its_own() {
    let mut fixture = Fixture::default();
    fixture.variable("n", int(4, true), at_frame(0));
    fixture.action(Action::Count(CountAction { by: None }));
    let plan = fixture.plan().expect("compiles");
    assert!(plan.program.ops.is_empty());
    assert_eq!(plan.program.flags, tracer_common::control::COUNTS);
    fixture.condition(name("n"));
    let plan = fixture.plan().expect("compiles");
    let codes: Vec<u8> = plan.program.ops.iter().map(|op| op.code).collect();
    assert_eq!(
        codes,
        [
            op::LOAD,
            op::JUMP_IF_CONST,
            op::COUNT,
            op::REJECT,
            op::FAULT
        ]
    );
    assert_eq!(plan.program.flags, tracer_common::control::ADDS_UP);
}

#[test]
fn key_has_the_precedence_of_the_language_at_the_site() {
    for action in ["count 0x0 by n & m == 2", "hist 0x0 n & m == 2"] {
        let tallied = |language| {
            let mut fixture = Fixture::default();
            fixture.language = Some(language);
            fixture.variable("n", int(4, true), at_frame(0));
            fixture.variable("m", int(4, true), at_frame(4));
            fixture.probe(action);
            let plan = fixture.plan().expect("compiles");
            let memory = stack(&[6_u32.to_le_bytes(), 2_u32.to_le_bytes()].concat());
            let outcome = ReferenceMachine::new(&memory)
                .with(RBP, STACK)
                .run(&plan.program.ops);
            match outcome {
                Outcome::Tallied(0, value) => value,
                other => panic!("{other:?}"),
            }
        };
        // `(6 & 2) == 2` and `6 & (2 == 2)`.
        assert_eq!(tallied(Language::Rust), 1, "{action}");
        assert_eq!(tallied(Language::C), 0, "{action}");
    }
}

#[test]
fn histogram_of_a_float_is_refused() {
    let mut fixture = Fixture::default();
    let float = fixture.add("f64", 8, TypeKind::Float);
    fixture.variable("f", float, at_frame(0));
    fixture.action(Action::Hist(HistAction {
        value: name("f"),
        step: None,
    }));
    let error = fixture.plan().expect_err("floats have no buckets");
    assert!(error.message.contains("float"), "{error}");
}
