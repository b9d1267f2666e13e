//! The configuration file and the themes, through a pseudo-terminal and without one.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use portable_pty::CommandBuilder;

use super::terminal::{ENTER, SOURCE, go_to, pacing, pick_file};
use crate::support::build::{probe_line, scratch};
use crate::support::needs;
use crate::support::pty::Terminal;
use crate::support::tracer::{TRACER, Tracer, tracer};
use crate::support::wait_for;

/// A home of configurations with this file.
fn home(name: &str, text: &str) -> PathBuf {
    let home = scratch(name);
    let directory = home.join("tracer");
    fs::create_dir_all(&directory).expect("a directory");
    fs::write(directory.join("config.toml"), text).expect("a file");
    home
}

/// The tracer with this home of configurations.
fn start(home: &Path, args: &[&str]) -> Terminal {
    start_with(home, args, &[])
}

fn start_with(home: &Path, args: &[&str], variables: &[(&str, &str)]) -> Terminal {
    let mut command = CommandBuilder::new(TRACER);
    command.args(args);
    command.env("XDG_CONFIG_HOME", home);
    for (name, value) in variables {
        command.env(name, value);
    }
    Terminal::run(command, 40, 120)
}

/// Returns true if these bytes were sent to the terminal.
fn sent(terminal: &Terminal, bytes: &str) -> bool {
    let raw = terminal.raw();
    raw.windows(bytes.len())
        .any(|part| part == bytes.as_bytes())
}

/// The sequences that choose colours, of those that were sent to the terminal.
fn colours(terminal: &Terminal) -> Vec<String> {
    let raw = terminal.raw();
    let text = String::from_utf8_lossy(&raw);
    let styles = text.split("\x1b[").skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != ';')?;
        rest[end..].starts_with('m').then(|| rest[..end].to_owned())
    });
    let is_colour = |style: &String| {
        let first = style
            .split(';')
            .next()
            .and_then(|number| number.parse().ok());
        // 39 and 49 are the default colours.
        first.is_some_and(|number: u8| matches!(number, 30..=38 | 40..=48 | 90..=107))
    };
    styles.filter(is_colour).collect()
}

#[test]
fn remapped_keys_work_and_are_those_of_hints_and_help() {
    if !needs::kernel() {
        return;
    }
    let text = r#"
theme = "dark"
[keys]
activate = "Ctrl-A"
quit = "Q"
remove = ["D"]
[keys.picker]
activate = ["Ctrl-T"]
"#;
    let home = home("config-keys", text);
    let program = pacing("config-keys");
    let pid = program.pid().to_string();
    let mut terminal = start(&home, &["attach", "--pid", &pid]);
    terminal.wait_text("Ctrl-T opens");
    terminal.keys("e2eloop");
    terminal.wait_text(SOURCE);
    terminal.keys("\x14");
    terminal.wait_text("second_step(struct pair *pair)");
    // Its theme, in 256 colours.
    assert!(sent(&terminal, "48;5;234"), "the dark background");
    go_to(&mut terminal, probe_line(SOURCE, "work"));
    terminal.wait_text("Ctrl-A logpoint on/off  Q quit");
    // The usual keys of these commands have none.
    terminal.keys(&format!("{ENTER}q"));
    terminal.keys("\x01");
    terminal.wait_text("◂ number=");
    terminal.keys("?");
    terminal.wait("the help", |screen| {
        screen.contains("Ctrl-A  source: logpoint") && screen.contains("D  remove the probe")
    });
    terminal.keys("\x1b");
    terminal.wait_text("Ctrl-A logpoint on/off");
    terminal.keys("Q");
    assert_eq!(terminal.assert_restored(), 0);
}

