//! When two outputs are alike: equal, but for what differs from run to run.
//!
//! Both are brought into one form, and then compared line by line. In that form stand
//!
//! - `TIME` for times of day, `ID` for ids of processes and threads, `ADDRESS` for addresses,
//!   `REGISTER` for registers, `DURATION` for numbers with a unit of time, `SHARE` for percentages,
//!   `VERDICT` for what the summary says of the cost;
//! - `N` for a number other than 0 before a word of [`COUNTED`], and at the beginning of a row of
//!   `count`, `hist` or `time`; `BAR` for a bar of the usual width;
//! - one row for rows of `time` that follow each other, since their number differs; two tables for more of
//!   one probe, since `--every` shows as many as there is time for;
//! - `worker-NAME` for the shop's three threads, and one space for several within a row or a screen;
//! - `note: …` behind all other lines, since events come by another way;
//! - a value that the block names as varying, as it names it.
//!
//! Left out are the lines and clauses of [`AT_TIMES`], which are there when a hit came at the moment
//! at which the probes came or went. All else must be equal: words, values, order, the number of lines.

mod tests;

/// Words with a number before them that counts.
const COUNTED: [&str; 10] = [
    "hits",
    "events",
    "times",
    "more",
    "with a false condition",
    "over the rate limit",
    "after its last hit",
    "while silenced",
    "kept",
    "with unreadable memory",
];

/// Counts that happen to be 1.
const ONE_OF_MANY: [(&str, &str); 3] = [
    (": 1 hit, 1 event", ": N hits, N events"),
    (
        " 1 event with unreadable memory",
        " N events with unreadable memory",
    ),
    (" hits, 1 event", " hits, N events"),
];

/// Lines and clauses that are not there each time, in the common form.
const AT_TIMES: [&str; 11] = [
    "all N events that were asked for are shown; N more came while the probes were taken out, \
     and are counted as events",
    "the event that was asked for is shown; N more came while the probes were taken out, \
     and are counted as events",
    "N without an end so far",
    // Calls that were in progress when the probe was silenced at the session's end.
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

/// Where the count of a row ends.
const COUNT_WIDTH: usize = 14;

/// How long a full bar is.
const BAR_WIDTH: usize = 40;

const WORKERS: &str = "worker-ada|worker-ben|worker-cyd";

/// Lines in the common form.
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
    // A stable order: notes are on stderr, events on stdout.
    common.sort_by_key(|line| line.starts_with("note: "));
    common
}

/// Leaves out the tables of one probe from the third on, since `--every` shows as many as there is time for.
fn without_more_tables(lines: Vec<String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    // The lines of the table before, and how often it came.
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

/// Whether a line in the common form is a row of a table.
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

/// Puts `shown` in the place of all that is like a pattern: one of its words, `#` being a number.
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

/// Whether something in a text is like a pattern.
pub(super) fn occurs(pattern: &str, text: &str) -> bool {
    const FOUND: &str = "\u{1}";
    varying(text, pattern, FOUND).contains(FOUND)
}

/// How many bytes at the beginning are like one word of a pattern.
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

/// The length of the number at the beginning: digits, commas between them, a decimal point.
fn number(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mut at = 0;
    while is_digit(at) || at > 0 && matches!(bytes.get(at), Some(b',' | b'.')) && is_digit(at + 1) {
        at += 1;
    }
    (at > 0).then_some(at)
}

/// Numbers of which the kind is known by what is around them.
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

/// What a number, address or register stands for, and its length; `None` for what must be equal.
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
    if is_time(text) {
        return named("TIME", 15);
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

/// `11:28:51.945006`
fn is_time(text: &str) -> bool {
    const FORM: &[u8] = b"00:00:00.000000";
    let same = |(&byte, &form): (&u8, &u8)| {
        if form == b'0' {
            byte.is_ascii_digit()
        } else {
            byte == form
        }
    };
    text.len() >= FORM.len() && text.as_bytes().iter().zip(FORM).all(same)
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
    // Numbers of lines are further to the left.
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

/// A row of the probes, with its counts as `N` behind its place.
fn counts(line: &str) -> String {
    let words = line.split(' ').enumerate().map(|(index, word)| {
        let digits = word.trim_end_matches('k');
        let is_count = number(digits) == Some(digits.len()) && word != "0";
        if index > 1 && is_count { "N" } else { word }
    });
    words.collect::<Vec<_>>().join(" ").trim_end().to_owned()
}

fn one_space(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    words.join(" ")
}
