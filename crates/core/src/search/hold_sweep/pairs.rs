//! Pairs of single departures, and how the two of a pair can wait for each other.

use std::collections::BTreeMap;

use crate::schedule::{Departure, Target};

/// Whether a departure can wait for another one instead of quiescence. What waits past the clock would only
/// wait for it once more.
fn waits(departure: &Departure) -> bool {
    departure.until().is_none()
        && matches!(departure, Departure::Hold { .. } | Departure::Pause { .. } | Departure::SlowPublish { .. })
}

/// How the departures of a pair belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interplay {
    /// Not at all: each for itself.
    Apart,
    /// The first waits until what the second is about has happened.
    FirstAfterSecond,
    /// The second waits until what the first is about has happened.
    SecondAfterFirst,
    /// The first happens while the handler of the second pauses.
    FirstInSecond,
    /// The second happens while the handler of the first pauses.
    SecondInFirst,
}

impl Interplay {
    const ALL: [Interplay; 5] = [
        Interplay::Apart,
        Interplay::FirstAfterSecond,
        Interplay::SecondAfterFirst,
        Interplay::FirstInSecond,
        Interplay::SecondInFirst,
    ];

    /// Whether two departures can belong together so.
    fn fits(self, first: &Departure, second: &Departure) -> bool {
        if self == Interplay::Apart {
            return true;
        }
        let pauses = |departure: &Departure| matches!(departure, Departure::Pause { .. });
        waits(first)
            && waits(second)
            && first.what() != second.what()
            && match self {
                Interplay::FirstInSecond => pauses(second),
                Interplay::SecondInFirst => pauses(first),
                Interplay::Apart | Interplay::FirstAfterSecond | Interplay::SecondAfterFirst => true,
            }
    }

    /// The two departures, linked.
    fn join(self, first: Departure, second: Departure) -> [Departure; 2] {
        let (one, other) = (first.what(), second.what());
        let paused = |what: &Target| Some(Target::Pause(Box::new(what.clone())));
        match self {
            Interplay::Apart => [first, second],
            Interplay::FirstAfterSecond => [first.ended_by(Some(other)), second],
            Interplay::SecondAfterFirst => [first, second.ended_by(Some(one))],
            Interplay::FirstInSecond => [first.ended_by(paused(&other)), second.ended_by(Some(one))],
            Interplay::SecondInFirst => [first.ended_by(Some(other)), second.ended_by(paused(&one))],
        }
    }
}

/// The schedules to play by place: the calm run, the single departures, the pairs. Pairs are not listed:
/// there may be more of them than memory.
pub(super) struct Plan {
    singles: Vec<Vec<Departure>>,
    /// How many pairs come before those whose second is the one at this place, and how many there are.
    pairs_before: Vec<u64>,
    /// How many schedules with departures are played.
    played: u64,
}

impl Plan {
    /// At most so many single departures and then pairs: each single departure with all before it, so
    /// that what is tried first is combined first.
    pub(super) fn of(singles: Vec<Vec<Departure>>, schedules_max: u64) -> Plan {
        // Of what waits, by what it is about: how many wait and how many pause.
        let mut waiting: BTreeMap<String, [u64; 2]> = BTreeMap::new();
        let mut all_waiting = [0, 0];
        let (mut pairs, mut pairs_before) = (0, vec![0]);
        for (before, second) in singles.iter().enumerate() {
            pairs += before as u64;
            if let Some(second) = second.first().filter(|one| second.len() == 1 && waits(one)) {
                let pauses = matches!(second, Departure::Pause { .. });
                let same = waiting.entry(second.what().to_string()).or_default();
                let [waits_before, pauses_before] = [0, 1].map(|kind| all_waiting[kind] - same[kind]);
                pairs += 2 * waits_before + if pauses { waits_before } else { 0 } + pauses_before;
                for counts in [same, &mut all_waiting] {
                    counts[0] += 1;
                    counts[1] += u64::from(pauses);
                }
            }
            pairs_before.push(pairs);
        }
        let played = schedules_max.min(singles.len() as u64 + pairs);
        Plan { singles, pairs_before, played }
    }

    /// How many schedules there are to play.
    pub(super) fn len(&self) -> u64 {
        1 + self.played
    }

    /// How many single departures there are, those that are not played among them.
    pub(super) fn singles_all(&self) -> u64 {
        self.singles.len() as u64
    }

    /// How many pairs there are, those that are not played among them.
    pub(super) fn pairs_all(&self) -> u64 {
        *self.pairs_before.last().expect("at least that none come before the first")
    }

