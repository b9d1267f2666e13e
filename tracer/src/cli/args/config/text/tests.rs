use proptest::prelude::*;

use super::*;

fn config(text: &str) -> Config {
    match parse(text, Path::new("config.toml")) {
        Ok(config) => config,
        Err(failure) => panic!("{}", failure.render(false)),
    }
}

/// The message about a mistake, as the user reads it.
fn told(text: &str) -> String {
    let failure = parse(text, Path::new("config.toml")).expect_err(text);
    assert_eq!(failure.code(), crate::cli::BAD_INPUT);
    failure.render(false)
}

#[test]
fn empty_file_changes_nothing() {
    for text in [
        "",
        "# only a comment\n",
        "[keys]\n[limits]\n[keys.picker]\n",
    ] {
        assert_eq!(config(text), Config::default());
    }
}

#[test]
fn every_setting_is_read() {
    let config = config(
        r#"
theme = "high-contrast"
redact = ["card*", "ssn"]

[limits]
max-depth = 5
max-cpu = "10%"
buffer-size = "64M"

[keys]
remove = ["X", "Delete"]
pause = "F5"

[keys.targets]
up = "w"
"#,
    );
    assert_eq!(config.theme, Some(ThemeChoice::HighContrast));
    assert_eq!(config.redact, ["card*", "ssn"]);
    assert_eq!(config.limits.of_values().depth, 5);
    assert_eq!(config.limits.cpus(), Some(0.1));
    assert_eq!(config.limits.buffer_size, Some(64 << 20));
    let remap = |mode: &str, command: &str, keys: &[&str]| KeyRemap {
        mode: mode.into(),
        command: command.into(),
        keys: keys.iter().map(|&key| key.into()).collect(),
    };
    let keymap = Keymap::remapped(&[
        remap("main", "remove", &["X", "Delete"]),
        remap("main", "pause", &["F5"]),
        remap("targets", "up", &["w"]),
    ]);
    assert_eq!(Ok(config.keymap), keymap);
}

#[test]
fn example_of_the_page_is_a_configuration() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/terminal-ui.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let example = page.split("```toml\n").nth(1).expect("an example");
    let example = example.split("```").next().expect("its end");
    let config = config(example);
    assert_eq!(config.theme, Some(ThemeChoice::Dark));
    assert_ne!(config.keymap, Keymap::default());
}

#[test]
fn mistakes_are_told_with_their_line_and_what_is_near() {
    let mistakes = [
        "theem = \"dark\"",
        "[colours]\nx = 1",
        "theme = \"drak\"",
        "theme = 5",
        "# a\n\ntheme = \"dark",
        "redact = \"card\"",
        "redact = [\"\"]",
        "[limits]\nmax-dept = 5",
        "[limits]\nrate = 5",
        "[limits]\nmax-depth = 99",
        "[limits]\nmax-cpu = \"much\"",
        "[limits]\nmax-depth = [5]",
        "[keys]\nremvoe = \"x\"",
        "[keys]\nremove = [\"X\", \"x\"]",
        "[keys]\nremove = \"Hyper-X\"",
        "[keys]\nremove = 5",
        "[keys.pickr]\nup = \"F5\"",
        "[keys.picker]\nup = [\n  \"F5\",\n  \"q\",\n]",
        "[keys.picker.up]\nx = \"F5\"",
        "[keys]\nquit = \"Q\"\nquit = \"Z\"",
    ];
    insta::assert_snapshot!(mistakes.map(told).join("\n"));
}

#[test]
fn mistake_at_the_end_and_behind_wide_characters_is_on_its_line() {
    assert!(told("redact = [").starts_with("tracer: config.toml:1: "));
    let wide = told("# 日本\nredact = [\"日本\", 5]");
    assert!(wide.contains("config.toml:2: "), "{wide}");
    // `redact = [`, four columns within quotes, `, `, and two of indent.
    let indent = " ".repeat(2 + 10 + 6 + 2);
    assert!(wide.contains(&format!("\n{indent}^\n")), "{wide}");
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_with_a_line(
        text in "([a-z]{1,6}|[\\[\\]{}=\"'.#,5\n]| |日|\u{1b}|keys|theme|limits){0,30}",
    ) {
        if let Err(failure) = parse(&text, Path::new("c")) {
            prop_assert!(failure.render(false).starts_with("tracer: c:"));
        }
    }
}
