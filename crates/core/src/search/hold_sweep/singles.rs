//! Single departures: every way to depart from the calm run once.

use super::clock::{Clock, Ends};
use crate::broker::{Dedup, MaxDeliver, Profile};
use crate::event::System;
use crate::faults::{AnswerFault, FaultPlan, MemberChange, MemberChanges, Window};
use crate::run::{Judges, Limits, Observer, Report, run};
use crate::schedule::{DeliverySpec, Departure, Target};
use crate::scheduler::{Action, Departing};
use crate::simulation::Simulation;
use crate::world::{Step, World};

/// Every way to depart from the calm run once.
pub(super) struct Singles {
    /// The report of the calm run.
    pub(super) calm: Report,
    /// The departures of each, what finds most first. One that needs two lines is one of them.
    pub(super) departures: Vec<Vec<Departure>>,
}

/// The kinds of departures in the order in which they are tried: first what overtakes, then what comes
/// twice, then what is half done, last what hardly ever matters. Those that need a clock or two members come
/// early, because there are few of them where there is neither.
const KINDS: [Kind; 49] = [
    Kind::Hold,
    Kind::HoldPastTimer,
    Kind::Duplicate,
    Kind::LoseAck,
    Kind::Outlive,
    Kind::HoldPastClock,
    Kind::Pause,
    Kind::PausePastClock,
    Kind::SlowPublish,
    Kind::SlowPublishPastClock,
    Kind::Answer(AnswerFault::Stale),
    Kind::Answer(AnswerFault::Missing),
    Kind::AgainPastClock,
    Kind::Crash(Window::BeforePublish),
    Kind::Crash(Window::BetweenSaves),
    Kind::LoseAckLater,
    Kind::DuplicateLater,
    Kind::Crash(Window::BeforeAck),
    Kind::Lose,
    Kind::DelayAck,
    Kind::RunPast,
    Kind::Crash(Window::BeforeSave),
    Kind::Crash(Window::AfterAck),
    Kind::Change(MemberChange::Rebalance),
    Kind::Zombie(MemberChange::Rebalance),
    Kind::Change(MemberChange::Reconnect),
    Kind::Zombie(MemberChange::Reconnect),
    Kind::Change(MemberChange::Close),
    Kind::Change(MemberChange::Cancel),
    Kind::Zombie(MemberChange::Claim),
    Kind::CommitAhead,
    Kind::CrashOfInbox,
    Kind::OutliveWithInbox,
    Kind::Republish,
    Kind::RepublishLater,
    Kind::RepublishPastClock,
    Kind::Change(MemberChange::Restart),
    Kind::Zombie(MemberChange::Restart),
    Kind::Change(MemberChange::ForgetAck),
    Kind::Change(MemberChange::Rewind),
    Kind::Change(MemberChange::Truncate),
    Kind::Change(MemberChange::ForgetCounts),
    Kind::Change(MemberChange::Redrive),
    Kind::Zombie(MemberChange::Close),
    Kind::Zombie(MemberChange::Cancel),
    Kind::Change(MemberChange::Compact),
    Kind::Lagging(MemberChange::Compact),
    Kind::Change(MemberChange::Expire),
    Kind::Lagging(MemberChange::Expire),
];

/// A kind of departure.
#[derive(Clone, Copy)]
enum Kind {
    Hold,
    /// It waits until the last timer has fired that fires without it.
    HoldPastTimer,
    /// It waits until the clock brings nothing about any more without it.
    HoldPastClock,
    Duplicate,
    /// The copy comes only at quiescence.
    DuplicateLater,
    LoseAck,
    /// The ack is lost, and the message comes again only at quiescence.
    LoseAckLater,
    /// The message comes again, for a lost ack or as a copy, when the clock brings nothing about any more.
    AgainPastClock,
    DelayAck,
    RunPast,
    Lose,
    Pause,
    /// It pauses until the clock brings nothing about any more.
    PausePastClock,
    SlowPublish,
    /// It publishes when the clock brings nothing about any more.
    SlowPublishPastClock,
    /// It pauses until its ack wait has ended and the next attempt was handled.
    Outlive,
    Crash(Window),
    Change(MemberChange),
    /// The change happens while the handler is at work, which goes on until nothing else happens.
    Zombie(MemberChange),
    /// The change happens when the group is far behind: after what waited until nothing else happened.
    Lagging(MemberChange),
    /// What was handed to a member is committed, which then crashes before it saves.
    CommitAhead,
    /// A member crashes before it saves, with others in its inbox.
    CrashOfInbox,
    /// [`Kind::Outlive`], with others in the inbox whose waits end as well.
    OutliveWithInbox,
    Republish,
    /// What is published is published once more when nothing else can happen.
    RepublishLater,
    /// The same, when the clock has moved as far as it does.
    RepublishPastClock,
    Answer(AnswerFault),
}

