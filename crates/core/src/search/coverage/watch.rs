//! Watching a run for the situations it meets.

use std::collections::BTreeMap;

use super::{Coverage, Means, Seen, Situation};
use crate::broker::{DeliveryIndex, GroupIndex, GroupSetup, MessageIndex, Stale, State};
use crate::event::System;
use crate::faults::{AckFate, Window};
use crate::ids::{RecordId, Subject};
use crate::run::Observer;
use crate::scheduler::Action;
use crate::service::Outcome;
use crate::simulation::Simulation;
use crate::store::ByNumber;
use crate::world::{Answer, Step, World};

const SITUATIONS: usize = Situation::ALL.len();
/// Every situation that a message of the lane is enough of an occasion for.
const ANY_MESSAGE: u16 =
    (1 << SITUATIONS) - 1 - (1 << Situation::UpdateBeforeCreate as u16) - (1 << Situation::GapOfTwo as u16);
/// How many letters there are for kinds of records.
const KINDS: usize = 26;

/// Collects the situations of runs of one system. It is told where each run ends
/// ([`SituationWatch::end_run`]), and keeps its memory from run to run.
#[derive(Clone, Debug)]
pub struct SituationWatch {
    groups: Vec<GroupWatch>,
    lanes: Vec<LaneWatch>,
    /// By the broker's place of a message at a group.
    entries: Vec<EntryWatch>,
    /// Deliveries whose handler has read and not saved, with the broker's place of their message.
    paused: Vec<(u32, DeliveryIndex)>,
    runs: u64,
}

/// What is known of a message at a group.
#[derive(Clone, Copy, Debug)]
struct EntryWatch {
    /// The place of its lane.
    lane: u32,
    /// What it is about.
    record: RecordId,
    /// How many messages about its record went to the group before it.
    rank: u32,
    started: bool,
    refused: bool,
    acked: bool,
    heard: bool,
}

#[derive(Clone, Debug)]
struct GroupWatch {
    subjects: Vec<Subject>,
    /// The place of the lane of its first subject; the others follow.
    first_lane: usize,
    records: ByRecord<RecordWatch>,
}

/// What is known of a record at a group.
#[derive(Clone, Copy, Debug, Default)]
struct RecordWatch {
    /// How many messages about it were published.
    published: u32,
    /// One more than the rank of the latest that the group has acked; 0 if it has acked none.
    acked: u32,
    /// The subjects of messages that were published, and of those whose handlers started, as bits.
    published_on: u64,
    started_on: u64,
}

#[derive(Clone, Debug)]
struct LaneWatch {
    name: String,
    /// For each record one more than the largest rank whose handler started.
    started: ByRecord<u32>,
    /// What this run met, and what it had an occasion for, as bits.
    met: u16,
    occasion: u16,
    /// The subjects of the group that came before this one in this run, and those that could have.
    before: u64,
    before_occasion: u64,
    situations: [Seen; SITUATIONS],
    /// By the subject that comes before this one.
    pairs: Vec<Seen>,
}

/// Something for each record, by kind and number, as stores keep them.
#[derive(Clone, Debug)]
struct ByRecord<T> {
    /// What there is, with the run in which it came to be.
    kinds: Vec<ByNumber<(u64, T)>>,
    run: u64,
    /// The kinds that have something for places so high that it is not kept for other runs, as bits.
    high: u32,
}

/// Records of places below this one are most often those of the next run as well.
const LOW_PLACES: usize = 4096;

impl<T: Clone + Default> ByRecord<T> {
    fn new() -> ByRecord<T> {
        ByRecord { kinds: vec![ByNumber::default(); KINDS], run: 1, high: 0 }
    }

    #[inline]
    fn get(&mut self, record: RecordId) -> &mut T {
        let (kind, place) = (record.kind() as usize - 'a' as usize, record.place());
        self.high |= u32::from(place >= LOW_PLACES) << kind;
        let (run, held) = self.kinds[kind].entry(place);
        if *run != self.run {
            (*run, *held) = (self.run, T::default());
        }
        held
    }

