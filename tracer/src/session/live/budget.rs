//! Limits on the CPU time that probes may cost, and the probes that exceed them.
//!
//! The cost of a probe is its hits times the trap cost of its kind of instruction, plus the time in
//! eBPF. Each probe has an account, and so has the session. An account is charged with the cost and
//! credited with its share of the elapsed time. A probe is over its budget when its account is in
//! debt by [`BURST_S`] seconds' worth of its share. So a short burst passes, and twice the share is
//! stopped after that many seconds.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::event::ProbeId;
use crate::session::SessionSpending;

/// Largest allowed debt of an account, in seconds' worth of its share.
const BURST_S: f64 = 2.0;
/// Prefix of a note on a probe that was stopped for its cost.
const SILENCED: &str = "silenced: ";
/// Time constant of the share that is shown, in seconds.
const SMOOTHING_S: f64 = 1.0;

/// Smoothed CPUs that count as none.
const SETTLED_SHARE: f64 = 1e-6;

/// The cost of one probe up to now.
#[derive(Clone, Copy, Debug)]
pub(in crate::session) struct Spent {
    pub(in crate::session) probe: ProbeId,
    /// Nanoseconds since it was installed, over all CPUs.
    pub(in crate::session) ns: u64,
    /// The share of one CPU that it may cost. `None` for as much as the session.
    pub(in crate::session) limit: Option<f64>,
}

/// A probe that costs too much.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::session) struct Over {
    pub(in crate::session) probe: ProbeId,
    /// Its cost in CPUs.
    pub(in crate::session) share: f64,
    /// Its limit in CPUs.
    pub(in crate::session) limit: f64,
    /// It is not over a limit of its own, but the dearest when all probes together are over theirs.
    pub(in crate::session) together: bool,
}

impl fmt::Display for Over {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (share, limit) = (percent(self.share), percent(self.limit));
        if self.together {
            write!(
                f,
                "{SILENCED}all probes together cost more than {limit}% of a CPU, and this one the most ({share}%); `--max-cpu` raises the limit"
            )
        } else {
            write!(
                f,
                "{SILENCED}its hits cost {share}% of a CPU, over its limit of {limit}%; `cpu N%` in the probe, or `--max-cpu`, raises it"
            )
        }
    }
}

/// A share of a CPU in percent, to two digits: `87`, `7.5`, `0.012`.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let leading = percent.log10().floor().clamp(-6.0, 1.0);
    let text = format!("{percent:.*}", (1.0 - leading) as usize);
    match text.split_once('.') {
        Some(_) => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        None => text,
    }
}

/// Returns true if the note says that a probe was stopped for its cost.
pub(in crate::session) fn is_note(note: &str) -> bool {
    note.starts_with(SILENCED)
}

/// The accounts of a session.
#[derive(Debug)]
pub(in crate::session) struct CpuBudget {
    /// The share of one CPU that all probes together may cost. `None` for no limit.
    limit: Option<f64>,
    /// The session's debt in CPU seconds.
    behind: f64,
    accounts: BTreeMap<ProbeId, CostAccount>,
    /// Nanoseconds that probes have cost until they were taken out.
    taken_out_ns: u64,
    /// The part of it that is not charged yet.
    uncharged_ns: u64,
    /// The debt in CPU seconds that is only paid by time: it outlives the probes that have made it.
    owed: f64,
    /// CPUs of all probes, smoothed.
    share: f64,
}

#[derive(Clone, Copy, Debug, Default)]
struct CostAccount {
    seen_ns: u64,
    /// Its debt in CPU seconds.
    behind: f64,
    /// CPUs, smoothed.
    share: f64,
}

impl CpuBudget {
    /// Budget of a session that may cost `limit` CPUs.
    pub(in crate::session) fn new(limit: Option<f64>) -> Self {
        Self {
            limit,
            behind: 0.0,
            accounts: BTreeMap::new(),
            taken_out_ns: 0,
            uncharged_ns: 0,
            owed: 0.0,
            share: 0.0,
        }
    }

    /// A probe is being taken out, after it has cost `ns` at its present place.
    pub(in crate::session) fn take_out(&mut self, probe: ProbeId, ns: u64) {
        let seen_ns = self.accounts.get(&probe).map_or(0, |one| one.seen_ns);
        self.taken_out_ns = self.taken_out_ns.saturating_add(ns);
        self.uncharged_ns += ns.saturating_sub(seen_ns);
        self.begin_anew(probe);
    }

    /// The cost of all probes, with those that were taken out. `spent` is that of the others until now.
    pub(in crate::session) fn spending(&self, spent: &[Spent]) -> SessionSpending {
        let fresh = |spent: &Spent| {
            let account = self.accounts.get(&spent.probe);
            spent
                .ns
                .saturating_sub(account.map_or(0, |one| one.seen_ns))
        };
        let fresh_ns = spent.iter().map(fresh).sum::<u64>() + self.uncharged_ns;
        let owed = self.owed + fresh_ns as f64 / 1e9;
        let wait = self
            .limit
            .map_or(0.0, |limit| (owed - limit * BURST_S) / limit);
        SessionSpending {
            total_ns: spent.iter().map(|one| one.ns).sum::<u64>() + self.taken_out_ns,
            cpus: self.share,
            // It has no end with a limit of 0.
            wait: Duration::try_from_secs_f64(wait.max(0.0)).unwrap_or(Duration::MAX),
        }
    }

