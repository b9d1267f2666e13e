//! The maps of the machine: ops, sites, and the settings and counters of probes.

use std::io;
use std::os::fd::AsFd as _;

use aya::maps::MapData;
use tracer_common::account::{AccountKey, ProcessAccount};
use tracer_common::aggregate::{BytesKey, NumberKey};
use tracer_common::control::{ProbeControl, ProbeCounters, ProbeState, SiteControl};
use tracer_common::limits::{
    MAX_ACCOUNTS, MAX_BEGUN, MAX_BEGUN_KEPT, MAX_KNOWN, MAX_NUMBERS, MAX_TURNS, MAX_VALUES,
};
use tracer_common::op::EncodedOp;
use tracer_common::timing::{BegunKey, TimeCounters, TimeState};

use super::bpf;
use super::error::KernelError;
use super::load::object::Image;
use super::open_calls::OpenCalls;
use super::traces::TraceMaps;
use super::watches::WatchMaps;

/// Hits that were added up by key, of all probes.
#[derive(Debug, Default)]
pub struct Tallies {
    /// Keys that are numbers.
    pub numbers: Vec<(NumberKey, u64)>,
    /// Keys that are the bytes of a value.
    pub values: Vec<(BytesKey, u64)>,
}

/// The maps that userspace reads and writes.
pub(super) struct Maps {
    ops: MapData,
    sites: MapData,
    control: MapData,
    state: MapData,
    numbers: MapData,
    values: MapData,
    begun: MapData,
    begun_kept: MapData,
    underway: MapData,
    known_threads: MapData,
    time_state: MapData,
    times: MapData,
    counters: MapData,
    accounts: MapData,
    traces: TraceMaps,
    watches: WatchMaps,
    /// CPUs that the kernel keeps counters for.
    cpus: usize,
}

impl Maps {
    /// Takes the maps out of the object.
    ///
    /// # Errors
    /// The object lacks one.
    pub(super) fn take(object: &mut Image, cpus: usize) -> Result<Self, KernelError> {
        Ok(Self {
            ops: object.take("OPS")?,
            sites: object.take("SITES")?,
            control: object.take("PROBE_CONTROL")?,
            state: object.take("PROBE_STATE")?,
            numbers: object.take("NUMBERS")?,
            values: object.take("VALUES")?,
            begun: object.take("BEGUN")?,
            begun_kept: object.take("BEGUN_KEPT")?,
            underway: object.take("UNDERWAY")?,
            known_threads: object.take("KNOWN_THREADS")?,
            time_state: object.take("TIME_STATE")?,
            times: object.take("TIMES")?,
            counters: object.take("PROBE_COUNTERS")?,
            accounts: object.take("ACCOUNTS")?,
            traces: TraceMaps::take(object)?,
            watches: WatchMaps::take(object)?,
            cpus,
        })
    }

    /// Writes ops, from an index on.
    pub(super) fn write_ops(&self, first: u32, ops: &[EncodedOp]) -> Result<(), KernelError> {
        bpf::update_array(self.ops.fd().as_fd(), first, ops)
            .map_err(|source| KernelError::call("write ops to the kernel", source))
    }

    /// Writes a site.
    pub(super) fn write_site(&self, cookie: u32, site: SiteControl) -> Result<(), KernelError> {
        bpf::update_array(self.sites.fd().as_fd(), cookie, &[site])
            .map_err(|source| KernelError::call("write a site to the kernel", source))
    }

    /// Sets state and counters of a probe to zero.
    pub(super) fn reset_probe(&self, slot: u32) -> Result<(), KernelError> {
        self.set_state(slot, ProbeState::default())?;
        let mut zeroes = vec![ProbeCounters::default(); self.cpus];
        bpf::write_cpus(self.counters.fd().as_fd(), slot, &mut zeroes).map_err(write_probe)
    }

    /// Sets the state of a probe that has no sites yet.
    pub(super) fn set_state(&self, slot: u32, state: ProbeState) -> Result<(), KernelError> {
        bpf::update_array(self.state.fd().as_fd(), slot, &[state]).map_err(write_probe)
    }

