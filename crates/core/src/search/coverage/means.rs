//! What brings situations about: faults, and what the broker's rules allow.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Situation;
use crate::broker::{GroupSetup, MaxDeliver, Profile, Stale};
use crate::faults::{FaultPlan, Rate, Window};
use crate::schedule::Departure;

/// Which faults runs may meet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Means {
    lose_ack: bool,
    delay_ack: bool,
    duplicate: bool,
    pause: bool,
    lose_message: bool,
    /// The windows in which members may crash.
    crash: Vec<Window>,
}

impl Means {
    /// What a plan may draw.
    #[must_use]
    pub fn of_plan(plan: &FaultPlan) -> Means {
        let can = |rate: Rate| rate.most > 0 && !rate.ratio.is_never();
        // Faults fall on the first attempts only, and on none if there are none of those.
        let may = |rate: Rate| plan.attempts_max > 0 && can(rate);
        Means {
            lose_ack: may(plan.lose_ack),
            delay_ack: may(plan.delay_ack),
            duplicate: may(plan.duplicate),
            pause: may(plan.pause),
            lose_message: can(plan.lose_message),
            crash: if may(plan.crash) { Window::ALL.to_vec() } else { Vec::new() },
        }
    }

    /// What a schedule does.
    #[must_use]
    pub fn of_schedule(schedule: &[Departure]) -> Means {
        let mut means = Means::default();
        for departure in schedule {
            match departure {
                Departure::Hold { .. }
                | Departure::SlowPublish { .. }
                | Departure::Fetch { .. }
                | Departure::MemberChange { .. }
                | Departure::Republish(_)
                | Departure::Answer { .. } => {}
                Departure::Pause { .. } => means.pause = true,
                Departure::Duplicate(_) => means.duplicate = true,
                Departure::Lose(_) => means.lose_message = true,
                Departure::LoseAck(_) => means.lose_ack = true,
                Departure::RunPast(_) | Departure::DelayAck { .. } => means.delay_ack = true,
                Departure::Crash { window, .. } => means.crash.push(*window),
            }
        }
        means
    }

    /// Why a situation cannot come about at a group; `None` if it can as far as this tells.
    pub(super) fn rule_out(&self, situation: Situation, profile: &Profile, group: &GroupSetup) -> Option<RuledOut> {
        let pause = self.pause && group.may_pause;
        let gives_up = !profile.ack_wait.is_empty();
        let crashes = !self.crash.is_empty();
        let delivers_once = matches!(profile.max_deliver, MaxDeliver::Times { times: 1, .. });
        let redelivers = !delivers_once && (gives_up || profile.release_on.crash && crashes);
        let unless = |can: bool, why| (!can).then_some(why);
        match situation {
            Situation::UpdateBeforeCreate | Situation::GapOfTwo | Situation::RefusedThenAcked => None,
            Situation::DuplicateAfterAck => unless(self.duplicate, RuledOut::NoDuplicates),
            Situation::RedeliveryAfterUnheardAck => {
                let ignored = pause && gives_up && profile.ack.stale == Stale::Reject;
                let unheard = self.lose_ack || self.delay_ack || crashes || ignored;
                let again = redelivers || self.duplicate;
                unless(unheard, RuledOut::EveryAckHeard).or(unless(again, RuledOut::NoRedelivery))
            }
            Situation::RedeliveryDuringHandler => {
                let again = gives_up && !delivers_once || self.duplicate;
                unless(pause, RuledOut::NoPauses).or(unless(again, RuledOut::NoRedelivery))
            }
            Situation::LateAck => unless(self.delay_ack, RuledOut::NoLateAcks),
            Situation::StaleAck => {
                unless(gives_up, RuledOut::NeverGivesUp).or(unless(self.delay_ack || pause, RuledOut::NoLateAcks))
            }
            Situation::CrashBeforeSave => self.unless_crash(Window::BeforeSave),
            Situation::CrashBeforePublish => self.unless_crash(Window::BeforePublish),
            Situation::CrashBeforeAck => self.unless_crash(Window::BeforeAck),
            Situation::CrashAfterAck => self.unless_crash(Window::AfterAck),
        }
    }

    fn unless_crash(&self, window: Window) -> Option<RuledOut> {
        (!self.crash.contains(&window)).then_some(RuledOut::NoCrashes)
    }

    /// Why, at a group, a message about a record cannot come before an earlier one of the same subject
    /// about the same record; `None` if it can as far as this tells.
    pub(super) fn rule_out_overtaking(&self, profile: &Profile, group: &GroupSetup) -> Option<RuledOut> {
        // A copy of a message that was lost comes after what was published later.
        let copies = self.lose_message && self.duplicate;
        (group.keeps_order(profile) && !copies).then_some(RuledOut::InOrder)
    }
}

/// Why a situation cannot come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RuledOut {
    /// The broker makes no duplicates.
    NoDuplicates,
    /// Every ack reaches the broker with its handler's answer.
    EveryAckHeard,
    /// What was handed out once does not come again.
    NoRedelivery,
    /// No handler of the group pauses.
    NoPauses,
    /// No ack is late.
    NoLateAcks,
    /// The broker waits for an answer for ever.
    NeverGivesUp,
    /// No member crashes in that window.
    NoCrashes,
    /// The broker delivers each subject to the group in publish order.
    InOrder,
}

impl RuledOut {
    /// The reason, as half a sentence.
    #[must_use]
    pub const fn why(self) -> &'static str {
        match self {
            RuledOut::NoDuplicates => "no fault makes duplicates",
            RuledOut::EveryAckHeard => "no fault keeps an ack from the broker",
            RuledOut::NoRedelivery => "the broker does not redeliver",
            RuledOut::NoPauses => "no handler of the group pauses",
            RuledOut::NoLateAcks => "no fault makes acks late",
            RuledOut::NeverGivesUp => "the broker has no ack wait",
            RuledOut::NoCrashes => "no fault crashes members there",
            RuledOut::InOrder => "the broker delivers a subject to the group in order",
        }
    }
}

impl fmt::Display for RuledOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.why())
    }
}