    /// Returns true if no cost of earlier probes is left to be charged or paid.
    pub(in crate::session) fn is_settled(&self) -> bool {
        self.uncharged_ns == 0 && self.owed == 0.0 && self.share < SETTLED_SHARE
    }

    /// CPUs that a probe with a limit of its own, or without, may cost.
    pub(in crate::session) fn allowed(&self, own: Option<f64>) -> Option<f64> {
        match (own, self.limit) {
            (Some(own), Some(all)) => Some(own.min(all)),
            (own, all) => own.or(all),
        }
    }

    /// Recent cost of a probe in CPUs. `None` if it is new.
    pub(in crate::session) fn share(&self, probe: ProbeId) -> Option<f64> {
        self.accounts.get(&probe).map(|account| account.share)
    }

    /// Restarts the account of a probe that was placed again: its counters begin at zero.
    pub(in crate::session) fn begin_anew(&mut self, probe: ProbeId) {
        if let Some(account) = self.accounts.get_mut(&probe) {
            account.seen_ns = 0;
        }
    }

    /// Charges probes for their cost since the last time, `passed` ago. Returns those over their
    /// budget: the caller must stop them, and they have a new account.
    pub(in crate::session) fn charge(&mut self, passed: Duration, spent: &[Spent]) -> Vec<Over> {
        let passed = passed.as_secs_f64().max(1e-9);
        self.accounts
            .retain(|id, _| spent.iter().any(|spent| spent.probe == *id));
        let weight = 1.0 - (-passed / SMOOTHING_S).exp();
        let mut over = Vec::new();
        let mut all = std::mem::take(&mut self.uncharged_ns) as f64 / 1e9;
        for spent in spent {
            let account = self.accounts.entry(spent.probe).or_default();
            let cost = spent.ns.saturating_sub(account.seen_ns) as f64 / 1e9;
            account.seen_ns = spent.ns;
            account.share += (cost / passed - account.share) * weight;
            all += cost;
            if let Some(limit) = spent.limit.or(self.limit) {
                account.behind = (account.behind + cost - limit * passed).max(0.0);
                if account.behind > limit * BURST_S {
                    over.push(Over {
                        probe: spent.probe,
                        share: cost / passed,
                        limit,
                        together: false,
                    });
                }
            }
        }
        self.share += (all / passed - self.share) * weight;
        if let Some(limit) = self.limit {
            self.owed = (self.owed + all - limit * passed).max(0.0);
        }
        over.extend(self.together(passed, all, spent, &over));
        for Over { probe, .. } in &over {
            if let Some(account) = self.accounts.get_mut(probe) {
                account.behind = 0.0;
            }
        }
        over
    }

