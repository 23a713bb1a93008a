//! Vacuous results: what was asked for and did not happen, so that a result that rests on it says
//! nothing.
//!
//! A property holds vacuously if nothing ever came that could have violated it; a fault, a departure, a
//! subscription or a command may be vacuous in the same way. [`Asked`] is all that was asked for: it
//! says what can be known before anything runs ([`Asked::foreseen`]), and with what the runs did
//! ([`Occurred`]) all the rest ([`Asked::found`]). Each finding has a kind with a name that stays, by
//! which it can be allowed ([`Allow`]).

mod departures;
mod occurred;
mod plans;
mod wiring;

use std::fmt;
use std::str::FromStr;

use crate::event::System;
use crate::faults::FaultPlan;
use crate::property::Watch;
use crate::run::Judges;
use crate::schedule::Departure;
use crate::simulation::Simulation;

pub use self::occurred::{Looking, Occurred};
pub use self::plans::pauses_nowhere;

/// With fewer runs what happened in none may be chance, and is no more than noted.
pub const FEW_RUNS: u64 = 20;

/// How something can be vacuous.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// No simulated step was taken: there is no service, no client or no command.
    NothingRan,
    /// Nothing is judged.
    NoProperties,
    /// A departure was not done.
    UnusedDeparture,
    /// A departure ended before what it lasts until.
    EndedEarly,
    /// A fault of the plan that cannot fall on anything, or fell on nothing.
    IdleFault,
    /// The plan's faults do not reach the broker's `max_deliver`.
    UnreachableMaxDeliver,
    /// Nothing came that could have violated a property.
    PropertyWithoutOccasion,
    /// Convergence was judged at no moment between the first step of a run and its end, although at some
    /// nothing was under way.
    NotJudgedAtRest,
    /// Something that is to be reached in some run was reached in none.
    NeverReached,
    /// A subject is published and no group listens to it.
    UnheardSubject,
    /// A group listens to a subject that nothing published.
    UnpublishedSubject,
    /// A service without a handler for commands was sent some.
    UnhandledCommand,
    /// A service without a handler for events listens to some.
    UnhandledEvent,
    /// All commands of a client were refused.
    RefusedClient,
    /// A client waited for a record, or for a change after a refusal, in every run and to its end.
    WaitsInVain,
    /// A value of the broker's profile that makes no difference to these services.
    WithoutEffect,
    /// Handlers answered nak to a broker that knows none.
    UnheardNak,
    /// Something vacuous was allowed that is not there.
    UnusedAllow,
}

impl Kind {
    /// Whether it is worth knowing and makes no result void, whatever is run.
    #[must_use]
    pub const fn is_note(self) -> bool {
        matches!(self, Kind::NotJudgedAtRest | Kind::WithoutEffect | Kind::UnheardNak | Kind::UnusedAllow)
    }

    /// All of them.
    pub const ALL: [Kind; 18] = [
        Kind::NothingRan,
        Kind::NoProperties,
        Kind::UnusedDeparture,
        Kind::EndedEarly,
        Kind::IdleFault,
        Kind::UnreachableMaxDeliver,
        Kind::PropertyWithoutOccasion,
        Kind::NotJudgedAtRest,
        Kind::NeverReached,
        Kind::UnheardSubject,
        Kind::UnpublishedSubject,
        Kind::UnhandledCommand,
        Kind::UnhandledEvent,
        Kind::RefusedClient,
        Kind::WaitsInVain,
        Kind::WithoutEffect,
        Kind::UnheardNak,
        Kind::UnusedAllow,
    ];

    /// Its name, by which it is allowed: `ended-early`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Kind::NothingRan => "nothing-ran",
            Kind::NoProperties => "no-properties",
            Kind::UnusedDeparture => "unused-departure",
            Kind::EndedEarly => "ended-early",
            Kind::IdleFault => "idle-fault",
            Kind::UnreachableMaxDeliver => "unreachable-max-deliver",
            Kind::PropertyWithoutOccasion => "property-without-occasion",
            Kind::NotJudgedAtRest => "not-judged-at-rest",
            Kind::NeverReached => "never-reached",
            Kind::UnheardSubject => "unheard-subject",
            Kind::UnpublishedSubject => "unpublished-subject",
            Kind::UnhandledCommand => "unhandled-command",
            Kind::UnhandledEvent => "unhandled-event",
            Kind::RefusedClient => "refused-client",
            Kind::WaitsInVain => "waits-in-vain",
            Kind::WithoutEffect => "without-effect",
            Kind::UnheardNak => "unheard-nak",
            Kind::UnusedAllow => "unused-allow",
        }
    }
}

