//! The areas of the panes, the same for drawing and for the mouse.

use ratatui::layout::{Position, Rect, Size};

use super::action::Pane;

/// From this width on, source and lists stand side by side.
const SIDE_BY_SIDE_COLUMNS: u16 = 150;
/// Below this height of the body only the pane with the focus is shown.
const ALL_PANES_ROWS: u16 = 10;
/// Below this height of the body the results are shown only on request, with the table of probes.
const RESULTS_ROWS: u16 = 30;
/// Below this height of the body the program's pane is shown only with the focus, as wide and high as
/// all others.
const PROGRAM_ROWS: u16 = 16;

/// The inputs of the layout.
#[derive(Clone, Copy, Debug)]
pub(super) struct PaneNeeds {
    /// Columns and rows of the terminal.
    pub(super) size: Size,
    /// The pane that is shown if there is space for only one.
    pub(super) focus: Pane,
    /// Show that pane only.
    pub(super) zoom: bool,
    /// Probes in the table.
    pub(super) probes: usize,
    /// The results are asked for.
    pub(super) results: bool,
    /// There is a pane for a program.
    pub(super) program: bool,
    /// There is a time line below the events.
    pub(super) time_line: bool,
}

/// The areas. Those without space are empty. A pane's first row is its rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PaneRegions {
    /// Target and totals.
    pub(super) title: Rect,
    /// Source text.
    pub(super) source: Rect,
    /// Variables at the current line. One row has no rule.
    pub(super) variables: Rect,
    /// Table of probes.
    pub(super) probes: Rect,
    /// Results of the selected probe.
    pub(super) results: Rect,
    /// List of events.
    pub(super) events: Rect,
    /// Time line of a recording, below the events.
    pub(super) time_line: Rect,
    /// Output of the program.
    pub(super) program: Rect,
    /// Hints and messages.
    pub(super) status: Rect,
    /// Line between the columns.
    pub(super) divider: Rect,
}

impl PaneRegions {
    /// Divides the screen.
    pub(super) fn new(needs: PaneNeeds) -> Self {
        let Size { width, height } = needs.size;
        let mut this = Self::default();
        let mut body = Rect::new(0, 0, width, height);
        if height >= 4 {
            this.title = Rect { height: 1, ..body };
            body.y += 1;
            body.height -= 1;
        }
        if height >= 3 {
            body.height -= 1;
            this.status = Rect {
                y: body.bottom(),
                height: 1,
                ..body
            };
        }
        let is_alone = needs.focus == Pane::Program && body.height < PROGRAM_ROWS;
        if needs.zoom || is_alone || body.height < ALL_PANES_ROWS {
            *this.pane_mut(needs.focus) = body;
        } else if needs.results && body.height < RESULTS_ROWS
            || needs.results && needs.program && width < SIDE_BY_SIDE_COLUMNS
        {
            this.results_alone(body, needs);
        } else if width >= SIDE_BY_SIDE_COLUMNS && body.height >= 20 {
            this.side_by_side(body, needs);
        } else {
            this.stacked(body, needs);
        }
        if needs.time_line && this.events.height >= 3 {
            this.events.height -= 1;
            this.time_line = Rect {
                y: this.events.bottom(),
                height: 1,
                ..this.events
            };
        }
        this
    }

    /// Area of a pane.
    pub(super) fn pane(&self, pane: Pane) -> Rect {
        match pane {
            Pane::Source => self.source,
            Pane::Probes => self.probes,
            Pane::Events => self.events,
            Pane::Results => self.results,
            Pane::Program => self.program,
        }
    }

    /// The rest of an area under its rule.
    pub(super) fn inner(area: Rect) -> Rect {
        Rect {
            y: area.y.saturating_add(1),
            height: area.height.saturating_sub(1),
            ..area
        }
    }

    /// Rows of a pane's list.
    pub(super) fn rows(&self, pane: Pane) -> usize {
        let head = if pane == Pane::Probes { 2 } else { 1 };
        usize::from(self.pane(pane).height).saturating_sub(head)
    }

    /// The pane under a point, and the row in its list.
    pub(super) fn at(&self, x: u16, y: u16) -> Option<(Pane, Option<usize>)> {
        let point = Position::new(x, y);
        for pane in Pane::ALL {
            let area = self.pane(pane);
            if area.contains(point) {
                let head = if pane == Pane::Probes { 2 } else { 1 };
                return Some((pane, usize::from(y - area.y).checked_sub(head)));
            }
        }
        None
    }

    fn pane_mut(&mut self, pane: Pane) -> &mut Rect {
        match pane {
            Pane::Source => &mut self.source,
            Pane::Probes => &mut self.probes,
            Pane::Events => &mut self.events,
            Pane::Results => &mut self.results,
            Pane::Program => &mut self.program,
        }
    }

    fn stacked(&mut self, body: Rect, needs: PaneNeeds) {
        let height = body.height;
        let wanted = u16::try_from(needs.probes)
            .unwrap_or(u16::MAX)
            .saturating_add(2);
        let probes = wanted.clamp(3, (height / 4).max(3));
        let variables = if height >= 30 { 5 } else { 1 };
        let has_results = !needs.program && height >= RESULTS_ROWS;
        let results = if has_results { height / 4 } else { 0 };
        let (events, program) = if needs.program && height >= PROGRAM_ROWS {
            (height / 5, (height * 3 / 10).max(5))
        } else if has_results {
            (height / 5, 0)
        } else {
            (height * 3 / 10, 0)
        };
        let events = events.max(4);
        let source = height.saturating_sub(probes + variables + results + events + program);
        let mut y = body.y;
        for (area, rows) in [
            (&mut self.source, source),
            (&mut self.variables, variables),
            (&mut self.probes, probes),
            (&mut self.results, results),
            (&mut self.events, events),
            (&mut self.program, program),
        ] {
            *area = Rect {
                y,
                height: rows,
                ..body
            };
            y += rows;
        }
    }