    /// Sets the counters of a timed probe to zero.
    pub(super) fn reset_times(&self, slot: u32) -> Result<(), KernelError> {
        let mut zeroes = vec![TimeCounters::default(); self.cpus];
        bpf::write_cpus(self.times.fd().as_fd(), slot, &mut zeroes).map_err(write_probe)
    }

    /// Sets the generation of a timed probe, whose open beginnings are invalid then.
    pub(super) fn set_generation(&self, slot: u32, generation: u64) -> Result<(), KernelError> {
        let state = TimeState {
            generation,
            blind: 0,
        };
        bpf::update_array(self.time_state.fd().as_fd(), slot, &[state]).map_err(write_probe)
    }

    /// The maps of watched values.
    pub(super) const fn watches(&self) -> &WatchMaps {
        &self.watches
    }

    /// The maps of traces.
    pub(super) const fn traces(&self) -> &TraceMaps {
        &self.traces
    }

    /// Changes a probe's limits.
    pub(super) fn set_control(&self, slot: u32, control: ProbeControl) -> Result<(), KernelError> {
        bpf::update_array(self.control.fd().as_fd(), slot, &[control]).map_err(write_probe)
    }

    /// A probe's counters, summed over all CPUs.
    pub(super) fn counters(&self, slot: u32) -> Result<ProbeCounters, KernelError> {
        let failed = |source| KernelError::call("read counters", source);
        let values = bpf::read_cpus::<ProbeCounters>(self.counters.fd().as_fd(), slot, self.cpus);
        // The outcomes are read first, so a hit in progress can only be one hit too many.
        let state = bpf::read_array::<ProbeState>(self.state.fd().as_fd(), slot);
        let (values, state) = (values.map_err(failed)?, state.map_err(failed)?);
        let mut sum = values
            .iter()
            .fold(ProbeCounters::default(), |sum, value| add(&sum, value));
        sum.hits += state.sequence;
        sum.limited += state.limited;
        sum.lost += state.lost;
        Ok(sum)
    }

    /// A probe's state.
    pub(super) fn state(&self, slot: u32) -> Result<ProbeState, KernelError> {
        bpf::read_array::<ProbeState>(self.state.fd().as_fd(), slot)
            .map_err(|source| KernelError::call("read a probe's state", source))
    }

    /// Counters of a timed probe besides its hits, summed over all CPUs.
    pub(super) fn times(&self, slot: u32) -> Result<TimeCounters, KernelError> {
        let values = bpf::read_cpus::<TimeCounters>(self.times.fd().as_fd(), slot, self.cpus)
            .map_err(|source| KernelError::call("read counters", source))?;
        Ok(values
            .iter()
            .fold(TimeCounters::default(), |sum, value| add_times(&sum, value)))
    }

    /// A reader of open calls.
    pub(super) fn open_calls(&self) -> io::Result<OpenCalls> {
        let own = |map: &MapData| map.fd().as_fd().try_clone_to_owned();
        Ok(OpenCalls {
            begun: own(&self.begun)?,
            begun_kept: own(&self.begun_kept)?,
            time_state: own(&self.time_state)?,
            state: own(&self.state)?,
            times: own(&self.times)?,
            cpus: self.cpus,
        })
    }

    /// Hits that were added up by key so far.
    pub(super) fn tallies(&self) -> Result<Tallies, KernelError> {
        let failed = |source| KernelError::call("read the counted keys", source);
        Ok(Tallies {
            numbers: bpf::entries(self.numbers.fd().as_fd(), MAX_NUMBERS).map_err(failed)?,
            values: bpf::entries(self.values.fd().as_fd(), MAX_VALUES).map_err(failed)?,
        })
    }

    /// Removes the entries of sites that are gone.
    ///
    /// # Errors
    /// The kernel refused. Then the sites' numbers must not be used again, because their next probe
    /// would show keys of this one.
    pub(super) fn forget_tallies(&self, cookies: &[u32]) -> Result<(), KernelError> {
        let Tallies { numbers, values } = self.tallies()?;
        let mine = |site: u32| cookies.contains(&site);
        let numbers: Vec<NumberKey> = keys(numbers, |key| mine(key.site));
        let values: Vec<BytesKey> = keys(values, |key| mine(key.site));
        bpf::remove(self.numbers.fd().as_fd(), &numbers)
            .and_then(|()| bpf::remove(self.values.fd().as_fd(), &values))
            .map_err(|source| KernelError::call("remove the counted keys", source))
    }

