//! Hashing that gives the same number on every machine, in every build.
//!
//! std's hashers are seeded from the operating system or promise nothing between releases; a
//! fingerprint must survive both. [`StableHasher`] feeds every integer as its 64-bit value, so
//! neither endianness nor the width of `usize` can show. It is not meant to resist an attacker.

use std::hash::{Hash, Hasher};

/// A number with no pattern in its bits (the fraction of the golden ratio).
const FIRST: u64 = 0x9e37_79b9_7f4a_7c15;
/// Another one (the fraction of the square root of 3).
const SECOND: u64 = 0xbb67_ae85_84ca_a73b;

/// Mixes two words into one: multiplies them to 128 bits and folds the halves.
#[must_use]
#[inline]
pub const fn mix(a: u64, b: u64) -> u64 {
    let product = ((a ^ FIRST) as u128) * ((b ^ SECOND) as u128);
    (product as u64) ^ ((product >> 64) as u64)
}

/// Mixes three words into one.
#[must_use]
#[inline]
pub const fn mix3(a: u64, b: u64, c: u64) -> u64 {
    mix(mix(a, b), c)
}

/// Hashes a name at compile time (FNV-1a, then mixed).
#[must_use]
pub const fn of_name(name: &str) -> u64 {
    let bytes = name.as_bytes();
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut i = 0;
    while i < bytes.len() {
        hash = (hash ^ bytes[i] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        i += 1;
    }
    mix(hash, bytes.len() as u64)
}

/// Hashes a value.
#[must_use]
#[inline]
pub fn of<T: Hash + ?Sized>(value: &T) -> u64 {
    let mut hasher = StableHasher::default();
    value.hash(&mut hasher);
    hasher.finish()
}

/// A [`Hasher`] whose result depends on the values alone.
#[derive(Clone, Debug)]
pub struct StableHasher(u64);

impl Default for StableHasher {
    fn default() -> StableHasher {
        StableHasher(SECOND)
    }
}

impl Hasher for StableHasher {
    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
        self.write_u64(bytes.len() as u64);
    }

    #[inline]
    fn write_u64(&mut self, word: u64) {
        self.0 = mix(self.0, word);
    }

    #[inline]
    fn write_u8(&mut self, word: u8) {
        self.write_u64(word.into());
    }

    #[inline]
    fn write_u16(&mut self, word: u16) {
        self.write_u64(word.into());
    }

    #[inline]
    fn write_u32(&mut self, word: u32) {
        self.write_u64(word.into());
    }

    fn write_u128(&mut self, word: u128) {
        self.write_u64(word as u64);
        self.write_u64((word >> 64) as u64);
    }

    #[inline]
    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    #[inline]
    fn write_isize(&mut self, word: isize) {
        self.write_u64(word as i64 as u64);
    }

    fn write_i8(&mut self, word: i8) {
        self.write_u64(i64::from(word) as u64);
    }

    fn write_i16(&mut self, word: i16) {
        self.write_u64(i64::from(word) as u64);
    }

    fn write_i32(&mut self, word: i32) {
        self.write_u64(i64::from(word) as u64);
    }

    fn write_i64(&mut self, word: i64) {
        self.write_u64(word as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_the_literal_values_stored_fingerprints_rely_on() {
        assert_eq!(of_name("ticket:created"), 0x4f55_b7fa_f4b0_1db4);
        assert_eq!(of(&(1u8, 2u32, "three")), 0xeda1_31f2_56c6_de1a);
        assert_eq!(mix(1, 2), 0x1505_9963_9573_6715);
    }

    #[test]
    fn small_numbers_in_a_row_do_not_collide() {
        let words: std::collections::BTreeSet<u64> = (0..1000).flat_map(|i| [mix(7, i), mix(i, 1 << 40)]).collect();
        assert_eq!(words.len(), 2000);
    }

    #[test]
    fn width_and_sign_of_an_integer_do_not_show() {
        assert_eq!(of(&7u8), of(&7usize));
        assert_eq!(of(&-1i8), of(&-1isize));
    }

    #[test]
    fn neighbouring_inputs_spread_over_all_bits() {
        let mut seen = 0u64;
        for i in 0..64u64 {
            seen |= mix(i, 1) ^ mix(i + 1, 1);
        }
        assert_eq!(seen, u64::MAX);
    }
}
