//! Installing, silencing and removing probes, and their counters.

use super::super::action::{AddRequest, Pane, UiEffect};
use super::super::events::Filter;
use super::super::keymap::KeyCommand;
use super::super::prompt::{Prompt, Purpose};
use super::results::adds_up;
use super::source::file_index::FileIndex;
use super::undo::UndoStep;
use super::{Overlay, UiState};
use crate::base::diagnostic::Diagnostic;
use crate::event::{Aggregate, ProbeId, counted};
use crate::session::ProbeStatus;
use crate::sink::aggregate::AggregateTable;

pub(super) mod plain;
pub(super) mod watching;

impl UiState {
    /// Probes whose first site is on a line of the open file.
    pub(in super::super) fn probes_on(&self, line: u64) -> impl Iterator<Item = &ProbeStatus> {
        let path = self.source.as_ref().map(|source| &source.file.path);
        self.probes
            .iter()
            .filter(move |probe| probe.line == line && Some(&probe.file) == path)
    }

    /// The probe that a key means: on the current line, or selected in the table, or of the selected event.
    pub(super) fn selected_probe(&self) -> Option<&ProbeStatus> {
        match self.focus {
            Pane::Source => {
                let line = self.source.as_ref()?.line();
                let watched = self.watched_probe().map(|probe| probe.id);
                self.probes_on(line)
                    .find(|probe| Some(probe.id) == watched)
                    .or_else(|| self.probes_on(line).last())
            }
            Pane::Probes | Pane::Results => self.watched_probe(),
            Pane::Events => {
                let id = self.events.event(self.events.list.cursor)?.0.origin.probe;
                self.probes.iter().find(|probe| probe.id == id)
            }
            Pane::Program => None,
        }
    }

    /// The probe that the results are of: the one under the cursor in the table.
    pub(in super::super) fn watched_probe(&self) -> Option<&ProbeStatus> {
        self.probes.get(self.probes_list.cursor)
    }

    /// The aggregate of a probe, row by row.
    pub(in super::super) fn added_up(&self, id: ProbeId) -> Vec<String> {
        let Some(aggregate) = self.aggregates.iter().find(|one| one.probe == id) else {
            return Vec::new();
        };
        // The first line repeats the probe's text.
        let table = AggregateTable(aggregate).to_string();
        let rows = table.lines().skip(1).filter(|row| !row.is_empty());
        rows.map(str::to_owned).collect()
    }

    /// Enter in the source: a logpoint on the line, or none.
    pub(super) fn toggle_logpoint(&mut self) -> Vec<UiEffect> {
        let Some(source) = &self.source else {
            self.command_open_files();
            return Vec::new();
        };
        let line = source.line();
        let there: Vec<ProbeId> = self.probes_on(line).map(|probe| probe.id).collect();
        if !there.is_empty() {
            return self.remove_all(&there);
        }
        if source.code_known() && source.code_error.is_none() && !source.code.contains_key(&line) {
            let near = [source.next_code(true), source.next_code(false)];
            let near: Vec<String> = near.iter().flatten().map(u64::to_string).collect();
            let text = match near.join(" and ") {
                none if none.is_empty() => "this file has no line with code".into(),
                near => format!("no code on line {line}; the nearest lines with code are {near}"),
            };
            self.say(text, true);
            return Vec::new();
        }
        let text = format!("log {}", self.location_here());
        let mut pending = self.queue.pending.iter();
        if pending.any(|request| request.text == text && request.replaces.is_none()) {
            self.say(format!("`{text}` is being attached"), false);
            return Vec::new();
        }
        vec![self.request(AddRequest::new(text))]
    }

    fn command_open_files(&mut self) {
        self.command(super::KeyCommand::Files);
    }

    /// The current line as the probe language writes it: the shortest path that no other file shares.
    pub(super) fn location_here(&self) -> String {
        let Some(source) = &self.source else {
            return String::new();
        };
        let location = match &self.files {
            Some(files) => files.short_location(&source.file),
            None => FileIndex::default().short_location(&source.file),
        };
        format!("{location}:{}", source.line())
    }

    /// Location of another line, like [`Self::location_here`], but without the module's name.
    pub(in super::super) fn location_of(&self, line: u64) -> String {
        let file = self
            .source
            .as_ref()
            .and_then(|source| source.file.path.file_name());
        format!("{}:{line} ", file.unwrap_or_default().to_string_lossy())
    }

