//! Containers as the runtimes lay them out: namespaces, a root directory, a cgroup, and state files.

use std::fs;
use std::path::Path;

use super::cgroups::Cgroup;
use super::program::{Program, status_field};

/// Namespaces that a container has of its own.
pub(crate) const NAMESPACES: [&str; 7] = [
    "--user",
    "--map-root-user",
    "--mount",
    "--cgroup",
    "--pid",
    "--fork",
    "--kill-child",
];

/// An id as runtimes make them, of this test process alone.
pub(crate) fn container_id(test: u32) -> String {
    let digits = format!("{:08x}{test:08x}", std::process::id());
    format!("{digits}{:048x}", 0x5eed)
}

/// A container: a worker with namespaces, a root directory and a cgroup of its own.
pub(crate) struct Container {
    pub(crate) cgroup: Cgroup,
    pub(crate) root: tempfile::TempDir,
}

impl Container {
    #[track_caller]
    pub(crate) fn new(root: &Path, cgroup: &str) -> Self {
        Self {
            cgroup: Cgroup::make(root, cgroup),
            root: tempfile::tempdir().expect("a directory"),
        }
    }

    /// Puts a program into its root directory.
    pub(crate) fn copy(&self, program: &Path) {
        fs::copy(program, self.root.path().join("worker")).expect("the fixture is built");
    }

    /// Starts its program by `unshare`.
    #[track_caller]
    pub(crate) fn start(&self, args: &[&str]) -> Program {
        let root = self.root.path().to_str().expect("UTF-8");
        let chroot = ["chroot", root, "/worker"];
        let all = [&NAMESPACES, &chroot[..], args].concat();
        Program::start_with(Path::new("unshare"), &all, |command| {
            self.cgroup.enter(command)
        })
    }

    #[track_caller]
    pub(crate) fn ready(&self) -> Program {
        let program = self.start(&["1", "stay"]);
        program
            .stdout
            .wait_line("`ready`", 0, |line| line == "ready");
        program
    }
}

/// The pid of the program in a container, which is 1 inside.
#[track_caller]
pub(crate) fn inner(outside: &Program) -> u32 {
    let children = format!("/proc/{0}/task/{0}/children", outside.pid());
    let inside = fs::read_to_string(children).expect("it has a child");
    let pid = inside.trim().parse().expect("one child");
    let pids = status_field(pid, "NSpid").expect("it runs");
    assert_eq!(pids.split_whitespace().last(), Some("1"), "{pids}");
    pid
}

/// The runtime whose state files name a container.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Runtime {
    Docker,
    Podman,
    Containerd,
    Crio,
}

/// The description of a container in the files of a runtime.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StateFiles<'s> {
    pub(crate) runtime: Runtime,
    pub(crate) id: &'s str,
    pub(crate) name: &'s str,
    /// Kubernetes runs it in this pod.
    pub(crate) pod: &'s str,
}

impl StateFiles<'_> {
    /// The path of its cgroup.
    pub(crate) fn cgroup(&self) -> String {
        let id = self.id;
        match self.runtime {
            Runtime::Docker => format!("/docker/{id}"),
            Runtime::Podman => format!("/machine.slice/libpod-{id}.scope"),
            Runtime::Containerd => format!("/kubepods.slice/cri-containerd-{id}.scope"),
            Runtime::Crio => format!("/kubepods.slice/crio-{id}.scope"),
        }
    }

    /// The directory that holds the files, and each file below it with its text.
    fn files(&self) -> (&'static str, Vec<(String, String)>) {
        let Self { id, name, pod, .. } = self;
        let of_storage = |storage: &str, list: &str, names: &str, config: String| {
            let list_text = format!(r#"[{{"id":"{id}","names":["{names}"],"metadata":"{{}}"}}]"#);
            let config_path = format!("{storage}/{id}/userdata/config.json");
            vec![
                (format!("{storage}/{list}"), list_text),
                (config_path, config),
            ]
        };
        match self.runtime {
            Runtime::Docker => {
                let path = format!("/var/lib/docker/containers/{id}/config.v2.json");
                let text =
                    format!(r#"{{"ID":"{id}","Name":"/{name}","Config":{{"Labels":{{}}}}}}"#);
                ("/var/lib", vec![(path, text)])
            }
            Runtime::Podman => {
                let storage = "/var/lib/containers/storage/overlay-containers";
                let config = r#"{"annotations":{"io.container.manager":"libpod"}}"#.to_owned();
                (
                    "/var/lib",
                    of_storage(storage, "containers.json", name, config),
                )
            }
            Runtime::Containerd => {
                let tasks = "/run/containerd/io.containerd.runtime.v2.task/k8s.io";
                let text = format!(
                    r#"{{"annotations":{{"io.kubernetes.cri.container-name":"{name}",
                    "io.kubernetes.cri.container-type":"container",
                    "io.kubernetes.cri.sandbox-name":"{pod}",
                    "io.kubernetes.cri.sandbox-namespace":"shop"}}}}"#
                );
                ("/run", vec![(format!("{tasks}/{id}/config.json"), text)])
            }
            Runtime::Crio => {
                let storage = "/run/containers/storage/overlay-containers";
                let config = format!(
                    r#"{{"annotations":{{"io.kubernetes.cri-o.ContainerType":"container",
                    "io.kubernetes.cri-o.Labels":"{{\"io.kubernetes.container.name\":\"{name}\"}}",
                    "io.kubernetes.pod.name":"{pod}","io.kubernetes.pod.namespace":"shop"}}}}"#
                );
                let names = format!("k8s_{name}_{pod}_shop_1_0");
                let files = of_storage(storage, "volatile-containers.json", &names, config);
                ("/run", files)
            }
        }
    }

    /// The arguments of `unshare` by which a command sees these files, and no others of that runtime.
    /// The command follows.
    pub(crate) fn unshare(&self) -> Vec<String> {
        let (directory, files) = self.files();
        let mut script = format!("mount -t tmpfs none {directory} && ");
        for (path, text) in files {
            let quoted = shlex::try_quote(&text).expect("no zero byte");
            script += &format!("mkdir -p $(dirname {path}) && echo {quoted} > {path} && ");
        }
        script += r#"exec "$@""#;
        ["--mount", "sh", "-c", &script, "sh"]
            .map(str::to_owned)
            .into()
    }
}
