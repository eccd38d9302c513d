//! Which ids were met: a bit for each.
//!
//! The upper half of an id names one run of a recorder and the lower half counts, so the ids of a capture lie close
//! together, and those of twenty million exchanges take a few megabytes.

use std::collections::{HashMap, VecDeque};

use crate::exchange::ExchangeId;

/// Ids that lie this close share a page.
const PAGE: u128 = 4096;
/// Pages that are remembered, 34 MB of them: 268 million ids in a row, or at worst 65,536 that lie far apart.
const MAX_PAGES: usize = 1 << 16;

type Page = [u64; PAGE as usize / 64];

/// A set of ids. When they take too much memory, the pages begun longest ago are forgotten.
#[derive(Default)]
pub(super) struct IdSet {
    pages: HashMap<u128, Box<Page>>,
    order: VecDeque<u128>,
}

// === impl IdSet ===

impl IdSet {
    /// Adds `id`; whether it is new.
    pub(super) fn insert(&mut self, id: ExchangeId) -> bool {
        let (number, within) = (id.0 / PAGE, (id.0 % PAGE) as usize);
        let page = self.pages.entry(number).or_insert_with(|| {
            self.order.push_back(number);
            Box::new([0; PAGE as usize / 64])
        });
        let (word, bit) = (&mut page[within / 64], 1 << (within % 64));
        let new = *word & bit == 0;
        *word |= bit;
        if self.order.len() > MAX_PAGES
            && let Some(oldest) = self.order.pop_front()
        {
            self.pages.remove(&oldest);
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(boot: u64, n: u64) -> ExchangeId {
        ExchangeId(u128::from(boot) << 64 | u128::from(n))
    }

    #[test]
    fn an_id_is_new_once_however_many_come_between() {
        let mut ids = IdSet::default();
        for n in 0..300_000 {
            assert!(ids.insert(id(1, n)) && ids.insert(id(u64::MAX, u64::MAX - n)), "{n}");
        }
        for n in (0..300_000).step_by(7) {
            assert!(!ids.insert(id(1, n)) && !ids.insert(id(u64::MAX, u64::MAX - n)), "{n}");
        }
        assert!(ids.insert(id(1, 300_000)) && ids.insert(id(2, 0)));
        assert!(ids.pages.len() < 150, "{}", ids.pages.len());
    }

    #[test]
    fn ids_that_lie_far_apart_take_bounded_memory() {
        let mut ids = IdSet::default();
        let far = |n: u64| id(n << 20, n << 40);
        for n in 0..2 * MAX_PAGES as u64 {
            assert!(ids.insert(far(n)));
        }
        assert_eq!((ids.pages.len(), ids.order.len()), (MAX_PAGES, MAX_PAGES));
        assert!(!ids.insert(far(2 * MAX_PAGES as u64 - 1)) && !ids.insert(far(MAX_PAGES as u64)));
        assert!(ids.insert(far(0)), "forgotten");
    }
}
