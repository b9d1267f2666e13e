//! Hits that are counted by the variant of an enum.

use super::super::fixture::{Fixture, int, member, name, structure};
use super::super::{RBP, STACK, at_frame, stack};
use crate::base::unavailable::Unavailable;
use crate::debuginfo::types::{StructType, TypeId, TypeKind, VariantPart, VariantType};
use crate::lang::ast::{Action, CountAction};
use crate::plan::Plan;
use crate::program::reference::{Outcome, ReferenceMachine};
use crate::value::Value;

fn plan_by(ty: TypeId, fixture: &mut Fixture) -> Plan {
    fixture.variable("e", ty, at_frame(0));
    fixture.action(Action::Count(CountAction {
        by: Some(name("e")),
    }));
    fixture.plan().expect("compiles")
}

/// The key in the kernel for these bytes of the value, and what is shown of it.
fn counted(plan: &Plan, bytes: &[u8]) -> (u64, Value) {
    let memory = stack(bytes);
    let outcome = ReferenceMachine::new(&memory)
        .with(RBP, STACK)
        .run(&plan.program.ops);
    let Outcome::Tallied(status, number) = outcome else {
        panic!("{outcome:?}");
    };
    let key = plan.key.as_ref().expect("a key");
    (number, key.of_number(status, number).expect("decodes"))
}

/// An enum of one discriminant byte and a pointer, with a variant for each list of discriminants.
fn of_discriminants(fixture: &mut Fixture, lists: &[&[(u128, u128)]]) -> TypeId {
    let point = super::super::point(fixture);
    let reference = fixture.reference(point, "&app::Pointer");
    let payload = structure(vec![member("place", reference, 8)]);
    let body = fixture.add("Payload", 16, TypeKind::Struct(payload));
    let variants = lists
        .iter()
        .enumerate()
        .map(|(number, values)| VariantType {
            name: format!("V{number}"),
            values: values.to_vec(),
            ty: body,
            line: None,
        });
    let part = VariantPart {
        discriminant: Some(member("", int(1, false), 0)),
        variants: variants.collect(),
    };
    let body = StructType {
        variants: Some(part),
        ..StructType::default()
    };
    fixture.add("app::Kind", 16, TypeKind::Struct(body))
}

#[test]
fn data_in_the_bytes_of_the_discriminant_makes_one_key() {
    let mut fixture = Fixture::default();
    let ty = fixture.option_of_reference();
    let plan = plan_by(ty, &mut fixture);
    let of = |address: u64| counted(&plan, &address.to_le_bytes());
    let (none, some) = (of(0), of(0x5000));
    assert_eq!(none.1.to_string(), "None");
    assert_eq!(some.1.to_string(), "Some(…)");
    for address in [1, 0x6000, u64::MAX] {
        assert_eq!(of(address), some);
    }
}

#[test]
fn discriminants_of_a_variant_are_one_key_and_unlisted_ones_those_of_the_rest() {
    let mut fixture = Fixture::default();
    let lists: &[&[(u128, u128)]] = &[&[(0, 3), (9, 9)], &[(4, 4)], &[], &[(250, 255)]];
    let ty = of_discriminants(&mut fixture, lists);
    let plan = plan_by(ty, &mut fixture);
    let mut keys = std::collections::BTreeMap::new();
    for tag in 0..=255_u8 {
        let mut bytes = [0x55; 16];
        bytes[0] = tag;
        let (key, value) = counted(&plan, &bytes);
        let wanted = match tag {
            0..=3 | 9 => 0,
            4 => 1,
            250..=255 => 3,
            _ => 2,
        };
        assert_eq!(value.to_string(), format!("V{wanted} {{ … }}"), "{tag}");
        assert_eq!(*keys.entry(wanted).or_insert(key), key, "{tag}");
    }
    assert_eq!(keys.len(), 4);
}

#[test]
fn discriminant_of_no_variant_is_a_row_with_the_reason() {
    let mut fixture = Fixture::default();
    let ty = of_discriminants(&mut fixture, &[&[(0, 0)], &[(1, 1)]]);
    let plan = plan_by(ty, &mut fixture);
    let mut bytes = [0; 16];
    bytes[0] = 7;
    let why = Unavailable::Invalid("discriminant 7".into());
    assert_eq!(counted(&plan, &bytes).1, Value::Unavailable(why));
}
