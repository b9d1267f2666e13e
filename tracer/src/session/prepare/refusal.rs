//! Sites that cannot be probed, and the messages about them.

use crate::base::address::LinkAddr;
use crate::base::causes::chain;
use crate::base::diagnostic::Diagnostic;
use crate::debuginfo::Module as DebugModule;
use crate::debuginfo::site::{Site, SourceLine};
use crate::kernel::KernelError;
use crate::placement::{Obstacle, instruction_text, unprobeable_at};
use crate::session::sites::modules::TargetModule;

/// Sites that are named when they are left out.
const MAX_NAMED: usize = 3;

/// A site and the instruction that is probed for it.
#[derive(Clone, Copy, Debug)]
pub(in crate::session) struct SitePlace {
    pub(in crate::session) site: LinkAddr,
    pub(in crate::session) place: LinkAddr,
}

/// Why a site has no place for a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::session) struct SiteRefusal {
    diagnostic: Diagnostic,
    /// Another instruction would do.
    of_instruction: bool,
}

impl SiteRefusal {
    /// For a reason that is not the instruction.
    pub(in crate::session) fn other(message: String) -> Self {
        Self {
            diagnostic: Diagnostic::new(message),
            of_instruction: false,
        }
    }

    /// Because of the instruction at a site.
    pub(in crate::session) fn of_instruction(
        debug: &DebugModule,
        site: LinkAddr,
        why: Obstacle,
    ) -> Self {
        Self {
            diagnostic: Diagnostic::new(sentence(debug, site, why)),
            of_instruction: true,
        }
    }

    /// Adds advice on lines near the site, where they help.
    pub(in crate::session) fn at(mut self, module: &TargetModule, site: &Site) -> Self {
        if let Ok(debug) = module.debug()
            && self.of_instruction
        {
            self.diagnostic.hint = neighbours(debug, site);
        }
        self
    }

    /// Because the kernel refused to attach to a place.
    ///
    /// The table of [`Unprobeable`](crate::arch::Unprobeable) is meant to foresee that; a kernel that is not known yet may
    /// have other rules.
    pub(in crate::session) fn of_kernel(
        module: &TargetModule,
        place: LinkAddr,
        error: &KernelError,
    ) -> Self {
        match module.debug() {
            Ok(debug) if error.is_instruction_refused() => Self {
                diagnostic: Diagnostic::new(format!(
                    "the kernel refuses to probe the instruction at {place}, `{}`",
                    instruction_text(debug, place)
                )),
                of_instruction: true,
            },
            Ok(debug) if error.is_place_refused() && debug.has_usdt_semaphore(place) => {
                Self::other(format!(
                    "another probe without the semaphore, or with another one, is on the same instruction, {place}: the \
                     kernel knows one semaphore for an instruction"
                ))
            }
            _ => Self {
                diagnostic: Diagnostic::new(chain(error)).maybe_hint(error.hint()),
                of_instruction: false,
            },
        }
    }
}

impl From<SiteRefusal> for Diagnostic {
    fn from(refusal: SiteRefusal) -> Self {
        refusal.diagnostic
    }
}

/// Why the kernel did not attach to some of a probe's places.
pub(in crate::session) fn not_attached(
    module: &TargetModule,
    places: &[SitePlace],
    failed: &[(usize, KernelError)],
) -> Vec<SiteRefusal> {
    failed
        .iter()
        .filter_map(|(index, error)| {
            let place = places.get(*index)?.place;
            Some(SiteRefusal::of_kernel(module, place, error))
        })
        .collect()
}

/// A note on omitted sites. `None` if there are none.
pub(in crate::session) fn left_out(refusals: &[SiteRefusal], total: u32) -> Option<String> {
    let told: Vec<&str> = refusals
        .iter()
        .take(MAX_NAMED)
        .map(|refusal| refusal.diagnostic.message.as_str())
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

/// Names the instruction, and the reason why it cannot be probed.
pub(in crate::session) fn sentence(debug: &DebugModule, site: LinkAddr, why: Obstacle) -> String {
    format!(
        "the instruction at {site}, `{}`, cannot be probed: {why}",
        instruction_text(debug, site)
    )
}

/// The nearest lines of the same function and file that can be probed.
fn neighbours(debug: &DebugModule, site: &Site) -> Option<String> {
    let SourceLine {
        file, line: own, ..
    } = site.source.as_ref()?;
    let function = debug.function_code_at(site.address)?;
    let lines: Vec<u64> = debug
        .statements_of(&function, file)
        .iter()
        .filter(|row| unprobeable_at(debug, row.address).is_none())
        .map(|row| u64::from(row.line))
        .collect();
    let before = lines.iter().filter(|line| *line < own).max();
    let after = lines.iter().filter(|line| *line > own).min();
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
