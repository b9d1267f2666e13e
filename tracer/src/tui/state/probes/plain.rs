//! The probes whose messages only list values: the list of events shortens these.

use std::collections::BTreeMap;

use crate::event::ProbeId;
use crate::session::ProbeStatus;

/// Former probes that are remembered, because the list may still have events of them.
const FORMER: usize = 1000;

/// Probes, also former ones, and whether each has no template.
#[derive(Debug, Default)]
pub(in crate::tui) struct PlainProbes(BTreeMap<ProbeId, bool>);

impl PlainProbes {
    /// Learns of the present probes, and forgets the oldest former ones.
    pub(in crate::tui) fn know(&mut self, present: &[ProbeStatus]) {
        let known = present
            .iter()
            .map(|probe| (probe.id, !probe.text.contains('"')));
        self.0.extend(known);
        while self.0.len() > present.len() + FORMER {
            let is_former = |id: &&ProbeId| present.iter().all(|probe| probe.id != **id);
            let Some(oldest) = self.0.keys().find(is_former).copied() else {
                break;
            };
            self.0.remove(&oldest);
        }
    }

    /// Returns true if the messages of a probe only list its values.
    pub(in crate::tui) fn is_plain(&self, id: ProbeId) -> bool {
        self.0.get(&id).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::super::fake::Fake;
    use super::*;
    use crate::session::Control as _;

    #[test]
    fn former_probes_are_bounded_and_present_ones_stay() {
        let fake = Fake::new(0);
        fake.add("log main.rs:18").expect("the fake takes it");
        let first = fake.probes().remove(0);
        let mut plain = PlainProbes::default();
        for number in 2..=5000 {
            let other = ProbeStatus {
                id: ProbeId(number),
                ..first.clone()
            };
            plain.know(&[first.clone(), other]);
        }
        assert_eq!(plain.0.len(), FORMER + 2);
        assert!(plain.is_plain(first.id) && plain.is_plain(ProbeId(4999)));
        assert!(!plain.is_plain(ProbeId(2)));
    }
}
