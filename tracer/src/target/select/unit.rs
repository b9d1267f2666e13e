//! Units of systemd, by the layout of its cgroups.
//!
//! A process is in the unit that its cgroup's path names: behind the slices, the first component. In
//! a user's manager (`user@1000.service`), slices and a unit of that user follow. Components behind
//! the unit are its own affair.

use std::fs;
use std::path::Path;

use super::cgroup::{CgroupMembership, memberships, strip_path};
use super::limits::UNIT_ALIASES;
use super::name::NameGlob;
use super::proc_files::read_bounded;
use crate::base::diagnostic::Diagnostic;

/// Endings of the units that have cgroups.
const WITH_CGROUPS: [&str; 6] = [".service", ".scope", ".slice", ".socket", ".mount", ".swap"];

/// Endings of the other units.
const WITHOUT_CGROUPS: [&str; 5] = [".target", ".device", ".timer", ".path", ".automount"];

/// Directories of unit files, in the order in which systemd prefers them.
const UNIT_FILES: [&str; 9] = [
    "etc/systemd/system",
    "run/systemd/system",
    "run/systemd/generator",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
    "etc/systemd/user",
    "run/systemd/user",
    "usr/lib/systemd/user",
];

/// A unit that was selected, or several by a pattern.
#[derive(Clone, Debug)]
pub(super) struct SelectedUnit {
    /// The name that was written, and the names that it is an alias of.
    names: Vec<NameGlob>,
    /// The cgroup below which systemd keeps its units, in each hierarchy.
    roots: Vec<CgroupMembership>,
}

impl SelectedUnit {
    /// Finds a unit. Its files are below `root`.
    ///
    /// # Errors
    /// The text is no name of a unit that could have processes.
    pub(super) fn find(text: &str, root: &Path) -> Result<Self, Diagnostic> {
        let name = unit_name(text)?;
        let mut names = vec![name.clone()];
        names.extend(aliases(&name, root));
        let glob = |name: &String| NameGlob::parse(&as_pattern(name));
        let first = read_bounded(Path::new("/proc/1/cgroup")).unwrap_or_default();
        Ok(Self {
            names: names.iter().map(glob).collect::<Result<_, _>>()?,
            roots: memberships(&first).into_iter().map(manager_root).collect(),
        })
    }

    /// Returns the unit's cgroup that a process's cgroup is, or is below.
    pub(super) fn prefix_of<'p>(&self, membership: &'p CgroupMembership) -> Option<&'p str> {
        if !membership.hierarchy.has_units() {
            return None;
        }
        let of_hierarchy = |root: &&CgroupMembership| root.hierarchy == membership.hierarchy;
        let root = self.roots.iter().find(of_hierarchy);
        self.prefix_below(&membership.path, root.map_or("/", |root| &root.path))
    }

    /// Returns true if it may be a cgroup below this one.
    pub(super) fn is_below(&self, membership: &CgroupMembership) -> bool {
        let of_hierarchy = |root: &&CgroupMembership| root.hierarchy == membership.hierarchy;
        let root = self.roots.iter().find(of_hierarchy);
        leads_to_units(&membership.path, root.map_or("/", |root| &root.path))
    }

    fn prefix_below<'p>(&self, path: &'p str, root: &str) -> Option<&'p str> {
        let below = strip_path(path, root)?;
        let mut at = path.len() - below.len();
        // A unit of the system, then one of a user.
        let mut managers = 2;
        for component in below.split('/') {
            at += component.len();
            let prefix = path.get(..at);
            at += 1;
            // systemd puts it before names that a file of the kernel's has, too.
            let name = component.strip_prefix('_').unwrap_or(component);
            if !WITH_CGROUPS.iter().any(|end| is_named(name, end)) {
                return None;
            }
            if self.names.iter().any(|glob| glob.matches(name)) {
                return prefix;
            }
            if !name.ends_with(".slice") {
                managers -= 1;
                let manages = name.starts_with("user@") && name.ends_with(".service");
                if managers == 0 || !manages {
                    return None;
                }
            }
        }
        None
    }
}

