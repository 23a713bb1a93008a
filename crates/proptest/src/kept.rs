//! Schedules that failed once, as text: a block of a file for each, and how a block comes from the
//! file to the strategy that plays it.
//!
//! proptest keeps seeds, and gives a kept seed to the strategies before any new one. Here the bytes of
//! that seed are the schedule itself, in a generator that hands out its seed as it is. So nothing of
//! what a seed would draw has to stay as it was.

use serde::{Deserialize, Serialize};
use toml::Spanned;

use pellmell_core::file_error::FileError;
use pellmell_core::testing::lines;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{PersistedSeed, Reason, TestRunner};

/// What a file begins with.
pub(super) const HEADER: &str = "\
# Schedules with which a test failed, each played before any new one is drawn. One that holds by now
# shows that the fault does not come back: it stays.
version = 1
";
const BLOCK: &str = "[[kept]]\n";
const BLOCK_END: &str = "\n]\n";

/// The block of a schedule.
pub(super) fn block(lines: &[String], about: &str) -> String {
    // A JSON string is a TOML string and stays on its line, but TOML wants one more character escaped.
    let quoted = |text: &str| serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f");
    let lines: String = lines.iter().map(|line| format!("    {},\n", quoted(line))).collect();
    format!("{BLOCK}about = {}\nschedule = [\n{lines}]\n", quoted(about))
}

/// The blocks in what proptest prints of a test's arguments.
pub(super) fn blocks_in(printed: &str) -> Vec<&str> {
    let begins = printed.match_indices(BLOCK).map(|(begin, _)| &printed[begin..]);
    let blocks = begins.filter_map(|rest| rest.find(BLOCK_END).map(|end| &rest[..end + BLOCK_END.len()]));
    blocks.collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: Spanned<u32>,
    #[serde(default)]
    kept: Vec<Kept>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    #[serde(rename = "about")]
    _about: String,
    schedule: Spanned<Vec<Spanned<String>>>,
}

/// A kept schedule on its way to a strategy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Handed {
    /// Its file and line.
    pub(super) place: String,
    /// What it says.
    pub(super) lines: Vec<String>,
}

/// Reads the schedules of a file.
///
/// # Errors
/// The first mistake, with its place.
pub(super) fn read(file: &str, text: &str) -> Result<Vec<Handed>, FileError> {
    let help = "a schedule is `[[kept]]` with `about = \"…\"` and `schedule = [\"…\"]`; repair it or take it out";
    let read: File = toml::from_str(text)
        .map_err(|error| FileError::new(file, text, error.span().unwrap_or(0..0), error.message()).help(help))?;
    if *read.version.get_ref() != 1 {
        let wrong = format!("unknown format version {}", read.version.get_ref());
        return Err(
            FileError::new(file, text, read.version.span(), wrong).help("this version of pellmell reads `version = 1`")
        );
    }
    let mut handed = Vec::new();
    for kept in read.kept {
        let line = text[..kept.schedule.span().start].matches('\n').count() + 1;
        let mut told = Vec::new();
        for said in kept.schedule.into_inner() {
            if let Err(error) = lines::parse([said.get_ref().as_str()]) {
                return Err(FileError::new(file, text, said.span(), error));
            }
            told.push(said.into_inner());
        }
        handed.push(Handed { place: format!("{file}:{line}"), lines: told });
    }
    Ok(handed)
}

/// What stands before and behind what is handed over.
const MARK: &str = "pellmell: kept ";
const END: char = ';';
/// How much is handed over at least: other arguments of the test draw from the same bytes, and where
/// a strategy depends on another one's value, it gets one half of them.
const BYTES_MIN: usize = 1 << 14;
const COPIES_MIN: usize = 8;
/// So many words are drawn to tell text from chance: a byte of chance is ASCII every second time.
const WORDS: usize = 8;

/// What is handed over: a schedule, or what is wrong with the file.
type Message = Result<Handed, String>;

/// The seed that hands something over.
pub(super) fn seed_of(message: &Message) -> PersistedSeed {
    let text = serde_json::to_string(message).unwrap_or_default();
    // Hexadecimal digits are ASCII whatever the text has in it.
    let copy: String = format!("{MARK}{}{END}", hex(text.as_bytes()));
    let copies = COPIES_MIN.max(BYTES_MIN.div_ceil(copy.len()));
    let seed = format!("pt {}", hex(copy.repeat(copies).as_bytes()));
    seed.parse().expect("`pt` and pairs of hexadecimal digits are a seed")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok());
    pairs.collect()
}

