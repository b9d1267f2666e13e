//! Expressions nested as deeply as the language lets them be: compiled, or refused, at once.

use std::time::{Duration, Instant};

use super::at_frame;
use super::fixture::{Fixture, int};
use crate::base::unavailable::Unavailable;
use crate::debuginfo::place::{LocationExpr, PieceSource, Place, Term};
use crate::debuginfo::types::TypeKind;
use crate::lang::parse_expr;

/// Time for all of them.
const TIME: Duration = Duration::from_secs(5);

#[test]
fn nested_expressions_take_no_time() {
    let started = Instant::now();
    let mut fixture = Fixture::default();
    let array = TypeKind::Array {
        element: int(4, true),
        dimensions: vec![Some(9)],
    };
    let array = fixture.add("[i32; 9]", 36, array);
    fixture.c_int("unsigned char", 1, false);
    fixture.variable("n", int(4, true), at_frame(-8));
    fixture.variable("a", array, at_frame(-64));
    let nested = |before: &str, after: &str, levels: usize| {
        format!("{}n{}", before.repeat(levels), after.repeat(levels))
    };
    for levels in [12, 20, 60] {
        for text in [
            nested("!", "", levels),
            nested("- ", "", levels),
            nested("~", "", levels),
            nested("n/(", ")", levels),
            nested("n<<(", ")", levels),
            nested("a[", "]", levels),
            nested("!(1==", ")", levels),
            nested("(", "==n)", levels),
            nested("n==(", ")", levels),
            nested("(true==", ")", levels),
            nested("!(n>1&&", ")", levels),
            nested("(n as u8)+(", ")", levels),
            nested("*&", "", levels),
            nested("*(unsigned char *)(1==", ")", levels),
            nested("*(unsigned char *)(1+", ")", levels),
            nested("1==*(unsigned char *)(2<<", ")", levels),
            nested("a[1==", "]", levels),
            nested("a[1<<~", "]", levels),
        ] {
            let Ok(condition) = parse_expr(&text) else {
                continue;
            };
            fixture.condition(condition);
            // A plan or an error: what counts is that it comes.
            let _ = fixture.plan();
            assert!(started.elapsed() < TIME, "{text}");
        }
    }
}

#[test]
fn location_of_nested_reads_is_refused() {
    for (term, levels) in [(Term::Deref(3), 400), (Term::Deref(7), 400)] {
        let mut terms = vec![Term::Register(crate::debuginfo::place::Register(3))];
        terms.extend(vec![term; levels]);
        let place = Place::whole(PieceSource::Value(LocationExpr(terms)));
        let mut fixture = Fixture::default();
        fixture.variable("n", int(8, true), place);
        let plan = fixture.plan().expect("compiles");
        let why = "a location of many steps".to_owned();
        let planned = plan.layout.planned();
        let unavailable = planned[0].unavailable.clone();
        assert_eq!(unavailable, Some(Unavailable::Unsupported(why)), "{term:?}");
    }
}
