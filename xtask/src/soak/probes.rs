//! Random probes on the places of the targets, and the expected result of each.

use std::path::PathBuf;

use super::places::{Language, Place, Variable, Visit};
use super::random::Random;

/// A rate that the targets cannot reach.
const NO_RATE: &str = "rate 100000000/s";

/// The action of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Sends these values.
    Log(Vec<Variable>),
    /// Sends every variable in scope.
    LogAll,
    /// Sends every variable and the stack.
    Snapshot,
    /// Sends the returned value.
    Returned,
    /// Counts hits.
    Count,
    /// Counts hits by a key.
    CountBy(Key),
    /// Sorts a number into buckets.
    Hist(Number),
    /// Times the function.
    Time,
}

/// The key of a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// The sequence number, modulo this.
    SequenceModulo(u64),
    /// A variable.
    Of(Variable),
}

/// The number of a distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number {
    /// The variable.
    pub(super) variable: Variable,
    /// Numbers per bucket. `None` stands for powers of two.
    pub(super) step: Option<u64>,
}

/// A condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// The remainder of the sequence number by a divisor.
    Modulo { divisor: u64, rest: u64 },
    /// The slot is this number.
    Slot(u64),
    /// The lowest bit of the sum is zero.
    EvenCheck,
    /// The text is this one.
    Name(u64),
    /// Never true.
    Never,
}

/// The limit of a probe's events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EventLimit {
    /// No limit that the targets can reach.
    None,
    /// This many events.
    Hits(u64),
    /// This many events a second.
    Rate(u64),
    /// One event in this many milliseconds.
    Every(u64),
    /// The first milliseconds of the probe.
    For(u64),
}

/// A probe.
#[derive(Clone, Debug)]
pub(super) struct Probe {
    /// Its name in the output.
    pub(super) name: String,
    /// The text for the tracer.
    pub(super) text: String,
    /// The place.
    pub(super) place: Place,
    /// The action.
    pub(super) action: Action,
    /// The condition.
    pub(super) condition: Option<Condition>,
    /// The limit.
    pub(super) limit: EventLimit,
}

/// Locations of the places, in the text of probes.
#[derive(Clone, Debug)]
pub(super) struct Sites {
    /// Language of the program.
    pub(super) language: Language,
    /// Source file of the passes.
    pub(super) source: PathBuf,
    /// Lines by place; 0 if the place has none.
    pub(super) lines: Vec<(Place, u64)>,
}

impl Sites {
    fn location(&self, place: Place) -> String {
        let file = match place {
            Place::Leaf => return "leaf".to_owned(),
            Place::Deep => return "deep".to_owned(),
            Place::Signal => "control.c".to_owned(),
            Place::Plugin => "libsoak_plugin.so!plugin.c".to_owned(),
            _ => {
                let name = self.source.file_name().unwrap_or_default();
                name.to_string_lossy().into_owned()
            }
        };
        let line = self.lines.iter().find(|(at, _)| *at == place);
        format!("{file}:{}", line.map_or(0, |(_, line)| *line))
    }

    /// Returns the language of the file that contains a place.
    fn language_at(&self, place: Place) -> Language {
        match place {
            Place::Signal | Place::Plugin => Language::C,
            _ => self.language,
        }
    }

    /// Returns a variable in the syntax of a probe at this place.
    pub(super) fn expression(&self, place: Place, variable: Variable) -> Option<String> {
        variable.expression(place, self.language_at(place))
    }

    /// Returns the variables that a probe at this place can name.
    fn variables(&self, place: Place) -> Vec<Variable> {
        let known = place.variables().iter().copied();
        known
            .filter(|variable| self.expression(place, *variable).is_some())
            .collect()
    }
}

/// Choices for a random probe.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice<'a> {
    /// The places to choose from.
    pub(super) places: &'a [Place],
    /// True if events may be limited by time.
    pub(super) limits: bool,
}

