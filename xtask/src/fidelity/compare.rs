//! Compares a value that gdb walked with the value that `tracer` wrote.
//!
//! gdb's side is a tree of tagged nodes (see `gdb.py`), ours the JSON of an event. A part that
//! neither side has is no difference. A value that our limits cut is compared as far as it goes.

mod leaf;

use serde_json::{Map, Value, json};

use leaf::{bytes_of_ours, float, hex, integer, numeric, text};

/// Our reasons that stand for limits of the user, not for gaps.
const LIMITS: &[&str] = &["deeper than the depth limit"];

/// The result of comparing one variable.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct VariableOutcome {
    /// Equal parts.
    pub(crate) equal: usize,
    /// Parts that neither side has.
    pub(crate) neither: usize,
    /// Parts that we can read and gdb, for reasons of its own, cannot.
    pub(crate) ours_only: usize,
    /// The reason why we lack a part that gdb has; the first one.
    pub(crate) lacking: Option<String>,
    /// The first different part.
    pub(crate) wrong: Option<Difference>,
}

/// A different part.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Difference {
    /// Path in the variable: `.field[3]`; empty for the whole.
    pub(crate) part: String,
    /// gdb's value.
    pub(crate) gdb: String,
    /// Our value.
    pub(crate) ours: String,
}

/// Compares a variable.
pub(crate) fn compare(gdb: &Value, ours: &Value) -> VariableOutcome {
    let mut outcome = VariableOutcome::default();
    outcome.node(gdb, ours, &mut String::new());
    outcome
}

impl VariableOutcome {
    /// Returns the outcome of a variable that was not compared, for this reason.
    pub(crate) fn lacking(why: &str) -> Self {
        Self {
            lacking: Some(why.to_owned()),
            ..Self::default()
        }
    }

    /// Returns the outcome for a variable that we do not show. It counts if gdb shows it.
    pub(crate) fn absent(gdb: &Value, why: &str) -> Self {
        if is_nowhere(gdb) {
            return Self {
                neither: 1,
                ..Self::default()
            };
        }
        Self::lacking(why)
    }

    fn differ(&mut self, part: &str, gdb: &Value, ours: &Value) {
        if self.wrong.is_none() {
            self.wrong = Some(Difference {
                part: part.to_owned(),
                gdb: shown(gdb),
                ours: shown(ours),
            });
        }
    }

    fn check(&mut self, same: bool, part: &str, gdb: &Value, ours: &Value) {
        if same {
            self.equal += 1;
        } else {
            self.differ(part, gdb, ours);
        }
    }

    fn node(&mut self, gdb: &Value, ours: &Value, part: &mut String) {
        let kind = gdb["k"].as_str().unwrap_or_default();
        let why = ours.get("$unavailable").and_then(Value::as_str);
        match (kind, why) {
            ("any", _) => return,
            ("unavailable", Some(_)) => {
                self.neither += 1;
                return;
            }
            (_, Some(_)) if is_nowhere(gdb) => {
                self.neither += 1;
                return;
            }
            // The address cannot be read. Our reason contains it.
            ("ptr" | "dyn", Some(why))
                if why.starts_with("memory at") && is_nowhere(&gdb["target"]) =>
            {
                self.neither += 1;
                return;
            }
            ("unavailable", None) => return self.gdb_lacks(gdb, ours, part),
            (_, Some(why)) if LIMITS.contains(&why) => return,
            (_, Some(why)) if why.starts_with("invalid value") => {
                // The bytes are not a value of the type, as before a constructor. gdb shows them
                // as if they were.
                self.neither += 1;
                return;
            }
            (_, Some(why)) => {
                self.lacking.get_or_insert_with(|| why.to_owned());
                return;
            }
            (_, None) => {}
        }
        match kind {
            // A bit field may be a boolean or have named numbers.
            "int" if ours.is_boolean() => {
                let number = ours.as_bool().map(u64::from).map(|bit| bit.to_string());
                self.check(number.as_deref() == gdb["v"].as_str(), part, gdb, ours);
            }
            "int" => self.check(
                numeric(ours).as_deref() == gdb["v"].as_str(),
                part,
                gdb,
                ours,
            ),
            "bool" => {
                let number = ours.as_bool().map(u64::from).or_else(|| ours.as_u64());
                self.check(number == gdb["v"].as_u64(), part, gdb, ours);
            }
            "char" => self.check(character(gdb, ours), part, gdb, ours),
            "float" => self.check(float(gdb, ours), part, gdb, ours),
            "enum" => self.check(named(gdb, ours), part, gdb, ours),
            "unit" => self.check(ours.is_null() || ours.is_object(), part, gdb, ours),
            "struct" => self.fields(gdb, ours, part),
            "variant" => {
                let same = ours.get("$variant") == gdb.get("name");
                self.check(same, part, gdb, ours);
                self.fields(gdb, ours, part);
            }
            "tuple" | "seq" => self.items(gdb, ours, part),
            "map" => self.entries(gdb, ours, part),
            "text" | "chars" | "wide" => self.check(text(gdb, ours), part, gdb, ours),
            "ptr" => self.pointer(gdb, ours, part),
            "ref" => {
                let (theirs, ours) = seen_as(gdb, ours);
                self.node(theirs.unwrap_or(&Value::Null), ours, part);
            }
            "dyn" => self.dynamic(gdb, ours, part),
            "weak" => self.check(ours["$type"] == "(Weak)", part, gdb, ours),
            "once" => self.once(gdb, ours, part),
            "alternative" => self.node(&gdb["value"], ours, part),
            "duration" => {
                let same = numeric(&ours["secs"]).as_deref() == gdb["secs"].as_str()
                    && numeric(&ours["nanos"]).as_deref() == gdb["nanos"].as_str();
                self.check(same, part, gdb, ours);
            }
            _ => self.differ(part, gdb, ours),
        }
    }

