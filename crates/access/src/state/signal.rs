//! How much is guessed at a tenant, or at the whole platform: counts of the last hour.

use hikyaku_types::Timestamp;

const SLOT_SECONDS: i64 = 600;
const SLOTS: usize = 6;

/// Guesses and good sign-ins, in slots of ten minutes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Signal {
    slots: [Slot; SLOTS],
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    number: i64,
    guesses: u32,
    goods: u32,
}

impl Signal {
    pub(crate) fn guess(&mut self, at: Timestamp) {
        if let Some(slot) = self.slot(at) {
            slot.guesses = slot.guesses.saturating_add(1);
        }
    }

    pub(crate) fn good(&mut self, at: Timestamp) {
        if let Some(slot) = self.slot(at) {
            slot.goods = slot.goods.saturating_add(1);
        }
    }

    /// Guesses and good sign-ins of the last 50 to 60 minutes.
    pub(crate) fn last_hour(&self, now: Timestamp) -> (u32, u32) {
        let first = now.as_secs().div_euclid(SLOT_SECONDS) - SLOTS as i64 + 1;
        let live = self.slots.iter().filter(|slot| slot.number >= first);
        live.fold((0, 0), |(guesses, goods), slot| {
            (slot.guesses.saturating_add(guesses), slot.goods.saturating_add(goods))
        })
    }

    /// The slot of `at`, emptied if it held an earlier hour; none if it holds a later one.
    fn slot(&mut self, at: Timestamp) -> Option<&mut Slot> {
        let number = at.as_secs().div_euclid(SLOT_SECONDS);
        let slot = &mut self.slots[number.rem_euclid(SLOTS as i64) as usize];
        if slot.number < number {
            *slot = Slot { number, ..Slot::default() };
        }
        (slot.number == number).then_some(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_fade_after_an_hour() {
        let mut signal = Signal::default();
        for minute in [0, 5, 30, 59] {
            signal.guess(Timestamp::from_secs(minute * 60));
        }
        signal.good(Timestamp::from_secs(59 * 60));
        let at = |minute: i64| signal.last_hour(Timestamp::from_secs(minute * 60));
        assert_eq!((at(59), at(61), at(100), at(200)), ((4, 1), (2, 1), (1, 1), (0, 0)));
    }

    #[test]
    fn a_late_report_does_not_wake_an_old_hour() {
        let mut signal = Signal::default();
        signal.guess(Timestamp::from_secs(7200));
        signal.guess(Timestamp::from_secs(3600));
        assert_eq!(signal.last_hour(Timestamp::from_secs(7200)), (1, 0));
    }
}
