//! Why the kernel's side failed.

use std::io;
use std::path::PathBuf;

use super::features::capabilities::{missing_capabilities, perf_event_hint};
use crate::base::address::{FileOffset, RunAddr};

/// Meaning of a refused eBPF object.
const REFUSED_OBJECT: &str =
    "this build of `tracer` carries an eBPF object that the kernel refuses";

/// Why the kernel's side failed.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// A privilege is missing.
    #[error("the kernel does not let this user {what}")]
    NotPermitted {
        /// The attempted action.
        what: &'static str,
        /// The kernel's error.
        #[source]
        source: io::Error,
    },
    /// The kernel lacks something that is needed.
    #[error("this kernel cannot {what}")]
    Unsupported {
        /// The missing feature.
        what: &'static str,
        /// The kernel's error.
        #[source]
        source: io::Error,
    },
    /// The eBPF object, which is a part of this binary, could not be loaded.
    #[error("the eBPF programs could not be loaded: {reason}")]
    Load {
        /// Message of the loader or the verifier.
        reason: String,
    },
    /// A site was not taken.
    #[error("cannot attach at {offset} of {}", path.display())]
    Attach {
        /// The file.
        path: PathBuf,
        /// Offset in the file.
        offset: FileOffset,
        /// The kernel's error.
        #[source]
        source: io::Error,
    },
    /// A value could not be watched.
    #[error("cannot watch the memory at {address}")]
    Watch {
        /// The value.
        address: RunAddr,
        /// The kernel's error.
        #[source]
        source: io::Error,
    },
    /// A thread has too few watchpoints left.
    #[error("no watchpoint is free: the memory at {address} needs {needed} of each thread")]
    NoWatchpoint {
        /// The value.
        address: RunAddr,
        /// The number that it needs.
        needed: usize,
    },
    /// Another probe of the session watches the value.
    #[error("another probe watches the memory at {address}")]
    Watched {
        /// The value.
        address: RunAddr,
    },
    /// A limit of the maps; see docs/limits.md.
    #[error("no room for {what}: {wanted} more needed, {free} left")]
    Full {
        /// The kind of the missing space.
        what: &'static str,
        /// Number of additional elements needed.
        wanted: usize,
        /// Number of elements left.
        free: usize,
    },
    /// A limit of what a session can select; see docs/limits.md.
    #[error("no more than {most} {what} can be selected at once")]
    TooMany {
        /// The kind of selected things.
        what: &'static str,
        /// The limit.
        most: u32,
    },
    /// All probes have been taken out for good.
    #[error("the session has ended")]
    Ended,
    /// Another call to the kernel failed.
    #[error("cannot {what}")]
    Call {
        /// The attempted action.
        what: &'static str,
        /// The kernel's error.
        #[source]
        source: io::Error,
    },
}

