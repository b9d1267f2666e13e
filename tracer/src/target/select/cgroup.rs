//! Cgroups: the hierarchies that are mounted, the membership of processes, and selectors by path.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::name::check_length;
use super::proc_files::read_bounded;
use crate::base::diagnostic::Diagnostic;

/// A hierarchy of cgroups.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CgroupHierarchy {
    /// That of cgroup v2.
    Unified,
    /// One of cgroup v1, by its controllers or its name: `cpu,cpuacct`, `name=systemd`.
    Legacy(String),
}

impl CgroupHierarchy {
    /// The hierarchy in which systemd keeps its units, if it does not use cgroup v2.
    pub(super) const SYSTEMD: &'static str = "name=systemd";

    /// Order in which a process's cgroups are shown, the best first.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::Unified => 0,
            Self::Legacy(name) if name == Self::SYSTEMD => 1,
            Self::Legacy(_) => 2,
        }
    }

    /// Returns true if systemd may keep its units here.
    pub(super) fn has_units(&self) -> bool {
        self.rank() < 2
    }
}

impl fmt::Display for CgroupHierarchy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unified => f.write_str("cgroup v2"),
            Self::Legacy(name) => write!(f, "cgroup v1 ({name})"),
        }
    }
}

/// The cgroup of a process in one hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CgroupMembership {
    /// The hierarchy.
    pub hierarchy: CgroupHierarchy,
    /// Path below the root of our cgroup namespace, which is `/`. It starts with `/..` outside of it.
    pub path: String,
}

/// A directory of a mounted hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CgroupDirectory {
    /// The hierarchy.
    pub hierarchy: CgroupHierarchy,
    /// Path as in `/proc/PID/cgroup`.
    pub path: String,
    /// The directory in the file system.
    pub directory: PathBuf,
    /// Number that the kernel identifies it by, the inode of the directory.
    pub id: u64,
}

/// Parses `/proc/PID/cgroup`.
pub(super) fn memberships(text: &str) -> Vec<CgroupMembership> {
    let line = |line: &str| {
        let mut fields = line.splitn(3, ':');
        let (number, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        // The mark of a cgroup that was removed.
        let path = path.strip_suffix(" (deleted)").unwrap_or(path);
        Some(CgroupMembership {
            hierarchy: if number == "0" {
                CgroupHierarchy::Unified
            } else {
                CgroupHierarchy::Legacy(controllers.to_owned())
            },
            path: path.to_owned(),
        })
    };
    text.lines().filter_map(line).collect()
}

/// A mounted hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CgroupMount {
    /// The kind and, of cgroup v1, the options: controllers and name.
    unified: bool,
    options: Vec<String>,
    /// The cgroup that is mounted.
    root: String,
    mount_point: PathBuf,
}

impl CgroupMount {
    /// All mounts of cgroup hierarchies that we see.
    pub(super) fn all() -> Vec<Self> {
        let text = read_bounded(Path::new("/proc/self/mountinfo")).unwrap_or_default();
        text.lines().filter_map(Self::parse).collect()
    }

    fn parse(line: &str) -> Option<Self> {
        let (front, back) = line.split_once(" - ")?;
        let mut front = front.split(' ').skip(3);
        let (root, mount_point) = (front.next()?, front.next()?);
        let mut back = back.split(' ');
        let kind = back.next()?;
        let options = back.nth(1).unwrap_or_default();
        let unified = match kind {
            "cgroup2" => true,
            "cgroup" => false,
            _ => return None,
        };
        Some(Self {
            unified,
            options: options.split(',').map(str::to_owned).collect(),
            root: unescaped(root),
            mount_point: PathBuf::from(unescaped(mount_point)),
        })
    }

    fn is_of(&self, hierarchy: &CgroupHierarchy) -> bool {
        match hierarchy {
            CgroupHierarchy::Unified => self.unified,
            CgroupHierarchy::Legacy(name) => {
                let has = |one: &str| self.options.iter().any(|option| option == one);
                !self.unified && !name.is_empty() && name.split(',').all(has)
            }
        }
    }

    /// Returns true if this is a mount of cgroup v2, which no other mount hides.
    pub(super) fn is_shown_unified(&self) -> bool {
        self.unified && self.mount_point.join("cgroup.procs").exists()
    }

    /// The cgroup that is mounted.
    pub(super) fn root(&self) -> &str {
        &self.root
    }

    /// The directory of that cgroup.
    pub(super) fn mount_point(&self) -> &Path {
        &self.mount_point
    }

    /// The directory of a cgroup, if this mount shows it.
    fn directory(&self, path: &str) -> Option<PathBuf> {
        let below = strip_path(path, &self.root)?;
        Some(self.mount_point.join(below))
    }

    /// The cgroup of a directory, if it is below this mount.
    fn path_of(&self, directory: &Path) -> Option<String> {
        let below = directory.strip_prefix(&self.mount_point).ok()?;
        let below = below.to_str()?;
        let root = self.root.trim_end_matches('/');
        Some(match (root, below) {
            ("", "") => "/".to_owned(),
            (root, "") => root.to_owned(),
            (root, below) => format!("{root}/{below}"),
        })
    }
}

