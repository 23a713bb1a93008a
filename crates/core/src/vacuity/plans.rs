//! Faults of a plan that cannot fall on anything, or fell on nothing.

use super::occurred::Occurred;
use super::{FEW_RUNS, Kind, Vacuous};
use crate::broker::{Dedup, Limit, MaxDeliver, Profile};
use crate::event::System;
use crate::faults::{FaultPlan, MemberChange, Rate};
use crate::simulation::Simulation;

/// Why no handler of a simulation can pause, if none can.
#[must_use]
pub fn pauses_nowhere<S: System>(simulation: &Simulation<S>) -> Option<&'static str> {
    let none = simulation.inner.services.iter().all(|hosted| !hosted.pauses.contains(&true));
    none.then_some("no service has several members or `overlapping = true`")
}

/// Why nothing comes between the saves and the publishes of any handler, if that is so.
fn publishes_late_nowhere<S: System>(simulation: &Simulation<S>) -> Option<String> {
    let mut services = simulation.inner.services.iter();
    let why = "each service publishes before it saves, or has one member that saves and publishes in one go \
         (`PublishMode::DualWrite`)";
    services.all(|hosted| !hosted.publishes_late.contains(&true)).then(|| why.to_owned())
}

/// That the broker knows what is published once more right after the first time, if it does.
pub(super) fn recognised_at_once(profile: &Profile) -> Option<String> {
    let Profile { name, dedup_window, .. } = profile;
    (*dedup_window != Dedup::None)
        .then(|| format!("`{name}` recognises what comes once more at once (`dedup = \"{dedup_window}\"`)"))
}

/// A kind of fault, by the names of the plan's fields.
struct Fault {
    name: &'static str,
    rate: Rate,
    /// How often it happened.
    times: u64,
    /// Whether it falls on deliveries alone.
    of_deliveries: bool,
}

fn faults(plan: &FaultPlan, occurred: &Occurred) -> [Fault; 19] {
    let counts = &occurred.counts;
    let fault = |name, rate, times, of_deliveries| Fault { name, rate, times, of_deliveries };
    [
        fault("lose_ack", plan.lose_ack, counts.acks_lost, true),
        fault("delay_ack", plan.delay_ack, counts.acks_late, true),
        fault("duplicate", plan.duplicate, counts.duplicates, true),
        fault("crash", plan.crash, counts.crashes, false),
        fault("pause", plan.pause, counts.pauses, false),
        fault("lose_message", plan.lose_message, counts.messages_lost, true),
        fault("fetch", plan.fetch, counts.fetches, true),
        fault("member_change", plan.change, counts.member_changes, true),
        fault("broker_failure", plan.broker_failure, counts.broker_failures, true),
        fault("truncate", plan.truncate, counts.truncations, true),
        fault("forget_counts", plan.forget_counts, counts.counts_forgotten, true),
        fault("redrive", plan.redrive, counts.redrives, true),
        fault("compact", plan.compact, counts.compactions, true),
        fault("expire", plan.expire, counts.expirations, true),
        fault("publish_twice", plan.republish, counts.republished, false),
        fault("slow_publish", plan.slow_publish, counts.slow_publishes, false),
        fault("crash_between_saves", plan.crash_between_saves, counts.crashes_between_saves, false),
        fault("stale_answer", plan.stale_answer, counts.stale_answers, false),
        fault("no_answer", plan.no_answer, counts.no_answers, false),
    ]
}

/// What is known of a plan before anything runs.
pub(super) fn foreseen<S: System>(simulation: &Simulation<S>, plan: &FaultPlan) -> Vec<Vacuous> {
    let wanted = faults(plan, &Occurred::default()).into_iter().filter(|fault| !fault.rate.ratio.is_never());
    let idle = wanted.filter_map(|fault| {
        let reason = cannot(simulation, plan, &fault)?;
        Some(Vacuous::new(Kind::IdleFault, fault.name, reason))
    });
    idle.chain(out_of_reach(simulation, plan)).collect()
}

/// What of a plan happened in no run.
pub(super) fn found<S: System>(simulation: &Simulation<S>, plan: &FaultPlan, occurred: &Occurred) -> Vec<Vacuous> {
    let handled = occurred.counts.commands + occurred.counts.deliveries;
    let wanted = faults(plan, occurred).into_iter().filter(|fault| !fault.rate.ratio.is_never());
    let idle = wanted.filter_map(|fault| {
        let by_chance = || {
            // With few runs that is chance.
            let expected = fault.rate.ratio.of(handled) / if plan.swarm { 2 } else { 1 };
            let is_few = plan.swarm && occurred.runs < FEW_RUNS;
            let why = format!("it fell on nothing in {} runs with {handled} commands and deliveries", occurred.runs);
            (fault.times == 0 && expected >= EXPECTED_MIN && !is_few).then_some(why)
        };
        let recognised = || all_recognised(simulation, &fault, occurred);
        let reason = cannot(simulation, plan, &fault).or_else(recognised).or_else(by_chance)?;
        Some(Vacuous::new(Kind::IdleFault, fault.name, reason))
    });
    let unreached = out_of_reach(simulation, plan).filter(|_| occurred.counts.given_up == 0);
    idle.chain(unreached).collect()
}