impl KernelError {
    /// Sorts a failed call by the advice for it.
    pub(super) fn call(what: &'static str, source: io::Error) -> Self {
        match source.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => Self::NotPermitted { what, source },
            Some(libc::ENOSYS | libc::EOPNOTSUPP) => Self::Unsupported { what, source },
            _ => Self::Call { what, source },
        }
    }

    /// The eBPF object lacks this item. It is a part of this binary, so the build is wrong.
    pub(super) fn unexpected(name: &str) -> Self {
        Self::Load {
            reason: format!("the object has no `{name}` of the right kind"),
        }
    }

    /// An error of aya's loader, sorted by the system call's error in it.
    pub(super) fn of_loader(error: &(dyn std::error::Error + 'static)) -> Self {
        let mut cause = Some(error);
        while let Some(current) = cause {
            if let Some(answer) = current.downcast_ref::<io::Error>()
                && let Some(code) = answer.raw_os_error()
            {
                return Self::call("load eBPF programs", io::Error::from_raw_os_error(code));
            }
            cause = current.source();
        }
        Self::Load {
            reason: error.to_string(),
        }
    }

    /// A privilege or a kernel feature is missing, so no other input would help.
    #[must_use]
    pub fn is_missing_privilege_or_feature(&self) -> bool {
        !matches!(
            self,
            Self::Attach { .. }
                | Self::Watch { .. }
                | Self::NoWatchpoint { .. }
                | Self::Watched { .. }
                | Self::Full { .. }
                | Self::TooMany { .. }
        )
    }

    /// The kernel does not let this user attach.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        match self {
            Self::Attach { source, .. } => is_refused(source),
            _ => false,
        }
    }

    /// The kernel does not step the instruction at the site.
    #[must_use]
    pub fn is_instruction_refused(&self) -> bool {
        /// An error code internal to the kernel, not meant for programs.
        const ENOTSUPP: i32 = 524;
        match self {
            Self::Attach { source, .. } => {
                matches!(source.raw_os_error(), Some(ENOTSUPP | libc::ENOEXEC))
            }
            _ => false,
        }
    }

    /// The kernel accepts neither the place nor the counter of a probe. It has one counter for all
    /// probes of an instruction.
    #[must_use]
    pub fn is_place_refused(&self) -> bool {
        match self {
            Self::Attach { source, .. } => source.raw_os_error() == Some(libc::EINVAL),
            _ => false,
        }
    }

    /// Advice for the user.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotPermitted { .. } => Some(match missing_capabilities().as_slice() {
                [] => "`tracer doctor` says what this kernel allows".into(),
                missing => format!("run it with sudo; it lacks {}", missing.join(", ")),
            }),
            Self::Load { .. } => Some(format!(
                "{REFUSED_OBJECT}; `tracer doctor` says whether the kernel lacks something"
            )),
            Self::Unsupported { .. } | Self::Call { .. } => Some(
                "`tracer doctor` says what this kernel lacks; Linux 6.1 with BTF is needed".into(),
            ),
            Self::Full { .. } => Some("remove a probe, or name fewer lines".into()),
            Self::TooMany { what: "names", .. } => {
                Some("a pattern stands for several names, as in `--name 'worker-*'`".into())
            }
            Self::TooMany { what: "processes", .. } => {
                Some("narrow the selection by another option, such as `--user` or `--name`".into())
            }
            Self::TooMany { what, .. } => Some(format!("select fewer {what}")),
            Self::Attach { source, .. } | Self::Watch { source, .. } if is_refused(source) => {
                perf_event_hint()
            }
            Self::Watch { source, .. } => match source.raw_os_error() {
                Some(libc::EINVAL | libc::EOPNOTSUPP | libc::ENODEV | libc::ENOENT) => {
                    Some("this processor or virtual machine may have no watchpoints".into())
                }
                _ => None,
            },
            Self::NoWatchpoint { .. } => Some(
                "the processor has four watchpoints of at most 8 bytes for each thread; other `watch` probes, a \
                 debugger or `perf` hold some of them"
                    .into(),
            ),
            Self::Watched { .. } => {
                Some("remove that probe first, or join both conditions by `||` in one".into())
            }
            Self::Attach { .. } | Self::Ended => None,
        }
    }

    /// Advice for `tracer doctor`, which does not send the user to `tracer doctor`.
    pub(super) fn hint_in_doctor(&self) -> Option<String> {
        match self {
            Self::NotPermitted { .. } if missing_capabilities().is_empty() => Some(
                "no capability is missing: a container's seccomp filter or a security module refuses `bpf`".into(),
            ),
            Self::Load { .. } => Some(format!(
                "{REFUSED_OBJECT}; if nothing else is missing here, take another build of `tracer`"
            )),
            Self::Unsupported { .. } | Self::Call { .. } => {
                Some("Linux 6.1 or newer with BTF is needed".into())
            }
            Self::NotPermitted { .. }
            | Self::Full { .. }
            | Self::TooMany { .. }
            | Self::Attach { .. }
            | Self::Watch { .. }
            | Self::NoWatchpoint { .. }
            | Self::Watched { .. }
            | Self::Ended => self.hint(),
        }
    }
}

/// Returns true if the kernel's answer, at the end of the chain, is a missing privilege.
fn is_refused(error: &io::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = cause {
        let answer = current.downcast_ref::<io::Error>();
        // An answer of the kernel's has a number; one that wraps another error has none.
        if let Some(code) = answer.and_then(io::Error::raw_os_error) {
            return matches!(code, libc::EPERM | libc::EACCES);
        }
        cause = match answer.and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => current.source(),
        };
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_selections_name_the_limit_and_a_way_out() {
        for (what, way_out) in [
            ("processes", "narrow the selection"),
            ("names", "a pattern"),
            ("files", "select fewer files"),
        ] {
            let error = KernelError::TooMany { what, most: 2048 };
            let told = format!("no more than 2048 {what} can be selected at once");
            assert_eq!(error.to_string(), told);
            let hint = error.hint().expect("a hint");
            assert!(hint.starts_with(way_out), "{hint}");
        }
    }

    #[test]
    fn refused_programs_are_the_fault_of_the_build() {
        let error = KernelError::Load {
            reason: "R11 is invalid".into(),
        };
        for hint in [error.hint(), error.hint_in_doctor()] {
            assert!(hint.is_some_and(|hint| hint.starts_with(REFUSED_OBJECT)));
        }
    }

    #[test]
    fn hints_of_doctor_do_not_refer_to_doctor() {
        let source = || io::Error::from_raw_os_error(libc::EPERM);
        let (what, reason) = ("load eBPF programs", "R11 is invalid".into());
        let errors = [
            KernelError::Load { reason },
            KernelError::Unsupported {
                what,
                source: source(),
            },
            KernelError::Call {
                what,
                source: source(),
            },
            KernelError::NotPermitted {
                what,
                source: source(),
            },
        ];
        for error in errors {
            let hint = error.hint_in_doctor();
            assert!(hint.is_some_and(|hint| !hint.contains("doctor")), "{error}");
        }
    }

    #[test]
    fn refusal_is_found_below_the_errors_that_wrap_it() {
        let kernel = |code| io::Error::from_raw_os_error(code);
        assert!(is_refused(&kernel(libc::EACCES)));
        let wrapped = io::Error::other(KernelError::call("attach", kernel(libc::EPERM)));
        assert!(is_refused(&wrapped));
        assert!(!is_refused(&kernel(libc::EINVAL)));
        assert!(!is_refused(&io::Error::other("words")));
    }
}