#[test]
fn mistake_in_the_file_is_told_with_its_line_before_anything_starts() {
    let home = home(
        "config-mistake",
        "theme = \"dark\"\n[keys]\npause = \"c\"\n",
    );
    let path = home.join("tracer/config.toml");
    let expected = [
        format!(
            "tracer: {}:3: `c` is the key of `clear` already",
            path.display()
        ),
        "  pause = \"c\"".to_owned(),
        "          ^^^".to_owned(),
        "  hint: give `clear` another key too, as in `clear = \"F9\"`".to_owned(),
    ];
    let mut terminal = start(&home, &["attach", "--pid", "1"]);
    assert_eq!(terminal.wait_end(), 2);
    let screen = terminal.wait_text("hint: give");
    // The path may be wider than the terminal.
    let screen = screen.replace('\n', "");
    assert!(screen.contains(&expected.concat()), "{screen}");
    assert!(!sent(&terminal, "\x1b[?1049h"), "no screen was opened");
    // Every command with settings says so, and a program is not started for it.
    let config = path.to_str().expect("a path");
    for args in [
        &[
            "run",
            "--config",
            config,
            "-e",
            "log a.c:1",
            "--",
            "/bin/false",
        ][..],
        &["record", "x.trz", "--config", config, "--pid", "1"],
        &["view", "--config", config, "x.trz"],
    ] {
        let finished = tracer(args);
        finished.assert_code(2);
        assert_eq!(finished.stderr, expected);
        assert_eq!(finished.text(), "");
    }
}

#[test]
fn limits_and_names_to_redact_count_unless_the_command_line_says_else() {
    if !needs::kernel() {
        return;
    }
    let home = home(
        "config-limits",
        "redact = [\"numb*\"]\n[limits]\nmax-depth = 0\n",
    );
    let config = home.join("tracer/config.toml");
    let config = config.to_str().expect("a path");
    let program = pacing("config-limits");
    let line = probe_line(SOURCE, "work");
    let probe = format!("log {SOURCE}:{line} \"{{pair.number}} {{pair.twice}}\"");
    let message = |more: &[&str]| {
        let options = [&["--config", config, "--events", "1"], more].concat();
        let finished = Tracer::attach(program.pid(), "text", &[&probe], &options).finish();
        finished.assert_code(0).text()
    };
    let hidden = message(&[]);
    assert!(hidden.contains("redacted"), "{hidden}");
    let shown = message(&["--no-redact"]);
    assert!(!shown.contains("redacted"), "{shown}");
}

#[test]
fn file_that_everyone_can_write_to_is_ignored_with_a_note() {
    if !needs::kernel() {
        return;
    }
    let home = home("config-writable", "this is no configuration");
    let path = home.join("tracer/config.toml");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).expect("a mode");
    let program = pacing("config-writable");
    let pid = program.pid().to_string();
    let mut terminal = start(&home, &["attach", "--pid", &pid]);
    pick_file(&mut terminal);
    terminal.wait_text("the configuration is ignored, because everyone can write to it: ");
    terminal.keys("q");
    assert_eq!(terminal.assert_restored(), 0);
    // A named file is the user's own business.
    let config = path.to_str().expect("a path");
    let finished = tracer(&["attach", "--config", config, "--pid", &pid]);
    finished.assert_code(2).assert_says(&["config.toml:1: "]);
}

#[test]
fn theme_is_that_of_the_option_of_the_prompt_and_none_without_colours() {
    if !needs::kernel() {
        return;
    }
    let home = home("config-theme", "theme = \"light\"\n");
    let program = pacing("config-theme");
    let pid = program.pid().to_string();
    let truecolor = [("COLORTERM", "truecolor")];
    let mut terminal = start_with(
        &home,
        &["attach", "--pid", &pid, "--theme", "dark"],
        &truecolor,
    );
    pick_file(&mut terminal);
    assert!(sent(&terminal, "48;2;27;30;37") && !sent(&terminal, "48;2;251;250;248"));
    terminal.keys(&format!(":theme light{ENTER}"));
    wait_for("the light theme", || {
        sent(&terminal, "48;2;251;250;248").then_some(())
    });
    terminal.keys(&format!(":theme lihgt{ENTER}"));
    terminal.wait_text("there is no theme `lihgt`; did you mean `light`?");
    terminal.keys("q");
    assert_eq!(terminal.assert_restored(), 0);
    // The whole list of processes has the theme, too.
    let mut terminal = start_with(&home, &["attach", "--theme", "high-contrast"], &truecolor);
    terminal.wait_text("Which processes?");
    assert!(sent(&terminal, "48;2;0;0;0"));
    terminal.keys("\x1b");
    assert_eq!(terminal.assert_restored(), 0);
    for (args, no_color) in [(&[][..], "1"), (&["--color", "never"], "")] {
        let args = [&["attach", "--pid", &pid], args].concat();
        let mut terminal = start_with(&home, &args, &[("NO_COLOR", no_color)]);
        pick_file(&mut terminal);
        assert_eq!(colours(&terminal), [""; 0]);
        terminal.keys("q");
        assert_eq!(terminal.assert_restored(), 0);
    }
    // The option counts more than the variable.
    let args = ["attach", "--pid", &pid, "--theme", "dark"];
    let variables = [("NO_COLOR", "1"), ("COLORTERM", "truecolor")];
    let mut terminal = start_with(&home, &args, &variables);
    pick_file(&mut terminal);
    assert!(sent(&terminal, "48;2;27;30;37"));
    terminal.keys("q");
    assert_eq!(terminal.assert_restored(), 0);
}

