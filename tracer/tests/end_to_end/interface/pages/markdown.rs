//! The fenced blocks of a page, and the page with replaced outputs.

/// A fenced block.
#[derive(Debug)]
pub(super) struct Block {
    /// Number of its first line in the file, from 1.
    pub(super) line: usize,
    /// Its kind.
    pub(super) kind: Kind,
    /// Values that differ between runs.
    pub(super) varies: Vec<String>,
    /// The command after `$ `, if there is one.
    pub(super) command: Option<String>,
    /// The lines after the command.
    pub(super) shown: Vec<String>,
    /// Number of lines of the command.
    command_lines: usize,
}

impl Block {
    /// Ctrl-C ends the command.
    pub(super) fn is_interrupted(&self) -> bool {
        self.shown.iter().any(|line| line == "^C")
    }
}

/// The kinds of blocks.
#[derive(Debug, PartialEq)]
pub(super) enum Kind {
    /// A command that runs to its end.
    Run,
    /// A command that keeps running.
    Starts(String),
    /// More output of a running command.
    GoesOn(String),
    /// The terminal UI after these keys.
    Screen(Screen),
    /// The content of a file.
    File(String),
    /// A part of the shop's source.
    Source,
    /// Not run, with the reason.
    NotRun(String),
}

/// A screen.
#[derive(Debug, PartialEq)]
pub(super) struct Screen {
    pub(super) rows: u16,
    pub(super) columns: u16,
    /// Keys, each with the text that the screen must show first.
    pub(super) keys: Vec<Keys>,
}

/// Keys for a screen.
#[derive(Debug, PartialEq)]
pub(super) struct Keys {
    pub(super) once_shown: String,
    pub(super) keys: String,
}

/// All blocks of a page.
///
/// # Errors
/// A block is not closed, or does not say how it is checked.
pub(super) fn blocks(text: &str) -> Result<Vec<Block>, String> {
    let lines: Vec<&str> = text.lines().collect();
    let mut blocks = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let Some(language) = lines[at].strip_prefix("```") else {
            if lines[at].starts_with("    $ ") {
                return Err(format!(
                    "line {}: a command outside of a fenced block",
                    at + 1
                ));
            }
            at += 1;
            continue;
        };
        let end = (at + 1..lines.len()).find(|&end| lines[end] == "```");
        let end = end.ok_or_else(|| format!("line {}: no end of the block", at + 1))?;
        let comment = at.checked_sub(1).and_then(|before| check(lines[before]));
        let block = block(language, comment, &lines[at + 1..end], at + 2);
        blocks.push(block.map_err(|error| format!("line {}: {error}", at + 1))?);
        at = end + 1;
    }
    Ok(blocks)
}

/// The text of `<!-- check: TEXT -->`.
fn check(line: &str) -> Option<&str> {
    line.strip_prefix("<!-- check: ")?.strip_suffix(" -->")
}

fn block(
    language: &str,
    comment: Option<&str>,
    content: &[&str],
    line: usize,
) -> Result<Block, String> {
    let (how, varies) = match comment {
        None => ("", ""),
        Some(text) => match text.strip_prefix("varies ") {
            Some(varies) => ("", varies),
            None => text.split_once("; varies ").unwrap_or((text, "")),
        },
    };
    let kind = kind(language, how)?;
    let command_lines = command_lines(content);
    let has_command = matches!(kind, Kind::Run | Kind::Starts(_) | Kind::Screen(_));
    if has_command && command_lines == 0 {
        return Err("no `$ ` and command".to_owned());
    }
    if content[command_lines..]
        .iter()
        .any(|line| line.starts_with("$ "))
    {
        return Err("a second command: give it a block of its own".to_owned());
    }
    let command_lines = if has_command { command_lines } else { 0 };
    let command = has_command.then(|| content[..command_lines].join("\n")[2..].to_owned());
    let varies = varies.split("; ").filter(|pattern| !pattern.is_empty());
    Ok(Block {
        line,
        kind,
        varies: varies.map(str::to_owned).collect(),
        command,
        shown: content[command_lines..]
            .iter()
            .map(|&line| line.to_owned())
            .collect(),
        command_lines,
    })
}