/// That the broker had already all that was published once more.
fn all_recognised<S: System>(simulation: &Simulation<S>, fault: &Fault, occurred: &Occurred) -> Option<String> {
    let (times, profile) = (occurred.counts.recognised, simulation.profile());
    (fault.name == "publish_twice" && fault.times == 0 && times > 0).then(|| {
        format!("`{}` recognised it each time, {times} times (`dedup = \"{}\"`)", profile.name, profile.dedup_window)
    })
}

/// How often a fault should have happened before it is said that it never did.
const EXPECTED_MIN: u64 = 30;

/// Why a fault cannot fall on anything.
fn cannot<S: System>(simulation: &Simulation<S>, plan: &FaultPlan, fault: &Fault) -> Option<String> {
    let (inner, profile) = (&simulation.inner, simulation.profile());
    if fault.rate.most == 0 {
        return Some("it may happen at most 0 times".to_owned());
    }
    if plan.attempts_max == 0 && fault.name != "lose_message" {
        return Some("faults fall on the first 0 attempts only".to_owned());
    }
    if fault.of_deliveries && inner.groups.is_empty() {
        return Some("nothing is delivered: no service listens to a subject".to_owned());
    }
    let unlimited = profile.max_in_flight.limit == Limit::Unlimited;
    match fault.name {
        "pause" => pauses_nowhere(simulation).map(str::to_owned),
        "fetch" | "member_change" | "broker_failure" | "truncate" | "forget_counts" | "redrive" | "compact"
        | "expire"
            if profile.engine.is_none() =>
        {
            Some(format!(
                "members have no inboxes and do not change on `{}` as its parameters say it: an engine plays it with \
                 `engine = true` beside the profile",
                profile.name
            ))
        }
        "forget_counts" if !profile.changes().has(MemberChange::ForgetCounts) => {
            let keeps = || format!("`{}` counts on when it fails, or does not count", profile.name);
            Some(profile.why_not(MemberChange::ForgetCounts).unwrap_or_else(keeps))
        }
        "redrive" => profile.why_not(MemberChange::Redrive),
        "truncate" if !profile.changes().has(MemberChange::Truncate) => {
            Some(format!("`{}` keeps what was published when it fails", profile.name))
        }
        "compact" if !profile.changes().has(MemberChange::Compact) => {
            Some(format!("`{}` has no log that could be compacted", profile.name))
        }
        "expire" if !profile.changes().has(MemberChange::Expire) => {
            Some(format!("`{}` keeps a message until it is done with it", profile.name))
        }
        "slow_publish" => publishes_late_nowhere(simulation),
        "publish_twice" if plan.slow_publish.ratio.is_never() => {
            let recognised = recognised_at_once(profile)?;
            Some(format!("{recognised}: draw `slow_publish` as well, so that it comes later"))
        }
        "stale_answer" | "no_answer" if !inner.has_askers => {
            Some("no service asks another one (`Service::asks`)".to_owned())
        }
        "delay_ack" if profile.ack_wait.is_empty() && unlimited && !profile.release_on.crash => {
            Some("the broker has no ack wait and no limit in flight, so it waits for no ack".to_owned())
        }
        _ => None,
    }
}

/// That the faults of a plan do not reach the broker's limit of attempts.
fn out_of_reach<S: System>(simulation: &Simulation<S>, plan: &FaultPlan) -> Option<Vacuous> {
    let MaxDeliver::Times { times, .. } = simulation.profile().max_deliver else { return None };
    let fails = [plan.lose_ack, plan.delay_ack, plan.crash, plan.pause].into_iter().any(|rate| !rate.ratio.is_never());
    (fails && times > plan.attempts_max).then(|| {
        let attempts = plan.attempts_max;
        let reason = format!(
            "faults fall on the first {attempts} attempts of a message, so it is given up only if handlers refuse it \
             {times} times: let faults fall on {times} attempts"
        );
        Vacuous::new(Kind::UnreachableMaxDeliver, times.to_string(), reason)
    })
}
