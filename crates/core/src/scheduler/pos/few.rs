//! Offers by the place where they race: what happened draws all others of its place again, and in the
//! same pass the most urgent of them is found, so the other places are not looked through.

use super::super::queue::exponential;
use super::super::speeds::Speeds;
use super::super::{Action, Offer, looked_at};
use super::Rank;
use crate::hash;
use crate::prng::{Purpose, RunKey};

/// Offers with their urgency.
#[derive(Clone, Debug, Default)]
pub(super) struct Few {
    places: Vec<Place>,
    len: usize,
}

/// What is offered in one place.
#[derive(Clone, Debug)]
struct Place {
    /// `None` for all that races with nothing, each of which is a place of its own.
    name: Option<u64>,
    offers: Vec<Waiting>,
    /// The most urgent one and where it is, if that is known.
    first: Option<(Rank, usize)>,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    /// What was drawn for it; it is the more urgent the larger this is.
    word: u64,
    /// How slow it is, whatever is drawn for it.
    slow: u32,
    offer: Offer,
}

impl Waiting {
    /// Smaller ranks come first.
    fn rank(&self) -> Rank {
        (exponential(self.word) << self.slow, self.offer.key, self.offer.action)
    }

    /// Draws for it again because of what happened.
    #[inline(always)]
    fn draw(&mut self, root: u64, happened: &Offer) {
        self.word = RunKey::draw_from(root, hash::mix(happened.key, self.offer.key));
    }

    /// What is as slow and for which less was drawn than this comes behind it.
    fn certainly_before(&self) -> u64 {
        // Words that are close to each other may be of the same urgency.
        self.word.saturating_sub(1 + (self.word >> 13))
    }
}

impl Place {
    /// The most urgent offer and its place.
    fn first(&mut self) -> Option<(Rank, usize)> {
        if self.first.is_none() {
            looked_at(self.offers.len());
            self.first = self.offers.iter().enumerate().map(|(at, waiting)| (waiting.rank(), at)).min();
        }
        self.first
    }

    fn add(&mut self, waiting: Waiting) {
        let rank = waiting.rank();
        if self.offers.is_empty() || self.first.is_some_and(|(first, _)| rank < first) {
            self.first = Some((rank, self.offers.len()));
        }
        self.offers.push(waiting);
    }

    /// Draws again what races with `happened`, and finds the most urgent one.
    fn race(&mut self, key: RunKey, happened: &Offer) {
        looked_at(self.offers.len());
        let root = key.root(Purpose::Race);
        if self.name.is_none() {
            let racing = self.offers.iter_mut().filter(|waiting| waiting.offer.place == happened.place);
            racing.for_each(|waiting| waiting.draw(root, happened));
            self.first = None;
            return;
        }
        // The most urgent so far, and what comes behind it without more ado: as slow, and less was drawn.
        let (mut first, mut slow, mut before) = (None, 0, 0);
        for (at, waiting) in self.offers.iter_mut().enumerate() {
            waiting.draw(root, happened);
            if waiting.word < before && waiting.slow >= slow {
                continue;
            }
            let rank = waiting.rank();
            if first.is_none_or(|(least, _)| rank < least) {
                (first, slow, before) = (Some((rank, at)), waiting.slow, waiting.certainly_before());
            }
        }
        self.first = first;
    }
}

/// The name of the place where an offer races with others.
fn racing_place(offer: &Offer) -> Option<u64> {
    // A late ack has a place of its own, and there may be many.
    (!matches!(offer.action, Action::Ack(_) | Action::Publish(_))).then_some(offer.place)
}

impl Few {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds an offer for which `word` was drawn.
    pub(super) fn add(&mut self, speeds: Speeds, word: u64, offer: Offer) {
        let name = racing_place(&offer);
        let waiting = Waiting { word, slow: speeds.slowness(&offer), offer };
        self.len += 1;
        match self.places.iter_mut().find(|place| place.name == name) {
            Some(place) => place.add(waiting),
            None => self.places.push(Place { name, offers: vec![waiting], first: Some((waiting.rank(), 0)) }),
        }
    }