fn kind(language: &str, how: &str) -> Result<Kind, String> {
    let (word, rest) = how.split_once(' ').unwrap_or((how, ""));
    Ok(match (word, language) {
        ("", "console") => Kind::Run,
        ("", "rust") => Kind::Source,
        ("starts", _) => Kind::Starts(rest.to_owned()),
        ("goes", _) => Kind::GoesOn(rest.strip_prefix("on ").ok_or("`goes on NAME`")?.to_owned()),
        ("screen", _) => Kind::Screen(screen(rest).ok_or("`screen ROWSxCOLUMNS, keys KEYS`")?),
        ("file", _) => Kind::File(rest.to_owned()),
        ("not", _) => Kind::NotRun(
            rest.strip_prefix("run, ")
                .ok_or("`not run, REASON`")?
                .to_owned(),
        ),
        _ => return Err("nothing says how this block is checked".to_owned()),
    })
}

/// `28x100, keys [shown before]keys[shown before]keys`
fn screen(text: &str) -> Option<Screen> {
    let (size, keys) = text.split_once(", keys [")?;
    let (rows, columns) = size.split_once('x')?;
    let keys = keys.split('[').map(|step| {
        let (once_shown, keys) = step.split_once(']')?;
        Some(Keys {
            once_shown: once_shown.to_owned(),
            keys: keys.replace('⏎', "\r"),
        })
    });
    Some(Screen {
        rows: rows.parse().ok()?,
        columns: columns.parse().ok()?,
        keys: keys.collect::<Option<_>>()?,
    })
}

/// The number of lines of a command. All but the last one end in a backslash.
fn command_lines(content: &[&str]) -> usize {
    if !content.first().is_some_and(|line| line.starts_with("$ ")) {
        return 0;
    }
    let going_on = content.iter().take_while(|line| line.ends_with('\\'));
    going_on.count() + 1
}

/// A page whose outputs are replaced.
pub(super) struct Page {
    /// Each line of the page, or its replacement.
    lines: Vec<Option<String>>,
}

impl Page {
    /// The unchanged page.
    pub(super) fn new(text: &str) -> Self {
        Self {
            lines: text.lines().map(|line| Some(line.to_owned())).collect(),
        }
    }

    /// Replaces the output lines of a block.
    pub(super) fn replace(&mut self, block: &Block, shown: &[String]) {
        let first = block.line - 1 + block.command_lines;
        let shown: String = shown.iter().map(|line| format!("\n{line}")).collect();
        for line in &mut self.lines[first..first + block.shown.len()] {
            *line = None;
        }
        // The output follows the command or the fence.
        if let Some(before) = &mut self.lines[first - 1] {
            *before += &shown;
        }
    }

    /// The text of the page.
    pub(super) fn text(&self) -> String {
        let lines = self.lines.iter().flatten();
        lines.map(|line| format!("{line}\n")).collect()
    }
}

mod tests {
    use super::{Kind, Page, blocks};

    const TEXT: &str = "Words.\n\n<!-- check: starts shop; varies a # b; c -->\n```console\n$ ./shop \\\n    -x\n1 s\n```\n\n```rust\nlet x;\n```\nEnd.\n";

    #[test]
    fn blocks_have_a_command_of_several_lines_and_its_output() {
        let blocks = blocks(TEXT).expect("it is right");
        let [shop, source] = &blocks[..] else {
            panic!("{blocks:?}");
        };
        assert_eq!((shop.line, source.line), (5, 11));
        assert_eq!(shop.kind, Kind::Starts("shop".to_owned()));
        assert_eq!(shop.varies, ["a # b", "c"]);
        assert_eq!(shop.command.as_deref(), Some("./shop \\\n    -x"));
        assert_eq!(shop.shown, ["1 s"]);
        assert_eq!((&source.kind, &source.command), (&Kind::Source, &None));
    }

    #[test]
    fn commands_that_would_not_be_checked_are_refused() {
        for (text, why) in [
            ("```\n$ tracer\n```\n", "nothing says"),
            ("```text\nx\n```\n", "nothing says"),
            ("```console\nx\n```\n", "no `$ `"),
            ("```console\n$ a\n$ b\n```\n", "a second command"),
            (
                "<!-- check: starst a -->\n```console\n$ a\n```\n",
                "nothing says",
            ),
            (
                "<!-- check: not run -->\n```console\n$ a\n```\n",
                "`not run, REASON`",
            ),
            ("```console\n$ a\n", "no end"),
            ("    $ tracer\n", "outside of a fenced block"),
        ] {
            let error = blocks(text).expect_err(text);
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn other_outputs_leave_the_rest_of_the_page_as_it_is() {
        let blocks = blocks(TEXT).expect("it is right");
        let mut page = Page::new(TEXT);
        assert_eq!(page.text(), TEXT);
        page.replace(&blocks[0], &["2 s".to_owned(), "3 s".to_owned()]);
        assert_eq!(page.text(), TEXT.replace("1 s", "2 s\n3 s"));
    }
}