    /// Compares a value that gdb lacks: we must not invent one.
    fn gdb_lacks(&mut self, gdb: &Value, ours: &Value, part: &str) {
        let why = gdb["why"].as_str().unwrap_or_default();
        let null = why.ends_with("at address 0x0") && ours == &json!({"$address": "0x0"});
        let lie = if null {
            // A reference to nothing shows only its address.
            false
        } else if why.contains("optimized out") {
            !is_hollow(ours)
        } else {
            why.contains("Cannot access memory") && !has_gap(ours)
        };
        if lie {
            self.differ(part, gdb, ours);
        } else {
            self.ours_only += 1;
        }
    }

    fn fields(&mut self, gdb: &Value, ours: &Value, part: &mut String) {
        let fields = gdb["fields"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let Some(object) = ours
            .as_object()
            .filter(|ours| !ours.contains_key("$address"))
        else {
            return self.differ(part, gdb, ours);
        };
        if fields.is_empty() {
            self.equal += 1;
        }
        for field in fields {
            let name = field[0].as_str().unwrap_or_default();
            let length = part.len();
            match field_of(object, name) {
                Some((key, value)) => {
                    part.push('.');
                    part.push_str(key);
                    self.node(&field[1], value, part);
                }
                None if is_nothing(&field[1]) => {}
                None => self.differ(&format!("{part}.{name}"), &field[1], ours),
            }
            part.truncate(length);
        }
    }

    fn items(&mut self, gdb: &Value, ours: &Value, part: &mut String) {
        let theirs = gdb["items"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let Some((items, all)) = items_of(ours, "items") else {
            return self.differ(part, gdb, ours);
        };
        let tuple = gdb["k"] == "tuple";
        let of = gdb["of"].as_u64().or(tuple.then_some(theirs.len() as u64));
        // Without a number, gdb's walk was cut. Without our number, ours was.
        let same = of.is_none() || all.is_none() || of == all;
        self.check(
            same && items.is_empty() == theirs.is_empty(),
            part,
            gdb,
            ours,
        );
        for (index, (theirs, ours)) in theirs.iter().zip(items).enumerate() {
            let length = part.len();
            part.push_str(&format!("[{index}]"));
            self.node(theirs, ours, part);
            part.truncate(length);
        }
    }

    fn entries(&mut self, gdb: &Value, ours: &Value, part: &mut String) {
        let theirs = gdb["entries"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let Some((entries, all)) = items_of(ours, "$map") else {
            return self.differ(part, gdb, ours);
        };
        let of = gdb["of"].as_u64();
        self.check(of.is_none() || of == all, part, gdb, ours);
        for (index, (theirs, ours)) in theirs.iter().zip(entries).enumerate() {
            let length = part.len();
            part.push_str(&format!("[{index}]"));
            self.node(&theirs[0], &ours[0], part);
            self.node(&theirs[1], &ours[1], part);
            part.truncate(length);
        }
    }

    fn pointer(&mut self, gdb: &Value, ours: &Value, part: &mut String) {
        let own = ours.get("$target").unwrap_or(ours);
        let (target, own) = seen_as(gdb, own);
        match ours.get("$address") {
            // For a reference to a pointer, ours is the pointer.
            Some(address)
                if is_pointer(&gdb["target"])
                    && address != &gdb["address"]
                    && address == &gdb["target"]["address"] =>
            {
                self.node(&gdb["target"], ours, part);
            }
            Some(address) => {
                self.check(address == &gdb["address"], part, gdb, ours);
                if let (Some(theirs), true) = (target, ours.get("$target").is_some()) {
                    let length = part.len();
                    part.push_str(".*");
                    self.node(theirs, own, part);
                    part.truncate(length);
                }
            }
            None if gdb["text"].is_object() => {
                let whole = gdb["text"]["hex"]
                    .as_str()
                    .and_then(hex)
                    .unwrap_or_default();
                let same = bytes_of_ours(ours).is_some_and(|(bytes, _)| {
                    whole.starts_with(&bytes) || bytes.starts_with(&whole)
                });
                self.check(same, part, gdb, ours);
            }
            None => match target {
                Some(target) => self.node(target, own, part),
                None => self.differ(part, gdb, ours),
            },
        }
    }

    /// Compares a trait object, including its concrete value if gdb finds its type.
    fn dynamic(&mut self, gdb: &Value, ours: &Value, part: &mut String) {
        let (address, target) = (ours.get("$address"), ours.get("$target"));
        if let Some(address) = address {
            self.check(address == &gdb["address"], part, gdb, ours);
        }
        let ours = if address.is_some() {
            target
        } else {
            Some(ours)
        };
        match (gdb.get("target"), ours) {
            (Some(theirs), Some(ours)) => self.node(theirs, ours, part),
            (Some(theirs), None) if !is_nothing(theirs) => {
                let why = "the type behind `dyn`".to_owned();
                self.lacking.get_or_insert(why);
            }
            (None, Some(_)) => self.ours_only += 1,
            _ => {}
        }
    }

    fn once(&mut self, gdb: &Value, ours: &Value, part: &mut String) {
        let set = gdb["set"] == true;
        match ours.get("0") {
            Some(inner) if inner["$type"] == "<uninit>" => self.check(!set, part, gdb, ours),
            Some(inner) if set => self.node(&gdb["value"], inner, part),
            _ => self.differ(part, gdb, ours),
        }
    }
}

/// Returns true if a part of the value is missing.
fn has_gap(ours: &Value) -> bool {
    match ours {
        Value::Object(object) => {
            object.contains_key("$unavailable") || object.values().any(has_gap)
        }
        Value::Array(items) => items.iter().any(has_gap),
        _ => false,
    }
}

/// Returns true if gdb lacks the value or each of its parts.
fn is_nowhere(gdb: &Value) -> bool {
    let parts = |key: &str| gdb[key].as_array().filter(|parts| !parts.is_empty());
    match gdb["k"].as_str() {
        Some("unavailable") => true,
        Some("ptr") => gdb.get("text").is_some_and(Value::is_null),
        Some("struct" | "variant") => parts("fields")
            .is_some_and(|fields| all_nowhere(&mut fields.iter().map(|field| &field[1]))),
        Some("seq" | "tuple") => parts("items").is_some_and(|items| all_nowhere(&mut items.iter())),
        Some("ref") => is_nowhere(&gdb["target"]),
        _ => false,
    }
}

/// Returns true if gdb lacks all of these parts. Parts that gdb does not walk, such as members
/// without a number of elements, are unknown.
fn all_nowhere(parts: &mut dyn Iterator<Item = &Value>) -> bool {
    let mut known = parts.filter(|part| part["k"] != "any").peekable();
    known.peek().is_some() && known.all(is_nowhere)
}

fn is_pointer(gdb: &Value) -> bool {
    matches!(gdb["k"].as_str(), Some("ptr" | "dyn"))
}

/// Returns true if the value has no part that could be wrong.
fn is_hollow(ours: &Value) -> bool {
    match ours {
        Value::Object(object) => {
            object.contains_key("$unavailable")
                || object
                    .iter()
                    .filter(|(key, _)| !key.starts_with("$type"))
                    .all(|(_, value)| is_hollow(value))
        }
        Value::Array(items) => items.iter().all(is_hollow),
        Value::Null => true,
        _ => false,
    }
}

/// Returns the targets of a pointer on both sides. For a polymorphic object, both must have the
/// same class, which may be a base class of the one that we show.
fn seen_as<'g, 'o>(gdb: &'g Value, ours: &'o Value) -> (Option<&'g Value>, &'o Value) {
    let own = ours["$type"].as_str();
    let is = |target: &&Value| target["name"].as_str().map(short) == own;
    if let Some(dynamic) = gdb.get("dynamic").filter(is) {
        return (Some(dynamic), ours);
    }
    let target = gdb.get("target");
    let name = target
        .filter(|target| !is(target))
        .and_then(|target| target["name"].as_str());
    let base = name.and_then(|name| base_named(ours, short(name), 0));
    (target, base.unwrap_or(ours))
}

/// Returns the base class with this name within an object.
fn base_named<'o>(ours: &'o Value, name: &str, level: u32) -> Option<&'o Value> {
    let fields = ours.as_object().filter(|_| level < 8)?;
    let is_base = |key: &str, value: &Value| value["$type"].as_str() == Some(key);
    let mut bases = fields.iter().filter(|(key, value)| is_base(key, value));
    bases.find_map(|(key, value)| {
        if key == name {
            return Some(value);
        }
        base_named(value, name, level + 1)
    })
}

/// Returns true if the value has no part of its own.
fn is_nothing(gdb: &Value) -> bool {
    match gdb["k"].as_str() {
        Some("any" | "unit") => true,
        Some("struct") => gdb["fields"]
            .as_array()
            .is_some_and(|fields| fields.iter().all(|field| is_nothing(&field[1]))),
        _ => false,
    }
}

/// Returns our name of the field that gdb calls `name`.
fn field_of<'o>(object: &'o Map<String, Value>, name: &str) -> Option<(&'o str, &'o Value)> {
    let digits = name.strip_prefix("__").unwrap_or_default();
    let number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let key = match name.strip_prefix("base ") {
        Some(base) => short(base),
        None if number => digits,
        None => name,
    };
    object
        .get_key_value(key)
        .map(|(key, value)| (key.as_str(), value))
}

