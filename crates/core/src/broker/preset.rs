//! Which of the brokers that engines know the parameters can say, and the others as their engines.

use std::sync::Arc;
use std::time::Duration;

use super::profile::{
    AckMode, Dedup, Dispatch, Exhausted, Granularity, InFlight, Limit, MaxDeliver, Ordering, Profile, RedeliverAt,
    ReleaseOn, Scope, Sees, Stale, Start,
};
use crate::engine::{self, How, KeyedRules, Place, QueueOrder, QueueRules, Rules, Then, Wait, WindowOf};

impl Profile {
    /// The fake broker as this broker is: by the parameters if they can say what it does, and else as its
    /// engine does.
    #[must_use]
    pub fn of(broker: &engine::Profile) -> Profile {
        match &broker.rules {
            Rules::Queue(rules) => match in_parameters(broker.name, rules) {
                Some(profile) => Profile { dedup_window: Dedup::of(broker.recognises), sees: broker.sees, ..profile },
                None => Profile::driven(broker),
            },
            _ => Profile::driven(broker),
        }
    }

    /// The fake broker on the engine of this broker. Of the parameters it has what comes nearest, for those
    /// who ask whether it keeps an order, waits, or gives up.
    #[must_use]
    pub fn driven(broker: &engine::Profile) -> Profile {
        let (wait, deliveries, then) = match &broker.rules {
            Rules::Queue(rules) => (rules.wait.as_slice(), rules.deliveries, rules.then),
            Rules::Offsets(rules) => {
                let attempts = rules.retries.map(|retries| Limit::Of(retries.attempts.get().into()));
                ([].as_slice(), attempts.unwrap_or(Limit::Unlimited), Then::DeadLetter)
            }
            Rules::Keyed(rules) => (rules.wait.as_slice(), rules.deliveries, rules.then),
            Rules::Push(rules) => (rules.timeout.as_slice(), rules.deliveries, rules.then),
        };
        let (ordering, naks) = match &broker.rules {
            Rules::Queue(QueueRules { order: QueueOrder::None, naks, .. }) => (Ordering::None, *naks),
            Rules::Queue(rules) => (Ordering::Log, rules.naks),
            Rules::Offsets(_) | Rules::Keyed(_) | Rules::Push(_) => (Ordering::None, true),
        };
        let stale = match &broker.rules {
            Rules::Queue(QueueRules { stale, .. }) | Rules::Keyed(KeyedRules { stale, .. }) => *stale,
            // A former owner cannot commit, and an endpoint answers a request.
            Rules::Offsets(_) | Rules::Push(_) => engine::Stale::Reject,
        };
        let mut engine = broker.clone();
        if let Rules::Queue(rules) = &mut engine.rules {
            // That a message comes once more is drawn, or said in a schedule.
            rules.copies = false;
        }
        Profile {
            name: broker.name,
            ordering,
            // How far deliveries overtake is up to the engine, and no one else's to know.
            reorder_window: Limit::Unlimited,
            dispatch: Dispatch::Competing,
            max_in_flight: InFlight { limit: Limit::Unlimited, scope: Scope::Group },
            ack: AckMode {
                granularity: Granularity::Individual,
                // What may count does.
                stale: if stale == engine::Stale::Reject { Stale::Reject } else { Stale::Accept },
            },
            ack_wait: durations(wait),
            redeliver_at: RedeliverAt::Any,
            release_on: ReleaseOn { crash: true, ..ReleaseOn::NOTHING },
            max_deliver: max_deliver(deliveries, then),
            dedup_window: Dedup::of(broker.recognises),
            naks,
            sees: broker.sees,
            start: Start::Earliest,
            engine: Some(Arc::new(engine)),
        }
    }
}

fn durations(waits: &[Wait]) -> Vec<Duration> {
    waits.iter().map(|wait| Duration::from_millis(wait.as_millis())).collect()
}

fn ordering(order: QueueOrder) -> Ordering {
    match order {
        QueueOrder::Subscription => Ordering::Subscription,
        QueueOrder::Topic => Ordering::Log,
        QueueOrder::None => Ordering::None,
    }
}

fn max_deliver(deliveries: Limit, then: Then) -> MaxDeliver {
    match deliveries {
        Limit::Unlimited => MaxDeliver::Unlimited,
        Limit::Of(times) => {
            let action = match then {
                Then::Drop => Exhausted::Drop,
                Then::Park => Exhausted::Park,
                Then::DeadLetter => Exhausted::DeadLetter,
            };
            MaxDeliver::Times { times: u16::try_from(times).unwrap_or(u16::MAX), action }
        }
    }
}

/// The parameters of a queue, if they can say what it does.
fn in_parameters(name: &'static str, rules: &QueueRules) -> Option<Profile> {
    let has_one_place = rules.on_loss == rules.on_timeout && (!rules.naks || rules.on_nak == rules.on_timeout);
    if rules.exclusive || rules.cumulative || rules.claims || !has_one_place {
        return None;
    }
    let stale = match rules.stale {
        engine::Stale::Accept => Stale::Accept,
        engine::Stale::Reject => Stale::Reject,
        engine::Stale::Either => return None,
    };
    let ordering = ordering(rules.order);
    let scope = match rules.window_of {
        WindowOf::Member => Scope::Member,
        WindowOf::Group => Scope::Group,
    };
    Some(Profile {
        name,
        ordering,
        reorder_window: if ordering == Ordering::None { Limit::Unlimited } else { Limit::Of(0) },
        dispatch: Dispatch::Competing,
        max_in_flight: InFlight { limit: rules.window, scope },
        ack: AckMode { granularity: Granularity::Individual, stale },
        ack_wait: durations(&rules.wait),
        redeliver_at: match rules.on_timeout {
            Place::Front => RedeliverAt::Front,
            Place::Original => RedeliverAt::Original,
            Place::Back => RedeliverAt::Back,
            Place::Any => RedeliverAt::Any,
        },
        // Members do not close or cancel here.
        release_on: ReleaseOn { crash: rules.releases.contains(&How::Crash), ..ReleaseOn::NOTHING },
        max_deliver: max_deliver(rules.deliveries, rules.then),
        dedup_window: Dedup::None,
        naks: rules.naks,
        sees: Sees::Count,
        start: Start::Earliest,
        engine: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_that_the_parameters_cannot_say_is_played_by_its_engine() {
        let driven = |name: &str| Profile::named(name).expect("it ships").engine.is_some();
        assert!(
            ["kafka", "sqs-fifo", "rabbitmq-quorum-3", "rabbitmq-single-active", "mqtt-qos1"]
                .map(driven)
                .iter()
                .all(|d| *d)
        );
        assert!(["stan", "jetstream", "rabbitmq-quorum", "adversarial"].map(driven).iter().all(|d| !*d));
    }

    #[test]
    fn one_consumer_of_several_subjects_has_one_order() {
        let jetstream = Profile::named("jetstream").expect("it ships");
        assert_eq!((jetstream.ordering, jetstream.max_in_flight.scope), (Ordering::Subscription, Scope::Group));
        let quorum = Profile::named("rabbitmq-quorum").expect("it ships");
        assert_eq!(quorum.max_deliver, MaxDeliver::Times { times: 21, action: Exhausted::Drop });
    }
}
