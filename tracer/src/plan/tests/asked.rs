//! Questions that a value cannot answer are refused, with a hint.

use super::at_frame;
use super::fixture::{Fixture, int, member, raw, structure};
use crate::debuginfo::types::TypeKind;

/// The error of a condition, and its hint.
fn refused(condition: &str) -> (String, Option<String>) {
    let mut fixture = Fixture::default();
    let members = vec![
        member("id", int(4, false), 0),
        member("length", int(4, false), 4),
    ];
    let request = fixture.add("app::Request", 8, TypeKind::Struct(structure(members)));
    let reference = fixture.reference(request, "&app::Request");
    fixture.variable("request", reference, at_frame(0));
    let data = raw(&mut fixture, int(4, false));
    let members = vec![
        member("data_ptr", data, 0),
        member("length", int(8, false), 8),
    ];
    let own = fixture.add(
        "app::Slice",
        16,
        TypeKind::Struct(structure(members.clone())),
    );
    let slice = fixture.add("&[u32]", 16, TypeKind::Struct(structure(members)));
    fixture.variable("slice", slice, at_frame(8));
    fixture.variable("own", own, at_frame(24));
    fixture.variable("n", int(2, false), at_frame(40));
    let option = fixture.option_of_reference();
    fixture.variable("option", option, at_frame(48));
    fixture.probe(&format!("log 0x0 \"\" if {condition}"));
    let error = fixture.plan().expect_err(condition);
    (error.message, error.hint)
}

#[test]
fn questions_that_a_type_cannot_answer_are_refused() {
    for (condition, message, hint) in [
        (
            "request.is_empty()",
            "`&Request` has no length",
            "name its field: `request.length`",
        ),
        (
            "request.len() > 1",
            "`&Request` has no length",
            "name its field: `request.length`",
        ),
        ("own.is_empty()", "`Slice` has no length", "`own.length`"),
        ("own == \"x\"", "`Slice` is not a text", ""),
        ("slice == \"x\"", "`&[u32]` is not a text", ""),
        ("n.is_some()", "`u16` is not an `Option`", ""),
        ("n == None", "`u16` is not an `Option`", ""),
        ("n.is_null()", "`u16` is not a pointer", ""),
        ("n.is_empty()", "`u16` has no length", ""),
        (
            "option.is_ok()",
            "`Option<&Pointer>` is not a `Result`",
            "write `option.is_some()` or `option.is_none()`",
        ),
        (
            "option.is_empty()",
            "`Option<&Pointer>` has no length",
            "write its value: `option.Some.0`",
        ),
        (
            "option > 3",
            "`Option<&Pointer>` is not a number",
            "write its value: `option.Some.0`",
        ),
        (
            "option == \"x\"",
            "`Option<&Pointer>` is not a text",
            "write its value: `option.Some.0`",
        ),
    ] {
        let (found, hinted) = refused(condition);
        assert_eq!(found, message, "{condition}");
        let hinted = hinted.unwrap_or_default();
        assert!(hinted.contains(hint), "{condition}: {hinted}");
    }
}