impl Probe {
    /// Creates a random probe with this name.
    pub(super) fn random(
        name: &str,
        sites: &Sites,
        choice: Choice<'_>,
        random: &mut Random,
    ) -> Self {
        let place = random.pick(choice.places);
        let action = action(place, sites, random);
        // At a return, the function's variables are gone. In a `time` probe, conditions have
        // another meaning.
        let conditional = !matches!(action, Action::Returned | Action::Time);
        let condition = (conditional && random.one_in(2)).then(|| condition(place, random));
        let sends = matches!(
            action,
            Action::Log(_) | Action::LogAll | Action::Snapshot | Action::Returned
        );
        let limit = match random.below(8) {
            0 if sends => EventLimit::Hits(1 + random.below(200)),
            1 if sends && choice.limits => EventLimit::Rate(1 + random.below(2000)),
            2 if sends && choice.limits => EventLimit::Every(1 + random.below(20)),
            3 if choice.limits => EventLimit::For(1 + random.below(400)),
            // A snapshot is sent once unless the probe sets another number.
            _ if action == Action::Snapshot => EventLimit::Hits(1),
            _ => EventLimit::None,
        };
        let limit = match limit {
            EventLimit::Rate(_) | EventLimit::Every(_) | EventLimit::For(_)
                if action == Action::Snapshot =>
            {
                EventLimit::Hits(1)
            }
            limit => limit,
        };
        let depth = if sends && random.one_in(6) {
            format!(" depth {}", 1 + random.below(6))
        } else {
            String::new()
        };
        let text = Written {
            place,
            action: &action,
            condition,
            limit,
        }
        .text(sites);
        Self {
            name: name.to_owned(),
            text: format!("{text}{depth} as {name}"),
            place,
            action,
            condition,
            limit,
        }
    }

    /// Returns true if the probe sends an event for each hit with a true condition.
    pub(super) fn sends(&self) -> bool {
        matches!(
            self.action,
            Action::Log(_) | Action::LogAll | Action::Snapshot | Action::Returned
        )
    }

    /// Returns true if the condition is true at a hit.
    pub(super) fn takes(&self, hit: Visit) -> bool {
        self.condition
            .is_none_or(|condition| condition.holds(self.place, hit))
    }
}

fn action(place: Place, sites: &Sites, random: &mut Random) -> Action {
    let is_function = matches!(place, Place::Leaf | Place::Deep);
    match random.below(10) {
        0 => Action::LogAll,
        1 => Action::Snapshot,
        2 if is_function => Action::Time,
        3 if place == Place::Leaf => Action::Returned,
        4 => Action::Count,
        5 => {
            let mut keys = vec![Key::SequenceModulo(1 + random.below(50))];
            let small = [Variable::Slot, Variable::Name, Variable::Level];
            let known = sites.variables(place);
            keys.extend(small.into_iter().filter(|v| known.contains(v)).map(Key::Of));
            Action::CountBy(random.pick(&keys))
        }
        6 => {
            let numbers = [
                Variable::Sequence,
                Variable::Minus,
                Variable::Level,
                Variable::Slot,
            ];
            let known = sites.variables(place);
            let numbers: Vec<Variable> =
                numbers.into_iter().filter(|v| known.contains(v)).collect();
            // Buckets of one number are refused for 64-bit numbers.
            let step = random.one_in(2).then(|| 2 + random.below(100));
            Action::Hist(Number {
                variable: random.pick(&numbers),
                step,
            })
        }
        _ => {
            // Variables that distinguish hits come first, then some of the others.
            let known = sites.variables(place);
            let identity = [Variable::Slot, Variable::Sequence, Variable::Level];
            let chosen = known
                .into_iter()
                .filter(|variable| identity.contains(variable) || random.one_in(2));
            Action::Log(chosen.collect())
        }
    }
}

fn condition(place: Place, random: &mut Random) -> Condition {
    let divisor = 2 + random.below(6);
    let rest = random.below(divisor);
    match random.below(6) {
        0 if place.variables().contains(&Variable::Slot) => Condition::Slot(random.below(3)),
        1 if place.variables().contains(&Variable::Check) => Condition::EvenCheck,
        2 if place.variables().contains(&Variable::Name) => Condition::Name(random.below(10)),
        3 if random.one_in(4) => Condition::Never,
        _ => Condition::Modulo { divisor, rest },
    }
}

impl Condition {
    /// Returns true if the condition is true at a hit.
    fn holds(self, place: Place, hit: Visit) -> bool {
        match self {
            Self::Modulo { divisor, rest } => hit.sequence % divisor == rest,
            Self::Slot(slot) => hit.slot == slot,
            Self::EvenCheck => super::places::check(place, hit).is_multiple_of(2),
            Self::Name(digit) => hit.sequence % 10 == digit,
            Self::Never => false,
        }
    }

    fn text(self, place: Place, sites: &Sites) -> String {
        let name = |variable| sites.expression(place, variable).unwrap_or_default();
        match self {
            Self::Modulo { divisor, rest } => {
                format!("{} % {divisor} == {rest}", name(Variable::Sequence))
            }
            Self::Slot(slot) => format!("{} == {slot}", name(Variable::Slot)),
            Self::EvenCheck => format!("({} & 1) == 0", name(Variable::Check)),
            Self::Name(digit) => format!("{} == \"n{digit}\"", name(Variable::Name)),
            Self::Never => format!("{} == 0", name(Variable::Sequence)),
        }
    }
}