    /// Forgets all that there is.
    #[inline]
    fn clear(&mut self) {
        self.run += 1;
        while self.high != 0 {
            self.kinds[self.high.trailing_zeros() as usize].clear();
            self.high &= self.high - 1;
        }
    }
}

impl SituationWatch {
    /// A watch for runs of simulations with these services and this broker.
    ///
    /// # Panics
    /// If a group listens to more than 64 subjects.
    #[must_use]
    pub fn new<S: System>(simulation: &Simulation<S>, means: &Means) -> SituationWatch {
        let inner = &*simulation.inner;
        let (mut groups, mut lanes) = (Vec::new(), Vec::new());
        for setup in &inner.groups {
            assert!(setup.subjects.len() <= 64, "a group listens to at most 64 subjects, `{}` to more", setup.name);
            let (subjects, first_lane) = (setup.subjects.clone(), lanes.len());
            groups.push(GroupWatch { subjects, first_lane, records: ByRecord::new() });
            for (place, subject) in setup.subjects.iter().enumerate() {
                let overtaking = means.rule_out_overtaking(&inner.profile, setup);
                let pair = |other| Seen { ruled_out: overtaking.filter(|_| other == place), ..Seen::default() };
                let rule_out = |situation| means.rule_out(situation, &inner.profile, setup);
                lanes.push(LaneWatch {
                    name: lane_name(setup, *subject),
                    started: ByRecord::new(),
                    met: 0,
                    occasion: 0,
                    before: 0,
                    before_occasion: 0,
                    situations: Situation::ALL
                        .map(|situation| Seen { ruled_out: rule_out(situation), ..Seen::default() }),
                    pairs: (0..setup.subjects.len()).map(pair).collect(),
                });
            }
        }
        SituationWatch { groups, lanes, entries: Vec::new(), paused: Vec::new(), runs: 0 }
    }

    /// Counts what was met since the last run ended as what the run of `seed` met.
    pub fn end_run(&mut self, seed: u64) {
        self.runs += 1;
        for lane in &mut self.lanes {
            let LaneWatch { met, occasion, before, before_occasion, .. } = *lane;
            fold(&mut lane.situations, met.into(), occasion.into(), seed);
            fold(&mut lane.pairs, before, before_occasion, seed);
            (lane.met, lane.occasion, lane.before, lane.before_occasion) = (0, 0, 0, 0);
            lane.started.clear();
        }
        self.groups.iter_mut().for_each(|group| group.records.clear());
        self.entries.clear();
        self.paused.clear();
    }

    /// What the runs covered that it watched since it was last asked.
    #[must_use]
    pub fn take_coverage(&mut self) -> Coverage {
        let mut coverage = Coverage { runs: self.runs, ..Coverage::default() };
        for (place, situation) in Situation::ALL.into_iter().enumerate() {
            let lanes = self.lanes.iter().map(|lane| (lane.name.clone(), lane.situations[place]));
            coverage.situations.insert(situation, lanes.collect::<BTreeMap<_, _>>());
        }
        for group in &self.groups {
            for (place, then) in group.subjects.iter().enumerate() {
                let lane = &self.lanes[group.first_lane + place];
                let name = lane.name.rsplit(" -> ").next().unwrap_or_default();
                let pairs = group.subjects.iter().zip(&lane.pairs);
                let pairs = pairs.map(|(first, seen)| (format!("{name}: {first} before {then}"), *seen));
                coverage.pairs.extend(pairs);
            }
        }
        self.begin_again();
        coverage
    }

    /// Forgets what the runs so far covered.
    fn begin_again(&mut self) {
        self.runs = 0;
        let all = self.lanes.iter_mut().flat_map(|lane| lane.situations.iter_mut().chain(&mut lane.pairs));
        for seen in all {
            *seen = Seen { ruled_out: seen.ruled_out, ..Seen::default() };
        }
    }
}

