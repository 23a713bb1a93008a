//! Steps by name: what happened in a run, in words that mean the same after the services changed.

use std::fmt;
use std::str::FromStr;

use super::{ParseDepartureError, TEXT_BYTES_MAX, Target};
use crate::faults::{AckFate, AnswerFault, Fate, MemberChange, Window};
use crate::service::Awaits;

/// A step of a run by name, with what went wrong with it.
///
/// A handler that paused makes two steps: `pause of H`, which has what goes wrong with it, and, when
/// it is resumed, H alone; or, if it was interrupted at an await, `await 2 of H`, once for each. So does
/// one that works for some time: `start of H`, and, when it is done, H alone.
///
/// ```
/// use pellmell::schedule::NamedStep;
/// for text in [
///     "alice: create t1 at 10",
///     "ticket:created t1@0 -> orders, ack lost",
///     "ticket:created t1@0 -> orders #2, ack late, duplicated",
///     "ticket:updated t1@1 -> orders, message lost",
///     "order:created o1@0 -> tickets, crash before publish",
///     "pause of bob: edit t1 to 6, crash before save",
///     "pause of bob: edit t1 to 6, at await 2, at await 4",
///     "await 2 of bob: edit t1 to 6",
///     "bob: edit t1 to 6",
///     "start of ticket:created t1@0 -> orders, ack lost, crash before save",
///     "bob: edit t1 to 7, slow publish",
///     "publish of bob: edit t1 to 7",
///     "ack of ticket:created t1@0 -> orders",
///     "ack wait of ticket:created t1@0 -> orders",
///     "timer o1 of expiration, crash before save",
///     "alice: create t2 at 10, no answer",
///     "join of orders",
/// ] {
///     let step: NamedStep = text.parse().unwrap();
///     assert_eq!(step.to_string(), text);
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NamedStep {
    /// What happened.
    pub what: Target,
    /// What went wrong with it. It has a pause exactly if [`NamedStep::what`] is one and it names no awaits.
    pub fate: Fate,
}

impl NamedStep {
    /// A step that something begins or ends in: of a handler that pauses, the step in which it pauses.
    #[must_use]
    pub fn new(what: Target, fate: Fate) -> NamedStep {
        let what = if fate.pause { Target::Pause(Box::new(what)) } else { what };
        NamedStep { what, fate }
    }
}

/// Between the name and each thing that went wrong.
const COMMA: &str = ", ";

impl fmt::Display for NamedStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = self.what.to_string();
        f.write_str(&what)?;
        // A label that ends as if something went wrong is counted from the first.
        if split_fault(&what).is_some() {
            f.write_str("/1")?;
        }
        for fault in (Fate { pause: false, ..self.fate }).faults() {
            write!(f, "{COMMA}{fault}")?;
        }
        Ok(())
    }
}

impl FromStr for NamedStep {
    type Err = ParseDepartureError;

    fn from_str(text: &str) -> Result<NamedStep, ParseDepartureError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(super::too_long("step"));
        }
        let (mut what, mut fate, mut faults) = (text.trim(), Fate::CALM, 0);
        while let Some((rest, fault)) = split_fault(what) {
            fault.happens_in(&mut fate);
            (what, faults) = (rest, faults + 1);
        }
        let wrong = |why: &str| super::wrong(text, why, FORM);
        if fate.faults().len() != faults {
            return Err(wrong("says twice what went wrong"));
        }
        let what = what.parse().map_err(|error: ParseDepartureError| match what.rsplit_once(COMMA) {
            Some((_, fault)) if !what.contains(": ") => {
                wrong(&format!("has `{fault}`, which is nothing that goes wrong"))
            }
            _ => error,
        })?;
        fate.pause = matches!(what, Target::Pause(_)) && fate.awaits.is_none();
        if possible(&what, fate) { Ok(NamedStep { what, fate }) } else { Err(wrong("cannot go wrong like that")) }
    }
}

const FORM: &str = "behind a delivery may stand `, message lost`, `, ack lost`, `, ack late`, `, duplicated`, \
`, slow publish`, `, crash before save|between saves|before publish|before ack|after ack`, `, fetched with 3 more`, \
`, published twice`, `, stale answer`, `, no answer`, `, at await 2`, and \
`, rebalance|reconnect|close|cancel|claimed|committed ahead|broker restarted|ack forgotten|rewound|log truncated|\
log compacted|log expired|counts forgotten|dead letters redriven`, behind a command \
`, slow publish`, `, published twice`, the answers and the crash, behind a timer the same but \
`, slow publish`, behind anything else nothing";

