//! The result pane: which probe it follows, its views, and its keys.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::action::{Pane, UiEffect};
use super::super::keymap::{self, KeyCommand, Mode};
use super::UiState;
use super::series::steps::{SHOWN, STEPS};
use super::series::{ProbeSeries, RECENT};
use crate::event::{Aggregate, AggregateBody, Event, ProbeId};
use crate::session::ProbeStatus;

/// Series that one plot can compare at most: as many as there are markers.
pub(in crate::tui) const COMPARED: usize = 5;
/// Points that a plot should have before it shows no more time.
const ENOUGH_POINTS: usize = 20;
/// The longest time that a plot shows unless asked for more, as an index of [`STEPS`].
const USUAL_LEVEL: usize = 1;

/// A way to look at the results of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tui) enum ResultView {
    /// The last values as a table.
    Values,
    /// Numbers over time.
    Plot,
    /// Two numbers of each event against each other.
    Pairs,
    /// Hits by value.
    Counts,
    /// Hits by ranges of numbers.
    Numbers,
    /// Hits by ranges of times.
    Times,
    /// Hits a second.
    Rate,
}

impl ResultView {
    /// Its name on the screen.
    pub(in crate::tui) const fn name(self) -> &'static str {
        match self {
            Self::Values => "values",
            Self::Plot => "plot",
            Self::Pairs => "x/y",
            Self::Counts => "counts",
            Self::Numbers => "histogram",
            Self::Times => "times",
            Self::Rate => "rate",
        }
    }
}

/// A number that is compared with others: its probe and the name of its channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::tui) struct Compared {
    /// The probe.
    pub(in crate::tui) probe: ProbeId,
    /// The channel.
    pub(in crate::tui) name: String,
}

/// Two channels of a probe that are shown against each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tui) struct Pair {
    /// Index of the channel from left to right.
    pub(in crate::tui) x: usize,
    /// Index of the channel from bottom to top.
    pub(in crate::tui) y: usize,
    /// They are the coordinates of a point, so points are joined to a path.
    pub(in crate::tui) is_path: bool,
}

/// The state of the result pane.
#[derive(Debug)]
pub(in crate::tui) struct ResultsPane {
    /// The values of each probe over time.
    pub(in crate::tui) series: HashMap<ProbeId, ProbeSeries>,
    /// The pane is shown beside the table of probes where there is no room for all panes.
    pub(in crate::tui) is_open: bool,
    /// The first row, in views that are lists.
    pub(in crate::tui) top: usize,
    /// The first column of values.
    pub(in crate::tui) column: usize,
    /// The numbers that are compared.
    pub(in crate::tui) compared: Vec<Compared>,
    /// Bars have a logarithmic scale, or not. `None` for the scale that suits the counts.
    log_bars: Option<bool>,
    /// The step of time in plots, as an index of [`STEPS`]. `None` for one that suits the events.
    level: Option<usize>,
    channel: usize,
    pair: usize,
    views: HashMap<ProbeId, ResultView>,
    /// The pane that had the focus before.
    from: Pane,
    /// The probe that `top`, `column`, `channel` and `pair` belong to.
    of: Option<ProbeId>,
    /// Events of the probe when the rows were last in order.
    events: u64,
    /// The place of the cursor in the source that the pane has followed.
    followed: Option<FollowedPlace>,
}

/// A place in the source: the number of the open file, and the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FollowedPlace {
    generation: u64,
    line: u64,
}

impl Default for ResultsPane {
    fn default() -> Self {
        Self {
            series: HashMap::new(),
            is_open: false,
            top: 0,
            column: 0,
            compared: Vec::new(),
            log_bars: None,
            level: None,
            channel: 0,
            pair: 0,
            views: HashMap::new(),
            from: Pane::Source,
            of: None,
            events: 0,
            followed: None,
        }
    }
}

/// The largest count may be this many times the smallest before bars of ranges have a logarithmic scale.
const LINEAR: u64 = 100;

impl ResultsPane {
    /// Returns true if the bars of an aggregate have a logarithmic scale: as the user wants it, or else if some
    /// ranges of numbers or times have far fewer hits than others.
    pub(in crate::tui) fn has_log_bars(&self, body: &AggregateBody) -> bool {
        let buckets = match body {
            // The rows of a table are sorted by their counts, so that the bars show shares.
            AggregateBody::Count(_) => return self.log_bars == Some(true),
            AggregateBody::Histogram(all) => &all.buckets,
            AggregateBody::Times(all) => &all.powers(),
        };
        let counts = || {
            buckets
                .iter()
                .map(|one| one.count)
                .filter(|count| *count > 0)
        };
        let is_uneven = match (counts().max(), counts().min()) {
            (Some(most), Some(least)) => most / least > LINEAR,
            _ => false,
        };
        self.log_bars.unwrap_or(is_uneven)
    }

