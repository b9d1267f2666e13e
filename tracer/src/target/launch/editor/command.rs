//! The command of the user's editor, with a file and a line.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::base::diagnostic::Diagnostic;

/// Editors that take `FILE:LINE`.
const WITH_COLON: [&str; 6] = ["hx", "helix", "subl", "sublime_text", "zed", "zeditor"];
/// Editors that take `--goto FILE:LINE`: Visual Studio Code and its relatives.
const WITH_GOTO: [&str; 7] = [
    "code",
    "code-insiders",
    "code-oss",
    "codium",
    "vscodium",
    "cursor",
    "windsurf",
];
/// Editors that take `--line LINE FILE`.
const WITH_LINE: [&str; 8] = [
    "kate",
    "idea",
    "clion",
    "rustrover",
    "pycharm",
    "goland",
    "fleet",
    "mate",
];

/// The command of an editor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EditorCommand {
    program: OsString,
    arguments: Vec<OsString>,
}

impl EditorCommand {
    /// The command in `$VISUAL`, or else in `$EDITOR`.
    pub(super) fn of_environment() -> Result<Self, Diagnostic> {
        let set = ["VISUAL", "EDITOR"]
            .into_iter()
            .filter_map(std::env::var_os)
            .find(|value| !value.as_bytes().trim_ascii().is_empty());
        let Some(text) = set else {
            return Err(
                Diagnostic::new("neither `$VISUAL` nor `$EDITOR` names an editor").hint(
                    match std::env::var_os("SUDO_UID") {
                        Some(_) => "`sudo --preserve-env=VISUAL,EDITOR tracer …` keeps yours",
                        None => "`export EDITOR=vim` names one",
                    },
                ),
            );
        };
        Self::parse(&text).ok_or_else(|| {
            Diagnostic::new(format!("`{}` is not a command", text.to_string_lossy()))
                .hint("`$VISUAL` and `$EDITOR` have words as in a shell")
        })
    }

    /// The command of words as in a shell. `None` if a quote is not closed.
    pub(super) fn parse(text: &OsStr) -> Option<Self> {
        let words = shlex::bytes::split(text.as_bytes())?;
        let mut words = words
            .into_iter()
            .map(|word| OsStr::from_bytes(&word).to_owned());
        Some(Self {
            program: words.next()?,
            arguments: words.collect(),
        })
    }

    /// The program and its arguments for a file and a line.
    pub(super) fn with(&self, file: &Path, line: u64) -> (OsString, Vec<OsString>) {
        let name = Path::new(&self.program).file_name().unwrap_or_default();
        let name = name.to_str().unwrap_or_default();
        let mut at_line = file.as_os_str().to_owned();
        at_line.push(format!(":{line}"));
        let file = file.as_os_str().to_owned();
        let place: Vec<OsString> = match name {
            name if WITH_COLON.contains(&name) => vec![at_line],
            name if WITH_GOTO.contains(&name) => vec!["--goto".into(), at_line],
            name if WITH_LINE.contains(&name) => {
                vec!["--line".into(), line.to_string().into(), file]
            }
            _ => vec![format!("+{line}").into(), file],
        };
        let arguments = self.arguments.iter().cloned().chain(place);
        (self.program.clone(), arguments.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_editor_gets_the_line_in_its_form() {
        for (editor, wanted) in [
            ("vim", "vim +7 /src/a b.c"),
            ("/usr/bin/nano -l", "/usr/bin/nano -l +7 /src/a b.c"),
            ("'my editor' \"-x y\"", "my editor -x y +7 /src/a b.c"),
            ("hx", "hx /src/a b.c:7"),
            ("code --wait", "code --wait --goto /src/a b.c:7"),
            ("/opt/zed/bin/zed", "/opt/zed/bin/zed /src/a b.c:7"),
            ("clion", "clion --line 7 /src/a b.c"),
        ] {
            let command = EditorCommand::parse(OsStr::new(editor)).expect("it is a command");
            let (program, arguments) = command.with(Path::new("/src/a b.c"), 7);
            let mut words = vec![program];
            words.extend(arguments);
            assert_eq!(words.join(OsStr::new(" ")), wanted, "{editor}");
        }
        for text in ["", "  ", "vim 'x"] {
            assert_eq!(EditorCommand::parse(OsStr::new(text)), None, "{text}");
        }
    }
}
