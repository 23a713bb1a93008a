//! Which brokers, of those that engines know, the fake broker can be; and why not the others.

use std::time::Duration;

use super::profile::{
    AckMode, Dedup, Dispatch, Exhausted, Granularity, InFlight, Limit, MaxDeliver, Ordering, Profile, RedeliverAt,
    ReleaseOn, Scope, Stale,
};
use crate::engine::{self, How, Place, QueueOrder, QueueRules, Rules, WindowOf};

impl Profile {
    /// The fake broker as this broker is.
    ///
    /// # Errors
    /// Why it cannot be: which of the broker's rules it does not have.
    pub fn of(broker: &engine::Profile) -> Result<Profile, &'static str> {
        match &broker.rules {
            Rules::Queue(rules) => of_queue(broker.name, rules),
            Rules::Offsets(_) => Err("it has no offsets"),
            Rules::Keyed(_) => Err("it has no keys that block"),
            Rules::Push(_) => Err("it does not push to endpoints"),
        }
    }
}

fn of_queue(name: &'static str, rules: &QueueRules) -> Result<Profile, &'static str> {
    if rules.exclusive {
        return Err("the owner of a queue never changes");
    }
    if rules.cumulative {
        return Err("an ack is for one message");
    }
    if rules.claims {
        return Err("no member takes over what another one has");
    }
    if rules.naks && rules.on_nak != rules.on_timeout || rules.on_loss != rules.on_timeout {
        return Err("what is refused and what is lost come back to the same place");
    }
    let stale = match rules.stale {
        engine::Stale::Accept => Stale::Accept,
        engine::Stale::Reject => Stale::Reject,
        engine::Stale::Either => return Err("a late ack always counts or never does"),
    };
    let ordering = match rules.order {
        QueueOrder::Subscription => Ordering::Subscription,
        QueueOrder::Topic => Ordering::Log,
        QueueOrder::None => Ordering::None,
    };
    let scope = match rules.window_of {
        WindowOf::Member => Scope::Member,
        WindowOf::Group => Scope::Group,
    };
    Ok(Profile {
        name,
        ordering,
        reorder_window: if ordering == Ordering::None { Limit::Unlimited } else { Limit::Of(0) },
        dispatch: Dispatch::Competing,
        max_in_flight: InFlight { limit: rules.window, scope },
        ack: AckMode { granularity: Granularity::Individual, stale },
        ack_wait: rules.wait.iter().map(|wait| Duration::from_millis(wait.as_millis())).collect(),
        redeliver_at: match rules.on_timeout {
            Place::Front => RedeliverAt::Front,
            Place::Original => RedeliverAt::Original,
            Place::Back => RedeliverAt::Back,
            Place::Any => RedeliverAt::Any,
        },
        // Members do not close or cancel here.
        release_on: ReleaseOn { crash: rules.releases.contains(&How::Crash), ..ReleaseOn::NOTHING },
        max_deliver: match rules.deliveries {
            Limit::Unlimited => MaxDeliver::Unlimited,
            Limit::Of(times) => MaxDeliver::Times {
                times: u16::try_from(times).unwrap_or(u16::MAX),
                // Whatever becomes of it, nobody here gets it any more.
                action: Exhausted::DeadLetter,
            },
        },
        dedup_window: Dedup::None,
        naks: rules.naks,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profiles_that_ship_are_those_of_engines_that_the_fake_broker_can_be() {
        let can = |profile: &engine::Profile| profile.name != "stan" && Profile::of(profile).is_ok();
        let able: Vec<&str> = engine::Profile::all().iter().filter(|p| can(p)).map(|p| p.name).collect();
        assert_eq!(
            Profile::NAMES.split_first_chunk::<2>().map(|(own, rest)| (own, rest.to_vec())),
            Some((&["stan", "adversarial"], able))
        );
    }

    #[test]
    fn one_consumer_of_several_subjects_has_one_order() {
        let jetstream = Profile::named("jetstream").expect("it ships");
        assert_eq!((jetstream.ordering, jetstream.max_in_flight.scope), (Ordering::Subscription, Scope::Group));
        let quorum = Profile::named("rabbitmq-quorum").expect("it ships");
        assert_eq!(quorum.max_deliver, MaxDeliver::Times { times: 21, action: Exhausted::DeadLetter });
    }

    #[test]
    fn who_cannot_be_played_says_why() {
        let why = |name: &str| Profile::of(&engine::Profile::named(name).expect("it is there")).expect_err("it cannot");
        assert_eq!(why("kafka"), "it has no offsets");
        assert_eq!(why("sqs-fifo"), "it has no keys that block");
        assert_eq!(why("rabbitmq-quorum-3"), "what is refused and what is lost come back to the same place");
        assert_eq!(why("rabbitmq-single-active"), "the owner of a queue never changes");
        assert_eq!(why("sqs-standard"), "a late ack always counts or never does");
    }
}
