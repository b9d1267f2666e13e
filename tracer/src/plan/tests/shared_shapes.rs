//! Plans share the finished shapes of types, and change none of them.

use std::sync::Arc;

use super::fixture::{Fixture, int, member, structure};
use super::{at_frame, run, stack};
use crate::base::address::LinkAddr;
use crate::debuginfo::types::{Derived, StructType, TypeId, TypeKind};
use crate::plan::limits::{FOLLOWED_OPS, Limits, SHAPE_PARTS};
use crate::plan::shape::shape_cache::{Shape, ShapeKey};
use crate::plan::shape::{Field, Node};
use crate::plan::{Plan, ShapeCache};

/// `&app::Named`, a struct with a text.
fn named(fixture: &mut Fixture) -> TypeId {
    let text = fixture.str();
    let members = vec![member("n", int(8, true), 0), member("text", text, 8)];
    let named = fixture.add("app::Named", 24, TypeKind::Struct(structure(members)));
    fixture.reference(named, "&app::Named")
}

/// The shape of each value, in the order of capture.
fn shapes(plan: &Plan) -> Vec<Arc<Shape>> {
    let roots = plan.layout.captured.roots.iter();
    roots.map(|root| Arc::clone(&root.shape.shape)).collect()
}

/// Memory with two references to structs with texts.
fn two_texts() -> crate::program::reference::Regions {
    let mut memory = stack(&[0x5000_u64.to_le_bytes(), 0x6000_u64.to_le_bytes()].concat());
    for (at, text) in [(0x5000_u64, "one"), (0x6000, "two")] {
        let words = [7, at + 0x100, text.len() as u64];
        let bytes: Vec<u8> = words.into_iter().flat_map(u64::to_le_bytes).collect();
        memory.0.insert(at, bytes);
        memory.0.insert(at + 0x100, text.as_bytes().to_vec());
    }
    memory
}

#[test]
fn variables_of_one_type_share_a_shape_in_all_plans() {
    let mut fixture = Fixture::default();
    let ty = named(&mut fixture);
    fixture.variable("a", ty, at_frame(0));
    fixture.variable("b", ty, at_frame(8));
    let cache = ShapeCache::default();
    let first = shapes(&fixture.plan_with(&cache).expect("compiles"));
    let second = shapes(&fixture.plan_with(&cache).expect("compiles"));
    let [shape, others @ ..] = &[first, second].concat()[..] else {
        panic!("no values");
    };
    assert_eq!(others.len(), 3);
    assert!(others.iter().all(|other| Arc::ptr_eq(other, shape)));
    assert_eq!(
        run(&fixture, &two_texts()),
        "a = Named { n: 7, text: \"one\" }, b = Named { n: 7, text: \"two\" }"
    );
}

#[test]
fn redaction_of_one_variable_leaves_others_of_its_type_alone() {
    let mut fixture = Fixture::default();
    let ty = named(&mut fixture);
    fixture.variable("password", ty, at_frame(0));
    fixture.variable("user", ty, at_frame(8));
    assert_eq!(
        run(&fixture, &two_texts()),
        "password = <redacted>, user = Named { n: 7, text: \"two\" }"
    );
}

#[test]
fn other_limits_make_another_shape() {
    let mut fixture = Fixture::default();
    let ty = named(&mut fixture);
    fixture.variable("a", ty, at_frame(0));
    let cache = ShapeCache::default();
    let whole = shapes(&fixture.plan_with(&cache).expect("compiles"));
    fixture.limits.depth = 0;
    let flat = shapes(&fixture.plan_with(&cache).expect("compiles"));
    assert_eq!((whole.len(), flat.len()), (1, 1));
    assert!(whole.iter().all(|shape| shape.slots > 0));
    assert!(flat.iter().all(|shape| shape.slots == 0));
}

