//! What a step did: who worked, what was answered, and what of it is in its hash.

use std::ops::Range;
use std::time::Duration;

use super::publishing::Late;
use crate::broker::DeliveryIndex;
use crate::faults::{AnswerFault, Fate, Window};
use crate::ids::{ServiceIndex, Time};
use crate::schedule::Target;
use crate::scheduler::Action;
use crate::service::{Asking, Outcome, Rejection};

/// A process of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The service.
    pub service: ServiceIndex,
    /// Which process of it.
    pub member: u16,
}

/// The result of running a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// A delivery was answered.
    Delivery(Outcome),
    /// A command was executed or refused.
    Command(Result<(), Rejection>),
    /// A timer's handler ran.
    Timer,
    /// The handler read and paused.
    Paused,
    /// The handler works for some time, and answers then (see [`Service::takes`](crate::Service::takes)).
    Works,
    /// The member crashed before it saved.
    Crashed {
        /// Whether it had answered ack by then (see [`AckTiming`](crate::AckTiming)).
        acked: bool,
    },
    /// The broker lost the message; no handler ran.
    Lost,
    /// The member crashed when the handler had committed and was not done
    /// (see [`Context::commit`](crate::Context::commit)).
    CrashedBetween {
        /// Whether it had answered ack by then.
        acked: bool,
    },
}

impl Answer {
    const ACKED: u64 = 1;
    const NAKED: u64 = 2;
    const SILENT: u64 = 3;
    const EXECUTED: u64 = 4;
    /// The words from [`Answer::ACKED`] to here are of handlers that ran far enough to save.
    const FIRED: u64 = 6;
    const PAUSED: u64 = 7;
    const ACKED_CRASHED: u64 = 10;
    const CRASHED_BETWEEN: u64 = 11;
    const ACKED_CRASHED_BETWEEN: u64 = 12;
    const WORKS: u64 = 13;

    /// The answer as one word, for hashing; 0 is none. The low byte is the kind, a rejection's status is above it.
    #[inline(always)]
    fn word(self) -> u64 {
        match self {
            Answer::Delivery(Outcome::Ack) => Answer::ACKED,
            Answer::Delivery(Outcome::Nak { .. }) => Answer::NAKED,
            Answer::Delivery(Outcome::Silent(_)) => Answer::SILENT,
            Answer::Command(Ok(())) => Answer::EXECUTED,
            Answer::Command(Err(rejection)) => 5 | u64::from(rejection.status) << 8,
            Answer::Timer => Answer::FIRED,
            Answer::Paused => Answer::PAUSED,
            Answer::Works => Answer::WORKS,
            Answer::Crashed { acked: false } => 8,
            Answer::Crashed { acked: true } => Answer::ACKED_CRASHED,
            Answer::Lost => 9,
            Answer::CrashedBetween { acked: false } => Answer::CRASHED_BETWEEN,
            Answer::CrashedBetween { acked: true } => Answer::ACKED_CRASHED_BETWEEN,
        }
    }
}

/// What a step did.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Step {
    /// Its position in the trace, from 1.
    pub number: u64,
    /// When it happened.
    pub time: Time,
    /// What was picked.
    pub action: Action,
    /// What was decided with it; for a resumed handler, what was decided when it began.
    pub fate: Fate,
    /// Who worked, if a handler was involved.
    pub actor: Option<Actor>,
    /// The delivery the handler worked on, if it was one.
    pub delivery: Option<DeliveryIndex>,
    /// The answer.
    pub answer: Option<Answer>,
    /// The messages that it brought, as places in the log: what its handler published, and behind that what the
    /// broker put on a subject for dead letters.
    pub published: Range<usize>,
    /// The hash of what happened to whom.
    pub(super) key: u64,
    /// [`Fate::word`] of `fate`.
    pub(super) fate_word: u64,
    /// The answer as one word; 0 if there is none.
    pub(super) answer_word: u64,
    pub(super) saved: bool,
    /// Whether it did anything outside that was not done before.
    pub(super) acted: bool,
    /// What came of the questions of its handler to other services.
    pub(crate) asking: Asking,
    /// Who is late with what the handler said, if its fate is that.
    pub(super) late: Late,
    /// Whether what the handler said is there twice.
    pub(super) says_twice: bool,
    /// Whether something that was out is said once more.
    pub(super) republished: bool,
    /// Whether something was published once more, and the broker has it already.
    pub(super) recognised: bool,
    /// Whether a log is without something that it had.
    pub(super) cleans: bool,
    /// Whether a handler goes on in it that had begun before, or begins to work then.
    pub(super) goes_on_with: bool,
    /// To how many awaits its handler came, if it is an `async fn`.
    pub(crate) awaits: u8,
}

