//! Random ids of traces and spans.

use std::hash::{BuildHasher as _, RandomState};
use std::num::{NonZeroU64, NonZeroU128};

use crate::event::{SpanId, TraceId};

/// Makes ids. The keys of the hash come from the operating system's random numbers.
#[derive(Debug, Default)]
pub(super) struct RandomIds {
    hash: RandomState,
    last: u64,
}

impl RandomIds {
    /// A trace id.
    pub(super) fn trace(&mut self) -> TraceId {
        loop {
            let bits = u128::from(self.word()) << 64 | u128::from(self.word());
            if let Some(bits) = NonZeroU128::new(bits) {
                return TraceId(bits);
            }
        }
    }

    /// A span id.
    pub(super) fn span(&mut self) -> SpanId {
        loop {
            if let Some(bits) = NonZeroU64::new(self.word()) {
                return SpanId(bits);
            }
        }
    }

    fn word(&mut self) -> u64 {
        self.last = self.last.wrapping_add(1);
        self.hash.hash_one(self.last)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_differ_and_use_all_of_their_bits() {
        let (mut one, mut other) = (RandomIds::default(), RandomIds::default());
        let mut traces = BTreeSet::new();
        let (mut any, mut all) = (0_u128, u128::MAX);
        for _ in 0..1000 {
            for ids in [&mut one, &mut other] {
                let trace = ids.trace();
                any |= trace.0.get();
                all &= trace.0.get();
                assert!(traces.insert(trace), "{trace} came twice");
                assert_ne!(ids.span(), ids.span());
            }
        }
        assert_eq!((any, all), (u128::MAX, 0));
    }
}