    /// Takes the most urgent offer, unless the clock is more urgent.
    pub(super) fn take_first(&mut self, clock: Option<u64>) -> Option<Offer> {
        looked_at(self.places.len());
        let firsts = self.places.iter_mut().filter_map(|place| {
            let (rank, at) = place.first()?;
            Some((rank, place, at))
        });
        let (rank, place, at) = firsts.min_by_key(|(rank, ..)| *rank)?;
        if clock.is_some_and(|clock| clock < rank.0) {
            return None;
        }
        place.first = None;
        self.len -= 1;
        Some(place.offers.swap_remove(at).offer)
    }

    /// Draws again what races with what has happened.
    pub(super) fn race(&mut self, key: RunKey, happened: &Offer) {
        let name = racing_place(happened);
        if let Some(place) = self.places.iter_mut().find(|place| place.name == name) {
            place.race(key, happened);
        }
    }

    /// Takes all offers, with what was drawn for them.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = (u64, Offer)> + '_ {
        self.len = 0;
        self.places.drain(..).flat_map(|place| place.offers).map(|waiting| (waiting.word, waiting.offer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::{DeliveryIndex, GroupIndex};
    use crate::prng::{Prng, Stream};
    use crate::scheduler::ClientIndex;

    /// The same, as the definition says it: a list that is looked through.
    #[derive(Default)]
    struct List(Vec<(u64, Offer)>);

    impl List {
        fn take_first(&mut self, clock: Option<u64>) -> Option<Offer> {
            let ranked = self.0.iter().enumerate();
            let first = ranked.min_by_key(|(_, (urgency, offer))| (*urgency, offer.key, offer.action));
            let (at, _) = first.filter(|(_, (urgency, _))| clock.is_none_or(|clock| *urgency <= clock))?;
            Some(self.0.swap_remove(at).1)
        }

        fn race(&mut self, key: RunKey, happened: &Offer) {
            for (urgency, offer) in self.0.iter_mut().filter(|(_, offer)| offer.place == happened.place) {
                let word = key.draw(Purpose::Race, hash::mix(happened.key, offer.key));
                *urgency = Speeds(key).wait_drawn(offer, word);
            }
        }
    }

    #[test]
    fn what_is_known_to_be_behind_is_behind() {
        let mut prng = Prng::new(3, Stream::Run);
        let offer = Offer { action: Action::Advance, key: 0, lane: 0, place: 0, again: false };
        let mut behind = 0;
        for _ in 0..200_000 {
            let word = prng.word() >> prng.below(64);
            let less = word.saturating_sub((word >> 13).saturating_add(u64::from(prng.below(5))));
            let (one, other) = (Waiting { word, slow: 2, offer }, Waiting { word: less, slow: 2, offer });
            if less < one.certainly_before() {
                behind += 1;
                assert!(one.rank() < other.rank(), "{word} and {less}");
            }
        }
        assert!(behind > 50_000, "{behind}");
    }

    #[test]
    fn what_is_picked_is_what_a_look_through_a_list_picks() {
        for seed in 0..40 {
            let (key, mut prng) = (RunKey::new(seed), Prng::new(seed, Stream::Run));
            let (speeds, mut few, mut list) = (Speeds(key), Few::default(), List::default());
            for number in 0..400 {
                if prng.below(5) < 3 {
                    let name = u64::from(prng.below(60));
                    let (action, place) = match prng.below(6) {
                        0 => (Action::Command(ClientIndex(name as u32)), name % 3),
                        1 => (Action::Ack(DeliveryIndex(name as u32)), 1_000 + name),
                        2 => (Action::Join(GroupIndex(name as u16)), name % 3),
                        _ => (Action::Deliver(DeliveryIndex(name as u32)), name % 4),
                    };
                    let offer = Offer { action, key: name, lane: 0, place, again: name % 7 == 0 };
                    few.add(speeds, key.draw(Purpose::Order, offer.key), offer);
                    list.0.push((speeds.wait(&offer), offer));
                    continue;
                }
                let clock = (prng.below(4) == 0).then(|| speeds.wait_of_clock(number));
                let (first, wanted) = (few.take_first(clock), list.take_first(clock));
                assert_eq!(first.map(|offer| offer.action), wanted.map(|offer| offer.action), "seed {seed}");
                assert_eq!(few.len(), list.0.len());
                if let Some(happened) = first.filter(|_| prng.below(4) > 0) {
                    few.race(key, &happened);
                    list.race(key, &happened);
                }
            }
        }
    }
}