/// One thing that goes wrong.
enum Fault {
    Lost,
    AckLate,
    AckLost,
    Duplicated,
    SlowPublish,
    Crash(Window),
    Fetched(u8),
    Republished,
    Changed(MemberChange),
    Answer(AnswerFault),
    AtAwait(u8),
}

impl Fault {
    fn named(name: &str) -> Option<Fault> {
        match name {
            Fate::LOST => Some(Fault::Lost),
            Fate::ACK_LATE => Some(Fault::AckLate),
            Fate::ACK_LOST => Some(Fault::AckLost),
            Fate::DUPLICATED => Some(Fault::Duplicated),
            Fate::REPUBLISHED => Some(Fault::Republished),
            _ if name.starts_with(Fate::FETCHED) => {
                let number = name.strip_prefix(Fate::FETCHED)?.strip_suffix(" more")?.parse().ok()?;
                (1..=Fate::FETCH_MAX).contains(&number).then_some(Fault::Fetched(number))
            }
            Fate::SLOW_PUBLISH => Some(Fault::SlowPublish),
            _ if name.starts_with(Fate::AT_AWAIT) => {
                let place = name.strip_prefix(Fate::AT_AWAIT)?.parse().ok()?;
                (1..=Awaits::LAST).contains(&place).then_some(Fault::AtAwait(place))
            }
            _ => match name.strip_prefix("crash ") {
                Some(window) => Window::named(window).map(Fault::Crash),
                None => {
                    let answer = || AnswerFault::named(name).map(Fault::Answer);
                    MemberChange::named(name).map(Fault::Changed).or_else(answer)
                }
            },
        }
    }

    fn happens_in(self, fate: &mut Fate) {
        match self {
            Fault::Lost => fate.lose = true,
            Fault::AckLate => fate.ack = AckFate::Late,
            Fault::AckLost => fate.ack = AckFate::Lost,
            Fault::Duplicated => fate.duplicate = true,
            Fault::SlowPublish => fate.slow_publish = true,
            Fault::Crash(window) => fate.crash = Some(window),
            Fault::Fetched(number) => fate.fetch = number,
            Fault::Republished => fate.republish = true,
            Fault::Changed(change) => fate.change = Some(change),
            Fault::Answer(fault) => fate.answer = Some(fault),
            Fault::AtAwait(place) => fate.awaits.add(place),
        }
    }
}

/// What stands before the last thing that went wrong, and that.
fn split_fault(text: &str) -> Option<(&str, Fault)> {
    let (rest, fault) = text.rsplit_once(COMMA)?;
    Some((rest, Fault::named(fault)?))
}