    /// All accounts of processes.
    pub(super) fn accounts(&self) -> Result<Vec<(AccountKey, ProcessAccount)>, KernelError> {
        bpf::entries(self.accounts.fd().as_fd(), MAX_ACCOUNTS).map_err(read_account)
    }

    /// One account of a process. `None` if there is none.
    pub(super) fn account(&self, key: AccountKey) -> Result<Option<ProcessAccount>, KernelError> {
        bpf::find(self.accounts.fd().as_fd(), &key).map_err(read_account)
    }

    /// Writes one account of a process.
    pub(super) fn write_account(
        &self,
        key: AccountKey,
        account: ProcessAccount,
    ) -> Result<(), KernelError> {
        bpf::insert(self.accounts.fd().as_fd(), &key, &account, bpf::Insert::Any)
            .map_err(|source| KernelError::call("write an account of a process", source))
    }

    /// Removes accounts of processes.
    pub(super) fn close_accounts(&self, keys: &[AccountKey]) -> Result<(), KernelError> {
        bpf::remove(self.accounts.fd().as_fd(), keys)
            .map_err(|source| KernelError::call("close the accounts of processes", source))
    }

    /// Removes open beginnings.
    pub(super) fn forget_begun(&self, which: impl Fn(&BegunKey) -> bool) -> io::Result<()> {
        for (map, most) in [
            (&self.begun, MAX_BEGUN),
            (&self.begun_kept, MAX_BEGUN_KEPT),
            (&self.underway, MAX_TURNS),
            (&self.known_threads, MAX_KNOWN),
        ] {
            let mut keys: Vec<BegunKey> = bpf::keys(map.fd().as_fd(), most)?;
            keys.retain(|key| which(key));
            bpf::remove(map.fd().as_fd(), &keys)?;
        }
        Ok(())
    }
}

fn write_probe(source: io::Error) -> KernelError {
    KernelError::call("write a probe to the kernel", source)
}

fn read_account(source: io::Error) -> KernelError {
    KernelError::call("read the accounts of processes", source)
}

/// The keys that `wanted` selects.
fn keys<K>(entries: Vec<(K, u64)>, wanted: impl Fn(&K) -> bool) -> Vec<K> {
    let keys = entries.into_iter().map(|(key, _)| key);
    keys.filter(wanted).collect()
}

fn add_times(a: &TimeCounters, b: &TimeCounters) -> TimeCounters {
    TimeCounters {
        begun: a.begun + b.begun,
        ended: a.ended + b.ended,
        unfinished: a.unfinished + b.unfinished,
        uncertain: a.uncertain + b.uncertain,
        unpaired: a.unpaired + b.unpaired,
        off: a.off + b.off,
        rejected: a.rejected + b.rejected,
        faults: a.faults + b.faults,
        lost: a.lost + b.lost,
        full: a.full + b.full,
        left: a.left + b.left,
        sum_ns: a.sum_ns.saturating_add(b.sum_ns),
        longest_ns: a.longest_ns.max(b.longest_ns),
        shortest_ns_inverse: a.shortest_ns_inverse.max(b.shortest_ns_inverse),
    }
}

fn add(a: &ProbeCounters, b: &ProbeCounters) -> ProbeCounters {
    ProbeCounters {
        hits: a.hits + b.hits,
        events: a.events + b.events,
        lost: a.lost + b.lost,
        limited: a.limited + b.limited,
        rejected: a.rejected + b.rejected,
        faults: a.faults + b.faults,
        silenced: a.silenced + b.silenced,
        expired: a.expired + b.expired,
        over_budget: a.over_budget + b.over_budget,
        read_faults: a.read_faults + b.read_faults,
        cut: a.cut + b.cut,
        other: a.other + b.other,
        bpf_ns: a.bpf_ns + b.bpf_ns,
        timed: a.timed + b.timed,
        passed: a.passed + b.passed,
        unaccounted: a.unaccounted + b.unaccounted,
    }
}