/// How many messages are fetched with another one.
const FETCHED: u8 = 2;

/// Something a handler runs for in the calm run, or a join.
struct Happening {
    target: Target,
    /// The service whose member handles it; none handles a join.
    service: Option<String>,
    may_pause: bool,
    /// To how many awaits its handler came, if it is an `async fn`.
    awaits: u8,
    /// Whether it published something, and others could have come between that and its saves.
    may_publish_late: bool,
    may_crash: bool,
    changes: MemberChanges,
    /// Whether it is a message that was not acked.
    is_refused: bool,
    /// Whether its group has dead letters when it is done.
    leaves_dead: bool,
    /// Whether it committed before it was done.
    commits: bool,
    /// Whether it asked another service.
    asks: bool,
}

impl Singles {
    /// Plays the calm run of a simulation, and, where services arm timers in it, what the clock brings about
    /// while something waits.
    pub(super) fn of<S: System>(
        simulation: &Simulation<S>,
        judges: &Judges<S>,
        limits: Limits,
        faults: &FaultPlan,
    ) -> Singles {
        let mut happenings = Happenings::default();
        let mut calm = Departing::new(Vec::new());
        let calm = run(&mut simulation.world(), &mut calm, judges, limits, &mut happenings);
        let clock = Clock::new(simulation, limits, &calm);
        let Happenings { all, has_timers, .. } = happenings;
        // What waits behind the clock waits as what waits for quiescence does, but for its end.
        let behind = |kind: Kind| {
            let wanted = has_timers && kind.is_in(faults);
            let ends = all.iter().map(|what| kind.of(what, simulation.profile()).filter(|_| wanted));
            ends.map(|waiting| Some((clock.ends_of(waiting.as_deref()?)?, waiting?))).collect::<Vec<_>>()
        };
        let again = if Kind::LoseAck.is_in(faults) { Kind::LoseAckLater } else { Kind::DuplicateLater };
        let (held, paused, again) = (behind(Kind::Hold), behind(Kind::Pause), behind(again));
        let (slow, republished) = (behind(Kind::SlowPublish), behind(Kind::RepublishLater));
        let past = |waiting: &[Option<(Ends, Vec<Departure>)>], end: fn(&Ends) -> Option<&Target>| {
            let past = waiting.iter().flatten().filter_map(|(ends, waiting)| Some(ended_by(waiting, end(ends)?)));
            past.collect::<Vec<_>>()
        };
        let departures = KINDS.into_iter().filter(|kind| kind.is_in(faults)).flat_map(|kind| match kind {
            Kind::HoldPastTimer => past(&held, Ends::timer),
            Kind::HoldPastClock => past(&held, Ends::behind_timer),
            Kind::PausePastClock => past(&paused, Ends::last),
            Kind::SlowPublishPastClock => past(&slow, Ends::last),
            Kind::RepublishPastClock => past(&republished, Ends::last),
            Kind::AgainPastClock => past(&again, Ends::last),
            Kind::Pause => all.iter().flat_map(|what| pauses(what, simulation.profile())).collect(),
            kind => all.iter().filter_map(|what| kind.of(what, simulation.profile())).collect(),
        });
        Singles { calm, departures: departures.collect() }
    }
}

/// The same departures, of which the last waits for this.
fn ended_by(waiting: &[Departure], end: &Target) -> Vec<Departure> {
    let mut waiting = waiting.to_vec();
    if let Some(last) = waiting.pop() {
        waiting.push(last.ended_by(Some(end.clone())));
    }
    waiting
}

/// Observes what can be departed from.
#[derive(Default)]
struct Happenings {
    all: Vec<Happening>,
    /// Whether a service armed a timer.
    has_timers: bool,
    /// What goes on in the step that is taken.
    goes_on: Option<Target>,
}

impl<S: System> Observer<S> for Happenings {
    fn before(&mut self, world: &World<S>, action: Action) {
        self.has_timers |= world.timers_armed() > 0;
        self.goes_on = world.goes_on(action).then(|| world.target(action)).flatten();
        if world.goes_on(action) {
            return;
        }
        let chosen = world.chosen(action);
        let may_pause = chosen.is_some_and(|chosen| chosen.may_pause);
        let may_publish_late = chosen.is_some_and(|chosen| chosen.may_publish_late);
        let may_crash = chosen.is_some_and(|chosen| chosen.may_crash);
        let changes = chosen.map(|chosen| chosen.changes).unwrap_or_default();
        let target = world.target(action);
        let is_met = |target: &Target| {
            matches!(target, Target::Delivery(_) | Target::Command(_) | Target::Timer(_) | Target::Join(_))
        };
        let may_ask = chosen.is_some_and(|chosen| chosen.may_ask);
        let (service, awaits, commits, is_refused, leaves_dead) = (None, 0, false, false, false);
        let happening = |target| Happening {
            target,
            service,
            may_pause,
            awaits,
            may_publish_late,
            may_crash,
            commits,
            asks: may_ask,
            is_refused,
            leaves_dead,
            changes,
        };
        self.all.extend(target.filter(is_met).map(happening));
    }

