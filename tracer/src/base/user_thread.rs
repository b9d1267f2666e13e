//! A thread with the rights of the user who called `sudo`, for the files that this user asks for.
//!
//! On Linux each thread has its own user and privileges. The rest of the process has given up the privilege to
//! write into the directories of others, and its files would be root's.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::thread;

use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

type Job = Box<dyn FnOnce() + Send>;

/// A user as the kernel knows one, with the home directory.
#[derive(Clone, Debug)]
pub struct ThreadUser {
    /// Number of the user.
    pub uid: u32,
    /// Number of the user's main group.
    pub gid: u32,
    /// All groups.
    pub groups: Vec<u32>,
    /// The home directory.
    pub home: Option<PathBuf>,
}

/// The thread. It ends when this is dropped.
#[derive(Debug)]
pub struct UserThread {
    jobs: Sender<Job>,
    home: Option<PathBuf>,
}

impl UserThread {
    /// Starts the thread, which becomes the user at once and for good.
    ///
    /// # Errors
    /// The thread cannot be started, or it may not become the user.
    pub fn start(user: ThreadUser) -> io::Result<Self> {
        let (jobs, work) = channel::<Job>();
        let (sender, became) = channel();
        let home = user.home.clone();
        thread::Builder::new()
            .name("user-files".into())
            .spawn(move || {
                let result = become_user(&user);
                let is_user = result.is_ok();
                if sender.send(result).is_err() || !is_user {
                    return;
                }
                for job in work {
                    job();
                }
            })?;
        became.recv().map_err(io::Error::other)??;
        Ok(Self { jobs, home })
    }

    /// Does something with the rights of the user, and waits for it.
    ///
    /// # Errors
    /// The thread has panicked.
    pub fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        let (sender, done) = channel();
        let job = Box::new(move || {
            // The receiver waits.
            let _ = sender.send(job());
        });
        self.jobs.send(job).map_err(|_| gone())?;
        done.recv().map_err(|_| gone())
    }

    /// The user's home directory.
    #[must_use]
    pub fn home(&self) -> Option<&Path> {
        self.home.as_deref()
    }
}

fn gone() -> io::Error {
    io::Error::other("the thread for files has failed")
}

/// Gives the calling thread the user's rights. Leaving user 0 gives up all capabilities.
fn become_user(user: &ThreadUser) -> io::Result<()> {
    let groups: Vec<Gid> = user.groups.iter().copied().map(Gid::from_raw).collect();
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    set_thread_groups(&groups)?;
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    use super::*;

    #[test]
    fn thread_makes_files_of_the_user_and_can_write_nowhere_else() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let user = ThreadUser {
            uid: 65_534,
            gid: 65_534,
            groups: vec![65_534],
            home: None,
        };
        let thread = UserThread::start(user).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let write = |path: PathBuf| thread.run(move || std::fs::write(path, "x")).unwrap();
        let refused = write(path.clone()).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
        let open = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(directory.path(), open).unwrap();
        write(path.clone()).unwrap();
        assert_eq!(std::fs::metadata(path).unwrap().uid(), 65_534);
        // The other threads are who they were.
        assert!(rustix::process::geteuid().is_root());
    }
}
