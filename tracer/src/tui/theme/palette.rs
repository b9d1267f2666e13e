//! The colours of the themes that set their own background.
//!
//! Each colour has two forms: 24 bits, and the number of a colour of the 256 that most terminals
//! have. Every colour of text is legible on each background of its theme: tests check a contrast of
//! 4.5:1 in both forms.

use ratatui::style::Color;

/// A colour of a theme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PaletteColour {
    rgb: u32,
    index: u8,
}

impl PaletteColour {
    /// The colour for a terminal.
    pub(super) const fn shown(self, truecolor: bool) -> Color {
        if truecolor {
            let [_, red, green, blue] = self.rgb.to_be_bytes();
            Color::Rgb(red, green, blue)
        } else {
            Color::Indexed(self.index)
        }
    }
}

const fn colour(rgb: u32, index: u8) -> PaletteColour {
    PaletteColour { rgb, index }
}

/// The colours of a theme.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Palette {
    pub(super) background: PaletteColour,
    /// Behind the line of the cursor, and behind the selected row of a pane without the focus.
    pub(super) quiet: PaletteColour,
    /// Behind the selected row of the pane with the focus.
    pub(super) selection: PaletteColour,
    /// All text of the selected row. Without it, the text keeps its colours there.
    pub(super) selected_text: Option<PaletteColour>,
    pub(super) text: PaletteColour,
    pub(super) dim: PaletteColour,
    pub(super) accent: PaletteColour,
    pub(super) good: PaletteColour,
    pub(super) warn: PaletteColour,
    pub(super) bad: PaletteColour,
    pub(super) value: PaletteColour,
    pub(super) changed: PaletteColour,
    pub(super) found: PaletteColour,
    pub(super) banner: PaletteColour,
    pub(super) banner_text: PaletteColour,
    pub(super) keyword: PaletteColour,
    pub(super) type_name: PaletteColour,
    pub(super) function: PaletteColour,
    pub(super) string: PaletteColour,
    pub(super) literal: PaletteColour,
    pub(super) comment: PaletteColour,
    pub(super) attribute: PaletteColour,
    /// The colours 0 to 7 of a traced program's output.
    pub(super) program: [PaletteColour; 8],
}

/// Light text on slate.
pub(super) static DARK: Palette = Palette {
    background: colour(0x1b_1e25, 234),
    quiet: colour(0x26_2b35, 235),
    selection: colour(0x2f_3a4c, 237),
    selected_text: None,
    text: colour(0xd8_dce4, 253),
    dim: colour(0xa0_a9b8, 248),
    accent: colour(0x7c_c4f0, 117),
    good: colour(0x9b_d08f, 114),
    warn: colour(0xe8_c27a, 222),
    bad: colour(0xff_8f96, 210),
    value: colour(0x8f_d6b4, 115),
    changed: colour(0xf7_b377, 216),
    found: colour(0xff_d866, 221),
    banner: colour(0xe8_c27a, 222),
    banner_text: colour(0x1b_1e25, 234),
    keyword: colour(0xc9_a8f5, 183),
    type_name: colour(0x86_d3cb, 116),
    function: colour(0x93_bbf8, 111),
    string: colour(0xa8_d08d, 150),
    literal: colour(0xf0_b48a, 216),
    comment: colour(0x9c_a6b6, 248),
    attribute: colour(0xd6_c08c, 187),
    program: [
        colour(0xa0_a9b8, 248),
        colour(0xff_8f96, 210),
        colour(0x9b_d08f, 114),
        colour(0xe8_c27a, 222),
        colour(0x93_bbf8, 111),
        colour(0xc9_a8f5, 183),
        colour(0x86_d3cb, 116),
        colour(0xd8_dce4, 253),
    ],
};

/// Dark text on paper.
pub(super) static LIGHT: Palette = Palette {
    background: colour(0xfb_faf8, 231),
    quiet: colour(0xee_edea, 255),
    selection: colour(0xd5_e3f5, 189),
    selected_text: None,
    text: colour(0x23_272e, 235),
    dim: colour(0x56_5e69, 59),
    accent: colour(0x0b_5cad, 25),
    good: colour(0x1b_6a2f, 22),
    warn: colour(0x7d_5200, 58),
    bad: colour(0xb3_142a, 124),
    value: colour(0x0e_6440, 23),
    changed: colour(0x93_3600, 88),
    found: colour(0x8a_3b00, 52),
    banner: colour(0xff_d880, 222),
    banner_text: colour(0x23_272e, 235),
    keyword: colour(0x80_209a, 90),
    type_name: colour(0x0a_6069, 23),
    function: colour(0x1c_4fb0, 25),
    string: colour(0x2c_621d, 22),
    literal: colour(0x8d_4600, 88),
    comment: colour(0x5a_626c, 59),
    attribute: colour(0x6b_5200, 58),
    program: [
        colour(0x23_272e, 235),
        colour(0xb3_142a, 124),
        colour(0x1b_6a2f, 22),
        colour(0x7d_5200, 58),
        colour(0x1c_4fb0, 25),
        colour(0x80_209a, 90),
        colour(0x0a_6069, 23),
        colour(0x56_5e69, 59),
    ],
};

/// Bright text on black, and the selected row inverted.
pub(super) static HIGH_CONTRAST: Palette = Palette {
    background: colour(0x00_0000, 16),
    quiet: colour(0x26_2626, 235),
    selection: colour(0xff_ffff, 231),
    selected_text: Some(colour(0x00_0000, 16)),
    text: colour(0xff_ffff, 231),
    dim: colour(0xd0_d0d0, 252),
    accent: colour(0x5f_ffff, 87),
    good: colour(0x5f_ff5f, 83),
    warn: colour(0xff_d700, 220),
    bad: colour(0xff_8787, 210),
    value: colour(0x87_ffaf, 121),
    changed: colour(0xff_ff5f, 227),
    found: colour(0xff_ff00, 226),
    banner: colour(0xff_d700, 220),
    banner_text: colour(0x00_0000, 16),
    keyword: colour(0xff_afff, 219),
    type_name: colour(0x87_ffff, 123),
    function: colour(0xaf_d7ff, 153),
    string: colour(0xaf_ff87, 156),
    literal: colour(0xff_d787, 222),
    comment: colour(0xbc_bcbc, 250),
    attribute: colour(0xff_d7af, 223),
    program: [
        colour(0xd0_d0d0, 252),
        colour(0xff_8787, 210),
        colour(0x5f_ff5f, 83),
        colour(0xff_d700, 220),
        colour(0xaf_d7ff, 153),
        colour(0xff_afff, 219),
        colour(0x5f_ffff, 87),
        colour(0xff_ffff, 231),
    ],
};
