//! Refuses USDT probes that need a write into the target, unless the user allows it.

use super::Setting;
use crate::base::diagnostic::Diagnostic;
use crate::debuginfo::site::Site;
use crate::lang::ast::ProbeSpec;
use crate::session::Forks;
use crate::session::sites::modules::TargetModule;

/// Checks the sites of a probe. Returns a note if other processes than the targets are written to.
///
/// # Errors
/// A site has a semaphore, and the session does not raise semaphores.
pub(super) fn check<'s>(
    spec: &ProbeSpec,
    module: &TargetModule,
    sites: impl IntoIterator<Item = &'s Site>,
    setting: Setting<'_>,
) -> Result<Option<String>, Diagnostic> {
    let mut probes = sites.into_iter().filter_map(|site| site.usdt.as_ref());
    let Some(probe) = probes.find(|probe| probe.semaphore.is_some()) else {
        return Ok(None);
    };
    let name = probe.location();
    if !setting.options.usdt_semaphores {
        let error = Diagnostic::at(
            &spec.location.span,
            format!(
                "`{name}` has a semaphore: it is off until a tracer writes to the target's memory"
            ),
        );
        return Err(error.hint(
            "`--usdt-semaphores` allows this write: the kernel raises the semaphore while the probe is attached",
        ));
    }
    let in_all = setting.numbers.is_some() || setting.options.forks == Forks::Exact;
    Ok(in_all.then(|| {
        format!(
            "the semaphore of `{name}` is raised in every process that runs `{}`, not only in the targets",
            module.file.name
        )
    }))
}
