//! Values that are redacted by names on the way to them, typed or not.

use super::fixture::{Fixture, int, member, structure};
use super::{at_frame, run, stack};
use crate::debuginfo::types::{
    Base, BaseOffset, Language, StructMember, StructType, TypeId, TypeKind, VariantPart,
    VariantType,
};

/// Bytes of `u32`s from 1 on.
fn numbers() -> Vec<u8> {
    (1..=8_u32).flat_map(u32::to_le_bytes).collect()
}

/// The text that a template shows at a site of that language.
fn shown(make: &dyn Fn(&mut Fixture), language: Language, template: &str) -> String {
    let mut fixture = Fixture::default();
    fixture.language = Some(language);
    make(&mut fixture);
    fixture.probe(&format!("log 0x0 \"{template}\""));
    run(&fixture, &stack(&numbers()))
}

/// The error of a probe where redacted values must not be told.
fn refused(make: &dyn Fn(&mut Fixture), language: Language, probe: &str) -> Option<String> {
    let mut fixture = Fixture::default();
    fixture.language = Some(language);
    fixture.limits.confined = true;
    make(&mut fixture);
    fixture.probe(probe);
    fixture.plan().err().map(|error| error.message)
}

fn class(members: Vec<StructMember>, bases: Vec<Base>) -> StructType {
    StructType {
        members,
        bases,
        ..StructType::default()
    }
}

/// `login`: a `Login`, which derives from `Credentials` through another class.
fn login(fixture: &mut Fixture) {
    let pin = vec![member("pin", int(4, false), 0)];
    let base = |ty| Base {
        ty,
        offset: BaseOffset::Fixed(0),
    };
    let credentials = fixture.class("app::Credentials", 4, class(pin, vec![]));
    let user = vec![member("user", int(4, false), 4)];
    let account = fixture.class("app::Account", 8, class(user, vec![base(credentials)]));
    let door = vec![member("door", int(4, false), 8)];
    let login = fixture.class("app::Login", 12, class(door, vec![base(account)]));
    fixture.variable("login", login, at_frame(0));
}

#[test]
fn base_class_that_is_left_out_redacts_its_members_alone() {
    let template = "{login.pin} {login.user} {login.door}";
    assert_eq!(shown(&login, Language::Cpp, template), "<redacted> 2 3");
    let question = |probe| refused(&login, Language::Cpp, probe);
    for probe in [
        "log 0x0 \"\" if login.pin > 5",
        "log 0x0 \"\" if login.user > 5 && login.pin > 5",
        "count 0x0 if login.pin == 1",
    ] {
        let why = question(probe).expect(probe);
        assert!(
            why.starts_with("a condition on a redacted value"),
            "{probe}: {why}"
        );
    }
    for probe in ["count 0x0 by login.pin", "hist 0x0 login.pin"] {
        let why = question(probe).expect(probe);
        assert_eq!(why, "values of this name are redacted", "{probe}");
    }
    assert_eq!(question("log 0x0 \"\" if login.user > 5"), None);
    assert_eq!(question("count 0x0 by login.door"), None);
}

fn statics(fixture: &mut Fixture) {
    let number = int(4, false);
    fixture.static_variable("app::secrets::pin", number, at_frame(0));
    fixture.static_variable("tokens::limit", number, at_frame(4));
    fixture.static_variable("app::Map<secrets::Key>::size", number, at_frame(8));
    fixture.variable("user", number, at_frame(12));
}

#[test]
fn module_that_is_left_out_redacts_a_static_and_the_crate_does_not() {
    let shown = |template| shown(&statics, Language::Rust, template);
    assert_eq!(shown("{pin} {secrets::pin}"), "<redacted> <redacted>");
    assert_eq!(shown("{limit} {tokens::limit}"), "2 2");
    assert_eq!(shown("{size} {user}"), "3 4");
    let why = refused(&statics, Language::Rust, "count 0x0 if pin == 1");
    assert!(why.is_some_and(|why| why.starts_with("a condition on a redacted value")));
}