/// Something a result rests on that did not happen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Vacuous {
    /// How it is vacuous.
    pub kind: Kind,
    /// What it is: a departure, a fault, a property, a subject and its group, a client; empty if the kind
    /// says all.
    pub name: String,
    /// Why it had no effect.
    pub reason: String,
}

impl Vacuous {
    /// Something that did not happen: of which kind, its name if it has one, and why.
    #[must_use]
    pub fn new(kind: Kind, name: impl Into<String>, reason: impl Into<String>) -> Vacuous {
        Vacuous { kind, name: name.into(), reason: reason.into() }
    }

    /// A client of which no command was accepted in any run.
    #[must_use]
    pub fn refused(client: &str) -> Vacuous {
        Vacuous::new(Kind::RefusedClient, client, "none of its commands was accepted in any run")
    }

    /// Its kind and its name, as [`Allow`] reads them.
    #[must_use]
    pub fn what(&self) -> String {
        Allow { kind: self.kind, name: Some(self.name.clone()).filter(|name| !name.is_empty()) }.to_string()
    }
}

impl fmt::Display for Vacuous {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what(), self.reason)
    }
}

/// What may be vacuous, written `KIND` for all of a kind, or `KIND NAME`.
///
/// ```
/// use pellmell::vacuity::Allow;
/// let all: Allow = "refused-client".parse()?;
/// let one: Allow = "refused-client zoe".parse()?;
/// assert_eq!(one.to_string(), "refused-client zoe");
/// assert!("refused".parse::<Allow>().is_err());
/// # Ok::<(), pellmell::vacuity::ParseAllowError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allow {
    /// The kind.
    pub kind: Kind,
    /// What of it; all if left out.
    pub name: Option<String>,
}

impl Allow {
    /// Whether it allows this.
    #[must_use]
    pub fn allows(&self, vacuous: &Vacuous) -> bool {
        self.kind == vacuous.kind && self.name.as_ref().is_none_or(|name| *name == vacuous.name)
    }

    /// What of `found` is allowed by none of `allowed`.
    #[must_use]
    pub fn none_of(allowed: &[Allow], found: Vec<Vacuous>) -> Vec<Vacuous> {
        found.into_iter().filter(|vacuous| !allowed.iter().any(|allow| allow.allows(vacuous))).collect()
    }
}

impl fmt::Display for Allow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.name())?;
        self.name.as_ref().map_or(Ok(()), |name| write!(f, " {name}"))
    }
}

impl FromStr for Allow {
    type Err = ParseAllowError;

    fn from_str(text: &str) -> Result<Allow, ParseAllowError> {
        let (kind, name) = match text.trim().split_once(' ') {
            Some((kind, name)) => (kind, Some(name.trim().to_owned())),
            None => (text.trim(), None),
        };
        let known = Kind::ALL.into_iter().find(|known| known.name() == kind);
        known.map(|kind| Allow { kind, name }).ok_or_else(|| ParseAllowError(kind.chars().take(40).collect()))
    }
}

/// Says that a text names no kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseAllowError(String);

impl fmt::Display for ParseAllowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = Kind::ALL.map(Kind::name).join(", ");
        write!(f, "`{}` is no kind of what may be vacuous: expected `KIND` or `KIND NAME` with one of {known}", self.0)
    }
}

impl std::error::Error for ParseAllowError {}

/// What was found, by what follows from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// A result that rests on these says nothing.
    pub void: Vec<Vacuous>,
    /// These are worth knowing and no more.
    pub notes: Vec<Vacuous>,
}

impl Findings {
    /// What of `found` is not allowed. With `is_over` nothing else can be found, so what is allowed and
    /// not there is noted.
    #[must_use]
    pub fn of(found: Vec<Vacuous>, allowed: &[Allow], is_over: bool, is_note: impl Fn(&Vacuous) -> bool) -> Findings {
        let unused = allowed.iter().filter(|allow| is_over && !found.iter().any(|vacuous| allow.allows(vacuous)));
        let reason = "nothing of that was found: it need not be allowed";
        let unused: Vec<Vacuous> =
            unused.map(|allow| Vacuous::new(Kind::UnusedAllow, allow.to_string(), reason)).collect();
        let (mut notes, void): (Vec<_>, Vec<_>) = Allow::none_of(allowed, found).into_iter().partition(is_note);
        notes.extend(Allow::none_of(allowed, unused));
        Findings { void, notes }
    }
}

/// All that was asked for.
pub struct Asked<'a, S: System> {
    /// What is run.
    pub simulation: &'a Simulation<S>,
    /// What must hold.
    pub judges: &'a Judges<S>,
    /// What may go wrong.
    pub plan: &'a FaultPlan,
    /// How runs depart from the calm one; then nothing else goes wrong.
    pub schedule: &'a [Departure],
}

