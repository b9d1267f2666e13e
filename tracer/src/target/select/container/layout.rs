//! How container runtimes name cgroups.
//!
//! | runtime | with systemd | without |
//! | --- | --- | --- |
//! | Docker | `…/docker-ID.scope` | `/docker/ID` |
//! | podman | `…/libpod-ID.scope`, maybe `/container` below | `/libpod_parent/libpod-ID` |
//! | containerd, for Kubernetes | `/kubepods.slice/…/cri-containerd-ID.scope` | `/kubepods/…/ID` |
//! | CRI-O | `/kubepods.slice/…/crio-ID.scope` | `/kubepods/…/crio-ID` |
//!
//! The monitors of podman and CRI-O, `libpod-conmon-ID.scope` and `crio-conmon-ID.scope`, are beside
//! their containers, not in them.

/// Digits of the id that all of these runtimes use.
const ID_DIGITS: usize = 64;

/// Returns the id of the container that a cgroup belongs to, the innermost if they are nested.
#[must_use]
pub fn container_id(cgroup: &str) -> Option<&str> {
    cgroup.rsplit('/').find_map(id_of_component)
}

/// Returns the uid of the pod of Kubernetes that a cgroup belongs to.
///
/// The kubelet calls its cgroup `pod` and the uid. As a slice of systemd, it has underscores for hyphens.
#[must_use]
pub fn pod_uid(cgroup: &str) -> Option<String> {
    let mut components = cgroup.split('/');
    components.find(|component| component.starts_with("kubepods"))?;
    components.find_map(|component| {
        let name = component.strip_suffix(".slice").unwrap_or(component);
        let uid = name.rsplit_once("-pod").map(|(_, uid)| uid);
        let uid = uid.or_else(|| name.strip_prefix("pod"))?;
        let is_uid = |c: char| c.is_ascii_hexdigit() || matches!(c, '-' | '_');
        (uid.len() >= 32 && uid.chars().all(is_uid)).then(|| uid.replace('_', "-"))
    })
}

/// Returns true for a whole id.
pub(in crate::target::select) fn is_full_id(text: &str) -> bool {
    let digit = |c: u8| matches!(c, b'0'..=b'9' | b'a'..=b'f');
    text.len() == ID_DIGITS && text.bytes().all(digit)
}

/// The part of a cgroup's path up to the container that `is_wanted` knows by its id.
pub(in crate::target::select) fn prefix_with_id(
    path: &str,
    is_wanted: impl Fn(&str) -> bool,
) -> Option<&str> {
    let mut at = 0;
    for component in path.split('/') {
        at += component.len();
        if id_of_component(component).is_some_and(&is_wanted) {
            return path.get(..at);
        }
        at += 1;
    }
    None
}

fn id_of_component(component: &str) -> Option<&str> {
    let name = component.strip_suffix(".scope").unwrap_or(component);
    // A runtime without systemd may get a path in the form for systemd, `SLICE:PREFIX:ID`.
    let (prefix, id) = name.rsplit_once(['-', ':']).unwrap_or(("", name));
    let is_monitor = prefix.ends_with("conmon");
    (is_full_id(id) && !is_monitor).then_some(id)
}

/// The cgroup that an OCI runtime makes of `cgroupsPath`: a path, or `SLICE:PREFIX:NAME` for systemd.
///
/// A relative path is below a cgroup that the runtime chooses, so it says nothing.
pub(super) fn cgroup_of(cgroups_path: &str) -> Option<String> {
    if cgroups_path.starts_with('/') {
        let is_plain = !cgroups_path.split('/').any(|part| part == "..");
        let path = cgroups_path.trim_end_matches('/');
        return (is_plain && !path.is_empty()).then(|| path.to_owned());
    }
    let mut parts = cgroups_path.split(':');
    let (slice, prefix, name) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || name.is_empty() || cgroups_path.contains('/') {
        return None;
    }
    let slice = if slice.is_empty() {
        "system.slice"
    } else {
        slice
    };
    let unit = match (name.ends_with(".slice"), prefix) {
        (true, _) => name.to_owned(),
        (false, "") => format!("{name}.scope"),
        (false, prefix) => format!("{prefix}-{name}.scope"),
    };
    Some(format!("{}/{unit}", slice_path(slice)?))
}

