//! Compares two outputs, and ignores values that differ between runs.
//!
//! Both are converted into a common form, and then compared line by line:
//!
//! | output | common form |
//! | --- | --- |
//! | time of day, with or without the date | `TIME` |
//! | id of a process or thread | `ID` |
//! | address, register | `ADDRESS`, `REGISTER` |
//! | number with a unit of time | `DURATION` |
//! | percentage | `SHARE` |
//! | the summary's verdict on the cost | `VERDICT` |
//! | number other than 0 before a word of [`COUNTED`], or at the start of a row | `N` |
//! | bar of the usual width | `BAR` |
//! | consecutive rows of `time`, whose number varies | one row |
//! | tables of one probe with `--every`, whose number varies | two tables |
//! | the shop's three threads | `worker-NAME` |
//! | several spaces in a row or on a screen | one space |
//! | `note: …` and `all probes are done`, which come on stderr | moved after all other lines |
//! | a value that the block names as varying | the name |
//!
//! The lines and clauses of [`AT_TIMES`] are removed, because they depend on a hit at the moment of
//! the attach or the removal. Everything else must be equal: words, values, order, the number of
//! lines.

mod tests;

/// Words after a number that varies.
const COUNTED: [&str; 11] = [
    "hits",
    "events",
    "requested events",
    "times",
    "more",
    "with a false condition",
    "over the rate limit",
    "after its last hit",
    "while silenced",
    "kept",
    "with unreadable memory",
];

/// Counts that may be 1.
const ONE_OF_MANY: [(&str, &str); 3] = [
    (": 1 hit, 1 event", ": N hits, N events"),
    (
        " 1 event with unreadable memory",
        " N events with unreadable memory",
    ),
    (" hits, 1 event", " hits, N events"),
];

/// Lines and clauses that some runs lack, in the common form.
const AT_TIMES: [&str; 11] = [
    "all N requested events are shown; N more came while the probes were being removed, \
     and are counted as events",
    "the requested event is shown; N more came while the probes were being removed, \
     and are counted as events",
    "N without an end so far",
    // Calls in progress when the probe was silenced at the end of the session.
    "N ended, but hits were silenced or lost meanwhile",
    "N ended without a beginning that was timed",
    "N began while silenced, or after the probe's time",
    ", N while silenced",
    ", 1 while silenced",
    ", N after its last hit",
    ", 1 after its last hit",
    "; N events with unreadable memory",
];

const REGISTERS: [&str; 16] = [
    "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13",
    "r14", "r15",
];

const TIME_OF_DAY: &[u8] = b"00:00:00.000000";
const DATE_AND_TIME: &[u8] = b"0000-00-00T00:00:00.000000Z";

/// Column at which the count of a row ends.
const COUNT_WIDTH: usize = 14;

/// Length of a full bar.
const BAR_WIDTH: usize = 40;

const WORKERS: &str = "worker-ada|worker-ben|worker-cyd";

/// Converts lines into the common form.
pub(super) fn common(lines: &[String], varies: &[String]) -> Vec<String> {
    let mut common = Vec::<String>::new();
    for line in lines {
        let line = common_line(line, varies);
        let is_left_out = AT_TIMES.contains(&line.as_str());
        let is_repeated = line.starts_with("[DURATION") && common.last() == Some(&line);
        if !is_left_out && !is_repeated {
            common.push(line);
        }
    }
    let mut common = without_more_tables(common);
    // A stable order: these are on stderr, events on stdout.
    common.sort_by_key(|line| line.starts_with("note: ") || line == "all probes are done");
    common
}

/// Removes the tables of one probe from the third on, because `--every` prints a varying number of
/// them.
fn without_more_tables(lines: Vec<String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    // The previous table, and how often it came.
    let mut before: (Vec<String>, usize) = Default::default();
    let mut rest = lines.as_slice();
    while let Some((first, behind)) = rest.split_first() {
        let rows = behind.iter().take_while(|line| is_row(line)).count();
        let (lines, others) = rest.split_at(1 + rows);
        let is_table = first.starts_with("TIME p") && rows > 0;
        let times = if is_table && before.0 == lines {
            before.1 + 1
        } else {
            1
        };
        if times <= 2 {
            kept.extend_from_slice(lines);
        }
        before = (lines.to_vec(), times);
        rest = others;
    }
    kept
}