impl<S: System> Asked<'_, S> {
    /// What is known to be vacuous before anything runs.
    #[must_use]
    pub fn foreseen(&self) -> Vec<Vacuous> {
        let mut found = wiring::nothing_to_run(self.simulation);
        found.extend(self.properties());
        found.extend(departures::foreseen(self.simulation, self.schedule));
        found.extend(wiring::without_effect(self.simulation));
        if self.schedule.is_empty() {
            found.extend(plans::foreseen(self.simulation, self.plan));
        }
        found
    }

    /// What of [`Asked::found`] is only that a departure names what does not come any more, or ends otherwise than
    /// it says, although all that it names can exist: so it is with a kept schedule whose defect is gone.
    #[must_use]
    pub fn is_outlived(&self, vacuous: &Vacuous) -> bool {
        matches!(vacuous.kind, Kind::UnusedDeparture | Kind::EndedEarly)
            && !departures::foreseen(self.simulation, self.schedule)
                .iter()
                .any(|foreseen| foreseen.name == vacuous.name)
    }

    /// What was vacuous in all runs of which this is what occurred, sorted and each once.
    #[must_use]
    pub fn found(&self, occurred: &Occurred) -> Vec<Vacuous> {
        let mut found = self.found_by_counts(occurred);
        let runs = found.iter().all(|vacuous| vacuous.kind != Kind::NothingRan);
        if runs && occurred.accepted.is_empty() {
            let reason = match occurred.counts.commands {
                0 => "no command was sent",
                _ => "no command was accepted",
            };
            found.push(Vacuous::new(Kind::NothingRan, "", reason));
        }
        if runs {
            found.extend(self.unwatched(occurred));
            found.extend(not_at_rest(occurred));
            found.extend(wiring::found(self.simulation, occurred));
            let never = self.judges.sometimes().filter(|goal| !occurred.reached.contains_key(goal.name()));
            found.extend(never.map(|goal| {
                let reason = format!("in no run {}", goal.about());
                Vacuous::new(Kind::NeverReached, goal.name(), reason)
            }));
        }
        found.sort();
        found.dedup_by(|one, other| (one.kind, &one.name) == (other.kind, &other.name));
        found
    }

    /// As much of [`Asked::found`] as needs no look at steps.
    #[must_use]
    pub fn found_by_counts(&self, occurred: &Occurred) -> Vec<Vacuous> {
        let mut found = wiring::nothing_to_run(self.simulation);
        found.extend(self.properties());
        found.extend(wiring::without_effect(self.simulation));
        found.extend(wiring::unheard_naks(self.simulation, occurred));
        found.extend(departures::found(self.simulation, self.schedule, occurred));
        if self.schedule.is_empty() {
            found.extend(plans::found(self.simulation, self.plan, occurred));
        }
        found
    }

    /// What is wrong with the properties, whatever runs do.
    fn properties(&self) -> Vec<Vacuous> {
        if self.judges.names().next().is_none() {
            return vec![Vacuous::new(Kind::NoProperties, "", "nothing is judged: every run holds")];
        }
        let idle = self.judges.properties().filter_map(|(property, _)| {
            let reason = property.without_occasion(self.simulation)?;
            Some(Vacuous::new(Kind::PropertyWithoutOccasion, property.name(), reason))
        });
        idle.collect()
    }

    /// The properties that watch steps of which none came.
    fn unwatched(&self, occurred: &Occurred) -> Vec<Vacuous> {
        let watching = self.judges.properties().filter(|(_, watch)| *watch != Watch::NOTHING);
        let idle = watching.filter(|(_, watch)| !watch.meets(occurred.kinds));
        idle.map(|(property, watch)| {
            let reason = format!("it watches steps in which a service {}, and none came", watch.in_words());
            Vacuous::new(Kind::PropertyWithoutOccasion, property.name(), reason)
        })
        .collect()
    }
}

/// That convergence was judged nowhere but before the first step of runs and at their ends.
fn not_at_rest(occurred: &Occurred) -> Option<Vacuous> {
    let judged = occurred.counts.moments_judged;
    let (before_redelivery, before_join) =
        (occurred.counts.moments_before_redelivery, occurred.counts.moments_before_join);
    let put_off = before_redelivery + before_join;
    (judged <= 2 * occurred.runs && put_off > 0).then(|| {
        let reason = format!(
            "between the first step and the end convergence was never judged; at {put_off} moments it was put off: \
             {before_redelivery} times because a message waits that may still change something, {before_join} times \
             because a group had not joined"
        );
        Vacuous::new(Kind::NotJudgedAtRest, "", reason)
    })
}