    /// Opens the line editor for a message first.
    pub(super) fn ask_template(&mut self) -> Vec<UiEffect> {
        let Some(source) = &self.source else {
            self.command_open_files();
            return Vec::new();
        };
        let names: Vec<String> = source
            .known_variables()
            .iter()
            .filter(|variable| variable.unavailable.is_none() && variable.kind != "static")
            .take(3)
            .map(|variable| format!("{0} {{{0}}}", variable.name))
            .collect();
        let text = format!("log {} \"{}\"", self.location_here(), names.join(" "));
        let cursor = text.chars().count() - 1;
        self.overlay = Overlay::Prompt(Prompt::new(Purpose::Probe, text, cursor));
        Vec::new()
    }

    pub(super) fn edit_selected(&mut self) {
        let Some(probe) = self.selected_probe() else {
            return self.say_no_probe();
        };
        let end = probe.text.chars().count();
        self.overlay = Overlay::Prompt(Prompt::new(
            Purpose::Edit(probe.id),
            probe.text.clone(),
            end,
        ));
    }

    pub(super) fn inspect(&mut self) {
        match self.selected_probe() {
            Some(probe) => self.overlay = Overlay::Probe(probe.id, 0),
            None => self.say_no_probe(),
        }
    }

    pub(super) fn only_selected(&mut self) -> Vec<UiEffect> {
        if let Some(probe) = self.selected_probe().filter(|probe| adds_up(probe)) {
            let (id, name) = (probe.id, &probe.name);
            let text =
                format!("{name} has no events: its hits are added up, and these are its results");
            self.say(text, false);
            if let Some(row) = self.probes.iter().position(|probe| probe.id == id) {
                self.probes_list.cursor = row;
            }
            return self.open_results();
        }
        let Some(name) = self
            .selected_probe()
            .map(|probe| format!("@{}", probe.name))
        else {
            if !self.events.filter.is_empty() {
                self.events.set_filter(Filter::default());
            }
            return Vec::new();
        };
        let text = if self.events.filter.text == name {
            ""
        } else {
            name.as_str()
        };
        self.events.set_filter(Filter::new(text));
        Vec::new()
    }

    fn say_no_probe(&mut self) {
        let key = |command| self.hint_main(command);
        let (enter, next) = (key(KeyCommand::Activate), key(KeyCommand::NextPane));
        let text = match self.focus {
            Pane::Source => format!("no probe on this line; {enter} puts a logpoint on it"),
            Pane::Probes | Pane::Results => {
                format!("no probe yet; {enter} on a line of the source puts a logpoint on it")
            }
            Pane::Events => "the probe of this event is gone".into(),
            Pane::Program => format!("this is the program's output; {next} goes to the source"),
        };
        self.say(text, false);
    }

    /// A probe was tried: shows it, or keeps its text and the mistake.
    pub(super) fn added(
        &mut self,
        request: &AddRequest,
        result: Result<Box<ProbeStatus>, Diagnostic>,
    ) -> Vec<UiEffect> {
        self.queue
            .pending
            .retain(|pending| pending.ticket != request.ticket);
        let mut effects = match result {
            Ok(status) => self.installed(request, *status),
            Err(error) => {
                self.hold_program();
                self.refused(request, error);
                Vec::new()
            }
        };
        effects.extend(self.run_files());
        effects
    }

    fn installed(&mut self, request: &AddRequest, status: ProbeStatus) -> Vec<UiEffect> {
        let note = status
            .notes
            .first()
            .map(|note| format!(" ({note})"))
            .unwrap_or_default();
        self.say(
            format!("{} is on {}{note}", status.name, status.place()),
            false,
        );
        let mut effects = Vec::new();
        if self.silenced {
            self.awake.push(status.id);
            self.switching += 1;
            effects.push(UiEffect::SetEnabled(vec![status.id], false));
        }
        let id = status.id;
        // Whoever is in the table may be about to press a key for the selected probe.
        let selected = match self.focus {
            Pane::Probes => self.probes.get(self.probes_list.cursor),
            _ => None,
        };
        let selected = selected.map_or(id, |probe| probe.id);
        self.probes.retain(|probe| probe.id != id);
        self.probes.push(status);
        self.probes.sort_by_key(|probe| probe.id);
        self.plain.know(&self.probes);
        let row = self.probes.iter().position(|probe| probe.id == selected);
        self.probes_list.cursor = row.unwrap_or(0);
        effects.extend(self.follow(request, id));
        effects
    }