    fn after(&mut self, world: &World<S>, step: &Step) {
        let goes_on = self.goes_on.take();
        let place = match &goes_on {
            Some(what) => self.all.iter().rposition(|happening| happening.target == *what),
            None => self.all.len().checked_sub(1),
        };
        if let (Some(actor), Some(last)) = (step.actor, place.and_then(|place| self.all.get_mut(place))) {
            last.service.get_or_insert_with(|| world.service_name(actor.service).to_owned());
            if step.works() {
                // What comes of it shows when it is done.
                return;
            }
            last.awaits = step.awaits;
            last.may_publish_late &= !step.published.is_empty();
            last.commits = world.committed_between();
            last.asks &= step.asks();
            last.is_refused |= step.delivery.is_some() && step.acked().is_none();
            last.leaves_dead |= step.delivery.is_some_and(|index| world.broker().has_dead_of(index));
        }
    }
}

impl Kind {
    /// Whether a run with these faults may meet it.
    fn is_in(self, faults: &FaultPlan) -> bool {
        let mut faults = *faults;
        let rate = match self {
            Kind::Hold | Kind::HoldPastTimer | Kind::HoldPastClock => return true,
            Kind::AgainPastClock => return Kind::LoseAck.is_in(&faults) || Kind::Duplicate.is_in(&faults),
            Kind::Duplicate | Kind::DuplicateLater => faults.duplicate,
            Kind::LoseAck | Kind::LoseAckLater => faults.lose_ack,
            Kind::DelayAck | Kind::RunPast => faults.delay_ack,
            Kind::Lose => faults.lose_message,
            Kind::Pause | Kind::PausePastClock | Kind::Outlive => faults.pause,
            Kind::SlowPublish | Kind::SlowPublishPastClock => faults.slow_publish,
            Kind::Crash(Window::BetweenSaves) => faults.crash_between_saves,
            Kind::Crash(_) => faults.crash,
            Kind::Change(change) | Kind::Zombie(change) | Kind::Lagging(change) => *faults.of_change(change),
            Kind::CommitAhead => *faults.of_change(MemberChange::CommitAhead),
            Kind::CrashOfInbox | Kind::OutliveWithInbox => faults.fetch,
            Kind::RepublishLater | Kind::RepublishPastClock if !Kind::SlowPublish.is_in(&faults) => return false,
            Kind::Republish | Kind::RepublishLater | Kind::RepublishPastClock => faults.republish,
            Kind::Answer(fault) => *faults.of_answer(fault),
        };
        !rate.ratio.is_never() && rate.most > 0
    }

