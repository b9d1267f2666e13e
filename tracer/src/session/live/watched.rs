//! Watched values: one site for each process, or one for each object that a hit has found.

use std::collections::BTreeMap;

use tracer_common::watch::WORDS;

use super::{ExecutableId, Live};
use crate::base::address::RunAddr;
use crate::base::diagnostic::Diagnostic;
use crate::kernel::{SiteRequest, Watch};
use crate::plan::watching::ProcessFacts;
use crate::session::locks::lock;
use crate::session::prepare::watched::{ObjectPlan, ReadyWatch};
use crate::session::prepare::{PreparedProbe, ReadySite};
use crate::session::sites::modules::TargetModule;
use crate::target::read_words;

/// Size in bytes of a word.
const WORD: u32 = 8;

/// The part of a watch in one executable.
#[derive(Default)]
pub(super) struct WatchedPart {
    /// The value, for processes that come later.
    value: Option<ReadySite>,
    /// The processes in which it is watched.
    processes: Vec<u32>,
    /// The plans of objects, by the sites that find them.
    objects: BTreeMap<u32, ObjectPlan>,
}

impl Live {
    /// Replaces a value by its place in each process. Notes tell what the user should know of them.
    ///
    /// # Errors
    /// The value has no address in any process.
    pub(super) fn in_processes(
        &self,
        executable: ExecutableId,
        probe: PreparedProbe,
    ) -> Result<(PreparedProbe, WatchedPart), Diagnostic> {
        let mut watched = WatchedPart::default();
        let is_value = |site: &ReadySite| matches!(site.watch, Some(ReadyWatch::Value { .. }));
        let Some(value) = probe.sites.iter().find(|site| is_value(site)).cloned() else {
            return Ok((probe, watched));
        };
        let PreparedProbe {
            module,
            mut notes,
            trace,
            ..
        } = probe;
        let mut sites = Vec::new();
        let mut first_error = None;
        for pid in self.processes_of(executable) {
            match self.value_in(pid, &module, &value) {
                Ok(site) => {
                    watched.processes.push(pid);
                    sites.push(site);
                }
                Err(error) => {
                    first_error.get_or_insert(error);
                }
            }
        }
        if sites.is_empty() {
            let error =
                first_error.unwrap_or_else(|| Diagnostic::new("no process has the value yet"));
            return Err(error);
        }
        notes.extend(first_error.map(|error| error.to_string()));
        if let (Some(ReadyWatch::Value { place, .. }), Some(ReadyWatch::At(watch))) = (
            &value.watch,
            sites.first().and_then(|site| site.watch.as_ref()),
        ) && place.is_behind_pointers()
        {
            notes.push(format!(
                "pointers lead to `{}`: the object at {} is watched, also when they lead elsewhere later",
                value.site.function, watch.address
            ));
        }
        watched.value = Some(value);
        let probe = PreparedProbe {
            module,
            sites,
            notes,
            trace,
        };
        Ok((probe, watched))
    }

    /// The processes that run an executable.
    fn processes_of(&self, executable: ExecutableId) -> Vec<u32> {
        let Some(executable) = self.executables.get(executable) else {
            return Vec::new();
        };
        let modules = executable.modules.now();
        let Some(main) = modules.all().first() else {
            return Vec::new();
        };
        let runs_it = |pid: &u32| {
            let modules = self.shared.modules_of(*pid).now();
            let its = modules.all().first();
            its.is_some_and(|its| its.file.is_file_of(&main.file))
        };
        let all = self.target_statuses().into_iter().map(|target| target.pid);
        all.filter(runs_it).collect()
    }

    /// The site of a value in one process.
    fn value_in(
        &self,
        pid: u32,
        module: &TargetModule,
        value: &ReadySite,
    ) -> Result<ReadySite, Diagnostic> {
        let Some(ReadyWatch::Value { place, on }) = &value.watch else {
            return Ok(value.clone());
        };
        let name = &value.site.function;
        let modules = self.shared.modules_of(pid).now();
        let mut all = modules.all().iter();
        let here = all.find(|here| here.file.is_file_of(&module.file));
        let bias = here.and_then(|here| here.bias()).ok_or_else(|| {
            Diagnostic::new(format!(
                "process {pid} has not loaded `{}`",
                module.file.name
            ))
        })?;
        if place.is_of_thread() {
            let error =
                Diagnostic::new(format!("`{name}` is thread-local: each thread has its own"));
            return Err(error.hint(format!(
                "watch that of the thread that comes to a place: `watch {name} at FUNCTION`"
            )));
        }
        let address = place
            .address(&ProcessFacts {
                site: bias.run(value.site.address).0,
                thread_pointer: None,
                read: &|address| read_words(pid, &[address]).into_iter().next().flatten(),
            })
            .map_err(|why| {
                Diagnostic::new(format!(
                    "`{name}` cannot be watched in process {pid}: {why}"
                ))
            })?;
        Ok(ReadySite {
            watch: Some(ReadyWatch::At(Watch {
                pid,
                thread: None,
                address: RunAddr(address),
                size: place.size,
                on: *on,
            })),
            bias,
            ..value.clone()
        })
    }

    /// Tells the kernel side the values that the first accesses replace.
    pub(super) fn tell_first_values(&self, requests: &[SiteRequest], cookies: &[u32]) {
        for (request, &cookie) in requests.iter().zip(cookies) {
            if let Some(watch) = request.trigger.watch()
                && let Some(words) = value_now(watch)
                && let Err(error) = lock(&self.machine).set_last_value(cookie, words)
            {
                tracing::debug!(%error, "the first value of a watch stays unknown");
            }
        }
    }
}

/// The bytes of a watched value, in words. `None` if they cannot be read.
fn value_now(watch: &Watch) -> Option<[u64; WORDS]> {
    let mut words = [0; WORDS];
    let ends = (0..watch.size).step_by(WORD as usize);
    for (word, begin) in words.iter_mut().zip(ends) {
        let length = (watch.size - begin).min(WORD);
        // A whole word that ends with the value: the bytes behind it may not be mapped.
        let before = WORD - length;
        let at = watch
            .address
            .0
            .wrapping_add(u64::from(begin))
            .wrapping_sub(u64::from(before));
        let read = read_words(watch.pid, &[at]).into_iter().next().flatten()?;
        *word = read >> (8 * before);
    }
    Some(words)
}