    pub(super) fn remove_selected(&mut self) -> Vec<UiEffect> {
        let Some(id) = self.selected_probe().map(|probe| probe.id) else {
            self.say_no_probe();
            return Vec::new();
        };
        self.remove_all(&[id])
    }

    pub(super) fn remove(&mut self, id: ProbeId) -> Option<UiEffect> {
        if self.removing.contains(&id) {
            return None;
        }
        self.removing.push(id);
        self.probes.retain(|probe| probe.id != id);
        Some(UiEffect::Remove(id))
    }

    pub(super) fn removed(
        &mut self,
        id: ProbeId,
        last: Option<&ProbeStatus>,
        aggregate: Option<&Aggregate>,
    ) {
        self.removing.retain(|removing| *removing != id);
        self.awake.retain(|awake| *awake != id);
        self.trails.remove(&id);
        self.results.retain(|other| other != id);
        if let Some(last) = last {
            let counters = last.counters;
            self.keep_former(id, counters, aggregate);
            if self.is_replaced(id) {
                // The message is about the text that has taken its place.
                return;
            }
            let undo = self.hint_main(super::KeyCommand::Undo);
            let lost = if counters.lost > 0 {
                format!(", {} lost", counters.lost)
            } else {
                String::new()
            };
            self.say(
                format!(
                    "{} removed: {}, {}{lost}; {undo} brings it back",
                    last.name,
                    counted(counters.hits, "hit"),
                    counted(counters.events, "event")
                ),
                false,
            );
        }
    }

    pub(super) fn toggle_selected(&mut self) -> Vec<UiEffect> {
        let Some((id, enabled)) = self.selected_probe().map(|probe| (probe.id, probe.enabled))
        else {
            self.say_no_probe();
            return Vec::new();
        };
        if enabled {
            self.awake.retain(|awake| *awake != id)
        } else {
            self.silenced = false
        }
        self.changed(UndoStep::Toggled(id, enabled));
        self.set_enabled(vec![id], !enabled)
    }

    /// Silences all probes that are awake. The second call wakes them again.
    pub(super) fn silence_all(&mut self) -> Vec<UiEffect> {
        if !self.silenced {
            self.changed(UndoStep::SilencedAll);
        }
        self.switch_all()
    }

    /// Silences all probes, or wakes them.
    pub(super) fn switch_all(&mut self) -> Vec<UiEffect> {
        self.silenced = !self.silenced;
        if self.silenced {
            self.awake = self
                .probes
                .iter()
                .filter(|probe| probe.enabled)
                .map(|probe| probe.id)
                .collect();
            self.set_enabled(self.awake.clone(), false)
        } else {
            let awake = std::mem::take(&mut self.awake);
            self.set_enabled(awake, true)
        }
    }

    pub(super) fn set_enabled(&mut self, ids: Vec<ProbeId>, enabled: bool) -> Vec<UiEffect> {
        for probe in &mut self.probes {
            if ids.contains(&probe.id) {
                probe.enabled = enabled;
                if enabled {
                    probe.done = None;
                }
            }
        }
        self.switching += 1;
        vec![UiEffect::SetEnabled(ids, enabled)]
    }

    /// Takes the state of all probes.
    pub(super) fn set_probes(&mut self, probes: Vec<ProbeStatus>) {
        let selected = self
            .probes
            .get(self.probes_list.cursor)
            .map(|probe| probe.id);
        let before = std::mem::replace(&mut self.probes, probes);
        if self.switching > 0 {
            // This may be older than the last wish.
            for probe in &mut self.probes {
                let known = before.iter().find(|known| known.id == probe.id);
                (probe.enabled, probe.done) = known.map_or((probe.enabled, probe.done), |known| {
                    (known.enabled, known.done)
                });
            }
        }
        self.plain.know(&self.probes);
        self.targets.set_hits(&self.probes);
        self.probes
            .retain(|probe| !self.removing.contains(&probe.id));
        for probe in &self.probes {
            self.trails
                .entry(probe.id)
                .or_default()
                .count(probe.counters.hits, self.now);
        }
        let known = |id: &ProbeId| self.probes.iter().any(|probe| probe.id == *id);
        self.trails.retain(|id, _| known(id));
        self.results.retain(|id| known(&id));
        if let Some(at) =
            selected.and_then(|id| self.probes.iter().position(|probe| probe.id == id))
        {
            self.probes_list.cursor = at;
        }
    }