    /// The dearest probe, when all together are over and none is alone.
    fn together(&mut self, passed: f64, all: f64, spent: &[Spent], over: &[Over]) -> Option<Over> {
        let limit = self.limit?;
        self.behind = (self.behind + all - limit * passed).max(0.0);
        if self.behind <= limit * BURST_S {
            return None;
        }
        self.behind = 0.0;
        if !over.is_empty() {
            return None;
        }
        let share = |spent: &&Spent| self.share(spent.probe).unwrap_or(0.0);
        let dearest = spent.iter().max_by(|a, b| share(a).total_cmp(&share(b)))?;
        Some(Over {
            probe: dearest.probe,
            share: share(&dearest),
            limit,
            together: true,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(250);

    fn spent(probe: u32, ns: u64, limit: Option<f64>) -> Spent {
        Spent {
            probe: ProbeId(probe),
            ns,
            limit,
        }
    }

    /// Ticks until something is over, at a constant cost of each probe in CPUs.
    fn ticks_until_over(
        budget: &mut CpuBudget,
        costs: &[(u32, f64, Option<f64>)],
    ) -> (u32, Vec<Over>) {
        for tick in 1..400 {
            let spent: Vec<Spent> = costs
                .iter()
                .map(|&(probe, cpus, limit)| {
                    let ns = cpus * f64::from(tick) * TICK.as_nanos() as f64;
                    spent(probe, ns as u64, limit)
                })
                .collect();
            let over = budget.charge(TICK, &spent);
            if !over.is_empty() {
                return (tick, over);
            }
        }
        (400, Vec::new())
    }

    #[test]
    fn charge_within_the_limit_is_never_over() {
        let mut budget = CpuBudget::new(Some(0.25));
        assert_eq!(
            ticks_until_over(&mut budget, &[(1, 0.1, None), (2, 0.14, None)]).1,
            []
        );
        assert!((budget.share(ProbeId(1)).unwrap() - 0.1).abs() < 0.01);
    }

    #[test]
    fn charge_of_twice_the_limit_is_over_after_two_seconds() {
        let mut budget = CpuBudget::new(Some(0.25));
        let (tick, over) = ticks_until_over(&mut budget, &[(1, 0.5, None)]);
        assert_eq!(tick, 9);
        assert_eq!(over[0].probe, ProbeId(1));
        assert!(!over[0].together);
        assert!((over[0].share - 0.5).abs() < 0.01);
    }

    #[test]
    fn charge_of_a_burst_is_forgiven() {
        let mut budget = CpuBudget::new(Some(0.25));
        // A whole CPU for a quarter of a second.
        assert_eq!(budget.charge(TICK, &[spent(1, 250_000_000, None)]), []);
        for _ in 0..40 {
            assert_eq!(budget.charge(TICK, &[spent(1, 250_000_000, None)]), []);
        }
    }

    #[test]
    fn charge_over_its_own_limit_names_the_probe() {
        let mut budget = CpuBudget::new(Some(0.25));
        let costs = [(1, 0.1, Some(0.05)), (2, 0.01, None)];
        let (_, over) = ticks_until_over(&mut budget, &costs);
        assert_eq!((over[0].probe, over[0].limit), (ProbeId(1), 0.05));
    }

    #[test]
    fn charge_over_the_sessions_limit_names_the_dearest_probe() {
        let mut budget = CpuBudget::new(Some(0.25));
        let costs = [(1, 0.12, None), (2, 0.2, None), (3, 0.1, None)];
        let (_, over) = ticks_until_over(&mut budget, &costs);
        assert_eq!(over.len(), 1);
        assert_eq!((over[0].probe, over[0].together), (ProbeId(2), true));
    }

    #[test]
    fn over_says_what_it_costs_and_what_raises_the_limit() {
        let mut over = Over {
            probe: ProbeId(1),
            share: 0.874,
            limit: 0.07,
            together: false,
        };
        assert_eq!(
            over.to_string(),
            "silenced: its hits cost 87% of a CPU, over its limit of 7%; \
             `cpu N%` in the probe, or `--max-cpu`, raises it"
        );
        over.together = true;
        over.limit = 0.005;
        assert!(over.to_string().contains("more than 0.5% of a CPU"));
        let shares = [0.0, 1e-9, 0.000_001_2, 0.000_3, 0.0751, 0.25, 1.0, 12.345];
        let said = [
            "0",
            "0.0000001",
            "0.00012",
            "0.03",
            "7.5",
            "25",
            "100",
            "1234",
        ];
        assert_eq!(shares.map(percent), said.map(str::to_owned));
    }

    #[test]
    fn cost_of_probes_that_are_gone_is_owed_until_time_has_paid_it() {
        let mut budget = CpuBudget::new(Some(0.01));
        // New probes one after the other. None lives long enough to be over its own limit.
        for probe in 1..=20 {
            budget.charge(TICK / 2, &[spent(probe, 5_000_000, None)]);
            budget.take_out(ProbeId(probe), 10_000_000);
            budget.charge(TICK / 2, &[]);
        }
        let spending = budget.spending(&[]);
        assert_eq!(spending.total_ns, 200_000_000);
        assert!((spending.cpus - 0.04).abs() < 0.01, "{spending:?}");
        // 0.2 s of CPU in 5 s. 0.05 s of them were paid meanwhile, and 0.02 s may be owed.
        let wait = spending.wait.as_secs_f64();
        assert!((wait - 13.0).abs() < 0.1, "{spending:?}");
        for _ in 0..4 * 13 + 1 {
            budget.charge(TICK, &[]);
        }
        assert_eq!(budget.spending(&[]).wait, Duration::ZERO);
        assert!(!budget.is_settled());
        for _ in 0..4 * 3 {
            budget.charge(TICK, &[]);
        }
        assert!(budget.is_settled(), "{budget:?}");
    }

    #[test]
    fn probe_that_is_placed_again_pays_for_its_hits_once() {
        let mut budget = CpuBudget::new(Some(0.01));
        budget.charge(TICK, &[spent(1, 40_000_000, None)]);
        let owed = |budget: &CpuBudget, ns| budget.spending(&[spent(1, ns, None)]);
        assert_eq!(owed(&budget, 60_000_000).total_ns, 60_000_000);
        budget.take_out(ProbeId(1), 60_000_000);
        let again = owed(&budget, 10_000_000);
        assert_eq!(again.total_ns, 70_000_000);
        budget.charge(Duration::from_nanos(1), &[spent(1, 10_000_000, None)]);
        let charged = owed(&budget, 10_000_000);
        assert_eq!(charged.total_ns, 70_000_000);
        assert!(again.wait.abs_diff(charged.wait) < Duration::from_millis(1));
    }

    #[test]
    fn charge_without_a_limit_stops_nothing() {
        let mut budget = CpuBudget::new(None);
        assert_eq!(ticks_until_over(&mut budget, &[(1, 2.0, None)]).1, []);
    }
}
