//! Memory of random contents: no panic, and bounded time.

mod arena;
mod driver;

use std::time::{Duration, Instant};

use proptest::prelude::*;

/// Time that one case may take, in a build without optimization.
const LIMIT: Duration = Duration::from_secs(20);

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_memory_costs_bounded_time(input in prop::collection::vec(any::<u8>(), 0..6000)) {
        let start = Instant::now();
        arena::case(&input);
        let took = start.elapsed();
        prop_assert!(took < LIMIT, "{took:?}");
    }

    #[test]
    fn memory_that_repeats_a_few_words_costs_bounded_time(input in prop::collection::vec(any::<u8>(), 1..40)) {
        let start = Instant::now();
        arena::case(&input);
        let took = start.elapsed();
        prop_assert!(took < LIMIT, "{took:?}");
    }

    #[test]
    fn texts_of_expressions_never_panic(text in "[-+*/%()\\[\\]{}.,:=!<>abcrexuUXo0-9_'\"\\\\ é]{0,60}") {
        let _ = tracer_cpython::expr::parse_expression(&text);
        let _ = tracer_cpython::expr::parse_template(&text);
    }
}
