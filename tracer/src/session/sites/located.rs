//! The sites of a probe, before it is compiled.

use std::sync::Arc;

use crate::base::address::LinkAddr;
use crate::session::sites::modules::TargetModule;
use crate::session::sites::resolve::Resolved;
use crate::session::sites::timed::Timed;
use crate::session::sites::traced::Traced;
use crate::session::sites::watched::Watched;

/// The location of a probe.
#[derive(Clone)]
pub(in crate::session) enum ProbeLocation {
    /// Each site has the same role.
    Alike(Resolved),
    /// The sites of a timed probe.
    Timed(Timed),
    /// The sites of a trace.
    Traced(Traced),
    /// A watched value, or the places at which its object is found.
    Watched(Watched),
}

impl ProbeLocation {
    /// The module that has its sites.
    pub(in crate::session) fn module(&self) -> &Arc<TargetModule> {
        match self {
            Self::Alike(Resolved { module, .. })
            | Self::Timed(Timed { module, .. })
            | Self::Traced(Traced { module, .. })
            | Self::Watched(Watched { module, .. }) => module,
        }
    }

    /// Adds something that the user should know.
    pub(in crate::session) fn note(&mut self, note: String) {
        match self {
            Self::Alike(Resolved { notes, .. })
            | Self::Timed(Timed { notes, .. })
            | Self::Traced(Traced { notes, .. })
            | Self::Watched(Watched { notes, .. }) => notes.push(note),
        }
    }

    /// Returns true if a site is in the function that begins at `entry`.
    pub(in crate::session) fn has_function(&self, entry: LinkAddr) -> bool {
        let (module, addresses) = self.addresses();
        addresses
            .iter()
            .any(|&address| module.is_in_function(address, entry))
    }

    /// Removes the sites outside the function that begins at `entry`. Returns false, and removes
    /// none, if all are outside.
    pub(in crate::session) fn keep_function(&mut self, entry: LinkAddr) -> bool {
        if !self.has_function(entry) {
            return false;
        }
        match self {
            Self::Alike(Resolved { module, sites, .. }) => {
                sites.retain(|site| module.is_in_function(site.address, entry));
            }
            Self::Timed(Timed { module, sites, .. }) => {
                sites.retain(|timed| module.is_in_function(timed.site.address, entry));
            }
            Self::Traced(Traced { module, sites, .. }) => {
                sites.retain(|traced| module.is_in_function(traced.site.address, entry));
            }
            Self::Watched(Watched { module, sites, .. }) => {
                sites.retain(|watched| module.is_in_function(watched.site.address, entry));
            }
        }
        true
    }

    /// Its module, and the addresses of its sites in it.
    pub(in crate::session) fn addresses(&self) -> (&TargetModule, Vec<LinkAddr>) {
        match self {
            Self::Alike(Resolved { module, sites, .. }) => {
                (module, sites.iter().map(|site| site.address).collect())
            }
            Self::Timed(Timed { module, sites, .. }) => {
                let addresses = sites.iter().map(|timed| timed.site.address);
                (module, addresses.collect())
            }
            Self::Traced(Traced { module, sites, .. }) => {
                let addresses = sites.iter().map(|traced| traced.site.address);
                (module, addresses.collect())
            }
            Self::Watched(Watched { module, sites, .. }) => {
                let addresses = sites.iter().map(|watched| watched.site.address);
                (module, addresses.collect())
            }
        }
    }
}
