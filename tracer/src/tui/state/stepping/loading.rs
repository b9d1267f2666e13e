//! Other calls of the probe, and the whole of a call of a recording.

use super::super::super::action::{CallWish, LoadedCall, UiEffect};
use super::{Overlay, UiState};
use crate::event::call::{CallKey, FrameEnd};

impl UiState {
    /// Reads the rest of a call, if it is of a recording.
    pub(super) fn load_whole_call(&mut self, key: CallKey) -> Vec<UiEffect> {
        let known = self.calls.get(key);
        let is_whole = known.is_some_and(|call| {
            let missing = (0..call.len()).any(|index| call.gap_before(index).lost > 0);
            call.end() != FrameEnd::Open && !missing
        });
        match is_whole {
            true => Vec::new(),
            false => self.wish(key, key.call, false),
        }
    }

    /// Asks for a call of a recording, by the number that it has with the probe of another.
    fn wish(&mut self, of: CallKey, call: u64, is_other: bool) -> Vec<UiEffect> {
        if self.recording.is_none() {
            return Vec::new();
        }
        let near = self.recorded_event().unwrap_or(0);
        if let Overlay::Steps(view) = &mut self.overlay {
            view.is_loading = true;
        }
        vec![UiEffect::LoadCall(CallWish {
            probe: of.probe,
            call,
            near,
            is_other,
        })]
    }

    /// Goes to the next call of the probe, or to the one before.
    pub(super) fn next_call(&mut self, back: bool) -> Vec<UiEffect> {
        let Overlay::Steps(view) = &self.overlay else {
            return Vec::new();
        };
        let now = view.call;
        if self.recording.is_some() {
            let wanted = match back {
                true => now.call.checked_sub(1).filter(|call| *call > 0),
                false => now.call.checked_add(1),
            };
            return match wanted {
                Some(call) => self.open_call(now, call, false),
                None => {
                    self.say("this is the first call", false);
                    Vec::new()
                }
            };
        }
        let calls = self.calls.of_probe(now.probe);
        let found = match back {
            true => calls.iter().rev().find(|key| key.call < now.call),
            false => calls.iter().find(|key| key.call > now.call),
        };
        match found.copied() {
            Some(key) => self.switch_to(key),
            None => self.say(
                match back {
                    true => "no earlier call of this probe is kept",
                    false => "no later call of this probe yet",
                },
                false,
            ),
        }
        Vec::new()
    }

    /// Shows a call of the same probe, or puts it beside the present one.
    pub(super) fn open_call(&mut self, now: CallKey, call: u64, is_other: bool) -> Vec<UiEffect> {
        let calls = self.calls.of_probe(now.probe);
        let known = calls.iter().find(|key| key.call == call).copied();
        match known {
            Some(key) => {
                self.take_call(key, is_other);
                match self.recording.is_some() {
                    true => self.load_whole_call_as(key, is_other),
                    false => Vec::new(),
                }
            }
            None if self.recording.is_some() => self.wish(now, call, is_other),
            None => {
                self.say(format!("no step of call {call} is kept"), true);
                Vec::new()
            }
        }
    }

    fn load_whole_call_as(&mut self, key: CallKey, is_other: bool) -> Vec<UiEffect> {
        let mut effects = self.load_whole_call(key);
        for effect in &mut effects {
            if let UiEffect::LoadCall(wish) = effect {
                wish.is_other = is_other;
            }
        }
        effects
    }

    fn take_call(&mut self, key: CallKey, is_other: bool) {
        match is_other {
            true => self.put_beside(key),
            false => self.switch_to(key),
        }
    }

    /// Shows another call, from its first step.
    fn switch_to(&mut self, key: CallKey) {
        let first = self.calls.get(key).and_then(|call| call.step(0));
        let number = first.map_or(1, |step| step.number());
        let Overlay::Steps(view) = &mut self.overlay else {
            return;
        };
        if view.call == key {
            return;
        }
        (view.call, view.number) = (key, number);
        view.other = view.other.filter(|other| *other != key);
        let held = std::iter::once(key).chain(view.other).collect();
        self.calls.hold(held);
    }

    /// Puts another call beside the present one.
    fn put_beside(&mut self, key: CallKey) {
        let Overlay::Steps(view) = &mut self.overlay else {
            return;
        };
        if view.call == key {
            return self.say("this is the call that is shown", false);
        }
        view.other = Some(key);
        let held = vec![view.call, key];
        self.calls.hold(held);
    }

    /// Takes the steps of a call that were read.
    pub(in crate::tui) fn call_loaded(&mut self, loaded: LoadedCall) {
        let LoadedCall {
            wish,
            events,
            is_partial,
        } = loaded;
        let key = events.first().and_then(|event| CallKey::of(event));
        self.calls.extend(events);
        let Overlay::Steps(view) = &mut self.overlay else {
            return;
        };
        view.is_loading = false;
        match key {
            None if is_partial => self.say(
                format!(
                    "call {} was not found in the part that was searched",
                    wish.call
                ),
                true,
            ),
            None => self.say(format!("call {} is not in the recording", wish.call), false),
            Some(key) => {
                if is_partial {
                    let text = format!("only the steps of call {} near here were read", wish.call);
                    self.say(text, true);
                }
                self.take_call(key, wish.is_other);
            }
        }
    }
}