/// The path of a slice: `a-b.slice` is in `a.slice`.
fn slice_path(slice: &str) -> Option<String> {
    let name = slice.strip_suffix(".slice")?;
    if name == "-" {
        return Some(String::new());
    }
    let mut path = String::new();
    let mut dashes = name
        .match_indices('-')
        .map(|(at, _)| at)
        .collect::<Vec<_>>();
    dashes.push(name.len());
    for end in dashes {
        let outer = name.get(..end).filter(|outer| !outer.is_empty())?;
        path.push('/');
        path.push_str(outer);
        path.push_str(".slice");
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "3f2a6c9d0e1b4857a6b5c4d3e2f10918273645546372819a0b1c2d3e4f506172";
    const INNER: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    #[test]
    fn id_is_found_in_each_runtimes_layout() {
        for path in [
            "/docker/ID",
            "/system.slice/docker-ID.scope",
            "/system.slice/docker-ID.scope/init",
            "/machine.slice/libpod-ID.scope",
            "/machine.slice/libpod-ID.scope/container",
            "/libpod_parent/libpod-ID",
            "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope/container",
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1_2.slice/cri-containerd-ID.scope",
            "/kubepods/burstable/pod1-2/ID",
            "/system.slice/containerd.service/kubepods-pod1.slice:cri-containerd:ID",
            "/kubepods.slice/kubepods-pod1.slice/crio-ID.scope",
            "/kubepods/pod1/crio-ID",
            "/default/nerdctl-ID",
        ] {
            let path = path.replace("ID", ID);
            assert_eq!(container_id(&path), Some(ID), "{path}");
            let end = path.find(ID).unwrap() + ID.len();
            let prefix = prefix_with_id(&path, |id| id == ID).unwrap();
            assert!(
                prefix.len() >= end && !prefix[end..].contains('/'),
                "{prefix}"
            );
        }
    }

    #[test]
    fn uid_of_a_pod_is_in_both_drivers_layouts() {
        let uid = "0c7e4e4e-8a5f-4c6a-9d3c-1f2e3d4c5b6a";
        let slice = uid.replace('-', "_");
        for cgroup in [
            format!("/kubepods/besteffort/pod{uid}/0123"),
            format!("/kubepods/pod{uid}"),
            format!(
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{slice}.slice/cri-0.scope"
            ),
        ] {
            assert_eq!(pod_uid(&cgroup).as_deref(), Some(uid), "{cgroup}");
        }
        for cgroup in [
            "/kubepods/besteffort",
            "/kubepods/podx/1",
            "/system.slice/a-pod1.slice",
        ] {
            assert_eq!(pod_uid(cgroup), None, "{cgroup}");
        }
    }

    #[test]
    fn monitors_and_other_cgroups_have_no_id() {
        for path in [
            "/machine.slice/libpod-conmon-ID.scope",
            "/kubepods.slice/crio-conmon-ID.scope",
            "/system.slice/nginx.service",
            "/docker/ID0",
            "/docker/id",
            "/",
            "",
        ] {
            let path = path.replace("ID", ID);
            assert_eq!(container_id(&path), None, "{path}");
        }
    }

    #[test]
    fn nested_container_is_in_both_but_shown_as_the_inner_one() {
        let path = format!("/docker/{ID}/docker/{INNER}/x");
        assert_eq!(container_id(&path), Some(INNER));
        let outer = prefix_with_id(&path, |id| id == ID);
        assert_eq!(outer, Some(&*format!("/docker/{ID}")));
    }

    #[test]
    fn cgroups_path_is_expanded_as_systemd_does() {
        let cgroup = |text: &str| cgroup_of(text);
        assert_eq!(cgroup("/docker/x/"), Some("/docker/x".into()));
        assert_eq!(
            cgroup("system.slice:docker:x"),
            Some("/system.slice/docker-x.scope".into())
        );
        assert_eq!(
            cgroup("kubepods-burstable-pod1.slice:cri-containerd:x"),
            Some(
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/cri-containerd-x.scope"
                    .into()
            )
        );
        assert_eq!(cgroup("-.slice:a:x"), Some("/a-x.scope".into()));
        assert_eq!(cgroup(":a:x"), Some("/system.slice/a-x.scope".into()));
        for text in [
            "",
            "/",
            "x",
            "a:b",
            "a:b:c",
            "a.slice:b:",
            "/../x",
            "-a.slice:b:c",
            "a.slice:b:c:d",
        ] {
            assert_eq!(cgroup(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_looked_at(text in ".{0,80}") {
            let _ = container_id(&text);
            cgroup_of(&text);
            prefix_with_id(&text, |_| true);
        }
    }
}
