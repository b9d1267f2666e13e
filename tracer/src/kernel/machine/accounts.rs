//! Accounts of processes: what each has hit of each probe.

use tracer_common::account::{AccountKey, ProcessAccount};
use tracer_common::control::COUNTS_PROCESSES;

use super::Machine;
use crate::kernel::error::KernelError;

impl Machine {
    /// It keeps an account of the hits of each process.
    #[must_use]
    pub fn has_accounts(&self) -> bool {
        self.has_accounts
    }

    /// The flag of sites whose hits are counted for each process.
    pub(super) fn account_flag(&self) -> u32 {
        match self.has_accounts {
            true => COUNTS_PROCESSES,
            false => 0,
        }
    }

    /// The accounts of all processes with all probes. None if it keeps none.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn accounts(&self) -> Result<Vec<(AccountKey, ProcessAccount)>, KernelError> {
        match self.has_accounts {
            true => self.maps.accounts(),
            false => Ok(Vec::new()),
        }
    }

    /// The accounts of one process with the installed probes.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn accounts_of(
        &self,
        process: u32,
    ) -> Result<Vec<(AccountKey, ProcessAccount)>, KernelError> {
        let mut found = Vec::new();
        if !self.has_accounts {
            return Ok(found);
        }
        for installed in &self.installed {
            let key = AccountKey {
                probe: installed.reserved.slot,
                process,
            };
            found.extend(self.maps.account(key)?.map(|account| (key, account)));
        }
        Ok(found)
    }

    /// Closes accounts of processes that are gone.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn close_accounts(&mut self, keys: &[AccountKey]) -> Result<(), KernelError> {
        self.maps.close_accounts(keys)
    }

    /// Gives each process the whole limits of a detached probe again. Its hits stay.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn renew_accounts(&mut self, slot: u32) -> Result<(), KernelError> {
        // A hit in progress could count up what is read here.
        self.wait_closed();
        for (key, account) in self.accounts()? {
            if key.probe == slot {
                let renewed = ProcessAccount {
                    budget_used: 0,
                    arrival_ns: 0,
                    ..account
                };
                self.maps.write_account(key, renewed)?;
            }
        }
        Ok(())
    }

    /// Closes the accounts of all processes with a probe. Returns false if they stay: then the next
    /// probe with this index would have them.
    pub(super) fn close_accounts_of(&self, slot: u32) -> bool {
        let Ok(accounts) = self.accounts() else {
            return false;
        };
        let mut keys: Vec<AccountKey> = accounts.into_iter().map(|(key, _)| key).collect();
        keys.retain(|key| key.probe == slot);
        self.maps.close_accounts(&keys).is_ok()
    }
}