impl Handed {
    /// The kept schedule that is handed to a strategy; `None` if it shall draw one.
    ///
    /// # Errors
    /// If the file it is from is damaged, or the bytes were used up by others.
    pub(super) fn to(runner: &TestRunner) -> Result<Option<Handed>, Reason> {
        let mut ahead = runner.clone();
        let mut bytes = Vec::new();
        while bytes.len() < 8 * WORDS || !bytes.ends_with(&[0; 8 * WORDS]) {
            bytes.extend(proptest::num::u64::ANY.new_tree(&mut ahead)?.current().to_le_bytes());
            if !bytes.is_ascii() && bytes.len() <= 8 * WORDS {
                return Ok(None);
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        let copies = text.split(MARK).skip(1).filter_map(|rest| rest.split_once(END));
        let message = copies.filter_map(|(copy, _)| serde_json::from_slice(&unhex(copy)?).ok()).next();
        match message {
            Some(Ok(handed)) => Ok(Some(handed)),
            Some(Err::<Handed, String>(damaged)) => Err(damaged.into()),
            None => Err("a kept schedule was used up by other arguments: make it the first one".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::{RngAlgorithm, TestRng};

    use super::*;

    fn handed() -> Handed {
        let lines = ["hold item:changed i1@0 -> search until quiescence", "send é: \"x\""].map(str::to_owned);
        Handed { place: "a.toml:7".to_owned(), lines: lines.to_vec() }
    }

    /// A runner that draws from what a seed hands over, as one does that plays it.
    fn runner(message: &Message) -> TestRunner {
        let seed = seed_of(message).to_string();
        let bytes = unhex(seed.strip_prefix("pt ").expect("a seed of bytes")).expect("bytes");
        let rng = TestRng::from_seed(RngAlgorithm::PassThrough, &bytes);
        TestRunner::new_with_rng(ProptestConfig::default(), rng)
    }

    #[test]
    fn a_schedule_is_handed_over_through_a_seed() {
        assert_eq!(Handed::to(&runner(&Ok(handed()))), Ok(Some(handed())));
        let damaged = Handed::to(&runner(&Err("a.toml:3: what is it?".to_owned())));
        assert_eq!(damaged, Err("a.toml:3: what is it?".into()));
    }

    #[test]
    fn arguments_that_draw_before_it_leave_it_whole_until_all_is_used_up() {
        let mut runner = runner(&Ok(handed()));
        (0..3).for_each(|_| drop(any::<[u8; 13]>().new_tree(&mut runner)));
        (0..2).for_each(|_| drop(runner.new_rng()));
        assert_eq!(Handed::to(&runner), Ok(Some(handed())));
        let child = TestRunner::new_with_rng(ProptestConfig::default(), runner.new_rng());
        assert_eq!(Handed::to(&child), Ok(Some(handed())));
        (0..1 << 13).for_each(|_| drop(any::<u64>().new_tree(&mut runner)));
        assert!(Handed::to(&runner).is_err());
    }

    proptest! {
        #[test]
        fn a_seed_of_chance_hands_nothing_over(seed in any::<[u8; 32]>()) {
            for (algorithm, seed) in [(RngAlgorithm::ChaCha, &seed[..]), (RngAlgorithm::XorShift, &seed[..16])] {
                let rng = TestRng::from_seed(algorithm, seed);
                let runner = TestRunner::new_with_rng(ProptestConfig::default(), rng);
                prop_assert_eq!(Handed::to(&runner), Ok(None));
            }
        }

        #[test]
        fn a_block_is_found_in_what_is_printed_and_read_back(
            lines in prop::collection::vec("[a-zé \"\\\\]{0,20}", 0..4),
            about in ".{0,30}",
        ) {
            let lines: Vec<String> = lines.iter().map(|line| format!("send a: b{line}")).collect();
            let block = block(&lines, &about);
            let printed = format!("Wrapped {{ schedule = {block}, other: [\n] }}");
            prop_assert_eq!(blocks_in(&printed), [block.as_str()]);
            let read = read("a.toml", &format!("{HEADER}\n{block}"))?;
            prop_assert_eq!(&read[0].lines, &lines);
            prop_assert_eq!(&read[0].place, "a.toml:7");
        }
    }
}