    /// The departure of this kind from something, if it can be departed from so with this broker.
    fn of(self, what: &Happening, profile: &Profile) -> Option<Vec<Departure>> {
        let Happening { target, service, may_pause, may_publish_late, may_crash, commits, asks, changes, .. } = what;
        let leaves_dead = what.leaves_dead;
        let (target, until) = (target.clone(), None);
        let one = |departure| Some(vec![departure]);
        match (self, &target) {
            (Kind::Hold, Target::Timer(_)) => None,
            (Kind::Hold, _) => one(Departure::Hold { what: target, until }),
            (Kind::Pause, _) => one(Departure::Pause { what: target, until }).filter(|_| *may_pause),
            (Kind::SlowPublish, _) => one(Departure::SlowPublish { what: target, until }).filter(|_| *may_publish_late),
            (Kind::Outlive, Target::Delivery(delivery)) if *may_pause => outliving(delivery, profile),
            (Kind::Crash(_), _) if !may_crash => None,
            (Kind::Crash(Window::BetweenSaves), _) if !commits => None,
            // What has no ack has no window behind it.
            (Kind::Crash(Window::AfterAck), Target::Command(_) | Target::Timer(_)) => None,
            (Kind::Crash(window), _) => one(Departure::Crash { service: service.clone()?, window, what: target }),
            (Kind::Duplicate, Target::Delivery(delivery)) => one(Departure::Duplicate(delivery.clone())),
            (Kind::DuplicateLater, Target::Delivery(delivery)) => {
                Some(vec![Departure::Duplicate(delivery.clone()), next_attempt_held(delivery)])
            }
            (Kind::LoseAckLater, Target::Delivery(delivery)) => {
                Some(vec![Departure::LoseAck(delivery.clone()), next_attempt_held(delivery)])
            }
            (Kind::LoseAck, Target::Delivery(delivery)) => one(Departure::LoseAck(delivery.clone())),
            (Kind::DelayAck, Target::Delivery(delivery)) => one(Departure::DelayAck { what: delivery.clone(), until }),
            (Kind::RunPast, Target::Delivery(delivery)) => one(Departure::RunPast(delivery.clone())),
            (Kind::Lose, Target::Delivery(delivery)) => one(Departure::Lose(delivery.clone())),
            // It counts from zero when it comes again.
            (Kind::Change(MemberChange::ForgetCounts), _) if !what.is_refused => None,
            (Kind::Change(MemberChange::Redrive), _) if !leaves_dead => None,
            (Kind::Change(change), Target::Delivery(delivery)) if changes.has(change) => {
                one(Departure::MemberChange { change, what: delivery.clone() })
            }
            (Kind::Zombie(change), Target::Delivery(delivery)) if changes.has(change) && *may_pause => {
                let change = Departure::MemberChange { change, what: delivery.clone() };
                Some(vec![Departure::Pause { what: target, until }, change])
            }
            (Kind::Lagging(change), Target::Delivery(delivery)) if changes.has(change) => {
                let change = Departure::MemberChange { change, what: delivery.clone() };
                Some(vec![Departure::Hold { what: target, until }, change])
            }
            (Kind::CommitAhead, Target::Delivery(delivery)) if changes.has(MemberChange::CommitAhead) => {
                let ahead = Departure::MemberChange { change: MemberChange::CommitAhead, what: delivery.clone() };
                Some(vec![ahead, crash_before_save(service.clone()?, target)])
            }
            (Kind::CrashOfInbox, Target::Delivery(delivery)) if changes.fetches() => {
                let fetch = Departure::Fetch { inbox: FETCHED, what: delivery.clone() };
                Some(vec![fetch, crash_before_save(service.clone()?, target)])
            }
            (Kind::OutliveWithInbox, Target::Delivery(delivery)) if changes.fetches() && *may_pause => {
                let fetch = Departure::Fetch { inbox: FETCHED, what: delivery.clone() };
                let outliving = outliving(delivery, profile)?;
                Some(std::iter::once(fetch).chain(outliving.into_iter().take(1)).collect())
            }
            (Kind::Answer(fault), _) => one(Departure::Answer { fault, what: target }).filter(|_| *asks),
            (Kind::Republish, Target::Delivery(_) | Target::Command(_) | Target::Timer(_))
                if profile.dedup_window == Dedup::None =>
            {
                one(Departure::Republish(target))
            }
            (Kind::RepublishLater, Target::Delivery(_) | Target::Command(_)) if *may_publish_late => {
                Some(vec![Departure::Republish(target.clone()), Departure::SlowPublish { what: target, until }])
            }
            _ => None,
        }
    }
}

/// The pauses of what may pause: of an `async fn` one at each of its awaits.
fn pauses(what: &Happening, profile: &Profile) -> Vec<Vec<Departure>> {
    let handled = Box::new(what.target.clone());
    let at = |place| Departure::Pause { what: Target::Await { what: handled.clone(), place }, until: None };
    match what.awaits {
        0 => Kind::Pause.of(what, profile).into_iter().collect(),
        _ if !what.may_pause => Vec::new(),
        awaits => (1..=awaits).map(|place| vec![at(place)]).collect(),
    }
}

fn crash_before_save(service: String, what: Target) -> Departure {
    Departure::Crash { service, window: Window::BeforeSave, what }
}

/// The next attempt waits for quiescence.
fn next_attempt_held(delivery: &DeliverySpec) -> Departure {
    Departure::Hold { what: Target::Delivery(delivery.clone().again()), until: None }
}

/// The handler is slower than the broker waits for its answer, and, if the broker delivers the message once
/// more then, than that takes as well. Where the broker does not wait, all pauses are that long.
fn outliving(delivery: &DeliverySpec, profile: &Profile) -> Option<Vec<Departure>> {
    profile.wait_for(delivery.attempt).filter(|wait| !wait.is_zero())?;
    let comes_again = match profile.max_deliver {
        MaxDeliver::Unlimited => true,
        MaxDeliver::Times { times, .. } => delivery.attempt < times,
    };
    let paused = |until| Departure::Pause { what: Target::Delivery(delivery.clone()), until: Some(until) };
    let again = comes_again.then(|| paused(Target::Delivery(delivery.clone().again())));
    Some([paused(Target::AckWait(delivery.clone()))].into_iter().chain(again).collect())
}