impl Step {
    /// A step that has not been taken.
    pub(crate) fn new(action: Action, fate: Fate) -> Step {
        Step {
            number: 0,
            time: Time(0),
            action,
            fate,
            actor: None,
            delivery: None,
            answer: None,
            published: 0..0,
            key: 0,
            fate_word: fate.word(),
            answer_word: 0,
            saved: false,
            acted: false,
            asking: Asking::Nothing,
            late: Late::Nobody,
            says_twice: false,
            republished: false,
            recognised: false,
            cleans: false,
            goes_on_with: false,
            awaits: 0,
        }
    }

    /// The last step of a world that has taken so many, of which no more is known.
    pub(crate) fn last_of(number: u64) -> Step {
        Step { number, ..Step::new(Action::Advance, Fate::CALM) }
    }

    /// The hash of what happened to whom: of the command's, the delivery's or the timer's identity.
    #[must_use]
    pub fn key(&self) -> u64 {
        self.key
    }

    #[inline(always)]
    pub(super) fn set_fate(&mut self, fate: Fate) {
        (self.fate, self.fate_word) = (fate, fate.word());
    }

    /// Whether nothing happened besides.
    #[inline]
    pub(crate) fn is_calm(&self) -> bool {
        self.fate_word == 0 && self.fate.awaits.is_none()
    }

    /// Whether a handler ran far enough to save.
    #[must_use]
    #[inline]
    pub fn ran(&self) -> bool {
        (Answer::ACKED..=Answer::FIRED).contains(&(self.answer_word & 0xff)) || self.crashed_between()
    }

    /// Whether the member crashed when the handler had committed and was not done.
    #[inline]
    pub(crate) fn crashed_between(&self) -> bool {
        matches!(self.answer_word, Answer::CRASHED_BETWEEN | Answer::ACKED_CRASHED_BETWEEN)
    }

    /// Whether a member crashes that handled something.
    #[inline]
    pub(crate) fn crashes(&self) -> bool {
        match self.fate.crash {
            Some(Window::BetweenSaves) => self.crashed_between(),
            crash => crash.is_some(),
        }
    }

    #[inline(always)]
    pub(super) fn set_answer(&mut self, answer: Answer) {
        (self.answer, self.answer_word) = (Some(answer), answer.word());
    }

    /// [`Step::set_answer`] for a delivery's.
    #[inline(always)]
    pub(super) fn set_outcome(&mut self, outcome: Outcome) {
        self.answer_word = match outcome {
            Outcome::Ack => Answer::ACKED,
            Outcome::Nak { .. } => Answer::NAKED,
            Outcome::Silent(_) => Answer::SILENT,
        };
        self.answer = Some(Answer::Delivery(outcome));
    }

    /// Whether a handler did what it was asked.
    #[inline]
    pub(super) fn is_success(&self) -> bool {
        matches!(self.answer_word, Answer::ACKED | Answer::EXECUTED | Answer::FIRED)
    }

    /// Whether what its handler said is out only later.
    #[inline]
    pub(crate) fn publishes_late(&self) -> bool {
        self.fate.slow_publish && self.late != Late::Nobody
    }

    /// Whether something was published once more, and is another message.
    #[must_use]
    #[inline]
    pub const fn is_republished(&self) -> bool {
        self.republished
    }

