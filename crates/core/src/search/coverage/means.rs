//! What brings situations about: faults, and what the broker's rules allow.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Situation;
use crate::broker::{GroupSetup, MaxDeliver, Profile, Stale};
use crate::engine::{How, Rules, Sharing};
use crate::faults::{FaultPlan, MemberChange, Rate, Window};
use crate::schedule::Departure;

/// Which faults runs may meet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Means {
    lose_ack: bool,
    delay_ack: bool,
    duplicate: bool,
    pause: bool,
    lose_message: bool,
    /// Whether members have fetched more than they handle.
    fetch: bool,
    /// What may happen to members, to what they have, and to their broker, if it knows that.
    changes: Vec<MemberChange>,
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
        let mut rates = *plan;
        Means {
            lose_ack: may(plan.lose_ack),
            delay_ack: may(plan.delay_ack),
            duplicate: may(plan.duplicate),
            pause: may(plan.pause),
            lose_message: can(plan.lose_message),
            fetch: may(plan.fetch),
            changes: MemberChange::all().filter(|change| may(*rates.of_change(*change))).collect(),
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
                | Departure::Republish(_)
                | Departure::Answer { .. } => {}
                Departure::Fetch { .. } => means.fetch = true,
                Departure::MemberChange { change, .. } => means.changes.push(*change),
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
        let is_slow = self.is_slow(profile, group);
        let crashes = !self.crash.is_empty();
        let gives_up = !profile.ack_wait.is_empty() || self.takes_away(profile);
        let delivers_once = matches!(profile.max_deliver, MaxDeliver::Times { times: 1, .. });
        let redrives = self.changes.contains(&MemberChange::Redrive) && profile.changes().has(MemberChange::Redrive);
        let redelivers = redrives || !delivers_once && (gives_up || profile.release_on.crash && crashes);
        let unless = |can: bool, why| (!can).then_some(why);
        match situation {
            Situation::UpdateBeforeCreate | Situation::GapOfTwo | Situation::RefusedThenAcked => None,
            Situation::DuplicateAfterAck => {
                let again = self.duplicate || self.repeats_acked(profile, group);
                unless(again, RuledOut::NoDuplicates)
            }
            Situation::RedeliveryAfterUnheardAck => {
                let ignored = is_slow && gives_up && profile.ack.stale == Stale::Reject;
                let unheard = self.lose_ack || self.delay_ack || crashes || ignored;
                let again = redelivers || self.duplicate;
                unless(unheard, RuledOut::EveryAckHeard).or(unless(again, RuledOut::NoRedelivery))
            }
            Situation::RedeliveryDuringHandler => {
                let again = gives_up && !delivers_once || redrives || self.duplicate;
                unless(pause, RuledOut::NoPauses).or(unless(again, RuledOut::NoRedelivery))
            }
            Situation::LateAck => unless(self.delay_ack, RuledOut::NoLateAcks),
            Situation::StaleAck => {
                unless(gives_up, RuledOut::NeverGivesUp).or(unless(self.delay_ack || is_slow, RuledOut::NoLateAcks))
            }
            Situation::CrashBeforeSave => self.unless_crash(Window::BeforeSave),
            Situation::CrashBeforePublish => self.unless_crash(Window::BeforePublish),
            Situation::CrashBeforeAck => self.unless_crash(Window::BeforeAck),
            Situation::CrashAfterAck => self.unless_crash(Window::AfterAck),
        }
    }

    /// Whether an answer may come long after its message was sent: of a handler that pauses, or to what waited in an
    /// inbox.
    fn is_slow(&self, profile: &Profile, group: &GroupSetup) -> bool {
        self.pause && group.may_pause || self.fetch && profile.engine.is_some()
    }

    /// Whether something other than an ack wait may take a message from a member that has it: what happens to
    /// members, and what goes wrong with another message of the same member. A broker that parameters say does not.
    fn takes_away(&self, profile: &Profile) -> bool {
        let Some(engine) = &profile.engine else { return false };
        let by_change = self.changes.iter().any(|change| profile.changes().has(*change));
        let of_another = match &engine.rules {
            // Members that leave what they have idle lose it to others.
            Rules::Queue(rules) => rules.claims,
            Rules::Offsets(_) => true,
            Rules::Keyed(rules) => rules.sharing == Sharing::Replayed,
            // The connection breaks for what is not answered, or the client begins anew.
            Rules::Push(_) => true,
        };
        let with_member = !self.crash.is_empty() && engine.rules.releases_at(How::Crash);
        by_change || of_another || with_member
    }

    /// Whether a message may come again, or be in an inbox still, although the broker has heard its ack and nothing
    /// duplicates it.
    fn repeats_acked(&self, profile: &Profile, group: &GroupSetup) -> bool {
        let Some(engine) = &profile.engine else { return false };
        let has = |change: MemberChange| self.changes.contains(&change) && profile.changes().has(change);
        let forgets = MemberChange::OF_BROKERS.into_iter().any(|change| change != MemberChange::Restart && has(change));
        // The copy was sent before the ack came, and waits to be handled.
        let is_late = self.delay_ack || self.is_slow(profile, group);
        let claims = matches!(&engine.rules, Rules::Queue(rules) if rules.claims);
        let sends_ahead = self.fetch || claims;
        let goes_back = match &engine.rules {
            Rules::Offsets(_) => true,
            Rules::Keyed(rules) => rules.sharing == Sharing::Replayed,
            // What is tried again later does not wait for an answer any more.
            Rules::Push(rules) => is_late && !rules.retries.is_empty(),
            Rules::Queue(_) => false,
        };
        // What was given up while it was handled is acked all the same.
        forgets || goes_back || has(MemberChange::Redrive) || is_late && sends_ahead
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