/// Returns the last segment of a type's path, without template arguments.
fn short(name: &str) -> &str {
    let path = name.split('<').next().unwrap_or(name);
    path.rsplit("::").next().unwrap_or(path)
}

/// Returns our elements, and the total number of elements.
fn items_of<'o>(ours: &'o Value, key: &str) -> Option<(&'o [Value], Option<u64>)> {
    if let Some(items) = ours.as_array() {
        return Some((items, Some(items.len() as u64)));
    }
    let items = ours.get(key)?.as_array()?;
    let of = match ours.get("$cut") {
        Some(cut) => cut["of"].as_u64(),
        None => Some(items.len() as u64),
    };
    Some((items, of))
}

fn character(gdb: &Value, ours: &Value) -> bool {
    let Some(code) = gdb["v"].as_u64() else {
        return false;
    };
    if let Some(number) = integer(ours) {
        let bits = 8 * gdb["size"].as_u64().unwrap_or(1).clamp(1, 8);
        return number as u64 & (u64::MAX >> (64 - bits)) == code;
    }
    match bytes_of_ours(ours) {
        Some((bytes, _)) if code >= 0x80 && bytes.len() == 1 => u64::from(bytes[0]) == code,
        Some((bytes, _)) => {
            let c = u32::try_from(code).ok().and_then(char::from_u32);
            c.is_some_and(|c| c.to_string().as_bytes() == bytes)
        }
        None => false,
    }
}