    /// Forgets the probes that are gone.
    pub(super) fn retain(&mut self, is_known: impl Fn(ProbeId) -> bool) {
        self.series.retain(|id, _| is_known(*id));
        self.views.retain(|id, _| is_known(*id));
        self.compared.retain(|one| is_known(one.probe));
    }

    /// Takes an event.
    pub(super) fn take(&mut self, event: &Arc<Event>, now: std::time::Instant) {
        let series = self.series.entry(event.origin.probe).or_default();
        series.take(event, now);
    }

    /// The selected channel of a probe, which is the first in a plot.
    pub(in crate::tui) fn channel_of(&self, series: &ProbeSeries) -> usize {
        self.channel.min(series.channels.len().saturating_sub(1))
    }

    /// The selected pair of a probe.
    pub(in crate::tui) fn pair_of(&self, series: &ProbeSeries) -> Option<Pair> {
        let pairs = pairs(series);
        let last = pairs.len().checked_sub(1)?;
        pairs.get(self.pair.min(last)).copied()
    }

    /// The user has chosen the time that plots show.
    pub(in crate::tui) const fn has_chosen_time(&self) -> bool {
        self.level.is_some()
    }

    /// The step of time in the plot of a probe, as an index of [`STEPS`].
    pub(in crate::tui) fn level_of(&self, series: &ProbeSeries) -> usize {
        if let Some(level) = self.level {
            return level;
        }
        let (Some((newest, _)), Some(oldest)) = (series.newest, series.oldest_ns) else {
            return 0;
        };
        let is_whole = |level: usize| window_ns(level) >= newest.saturating_sub(oldest);
        let points = |level: usize| {
            let channel = series.channels.get(self.channel_of(series));
            let from = newest.saturating_sub(window_ns(level));
            channel.map_or(0, |one| {
                let steps = one.steps.range(level, from, u64::MAX);
                steps.take(ENOUGH_POINTS).count()
            })
        };
        (0..STEPS.len())
            .find(|level| {
                is_whole(*level) || (*level >= USUAL_LEVEL && points(*level) >= ENOUGH_POINTS)
            })
            .unwrap_or(STEPS.len() - 1)
    }
}

/// The time that a plot shows, in ns.
pub(in crate::tui) fn window_ns(level: usize) -> u64 {
    STEPS.get(level).map_or(0, |step| step * SHOWN)
}

/// The pairs of numbers of a probe. Coordinates come first.
pub(in crate::tui) fn pairs(series: &ProbeSeries) -> Vec<Pair> {
    let names: Vec<&str> = series.channels.iter().map(|one| &*one.name).collect();
    let ordinate = |name: &str| {
        let (stem, y) = match name.strip_suffix('x') {
            Some(stem) => (stem, 'y'),
            None => (name.strip_suffix('X')?, 'Y'),
        };
        let is_word = !stem.ends_with(char::is_alphanumeric);
        is_word.then(|| format!("{stem}{y}"))
    };
    let mut pairs = Vec::new();
    for (x, name) in names.iter().enumerate() {
        let y = ordinate(name).and_then(|y| names.iter().position(|other| *other == y));
        pairs.extend(y.map(|y| Pair {
            x,
            y,
            is_path: true,
        }));
    }
    for x in 0..names.len() {
        for y in x + 1..names.len() {
            if !pairs.iter().any(|pair| (pair.x, pair.y) == (x, y)) {
                pairs.push(Pair {
                    x,
                    y,
                    is_path: false,
                });
            }
        }
    }
    pairs
}

/// The action of a probe, as its text names it.
pub(in crate::tui) fn action(probe: &ProbeStatus) -> &str {
    probe.text.split_whitespace().next().unwrap_or("")
}

/// Returns true if hits are added up, so that there are no events.
pub(in crate::tui) fn adds_up(probe: &ProbeStatus) -> bool {
    matches!(action(probe), "count" | "hist" | "time")
}

impl UiState {
    /// The aggregate of a probe.
    pub(in crate::tui) fn aggregate(&self, id: ProbeId) -> Option<&Aggregate> {
        self.aggregates.iter().find(|one| one.probe == id)
    }

