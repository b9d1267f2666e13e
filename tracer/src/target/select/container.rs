//! Containers: which exist, by the runtimes' own state files, and which one a cgroup belongs to.
//!
//! Docker, podman, containerd and CRI-O each keep files on what they run. Those give names and pods.
//! The id of a container is in the path of its cgroup, so that a container that no file describes
//! still has an id.

mod containerd;
mod docker;
mod layout;
mod selected;
mod state;
mod storage;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

pub(super) use layout::is_full_id;
pub use layout::{container_id, pod_uid};
pub(super) use selected::{SelectedContainer, check_container};

use state::StateFiles;

/// The program that keeps a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ContainerRuntime {
    /// Docker
    Docker,
    /// Podman
    Podman,
    /// CRI-O
    CriO,
    /// containerd, alone or for Kubernetes
    Containerd,
}

impl fmt::Display for ContainerRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::CriO => "CRI-O",
            Self::Containerd => "containerd",
        })
    }
}

/// The name of a pod in Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodName {
    /// Its namespace, if it is known.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

impl PodName {
    /// Returns the name that `annotations` has under the keys of one runtime.
    fn of(annotations: &BTreeMap<String, String>, name: &str, namespace: &str) -> Option<Self> {
        Some(Self {
            namespace: annotations.get(namespace).cloned(),
            name: annotations.get(name)?.clone(),
        })
    }
}

impl fmt::Display for PodName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{namespace}/{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// A container as its runtime's files describe it. It need not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerRecord {
    /// Its id, 64 hexadecimal digits with most runtimes.
    pub id: String,
    /// The runtime whose files describe it.
    pub runtime: ContainerRuntime,
    /// Its names, the one that users know first.
    pub names: Vec<String>,
    /// The pod that it is part of.
    pub pod: Option<PodName>,
    /// Its cgroup, if the runtime's files say it.
    pub cgroup: Option<String>,
}

impl ContainerRecord {
    fn new(id: String, runtime: ContainerRuntime) -> Self {
        Self {
            id,
            runtime,
            names: Vec::new(),
            pod: None,
            cgroup: None,
        }
    }

    /// Adds a name, unless it is empty or known.
    fn add_name(&mut self, name: &str) {
        if !name.is_empty() && !self.names.iter().any(|known| known == name) {
            self.names.push(name.to_owned());
        }
    }

    /// Adds what another file knows of the same container.
    fn merge(&mut self, other: Self) {
        for name in &other.names {
            self.add_name(name);
        }
        self.pod = self.pod.take().or(other.pod);
        self.cgroup = self.cgroup.take().or(other.cgroup);
    }

    /// Returns the name that users know, or the first digits of the id.
    #[must_use]
    pub fn name(&self) -> &str {
        let short = || self.id.get(..12).unwrap_or(&self.id);
        self.names.first().map_or_else(short, String::as_str)
    }
}

/// All containers that the runtimes' files describe.
#[derive(Clone, Debug, Default)]
pub struct KnownContainers {
    records: BTreeMap<String, ContainerRecord>,
    problems: Vec<String>,
}

impl KnownContainers {
    /// Reads the state files below `root`, which is `/` but for tests.
    #[must_use]
    pub fn read(root: &Path) -> Self {
        let mut files = StateFiles::new(root);
        let mut known = Self::default();
        let found = docker::read(&mut files)
            .into_iter()
            .chain(storage::read(&mut files))
            .chain(containerd::read(&mut files));
        for record in found {
            match known.records.get_mut(&record.id) {
                Some(there) => there.merge(record),
                None => {
                    known.records.insert(record.id.clone(), record);
                }
            }
        }
        known.problems = files.problems;
        known
    }

    /// Returns the container with this id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&ContainerRecord> {
        self.records.get(id)
    }

    /// Returns all of them, by id.
    pub fn iter(&self) -> impl Iterator<Item = &ContainerRecord> {
        self.records.values()
    }

    /// Returns the state files that could not be read, with the reason.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }
}