/// Finds the directory of a cgroup.
pub(super) fn find_directory(
    mounts: &[CgroupMount],
    hierarchy: &CgroupHierarchy,
    path: &str,
) -> Option<CgroupDirectory> {
    let of_hierarchy = mounts.iter().filter(|mount| mount.is_of(hierarchy));
    let mut directories = of_hierarchy.filter_map(|mount| mount.directory(path));
    // A mount may be hidden by another one.
    directories.find_map(|directory| {
        let metadata = fs::metadata(&directory).ok()?;
        let is_cgroup = directory.join("cgroup.procs").exists();
        (metadata.is_dir() && is_cgroup).then(|| CgroupDirectory {
            hierarchy: hierarchy.clone(),
            path: path.to_owned(),
            id: metadata.ino(),
            directory,
        })
    })
}

/// Returns the path below `root`, without a slash at its front. `None` if it is not below.
pub(super) fn strip_path<'p>(path: &'p str, root: &str) -> Option<&'p str> {
    let rest = path.strip_prefix(root.trim_end_matches('/'))?;
    if rest.is_empty() {
        return Some(rest);
    }
    rest.strip_prefix('/')
}

/// Replaces the octal escapes of `/proc/self/mountinfo`.
fn unescaped(text: &str) -> String {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        let code = behind
            .get(..3)
            .filter(|_| byte == b'\\')
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        out.push(code.unwrap_or(byte));
        rest = code.and_then(|_| behind.get(3..)).unwrap_or(behind);
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// A cgroup that was selected by its path.
#[derive(Clone, Debug)]
pub(super) struct SelectedCgroup {
    path: String,
    /// The hierarchies that have it. More may get it.
    hierarchies: Vec<CgroupHierarchy>,
    /// The hierarchy, if the user wrote the directory of one.
    only: Option<CgroupHierarchy>,
}

impl SelectedCgroup {
    /// Finds the cgroup: a path as in `/proc/PID/cgroup`, or a directory.
    ///
    /// # Errors
    /// There is none. With `wait`, it may come later.
    pub(super) fn find(text: &str, wait: bool) -> Result<Self, Diagnostic> {
        check_cgroup(text)?;
        let mounts = CgroupMount::all();
        if mounts.is_empty() {
            return Err(Diagnostic::new("no cgroup hierarchy is mounted here")
                .hint("`mount -t cgroup2 none DIRECTORY` mounts that of cgroup v2"));
        }
        let mut found = match Self::of_relative(text, &mounts) {
            Some(found) => found,
            None => {
                check_components(text)?;
                let text = match text.trim_end_matches('/') {
                    "" => "/".to_owned(),
                    text if text.starts_with('/') => text.to_owned(),
                    text => format!("/{text}"),
                };
                Self::of_directory(&text, &mounts).unwrap_or(Self {
                    path: text,
                    hierarchies: Vec::new(),
                    only: None,
                })
            }
        };
        found.look(&mounts);
        if found.hierarchies.is_empty() && !wait {
            return Err(
                Diagnostic::new(format!("there is no cgroup `{}`", found.path)).hint(
                    "`/proc/PID/cgroup` has the paths of a process; `--wait` waits for a new cgroup",
                ),
            );
        }
        Ok(found)
    }

    /// A directory below the current one, if that is in a mounted hierarchy.
    fn of_relative(text: &str, mounts: &[CgroupMount]) -> Option<Self> {
        if text.starts_with('/') {
            return None;
        }
        let directory = fs::canonicalize(text).ok()?;
        Self::of_directory(directory.to_str()?, mounts)
    }

    fn of_directory(text: &str, mounts: &[CgroupMount]) -> Option<Self> {
        let length = |mount: &&CgroupMount| mount.mount_point.as_os_str().len();
        let below = |mount: &&CgroupMount| Path::new(text).starts_with(&mount.mount_point);
        let mount = mounts.iter().filter(below).max_by_key(length)?;
        Some(Self {
            path: mount.path_of(Path::new(text))?,
            hierarchies: Vec::new(),
            only: Some(hierarchy_of(mount)?),
        })
    }

    /// Adds the hierarchies that have the cgroup by now.
    pub(super) fn look(&mut self, mounts: &[CgroupMount]) -> bool {
        let before = self.hierarchies.len();
        let own = read_bounded(Path::new("/proc/self/cgroup")).unwrap_or_default();
        for hierarchy in memberships(&own).into_iter().map(|own| own.hierarchy) {
            let wanted = self.only.as_ref().is_none_or(|only| *only == hierarchy);
            if wanted
                && !self.hierarchies.contains(&hierarchy)
                && find_directory(mounts, &hierarchy, &self.path).is_some()
            {
                self.hierarchies.push(hierarchy);
            }
        }
        self.hierarchies.len() > before
    }

    /// Returns the selected cgroup that a process's cgroup is, or is below.
    pub(super) fn prefix_of<'p>(&self, membership: &'p CgroupMembership) -> Option<&'p str> {
        let below = strip_path(&membership.path, &self.path)?;
        let path = membership.path.get(..self.path.len());
        self.hierarchies.contains(&membership.hierarchy).then(|| {
            if below.is_empty() {
                Some(&*membership.path)
            } else {
                path
            }
        })?
    }

    /// Returns true if it may be a cgroup below this one.
    pub(super) fn is_below(&self, membership: &CgroupMembership) -> bool {
        strip_path(&self.path, &membership.path).is_some()
    }

    /// The directories of it.
    pub(super) fn directories(&self, mounts: &[CgroupMount]) -> Vec<CgroupDirectory> {
        let of = |hierarchy| find_directory(mounts, hierarchy, &self.path);
        self.hierarchies.iter().filter_map(of).collect()
    }
}