/// Returns true if units can be below a path: it leads to the manager, or has slices and one manager of a
/// user.
fn leads_to_units(path: &str, root: &str) -> bool {
    let Some(below) = strip_path(path, root) else {
        return strip_path(root, path).is_some();
    };
    let components = below.split('/').filter(|component| !component.is_empty());
    let is_slice = |component: &str| is_named(component, ".slice");
    let mut others = components.filter(|component| !is_slice(component));
    let manages = |name: &str| name.starts_with("user@") && name.ends_with(".service");
    others.next().is_none_or(manages) && others.next().is_none()
}

/// Returns the service that a cgroup's path names, without its ending: a user's, or else the system's. `None`
/// if it is in another unit, such as a session's scope.
#[must_use]
pub fn service_unit(cgroup: &str) -> Option<&str> {
    let components = cgroup.split('/').filter(|component| !component.is_empty());
    let manages = |name: &&str| name.starts_with("user@") && name.ends_with(".service");
    let unit = components
        .skip_while(|component| is_named(component, ".slice") || manages(component))
        .find(|component| !is_named(component, ".slice"))?;
    let name = unit.strip_prefix('_').unwrap_or(unit);
    is_named(name, ".service").then(|| name.trim_end_matches(".service"))
}

/// Returns true if the name is more than its ending.
fn is_named(name: &str, end: &str) -> bool {
    name.len() > end.len() && name.ends_with(end)
}

/// The name with its ending, which is `.service` if it has none.
///
/// # Errors
/// No unit is named so, or it is one without processes.
pub(super) fn unit_name(text: &str) -> Result<String, Diagnostic> {
    let glob = NameGlob::parse(text).map_err(|error| Diagnostic {
        message: error.message.replace("the name", "the unit"),
        ..error
    })?;
    if let Some(end) = WITHOUT_CGROUPS.iter().find(|end| is_named(text, end)) {
        let end = end.trim_start_matches('.');
        return Err(
            Diagnostic::new(format!("`{text}` has no processes, because it is a {end}"))
                .hint("a service, scope, slice, socket, mount or swap unit has"),
        );
    }
    let valid = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    let pattern = |c: char| !glob.is_literal() && "*?[]!^".contains(c);
    if let Some(c) = text.chars().find(|&c| !valid(c) && !pattern(c)) {
        return Err(
            Diagnostic::new(format!("`{text}` is no unit, because of its `{c}`"))
                .hint("`systemd-escape` writes such characters as units have them: `\\x2d`"),
        );
    }
    let complete = WITH_CGROUPS.iter().any(|end| is_named(text, end));
    Ok(if complete || !glob.is_literal() {
        text.to_owned()
    } else {
        format!("{text}.service")
    })
}

/// The pattern of a unit's name: a template stands for its instances.
fn as_pattern(name: &str) -> String {
    match name.split_once('@') {
        Some((template, end)) if WITH_CGROUPS.contains(&end) => format!("{template}@*{end}"),
        _ => name.to_owned(),
    }
}

/// The names that a unit's file is a link to, from one to the next.
fn aliases(name: &str, root: &Path) -> Vec<String> {
    let mut all = Vec::new();
    let mut name = name.to_owned();
    while let Some(next) = alias(&name, root)
        && next != name
        && all.len() < UNIT_ALIASES
    {
        all.push(next.clone());
        name = next;
    }
    all
}

fn alias(name: &str, root: &Path) -> Option<String> {
    if name.contains('/') {
        return None;
    }
    let link = |directory: &&str| fs::read_link(root.join(directory).join(name)).ok();
    let target = UNIT_FILES.iter().find_map(link)?;
    let target = target.file_name()?.to_str()?;
    let is_unit = WITH_CGROUPS.iter().any(|end| is_named(target, end));
    is_unit.then(|| target.to_owned())
}