    /// The views that make sense for a probe. There is at least one.
    pub(in crate::tui) fn result_views(&self, probe: &ProbeStatus) -> Vec<ResultView> {
        let body = self.aggregate(probe.id).map(|one| &one.body);
        let mut views = Vec::new();
        match (action(probe), body) {
            ("count", _) | (_, Some(AggregateBody::Count(_))) => views.push(ResultView::Counts),
            ("hist", _) | (_, Some(AggregateBody::Histogram(_))) => {
                views.push(ResultView::Numbers);
            }
            ("time", _) => views.push(ResultView::Times),
            _ => views.push(ResultView::Values),
        }
        let channels = self
            .results
            .series
            .get(&probe.id)
            .map_or(0, |series| series.channels.len());
        if channels > 0 {
            views.push(ResultView::Plot);
        }
        if channels > 1 {
            views.push(ResultView::Pairs);
        }
        if matches!(body, Some(AggregateBody::Times(_))) && !adds_up(probe) {
            views.push(ResultView::Times);
        }
        // A recording has the counters of one time.
        if self.recording.is_none() {
            views.push(ResultView::Rate);
        }
        views
    }

    /// The present view of a probe.
    pub(in crate::tui) fn result_view(&self, probe: &ProbeStatus) -> ResultView {
        let views = self.result_views(probe);
        let chosen = self.results.views.get(&probe.id).copied();
        chosen
            .filter(|view| views.contains(view))
            .or_else(|| views.first().copied())
            .unwrap_or(ResultView::Values)
    }

    /// The present time of the target's clock in ns, as far as plots need it.
    pub(in crate::tui) fn plot_time_ns(&self, series: &ProbeSeries) -> u64 {
        let Some((newest, at)) = series.newest else {
            return 0;
        };
        let is_over = self.recording.is_some() || self.exited.is_some();
        let since = match is_over {
            true => 0,
            false => self.now.saturating_duration_since(at).as_nanos(),
        };
        newest.saturating_add(u64::try_from(since).unwrap_or(u64::MAX))
    }

    /// Shows the next view, or the results if they are not on the screen.
    pub(super) fn next_view(&mut self) -> Vec<UiEffect> {
        if self.regions().results.height == 0 {
            return self.open_results();
        }
        self.turn_view(1);
        Vec::new()
    }

    /// Shows the view before. From the first one it goes back to the pane that was left.
    pub(super) fn previous_view(&mut self) {
        let first = self
            .watched_probe()
            .is_none_or(|probe| self.result_views(probe).first() == Some(&self.result_view(probe)));
        if first && (self.focus == Pane::Results || self.results.is_open) {
            self.close_results();
        } else {
            self.turn_view(-1);
        }
    }

    fn turn_view(&mut self, by: isize) {
        let Some(probe) = self.watched_probe() else {
            return;
        };
        let (id, views) = (probe.id, self.result_views(probe));
        let present = self.result_view(probe);
        let at = views.iter().position(|view| *view == present).unwrap_or(0);
        let next = (at + views.len()).saturating_add_signed(by) % views.len().max(1);
        if let Some(view) = views.get(next) {
            self.results.views.insert(id, *view);
            self.results.top = 0;
        }
    }

    /// Puts the results on the screen. They get the focus where there is no room beside other panes.
    pub(super) fn open_results(&mut self) -> Vec<UiEffect> {
        if self.focus != Pane::Results {
            self.results.from = self.focus;
        }
        self.results.is_open = true;
        if self.regions().results.height == 0 {
            self.focus = Pane::Results;
        }
        vec![UiEffect::RefreshAggregates]
    }

    /// Gives the pane the focus.
    pub(super) fn focus_results(&mut self) -> Vec<UiEffect> {
        let effects = self.open_results();
        self.focus = Pane::Results;
        effects
    }

    /// Goes back to the pane that had the focus before. Returns false if there is nothing to go back from.
    pub(super) fn close_results(&mut self) -> bool {
        let was_open = std::mem::take(&mut self.results.is_open);
        if self.focus != Pane::Results {
            return was_open && self.regions().results.height == 0;
        }
        self.focus = match self.results.from {
            Pane::Results => Pane::Source,
            from => from,
        };
        true
    }

    /// Keys up and down in the pane.
    pub(super) fn step_results(&mut self, rows: isize) {
        let Some(probe) = self.watched_probe() else {
            return;
        };
        let view = self.result_view(probe);
        let series = self.results.series.get(&probe.id);
        let channels = series.map_or(0, |series| series.channels.len());
        let pairs = series.map_or(0, |series| pairs(series).len());
        let moved =
            |at: usize, len: usize| at.saturating_add_signed(rows).min(len.saturating_sub(1));
        match view {
            ResultView::Plot => self.results.channel = moved(self.results.channel, channels),
            ResultView::Pairs => self.results.pair = moved(self.results.pair, pairs),
            _ => self.results.top = self.results.top.saturating_add_signed(rows),
        }
    }

    /// Keys left and right in the pane.
    pub(super) fn shift_results(&mut self, right: bool) {
        let column = self
            .results
            .column
            .saturating_add_signed(if right { 1 } else { -1 });
        self.results.column = column;
    }