/// The hierarchy of a mount, by the name that processes give it.
fn hierarchy_of(mount: &CgroupMount) -> Option<CgroupHierarchy> {
    let own = read_bounded(Path::new("/proc/self/cgroup")).unwrap_or_default();
    let hierarchies = memberships(&own).into_iter().map(|own| own.hierarchy);
    hierarchies.into_iter().find(|one| mount.is_of(one))
}

/// Checks the text of a selector.
///
/// # Errors
/// It is no path of a cgroup.
pub(super) fn check_cgroup(text: &str) -> Result<(), Diagnostic> {
    check_length("cgroup", text)?;
    // A relative one may be a directory, which is looked at later.
    match text.starts_with('/') {
        true => check_components(text),
        false => Ok(()),
    }
}

/// Checks that a path has no component that leads elsewhere.
fn check_components(text: &str) -> Result<(), Diagnostic> {
    if text
        .split('/')
        .any(|component| matches!(component, "." | ".."))
    {
        let why = format!("the cgroup `{text}` has a component `.` or `..`");
        return Err(Diagnostic::new(why));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(line: &str) -> CgroupMount {
        CgroupMount::parse(line).unwrap()
    }

    #[test]
    fn memberships_are_read_of_both_versions() {
        let text = "12:cpu,cpuacct:/a\n1:name=systemd:/s:x\n0::/u (deleted)\nbad\n";
        let read = memberships(text);
        let legacy = |name: &str| CgroupHierarchy::Legacy(name.to_owned());
        let found: Vec<(&CgroupHierarchy, &str)> = read
            .iter()
            .map(|one| (&one.hierarchy, &*one.path))
            .collect();
        assert_eq!(
            found,
            [
                (&legacy("cpu,cpuacct"), "/a"),
                (&legacy("name=systemd"), "/s:x"),
                (&CgroupHierarchy::Unified, "/u"),
            ]
        );
    }

    #[test]
    fn mounts_show_the_directories_of_their_hierarchy_below_their_root() {
        let all = mount(
            "41 31 0:38 / /sys/fs/cgroup/my\\040dir rw shared:1 - cgroup2 none rw,nsdelegate",
        );
        assert_eq!(
            all.directory("/a/b"),
            Some("/sys/fs/cgroup/my dir/a/b".into())
        );
        assert_eq!(
            all.path_of(Path::new("/sys/fs/cgroup/my dir")),
            Some("/".into())
        );
        assert!(all.is_of(&CgroupHierarchy::Unified));
        let part =
            mount("41 31 0:38 /docker/x /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpuacct,cpu");
        assert_eq!(
            part.directory("/docker/x/y"),
            Some("/sys/fs/cgroup/cpu/y".into())
        );
        assert_eq!(part.directory("/docker/xy"), None);
        assert_eq!(
            part.path_of(Path::new("/sys/fs/cgroup/cpu/y")),
            Some("/docker/x/y".into())
        );
        assert!(part.is_of(&CgroupHierarchy::Legacy("cpu,cpuacct".into())));
        assert!(!part.is_of(&CgroupHierarchy::Unified));
        assert!(!part.is_of(&CgroupHierarchy::Legacy("memory".into())));
    }

    #[test]
    fn mounts_of_other_file_systems_and_broken_lines_are_left_out() {
        for line in [
            "",
            "1 2 0:3 / /",
            "1 2 0:3 / / rw - ext4 /dev/sda rw",
            "x - cgroup2",
        ] {
            assert_eq!(CgroupMount::parse(line), None, "{line}");
        }
        assert_eq!(unescaped("a\\04"), "a\\04");
        assert_eq!(unescaped("\\134\\999"), "\\\\999");
    }

    #[test]
    fn path_is_below_another_only_at_a_component() {
        assert_eq!(strip_path("/a/b", "/a"), Some("b"));
        assert_eq!(strip_path("/a", "/a"), Some(""));
        assert_eq!(strip_path("/ab", "/a"), None);
        assert_eq!(strip_path("/a", "/"), Some("a"));
        assert_eq!(strip_path("/", "/"), Some(""));
    }
}