/// True if a line in the common form is a row of a table.
fn is_row(line: &str) -> bool {
    line.starts_with("N ") || line.ends_with(" N BAR")
}

/// Lines of a screen in the common form.
pub(super) fn common_screen(lines: &[String], varies: &[String]) -> Vec<String> {
    let lines = lines.iter().map(|line| {
        let is_probe = line.starts_with("›●") || line.starts_with(" ●");
        let line = if is_probe {
            without_chart(line)
        } else {
            line.clone()
        };
        let line = one_space(&line.replace(['─', '━'], " "));
        let line = common_line(&line, varies);
        if is_probe { counts(&line) } else { line }
    });
    let mut lines: Vec<String> = lines.collect();
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines
}

fn common_line(line: &str, varies: &[String]) -> String {
    let mut line = varying(line.trim_end(), WORKERS, "worker-NAME");
    for pattern in varies {
        line = varying(&line, pattern, pattern);
    }
    for (one, many) in ONE_OF_MANY {
        line = line.replace(one, many);
    }
    let mut line = numbers(&line);
    for verdict in [" (negligible)", " (of SHARE allowed)"] {
        line = line.replace(verdict, " (VERDICT)");
    }
    if let Some(row) = row(&line) {
        line = row;
    }
    let begins = |word| line.trim_start_matches('›').starts_with(word);
    if begins("TIME ") || begins("tracing ") {
        line = ids(&line);
    }
    for clause in AT_TIMES {
        if clause.starts_with([',', ';']) {
            line = line.replace(clause, "");
        }
    }
    line
}

