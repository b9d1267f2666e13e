//! The cells of a terminal as SVG.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Pixels of a cell.
const WIDTH: f64 = 8.4;
const HEIGHT: f64 = 18.0;
/// Pixels around the screen.
const MARGIN: f64 = 10.0;
/// Seconds that a frame is shown.
const SECONDS: usize = 3;

/// The look of a cell.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Look {
    colour: String,
    background: String,
    is_bold: bool,
    is_italic: bool,
    is_underlined: bool,
}

/// Text of one look in a row.
#[derive(Debug)]
struct Run {
    column: usize,
    columns: usize,
    text: String,
    look: Look,
}

/// A screen.
#[derive(Debug)]
pub(super) struct Picture {
    rows: Vec<Vec<Run>>,
    columns: usize,
    background: String,
}

impl Picture {
    /// The screen of a terminal whose cells all have colours of 24 bits.
    pub(super) fn of(screen: &vt100::Screen) -> Self {
        let (rows, columns) = screen.size();
        let (rows, columns) = (rows.get(), columns.get());
        let row = |row| {
            let mut runs: Vec<Run> = Vec::new();
            for column in 0..columns {
                let cell = screen.cell(row, column).expect("it is inside");
                if cell.is_wide_continuation() {
                    continue;
                }
                let text = if cell.has_contents() {
                    cell.contents()
                } else {
                    " "
                };
                let width = if cell.is_wide() { 2 } else { 1 };
                let look = look(cell);
                let is_blank = look.colour.is_empty();
                let goes_on = |run: &&mut Run| {
                    run.look == look || is_blank && run.look.background == look.background
                };
                match runs.last_mut().filter(goes_on) {
                    Some(run) => {
                        run.text.push_str(text);
                        run.columns += width;
                    }
                    None => runs.push(Run {
                        column: usize::from(column),
                        columns: width,
                        text: text.to_owned(),
                        look,
                    }),
                }
            }
            runs
        };
        let rows: Vec<Vec<Run>> = (0..rows).map(row).collect();
        // The most frequent background is the theme's.
        let mut backgrounds: BTreeMap<&str, usize> = BTreeMap::new();
        for run in rows.iter().flatten() {
            *backgrounds.entry(&run.look.background).or_default() += run.columns;
        }
        let most = backgrounds.into_iter().max_by_key(|(_, columns)| *columns);
        let background = most.map_or_else(String::new, |(colour, _)| colour.to_owned());
        Self {
            rows,
            columns: usize::from(columns),
            background,
        }
    }

    fn size(&self) -> (f64, f64) {
        let width = self.columns as f64 * WIDTH + 2.0 * MARGIN;
        (width, self.rows.len() as f64 * HEIGHT + 2.0 * MARGIN)
    }

    /// The elements of the screen.
    fn draw(&self, classes: &Classes) -> String {
        let mut svg = String::new();
        for (row, runs) in self.rows.iter().enumerate() {
            let y = row as f64 * HEIGHT + MARGIN;
            for run in runs {
                let (x, width) = (
                    run.column as f64 * WIDTH + MARGIN,
                    run.columns as f64 * WIDTH,
                );
                if run.look.background != self.background {
                    let _ = write!(
                        svg,
                        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{HEIGHT}\" fill=\"{}\"/>",
                        run.look.background
                    );
                }
                let text = run.text.trim_end();
                let blanks = text.len() - text.trim_start().len();
                let text = text.trim_start();
                if text.is_empty() {
                    continue;
                }
                let x = x + blanks as f64 * WIDTH;
                let length = text.chars().count() as f64 * WIDTH;
                let class = classes.of(&run.look);
                let _ = write!(
                    svg,
                    "<text class=\"{class}\" x=\"{x:.1}\" y=\"{:.1}\" textLength=\"{length:.1}\" lengthAdjust=\"spacingAndGlyphs\">{}</text>",
                    y + HEIGHT - 5.0,
                    escaped(text)
                );
            }
            svg.push('\n');
        }
        svg
    }
}