/// Whether that can go wrong with what happened.
fn possible(what: &Target, fate: Fate) -> bool {
    let crash = Fate { crash: fate.crash, republish: fate.republish, answer: fate.answer, ..Fate::CALM };
    let of_handler = Fate { pause: fate.pause, awaits: fate.awaits, slow_publish: fate.slow_publish, ..crash };
    match what {
        // What is lost meets no handler.
        Target::Delivery(_) if fate.lose => fate == Fate { lose: true, duplicate: fate.duplicate, ..Fate::CALM },
        Target::Delivery(_) => true,
        Target::Command(_) => fate == of_handler,
        Target::Timer(_) => fate == crash,
        Target::Await { .. } => fate == Fate::CALM,
        Target::Pause(what) | Target::Start(what) => match **what {
            Target::Delivery(_) => !fate.lose,
            _ => fate == of_handler,
        },
        Target::Ack(_) | Target::AckWait(_) | Target::Join(_) | Target::Publish(_) => fate == Fate::CALM,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{command, handled, moment, spec, target};
    use super::*;
    use crate::schedule::CommandSpec;

    fn fate() -> impl Strategy<Value = Fate> {
        let ack = prop_oneof![Just(AckFate::Prompt), Just(AckFate::Late), Just(AckFate::Lost)];
        let window = |place: usize| Window::ALL.get(place).copied().unwrap_or(Window::BetweenSaves);
        let crash = proptest::option::of((0usize..5).prop_map(window));
        let flags = (any::<bool>(), any::<bool>(), any::<bool>());
        (ack, crash, flags).prop_map(|(ack, crash, (duplicate, lose, slow_publish))| match lose {
            true => Fate { lose, duplicate, ..Fate::CALM },
            false => {
                let (fetch, republish) = (u8::from(duplicate), ack == AckFate::Late);
                let answer = slow_publish.then_some(AnswerFault::ALL[usize::from(duplicate)]);
                Fate { ack, crash, duplicate, slow_publish, fetch, republish, answer, ..Fate::CALM }
            }
        })
    }

    fn step() -> impl Strategy<Value = NamedStep> {
        prop_oneof![
            (spec(), fate()).prop_map(|(what, fate)| NamedStep::new(Target::Delivery(what), fate)),
            (handled(), fate()).prop_map(|(what, fate)| match what {
                Target::Delivery(_) if !fate.lose => NamedStep::new(what, Fate { pause: true, ..fate }),
                what => NamedStep::new(what, Fate { pause: true, crash: fate.crash, ..Fate::CALM }),
            }),
            (target(), fate()).prop_map(|(what, Fate { crash, answer, .. })| {
                NamedStep::new(what, Fate { crash, answer, ..Fate::CALM })
            }),
            moment().prop_map(|what| NamedStep {
                fate: Fate { pause: matches!(what, Target::Pause(_)), ..Fate::CALM },
                what
            }),
            // Labels that end as if something went wrong.
            (command(), fate()).prop_map(|(what, fate)| match what {
                Target::Command(CommandSpec { client, label, nth }) => {
                    let label = format!("{label}, crash after ack");
                    let what = Target::Command(CommandSpec { client, label, nth });
                    NamedStep::new(what, Fate { crash: fate.crash, ..Fate::CALM })
                }
                what => NamedStep::new(what, Fate::CALM),
            }),
        ]
    }

    proptest! {
        #[test]
        fn a_step_reads_back_as_it_was_printed(step in step()) {
            prop_assert_eq!(step.to_string().parse::<NamedStep>(), Ok(step));
        }

        #[test]
        fn no_text_makes_the_parser_of_steps_panic(text in ".{0,80}") {
            for around in ["", "pause of ", "start of ", "ack of ", "timer ", "a: ", "ticket:created t1@0 -> "] {
                let _ = format!("{around}{text}").parse::<NamedStep>();
                let _ = format!("{around}{text}, ack lost").parse::<NamedStep>();
            }
        }
    }

    #[test]
    fn the_form_names_every_change() {
        for change in MemberChange::all() {
            assert!(FORM.contains(change.name()), "{}", change.name());
        }
    }

    #[test]
    fn what_is_no_step_is_refused_with_the_form_it_should_have() {
        let refused = |text: &str, part: &str| {
            let error = text.parse::<NamedStep>().expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        };
        let delivery = "ticket:created t1@0 -> orders";
        refused("", "names no group");
        refused(&format!("{delivery}, ack gone"), "has `ack gone`, which is nothing that goes wrong");
        refused(&format!("{delivery}, ack lost, ack lost"), "says twice what went wrong");
        refused(&format!("{delivery}, slow publish, slow publish"), "says twice what went wrong");
        refused(&format!("{delivery}, ack lost, ack late"), "says twice what went wrong");
        refused(&format!("{delivery}, message lost, ack late"), "cannot go wrong like that");
        refused(&format!("pause of {delivery}, message lost"), "cannot go wrong like that");
        refused(&format!("ack of {delivery}, ack lost"), "cannot go wrong like that");
        refused("alice: create t1 at 5, ack lost", "cannot go wrong like that");
        refused("timer o1 of expiration, duplicated", "cannot go wrong like that");
        refused("timer o1 of expiration, slow publish", "cannot go wrong like that");
        refused("publish of alice: create t1 at 5, slow publish", "cannot go wrong like that");
        refused("timer o1 of expiration, no answer, stale answer", "says twice what went wrong");
        refused("join of orders, no answer", "cannot go wrong like that");
        refused("pause of timer o1 of expiration", "cannot pause");
        refused("start of timer o1 of expiration", "takes no time");
        refused(&format!("start of {delivery}, message lost"), "cannot go wrong like that");
        refused(&"a: b".repeat(TEXT_BYTES_MAX), "longer than");
    }
}
