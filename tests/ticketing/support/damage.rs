//! What can happen to a file on its way: it is cut off, bytes change, words and lines go, come twice
//! or change places, numbers become others.

use proptest::prelude::*;
use proptest::sample::Index;

/// One thing that happens to a file. Places are taken modulo what there is.
#[derive(Clone, Debug)]
pub(crate) enum Damage {
    Cut(Index),
    Byte(Index, u8),
    DropWord(Index),
    DoubleWord(Index),
    SwapWords(Index, Index),
    Number(Index, &'static str),
    DropLine(Index),
    DoubleLine(Index),
    SwapLines(Index, Index),
}

const NUMBERS: [&str; 14] = [
    "0",
    "-1",
    "2",
    "65535",
    "65536",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "99999999999999999999",
    "1e9",
    "0.5",
    "0x7f",
    "007",
];

/// One to three things that happen to a file.
pub(crate) fn damages() -> impl Strategy<Value = Vec<Damage>> {
    let place = any::<Index>;
    let one = prop_oneof![
        place().prop_map(Damage::Cut),
        (place(), any::<u8>()).prop_map(|(at, byte)| Damage::Byte(at, byte)),
        (place(), 0x20u8..0x7f).prop_map(|(at, byte)| Damage::Byte(at, byte)),
        place().prop_map(Damage::DropWord),
        place().prop_map(Damage::DoubleWord),
        (place(), place()).prop_map(|(one, other)| Damage::SwapWords(one, other)),
        (place(), prop::sample::select(&NUMBERS[..])).prop_map(|(at, number)| Damage::Number(at, number)),
        place().prop_map(Damage::DropLine),
        place().prop_map(Damage::DoubleLine),
        (place(), place()).prop_map(|(one, other)| Damage::SwapLines(one, other)),
    ];
    prop::collection::vec(one, 1..=3)
}

/// The file after all that, if there is anything left of it.
pub(crate) fn damaged(bytes: &[u8], damages: &[Damage]) -> Vec<u8> {
    damages.iter().fold(bytes.to_vec(), |bytes, damage| if bytes.is_empty() { bytes } else { damage.done_to(&bytes) })
}

impl Damage {
    fn done_to(&self, bytes: &[u8]) -> Vec<u8> {
        let kind = |byte: &u8| (byte.is_ascii_digit(), byte.is_ascii_alphabetic());
        let words = || bytes.chunk_by(|one, other| kind(one) == kind(other));
        let lines = || bytes.split_inclusive(|byte| *byte == b'\n');
        let (words, lines): (Vec<&[u8]>, Vec<&[u8]>) = (words().collect(), lines().collect());
        match self {
            Damage::Cut(at) => bytes[..at.index(bytes.len())].to_vec(),
            Damage::Byte(at, byte) => {
                let (at, mut bytes) = (at.index(bytes.len()), bytes.to_vec());
                bytes[at] = *byte;
                bytes
            }
            Damage::DropWord(at) => without(words, *at),
            Damage::DropLine(at) => without(lines, *at),
            Damage::DoubleWord(at) => twice(words, *at),
            Damage::DoubleLine(at) => twice(lines, *at),
            Damage::SwapWords(one, other) => swapped(words, *one, *other),
            Damage::SwapLines(one, other) => swapped(lines, *one, *other),
            Damage::Number(at, number) => {
                let is_number = |word: &&[u8]| word.iter().all(u8::is_ascii_digit);
                let numbers: Vec<usize> = (0..words.len()).filter(|place| is_number(&words[*place])).collect();
                let mut words = words;
                if !numbers.is_empty() {
                    words[numbers[at.index(numbers.len())]] = number.as_bytes();
                }
                words.concat()
            }
        }
    }
}

fn without(mut parts: Vec<&[u8]>, at: Index) -> Vec<u8> {
    parts.remove(at.index(parts.len()));
    parts.concat()
}

fn twice(mut parts: Vec<&[u8]>, at: Index) -> Vec<u8> {
    let at = at.index(parts.len());
    parts.insert(at, parts[at]);
    parts.concat()
}

fn swapped(mut parts: Vec<&[u8]>, one: Index, other: Index) -> Vec<u8> {
    let (one, other) = (one.index(parts.len()), other.index(parts.len()));
    parts.swap(one, other);
    parts.concat()
}
