//! Selectors by container and pod, on state files as the runtimes write them.

use super::cgroups::make;
use super::*;
use crate::target::tests::Waiting;

/// Mounts of cgroup v2.
const UNIFIED: &str = " - cgroup2 ";

/// State files below a root of their own.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// A container of Docker, as version 28 describes it.
    fn docker(&self, id: &str, name: &str) {
        let config = format!(
            r#"{{"StreamConfig":{{}},"State":{{"Running":true,"Paused":false,"Pid":4242,"ExitCode":0,
                "StartedAt":"2026-01-02T03:04:05.6Z"}},"ID":"{id}","Created":"2026-01-02T03:04:05Z",
                "Path":"/docker-entrypoint.sh","Args":["nginx"],"Config":{{"Hostname":"x","Labels":
                {{"maintainer":"a"}}}},"Image":"sha256:0","Name":"/{name}","Driver":"overlay2"}}"#
        );
        self.write(
            &format!("var/lib/docker/containers/{id}/config.v2.json"),
            config,
        );
    }

    /// A container of containerd, as its plugin for Kubernetes describes it.
    fn containerd(&self, id: &str, pod: &str, name: &str) {
        let config = format!(
            r#"{{"ociVersion":"1.1.0","process":{{"args":["/app"]}},"hostname":"x","mounts":[],
                "annotations":{{"io.kubernetes.cri.container-name":"{name}",
                "io.kubernetes.cri.container-type":"container",
                "io.kubernetes.cri.sandbox-name":"{pod}","io.kubernetes.cri.sandbox-namespace":"prod",
                "io.kubernetes.cri.sandbox-uid":"1-2"}},"linux":{{"cgroupsPath":
                "kubepods-besteffort-pod1.slice:cri-containerd:{id}","namespaces":[]}}}}"#
        );
        let tasks = "run/containerd/io.containerd.runtime.v2.task/k8s.io";
        self.write(&format!("{tasks}/{id}/config.json"), config);
    }

    /// A container of podman: in the list of the storage, with its configuration beside.
    fn podman(&self, id: &str, name: &str) {
        let storage = "var/lib/containers/storage/overlay-containers";
        let metadata = format!(r#"{{\"image-name\":\"nginx\",\"name\":\"{name}\"}}"#);
        let list = format!(
            r#"[{{"id":"{id}","names":["{name}"],"image":"0","layer":"1","metadata":"{metadata}",
                "created":"2026-01-02T03:04:05Z","flags":{{"MountLabel":""}}}}]"#
        );
        self.write(&format!("{storage}/containers.json"), list);
        let config = format!(
            r#"{{"annotations":{{"io.container.manager":"libpod","org.opencontainers.image.stopSignal":"3"}},
                "linux":{{"cgroupsPath":"machine.slice:libpod:{id}"}}}}"#
        );
        self.write(&format!("{storage}/{id}/userdata/config.json"), config);
    }

    /// A container of CRI-O.
    fn crio(&self, id: &str, pod: &str, name: &str) {
        let storage = "run/containers/storage/overlay-containers";
        let list =
            format!(r#"[{{"id":"{id}","names":["k8s_{name}_{pod}_prod_1_0"],"metadata":"{{}}"}}]"#);
        self.write(&format!("{storage}/volatile-containers.json"), list);
        let config = format!(
            r#"{{"annotations":{{"io.kubernetes.cri-o.ContainerType":"container",
                "io.kubernetes.cri-o.Labels":"{{\"io.kubernetes.container.name\":\"{name}\"}}",
                "io.kubernetes.pod.name":"{pod}","io.kubernetes.pod.namespace":"prod"}},
                "linux":{{"cgroupsPath":"kubepods.slice:crio:{id}"}}}}"#
        );
        self.write(&format!("{storage}/{id}/userdata/config.json"), config);
    }

    fn known(&self) -> KnownContainers {
        let known = KnownContainers::read(self.0.path());
        assert!(known.problems().is_empty(), "{:?}", known.problems());
        known
    }

    fn resolve(&self, container: &str) -> Result<Selection, Diagnostic> {
        selector(&[(SelectorKind::Container, container)]).resolve_in(self.0.path())
    }
}

/// An id that begins so.
fn id(front: &str) -> String {
    format!("{front:0<64}")
}

/// A process in a cgroup of a container.
fn process(path: &str) -> ProcessFacts {
    let mut facts = ProcessFacts::read(1).unwrap();
    facts.cgroups = vec![CgroupMembership {
        hierarchy: CgroupHierarchy::Unified,
        path: path.to_owned(),
    }];
    facts
}

