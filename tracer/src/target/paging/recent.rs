//! Remembers recent requests, and bounds their number per page and per second.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::limits::{FIRST_WAIT_MS, LONGEST_WAIT_MS, PAGES_PER_SECOND, REMEMBERED_PAGES};

const SECOND: Duration = Duration::from_secs(1);

/// A page of a process, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ProcessPage {
    pub(super) process: u32,
    pub(super) page: u64,
}

/// The last request for a page.
struct LastRequest {
    at: Instant,
    /// Time until the next request.
    wait: Duration,
}

/// The recent requests.
pub(super) struct RecentPages {
    pages: HashMap<ProcessPage, LastRequest>,
    second: Instant,
    /// Pages requested in this second.
    count: u32,
}

impl RecentPages {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            pages: HashMap::new(),
            second: now,
            count: 0,
        }
    }

    /// Returns true if the page is to be requested now. If so, it is counted as requested.
    pub(super) fn admit(&mut self, page: ProcessPage, now: Instant) -> bool {
        if now.duration_since(self.second) >= SECOND {
            (self.second, self.count) = (now, 0);
        }
        if self.count >= PAGES_PER_SECOND || !self.is_due(page, now) {
            return false;
        }
        self.count += 1;
        true
    }

    fn is_due(&mut self, page: ProcessPage, now: Instant) -> bool {
        let first = Duration::from_millis(FIRST_WAIT_MS);
        if let Some(last) = self.pages.get_mut(&page) {
            let since = now.duration_since(last.at);
            if since < last.wait {
                return false;
            }
            // The page was fetched in the meantime, and evicted again.
            let came = since > last.wait * 8;
            let next = if came { first } else { last.wait * 2 };
            (last.at, last.wait) = (now, next.min(Duration::from_millis(LONGEST_WAIT_MS)));
            return true;
        }
        if self.pages.len() >= REMEMBERED_PAGES {
            self.pages
                .retain(|_, last| now.duration_since(last.at) < last.wait * 2);
        }
        if self.pages.len() >= REMEMBERED_PAGES {
            return false;
        }
        let last = LastRequest {
            at: now,
            wait: first,
        };
        self.pages.insert(page, last);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(page: u64) -> ProcessPage {
        ProcessPage { process: 1, page }
    }

    #[test]
    fn page_is_asked_for_ever_more_rarely() {
        let start = Instant::now();
        let mut recent = RecentPages::new(start);
        let at = |ms: u64| start + Duration::from_millis(ms);
        let asked: Vec<u64> = (0..100_000)
            .step_by(10)
            .filter(|&ms| recent.admit(page(7), at(ms)))
            .collect();
        assert_eq!(asked.get(..5), Some(&[0, 50, 150, 350, 750][..]));
        assert!(asked.len() < 15, "{asked:?}");
        // After a long time, the page counts as new.
        assert!(recent.admit(page(7), at(10_000_000)));
        assert!(recent.admit(page(7), at(10_000_050)));
    }

    #[test]
    fn pages_of_a_second_are_bounded() {
        let start = Instant::now();
        let mut recent = RecentPages::new(start);
        let count = |recent: &mut RecentPages, from: u64, now| {
            (from..from + 10_000)
                .filter(|&number| recent.admit(page(number), now))
                .count()
        };
        assert_eq!(count(&mut recent, 0, start), PAGES_PER_SECOND as usize);
        let later = start + SECOND;
        assert_eq!(count(&mut recent, 20_000, later), PAGES_PER_SECOND as usize);
        assert!(recent.pages.len() <= REMEMBERED_PAGES);
    }
}
