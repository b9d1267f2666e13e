//! The files of podman and CRI-O, which share a storage library: lists of containers with their
//! names, and an OCI configuration for each.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::layout::cgroup_of;
use super::state::StateFiles;
use super::{ContainerRecord, ContainerRuntime, PodName};

/// Directories of the storage library, for containers that stay and for those that go.
const ROOTS: [&str; 2] = ["var/lib/containers/storage", "run/containers/storage"];

/// Drivers of the storage library. The lists of containers are in a directory of the driver.
const DRIVERS: [&str; 5] = ["overlay", "vfs", "btrfs", "zfs", "overlay2"];

/// Lists of containers.
const LISTS: [&str; 2] = ["containers.json", "volatile-containers.json"];

#[derive(Deserialize)]
struct StoredContainer {
    id: String,
    #[serde(default)]
    names: Option<Vec<String>>,
}

/// The configuration that an OCI runtime gets.
#[derive(Deserialize)]
pub(super) struct OciConfig {
    #[serde(default)]
    pub(super) annotations: Option<BTreeMap<String, String>>,
    #[serde(default)]
    pub(super) linux: Option<OciLinux>,
}

#[derive(Deserialize)]
pub(super) struct OciLinux {
    #[serde(rename = "cgroupsPath", default)]
    cgroups_path: Option<String>,
}

impl OciConfig {
    /// The cgroup of the container.
    pub(super) fn cgroup(&self) -> Option<String> {
        cgroup_of(self.linux.as_ref()?.cgroups_path.as_deref()?)
    }

    /// The annotations, without those that are missing.
    pub(super) fn annotations(&self) -> BTreeMap<String, String> {
        self.annotations.clone().unwrap_or_default()
    }
}

pub(super) fn read(files: &mut StateFiles) -> Vec<ContainerRecord> {
    let mut records = Vec::new();
    for root in ROOTS {
        for driver in DRIVERS {
            for list in LISTS {
                let path = format!("{root}/{driver}-containers/{list}");
                let stored: Vec<StoredContainer> = files.json(&path).unwrap_or_default();
                records.extend(
                    stored
                        .into_iter()
                        .filter_map(|one| record(one, driver, files)),
                );
            }
        }
    }
    records
}

fn record(
    stored: StoredContainer,
    driver: &str,
    files: &mut StateFiles,
) -> Option<ContainerRecord> {
    // The id becomes part of a path.
    let plain = |c: char| c.is_ascii_alphanumeric();
    if stored.id.is_empty() || !stored.id.chars().all(plain) {
        return None;
    }
    let mut record = ContainerRecord::new(stored.id, ContainerRuntime::Podman);
    let config = ROOTS.iter().rev().find_map(|root| {
        let path = format!(
            "{root}/{driver}-containers/{}/userdata/config.json",
            record.id
        );
        files.container::<OciConfig>(&path)
    });
    if let Some(config) = config {
        of_config(&mut record, &config);
    }
    for name in stored.names.unwrap_or_default() {
        record.add_name(&name);
    }
    Some(record)
}

fn of_config(record: &mut ContainerRecord, config: &OciConfig) {
    record.cgroup = config.cgroup();
    let mut annotations = config.annotations();
    if annotations
        .keys()
        .any(|key| key.starts_with("io.kubernetes.cri-o."))
    {
        record.runtime = ContainerRuntime::CriO;
    }
    // Some versions keep the labels only as a text.
    if let Some(labels) = annotations.get("io.kubernetes.cri-o.Labels") {
        let labels: BTreeMap<String, String> = serde_json::from_str(labels).unwrap_or_default();
        for (key, value) in labels {
            annotations.entry(key).or_insert(value);
        }
    }
    record.pod = PodName::of(
        &annotations,
        "io.kubernetes.pod.name",
        "io.kubernetes.pod.namespace",
    );
    if let Some(name) = annotations.get("io.kubernetes.container.name") {
        record.add_name(name);
    }
}