    /// Whether something was published once more that the broker did not put in its log, because it has it already.
    #[must_use]
    #[inline]
    pub const fn is_recognised(&self) -> bool {
        self.recognised
    }

    /// Whether a log is without something then that it had before.
    #[must_use]
    #[inline]
    pub const fn cleans(&self) -> bool {
        self.cleans
    }

    /// Whether its handler saved and still has to publish and to answer.
    #[inline]
    pub(super) fn goes_on(&self) -> bool {
        self.fate.slow_publish && self.late == Late::Process
    }

    /// Whether its handler works from then on, and answers later.
    #[inline]
    pub(crate) fn works(&self) -> bool {
        self.answer_word == Answer::WORKS
    }

    /// Whether a handler goes on in it that had begun before.
    #[inline]
    pub(crate) const fn goes_on_with(&self) -> bool {
        self.goes_on_with
    }

    /// What began or was done in it, given what it is about: a handler that pauses or works is not done.
    #[must_use]
    pub(crate) fn named(&self, what: Target) -> Target {
        match (self.action, self.pauses(), self.works()) {
            (Action::Deliver(_) | Action::Command(_), true, _) => Target::Pause(Box::new(what)),
            (Action::Deliver(_) | Action::Command(_), _, true) => Target::Start(Box::new(what)),
            _ => what,
        }
    }

    /// Whether its handler was interrupted, or, if it panicked, was to be.
    pub(crate) fn pauses(&self) -> bool {
        self.fate.interrupts() && (self.is_paused() || self.fate.pause && self.answer.is_none())
    }

    /// Whether its handler read and paused.
    #[inline]
    pub(super) fn is_paused(&self) -> bool {
        self.answer_word == Answer::PAUSED
    }

    /// Whether a delivery was answered with an ack, after the handler ran.
    #[inline]
    pub(super) fn is_ack(&self) -> bool {
        self.answer_word == Answer::ACKED
    }

    /// Whether a delivery was answered with a nak.
    #[inline]
    pub(crate) fn is_nak(&self) -> bool {
        self.answer_word == Answer::NAKED
    }

    /// The delay that a nak asks for.
    pub(super) fn nak_delay(&self) -> Option<Duration> {
        match self.answer {
            Some(Answer::Delivery(Outcome::Nak { delay, .. })) => delay,
            _ => None,
        }
    }

    /// Whether it saved, published and did nothing outside, and no delivery was answered with an ack.
    #[inline]
    pub(crate) fn is_quiet(&self) -> bool {
        !self.saved && !self.acted && !self.answered_ack() && self.published.start >= self.published.end
    }

    /// What was wrong with what its handler was told by other services, if that was wrong.
    #[inline]
    pub(crate) fn misled(&self) -> Option<AnswerFault> {
        self.fate.answer.filter(|_| self.asking == Asking::Misled)
    }

    /// Whether its handler asked other services.
    #[inline]
    pub(crate) fn asks(&self) -> bool {
        self.asking != Asking::Nothing
    }

    /// Whether it changed the store of the service whose handler ran.
    #[must_use]
    #[inline]
    pub(crate) fn saved(&self) -> bool {
        self.saved
    }

    /// Whether it did anything outside of the stores that was not done before.
    #[must_use]
    #[inline]
    pub(crate) fn acted(&self) -> bool {
        self.acted
    }

    /// The delivery whose handler answered ack in this step, whether or not the ack arrived, and
    /// whether or not the handler came to save what it acked.
    #[must_use]
    #[inline]
    pub fn acked(&self) -> Option<DeliveryIndex> {
        self.delivery.filter(|_| self.answered_ack())
    }

    /// Whether a handler answered ack to a delivery.
    #[inline]
    pub(crate) fn answered_ack(&self) -> bool {
        matches!(self.answer_word, Answer::ACKED | Answer::ACKED_CRASHED | Answer::ACKED_CRASHED_BETWEEN)
    }
}
