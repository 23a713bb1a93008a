//! What owners do with their records: versions, history, publishing.

use super::{StepProperty, blame};
use crate::broker::{Message, MessageName};
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

/// Judges every save of a ticket and of an order by its owner, given what came before it.
fn each_owned(
    view: &View<'_, Ticketing>,
    judge: impl Fn(RecordId, Option<Version>, Version, Option<Version>) -> Result<(), String>,
) -> Result<(), Violation> {
    for change in view.changes::<Ticket>() {
        judge_owned(&change, &judge).map_err(|detail| blame(view, change.id, detail))?;
    }
    for change in view.changes::<Order>() {
        judge_owned(&change, &judge).map_err(|detail| blame(view, change.id, detail))?;
    }
    Ok(())
}

fn judge_owned<R>(
    change: &Change<'_, R>,
    judge: impl Fn(RecordId, Option<Version>, Version, Option<Version>) -> Result<(), String>,
) -> Result<(), String> {
    match change.after {
        Some(after) => judge(change.id, change.before.map(|before| before.version), after.version, after.previous),
        None => Ok(()),
    }
}

/// P4. Each version of a record is made once, by its owner: no two saves give it the same version.
pub(super) const SINGLE_VERSION_AUTHORITY: StepProperty = StepProperty {
    name: "SingleVersionAuthority",
    about: "no two saves of an owner give a record the same version",
    watches: OWNED,
    judge: |view| {
        for change in view.changes::<Ticket>() {
            let history = view.store_of("tickets").history::<Ticket>(change.id);
            once_in(change.after, history).map_err(|detail| blame(view, change.id, detail))?;
        }
        for change in view.changes::<Order>() {
            let history = view.store_of("orders").history::<Order>(change.id);
            once_in(change.after, history).map_err(|detail| blame(view, change.id, detail))?;
        }
        Ok(())
    },
};

fn once_in<R>(after: Option<&Versioned<R>>, history: &[Versioned<R>]) -> Result<(), String> {
    let Some(after) = after else { return Ok(()) };
    // The version before is the one a tie repeats.
    let twins = history.iter().rev().take(3).filter(|row| row.version == after.version).count();
    if twins > 1 { Err(format!("version {} was given to two saves", after.version)) } else { Ok(()) }
}

/// P8. An accepted save was based on the version directly before it.
pub(super) const NO_LOST_UPDATE: StepProperty = StepProperty {
    name: "NoLostUpdate",
    about: "an accepted save was based on the version directly before it",
    watches: OWNED,
    judge: |view| {
        each_owned(view, |_, before, after, previous| {
            if previous == before {
                return Ok(());
            }
            let read = previous.map_or("no record".to_owned(), |version| format!("version {version}"));
            let found = before.map_or("no record".to_owned(), |version| format!("version {version}"));
            Err(format!("version {after} was made from {read} and replaced {found}"))
        })
    },
};

/// P5. What an owner saves it publishes: when it is done with a save, every version up to that one
/// was published, with that version's fields.
pub(super) const PUBLISHED_VERSIONS_CONTIGUOUS: StepProperty = StepProperty {
    name: "PublishedVersionsContiguous",
    about: "each version an owner saves is published in the same step, with that version's fields",
    watches: OWNED.and(Watch::PUBLISHES),
    judge: |view| {
        // Who paused is not done, and who crashed before it published may have another try.
        if matches!(view.step.answer, Some(Answer::Paused)) {
            return Ok(());
        }
        if view.step.fate.crash != Some(Window::BeforePublish) {
            each_owned(view, |record, before, version, _| {
                let versions = before.into_iter().chain([version]);
                let missing = versions.into_iter().find(|version| !was_published(view, record, *version));
                match missing {
                    Some(version) => Err(format!("{record}@{version} was saved and not published")),
                    None => Ok(()),
                }
            })?;
        }
        for message in view.published() {
            says_what_was_saved(view, &message.event).map_err(|detail| blame(view, message.name.record, detail))?;
        }
        Ok(())
    },
};

fn was_published(view: &View<'_, Ticketing>, record: RecordId, version: Version) -> bool {
    let is_it = |name: &MessageName| (name.record, name.version) == (record, Some(version));
    // Nearly always this very step did, and the log is long.
    if view.published().iter().any(|message| is_it(&message.name)) {
        return true;
    }
    // What was there from the beginning was not saved by anybody who could publish it.
    let began_with = |store: &Store| match record.kind() {
        Ticket::KIND => store.has::<Ticket>() && store.began_with::<Ticket>(record, version),
        _ => store.has::<Order>() && store.began_with::<Order>(record, version),
    };
    view.store().is_some_and(began_with) || view.ever_published(is_it)
}

/// What an owner publishes of a version it publishes once, whatever the subject.
pub(super) const PUBLISHED_ONCE: StepProperty = StepProperty {
    name: "PublishedOnce",
    about: "each version of a record is published once, on whatever subject",
    watches: Watch::PUBLISHES,
    judge: |view| {
        let saved = |record: RecordId, version: Version| {
            let is_it = |id: RecordId, after: Option<Version>| (id, after) == (record, Some(version));
            view.changes::<Ticket>().any(|change| is_it(change.id, change.after.map(|row| row.version)))
                || view.changes::<Order>().any(|change| is_it(change.id, change.after.map(|row| row.version)))
                || view.changes::<Payment>().any(|change| is_it(change.id, change.after.map(|row| row.version)))
        };
        let published = view.published();
        for (place, message) in published.iter().enumerate() {
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
    },
};

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
    watches: OWNED.and(Watch::saves_of::<Job>()),
    judge: |view| {
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
        let owned =
            view.changes::<Ticket>().map(|change| change.id).chain(view.changes::<Order>().map(|change| change.id));
        match owned.into_iter().next() {
            Some(record) => {
                let name = view.world().broker().name(index);
                Err(blame(view, record, format!("{name} changed the owner's state again")))
            }
            None => Ok(()),
        }
    },
};
