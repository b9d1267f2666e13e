//! Containers that were selected: by id, the first digits of it, name, or pod.

use std::collections::BTreeSet;

use super::layout::{container_id, is_full_id, prefix_with_id};
use super::{ContainerRecord, KnownContainers};
use crate::base::diagnostic::Diagnostic;
use crate::base::suggestions::near_names;
use crate::target::select::cgroup::{CgroupMembership, strip_path};
use crate::target::select::facts::ProcessFacts;
use crate::target::select::limits::CONTAINER_PREFIX;
use crate::target::select::name::check_length;

/// Front of a selector that names a pod.
const POD: &str = "pod:";

/// Ids that a message lists.
const LISTED: usize = 4;

/// A container, or the containers of a pod, with all that it was since it was selected.
#[derive(Clone, Debug)]
pub(in crate::target::select) struct SelectedContainer {
    text: String,
    ids: BTreeSet<String>,
    /// Cgroups that the runtimes' files name.
    cgroups: BTreeSet<String>,
}

impl SelectedContainer {
    /// Finds the container.
    ///
    /// # Errors
    /// There is none, or several ids begin so. With `wait`, it may come later.
    pub(in crate::target::select) fn find(
        text: &str,
        known: &KnownContainers,
        running: &[ProcessFacts],
        wait: bool,
    ) -> Result<Self, Diagnostic> {
        check_container(text)?;
        let mut found = Self {
            text: text.to_owned(),
            ids: BTreeSet::new(),
            cgroups: BTreeSet::new(),
        };
        found.look(known, running)?;
        if found.ids.is_empty() && !wait {
            return Err(found.unknown(known));
        }
        Ok(found)
    }

    /// Adds the containers that have the name by now. Returns true if there are new ones.
    ///
    /// # Errors
    /// Several ids begin so.
    pub(in crate::target::select) fn look(
        &mut self,
        known: &KnownContainers,
        running: &[ProcessFacts],
    ) -> Result<bool, Diagnostic> {
        let before = self.ids.len();
        let named = known.iter().filter(|record| self.is_named(record));
        let mut ids: BTreeSet<String> = named.map(|record| record.id.clone()).collect();
        if ids.is_empty() && is_full_id(&self.text) {
            ids.insert(self.text.clone());
        }
        // An id that was found once stays, whatever else begins so later.
        if ids.is_empty() && self.ids.is_empty() {
            ids.extend(self.by_prefix(known, running)?);
        }
        for id in ids {
            let cgroup = known.get(&id).and_then(|record| record.cgroup.clone());
            self.cgroups.extend(cgroup);
            self.ids.insert(id);
        }
        Ok(self.ids.len() > before)
    }

    /// Returns true if no container was found yet.
    pub(in crate::target::select) fn is_unknown(&self) -> bool {
        self.ids.is_empty()
    }

    fn is_named(&self, record: &ContainerRecord) -> bool {
        let Some(pod) = self.text.strip_prefix(POD) else {
            return record.id == self.text || record.names.contains(&self.text);
        };
        record
            .pod
            .as_ref()
            .is_some_and(|of| match pod.split_once('/') {
                Some((namespace, name)) => {
                    of.name == name && of.namespace.as_deref() == Some(namespace)
                }
                None => of.name == pod,
            })
    }

    /// The one container whose id begins with the text.
    fn by_prefix(
        &self,
        known: &KnownContainers,
        running: &[ProcessFacts],
    ) -> Result<Option<String>, Diagnostic> {
        let digit = |c: u8| matches!(c, b'0'..=b'9' | b'a'..=b'f');
        if self.text.len() < CONTAINER_PREFIX || !self.text.bytes().all(digit) {
            return Ok(None);
        }
        let described = known.iter().map(|record| record.id.as_str());
        let paths = running.iter().flat_map(|process| &process.cgroups);
        let seen = paths.filter_map(|membership| container_id(&membership.path));
        let begins_so = |id: &&str| id.starts_with(&self.text);
        let ids: BTreeSet<&str> = described.chain(seen).filter(begins_so).collect();
        match ids.first() {
            Some(_) if ids.len() > 1 => {
                let listed: Vec<&str> = ids.iter().copied().take(LISTED).collect();
                let more = if ids.len() > LISTED { ", …" } else { "" };
                Err(Diagnostic::new(format!(
                    "the ids of {} containers begin with `{}`: {}{more}",
                    ids.len(),
                    self.text,
                    listed.join(", ")
                ))
                .hint("write more digits, or the container's name"))
            }
            first => Ok(first.map(|&id| id.to_owned())),
        }
    }

    fn unknown(&self, known: &KnownContainers) -> Diagnostic {
        let what = match self.text.strip_prefix(POD) {
            Some(pod) => format!("no pod is named `{pod}`"),
            None => format!("no container has the id or name `{}`", self.text),
        };
        let names = known.iter().filter_map(|record| record.names.first());
        let similar = near_names(&self.text, names.map(String::as_str));
        let hint = match (similar.first(), known.problems.first()) {
            (_, Some(problem)) => problem.clone(),
            (Some(name), None) => format!("did you mean `{name}`?"),
            (None, None) => "names come from the files of docker, podman, containerd and CRI-O; \
                             an id works without them, and `--wait` waits for a new container"
                .to_owned(),
        };
        Diagnostic::new(what).hint(hint)
    }

    /// Returns the container's cgroup that a process's cgroup is, or is below.
    pub(in crate::target::select) fn prefix_of<'p>(
        &self,
        membership: &'p CgroupMembership,
    ) -> Option<&'p str> {
        let path = &membership.path;
        prefix_with_id(path, |id| self.ids.contains(id)).or_else(|| {
            let mut of_files = self.cgroups.iter();
            let cgroup = of_files.find(|cgroup| strip_path(path, cgroup).is_some())?;
            path.get(..cgroup.len())
        })
    }
}

/// Checks the text of a selector.
///
/// # Errors
/// It names no container.
pub(in crate::target::select) fn check_container(text: &str) -> Result<(), Diagnostic> {
    match text.strip_prefix(POD) {
        Some(pod) => check_length("pod", pod),
        None => check_length("container", text),
    }
}
