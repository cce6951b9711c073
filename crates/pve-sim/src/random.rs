// SPDX-License-Identifier: GPL-3.0-only
//! Reproducible pseudo-random numbers for faults and generated worlds.
//!
//! The generator is `SplitMix64` (Steele, Lea, Flood: Fast splittable pseudorandom number
//! generators, 2014): short, and identical on all platforms and in all versions of this crate. It
//! must not be used for secrets or statistics.

/// A sequence of numbers that depends only on its seed.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// Starts the sequence of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Starts an independent sequence for one of several purposes with the same seed.
    pub(crate) fn for_purpose(seed: u64, purpose: u64) -> Self {
        let mixed = Self::new(seed).next() ^ purpose.wrapping_mul(0xA24B_AED4_963E_E407);
        Self(Self(mixed).next())
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 (included) to 1 (excluded).
    pub(crate) fn fraction(&mut self) -> f64 {
        // An f64 holds 53 bits exactly; the two halves convert without loss.
        let bits = self.next() >> 11;
        let high = u32::try_from(bits >> 32).expect("21 bits are left");
        let low = u32::try_from(bits & 0xFFFF_FFFF).expect("masked to 32 bits");
        (f64::from(high) * 4_294_967_296.0 + f64::from(low)) / 9_007_199_254_740_992.0
    }

    /// A number from 0 (included) to `end` (excluded). `end` must not be 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        // The bias of about `end` in 2^64 does not matter here.
        self.next() % end
    }

    /// Returns true with this probability.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.fraction() < probability
    }

    /// A random element; `choices` must not be empty.
    pub(crate) fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        let index = self.below(choices.len() as u64);
        &choices[usize::try_from(index).expect("an index of a slice fits")]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_matches_the_published_one() {
        let mut random = Random::new(1_234_567);
        let numbers = [random.next(), random.next(), random.next()];
        let published = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
        ];
        assert_eq!(numbers, published);
    }

    #[test]
    fn fractions_are_evenly_distributed() {
        let mut random = Random::for_purpose(7, 1);
        let fractions: Vec<f64> = (0..10_000).map(|_| random.fraction()).collect();
        assert!(
            fractions
                .iter()
                .all(|fraction| (0.0..1.0).contains(fraction))
        );
        let mean = fractions.iter().sum::<f64>() / 10_000.0;
        assert!((0.48..0.52).contains(&mean), "{mean}");
    }
}
