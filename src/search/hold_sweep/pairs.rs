//! Pairs of single departures, and how the two of a pair can wait for each other.

use crate::schedule::{Departure, Target};

/// How the departures of a pair belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
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

impl Link {
    const ALL: [Link; 5] =
        [Link::Apart, Link::FirstAfterSecond, Link::SecondAfterFirst, Link::FirstInSecond, Link::SecondInFirst];

    /// Whether two departures can belong together so.
    fn fits(self, first: &Departure, second: &Departure) -> bool {
        if self == Link::Apart {
            return true;
        }
        let waits = |departure: &Departure| matches!(departure, Departure::Hold { .. } | Departure::Pause { .. });
        let pauses = |departure: &Departure| matches!(departure, Departure::Pause { .. });
        waits(first)
            && waits(second)
            && first.what() != second.what()
            && match self {
                Link::FirstInSecond => pauses(second),
                Link::SecondInFirst => pauses(first),
                Link::Apart | Link::FirstAfterSecond | Link::SecondAfterFirst => true,
            }
    }

    /// The two departures, linked.
    fn join(self, first: Departure, second: Departure) -> [Departure; 2] {
        let (one, other) = (first.what(), second.what());
        let paused = |what: &Target| Some(Target::Pause(Box::new(what.clone())));
        match self {
            Link::Apart => [first, second],
            Link::FirstAfterSecond => [first.ended_by(Some(other)), second],
            Link::SecondAfterFirst => [first, second.ended_by(Some(one))],
            Link::FirstInSecond => [first.ended_by(paused(&other)), second.ended_by(Some(one))],
            Link::SecondInFirst => [first.ended_by(Some(other)), second.ended_by(paused(&one))],
        }
    }
}

/// The schedules to play by place: the calm run, the single departures, the pairs.
pub(super) struct Plan<'a> {
    singles: &'a [Vec<Departure>],
    /// How many of the single departures are played.
    singles_len: usize,
    pairs: Vec<(usize, usize, Link)>,
}

impl Plan<'_> {
    /// At most so many single departures and then pairs: each single departure with all before it, so
    /// that what is tried first is combined first.
    pub(super) fn of(singles: &[Vec<Departure>], schedules_max: u64) -> Plan<'_> {
        let schedules_max = usize::try_from(schedules_max).unwrap_or(usize::MAX);
        let singles_len = singles.len().min(schedules_max);
        let in_order = (0..singles.len()).flat_map(|second| (0..second).map(move |first| (first, second)));
        let linked = in_order.flat_map(|(first, second)| {
            links(&singles[first], &singles[second]).map(move |link| (first, second, link))
        });
        let pairs = linked.take(schedules_max - singles_len).collect();
        Plan { singles, singles_len, pairs }
    }

    /// How many schedules there are to play.
    pub(super) fn len(&self) -> u64 {
        (1 + self.singles_len + self.pairs.len()) as u64
    }

    /// How many pairs there are, those that are not played among them.
    pub(super) fn pairs_all(&self) -> u64 {
        let alone =
            |kind: fn(&Departure) -> bool| move |single: &&Vec<Departure>| matches!(&single[..], [one] if kind(one));
        let count = |kind| self.singles.iter().filter(alone(kind)).count() as u64;
        let pauses = count(|departure| matches!(departure, Departure::Pause { .. }));
        let holds = count(|departure| matches!(departure, Departure::Hold { .. }));
        let (all, waiting) = (self.singles.len() as u64, pauses + holds);
        // What can pause can be held as well; the two of one handler do not wait for each other.
        let of_one = pauses;
        let pairs = |number: u64| number * number.saturating_sub(1) / 2;
        let after = 2 * (pairs(waiting) - of_one);
        let inside = pauses * waiting.saturating_sub(1) - of_one;
        pairs(all) + after + inside
    }

    /// The departures of the schedule at a place.
    pub(super) fn at(&self, place: u64) -> Vec<Departure> {
        let Some(place) = (place as usize).checked_sub(1) else { return Vec::new() };
        match self.singles[..self.singles_len].get(place) {
            Some(single) => single.clone(),
            None => {
                let (first, second, link) = self.pairs[place - self.singles_len];
                let (first, second) = (&self.singles[first], &self.singles[second]);
                match (&first[..], &second[..]) {
                    ([one], [other]) => link.join(one.clone(), other.clone()).to_vec(),
                    _ => [&first[..], second].concat(),
                }
            }
        }
    }
}

/// The ways in which two single departures can belong together.
fn links<'a>(first: &'a [Departure], second: &'a [Departure]) -> impl Iterator<Item = Link> + use<'a> {
    Link::ALL.into_iter().filter(move |link| match (first, second) {
        ([one], [other]) => link.fits(one, other),
        _ => *link == Link::Apart,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SINGLES: [&str; 7] = [
        "hold ticket:created t1@0 -> orders until quiescence",
        "hold ann: order t1 as o1 until quiescence",
        "lose ack of ticket:created t1@0 -> orders",
        "pause ticket:created t1@0 -> orders until quiescence",
        "pause ann: order t1 as o1 until quiescence",
        "crash orders before save of ticket:created t1@0 -> orders",
        "hold bob: order t1 as o2 until quiescence",
    ];

    fn singles() -> Vec<Vec<Departure>> {
        let single = |text: &&str| vec![text.parse().expect("a departure")];
        let two = ["duplicate ticket:created t1@0 -> orders", "hold ticket:created t1@0 -> orders #2 until quiescence"];
        let two = two.map(|text| text.parse().expect("a departure")).to_vec();
        SINGLES.iter().map(single).chain([two]).collect()
    }

    #[test]
    fn all_pairs_are_counted_without_listing_them() {
        let singles = singles();
        let plan = Plan::of(&singles, u64::MAX);
        assert_eq!(plan.pairs_all(), plan.pairs.len() as u64);
        assert_eq!(Plan::of(&singles, 11).pairs_all(), plan.pairs_all());
        assert_eq!(Plan::of(&singles, 11).len(), 1 + 8 + 3);
        assert_eq!(Plan::of(&singles, 5).len(), 1 + 5);
    }

    #[test]
    fn no_two_places_have_the_same_departures_and_each_reads_back() {
        let singles = singles();
        let plan = Plan::of(&singles, u64::MAX);
        let mut texts = std::collections::BTreeSet::new();
        for place in 0..plan.len() {
            let departures = plan.at(place);
            let text: Vec<String> = departures.iter().map(ToString::to_string).collect();
            assert!(departures.iter().zip(&text).all(|(departure, text)| text.parse().as_ref() == Ok(departure)));
            assert!(texts.insert(text.clone()), "place {place} is another one's: {text:?}");
        }
    }

    #[test]
    fn one_can_happen_while_the_handler_of_the_other_pauses() {
        let singles = singles();
        let plan = Plan::of(&singles, u64::MAX);
        let wanted = [
            "hold bob: order t1 as o2 until pause of ann: order t1 as o1",
            "pause ann: order t1 as o1 until bob: order t1 as o2",
        ];
        let has = |place| {
            let mut texts: Vec<String> = plan.at(place).iter().map(ToString::to_string).collect();
            texts.sort();
            texts == wanted
        };
        assert!((0..plan.len()).any(has));
    }
}