/// Replaces all matches of a pattern by `shown`. A pattern is a choice of words, in which `#` is a
/// number.
fn varying(line: &str, pattern: &str, shown: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let length = pattern
            .split('|')
            .filter_map(|one| matches(rest, one))
            .max();
        let is_within_word = out.ends_with(char::is_alphanumeric);
        match length {
            Some(length) if !is_within_word => {
                out += shown;
                rest = &rest[length..];
            }
            _ => {
                out.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    out
}

/// True if a text has a match of a pattern.
pub(super) fn occurs(pattern: &str, text: &str) -> bool {
    const FOUND: &str = "\u{1}";
    varying(text, pattern, FOUND).contains(FOUND)
}

/// Length of the match of one word of a pattern at the start of a text.
fn matches(text: &str, word: &str) -> Option<usize> {
    let mut rest = text;
    let mut parts = word.split('#').peekable();
    while let Some(part) = parts.next() {
        rest = rest.strip_prefix(part)?;
        if parts.peek().is_some() {
            rest = &rest[number(rest)?..];
        }
    }
    let ends_within_word = word.ends_with(char::is_alphanumeric)
        && rest.starts_with(|next: char| next.is_alphanumeric());
    (!ends_within_word).then_some(text.len() - rest.len())
}

/// Length of the number at the start of a text: digits, commas between them, a decimal point.
fn number(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mut at = 0;
    while is_digit(at) || at > 0 && matches!(bytes.get(at), Some(b',' | b'.')) && is_digit(at + 1) {
        at += 1;
    }
    (at > 0).then_some(at)
}

/// Numbers whose kind follows from their context.
fn numbers(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let is_start = !out.ends_with(|before: char| before.is_alphanumeric() || before == '_');
        let known = if is_start { kind(rest, &out) } else { None };
        let (shown, length) = known.unwrap_or_else(|| {
            let length = if is_start { number(rest) } else { None };
            let length = length.unwrap_or(first.len_utf8());
            (rest[..length].to_owned(), length)
        });
        out += &shown;
        rest = &rest[length..];
    }
    out
}

/// The kind and length of a number, address or register. `None` for text that must be equal.
fn kind(text: &str, before: &str) -> Option<(String, usize)> {
    let word = |length: usize| !text[length..].starts_with(|next: char| next.is_alphanumeric());
    let named = |name: &str, length: usize| Some((name.to_owned(), length));
    if let Some(register) = REGISTERS.iter().find(|name| text.starts_with(**name))
        && word(register.len())
    {
        return named("REGISTER", register.len());
    }
    if let Some(hex) = text.strip_prefix("0x") {
        let digits = hex.chars().take_while(char::is_ascii_hexdigit).count();
        return named("ADDRESS", digits + 2);
    }
    for form in [TIME_OF_DAY, DATE_AND_TIME] {
        if has_form(text, form) {
            return named("TIME", form.len());
        }
    }
    let length = number(text)?;
    let behind = &text[length..];
    for unit in ["ns", "µs", "ms", "s"] {
        if behind.starts_with(unit) && word(length + unit.len()) {
            return named("DURATION", length + unit.len());
        }
    }
    if behind.starts_with('%') {
        return named("SHARE", length + 1);
    }
    if before.ends_with("pid ") {
        return named("ID", length);
    }
    let counted = behind.strip_prefix(' ')?;
    let is_count = COUNTED.iter().any(|word| counted.starts_with(word));
    (is_count && &text[..length] != "0").then_some(("N".to_owned(), length))
}

/// Returns true if a text begins with digits and marks as in `form`.
fn has_form(text: &str, form: &[u8]) -> bool {
    let same = |(&byte, &form): (&u8, &u8)| {
        if form == b'0' {
            byte.is_ascii_digit()
        } else {
            byte == form
        }
    };
    text.len() >= form.len() && text.as_bytes().iter().zip(form).all(same)
}

/// The ids in `TIME worker-NAME/123 …` and `tracing shop (123): …`.
fn ids(line: &str) -> String {
    let mut words = line.splitn(3, ' ').map(str::to_owned).collect::<Vec<_>>();
    if let Some((thread, id)) = words[1].clone().split_once('/')
        && number(id) == Some(id.len())
    {
        words[1] = format!("{thread}/ID");
    }
    if let Some(last) = words.get_mut(2)
        && let Some(behind) = last.strip_prefix('(')
    {
        let length = number(behind).unwrap_or(0);
        *last = format!("(ID{}", &behind[length..]);
    }
    words.join(" ")
}

/// A row of a table: `       12  "mug"`, or `  [2, 3]      12 |@@@    |`.
fn row(line: &str) -> Option<String> {
    let trimmed = line.trim_start();
    if trimmed.len() == line.len() {
        return None;
    }
    if let Some((head, bar)) = trimmed
        .strip_suffix('|')
        .and_then(|row| row.rsplit_once(" |"))
    {
        let (bucket, count) = head.rsplit_once(' ')?;
        let filled = bar.trim_end_matches(' ');
        let is_bar = bar.len() == BAR_WIDTH && filled.bytes().all(|byte| byte == b'@');
        let is_count = number(count) == Some(count.len()) && count != "0";
        return (is_bar && is_count).then(|| format!("{} N BAR", bucket.trim_end()));
    }
    let (value, behind) = trimmed.split_at(number(trimmed)?);
    // Line numbers are further to the left.
    let is_count = line.len() - trimmed.len() + value.len() == COUNT_WIDTH && value != "0";
    let key = behind.strip_prefix("  ")?;
    is_count.then(|| format!("N {}", key.trim_start()))
}

/// A row of the probes, without the chart of its rate.
fn without_chart(line: &str) -> String {
    line.chars()
        .filter(|sign| !('▁'..='█').contains(sign))
        .collect()
}

/// A row of the probes, with its counts as `N` after its location.
fn counts(line: &str) -> String {
    let words = line.split(' ').enumerate().map(|(index, word)| {
        let digits = word.trim_end_matches("/s").trim_end_matches('k');
        let is_count = number(digits) == Some(digits.len()) && word != "0";
        if index > 1 && is_count { "N" } else { word }
    });
    words.collect::<Vec<_>>().join(" ").trim_end().to_owned()
}

fn one_space(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    words.join(" ")
}