#[test]
fn files_of_each_runtime_give_names_pods_and_cgroups() {
    let files = Files::new();
    files.docker(&id("d0"), "web-1");
    files.podman(&id("b0"), "db-1");
    files.crio(&id("c1"), "shop-0", "cart");
    files.containerd(&id("c0"), "shop-1", "pay");
    let known = files.known();
    let told: Vec<String> = known
        .iter()
        .map(|one| {
            let pod = one.pod.as_ref().map(PodName::to_string);
            let cgroup = one.cgroup.as_deref();
            format!("{} {:?} {pod:?} {cgroup:?}", one.runtime, one.names)
        })
        .collect();
    let (podman, crio, containerd) = (id("b0"), id("c1"), id("c0"));
    assert_eq!(
        told,
        [
            format!(r#"podman ["db-1"] None Some("/machine.slice/libpod-{podman}.scope")"#),
            format!(
                r#"containerd ["pay"] Some("prod/shop-1") Some("/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1.slice/cri-containerd-{containerd}.scope")"#
            ),
            format!(
                r#"CRI-O ["cart", "k8s_cart_shop-0_prod_1_0"] Some("prod/shop-0") Some("/kubepods.slice/crio-{crio}.scope")"#
            ),
            r#"docker ["web-1"] None None"#.to_owned(),
        ]
    );
    assert_eq!(known.get(&id("d0")).unwrap().name(), "web-1");
    let facts = process(&format!("/system.slice/docker-{}.scope", id("d0")));
    assert_eq!(facts.container_id(), Some(&*id("d0")));
}

#[test]
fn container_is_found_by_name_id_and_prefix() {
    let files = Files::new();
    files.docker(&id("d0c1"), "web-1");
    files.docker(&id("d0c2"), "beef");
    files.docker(&id("beef"), "other");
    files.podman(&id("b0"), "db-1");
    let path = |id: &str| format!("/system.slice/docker-{id}.scope/below");
    let (web, hex, other) = (id("d0c1"), id("d0c2"), id("beef"));
    for (text, found) in [
        ("web-1", &web),
        (&*web, &web),
        ("d0c1", &web),
        ("beef", &hex),
        ("beef0", &other),
    ] {
        let selection = files.resolve(text).unwrap();
        for one in [&web, &hex, &other] {
            assert_eq!(
                selection.matches(&process(&path(one))),
                one == found,
                "{text}"
            );
        }
    }
    let podman = files.resolve("db-1").unwrap();
    let scope = format!("/machine.slice/libpod-{}.scope/container", id("b0"));
    assert!(podman.matches(&process(&scope)));
    let monitor = format!("/machine.slice/libpod-conmon-{}.scope", id("b0"));
    assert!(!podman.matches(&process(&monitor)));
}

#[test]
fn prefix_of_several_ids_is_refused_with_them() {
    let files = Files::new();
    files.docker(&id("abcd1"), "web-1");
    files.docker(&id("abcd2"), "web-2");
    let error = files.resolve("abcd").unwrap_err();
    let (one, two) = (id("abcd1"), id("abcd2"));
    assert_eq!(
        error.message,
        format!("the ids of 2 containers begin with `abcd`: {one}, {two}")
    );
    assert!(error.hint.is_some());
    assert!(files.resolve("abcd1").is_ok());
    // Too short for an id, and no name.
    assert!(
        files
            .resolve("abc")
            .unwrap_err()
            .message
            .starts_with("no container")
    );
}

#[test]
fn unknown_container_is_refused_with_the_nearest_name() {
    let files = Files::new();
    files.docker(&id("d0"), "web-1");
    let error = files.resolve("web-2").unwrap_err();
    assert_eq!(error.message, "no container has the id or name `web-2`");
    assert_eq!(error.hint.as_deref(), Some("did you mean `web-1`?"));
    let error = files.resolve("pod:shop").unwrap_err();
    assert_eq!(error.message, "no pod is named `shop`");
    files.write("var/lib/docker/containers/x/config.v2.json", "{\"ID\":");
    let hint = files.resolve("web-2").unwrap_err().hint.unwrap();
    assert!(hint.starts_with("cannot read `/var/lib/docker/"), "{hint}");
}

#[test]
fn pod_selects_all_of_its_containers_in_its_namespace() {
    let files = Files::new();
    files.containerd(&id("c0"), "shop-1", "pay");
    files.containerd(&id("c1"), "shop-1", "cart");
    files.containerd(&id("c2"), "shop-2", "pay");
    let matched = |text: &str| {
        let selection = files.resolve(text).unwrap();
        ["c0", "c1", "c2"].map(|front| {
            let path = format!("/kubepods/besteffort/pod1/{}", id(front));
            selection.matches(&process(&path))
        })
    };
    assert_eq!(matched("pod:shop-1"), [true, true, false]);
    assert_eq!(matched("pod:prod/shop-1"), [true, true, false]);
    assert_eq!(matched("pay"), [true, false, true]);
    assert!(files.resolve("pod:test/shop-1").is_err());
}

#[test]
fn container_that_is_made_again_is_found_by_its_name() {
    let files = Files::new();
    let selector = Selector {
        wait: true,
        ..selector(&[(SelectorKind::Container, "web-1")])
    };
    let mut selection = selector.resolve_in(files.0.path()).unwrap();
    assert_eq!(
        selection.waiting().to_string(),
        "waiting for a process in container web-1"
    );
    let path = |front: &str| process(&format!("/docker/{}", id(front)));
    assert!(!selection.matches(&path("d0")));
    files.docker(&id("d0"), "web-1");
    assert!(selection.refresh());
    assert!(selection.matches(&path("d0")));
    fs::remove_dir_all(files.0.path().join("var")).unwrap();
    files.docker(&id("d1"), "web-1");
    assert!(selection.refresh());
    assert!(!selection.refresh());
    assert!(selection.matches(&path("d0")) && selection.matches(&path("d1")));
}

#[test]
fn running_container_without_files_is_found_by_its_id() {
    let front = format!("fe{:x}", std::process::id());
    let Some(cgroup) = make(
        UNIFIED,
        &format!("/tracer-{{}}/docker-{}.scope", id(&front)),
    ) else {
        return;
    };
    let child = Waiting::start(Path::new("/bin/cat"));
    cgroup.take(&child);
    for text in [front.as_str(), &id(&front)] {
        let selection = resolve(&[(SelectorKind::Container, text)]).unwrap();
        assert_eq!(scanned(&selection), [child.0.id()]);
        let directories = selection.cgroup_directories(SelectorKind::Container);
        assert_eq!(directories.len(), 1);
        assert_eq!(directories[0].path, cgroup.path);
    }
    drop(child);
}

#[test]
fn docker_with_a_directory_of_its_own_and_containerd_with_plain_ids_are_found() {
    let files = Files::new();
    files.write("etc/docker/daemon.json", r#"{"data-root":"/srv/docker"}"#);
    let config = format!(r#"{{"ID":"{}","Name":"/web-1"}}"#, id("d0"));
    files.write("srv/docker/containers/x/config.v2.json", config);
    assert!(files.resolve("web-1").is_ok());
    let task = "run/containerd/io.containerd.runtime.v2.task/default/shell/config.json";
    files.write(task, r#"{"linux":{"cgroupsPath":"/default/shell"}}"#);
    let selection = files.resolve("shell").unwrap();
    assert!(selection.matches(&process("/default/shell/x")));
    assert!(!selection.matches(&process("/default/shell2")));
}

#[test]
fn broken_and_hostile_files_are_left_out_with_a_reason() {
    let files = Files::new();
    files.docker(&id("d0"), "web-1");
    let containers = "var/lib/docker/containers";
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    files.write(&format!("{containers}/deep/config.v2.json"), deep);
    files.write(&format!("{containers}/bytes/config.v2.json"), [0xff; 64]);
    files.write(&format!("{containers}/types/config.v2.json"), r#"{"ID":7}"#);
    let large = files.0.path().join(containers).join("large/config.v2.json");
    fs::create_dir_all(large.parent().unwrap()).unwrap();
    let file = fs::File::create(&large).unwrap();
    file.set_len((16 << 20) + 1).unwrap();
    let pipe = files.0.path().join(containers).join("pipe/config.v2.json");
    fs::create_dir_all(pipe.parent().unwrap()).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    // An id becomes part of a path.
    files.write(
        "var/lib/containers/storage/overlay-containers/containers.json",
        r#"[{"id":"../../../../etc","names":["evil"]}]"#,
    );
    let known = KnownContainers::read(files.0.path());
    let names: Vec<&str> = known.iter().map(ContainerRecord::name).collect();
    assert_eq!(names, ["web-1"]);
    assert_eq!(known.problems().len(), 5, "{:?}", known.problems());
}
