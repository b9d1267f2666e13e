//! Pictures of the terminal UI, for README.md and docs/terminal-ui.md.
//!
//! As a test, this only checks that the pictures are there, are linked, and are small. With
//! `TRACER_REMAKE_PICTURES=1`, which `cargo xtask pictures` sets, it attaches to the tutorial's shop
//! on a real terminal and draws its cells as SVG.

mod svg;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use portable_pty::CommandBuilder;

use super::terminal::ENTER;
use crate::support::build::{line_of, rust_compiler, workspace};
use crate::support::program::Program;
use crate::support::pty::Terminal;
use crate::support::tracer::TRACER;
use svg::Picture;

/// The pictures, and the page that shows each.
const PICTURES: [(&str, &str); 4] = [
    ("session.svg", "README.md"),
    ("dark.svg", "docs/terminal-ui.md"),
    ("light.svg", "docs/terminal-ui.md"),
    ("stepping.svg", "docs/stepping.md"),
];

/// Bytes of all pictures, at most.
const BYTES: u64 = 300_000;

const ROWS: u16 = 32;
const COLUMNS: u16 = 110;

/// The home of the user of the tutorial. Its path is on the pictures, so it is made for them.
const HOME: &str = "/home/ada";

#[test]
fn pictures_are_there_linked_and_small() {
    let folder = workspace().join("docs/pictures");
    if std::env::var_os("TRACER_REMAKE_PICTURES").is_some() {
        remake(&folder);
    }
    let mut bytes = 0;
    for (name, page) in PICTURES {
        let picture = fs::read_to_string(folder.join(name)).expect(name);
        assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n"));
        // Viewers of pages run no scripts and load nothing.
        assert!(!picture.contains("<script") && !picture.contains("href"));
        bytes += picture.len() as u64;
        let text = fs::read_to_string(workspace().join(page)).expect(page);
        let link = format!("pictures/{name})");
        assert!(text.contains(&link), "{page} does not show {name}");
    }
    assert!(bytes <= BYTES, "the pictures have {bytes} bytes");
    let files = fs::read_dir(folder).expect("the pictures");
    assert_eq!(files.count(), PICTURES.len(), "each picture is listed");
}

/// The shop, built where its path is fit to be seen.
struct Shop {
    program: Program,
    folder: PathBuf,
}

impl Shop {
    fn start() -> Self {
        // Not one that somebody else has made.
        fs::create_dir(HOME).expect("no user of this machine has this home");
        let folder = Path::new(HOME).join("shop");
        fs::create_dir(&folder).expect("the home is empty");
        let source = folder.join("shop.rs");
        fs::copy(workspace().join("docs/tutorial/shop.rs"), &source).expect("a copy");
        let built = Command::new(rust_compiler())
            .args(["-g", "-O", "--edition", "2024", "shop.rs"])
            .current_dir(&folder)
            .status();
        assert!(built.expect("a compiler").success());
        let program = Program::start(&folder.join("shop"), &[]);
        Self { program, folder }
    }

    /// The line of the shop's source that has this text.
    fn line(&self, text: &str) -> u64 {
        line_of(&self.folder.join("shop.rs"), text)
    }

    /// The terminal UI in a theme.
    fn attach(&self, theme: &str, more: &[&str]) -> Terminal {
        let mut command = CommandBuilder::new(TRACER);
        let pid = self.program.pid().to_string();
        command.args(["attach", "--pid", &pid, "--theme", theme]);
        command.args(more);
        command.env("COLORTERM", "truecolor");
        Terminal::run(command, ROWS, COLUMNS)
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(HOME);
    }
}

fn remake(folder: &Path) {
    fs::create_dir_all(folder).expect("a folder");
    let shop = Shop::start();
    let frames = session(&shop);
    write(folder, "session.svg", &svg::animated(&frames));
    for theme in ["dark", "light"] {
        let picture = busy(&shop, theme);
        write(folder, &format!("{theme}.svg"), &svg::still(&picture));
    }
    write(folder, "stepping.svg", &svg::still(&stepping(&shop)));
}

