//! All chance in pellmell, and the only file that knows where it comes from.
//!
//! A seed becomes two things. ChaCha8 turns it into independent [`Prng`] streams: the run's key,
//! its settings and its workload. The [`RunKey`] then answers every single decision of the run as
//! a function of (key, purpose, identity), so a new message or listener shifts no other decision.
//!
//! Sampling is our own integer code: `rand`'s samplers change their results between releases and a
//! stored seed must not. (`rand_chacha` is maintained on a low flame; the same stream exists as
//! `chacha20`, so a swap would change no seed.)

use std::fmt;
use std::str::FromStr;

use rand::rand_core::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::hash;

/// Independent streams of one seed, so that a draw in one never shifts another.
#[derive(Clone, Copy, Debug)]
pub enum Stream {
    /// The key of every decision taken during the run.
    Run = 1,
    /// Which fault kinds this seed uses, and how often.
    Swarm = 2,
    /// The commands of a generated workload.
    Workload = 3,
    /// How often chains of actions fall behind.
    Change = 4,
    /// Whether the clients send in turn.
    Clients = 5,
}

/// A pseudo-random number generator on one stream of a seed.
#[derive(Clone, Debug)]
pub struct Prng(ChaCha8Rng);

impl Prng {
    /// Starts `stream` of `seed`.
    #[must_use]
    pub fn new(seed: u64, stream: Stream) -> Prng {
        // Not `seed_from_u64`: how that spreads a word is not part of its contract.
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let mut rng = ChaCha8Rng::from_seed(bytes);
        rng.set_stream(stream as u64);
        Prng(rng)
    }

    /// Draws a word.
    pub fn word(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Draws a number below `bound`, every one equally likely up to 2^-32.
    ///
    /// # Panics
    /// If `bound` is zero.
    pub fn below(&mut self, bound: u32) -> u32 {
        below(self.word(), bound)
    }

    /// Draws whether something with probability `ratio` happens.
    pub fn chance(&mut self, ratio: Ratio) -> bool {
        ratio.holds(self.word())
    }
}

/// Reduces a random word to a number below `bound`.
#[inline]
pub(crate) fn below(word: u64, bound: u32) -> u32 {
    assert!(bound > 0, "nothing is below zero");
    // The high half times the bound, keeping the integer part: no division, bias at most 2^-32.
    (((word >> 32) * u64::from(bound)) >> 32) as u32
}

/// The key of one run: every decision is `key.draw(purpose, identity)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RunKey(u64);

impl RunKey {
    /// A key for a run in which nothing is drawn.
    pub(crate) const NONE: RunKey = RunKey(0);

    /// Derives the key from a seed.
    #[must_use]
    pub fn new(seed: u64) -> RunKey {
        RunKey(Prng::new(seed, Stream::Run).word())
    }

    /// The random word for `purpose` of the thing whose identity hashes to `identity`.
    #[must_use]
    #[inline]
    pub fn draw(self, purpose: Purpose, identity: u64) -> u64 {
        RunKey::draw_from(self.root(purpose), identity)
    }

    /// What all words for `purpose` have in common.
    pub(crate) const fn root(self, purpose: Purpose) -> u64 {
        hash::mix(self.0, purpose as u64)
    }

    /// [`RunKey::draw`] for the purpose whose root this is.
    #[inline]
    pub(crate) const fn draw_from(root: u64, identity: u64) -> u64 {
        hash::mix(root, identity)
    }
}

/// What a decision is about; the same identity draws independently for each purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// When an offered action happens.
    Order = 1,
    /// How slow a lane (a subject on its way to a group) is.
    Lane = 2,
    /// Whether an ack is lost.
    LoseAck = 3,
    /// Whether an ack is late.
    DelayAck = 4,
    /// Whether a message is delivered once more.
    Duplicate = 5,
    /// Whether a member crashes.
    Crash = 6,
    /// In which window it crashes.
    CrashWindow = 7,
    /// Whether a handler pauses between its reads and its saves.
    Pause = 8,
    /// Whether a message is lost on its way to a group.
    LoseMessage = 9,
    /// Which of several actions continues a chain.
    Chain = 10,
    /// Whether a chain falls behind, and how far.
    Change = 11,
    /// When an action happens after one that raced with it.
    Race = 12,
    /// How slow a service, the clients and the clock are.
    Speed = 13,
    /// Whether a member has fetched ahead.
    Fetch = 14,
    /// How many messages it has fetched.
    HowMany = 15,
    /// Whether something happens to a member.
    MemberChange = 16,
    /// What happens to it.
    WhichChange = 17,
    /// Whether something is published twice.
    Republish = 18,
    /// Whether what a handler publishes is out only some time after its saves.
    SlowPublish = 19,
    /// Whether a member crashes between two saves of a handler.
    CrashBetweenSaves = 20,
    /// Whether the broker fails.
    BrokerFailure = 21,
    /// How it fails.
    WhichFailure = 22,
    /// Whether the broker loses the last message of its log.
    Truncate = 23,
    /// Whether a handler that asks other services is told what was there before.
    StaleAnswer = 24,
    /// Whether a handler that asks other services is told nothing.
    NoAnswer = 25,
    /// Whether the broker forgets how often it had sent messages.
    ForgetCounts = 26,
    /// Whether dead letters are put back.
    Redrive = 27,
    /// Whether the log is compacted.
    Compact = 28,
    /// Whether the log is without what was kept for long enough.
    Expire = 29,
}

/// A probability as a fraction, written `1/20`.
///
/// ```
/// use pellmell::Ratio;
/// let ratio: Ratio = "1/20".parse().unwrap();
/// assert_eq!(ratio, Ratio::new(1, 20));
/// assert!("11/10".parse::<Ratio>().is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ratio {
    numerator: u32,
    denominator: u32,
}

