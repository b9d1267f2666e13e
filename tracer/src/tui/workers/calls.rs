//! Reads a traced call of a recording, whose steps may be far apart.

use std::sync::Arc;

use super::super::action::{CallWish, LoadedCall};
use crate::event::Event;
use crate::event::call::{CALL_STEPS, CallKey};
use crate::session::Notice;
use crate::session::playback::{Beyond, Playback, PlaybackPlace, Window};

/// Windows of a recording that are looked through for one call.
const WINDOWS: usize = 64;

/// One end of the part that was read.
#[derive(Clone, Copy)]
struct ReadEnd {
    /// Number of the outermost event that was read.
    event: u64,
    beyond: Beyond,
    /// No more steps can be there.
    is_whole: bool,
}

impl ReadEnd {
    /// The event from which to read on. `None` if there is nothing to read.
    fn next(self, back: bool) -> Option<u64> {
        match self.beyond {
            _ if self.is_whole => None,
            Beyond::Nothing => None,
            Beyond::Unsearched(event) => Some(event),
            Beyond::Events if back => self.event.checked_sub(1),
            Beyond::Events => self.event.checked_add(1),
        }
    }
}

/// The steps of a call, in the order of the recording.
pub(super) fn load(playback: &dyn Playback, wish: CallWish) -> LoadedCall {
    let is_step = |event: &Event| {
        let step = event.step.as_ref();
        event.origin.probe == wish.probe && step.is_some_and(|step| step.call == wish.call)
    };
    let window = playback.window(PlaybackPlace::From(wish.near), &is_step);
    let near = |beyond| ReadEnd {
        event: wish.near,
        beyond,
        is_whole: false,
    };
    let (mut before, mut behind) = (near(window.before), near(window.behind));
    let mut events = Vec::new();
    take(window, &mut events, &mut before, &mut behind);
    let mut is_back = true;
    for _ in 0..WINDOWS {
        let nexts = (before.next(true), behind.next(false));
        if events.len() >= CALL_STEPS || nexts == (None, None) {
            break;
        }
        // Both ways in turn, as long as both may have steps.
        let (place, back) = match (nexts, is_back) {
            ((Some(event), None), _) | ((Some(event), _), true) => {
                (PlaybackPlace::Before(event), true)
            }
            ((_, Some(event)), _) => (PlaybackPlace::From(event), false),
            ((None, None), _) => break,
        };
        is_back = !back;
        let window = playback.window(place, &is_step);
        match back {
            true => before.beyond = window.before,
            false => behind.beyond = window.behind,
        }
        take(window, &mut events, &mut before, &mut behind);
    }
    let is_partial = (before.next(true), behind.next(false)) != (None, None);
    LoadedCall {
        wish,
        events,
        is_partial,
    }
}

/// Takes the steps of a window. Those that come again are told apart by their numbers later.
fn take(window: Window, events: &mut Vec<Arc<Event>>, before: &mut ReadEnd, behind: &mut ReadEnd) {
    let key = events.first().and_then(|event| CallKey::of(event));
    for number in &window.numbers {
        before.event = before.event.min(*number);
        behind.event = behind.event.max(*number);
    }
    for notice in window.notices {
        let Notice::Event(event) = notice else {
            continue;
        };
        // The number of a call may be used again after the target has executed another program.
        if key.is_some() && CallKey::of(&event) != key {
            continue;
        }
        if let Some(step) = &event.step {
            before.is_whole |= step.number == 1;
            behind.is_whole |= step.kind.is_last(step.depth);
        }
        events.push(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::ProbeId;
    use crate::session::playback::Extent;
    use crate::tui::fake::{event, traced_call};

    /// A recording that gives few events at a time.
    struct Recorded {
        events: Vec<Arc<Event>>,
        /// Events that are given, or looked at, at a time.
        given: usize,
        searched: usize,
    }

    impl Playback for Recorded {
        fn extent(&self) -> Extent {
            Extent::default()
        }

        fn window(&self, place: PlaybackPlace, shows: &dyn Fn(&Event) -> bool) -> Window {
            let (PlaybackPlace::From(at) | PlaybackPlace::Before(at)) = place else {
                panic!("not asked for");
            };
            let (mut window, at) = (Window::default(), at as usize);
            let mut side = |order: &mut dyn Iterator<Item = usize>| {
                let (mut found, mut looked) = (0, 0);
                for index in order {
                    if found == self.given {
                        return Beyond::Events;
                    }
                    if looked == self.searched {
                        return Beyond::Unsearched(index as u64);
                    }
                    looked += 1;
                    if shows(&self.events[index]) {
                        found += 1;
                        window.numbers.push(index as u64);
                        let event = Arc::clone(&self.events[index]);
                        window.notices.push(Notice::Event(event));
                    }
                }
                Beyond::Nothing
            };
            let behind = side(&mut (at..self.events.len()));
            let before = side(&mut (0..at.min(self.events.len())).rev());
            (window.before, window.behind) = (before, behind);
            window
        }
    }

    /// Two calls that are mixed with each other and with other events.
    fn recorded(given: usize, searched: usize) -> Recorded {
        let mut events = Vec::new();
        for (one, two) in traced_call(1).into_iter().zip(traced_call(2)) {
            events.extend([one, Arc::new(event(2, 1, "other")), two]);
        }
        Recorded {
            events,
            given,
            searched,
        }
    }

    fn numbers(loaded: &LoadedCall) -> Vec<u64> {
        let steps = loaded.events.iter().filter_map(|event| event.step.as_ref());
        let mut numbers: Vec<u64> = steps.map(|step| step.number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    #[test]
    fn call_is_whole_however_little_is_given_at_a_time() {
        let whole = traced_call(2).len();
        for (given, searched) in [(1000, 1000), (3, 1000), (1000, 4), (2, 5)] {
            for near in [0, 40, 89] {
                let wish = CallWish {
                    probe: ProbeId(1),
                    call: 2,
                    near,
                    is_other: false,
                };
                let loaded = load(&recorded(given, searched), wish);
                assert_eq!(numbers(&loaded).len(), whole, "{given} {searched} {near}");
                assert!(!loaded.is_partial);
                let is_it =
                    |event: &Arc<Event>| event.step.as_ref().is_some_and(|one| one.call == 2);
                assert!(loaded.events.iter().all(is_it));
            }
        }
    }

    #[test]
    fn search_ends_and_says_that_it_was_partial() {
        let wish = CallWish {
            probe: ProbeId(1),
            call: 7,
            near: 45,
            is_other: false,
        };
        let mut long = recorded(10, 1);
        long.events = (0..1000).map(|hit| Arc::new(event(1, hit, "x"))).collect();
        let loaded = load(&long, wish);
        assert!(loaded.events.is_empty() && loaded.is_partial);
        let loaded = load(&recorded(10, 1000), wish);
        assert!(loaded.events.is_empty() && !loaded.is_partial);
    }
}
