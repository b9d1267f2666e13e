//! The help, made from the key bindings and the words of the probe language.

use super::{Binding, KeyCommand, MOUSE, Mode, bindings, label};
use crate::tui::action::Pane;
use crate::tui::prompt::completion::about;

/// Examples of probes.
pub(in crate::tui) const EXAMPLES: [(&str, &str); 10] = [
    ("log main.rs:57", "every variable at each hit"),
    (
        "log main.rs:57 \"x {last.x} -> {current.x}\" if current.x != last.x",
        "a message, under a condition",
    ),
    (
        "log handle_request \"{request:#?}\" hits 20 rate 5/s as requests",
        "with limits and a name",
    ),
    (
        "log handle_request%return \"{$return}\"",
        "the returned value",
    ),
    ("count router.rs:120 by request.method", "a sorted table"),
    ("hist cache.rs:41 entry.bytes.len()", "a histogram"),
    (
        "time handle_request \"{id} took {$elapsed}\" if $elapsed > 5ms",
        "slow calls with their arguments",
    ),
    ("time db.rs:30..db.rs:52", "the time between two lines"),
    (
        "snapshot cache.rs:41 depth 8",
        "one hit: all variables, and the stack",
    ),
    (
        "watch stock.left if old != new",
        "who changes a static, and from what to what",
    ),
];

/// The commands of a pane, besides those that all panes have.
fn of_pane(pane: Pane) -> &'static [KeyCommand] {
    match pane {
        Pane::Source => &[
            KeyCommand::Activate,
            KeyCommand::Template,
            KeyCommand::Watch,
            KeyCommand::Files,
            KeyCommand::GoTo,
            KeyCommand::Search,
            KeyCommand::NextMatch,
            KeyCommand::PreviousMatch,
            KeyCommand::NextCode,
            KeyCommand::PreviousCode,
            KeyCommand::EditSource,
        ],
        Pane::Probes => &[
            KeyCommand::Activate,
            KeyCommand::Edit,
            KeyCommand::Toggle,
            KeyCommand::Remove,
            KeyCommand::Undo,
            KeyCommand::Inspect,
            KeyCommand::Only,
            KeyCommand::SilenceAll,
            KeyCommand::WriteProbes,
        ],
        Pane::Events => &[
            KeyCommand::Activate,
            KeyCommand::Search,
            KeyCommand::Pause,
            KeyCommand::Follow,
            KeyCommand::Clear,
            KeyCommand::Undo,
            KeyCommand::Only,
            KeyCommand::ExportEvents,
            KeyCommand::Copy,
            KeyCommand::CopyAll,
            KeyCommand::Earlier,
            KeyCommand::Later,
        ],
        Pane::Results => &[
            KeyCommand::NextView,
            KeyCommand::PreviousView,
            KeyCommand::Compare,
            KeyCommand::LogScale,
            KeyCommand::Shorter,
            KeyCommand::Longer,
            KeyCommand::Inspect,
            KeyCommand::Only,
        ],
        Pane::Program => &[
            KeyCommand::StartProgram,
            KeyCommand::TypeToProgram,
            KeyCommand::PageUp,
            KeyCommand::PageDown,
            KeyCommand::End,
        ],
    }
}

/// The place that the help begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tui) enum HelpPlace {
    /// A pane.
    Pane(Pane),
    /// An event in full.
    Event,
    /// A traced call, step by step.
    Steps,
}

const fn heading_of(pane: Pane) -> &'static str {
    match pane {
        Pane::Source => "In the source",
        Pane::Probes => "In the probes",
        Pane::Events => "In the events",
        Pane::Results => "In the results",
        Pane::Program => "In the output of the program",
    }
}