    /// Gives the bars another scale.
    pub(super) fn change_bars(&mut self) {
        let probe = self.watched_probe().map(|probe| probe.id);
        let aggregate = probe.and_then(|id| self.aggregate(id));
        let Some(is_log) = aggregate.map(|one| self.results.has_log_bars(&one.body)) else {
            return self.say("there are no bars here", false);
        };
        self.results.log_bars = Some(!is_log);
    }

    /// Adds the selected number to the plot for good, or takes it away.
    pub(super) fn compare(&mut self) {
        let Some(probe) = self.watched_probe() else {
            return self.say("no probe yet", false);
        };
        let (id, probe_name) = (probe.id, probe.name.clone());
        let selected = self.results.series.get(&id).and_then(|series| {
            let at = self.results.channel_of(series);
            series.channels.get(at)
        });
        let Some(name) = selected.map(|channel| channel.name.clone()) else {
            let text = format!("{probe_name} has sent no number that could be compared");
            return self.say(text, false);
        };
        let one = Compared { probe: id, name };
        let compared = &mut self.results.compared;
        let before = compared.len();
        compared.retain(|other| *other != one);
        let text = match compared.len() {
            now if now < before => format!("{} of {probe_name} is no longer compared", one.name),
            COMPARED => {
                let key = keymap::hint(Mode::Main, KeyCommand::Compare);
                format!("{COMPARED} numbers are compared already; {key} takes one away")
            }
            _ => {
                let text = format!("{} of {probe_name} stays in the plots", one.name);
                compared.push(one);
                text
            }
        };
        self.results.views.insert(id, ResultView::Plot);
        self.say(text, false);
    }

    /// Shows a longer or a shorter time in plots.
    pub(super) fn zoom_time(&mut self, longer: bool) {
        let series = self
            .watched_probe()
            .and_then(|probe| self.results.series.get(&probe.id));
        let level = series.map_or(0, |series| self.results.level_of(series));
        let level = level.saturating_add_signed(if longer { 1 } else { -1 });
        self.results.level = Some(level.min(STEPS.len() - 1));
    }

    /// Rows of the present view, below its heading.
    fn result_rows(&self, probe: &ProbeStatus) -> usize {
        match self.result_view(probe) {
            ResultView::Values => {
                let series = self.results.series.get(&probe.id);
                series.map_or(0, |series| series.recent.len())
            }
            ResultView::Counts | ResultView::Numbers | ResultView::Times => {
                let body = self.aggregate(probe.id).map(|one| &one.body);
                match body {
                    Some(AggregateBody::Count(rows)) => rows.len() + 1,
                    Some(AggregateBody::Histogram(all)) => {
                        2 * all.buckets.len() + all.unavailable.len()
                    }
                    Some(AggregateBody::Times(all)) => 2 * all.powers().len() + all.others().len(),
                    None => 0,
                }
            }
            ResultView::Plot | ResultView::Pairs | ResultView::Rate => 0,
        }
    }

    /// Follows the cursor in the source, and keeps the rows in their list.
    pub(super) fn settle_results(&mut self) {
        self.follow_source();
        let is_beside = matches!(self.focus, Pane::Results | Pane::Probes);
        self.results.is_open &= is_beside || self.regions().results.height > 0;
        let Some(probe) = self.watched_probe() else {
            return;
        };
        let (id, rows) = (probe.id, self.result_rows(probe));
        let series = self.results.series.get(&id);
        let events = series.map_or(0, |series| series.events);
        let columns = series
            .and_then(|series| series.recent.back())
            .map_or(0, |event| event.values.len());
        let is_values = self.result_view(probe) == ResultView::Values;
        let pane = &mut self.results;
        if pane.of != Some(id) {
            (pane.top, pane.column, pane.channel, pane.pair) = (0, 0, 0, 0);
            (pane.of, pane.events) = (Some(id), events);
        }
        if is_values && pane.top > 0 {
            // The rows that are read stay where they are while there are new ones.
            let new = usize::try_from(events.saturating_sub(pane.events)).unwrap_or(RECENT);
            pane.top = pane.top.saturating_add(new);
        }
        pane.events = events;
        pane.top = pane.top.min(rows.saturating_sub(1));
        pane.column = pane.column.min(columns.saturating_sub(1));
    }

    /// The probe under the cursor in the source becomes the selected one when the cursor gets there.
    fn follow_source(&mut self) {
        let Some(source) = self.source.as_ref().filter(|_| self.focus == Pane::Source) else {
            return;
        };
        let place = FollowedPlace {
            generation: source.generation,
            line: source.line(),
        };
        if self.results.followed == Some(place) {
            return;
        }
        self.results.followed = Some(place);
        let id = self.selected_probe().map(|probe| probe.id);
        if let Some(row) = self.probes.iter().position(|probe| Some(probe.id) == id) {
            self.probes_list.cursor = row;
        }
    }
}