fn with_variants(fixture: &mut Fixture, names: [&str; 2]) -> TypeId {
    let variant = |fixture: &mut Fixture, name: &str, field: &str, tag| VariantType {
        name: name.into(),
        values: vec![(tag, tag)],
        ty: fixture.add(
            name,
            8,
            TypeKind::Struct(structure(vec![member(field, int(4, false), 4)])),
        ),
        line: None,
    };
    let variants = vec![
        variant(fixture, names[0], "__0", 1),
        variant(fixture, names[1], "number", 2),
    ];
    let body = StructType {
        variants: Some(VariantPart {
            discriminant: Some(member("", int(4, false), 0)),
            variants,
        }),
        ..StructType::default()
    };
    fixture.add("app::Auth", 8, TypeKind::Struct(body))
}

fn auth(fixture: &mut Fixture) {
    let ty = with_variants(fixture, ["Password", "Ticket"]);
    fixture.variable("auth", ty, at_frame(0));
    // Its second variant is active.
    fixture.variable("other", ty, at_frame(4));
}

#[test]
fn variant_that_is_left_out_redacts_its_fields_alone() {
    let shown = |template| shown(&auth, Language::Rust, template);
    assert_eq!(shown("{auth.0} {auth.Password.0}"), "<redacted> <redacted>");
    assert_eq!(
        shown("{auth} {other}"),
        "Password(<redacted>) Ticket { number: 3 }"
    );
    assert_eq!(shown("{other.number}"), "3");
    let why = refused(&auth, Language::Rust, "log 0x0 \"\" if auth.0 > 1");
    assert!(why.is_some_and(|why| why.starts_with("a condition on a redacted value")));
    // The key is the variant, without its data.
    let mut fixture = Fixture::default();
    auth(&mut fixture);
    fixture.probe("count 0x0 by auth");
    let key = fixture.plan().expect("compiles").key.expect("a key");
    assert_eq!(
        key.of_number(0, 1).expect("it is one").to_string(),
        "Password(…)"
    );
}

fn wrapped(fixture: &mut Fixture) {
    let tuple = structure(vec![member("__0", int(4, false), 0)]);
    let token = fixture.add("app::Token", 4, TypeKind::Struct(tuple));
    fixture.variable("first", token, at_frame(0));
    let named = structure(vec![member("secret", int(4, false), 0)]);
    let one = fixture.add("app::One", 4, TypeKind::Struct(named));
    fixture.variable("second", one, at_frame(4));
    let two = structure(vec![
        member("secret", int(4, false), 0),
        member("place", int(4, false), 4),
    ]);
    let two = fixture.add("app::Two", 8, TypeKind::Struct(two));
    fixture.variable("third", two, at_frame(8));
    let point = super::point(fixture);
    let tuple = structure(vec![member("__0", point, 0)]);
    let plain = fixture.add("app::Plain", 4, TypeKind::Struct(tuple));
    fixture.variable("fourth", plain, at_frame(16));
}

#[test]
fn number_of_a_type_with_a_redacted_part_alone_is_redacted() {
    let shown = |template| shown(&wrapped, Language::Rust, template);
    assert_eq!(
        shown("{first} {first.0} {first + 1}"),
        "Token(<redacted>) <redacted> <redacted>"
    );
    assert_eq!(
        shown("{second} {second + 1}"),
        "One { secret: <redacted> } <redacted>"
    );
    assert_eq!(shown("{third.place} {fourth.0.x}"), "4 5");
    let refused = |probe| refused(&wrapped, Language::Rust, probe);
    for probe in ["log 0x0 \"\" if first > 1", "count 0x0 if second == 1"] {
        let why = refused(probe).expect(probe);
        assert!(
            why.starts_with("a condition on a redacted value"),
            "{probe}: {why}"
        );
    }
    assert_eq!(refused("count 0x0 if third.place == 1"), None);
}

#[test]
fn key_with_redacted_bytes_is_refused() {
    let refused = |probe| refused(&wrapped, Language::Rust, probe);
    for probe in ["count 0x0 by first", "count 0x0 by second"] {
        let why = refused(probe).expect(probe);
        assert_eq!(why, "values of this name are redacted", "{probe}");
    }
    let why = refused("count 0x0 by third").expect("two parts");
    assert_eq!(
        why,
        "`Two` has redacted parts, so hits cannot be counted by it"
    );
    assert_eq!(refused("count 0x0 by fourth"), None);
    assert_eq!(refused("count 0x0 by third.place"), None);
}