/// A list of references that is followed further than the registers reach.
fn long_list(fixture: &mut Fixture) -> TypeId {
    fixture.limits.depth = 16;
    let link = fixture.reserve();
    let reference = fixture.reference(link, "&app::Link");
    let members = vec![member("next", reference, 0), member("n", int(8, true), 8)];
    fixture.define(
        link,
        "app::Link",
        Some(16),
        TypeKind::Struct(structure(members)),
    );
    reference
}

#[test]
fn part_without_registers_is_left_out_of_one_plan_only() {
    let mut fixture = Fixture::default();
    let ty = long_list(&mut fixture);
    fixture.variable("a", ty, at_frame(0));
    let cache = ShapeCache::default();
    let first = shapes(&fixture.plan_with(&cache).expect("compiles"));
    let kept = kept(&cache, &fixture, ty);
    let before = format!("{kept:?}");
    let second = shapes(&fixture.plan_with(&cache).expect("compiles"));
    for changed in first.iter().chain(&second) {
        assert!(!Arc::ptr_eq(changed, &kept));
        assert!(format!("{:?}", changed.node).contains("nested too deeply"));
    }
    assert_eq!(before, format!("{kept:?}"));
    let mut memory = stack(&0x5000_u64.to_le_bytes());
    for n in 0..20_u64 {
        let words = [0x5000 + (n + 1) * 0x100, n];
        let bytes: Vec<u8> = words.into_iter().flat_map(u64::to_le_bytes).collect();
        memory.0.insert(0x5000 + n * 0x100, bytes);
    }
    let message = run(&fixture, &memory);
    assert!(message.contains("nested too deeply>, n: 9 }"), "{message}");
}

/// The kept shape of a type.
fn kept(cache: &ShapeCache, fixture: &Fixture, ty: TypeId) -> Arc<Shape> {
    let key = ShapeKey {
        ty,
        ops: FOLLOWED_OPS,
        limits: fixture.limits,
    };
    cache.get(&key).expect("the shape is kept")
}

#[test]
fn shape_with_addresses_of_the_process_is_not_kept() {
    let mut fixture = Fixture::default();
    let body = StructType {
        members: vec![member("n", int(4, true), 8)],
        polymorphic: true,
        ..StructType::default()
    };
    let base = fixture.class("Base", 16, body.clone());
    let derived = fixture.class("Derived", 16, body);
    let info = LinkAddr(0x7000);
    fixture
        .derived
        .push(("Base", Derived { ty: derived, info }));
    let pointer = fixture.cpp_pointer(base);
    fixture.variable("a", pointer, at_frame(0));
    let cache = ShapeCache::default();
    let first = shapes(&fixture.plan_with(&cache).expect("compiles"));
    let second = shapes(&fixture.plan_with(&cache).expect("compiles"));
    assert_eq!(format!("{first:?}"), format!("{second:?}"));
    for (first, second) in first.iter().zip(&second) {
        assert!(!Arc::ptr_eq(first, second));
    }
}

#[test]
fn cache_of_shapes_is_bounded() {
    let cache = ShapeCache::default();
    let key = |number| ShapeKey {
        ty: TypeId(number),
        ops: 1,
        limits: Limits::default(),
    };
    let of_parts = |parts: usize| {
        let field = Field {
            name: "f".into(),
            offset: 0,
            node: Node::Unit,
        };
        let fields = vec![field; parts - 2];
        Shape::new(Node::Struct("S".into(), fields), 0, "S".into())
    };
    cache.keep(key(0), of_parts(SHAPE_PARTS / 4));
    assert!(cache.get(&key(0)).is_none(), "one shape is too large");
    for number in 0..8 {
        cache.keep(key(number), of_parts(SHAPE_PARTS / 8));
    }
    assert!((0..8).all(|number| cache.get(&key(number)).is_some()));
    cache.keep(key(8), of_parts(2));
    assert!((0..8).all(|number| cache.get(&key(number)).is_none()));
    assert!(cache.get(&key(8)).is_some());
}