/// The parts of a probe's text.
struct Written<'a> {
    place: Place,
    action: &'a Action,
    condition: Option<Condition>,
    limit: EventLimit,
}

impl Written<'_> {
    fn text(&self, sites: &Sites) -> String {
        let at = sites.location(self.place);
        let name = |variable| sites.expression(self.place, variable).unwrap_or_default();
        let mut text = match self.action {
            Action::Log(variables) => {
                let holes: Vec<String> = variables
                    .iter()
                    .map(|&variable| format!("{{{}}}", name(variable)))
                    .collect();
                format!("log {at} \"{}\"", holes.join(" "))
            }
            Action::LogAll => format!("log {at}"),
            Action::Snapshot => format!("snapshot {at}"),
            Action::Returned => format!("log {at}%return \"{{$return}}\""),
            Action::Count => format!("count {at}"),
            Action::CountBy(Key::SequenceModulo(divisor)) => {
                format!("count {at} by {} % {divisor}", name(Variable::Sequence))
            }
            Action::CountBy(Key::Of(variable)) => format!("count {at} by {}", name(*variable)),
            Action::Hist(Number { variable, step }) => {
                let step = step.map_or_else(String::new, |step| format!(" step {step}"));
                format!("hist {at} {}{step}", name(*variable))
            }
            Action::Time => format!("time {at}"),
        };
        if let Some(condition) = self.condition {
            text += &format!(" if {}", condition.text(self.place, sites));
        }
        match self.limit {
            EventLimit::Rate(rate) => text += &format!(" rate {rate}/s"),
            EventLimit::Every(ms) => text += &format!(" every {ms}ms"),
            EventLimit::Hits(hits) => text += &format!(" hits {hits} {NO_RATE}"),
            EventLimit::For(ms) => text += &format!(" for {ms}ms"),
            EventLimit::None => {}
        }
        let limited_by_rate = matches!(
            self.action,
            Action::Log(_) | Action::LogAll | Action::Returned
        );
        if limited_by_rate && matches!(self.limit, EventLimit::None | EventLimit::For(_)) {
            text += " ";
            text += NO_RATE;
        }
        text
    }
}

/// Returns a text that is not a probe.
pub(super) fn unreadable(random: &mut Random) -> String {
    let texts = [
        "log",
        "log pass.c:1:",
        "count leaf by",
        "log leaf \"{\"",
        "hist leaf",
        "log leaf if",
        "time leaf..",
        "log leaf rate 0/s",
        "log leaf \"{sequence",
        "lag leaf",
        "log leaf if ((((sequence == 1",
        "count leaf by f(sequence)",
        "log leaf \"{sequence = 1}\"",
    ];
    random.pick(&texts).to_owned()
}

/// Returns a probe without a site in the targets.
pub(super) fn misplaced(random: &mut Random) -> String {
    let texts = [
        "log nowhere_at_all",
        "log leaf \"{no_such_name}\"",
        "count no_such_file.c:10",
        "count control.c:1",
        "snapshot 0x1",
        "hist leaf no_such_name",
        "time no_such_function",
        "log \u{202e}leaf",
    ];
    random.pick(&texts).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sites(language: Language) -> Sites {
        Sites {
            language,
            source: PathBuf::from("/x/pass.c"),
            lines: vec![(Place::Work, 12), (Place::Look, 20), (Place::Maybe, 30)],
        }
    }

    #[test]
    fn probes_are_the_same_for_the_same_seed() {
        let texts = |seed| {
            let mut random = Random::new(seed);
            let choice = Choice {
                places: &Place::OF_PASS,
                limits: true,
            };
            let sites = sites(Language::C);
            let all = (0..50).map(|_| Probe::random("a", &sites, choice, &mut random).text);
            all.collect::<Vec<String>>()
        };
        assert_eq!(texts(7), texts(7));
        assert_ne!(texts(7), texts(8));
        assert!(texts(7).iter().any(|text| text.contains("pass.c:20")));
    }

    #[test]
    fn conditions_are_decided_as_they_are_written() {
        let hit = Visit {
            slot: 1,
            sequence: 12,
            level: 0,
        };
        let condition = Condition::Modulo {
            divisor: 5,
            rest: 2,
        };
        assert!(condition.holds(Place::Look, hit));
        let text = condition.text(Place::Look, &sites(Language::C));
        assert_eq!(text, "pair->sequence % 5 == 2");
        let name = Condition::Name(2);
        assert!(name.holds(Place::Work, hit));
        let text = name.text(Place::Work, &sites(Language::Rust));
        assert_eq!(text, "pair.name == \"n2\"");
    }
}
