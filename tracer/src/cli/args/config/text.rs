//! The text of a configuration file.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use toml::Spanned;

use super::Config;
use crate::base::diagnostic::Diagnostic;
use crate::base::suggestions::near_names;
use crate::cli::args::LimitArgs;
use crate::cli::failure::CommandFailure;
use crate::tui::{KeyRemap, Keymap, RemapPart, ThemeChoice};

/// The mode whose keys stand directly in `[keys]`.
const MAIN: &str = "main";

/// The file as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenConfig {
    theme: Option<Spanned<String>>,
    redact: Vec<Spanned<String>>,
    limits: WrittenMap<LimitValue>,
    keys: WrittenMap<KeysOf>,
}

/// The settings of a text.
///
/// # Errors
/// A mistake, with its line.
pub(super) fn parse(text: &str, path: &Path) -> Result<Config, CommandFailure> {
    read(text).map_err(|error| on_line(error, text, path))
}

fn read(text: &str) -> Result<Config, Diagnostic> {
    let written: WrittenConfig = toml::from_str(text).map_err(|error| mistake(&error, text))?;
    let theme = written.theme.map(|name| {
        let choice = ThemeChoice::parse(name.get_ref());
        choice.map_err(|why| Diagnostic::at(name.span(), why))
    });
    let mut limits = LimitArgs::default();
    for (name, value) in &written.limits.0 {
        limits = limits.or(limit(name, value)?);
    }
    let redact = written.redact.into_iter().map(|name| {
        let is_empty = name.get_ref().trim().is_empty();
        match is_empty {
            true => Err(Diagnostic::at(name.span(), "the name is empty")),
            false => Ok(name.into_inner()),
        }
    });
    Ok(Config {
        theme: theme.transpose()?,
        keymap: keymap(written.keys)?,
        limits,
        redact: redact.collect::<Result<_, _>>()?,
        notes: Vec::new(),
    })
}

/// One limit, read as the option of its name.
fn limit(name: &Spanned<String>, value: &Spanned<LimitValue>) -> Result<LimitArgs, Diagnostic> {
    let names = LimitArgs::names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let typed = name.get_ref().as_str();
    if !names.contains(&typed) {
        let hint = match near_names(typed, names.iter().copied()).first() {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the limits are {}", names.join(", ")),
        };
        return Err(Diagnostic::at(name.span(), format!("there is no limit `{typed}`")).hint(hint));
    }
    LimitArgs::one(typed, &value.get_ref().0).map_err(|error| error.about(value.span()))
}

/// The keys of all modes.
fn keymap(keys: WrittenMap<KeysOf>) -> Result<Keymap, Diagnostic> {
    let mut remaps = Vec::new();
    let mut places = Vec::new();
    let mut add =
        |mode: (&str, Range<usize>), command: Spanned<String>, keys: Vec<Spanned<String>>| {
            places.push((
                mode.1,
                command.span(),
                keys.iter().map(Spanned::span).collect::<Vec<_>>(),
            ));
            remaps.push(KeyRemap {
                mode: mode.0.to_owned(),
                command: command.into_inner(),
                keys: keys.into_iter().map(Spanned::into_inner).collect(),
            });
        };
    for (name, value) in keys.0 {
        let span = value.span();
        match value.into_inner() {
            KeysOf::Command(keys) => add((MAIN, name.span()), name, keys.of(span)),
            KeysOf::Mode(commands) => {
                for (command, keys) in commands.0 {
                    let span = keys.span();
                    let keys = keys.into_inner().of(span);
                    add((name.get_ref(), name.span()), command, keys);
                }
            }
        }
    }
    Keymap::remapped(&remaps).map_err(|error| {
        let span = places
            .get(error.entry)
            .map(|(mode, command, keys)| match error.part {
                RemapPart::Mode => mode.clone(),
                RemapPart::Command => command.clone(),
                RemapPart::Key(at) => keys.get(at).unwrap_or(command).clone(),
            });
        let diagnostic = Diagnostic::new(error.message).maybe_hint(error.hint);
        match span {
            Some(span) => diagnostic.about(span),
            None => diagnostic,
        }
    })
}