/// Names of styles.
struct Classes(BTreeMap<(String, bool, bool, bool), usize>);

impl Classes {
    fn new<'p>(pictures: impl IntoIterator<Item = &'p Picture>) -> Self {
        let mut classes = BTreeMap::new();
        let rows = pictures.into_iter().flat_map(|picture| &picture.rows);
        for run in rows.flatten() {
            let number = classes.len();
            classes.entry(key(&run.look)).or_insert(number);
        }
        Self(classes)
    }

    fn of(&self, look: &Look) -> String {
        let number = self.0.get(&key(look)).expect("every look has a class");
        format!("s{number}")
    }

    fn css(&self) -> String {
        let mut css = String::from(
            "text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;\
             white-space:pre}\n",
        );
        for ((colour, is_bold, is_italic, is_underlined), number) in &self.0 {
            let _ = write!(css, ".s{number}{{fill:{colour}");
            for (is_on, style) in [
                (*is_bold, ";font-weight:bold"),
                (*is_italic, ";font-style:italic"),
                (*is_underlined, ";text-decoration:underline"),
            ] {
                css.push_str(if is_on { style } else { "" });
            }
            css.push_str("}\n");
        }
        css
    }
}

fn key(look: &Look) -> (String, bool, bool, bool) {
    let colour = look.colour.clone();
    (colour, look.is_bold, look.is_italic, look.is_underlined)
}

/// One screen.
pub(super) fn still(picture: &Picture) -> String {
    let classes = Classes::new([picture]);
    let drawn = picture.draw(&classes);
    document(picture, &classes.css(), &drawn)
}

/// Several screens, one after the other, again and again.
pub(super) fn animated(frames: &[Picture]) -> String {
    let classes = Classes::new(frames);
    let count = frames.len().max(1);
    let (seconds, share) = (count * SECONDS, 100.0 / count as f64);
    let mut css = classes.css();
    let _ = write!(
        css,
        "@keyframes show{{0%{{visibility:visible}}{share:.2}%{{visibility:hidden}}100%{{visibility:hidden}}}}\n\
         .f{{visibility:hidden;animation:show {seconds}s step-end infinite}}\n"
    );
    let mut drawn = String::new();
    for (number, frame) in frames.iter().enumerate() {
        let delay = number * SECONDS;
        let _ = writeln!(css, ".f{number}{{animation-delay:{delay}s}}");
        let _ = write!(
            drawn,
            "<g class=\"f f{number}\">\n{}</g>\n",
            frame.draw(&classes)
        );
    }
    let first = frames.first().expect("there is a frame");
    document(first, &css, &drawn)
}

fn document(picture: &Picture, css: &str, drawn: &str) -> String {
    let (width, height) = picture.size();
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
         height=\"{height:.0}\">\n<style>\n{css}</style>\n<rect width=\"100%\" height=\"100%\" rx=\"8\" \
         fill=\"{}\"/>\n{drawn}</svg>\n",
        picture.background
    )
}

fn look(cell: &vt100::Cell) -> Look {
    let (mut colour, mut background) = (hex(cell.fgcolor()), hex(cell.bgcolor()));
    if cell.inverse() {
        std::mem::swap(&mut colour, &mut background);
    }
    let is_blank = !cell.has_contents() || cell.contents() == " ";
    Look {
        // The colour of a blank is not seen.
        colour: if is_blank { String::new() } else { colour },
        background,
        is_bold: cell.bold() && !is_blank,
        is_italic: cell.italic() && !is_blank,
        is_underlined: cell.underline() && !is_blank,
    }
}

fn hex(colour: vt100::Color) -> String {
    match colour {
        vt100::Color::Rgb(red, green, blue) => format!("#{red:02x}{green:02x}{blue:02x}"),
        other => panic!("{other:?} is no colour of the theme"),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        // Several blanks would become one.
        .replace(' ', "\u{a0}")
}
