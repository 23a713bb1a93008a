//! Where a step of a walk leads: foretold, or found out by taking it.

use super::super::forecasts::{Cause, Forecast, Refuted};
use super::{Stop, Walk, failing};
use crate::event::System;
use crate::faults::Fate;
use crate::run::Verdict;
use crate::scheduler::Action;
use crate::service::Outcome;
use crate::world::{Answer, Step, Still};

/// Where a step leads.
pub(super) struct Led {
    pub(super) key: u64,
    /// Whether the broker is told anything.
    pub(super) answers: bool,
    /// The step, unless where it leads was foretold and it was not taken.
    pub(super) step: Option<Step>,
    /// What to note of it once it was judged.
    lesson: Option<(Cause, Forecast)>,
}

impl<S: System> Walk<'_, '_, S> {
    /// Where a step leads, if an equal one was taken before in a world that differs elsewhere.
    #[inline]
    pub(super) fn foretold(&self, action: Action, fate: Fate) -> Option<Led> {
        let still = self.places[self.depth].still?;
        let cause = self.cause(still, action, fate)?;
        let forecast = self.forecasts.find(cause)?;
        let key = forecast.after(still.digest).word();
        Some(Led { key, answers: forecast.answers, step: None, lesson: None })
    }

    /// What such a step depends on.
    #[inline]
    fn cause(&self, still: Still, action: Action, fate: Fate) -> Option<Cause> {
        let known_by = self.worlds.at(self.depth).known_by(action)?;
        fate.lets_through().then(|| Cause::of(still, known_by, fate))
    }

    /// Takes a step.
    pub(super) fn take(&mut self, action: Action, fate: Fate) -> Led {
        let still = self.places[self.depth].still;
        let cause = still.and_then(|still| Some((still, self.cause(still, action, fate)?)));
        let step = self.worlds.step(self.depth, action, fate);
        let world = self.worlds.at(self.depth + 1);
        let looked_around = world.looked_around();
        if self.is_marking && looked_around {
            self.marks.couple("a handler looks at the time, at the attempt or into its memory");
        }
        let (digest, answers) = (self.worlds.digest(self.depth + 1), answers(&step));
        let lesson = cause.filter(|_| !looked_around).and_then(|(before, cause)| {
            let after = world.still(digest).filter(|after| after.has_only_handled(&before))?;
            Some((cause, Forecast::of(before.digest, after.digest, answers)))
        });
        Led { key: self.key(self.depth + 1, digest), answers, step: Some(step), lesson }
    }

    /// Takes a step that was foretold to lead to this key, which is news.
    pub(super) fn prove(&mut self, action: Action, fate: Fate, key: u64) -> Result<Led, Stop> {
        let led = self.take(action, fate);
        if led.key != key {
            return Err(fickle());
        }
        self.judge(&led)?;
        Ok(led)
    }

    /// Judges a step that was taken, and notes what can be foretold from it: if its judges asked the
    /// world for nothing but stores and time, an equal step need not be judged again.
    pub(super) fn judge(&mut self, led: &Led) -> Result<(), Stop> {
        let Some(step) = &led.step else { return Ok(()) };
        let world = self.worlds.at(self.depth + 1);
        world.take_asked();
        self.judges.on_step(world, step).map_err(failing)?;
        if world.take_asked() { Ok(()) } else { self.learn(led) }
    }

    /// Notes what can be foretold from a step that was taken.
    pub(super) fn learn(&mut self, led: &Led) -> Result<(), Stop> {
        let Some((cause, forecast)) = led.lesson else { return Ok(()) };
        self.forecasts.note(cause, forecast).map_err(|Refuted| fickle())
    }
}

/// The verdict on a handler that is no function of event and store.
fn fickle() -> Stop {
    let message = "a handler that was handed the same event at the same state of its store did not do the same: \
                   what it keeps elsewhere, such as a counter or a cache, belongs into the store";
    Stop::Failing(Box::new(Verdict::Panicked { message: message.to_owned() }))
}

/// Whether the broker is told anything by a step.
fn answers(step: &Step) -> bool {
    matches!(step.answer, Some(Answer::Delivery(Outcome::Ack | Outcome::Nak { .. })))
}