fn write(folder: &Path, name: &str, text: &str) {
    fs::write(folder.join(name), text).expect("the picture is written");
}

/// From the list of files to the values at a line.
fn session(shop: &Shop) -> Vec<Picture> {
    let order = shop.line("Some(cents) => cents * request.quantity as u64");
    let mut terminal = shop.attach("dark", &[]);
    let mut frames = Vec::new();
    terminal.wait_text("shop.rs");
    frames.push(terminal.with_screen(Picture::of));
    terminal.keys(ENTER);
    terminal.wait_text("#[derive(Default)]");
    terminal.keys(&format!("g{order}{ENTER}"));
    terminal.wait_text("cents * request.quantity");
    terminal.wait_text("Variables at line");
    frames.push(terminal.with_screen(Picture::of));
    terminal.keys("t");
    terminal.wait_text("here: ");
    terminal.keys("{request.customer} pays {cents}");
    terminal.wait_text("pays {cents}");
    frames.push(terminal.with_screen(Picture::of));
    terminal.keys(ENTER);
    terminal.wait("values", |screen| screen.matches(" pays ").count() > 5);
    frames.push(terminal.with_screen(Picture::of));
    terminal.keys(&format!(":time handle if $elapsed > 20ms{ENTER}"));
    terminal.wait("the second probe, and the line closed", |screen| {
        screen.contains("2 probes") && !screen.contains("attaching") && !screen.contains(" here: ")
    });
    terminal.keys(&format!("3/@p2{ENTER}"));
    terminal.wait("slow calls", |screen| {
        screen.contains("with `@p2`: ") && screen.matches("worker-").count() > 3
    });
    frames.push(terminal.with_screen(Picture::of));
    terminal.keys("q");
    assert_eq!(terminal.assert_restored(), 0);
    frames
}

/// A traced call, after a call that it has made.
fn stepping(shop: &Shop) -> Picture {
    let trace = "trace shop::Shop::order depth 2";
    let mut terminal = shop.attach("dark", &["-e", trace]);
    terminal.wait_text("after 1 hit");
    terminal.keys(&format!(":steps{ENTER}"));
    terminal.wait_text("call 1 of ");
    terminal.keys("\x1b[Hi");
    terminal.wait_text("Shop::price");
    terminal.keys("o");
    terminal.wait("the result of the call, and the source", |screen| {
        screen.contains("price()") && screen.contains("fn order") && screen.contains("v plot")
    });
    let picture = terminal.with_screen(Picture::of);
    terminal.keys("qq");
    assert_eq!(terminal.assert_restored(), 0);
    picture
}

/// A session with some probes.
fn busy(shop: &Shop, theme: &str) -> Picture {
    let order = shop.line("Some(cents) => cents * request.quantity as u64");
    let log = format!("log shop.rs:{order} \"{{request.customer}} pays {{cents}}\"");
    let count = "count shop::Shop::order by request.customer as orders";
    let slow = "time handle if $elapsed > 20ms as slow";
    let mut terminal = shop.attach(theme, &["-e", &log, "-e", count, "-e", slow]);
    // The source is open, the rates have a past, and the notes at the foot have gone.
    terminal.wait("a busy screen", |screen| {
        let bars = screen.matches(['▆', '▇', '█']).count();
        screen.contains(" ◂ ") && bars > 20 && screen.contains("logpoint on/off")
    });
    terminal.keys("3kkk");
    terminal.wait("a selected event", |screen| {
        screen.contains("F follows") && screen.contains("show all  q quit  ? keys  p pause")
    });
    let picture = terminal.with_screen(Picture::of);
    terminal.keys("q");
    assert_eq!(terminal.assert_restored(), 0);
    picture
}
