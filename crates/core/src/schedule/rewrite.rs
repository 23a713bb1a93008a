//! Departures made of others.

use super::{CommandSpec, DeliverySpec, Departure, Target};

impl Target {
    /// What a handler runs for or what joins, of which it is the ack, the ack wait or the pause, at its first attempt.
    #[must_use]
    pub(crate) fn handled(&self) -> Target {
        match self {
            Target::Pause(what) | Target::Await { what, .. } | Target::Start(what) | Target::Publish(what) => {
                what.handled()
            }
            Target::Ack(delivery) | Target::AckWait(delivery) => {
                Target::Delivery(DeliverySpec { attempt: 1, ..delivery.clone() })
            }
            other => other.clone().at_first_attempt(),
        }
    }

    /// The same of something else: its pause, its ack, its ack wait, its attempt. The same as it is if that
    /// has none.
    #[must_use]
    pub(crate) fn of(&self, what: &Target) -> Target {
        let again = |attempt: u16| match what {
            Target::Delivery(delivery) => Some(DeliverySpec { attempt, ..delivery.clone() }),
            _ => None,
        };
        let instead = match self {
            Target::Pause(inner) => Some(Target::Pause(Box::new(inner.of(what)))),
            Target::Await { what: inner, place } => {
                Some(Target::Await { what: Box::new(inner.of(what)), place: *place })
            }
            Target::Start(inner) => Some(Target::Start(Box::new(inner.of(what)))),
            Target::Publish(inner) => Some(Target::Publish(Box::new(inner.of(what)))),
            Target::Ack(delivery) => again(delivery.attempt).map(Target::Ack),
            Target::AckWait(delivery) => again(delivery.attempt).map(Target::AckWait),
            Target::Delivery(delivery) => again(delivery.attempt).map(Target::Delivery).or_else(|| Some(what.clone())),
            Target::Command(_) | Target::Timer(_) | Target::Join(_) => Some(what.clone()),
        };
        instead.unwrap_or_else(|| self.clone())
    }

    /// The same of the first attempt.
    #[must_use]
    pub(crate) fn at_first_attempt(self) -> Target {
        let first = |delivery: DeliverySpec| DeliverySpec { attempt: 1, ..delivery };
        match self {
            Target::Delivery(delivery) => Target::Delivery(first(delivery)),
            Target::Ack(delivery) => Target::Ack(first(delivery)),
            Target::AckWait(delivery) => Target::AckWait(first(delivery)),
            Target::Pause(what) => Target::Pause(Box::new(what.at_first_attempt())),
            Target::Await { what, place } => Target::Await { what: Box::new(what.at_first_attempt()), place },
            Target::Start(what) => Target::Start(Box::new(what.at_first_attempt())),
            Target::Publish(what) => Target::Publish(Box::new(what.at_first_attempt())),
            other @ (Target::Command(_) | Target::Timer(_) | Target::Join(_)) => other,
        }
    }

    /// The command it is about.
    fn command(&mut self) -> Option<&mut CommandSpec> {
        match self {
            Target::Command(command) => Some(command),
            Target::Pause(what) | Target::Await { what, .. } | Target::Start(what) | Target::Publish(what) => {
                what.command()
            }
            Target::Delivery(_) | Target::Timer(_) | Target::Ack(_) | Target::AckWait(_) | Target::Join(_) => None,
        }
    }
}

impl Departure {
    /// Its kind of departure for another delivery or command, which this service handles; `None` if
    /// that kind is not for it.
    #[must_use]
    pub(crate) fn about(self, what: &Target, service: &str) -> Option<Departure> {
        let delivery = match what {
            Target::Delivery(delivery) => Some(delivery.clone()),
            _ => None,
        };
        let what = what.clone();
        match self {
            Departure::Hold { what: Target::Join(_), .. } => None,
            Departure::Hold { until, .. } => Some(Departure::Hold { what, until }),
            Departure::Pause { what: Target::Await { place, .. }, until } => {
                Some(Departure::Pause { what: Target::Await { what: Box::new(what), place }, until })
            }
            Departure::Pause { until, .. } => Some(Departure::Pause { what, until }),
            Departure::SlowPublish { until, .. } => Some(Departure::SlowPublish { what, until }),
            Departure::Crash { window, .. } => Some(Departure::Crash { service: service.to_owned(), window, what }),
            Departure::Duplicate(_) => delivery.map(Departure::Duplicate),
            Departure::Lose(_) => delivery.map(Departure::Lose),
            Departure::LoseAck(_) => delivery.map(Departure::LoseAck),
            Departure::RunPast(_) => delivery.map(Departure::RunPast),
            Departure::DelayAck { until, .. } => delivery.map(|what| Departure::DelayAck { what, until }),
            Departure::Fetch { inbox, .. } => delivery.map(|what| Departure::Fetch { inbox, what }),
            Departure::MemberChange { change, .. } => delivery.map(|what| Departure::MemberChange { change, what }),
            Departure::Republish(_) => Some(Departure::Republish(what)),
            Departure::Answer { fault, .. } => Some(Departure::Answer { fault, what }),
        }
    }

    /// The same with the first attempt of each delivery it names.
    #[must_use]
    pub(crate) fn at_first_attempt(mut self) -> Departure {
        match &mut self {
            Departure::Hold { what, .. }
            | Departure::Pause { what, .. }
            | Departure::Republish(what)
            | Departure::Answer { what, .. }
            | Departure::SlowPublish { what, .. }
            | Departure::Crash { what, .. } => *what = what.clone().at_first_attempt(),
            Departure::DelayAck { what, .. }
            | Departure::Duplicate(what)
            | Departure::Lose(what)
            | Departure::LoseAck(what)
            | Departure::Fetch { what, .. }
            | Departure::MemberChange { what, .. }
            | Departure::RunPast(what) => what.attempt = 1,
        }
        let until = self.until().cloned().map(Target::at_first_attempt);
        self.ended_by(until)
    }

    /// Lets `change` see each command it names.
    pub fn each_command(&mut self, mut change: impl FnMut(&mut CommandSpec)) {
        let (what, until) = match self {
            Departure::Hold { what, until }
            | Departure::Pause { what, until }
            | Departure::SlowPublish { what, until } => (Some(what), until.as_mut()),
            Departure::DelayAck { until, .. } => (None, until.as_mut()),
            Departure::Crash { what, .. } | Departure::Republish(what) | Departure::Answer { what, .. } => {
                (Some(what), None)
            }
            Departure::Duplicate(_)
            | Departure::Lose(_)
            | Departure::LoseAck(_)
            | Departure::Fetch { .. }
            | Departure::MemberChange { .. }
            | Departure::RunPast(_) => return,
        };
        what.into_iter().chain(until).filter_map(Target::command).for_each(&mut change);
    }
}
