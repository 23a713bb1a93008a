//! What owners do with their records: versions, history, publishing.

use super::{StepProperty, blame};
use crate::broker::Message;
use crate::event::Event;
use crate::faults::Window;
use crate::ids::{RecordId, Version};
use crate::property::{View, Violation, Watch};
use crate::store::{Change, Record, Store, Versioned};
use crate::ticketing::messages::{Ticketing, TicketingEvent};
use crate::ticketing::records::{Job, Order, Payment, Ticket};
use crate::world::Answer;

/// Saves of what owners publish.
const OWNED: Watch = Watch::saves_of::<Ticket>().and(Watch::saves_of::<Order>());

/// A record that its owner publishes.
pub(super) trait Owned: Record {
    const OWNER: &'static str;
}

impl Owned for Ticket {
    const OWNER: &'static str = "tickets";
}

impl Owned for Order {
    const OWNER: &'static str = "orders";
}

/// A save by an owner.
struct Saved<'a, R> {
    id: RecordId,
    before: Option<Version>,
    after: &'a Versioned<R>,
}

/// Judges every save of a ticket and of an order by its owner.
fn each_owned(
    view: &View<'_, Ticketing>,
    of_ticket: impl Fn(&Saved<'_, Ticket>) -> Result<(), String>,
    of_order: impl Fn(&Saved<'_, Order>) -> Result<(), String>,
) -> Result<(), Violation> {
    each_of(view, of_ticket)?;
    each_of(view, of_order)
}

#[inline]
fn each_of<R: Owned>(
    view: &View<'_, Ticketing>,
    judge: impl Fn(&Saved<'_, R>) -> Result<(), String>,
) -> Result<(), Violation> {
    view.changes::<R>().try_for_each(|change| judge_owned(view, &change, &judge))
}

#[inline]
fn judge_owned<R: Owned>(
    view: &View<'_, Ticketing>,
    change: &Change<'_, R>,
    judge: impl Fn(&Saved<'_, R>) -> Result<(), String>,
) -> Result<(), Violation> {
    let Change { id, before, after } = *change;
    let Some(after) = after else { return Ok(()) };
    let saved = Saved { id, before: before.map(|before| before.version), after };
    judge(&saved).map_err(|detail| blame(view, id, detail))
}

/// Judges a save by all properties of this page that are about saves.
pub(super) fn all_of_owned<R: Owned>(view: &View<'_, Ticketing>, change: &Change<'_, R>) -> Result<(), Violation> {
    judge_owned(view, change, |saved| {
        was_made_from_the_last(saved)?;
        has_a_version_of_its_own(view, saved)?;
        is_published(view, saved)
    })
}

/// Judges a step of these kinds by the others.
pub(super) fn all(view: &View<'_, Ticketing>, kinds: Watch) -> Result<(), Violation> {
    if kinds.meets(CHANGED_ONCE) {
        is_changed_once(view)?;
    }
    if kinds.meets(Watch::PUBLISHES) {
        says_what_it_saved(view)?;
        is_published_once(view)?;
    }
    Ok(())
}

/// P4. Each version of a record is made once, by its owner: no two saves give it the same version.
pub(super) const SINGLE_VERSION_AUTHORITY: StepProperty = StepProperty {
    name: "SingleVersionAuthority",
    about: "no two saves of an owner give a record the same version",
    watches: OWNED,
    judge: |view| {
        let of_order = |saved: &Saved<'_, Order>| has_a_version_of_its_own(view, saved);
        each_owned(view, |saved| has_a_version_of_its_own(view, saved), of_order)
    },
};

fn has_a_version_of_its_own<R: Owned>(view: &View<'_, Ticketing>, saved: &Saved<'_, R>) -> Result<(), String> {
    let (version, history) = (saved.after.version, view.store_of(R::OWNER).history::<R>(saved.id));
    // The version before is the one a tie repeats.
    let twins = history.iter().rev().take(3).filter(|row| row.version == version).count();
    if twins > 1 { Err(format!("version {version} was given to two saves")) } else { Ok(()) }
}

/// P8. An accepted save was based on the version directly before it.
pub(super) const NO_LOST_UPDATE: StepProperty = StepProperty {
    name: "NoLostUpdate",
    about: "an accepted save was based on the version directly before it",
    watches: OWNED,
    judge: |view| each_owned(view, was_made_from_the_last, was_made_from_the_last),
};

fn was_made_from_the_last<R>(saved: &Saved<'_, R>) -> Result<(), String> {
    let Versioned { version, previous, .. } = *saved.after;
    if previous == saved.before {
        return Ok(());
    }
    let read = previous.map_or("no record".to_owned(), |version| format!("version {version}"));
    let found = saved.before.map_or("no record".to_owned(), |version| format!("version {version}"));
    Err(format!("version {version} was made from {read} and replaced {found}"))
}

/// P5. What an owner saves it publishes: when it is done with a save, every version up to that one
/// was published, with that version's fields, or is to be as soon as who publishes gets to it.
pub(super) const PUBLISHED_VERSIONS_CONTIGUOUS: StepProperty = StepProperty {
    name: "PublishedVersionsContiguous",
    about: "each version an owner saves is published in the same step, with that version's fields",
    watches: OWNED.and(Watch::PUBLISHES),
    judge: |view| {
        each_owned(view, |saved| is_published(view, saved), |saved| is_published(view, saved))?;
        says_what_it_saved(view)
    },
};

/// Whether the version that was saved and the one before it were published.
fn is_published<R>(view: &View<'_, Ticketing>, saved: &Saved<'_, R>) -> Result<(), String> {
    // Who paused is not done, and who crashed before it published may have another try.
    if matches!(view.step.answer, Some(Answer::Paused)) || view.step.fate.crash == Some(Window::BeforePublish) {
        return Ok(());
    }
    let id = saved.id;
    let mut versions = saved.before.into_iter().chain([saved.after.version]);
    match versions.find(|version| !was_published(view, id, *version)) {
        Some(version) => Err(format!("{id}@{version} was saved and not published")),
        None => Ok(()),
    }
}

fn says_what_it_saved(view: &View<'_, Ticketing>) -> Result<(), Violation> {
    if matches!(view.step.answer, Some(Answer::Paused)) {
        return Ok(());
    }
    for message in view.published() {
        says_what_was_saved(view, &message.event).map_err(|detail| blame(view, message.name.record, detail))?;
    }
    Ok(())
}

fn was_published(view: &View<'_, Ticketing>, record: RecordId, version: Version) -> bool {
    // What was there from the beginning was not saved by anybody who could publish it.
    let began_with = |store: &Store| match record.kind() {
        Ticket::KIND => store.has::<Ticket>() && store.began_with::<Ticket>(record, version),
        _ => store.has::<Order>() && store.began_with::<Order>(record, version),
    };
    view.was_published(record, version) || view.store().is_some_and(began_with) || view.is_unpublished(record, version)
}

/// What an owner publishes of a version it publishes once, whatever the subject.
pub(super) const PUBLISHED_ONCE: StepProperty = StepProperty {
    name: "PublishedOnce",
    about: "each version of a record is published once, on whatever subject",
    watches: Watch::PUBLISHES,
    judge: is_published_once,
};

fn is_published_once(view: &View<'_, Ticketing>) -> Result<(), Violation> {
    let saved = |record: RecordId, version: Version| {
        let is_it = |id: RecordId, after: Option<Version>| (id, after) == (record, Some(version));
        view.changes::<Ticket>().any(|change| is_it(change.id, change.after.map(|row| row.version)))
            || view.changes::<Order>().any(|change| is_it(change.id, change.after.map(|row| row.version)))
            || view.changes::<Payment>().any(|change| is_it(change.id, change.after.map(|row| row.version)))
    };
    let published = view.published();
    // What a publisher says once more because it heard no confirm is no second event, and a dead letter is none.
    let is_event = |message: &Message<TicketingEvent>| !message.is_retry && !message.is_dead_letter;
    for (place, message) in published.iter().enumerate().filter(|(_, message)| is_event(message)) {
        let Some(version) = message.name.version else { continue };
        let record = message.name.record;
        let same =
            |other: &&Message<TicketingEvent>| (other.name.record, other.name.version) == (record, Some(version));
        let mut twin = published[..place].iter().find(same);
        // What was saved in this step nobody can have published before, and the log is long.
        if twin.is_none() && !saved(record, version) {
            let log = view.world().broker().messages();
            twin = log[..view.step.published.start].iter().rev().find(same);
        }
        if let Some(twin) = twin {
            let (first, second) = (twin.name.subject.name(), message.name.subject.name());
            let detail = format!("{record}@{version} was published twice, on {first} and on {second}");
            return Err(blame(view, record, detail));
        }
    }
    Ok(())
}

fn says_what_was_saved(view: &View<'_, Ticketing>, event: &TicketingEvent) -> Result<(), String> {
    let (id, version, said) = match event.itself() {
        TicketingEvent::TicketCreated { id, version, title, price, .. } => (*id, *version, (title, *price)),
        TicketingEvent::TicketUpdated { id, version, title, price, .. } => (*id, *version, (title, *price)),
        _ => return Ok(()),
    };
    let history = view.store_of("tickets").history::<Ticket>(id);
    let saved = history.iter().rev().find(|row| row.version == version);
    match saved {
        Some(saved) if (&saved.title, saved.price) == said => Ok(()),
        Some(_) => Err(format!("{} {id}@{version} says other fields than were saved", event.subject())),
        None => Err(format!("{} {id}@{version} was published and never saved", event.subject())),
    }
}

/// P7. One cause changes an owner's state once, however often it is delivered or asked for.
pub(super) const EFFECTIVELY_ONCE: StepProperty = StepProperty {
    name: "EffectivelyOnce",
    about: "one cause changes an owner's record at most once, however often it is delivered or asked for",
    watches: CHANGED_ONCE,
    judge: is_changed_once,
};

/// Saves of what one cause changes once.
const CHANGED_ONCE: Watch = OWNED.and(Watch::saves_of::<Job>());

fn is_changed_once(view: &View<'_, Ticketing>) -> Result<(), Violation> {
    for change in view.changes::<Order>() {
        if let (Some(before), Some(after)) = (change.before, change.after)
            && before.status == after.status
        {
            let detail = format!("version {} was made and the status stayed as it was", after.version);
            return Err(blame(view, change.id, detail));
        }
    }
    for change in view.changes::<Job>() {
        if let Some(job) = change.after.filter(|job| job.made > 1) {
            return Err(blame(view, change.id, format!("{} jobs were made for one order", job.made)));
        }
    }
    let Some(index) = view.step.delivery.filter(|_| view.effects() > 1) else { return Ok(()) };
    let owned = view.changes::<Ticket>().map(|change| change.id).chain(view.changes::<Order>().map(|change| change.id));
    match owned.into_iter().next() {
        Some(record) => {
            let name = view.world().broker().name(index);
            Err(blame(view, record, format!("{name} changed the owner's state again")))
        }
        None => Ok(()),
    }
}
