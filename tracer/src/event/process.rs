//! A process, as values such as `$process` show it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::TargetId;
use crate::base::unavailable::Unavailable;
use crate::lang::ast::Special;
use crate::value::{Text, Value};

/// The hits of one process with one probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessHits {
    /// Its process id, as seen from our own pid namespace. `None` for processes of one name that have
    /// ended, if there were too many to keep each.
    pub pid: Option<u32>,
    /// The target that it is or was. `None` if it ended before the session knew it.
    pub target: Option<TargetId>,
    /// Its name, cgroup and container.
    pub labels: Arc<ProcessLabels>,
    /// Its hits.
    pub hits: u64,
    /// Hits among them that became events, or were added up, in the kernel.
    pub events: u64,
    /// It has ended, or executes another program now.
    pub has_ended: bool,
}

/// The name, the cgroup and the container of a process. All are hostile text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProcessLabels {
    /// Its name, as `ps -e` shows it. It is whole even if the kernel cut it.
    pub name: Result<Arc<str>, Unavailable>,
    /// The path of its cgroup.
    pub cgroup: Result<Arc<str>, Unavailable>,
    /// The name of its container, or the first digits of the container's id.
    pub container: Result<Arc<str>, Unavailable>,
}

impl ProcessLabels {
    /// A process that had ended before it was looked at. The kernel side may know its name.
    #[must_use]
    pub fn gone(name: Option<&str>) -> Self {
        Self {
            name: name.map(Arc::from).ok_or(Unavailable::ProcessGone),
            cgroup: Err(Unavailable::ProcessGone),
            container: Err(Unavailable::ProcessGone),
        }
    }

    /// The name for lists: a question mark if it is not known.
    #[must_use]
    pub fn shown_name(&self) -> &str {
        self.name.as_deref().unwrap_or("?")
    }

    /// The value of a special name of the process.
    #[must_use]
    pub fn value(&self, special: Special) -> Value {
        let label = match special {
            Special::Process => &self.name,
            Special::Cgroup => &self.cgroup,
            Special::Container => &self.container,
            _ => &Err(Unavailable::OptimisedOut),
        };
        match label {
            Ok(text) => Value::Text(Text {
                bytes: text.as_bytes().to_vec(),
                cut: None,
            }),
            Err(why) => Value::Unavailable(why.clone()),
        }
    }
}