    /// The departures of the schedules from a place on.
    pub(super) fn from(&self, place: u64) -> impl Iterator<Item = Vec<Departure>> {
        let of = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let single = of(place.saturating_sub(1));
        let calm = (place == 0).then(Vec::new);
        let singles = self.singles.iter().skip(single).cloned();
        let pair = place.saturating_sub(1 + self.singles_all());
        let second = self.pairs_before.partition_point(|before| *before <= pair).saturating_sub(1);
        let skipped = pair - self.pairs_before[second];
        let in_order = (second..self.singles.len()).flat_map(|second| (0..second).map(move |first| (first, second)));
        let linked = in_order.flat_map(|(first, second)| {
            links(&self.singles[first], &self.singles[second]).map(move |link| (first, second, link))
        });
        let pairs = linked.skip(of(skipped)).map(|(first, second, link)| self.joined(first, second, link));
        calm.into_iter().chain(singles).chain(pairs).take(of(self.len() - place.min(self.len())))
    }

    fn joined(&self, first: usize, second: usize, link: Interplay) -> Vec<Departure> {
        let (first, second) = (&self.singles[first], &self.singles[second]);
        match (&first[..], &second[..]) {
            ([one], [other]) => link.join(one.clone(), other.clone()).to_vec(),
            _ => [&first[..], second].concat(),
        }
    }
}

/// The ways in which two single departures can belong together.
fn links<'a>(first: &'a [Departure], second: &'a [Departure]) -> impl Iterator<Item = Interplay> + use<'a> {
    Interplay::ALL.into_iter().filter(move |link| match (first, second) {
        ([one], [other]) => link.fits(one, other),
        _ => *link == Interplay::Apart,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SINGLES: [&str; 8] = [
        "hold ticket:created t1@0 -> orders until quiescence",
        "hold ann: order t1 as o1 until quiescence",
        "lose ack of ticket:created t1@0 -> orders",
        "pause ticket:created t1@0 -> orders until quiescence",
        "pause ann: order t1 as o1 until quiescence",
        "crash orders before save of ticket:created t1@0 -> orders",
        "hold bob: order t1 as o2 until quiescence",
        "hold bob: order t1 as o2 until timer o1 of expiration",
    ];

    fn singles() -> Vec<Vec<Departure>> {
        let single = |text: &&str| vec![text.parse().expect("a departure")];
        let two = ["duplicate ticket:created t1@0 -> orders", "hold ticket:created t1@0 -> orders #2 until quiescence"];
        let two = two.map(|text| text.parse().expect("a departure")).to_vec();
        SINGLES.iter().map(single).chain([two]).collect()
    }

    fn all_of(plan: &Plan) -> Vec<Vec<Departure>> {
        plan.from(0).collect()
    }

    #[test]
    fn all_pairs_are_counted_without_listing_them() {
        let plan = Plan::of(singles(), u64::MAX);
        assert_eq!(plan.len(), 1 + 9 + plan.pairs_all());
        // Everything there is, though there is no end to what may be played.
        let endless = Plan { played: u64::MAX - 1, ..Plan::of(singles(), 0) };
        assert_eq!(endless.from(0).count() as u64, plan.len());
        assert_eq!(Plan::of(singles(), 12).pairs_all(), plan.pairs_all());
        assert_eq!(Plan::of(singles(), 12).len(), 1 + 9 + 3);
        assert_eq!(Plan::of(singles(), 5).len(), 1 + 5);
    }

    #[test]
    fn from_each_place_on_come_the_schedules_that_come_there_from_the_beginning() {
        for schedules_max in [0, 5, 9, 12, u64::MAX] {
            let plan = Plan::of(singles(), schedules_max);
            let all = all_of(&plan);
            assert_eq!(all.len() as u64, plan.len());
            for place in 0..=all.len() {
                assert!(plan.from(place as u64).eq(all[place..].iter().cloned()), "{place} of {schedules_max}");
            }
            assert_eq!(plan.from(plan.len() + 1).count(), 0);
        }
        assert_eq!(all_of(&Plan::of(Vec::new(), u64::MAX)), [Vec::new()]);
    }

    #[test]
    fn no_two_places_have_the_same_departures_and_each_reads_back() {
        let plan = Plan::of(singles(), u64::MAX);
        let mut texts = std::collections::BTreeSet::new();
        for (place, departures) in plan.from(0).enumerate() {
            let text: Vec<String> = departures.iter().map(ToString::to_string).collect();
            assert!(departures.iter().zip(&text).all(|(departure, text)| text.parse().as_ref() == Ok(departure)));
            assert!(texts.insert(text.clone()), "place {place} is another one's: {text:?}");
        }
    }

    #[test]
    fn one_can_happen_while_the_handler_of_the_other_pauses() {
        let plan = Plan::of(singles(), u64::MAX);
        let wanted = [
            "hold bob: order t1 as o2 until pause of ann: order t1 as o1",
            "pause ann: order t1 as o1 until bob: order t1 as o2",
        ];
        let has = |departures: Vec<Departure>| {
            let mut texts: Vec<String> = departures.iter().map(ToString::to_string).collect();
            texts.sort();
            texts == wanted
        };
        assert!(plan.from(0).any(has));
    }
}