    /// The table of probes and the results, where all panes would be too small.
    fn results_alone(&mut self, body: Rect, needs: PaneNeeds) {
        let wanted = u16::try_from(needs.probes)
            .unwrap_or(u16::MAX)
            .saturating_add(2);
        let probes = wanted.clamp(3, (body.height / 4).max(3));
        self.probes = Rect {
            height: probes,
            ..body
        };
        self.results = Rect {
            y: self.probes.bottom(),
            height: body.height - probes,
            ..body
        };
    }

    fn side_by_side(&mut self, body: Rect, needs: PaneNeeds) {
        let left = Rect {
            width: (u32::from(body.width) * 55 / 100) as u16,
            ..body
        };
        self.divider = Rect {
            x: left.right(),
            width: 1,
            ..body
        };
        let right = Rect {
            x: left.right() + 1,
            width: body.width - left.width - 1,
            ..body
        };
        let variables = (body.height / 5).clamp(4, 12);
        self.source = Rect {
            height: left.height - variables,
            ..left
        };
        self.variables = Rect {
            y: self.source.bottom(),
            height: variables,
            ..left
        };
        let wanted = u16::try_from(needs.probes)
            .unwrap_or(u16::MAX)
            .saturating_add(3);
        let table = wanted.clamp(5, body.height / 3);
        let results = if body.height >= RESULTS_ROWS {
            body.height * 3 / 10
        } else {
            0
        };
        self.probes = Rect {
            height: table,
            ..right
        };
        self.results = Rect {
            y: self.probes.bottom(),
            height: results,
            ..right
        };
        let rest = right.height - table - results;
        // A program's lines are often as wide as a terminal, and the right column is.
        let program = if needs.program { rest / 2 } else { 0 };
        self.events = Rect {
            y: self.results.bottom(),
            height: rest - program,
            ..right
        };
        self.program = Rect {
            y: self.events.bottom(),
            height: program,
            ..right
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn needs(size: (u16, u16)) -> PaneNeeds {
        PaneNeeds {
            size: size.into(),
            focus: Pane::Source,
            zoom: false,
            probes: 2,
            results: false,
            program: false,
            time_line: false,
        }
    }

    #[test]
    fn regions_at_80x24_show_all_three_panes() {
        let regions = PaneRegions::new(needs((80, 24)));
        assert!(regions.rows(Pane::Source) >= 9);
        assert!(regions.rows(Pane::Probes) >= 2);
        assert!(regions.rows(Pane::Events) >= 5);
        assert_eq!(regions.variables.height, 1);
    }

    #[test]
    fn regions_at_200x60_stand_side_by_side() {
        let regions = PaneRegions::new(needs((200, 60)));
        assert!(regions.source.right() < regions.events.x);
        assert_eq!(regions.probes.x, regions.events.x);
        assert!(regions.results.height > 0);
    }

    #[test]
    fn regions_with_a_program_show_all_four_panes() {
        for size in [(80, 24), (120, 40), (200, 50)] {
            let regions = PaneRegions::new(PaneNeeds {
                program: true,
                ..needs(size)
            });
            for pane in Pane::ALL {
                let is_shown = pane != Pane::Results || size.0 == 200;
                assert!(!is_shown || regions.rows(pane) >= 1, "{size:?} {pane:?}");
            }
            assert!(regions.rows(Pane::Program) >= 5, "{size:?}");
            assert!(regions.program.width >= 80, "{size:?}");
        }
    }

    #[test]
    fn regions_in_a_tiny_terminal_show_the_focus_only() {
        let regions = PaneRegions::new(PaneNeeds {
            focus: Pane::Events,
            ..needs((20, 5))
        });
        assert_eq!((regions.source.height, regions.events.height), (0, 3));
    }

    proptest! {
        #[test]
        fn regions_of_any_size_are_inside_and_apart(
            width in 0u16..400, height in 0u16..200, probes in 0usize..100, zoom: bool,
            pane in 0usize..5, program: bool, results: bool,
        ) {
            let focus = Pane::ALL[pane.min(if program { 4 } else { 3 })];
            let results = results || focus == Pane::Results;
            let all = PaneRegions::new(PaneNeeds { size: Size::new(width, height), focus, zoom, probes, results, program, time_line: false });
            let areas = [
                all.title, all.source, all.variables, all.probes, all.results, all.events, all.program, all.status,
                all.divider,
            ];
            let screen = Rect::new(0, 0, width, height);
            for (i, a) in areas.iter().enumerate() {
                prop_assert!(a.is_empty() || screen.union(*a) == screen, "{a:?}");
                for b in &areas[i + 1..] {
                    prop_assert!(!a.intersects(*b) || a.is_empty() || b.is_empty(), "{a:?} {b:?}");
                }
            }
            prop_assert_eq!(areas.iter().map(|a| a.area()).sum::<u32>(), screen.area());
        }
    }
}