impl Ratio {
    /// Never.
    pub const NEVER: Ratio = Ratio { numerator: 0, denominator: 1 };
    /// Always.
    pub const ALWAYS: Ratio = Ratio { numerator: 1, denominator: 1 };

    /// The probability `numerator/denominator`.
    ///
    /// # Panics
    /// If the denominator is zero or the ratio is above one.
    #[must_use]
    pub const fn new(numerator: u32, denominator: u32) -> Ratio {
        assert!(denominator > 0, "a ratio has a denominator");
        assert!(numerator <= denominator, "a probability is at most one");
        Ratio { numerator, denominator }
    }

    /// This part of a number, rounded down.
    pub(crate) fn of(self, number: u64) -> u64 {
        let part = u128::from(number) * u128::from(self.numerator) / u128::from(self.denominator);
        // A probability is at most one.
        part as u64
    }

    /// Whether it can never happen.
    #[must_use]
    pub const fn is_never(self) -> bool {
        self.numerator == 0
    }

    /// Decides by a random word.
    #[must_use]
    #[inline]
    pub const fn holds(self, word: u64) -> bool {
        let scaled = ((word as u128 * self.denominator as u128) >> 64) as u64;
        scaled < self.numerator as u64
    }

    /// The largest word by which [`Ratio::holds`]; `None` if there is none.
    pub(crate) fn last_word(self) -> Option<u64> {
        if self.is_never() {
            return None;
        }
        // `word * denominator < numerator * 2^64`, solved for the word.
        let words = (u128::from(self.numerator) << 64).div_ceil(self.denominator.into());
        words.checked_sub(1).map(|last| last as u64)
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.numerator, self.denominator)
    }
}

impl fmt::Debug for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Says why a text is not a ratio.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseRatioError(String);

impl fmt::Display for ParseRatioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ParseRatioError {}

impl FromStr for Ratio {
    type Err = ParseRatioError;

    fn from_str(text: &str) -> Result<Ratio, ParseRatioError> {
        let shown: String = text.chars().take(40).collect();
        let wrong = |why: &str| {
            Err(ParseRatioError(format!(
                "`{shown}` {why}: write a probability as `n/d` with n ≤ d, for example \"1/20\""
            )))
        };
        let Some((numerator, denominator)) = text.split_once('/') else {
            return wrong("is not a ratio");
        };
        let (Ok(numerator), Ok(denominator)) = (numerator.parse::<u32>(), denominator.parse::<u32>()) else {
            return wrong("is not a ratio of two whole numbers");
        };
        if denominator == 0 {
            return wrong("divides by zero");
        }
        if numerator > denominator {
            return wrong("is greater than 1");
        }
        Ok(Ratio { numerator, denominator })
    }
}

impl Serialize for Ratio {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Ratio {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Ratio, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_give_the_literal_values_stored_seeds_rely_on() {
        let words = |stream| {
            let mut prng = Prng::new(42, stream);
            [prng.word(), prng.word()]
        };
        assert_eq!(words(Stream::Run), [14330608400789313726, 3725791316648749897]);
        assert_eq!(words(Stream::Workload), [8425774088358092366, 12395516384560942270]);
        let mut prng = Prng::new(42, Stream::Workload);
        let below: Vec<u32> = (0..8).map(|_| prng.below(10)).collect();
        assert_eq!(below, [4, 6, 8, 9, 1, 4, 9, 6]);
        assert_eq!(RunKey::new(42).draw(Purpose::Order, 7), 7226487179037369405);
    }

    #[test]
    fn a_ratio_happens_about_as_often_as_it_says() {
        let mut prng = Prng::new(1, Stream::Swarm);
        let ratio = Ratio::new(1, 20);
        let hits = (0..100_000).filter(|_| prng.chance(ratio)).count();
        assert!((4_700..5_300).contains(&hits), "{hits} of 100000");
        assert!((0..1000).all(|_| !prng.chance(Ratio::NEVER)));
        assert!((0..1000).all(|_| prng.chance(Ratio::ALWAYS)));
    }

    #[test]
    fn a_ratio_holds_up_to_its_last_word_and_not_beyond() {
        for (numerator, denominator) in
            [(1, 1), (1, 2), (1, 3), (1, 10), (7, 20), (1, u32::MAX), (u32::MAX - 1, u32::MAX)]
        {
            let ratio = Ratio::new(numerator, denominator);
            let last = ratio.last_word().expect("it can happen");
            assert!(ratio.holds(0) && ratio.holds(last), "{ratio}");
            assert!(last.checked_add(1).is_none_or(|next| !ratio.holds(next)), "{ratio}");
        }
        assert_eq!(Ratio::NEVER.last_word(), None);
    }

    #[test]
    fn a_ratio_reads_back_and_impossible_ones_are_refused() {
        assert_eq!("3/7".parse::<Ratio>().expect("a ratio").to_string(), "3/7");
        for (text, why) in [
            ("11/10", "is greater than 1"),
            ("1/0", "divides by zero"),
            ("0.05", "is not a ratio"),
            ("-1/2", "whole numbers"),
            ("1/99999999999", "whole numbers"),
        ] {
            let error = text.parse::<Ratio>().expect_err(text).to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn numbers_below_a_bound_cover_it_evenly() {
        let mut prng = Prng::new(3, Stream::Workload);
        let mut counts = [0u32; 7];
        for _ in 0..70_000 {
            counts[prng.below(7) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (9_500..10_500).contains(count)), "{counts:?}");
    }
}