/// The cgroup below which systemd keeps its units: it is in one of them itself.
fn manager_root(first: CgroupMembership) -> CgroupMembership {
    let path = first.path.strip_suffix("/init.scope");
    // The first process need not be systemd.
    let path = match path {
        Some("") | None => "/",
        Some(path) => path,
    };
    CgroupMembership {
        path: path.to_owned(),
        hierarchy: first.hierarchy,
    }
}

#[cfg(test)]
mod tests {
    use super::super::cgroup::CgroupHierarchy;
    use super::*;

    fn prefix(unit: &str, path: &'static str) -> Option<&'static str> {
        let name = unit_name(unit).unwrap();
        let unit = SelectedUnit {
            names: vec![NameGlob::parse(&as_pattern(&name)).unwrap()],
            roots: Vec::new(),
        };
        unit.prefix_below(path, "/")
    }

    #[test]
    fn service_is_found_behind_its_slices() {
        let nginx = "/system.slice/nginx.service";
        assert_eq!(prefix("nginx", nginx), Some(nginx));
        assert_eq!(prefix("nginx.service", nginx), Some(nginx));
        assert_eq!(prefix("nginx", "/nginx.service"), Some("/nginx.service"));
        assert_eq!(
            prefix("nginx", "/system.slice/nginx.service/worker/1"),
            Some(nginx)
        );
        assert_eq!(
            prefix("db", "/a.slice/a-b.slice/db.service"),
            Some("/a.slice/a-b.slice/db.service")
        );
        assert_eq!(prefix("nginx", "/system.slice/nginx2.service"), None);
        assert_eq!(prefix("nginx", "/nginx.service.d/x"), None);
        assert_eq!(prefix("nginx", "/"), None);
    }

    #[test]
    fn service_of_a_cgroup_is_its_first_unit() {
        for (cgroup, service) in [
            ("/system.slice/nginx.service", Some("nginx")),
            ("/system.slice/nginx.service/worker.service", Some("nginx")),
            ("/a.slice/a-b.slice/db@1.service", Some("db@1")),
            (
                "/user.slice/user-1.slice/user@1.service/app.slice/web.service",
                Some("web"),
            ),
            ("/user.slice/user-1.slice/session-3.scope", None),
            ("/docker/system.slice/nginx.service", None),
            ("/init.scope", None),
            ("/", None),
        ] {
            assert_eq!(service_unit(cgroup), service, "{cgroup}");
        }
    }

    #[test]
    fn units_are_looked_for_below_slices_and_one_manager_of_a_user() {
        for path in [
            "/",
            "/system.slice",
            "/user.slice/user-1.slice/user@1.service/app.slice",
        ] {
            assert!(leads_to_units(path, "/"), "{path}");
        }
        for path in [
            "/system.slice/web.service",
            "/docker",
            "/docker/system.slice",
            "/user@1.service/user@2.service",
        ] {
            assert!(!leads_to_units(path, "/"), "{path}");
        }
        assert!(leads_to_units("/lxc", "/lxc/box") && leads_to_units("/", "/lxc/box"));
        assert!(leads_to_units("/lxc/box/a.slice", "/lxc/box"));
        assert!(!leads_to_units("/lxc/other", "/lxc/box"));
    }

    #[test]
    fn unit_below_another_unit_is_not_the_systems() {
        // A container with a systemd of its own.
        let path = "/machine.slice/libpod-0.scope/system.slice/nginx.service";
        assert_eq!(prefix("nginx", path), None);
        assert_eq!(
            prefix("libpod-0.scope", path),
            Some("/machine.slice/libpod-0.scope")
        );
        assert_eq!(prefix("nginx", "/docker/system.slice/nginx.service"), None);
    }

    #[test]
    fn units_of_users_slices_and_scopes_are_found() {
        let path = "/user.slice/user-1000.slice/user@1000.service/app.slice/web.service/x";
        let unit = "/user.slice/user-1000.slice/user@1000.service/app.slice/web.service";
        assert_eq!(prefix("web", path), Some(unit));
        assert_eq!(prefix("app.slice", path), unit.strip_suffix("/web.service"));
        assert_eq!(
            prefix("user@1000", path),
            Some("/user.slice/user-1000.slice/user@1000.service")
        );
        assert_eq!(
            prefix("user-1000.slice", path),
            Some("/user.slice/user-1000.slice")
        );
        assert_eq!(
            prefix(
                "session-3.scope",
                "/user.slice/user-1000.slice/session-3.scope"
            ),
            Some("/user.slice/user-1000.slice/session-3.scope")
        );
        let other = "/user.slice/user@1.service/user@2.service/web.service";
        assert_eq!(prefix("web", other), None);
    }

    #[test]
    fn templates_patterns_and_escapes_match_their_instances() {
        let tty = "/system.slice/system-getty.slice/getty@tty1.service";
        assert_eq!(prefix("getty@tty1", tty), Some(tty));
        assert_eq!(prefix("getty@.service", tty), Some(tty));
        assert_eq!(prefix("getty@", tty), Some(tty));
        assert_eq!(prefix("getty@*.service", tty), Some(tty));
        assert_eq!(prefix("getty@tty2", tty), None);
        let escaped = "/system.slice/system-a\\x2db.slice/a-b@\\x2dx.service";
        assert_eq!(prefix("a-b@\\x2dx", escaped), Some(escaped));
        let marked = "/system.slice/_cpu.service";
        assert_eq!(prefix("cpu.service", marked), Some(marked));
    }

    #[test]
    fn names_that_no_unit_with_processes_has_are_refused_with_a_hint() {
        for name in ["multi-user.target", "a b", "/dev/sda", "backup.timer", "ü"] {
            let error = unit_name(name).unwrap_err();
            assert!(error.hint.is_some(), "{error}");
        }
        assert_eq!(unit_name("").unwrap_err().message, "the unit is empty");
        assert_eq!(unit_name("a.b").unwrap(), "a.b.service");
        assert_eq!(unit_name(".service").unwrap(), ".service.service");
    }

    #[test]
    fn alias_is_followed_to_the_units_own_name() {
        let root = tempfile::tempdir().unwrap();
        let etc = root.path().join("etc/systemd/system");
        fs::create_dir_all(&etc).unwrap();
        let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, etc.join(name)).unwrap();
        link("/lib/systemd/system/mariadb.service", "mysql.service");
        link("/dev/null", "masked.service");
        link("b.service", "a.service");
        link("a.service", "b.service");
        assert_eq!(aliases("mysql.service", root.path()), ["mariadb.service"]);
        assert!(aliases("masked.service", root.path()).is_empty());
        assert!(aliases("../x.service", root.path()).is_empty());
        assert_eq!(aliases("a.service", root.path()).len(), UNIT_ALIASES);
        let unit = SelectedUnit::find("mysql", root.path()).unwrap();
        let path = "/system.slice/mariadb.service";
        assert_eq!(unit.prefix_below(path, "/"), Some(path));
    }

    #[test]
    fn units_are_below_the_cgroup_of_their_manager() {
        let first = |path: &str| CgroupMembership {
            hierarchy: CgroupHierarchy::Unified,
            path: path.to_owned(),
        };
        assert_eq!(manager_root(first("/init.scope")).path, "/");
        assert_eq!(manager_root(first("/")).path, "/");
        assert_eq!(manager_root(first("/outer/init.scope")).path, "/outer");
        let unit = SelectedUnit::find("web", Path::new("/")).unwrap();
        let path = "/outer/system.slice/web.service";
        assert_eq!(unit.prefix_below(path, "/outer"), Some(path));
        assert_eq!(unit.prefix_below(path, "/"), None);
    }
}
