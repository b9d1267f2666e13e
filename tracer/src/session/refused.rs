//! Sites that cannot be probed, and how the user is told.

use super::ProbeError;
use super::modules::TargetModule;
use crate::address::LinkAddr;
use crate::causes::chain;
use crate::debuginfo::Module as DebugModule;
use crate::debuginfo::site::Site;
use crate::kernel::KernelError;
use crate::plan::PlanError;
use crate::plan::placement::{Obstacle, Unprobeable, instruction_text};

/// Sites that are named when they are left out.
const MAX_NAMED: usize = 3;

/// Why a site has no place for a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    message: String,
    hint: Option<String>,
    /// Another instruction would do.
    of_instruction: bool,
}

impl Refusal {
    /// For a reason that is not the instruction.
    pub(super) const fn other(message: String) -> Self {
        Self {
            message,
            hint: None,
            of_instruction: false,
        }
    }

    /// Because of the instruction at a site.
    pub(super) fn of_instruction(debug: &DebugModule, site: LinkAddr, why: Obstacle) -> Self {
        Self {
            message: sentence(debug, site, why),
            hint: None,
            of_instruction: true,
        }
    }

    /// With advice on lines near the site, where they help.
    pub(super) fn at(mut self, module: &TargetModule, site: &Site) -> Self {
        if let Ok(debug) = module.debug()
            && self.of_instruction
        {
            self.hint = neighbours(debug, site);
        }
        self
    }

    /// Because the kernel refused to attach to a place.
    ///
    /// The table of [`Unprobeable`] is meant to foresee that; a kernel that is not known yet may
    /// have other rules.
    pub(super) fn of_kernel(module: &TargetModule, place: LinkAddr, error: &KernelError) -> Self {
        match module.debug() {
            Ok(debug) if error.is_instruction_refused() => Self {
                message: format!(
                    "the kernel refuses to probe the instruction at {place}, `{}`",
                    instruction_text(debug, place)
                ),
                hint: None,
                of_instruction: true,
            },
            _ => Self {
                hint: error.hint(),
                ..Self::other(chain(error))
            },
        }
    }
}

impl From<Refusal> for PlanError {
    fn from(refusal: Refusal) -> Self {
        Self {
            message: refusal.message,
            hint: refusal.hint,
            span: None,
        }
    }
}

impl From<Refusal> for ProbeError {
    fn from(refusal: Refusal) -> Self {
        PlanError::from(refusal).into()
    }
}

/// Why the kernel did not attach to some of a probe's places.
pub(super) fn not_attached(
    module: &TargetModule,
    places: &[(LinkAddr, LinkAddr)],
    failed: &[(usize, KernelError)],
) -> Vec<Refusal> {
    failed
        .iter()
        .filter_map(|(index, error)| {
            let (_, place) = places.get(*index)?;
            Some(Refusal::of_kernel(module, *place, error))
        })
        .collect()
}

/// A note on sites that are left out; `None` where there are none.
pub(super) fn left_out(refusals: &[Refusal], total: u32) -> Option<String> {
    let told: Vec<&str> = refusals
        .iter()
        .take(MAX_NAMED)
        .map(|refusal| refusal.message.as_str())
        .collect();
    let more = refusals.len() - told.len();
    let more = if more > 0 {
        format!("; and {more} more")
    } else {
        String::new()
    };
    let count = refusals.len();
    (count > 0).then(|| {
        format!(
            "left out {count} of {total} sites: {}{more}",
            told.join("; ")
        )
    })
}

/// Which instruction it is, and why it cannot be probed.
pub(super) fn sentence(debug: &DebugModule, site: LinkAddr, why: Obstacle) -> String {
    format!(
        "the instruction at {site}, `{}`, cannot be probed: {why}",
        instruction_text(debug, site)
    )
}

/// The nearest lines of the same function and file that can be probed.
fn neighbours(debug: &DebugModule, site: &Site) -> Option<String> {
    let own = site.source.line;
    let function = debug.function_code_at(site.address)?;
    let lines: Vec<u64> = debug
        .statements_of(&function, &site.source.file)
        .iter()
        .filter(|row| Unprobeable::at(debug, row.address).is_none())
        .map(|row| u64::from(row.line))
        .collect();
    let before = lines.iter().filter(|line| **line < own).max();
    let after = lines.iter().filter(|line| **line > own).min();
    match (before, after) {
        (Some(before), Some(after)) => Some(format!(
            "the nearest lines of the function that can be probed are {before} and {after}"
        )),
        (Some(line), None) | (None, Some(line)) => Some(format!(
            "the nearest line of the function that can be probed is {line}"
        )),
        (None, None) => None,
    }
}