fn lane_name(setup: &GroupSetup, subject: Subject) -> String {
    format!("{subject} -> {}", setup.name)
}

fn fold(all: &mut [Seen], met: u64, occasion: u64, seed: u64) {
    let mut any = met | occasion;
    while any != 0 {
        let place = any.trailing_zeros();
        let seen = &mut all[place as usize];
        seen.occasions += occasion >> place & 1;
        if met >> place & 1 == 1 {
            seen.note(seed);
        }
        any &= any - 1;
    }
}

/// What a delivery is about: the places of its group, its lane and its message at the group.
#[derive(Clone, Copy)]
struct About {
    group: usize,
    lane: usize,
    entry: usize,
    record: RecordId,
}

impl SituationWatch {
    #[inline]
    fn about<S: System>(&self, world: &World<S>, index: DeliveryIndex) -> About {
        let delivery = world.broker().delivery(index);
        let (group, entry) = (delivery.group.get(), delivery.entry as usize);
        let EntryWatch { lane, record, .. } = self.entries[entry];
        About { group, lane: lane as usize, entry, record }
    }

    fn meet(&mut self, about: About, situation: Situation) {
        self.lanes[about.lane].met |= 1 << situation as u16;
    }

    /// Notes what a step published.
    #[inline(never)]
    fn published<S: System>(&mut self, world: &World<S>, step: &Step) {
        for place in step.published.clone() {
            let message = MessageIndex(place as u32);
            let name = world.broker().message(message).name;
            for (entry, group) in world.broker().groups_of(message) {
                self.publish(name.subject, name.record, entry as usize, group);
            }
        }
    }

    #[inline]
    fn publish(&mut self, subject: Subject, record: RecordId, entry: usize, group: GroupIndex) {
        let GroupWatch { subjects, first_lane, records } = &mut self.groups[group.get()];
        let bit = subjects.iter().position(|listened| *listened == subject).expect("a group gets what it listens to");
        let (first_lane, lane) = (*first_lane, *first_lane + bit);
        let about = records.get(record);
        let (rank, others) = (about.published, about.published_on);
        about.published += 1;
        about.published_on |= 1 << bit;
        // The broker counts them as well.
        assert_eq!(entry, self.entries.len(), "each message is watched when it is published");
        let new =
            EntryWatch { lane: lane as u32, record, rank, started: false, refused: false, acked: false, heard: false };
        self.entries.push(new);
        let here = &mut self.lanes[lane];
        here.occasion |= ANY_MESSAGE
            | u16::from(rank > 0) << Situation::UpdateBeforeCreate as u16
            | u16::from(rank > 1) << Situation::GapOfTwo as u16;
        let mut new = others & !here.before_occasion;
        here.before_occasion |= others;
        // If this may come after those, those may come after this.
        while new != 0 {
            self.lanes[first_lane + new.trailing_zeros() as usize].before_occasion |= 1 << bit;
            new &= new - 1;
        }
    }

    /// A handler starts on a delivery.
    #[inline]
    fn begins(&mut self, about: About) {
        let entry = self.entries[about.entry];
        if entry.started {
            self.begins_again(about, entry);
        }
        let group = &mut self.groups[about.group];
        let bit = about.lane - group.first_lane;
        let record = group.records.get(about.record);
        let early = if record.acked == 0 { entry.rank > 0 } else { entry.rank > record.acked };
        if early {
            let first = record.acked == 0;
            let situation = if first { Situation::UpdateBeforeCreate } else { Situation::GapOfTwo };
            self.lanes[about.lane].met |= 1 << situation as u16;
        }
        if !entry.started {
            let others = record.started_on & !(1 << bit);
            record.started_on |= 1 << bit;
            let lane = &mut self.lanes[about.lane];
            let latest = lane.started.get(about.record);
            lane.before |= others | u64::from(*latest > entry.rank + 1) << bit;
            *latest = (*latest).max(entry.rank + 1);
            self.entries[about.entry].started = true;
        }
    }

