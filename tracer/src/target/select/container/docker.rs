//! Docker's files: `config.v2.json` of each container.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::state::StateFiles;
use super::{ContainerRecord, ContainerRuntime, PodName};

/// Docker's directories if its configuration names no other.
const ROOTS: [&str; 2] = ["var/lib/docker", "var/snap/docker/common/var-lib-docker"];

#[derive(Deserialize)]
struct DaemonConfig {
    #[serde(rename = "data-root")]
    data_root: Option<String>,
}

#[derive(Deserialize)]
struct ContainerConfig {
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "Name", default)]
    name: String,
    #[serde(rename = "Config")]
    config: Option<ImageConfig>,
}

#[derive(Deserialize)]
struct ImageConfig {
    #[serde(rename = "Labels")]
    labels: Option<BTreeMap<String, String>>,
}

pub(super) fn read(files: &mut StateFiles) -> Vec<ContainerRecord> {
    let daemon: Option<DaemonConfig> = files.json("etc/docker/daemon.json");
    let own = daemon.and_then(|daemon| daemon.data_root);
    let own = own.map(|root| root.trim_start_matches('/').to_owned());
    let mut roots: Vec<String> = own.into_iter().collect();
    roots.extend(ROOTS.iter().map(|&root| root.to_owned()));
    roots.dedup();
    let mut records = Vec::new();
    for root in roots {
        for name in files.names(&format!("{root}/containers")) {
            let path = format!("{root}/containers/{name}/config.v2.json");
            let config: Option<ContainerConfig> = files.container(&path);
            records.extend(config.map(record));
        }
    }
    records
}

fn record(read: ContainerConfig) -> ContainerRecord {
    let mut record = ContainerRecord::new(read.id, ContainerRuntime::Docker);
    record.add_name(read.name.trim_start_matches('/'));
    let labels = read.config.and_then(|config| config.labels);
    let labels = labels.unwrap_or_default();
    // Kubernetes writes them, through cri-dockerd.
    record.pod = PodName::of(
        &labels,
        "io.kubernetes.pod.name",
        "io.kubernetes.pod.namespace",
    );
    if let Some(name) = labels.get("io.kubernetes.container.name") {
        record.add_name(name);
    }
    record
}