    fn state_of(&self, probe: &ProbeStatus) -> String {
        match probe.done {
            Some(done) => format!(
                "done at {}, {}; {} restarts it",
                crate::tui::times::short_time(done.time_ns, &self.zone, 3),
                done.reason,
                self.hint_main(super::KeyCommand::Toggle),
            ),
            None if probe.enabled => "awake".into(),
            None => "silenced".into(),
        }
    }

    /// Everything about a probe, as label and text.
    pub(in super::super) fn probe_lines(&self, id: ProbeId) -> Vec<(String, String)> {
        let Some(probe) = self.probes.iter().find(|probe| probe.id == id) else {
            return vec![(String::new(), "this probe has been removed".into())];
        };
        let counters = &probe.counters;
        let mut lines = vec![
            ("probe".into(), probe.text.clone()),
            (
                "place".into(),
                match probe.line {
                    0 => probe.place().into_owned(),
                    line => format!("{}:{line}", probe.file.display()),
                },
            ),
            ("sites".into(), probe.sites.to_string()),
            ("state".into(), self.state_of(probe)),
        ];
        lines.extend(probe.notes.iter().map(|note| ("note".into(), note.clone())));
        let rate = self.trails.get(&id).map_or(0.0, |trail| trail.rate);
        let each = |ns: u64| match ns.checked_div(counters.hits) {
            Some(ns) => format!("{ns} ns a hit"),
            None => "-".into(),
        };
        let cost = match (probe.cost.total_ns(counters), probe.cost.cpus) {
            (Some(ns), Some(cpus)) => format!("{}, {:.1}% of a CPU", each(ns), cpus * 100.0),
            (Some(ns), None) => each(ns),
            (None, _) => "the cost of a trap is not known yet".into(),
        };
        let rows = self.added_up(id).into_iter();
        lines.extend(rows.map(|row| (String::new(), row)));
        lines.push(("rate".into(), format!("{rate:.1} hits a second")));
        if let Some(kind) = probe.cost.kind {
            lines.push(("instruction".into(), kind.name().into()));
        }
        lines.push(("cost".into(), cost));
        lines.push(("in eBPF".into(), each(counters.bpf_ns)));
        let events = match adds_up(probe) {
            true => "added up, as above",
            false => "delivered to this screen",
        };
        for (name, count, meaning) in [
            (
                "hits",
                counters.hits,
                "times that a site was reached; the sum of the next eight",
            ),
            ("events", counters.events, events),
            ("lost", counters.lost, "no room in the buffers"),
            ("limited", counters.limited, "over the rate limit"),
            ("rejected", counters.rejected, "the condition was false"),
            ("faults", counters.faults, "the condition could not be read"),
            ("silenced", counters.silenced, "while silenced"),
            ("expired", counters.expired, "after the time to live"),
            ("over budget", counters.over_budget, "after the hit limit"),
            (
                "read faults",
                counters.read_faults,
                "reads that failed in events that were sent",
            ),
            ("cut", counters.cut, "events cut at the record's limit"),
        ] {
            lines.push((name.into(), format!("{count:<12} {meaning}")));
        }
        lines.extend(self.former_lives(id));
        // Most sessions have no collector.
        if probe.undelivered > 0 {
            let text = format!(
                "{:<12} events that the collector did not get",
                probe.undelivered
            );
            lines.push(("undelivered".into(), text));
        }
        let past = self
            .trails
            .get(&id)
            .map(|trail| trail.past.iter().rev())
            .into_iter()
            .flatten();
        lines.extend(past.map(|past| {
            (
                crate::tui::times::short_time(past.time_ns, &self.zone, 6),
                past.message.clone(),
            )
        }));
        lines
    }
}
