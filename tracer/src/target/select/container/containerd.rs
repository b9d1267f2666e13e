//! containerd's files: the OCI configuration of each running container, in its namespaces.

use super::state::StateFiles;
use super::storage::OciConfig;
use super::{ContainerRecord, ContainerRuntime, PodName};

/// State directories: containerd's own, those of distributions of Kubernetes, and Docker's.
const ROOTS: [&str; 4] = [
    "run/containerd",
    "run/k3s/containerd",
    "var/snap/microk8s/common/run/containerd",
    "run/docker/containerd/daemon",
];

/// The plugin that keeps running containers.
const TASKS: &str = "io.containerd.runtime.v2.task";

pub(super) fn read(files: &mut StateFiles) -> Vec<ContainerRecord> {
    let mut records = Vec::new();
    for root in ROOTS {
        let tasks = format!("{root}/{TASKS}");
        for namespace in files.names(&tasks) {
            for id in files.names(&format!("{tasks}/{namespace}")) {
                let path = format!("{tasks}/{namespace}/{id}/config.json");
                let config: Option<OciConfig> = files.container(&path);
                records.extend(config.map(|config| record(id, &config)));
            }
        }
    }
    records
}

fn record(id: String, config: &OciConfig) -> ContainerRecord {
    let mut record = ContainerRecord::new(id, ContainerRuntime::Containerd);
    let annotations = config.annotations();
    record.cgroup = config.cgroup();
    record.pod = PodName::of(
        &annotations,
        "io.kubernetes.cri.sandbox-name",
        "io.kubernetes.cri.sandbox-namespace",
    );
    for key in ["nerdctl/name", "io.kubernetes.cri.container-name"] {
        if let Some(name) = annotations.get(key) {
            record.add_name(name);
        }
    }
    // `ctr` takes any name for an id.
    if !super::is_full_id(&record.id) {
        let id = record.id.clone();
        record.add_name(&id);
    }
    record
}