/// The lines of the help: a heading, or keys and their effect. Those of the place come first.
pub(in crate::tui) fn help(place: HelpPlace) -> Vec<(String, String)> {
    let heading = |text: &str| (String::new(), text.to_owned());
    let line = |binding: &Binding| (label(binding.keys()), help_of(binding));
    let here = match place {
        HelpPlace::Pane(pane) => of_pane(pane),
        HelpPlace::Event | HelpPlace::Steps => &[],
    };
    let is_here = |binding: &&Binding| here.contains(&binding.command);
    let of_mode = |mode: Mode| bindings().filter(move |binding| binding.mode == mode);
    let main = || of_mode(Mode::Main);
    let mut lines = Vec::new();
    let first: &[Mode] = match place {
        HelpPlace::Pane(pane) => {
            lines.push(heading(heading_of(pane)));
            lines.extend(main().filter(is_here).map(line));
            if pane == Pane::Source {
                lines.push(heading(
                    "· can be probed  ● probed  ○ silenced  ✓ done  ◌ attaching  ◂ latest value",
                ));
            }
            &[]
        }
        HelpPlace::Event => &[Mode::Event, Mode::EventSearch],
        HelpPlace::Steps => &[Mode::Steps, Mode::StepsPrompt],
    };
    let others = Mode::ALL.iter().filter(|mode| !first.contains(mode));
    for mode in first.iter().chain(others).copied() {
        if !lines.is_empty() {
            lines.push(heading(""));
        }
        lines.push(heading(mode.heading()));
        match mode {
            Mode::Main => {
                lines.extend(main().filter(|binding| !is_here(binding)).map(line));
                let mouse = MOUSE.iter();
                lines.extend(mouse.map(|(what, does)| ((*what).to_owned(), (*does).to_owned())));
            }
            _ => lines.extend(of_mode(mode).map(line)),
        }
    }
    lines.push(heading(""));
    lines.extend(grammar());
    lines
}

/// The grammar of probes, with examples.
fn grammar() -> Vec<(String, String)> {
    let pair = |what: &str, means: &str| (what.to_owned(), means.to_owned());
    let heading = |text: &str| (String::new(), text.to_owned());
    let mut lines = vec![heading(
        "A probe: ACTION LOCATION [\"MESSAGE\"] [if CONDITION] [OPTION]…",
    )];
    let actions = crate::actions::names();
    lines.extend(actions.map(|word| pair(word, about(word))));
    lines.push(heading("Locations, messages and conditions"));
    for (what, means) in [
        ("FILE:LINE", "the end of a path is enough"),
        ("FUNCTION", "its entry; FUNCTION%return its returns"),
        ("MODULE!FILE:LINE", "in this library"),
        ("A..B", "time and span: from one place to the next"),
        ("{x.y}", "a value; {x:#?} over many lines; {x:#x} in hex"),
        ("{$thread}", "$pid $tid $time $hit $return $elapsed …"),
        ("if a.b > 3", "&& || ! == != < contains(\"…\") is_some()"),
    ] {
        lines.push(pair(what, means));
    }
    lines.push(heading("Options"));
    for word in ["hits", "rate", "every", "for", "depth", "cpu", "per", "as"] {
        lines.push(pair(word, about(word)));
    }
    lines.push(heading("Examples"));
    for (example, means) in EXAMPLES {
        lines.push(heading(&format!("  {example}")));
        lines.push(pair("", means));
        if let Some(last) = lines.last_mut() {
            " ".clone_into(&mut last.0);
        }
    }
    lines
}

/// The text of a binding, with the key that leads back from the program.
fn help_of(binding: &Binding) -> String {
    match binding.command {
        KeyCommand::TypeToProgram => {
            let back = super::hint(Mode::Program, KeyCommand::LeaveProgram);
            format!("{}; {back} leads back", binding.help)
        }
        _ => binding.help.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_are_probes() {
        for (example, _) in EXAMPLES {
            assert!(crate::actions::parse_probe(example).is_ok(), "{example}");
        }
    }

    #[test]
    fn keys_of_the_pane_come_first_and_every_key_once() {
        let panes = Pane::ALL.map(HelpPlace::Pane);
        for place in panes
            .into_iter()
            .chain([HelpPlace::Event, HelpPlace::Steps])
        {
            let lines = help(place);
            let first = &lines[1].1;
            let mut all = bindings();
            assert!(match place {
                HelpPlace::Pane(pane) => all.any(|one| {
                    one.mode == Mode::Main
                        && of_pane(pane).contains(&one.command)
                        && help_of(one) == *first
                }),
                HelpPlace::Event => all.any(|one| one.mode == Mode::Event && one.help == first),
                HelpPlace::Steps => all.any(|one| one.mode == Mode::Steps && one.help == first),
            });
            for binding in bindings() {
                let (keys, help) = (label(binding.keys()), help_of(binding));
                let shown = lines
                    .iter()
                    .filter(|(key, text)| *key == keys && *text == help);
                let others =
                    bindings().filter(|one| help_of(one) == help && label(one.keys()) == keys);
                assert_eq!(shown.count(), others.count(), "{keys} {help}");
            }
            assert!(
                lines
                    .iter()
                    .any(|(_, text)| text.contains("[if CONDITION]"))
            );
        }
    }
}