    fn begins_again(&mut self, about: About, entry: EntryWatch) {
        if entry.heard {
            self.meet(about, Situation::DuplicateAfterAck);
        } else if entry.acked {
            self.meet(about, Situation::RedeliveryAfterUnheardAck);
        }
        if self.paused.iter().any(|(paused, _)| *paused as usize == about.entry) {
            self.meet(about, Situation::RedeliveryDuringHandler);
        }
    }

    /// A handler has answered a delivery, or crashed on the way.
    #[inline]
    fn ends<S: System>(&mut self, world: &World<S>, step: &Step, index: DeliveryIndex, about: About) {
        match step.answer {
            Some(Answer::Delivery(Outcome::Ack)) => self.acks(about),
            Some(Answer::Crashed { acked: true } | Answer::CrashedBetween { acked: true }) => self.acks(about),
            Some(Answer::Delivery(Outcome::Nak { .. } | Outcome::Silent(_))) => {
                self.entries[about.entry].refused = true
            }
            _ => {}
        }
        if step.acked().is_some() {
            let delivery = world.broker().delivery(index);
            let cut_off =
                matches!(step.fate.crash, Some(Window::BeforePublish | Window::BeforeAck)) || step.crashed_between();
            // An answer that does not come leaves a delivery open, unless the broker gave up on it.
            let heard = match delivery.superseded {
                true => step.fate.ack == AckFate::Prompt && !cut_off,
                // A position that is not committed is made up for by the next one, and until then not there.
                false => delivery.state == State::Settled && step.fate.ack != AckFate::Lost,
            };
            if heard {
                self.hears(world, index, about);
            }
        }
        if let Some(window) = step.fate.crash {
            let situation = match window {
                Window::BeforeSave => Situation::CrashBeforeSave,
                Window::BeforePublish => Situation::CrashBeforePublish,
                Window::BeforeAck => Situation::CrashBeforeAck,
                Window::AfterAck => Situation::CrashAfterAck,
                Window::BetweenSaves => return,
            };
            self.meet(about, situation);
        }
    }

    fn acks(&mut self, about: About) {
        let entry = &mut self.entries[about.entry];
        entry.acked = true;
        let (rank, refused) = (entry.rank, entry.refused);
        let record = self.groups[about.group].records.get(about.record);
        record.acked = record.acked.max(rank + 1);
        if refused {
            self.meet(about, Situation::RefusedThenAcked);
        }
    }

    /// The broker hears the ack of a delivery.
    #[inline]
    fn hears<S: System>(&mut self, world: &World<S>, index: DeliveryIndex, about: About) {
        let stale = world.broker().delivery(index).superseded;
        if stale {
            self.meet(about, Situation::StaleAck);
        }
        self.entries[about.entry].heard |= !stale || world.broker().profile().ack.stale == Stale::Accept;
    }
}

impl<S: System> Observer<S> for SituationWatch {
    #[inline]
    fn after(&mut self, world: &World<S>, step: &Step) {
        if !step.published.is_empty() {
            self.published(world, step);
        }
        match (step.action, step.delivery) {
            (Action::Deliver(index), _) if !matches!(step.answer, Some(Answer::Lost)) => {
                let about = self.about(world, index);
                self.begins(about);
                if matches!(step.answer, Some(Answer::Paused | Answer::Works)) {
                    self.paused.push((about.entry as u32, index));
                } else {
                    self.ends(world, step, index, about);
                }
            }
            (Action::Resume(_) | Action::Advance, Some(index)) if step.goes_on_with() => {
                self.paused.retain(|(_, paused)| *paused != index);
                self.ends(world, step, index, self.about(world, index));
            }
            (Action::Ack(index), _) => {
                let about = self.about(world, index);
                self.meet(about, Situation::LateAck);
                self.hears(world, index, about);
            }
            _ => {}
        }
        if step.fate.crash.is_some() {
            // What the member had read and not saved is cut off.
            self.paused.retain(|(_, paused)| world.broker().delivery(*paused).state == State::Handling);
        }
    }
}