/// Returns a named integer: one name, or names whose sum it is.
fn named(gdb: &Value, ours: &Value) -> bool {
    let value = gdb["v"]
        .as_str()
        .and_then(|value| value.parse::<i128>().ok());
    let Some(names) = ours.get("$variant").and_then(Value::as_str) else {
        return integer(ours).is_some() && integer(ours) == value;
    };
    let mut sum = 0;
    for name in names.split(" | ") {
        let known = gdb["names"][name]
            .as_str()
            .and_then(|value| value.parse::<i128>().ok());
        match known {
            Some(value) => sum |= value,
            None => return false,
        }
    }
    Some(sum) == value
}

/// Cuts a value to the width of a table.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(300) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(gdb: Value, ours: Value) -> bool {
        compare(&gdb, &ours).wrong.is_some()
    }

    #[test]
    fn integers_beyond_doubles_are_compared_as_strings() {
        let gdb = json!({"k": "int", "v": "18446744073709551615"});
        assert!(!wrong(gdb.clone(), json!("18446744073709551615")));
        assert!(wrong(gdb, json!("18446744073709551614")));
    }

    #[test]
    fn value_where_gdb_has_none_is_wrong() {
        let gdb = json!({"k": "unavailable", "why": "optimized out"});
        assert!(wrong(gdb.clone(), json!(5)));
        let outcome = compare(&gdb, &json!({"$unavailable": "optimised out"}));
        assert_eq!((outcome.neither, outcome.wrong), (1, None));
    }

    #[test]
    fn wide_text_is_compared_as_far_as_both_show_it() {
        let gdb = |of: u64| json!({"k": "wide", "size": 2, "units": [97, 98, 99], "of": of});
        let cut = |text: &str| json!({"$cut": {"shown": text.len()}, "text": text});
        assert!(!wrong(gdb(3), json!("abc")));
        assert!(wrong(gdb(3), json!("ab")));
        assert!(!wrong(gdb(900), cut("abcd")) && !wrong(gdb(900), cut("ab")));
        assert!(wrong(gdb(900), cut("abd")));
        // A text that we do not call cut is the whole text.
        assert!(wrong(gdb(900), json!("abc")) && wrong(gdb(3), cut("ab")));
    }

    #[test]
    fn reference_to_nothing_may_show_its_address_alone() {
        let gdb = json!({"k": "unavailable", "why": "Cannot access memory at address 0x0"});
        assert!(!wrong(gdb.clone(), json!({"$address": "0x0"})));
        assert!(wrong(gdb.clone(), json!({"$address": "0x8"})));
        assert!(wrong(gdb, json!(0)));
    }

    #[test]
    fn polymorphic_object_is_compared_as_the_class_that_both_have() {
        let int = |v: &str| json!({"k": "int", "v": v});
        let of = |name: &str, field: &str, v: &str| json!({"k": "struct", "name": name, "fields": [[field, int(v)]]});
        let ours = |base: u64| json!({"$type": "Derived", "Base": {"$type": "Base", "base": base}, "own": 7});
        let mut gdb = json!({"k": "ref", "target": of("app::Base", "base", "1")});
        assert!(!wrong(gdb.clone(), ours(1)));
        assert!(wrong(gdb.clone(), ours(2)));
        gdb["dynamic"] = of("app::Derived", "own", "8");
        assert!(wrong(gdb, ours(1)));
    }

    #[test]
    fn reference_to_a_pointer_is_the_pointer() {
        let inner = json!({"k": "ptr", "address": "0x20"});
        let gdb = json!({"k": "ptr", "address": "0x10", "target": inner});
        for (address, same) in [("0x10", true), ("0x20", true), ("0x30", false)] {
            assert_eq!(wrong(gdb.clone(), json!({"$address": address})), !same);
        }
    }

    #[test]
    fn pointer_to_what_nobody_can_read_is_no_lack() {
        let gone = json!({"k": "unavailable", "why": "Cannot access memory at address 0x40"});
        let target = json!({"k": "struct", "fields": [["a", gone], ["b", {"k": "any"}]]});
        let gdb = json!({"k": "ptr", "address": "0x40", "target": target});
        let ours = |why: &str| json!({"$unavailable": why});
        let outcome = compare(&gdb, &ours("memory at 0x40 not readable"));
        assert_eq!((outcome.neither, outcome.lacking), (1, None));
        let outcome = compare(&gdb, &ours("optimised out"));
        assert!(outcome.lacking.is_some());
    }

    #[test]
    fn trait_object_that_nobody_can_read_is_no_lack() {
        let gone = json!({"k": "unavailable", "why": "Cannot access memory at address 0x38"});
        let target = json!({"k": "struct", "fields": [["age", gone]]});
        let mut gdb = json!({"k": "dyn", "address": "0x20", "target": target});
        // The debugger reads only the shown part, which may start later.
        let ours = json!({"$unavailable": "memory at 0x28 not readable"});
        let outcome = compare(&gdb, &ours);
        assert_eq!((outcome.neither, outcome.lacking), (1, None));
        gdb["target"]["fields"][0][1] = json!({"k": "int", "v": "1"});
        assert!(compare(&gdb, &ours).lacking.is_some());
    }

    #[test]
    fn part_that_differs_is_named() {
        let int = |v: &str| json!({"k": "int", "v": v});
        let gdb = json!({"k": "struct", "fields": [["a", {"k": "seq", "of": 2, "items": [int("1"), int("2")]}]]});
        let outcome = compare(&gdb, &json!({"$type": "T", "a": [1, 3]}));
        assert_eq!(
            outcome.wrong.map(|wrong| wrong.part).as_deref(),
            Some(".a[1]")
        );
        let lacking = compare(
            &gdb,
            &json!({"$type": "T", "a": [1, {"$unavailable": "record full"}]}),
        );
        assert_eq!(lacking.lacking.as_deref(), Some("record full"));
    }

    #[test]
    fn missing_field_and_wrong_length_are_differences() {
        let gdb = json!({"k": "struct", "fields": [["a", {"k": "int", "v": "1"}]]});
        assert!(wrong(gdb, json!({"$type": "T"})));
        let gdb =
            json!({"k": "seq", "of": 2, "items": [{"k": "int", "v": "1"}, {"k": "int", "v": "1"}]});
        assert!(wrong(gdb, json!([1])));
    }
}
