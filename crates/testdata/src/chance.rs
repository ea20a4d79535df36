//! Numbers that look like chance and are the same for a seed on every machine: whole numbers only, no floats.

/// A generator of random numbers (SplitMix64).
#[derive(Debug, Clone)]
pub struct Chance {
    state: u64,
}

impl Chance {
    /// A generator whose numbers depend on the seed alone.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 if `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        // The high half of a product spreads evenly enough for test data.
        ((u128::from(self.bits()) * u128::from(end)) >> 64) as u64
    }

    /// A number from `low` up to but not including `end`.
    pub fn between(&mut self, low: u64, end: u64) -> u64 {
        low + self.below(end.saturating_sub(low))
    }

    /// True in `percent` of 100 cases.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of the items.
    ///
    /// # Panics
    /// If there are none.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u64) as usize]
    }

    /// One of the items, each as often as its weight says.
    ///
    /// # Panics
    /// If there are none.
    pub fn weighted<T: Copy>(&mut self, items: &[(T, u64)]) -> T {
        let mut left = self.below(items.iter().map(|(_, weight)| weight).sum());
        for (item, weight) in items {
            if left < *weight {
                return *item;
            }
            left -= weight;
        }
        items[0].0
    }

    /// A number around `median`, from `median / 2^octaves` to `median * 2^octaves`. Values near the median are the most
    /// frequent, and half of all values lie on either side of it.
    pub fn around(&mut self, median: u64, octaves: u64) -> u64 {
        // The mean of four: bell-shaped, between 0 and 2^16.
        let bell = (0..4).map(|_| self.below(1 << 16)).sum::<u64>() / 4;
        let (above, distance) =
            if bell >= 1 << 15 { (true, bell - (1 << 15)) } else { (false, (1 << 15) - bell) };
        // The distance in octaves, with 15 bits after the point. A part of an octave grows linearly.
        let octave = distance * octaves;
        let (whole, part) = (octave >> 15, octave & 0x7fff);
        let factor = ((1 << 15) + part) << whole;
        if above { (median * factor) >> 15 } else { (median << 15) / factor }
    }

    /// Hexadecimal digits.
    pub fn hex(&mut self, digits: usize) -> String {
        (0..digits).map(|_| char::from(b"0123456789abcdef"[self.below(16) as usize])).collect()
    }

    /// Letters and digits as the provider's ids have them.
    pub fn letters(&mut self, length: usize) -> String {
        const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
        (0..length).map(|_| char::from(ALPHABET[self.below(58) as usize])).collect()
    }

    /// A random UUID.
    pub fn uuid(&mut self) -> String {
        let (high, low) = (self.bits(), self.bits());
        format!(
            "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            low >> 52,
            low & 0xffff_ffff_ffff
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_values_lie_on_either_side_of_the_median() {
        let mut chance = Chance::new(1);
        let values: Vec<u64> = (0..10_000).map(|_| chance.around(1_000, 3)).collect();
        let above = values.iter().filter(|value| **value > 1_000).count();
        assert!((4_700..5_300).contains(&above), "{above}");
        assert!(values.iter().all(|value| (125..=8_000).contains(value)));
        assert!(values.iter().any(|value| *value < 300) && values.iter().any(|value| *value > 3_000));
    }

    #[test]
    fn weights_decide_how_often() {
        let mut chance = Chance::new(7);
        let rare = (0..10_000).filter(|_| chance.weighted(&[("often", 9), ("rare", 1)]) == "rare").count();
        assert!((850..1_150).contains(&rare), "{rare}");
    }
}
