//! Single departures: every way to depart from the calm run once.

use crate::event::System;
use crate::faults::{FaultPlan, Window};
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
/// twice, then what is half done, last what hardly ever matters.
const KINDS: [Kind; 13] = [
    Kind::Hold,
    Kind::Duplicate,
    Kind::LoseAck,
    Kind::Crash(Window::BeforePublish),
    Kind::Pause,
    Kind::LoseAckLater,
    Kind::DuplicateLater,
    Kind::Crash(Window::BeforeAck),
    Kind::Lose,
    Kind::DelayAck,
    Kind::RunPast,
    Kind::Crash(Window::BeforeSave),
    Kind::Crash(Window::AfterAck),
];

/// A kind of departure.
#[derive(Clone, Copy)]
enum Kind {
    Hold,
    Duplicate,
    /// The copy comes only at quiescence.
    DuplicateLater,
    LoseAck,
    /// The ack is lost, and the message comes again only at quiescence.
    LoseAckLater,
    DelayAck,
    RunPast,
    Lose,
    Pause,
    Crash(Window),
}

/// Something a handler runs for in the calm run, or a join.
struct Happening {
    target: Target,
    /// The service whose member handles it; none handles a join.
    service: Option<String>,
    may_pause: bool,
    may_crash: bool,
}

impl Singles {
    /// Plays the calm run of a simulation.
    pub(super) fn of<S: System>(
        simulation: &Simulation<S>,
        judges: &Judges<S>,
        limits: Limits,
        faults: &FaultPlan,
    ) -> Singles {
        let mut happenings = Happenings::default();
        let mut calm = Departing::new(Vec::new());
        let calm = run(&mut simulation.world(), &mut calm, judges, limits, &mut happenings);
        let kinds = KINDS.into_iter().filter(|kind| kind.is_in(faults));
        let departures = kinds.flat_map(|kind| happenings.all.iter().filter_map(move |what| kind.of(what)));
        Singles { calm, departures: departures.collect() }
    }
}

/// Observes what can be departed from.
#[derive(Default)]
struct Happenings {
    all: Vec<Happening>,
}

impl<S: System> Observer<S> for Happenings {
    fn before(&mut self, world: &World<S>, action: Action) {
        if matches!(action, Action::Resume(_) | Action::Ack(_)) {
            return;
        }
        let chosen = world.chosen(action);
        let may_pause = chosen.is_some_and(|chosen| chosen.may_pause);
        let may_crash = chosen.is_some_and(|chosen| chosen.may_crash);
        let target = world.target(action);
        let is_met = |target: &Target| {
            matches!(target, Target::Delivery(_) | Target::Command(_) | Target::Timer(_) | Target::Join(_))
        };
        let happening = |target| Happening { target, service: None, may_pause, may_crash };
        self.all.extend(target.filter(is_met).map(happening));
    }

    fn after(&mut self, world: &World<S>, step: &Step) {
        if let (Some(actor), Some(last)) = (step.actor, self.all.last_mut()) {
            last.service.get_or_insert_with(|| world.service_name(actor.service).to_owned());
        }
    }
}

impl Kind {
    /// Whether a run with these faults may meet it.
    fn is_in(self, faults: &FaultPlan) -> bool {
        let rate = match self {
            Kind::Hold => return true,
            Kind::Duplicate | Kind::DuplicateLater => faults.duplicate,
            Kind::LoseAck | Kind::LoseAckLater => faults.lose_ack,
            Kind::DelayAck | Kind::RunPast => faults.delay_ack,
            Kind::Lose => faults.lose_message,
            Kind::Pause => faults.pause,
            Kind::Crash(_) => faults.crash,
        };
        !rate.ratio.is_never() && rate.most > 0
    }

    /// The departure of this kind from something, if it can be departed from so.
    fn of(self, what: &Happening) -> Option<Vec<Departure>> {
        let Happening { target, service, may_pause, may_crash } = what;
        let (target, until) = (target.clone(), None);
        let one = |departure| Some(vec![departure]);
        match (self, &target) {
            (Kind::Hold, Target::Timer(_)) => None,
            (Kind::Hold, _) => one(Departure::Hold { what: target, until }),
            (Kind::Pause, _) => one(Departure::Pause { what: target, until }).filter(|_| *may_pause),
            (Kind::Crash(_), _) if !may_crash => None,
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
            _ => None,
        }
    }
}

/// The next attempt waits for quiescence.
fn next_attempt_held(delivery: &DeliverySpec) -> Departure {
    let next = DeliverySpec { attempt: delivery.attempt + 1, ..delivery.clone() };
    Departure::Hold { what: Target::Delivery(next), until: None }
}