#[test]
fn doctor_names_the_file_and_its_mistake() {
    let doctor = |home: &Path, args: &[&str]| {
        let mut command = std::process::Command::new(TRACER);
        command.arg("doctor").args(args);
        command.env("XDG_CONFIG_HOME", home);
        for variable in ["SUDO_UID", "DOAS_USER", "PKEXEC_UID"] {
            command.env_remove(variable);
        }
        let output = command.output().expect("the tracer is built");
        String::from_utf8(output.stdout).expect("it is UTF-8")
    };
    let good = home("config-doctor", "theme = \"dark\"\n");
    let path = good.join("tracer/config.toml").display().to_string();
    let said = doctor(&good, &[]);
    assert!(said.contains(&format!("\n  ok      {path}\n")), "{said}");
    let mistaken = home("config-doctor-mistake", "[keys]\npuase = \"F5\"\n");
    let said = doctor(&mistaken, &[]);
    let mistake = format!(
        "  MISTAKE {}/tracer/config.toml:2: there is no command `puase`\n          hint: did you mean `pause`?\n",
        mistaken.display()
    );
    assert!(said.contains(&mistake), "{said}");
    let json: serde_json::Value =
        serde_json::from_str(&doctor(&mistaken, &["--json"])).expect("it is JSON");
    assert_eq!(json["config"]["state"], "mistaken");
    let everyone = home("config-doctor-open", "theme = \"dark\"\n");
    let file = everyone.join("tracer/config.toml");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).expect("it is ours");
    let said = doctor(&everyone, &[]);
    assert!(
        said.contains("  IGNORED ") && said.contains("everyone can write to it"),
        "{said}"
    );
    let nowhere = scratch("config-doctor-absent");
    let said = doctor(&nowhere, &[]);
    assert!(
        said.contains("  absent  ") && said.contains("the defaults are used"),
        "{said}"
    );
}

#[test]
fn messages_name_the_keys_in_use() {
    if !needs::kernel() {
        return;
    }
    let text = r#"
[keys]
help = "F2"
any-probe = "F3"
write-probes = "F8"
export-events = "F9"
[keys.prompt]
complete = "Ctrl-T"
[keys.event]
search = "F4"
help = "F2"
"#;
    let home = home("config-messages", text);
    let program = pacing("config-messages");
    let pid = program.pid().to_string();
    let probe = format!(
        "log {SOURCE}:{} \"call {{number}}\"",
        probe_line(SOURCE, "work")
    );
    let mut terminal = start(&home, &["attach", "--pid", &pid, "-e", &probe]);
    terminal.wait_text("call ");
    terminal.keys("%");
    terminal.wait_text("no key `%` here; F2 shows the keys");
    // F3 and F4, as a terminal sends them.
    let (f3, f4) = ("\x1bOR", "\x1bOS");
    terminal.keys(&format!("{f3}log nowhere:1 as lost{ENTER}"));
    terminal.wait_text("leaves it; F3 and ↑ have it again");
    terminal.keys("\x1b");
    terminal.wait("the panes", |screen| !screen.contains("Refused"));
    terminal.keys(&format!("{f3}co"));
    terminal.wait_text("Ctrl-T completes");
    terminal.keys("\x14");
    terminal.wait_text(":count");
    terminal.keys(&format!(" {SOURCE}:{}{ENTER}", probe_line(SOURCE, "work")));
    terminal.wait_text("2 probes");
    terminal.keys(&format!("p3\x1b[H{ENTER}"));
    terminal.wait_text("F4 search");
    terminal.keys("n");
    terminal.wait_text("F4 searches in the event");
    terminal.keys(f4);
    terminal.keys("number\r");
    terminal.keys("\x1b");
    terminal.wait("the list", |screen| !screen.contains("Event ━"));
    terminal.keys("q");
    assert_eq!(terminal.wait_end(), 0);
    terminal.wait("the end", |screen| {
        screen.contains("1 probe (`F8` writes probes to a file)")
            && screen.contains("`F9` exports them")
    });
}