/// A mistake of the form: no TOML, an unknown name, a value of another kind.
fn mistake(error: &toml::de::Error, text: &str) -> Diagnostic {
    let message = error.message().lines().collect::<Vec<_>>().join("; ");
    let span = error.span().unwrap_or(0..0);
    let unknown = message.strip_prefix("unknown field ");
    let Some((unknown, known)) = unknown.and_then(|rest| rest.split_once(", expected ")) else {
        return Diagnostic::at(span, message);
    };
    let name = unknown.trim_matches('`');
    let known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
    let hint = match near_names(name, known.iter().copied()).first() {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the settings are {}", known.join(", ")),
    };
    // A table's name may stand within brackets.
    let written = text.get(span.clone()).unwrap_or_default();
    let at = written.find(name).map_or(span.clone(), |at| {
        span.start + at..span.start + at + name.len()
    });
    Diagnostic::at(at, format!("there is no setting `{name}`")).hint(hint)
}

/// The mistake with the line that it is on, and the line's text.
fn on_line(error: Diagnostic, text: &str, path: &Path) -> CommandFailure {
    let span = error.span.clone().unwrap_or(0..0);
    let before = text.get(..span.start).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let number = before.matches('\n').count() + 1;
    let line = text.get(start..).and_then(|rest| rest.lines().next());
    let line = line.unwrap_or_default();
    let column = span.start.saturating_sub(start).min(line.len());
    // A mistake of several lines is marked on the first of them.
    let end = (column + span.len()).clamp(column, line.len());
    let place = format!("{}:{number}", path.display());
    CommandFailure::of_text(error.about(column..end), line).at(Some(&place))
}

/// The value of a limit, as the option would have it.
#[derive(Debug)]
struct LimitValue(String);

impl<'de> Deserialize<'de> for LimitValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LimitVisitor)
    }
}

struct LimitVisitor;

impl Visitor<'_> for LimitVisitor {
    type Value = LimitValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number or a text, such as `5` or `\"64M\"`")
    }

    fn visit_i64<E>(self, value: i64) -> Result<LimitValue, E> {
        Ok(LimitValue(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<LimitValue, E> {
        Ok(LimitValue(value.to_owned()))
    }
}

/// A name and its value, with their places.
type Entry<V> = (Spanned<String>, Spanned<V>);

/// A table in the order in which it is written.
#[derive(Debug)]
struct WrittenMap<V>(Vec<Entry<V>>);

impl<V> Default for WrittenMap<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for WrittenMap<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MapVisitor(PhantomData))
    }
}

struct MapVisitor<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for MapVisitor<V> {
    type Value = WrittenMap<V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<WrittenMap<V>, A::Error> {
        entries(map).map(WrittenMap)
    }
}

fn entries<'de, V: Deserialize<'de>, A: MapAccess<'de>>(
    mut map: A,
) -> Result<Vec<Entry<V>>, A::Error> {
    let mut entries = Vec::new();
    while let Some(entry) = map.next_entry()? {
        entries.push(entry);
    }
    Ok(entries)
}

/// A value in `[keys]`: the keys of a command, or the table of a mode.
#[derive(Debug)]
enum KeysOf {
    Command(WrittenKeys),
    Mode(WrittenMap<WrittenKeys>),
}

/// A key, or a list of keys.
#[derive(Debug)]
enum WrittenKeys {
    One(String),
    Several(Vec<Spanned<String>>),
}

impl WrittenKeys {
    /// All of them, with their places. The value has this place.
    fn of(self, span: Range<usize>) -> Vec<Spanned<String>> {
        match self {
            Self::One(key) => vec![Spanned::new(span, key)],
            Self::Several(keys) => keys,
        }
    }
}

impl<'de> Deserialize<'de> for WrittenKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KeysVisitor)
    }
}

struct KeysVisitor;

impl<'de> Visitor<'de> for KeysVisitor {
    type Value = WrittenKeys;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key or a list of keys, such as `\"x\"` or `[\"x\", \"Ctrl-X\"]`")
    }

    fn visit_str<E>(self, key: &str) -> Result<WrittenKeys, E> {
        Ok(WrittenKeys::One(key.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<WrittenKeys, A::Error> {
        let mut keys = Vec::new();
        while let Some(key) = list.next_element()? {
            keys.push(key);
        }
        Ok(WrittenKeys::Several(keys))
    }
}

impl<'de> Deserialize<'de> for KeysOf {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KeysOfVisitor)
    }
}

struct KeysOfVisitor;

impl<'de> Visitor<'de> for KeysOfVisitor {
    type Value = KeysOf;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        KeysVisitor.expecting(f)
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<KeysOf, E> {
        KeysVisitor.visit_str(key).map(KeysOf::Command)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<KeysOf, A::Error> {
        KeysVisitor.visit_seq(list).map(KeysOf::Command)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<KeysOf, A::Error> {
        entries(map).map(|entries| KeysOf::Mode(WrittenMap(entries)))
    }
}

#[cfg(test)]
mod tests;
