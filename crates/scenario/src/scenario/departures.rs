//! Whether the departures of a scenario's schedule, and the steps of its entry, speak of what there is.

use std::cell::LazyCell;
use std::collections::BTreeSet;
use std::ops::Range;

use super::own::never_created;
use super::read::subjects;
use super::source::Source;
use super::suite::{Stored, Suite};
use super::{FileError, Hostings, Scenario, nearest};
use pellmell_core::broker::Profile;
use pellmell_core::engine;
use pellmell_core::event::Command;
use pellmell_core::faults::MemberChanges;
use pellmell_core::ids::RecordId;
use pellmell_core::run::{Judges, Limits, run};
use pellmell_core::schedule::{CommandSpec, Departure, NamedStep, ParseDepartureError, Target};
use pellmell_core::scheduler::Departing;
use pellmell_core::simulation::{Client, Simulation};
use pellmell_core::trace::Naming;
use toml::Spanned;

/// The most names an error lists.
const NAMES_SHOWN: usize = 12;

/// What a schedule can speak of.
pub(super) struct Known<'a, C> {
    /// The records that commands create; none if no command says what it creates.
    records: &'a BTreeSet<RecordId>,
    /// The records that something happens to in the run of the schedule: those that services create, too.
    /// Nobody plays it unless a name is none of the others.
    happens: LazyCell<BTreeSet<RecordId>, Box<dyn FnOnce() -> BTreeSet<RecordId> + 'a>>,
    subjects: Vec<String>,
    groups: Vec<String>,
    services: Vec<String>,
    /// The services whose handlers are `async fn`s; `None` if nobody knows.
    awaiting: Option<Vec<&'static str>>,
    /// The broker.
    profile: &'a Profile,
    /// How the scenario's services take part.
    hostings: &'a Hostings,
    /// The clients written out in the file.
    written: &'a [Client<C>],
    /// The clients a workload generates.
    generated: &'a [Client<C>],
}

impl<'a, C> Known<'a, C> {
    /// What there is in the services that a scenario with this schedule is played in, and what there would be
    /// under another design. `simulation` is `None` if they cannot be put together.
    pub(super) fn of<T: Suite<Command = C>>(
        scenario: &'a Scenario<T>,
        simulation: Option<&'a Simulation<T>>,
        schedule: Vec<Departure>,
        records: &'a BTreeSet<RecordId>,
        generated: &'a [Client<C>],
    ) -> Known<'a, C> {
        let Scenario { settings, clients, .. } = scenario;
        let own = || settings.hostings.names().map(str::to_owned);
        let (mut subjects, mut groups): (Vec<String>, Vec<String>) = (subjects::<T>(), own().collect());
        let mut services: Vec<String> = own().collect();
        if let Some(simulation) = simulation {
            let also = |known: &mut Vec<String>, name: &str| {
                if known.iter().all(|other| other != name) {
                    known.push(name.to_owned());
                }
            };
            simulation.subjects().for_each(|subject| also(&mut subjects, subject.name()));
            simulation.groups().for_each(|group| also(&mut groups, group));
            simulation.service_names().for_each(|service| also(&mut services, service));
        }
        let limits = settings.limits;
        let happens: Box<dyn FnOnce() -> BTreeSet<RecordId> + 'a> =
            Box::new(move || simulation.map(|simulation| records_in(simulation, schedule, limits)).unwrap_or_default());
        let (happens, hostings) = (LazyCell::new(happens), &settings.hostings);
        let (profile, written) = (&settings.profile, clients);
        let awaiting = simulation.map(|simulation| simulation.awaiting().collect());
        Known { records, happens, subjects, groups, services, awaiting, profile, hostings, written, generated }
    }
}

/// The records that something happens to in the run of a schedule.
fn records_in<T: Suite>(simulation: &Simulation<T>, schedule: Vec<Departure>, limits: Limits) -> BTreeSet<RecordId> {
    let mut naming = Naming::default();
    let nobody = Judges::new(Vec::new());
    run(&mut simulation.world(), &mut Departing::new(schedule), &nobody, limits, &mut naming);
    let records = naming.into_steps().into_iter().filter_map(|step| match step.what {
        Target::Delivery(delivery) | Target::Ack(delivery) | Target::AckWait(delivery) => Some(delivery.record),
        Target::Timer(timer) => Some(timer.record),
        _ => None,
    });
    records.collect()
}

/// Reads a schedule.
pub(super) fn read(source: &Source<'_>, texts: &[Spanned<String>]) -> Result<Vec<Spanned<Departure>>, FileError> {
    let read = |text: &Spanned<String>| match text.get_ref().parse() {
        Ok(departure) => Ok(Spanned::new(text.span(), departure)),
        Err(error) => {
            let error: ParseDepartureError = error;
            Err(source.at(text.span(), format!("`{}` is no departure", text.get_ref())).help(error.to_string()))
        }
    };
    texts.iter().map(read).collect()
}

/// Checks that every name in a schedule exists and that what shall pause can.
pub(super) fn check<C: Command>(
    source: &Source<'_>,
    schedule: &[Spanned<Departure>],
    known: &Known<'_, C>,
) -> Result<(), FileError> {
    for departure in schedule {
        let at = Place { source, span: departure.span() };
        if let Departure::Crash { service, .. } = departure.get_ref() {
            at.one_of(service, "service", &known.services)?;
        }
        let what = departure.get_ref().what();
        for target in std::iter::once(&what).chain(departure.get_ref().until()) {
            at.target(target, known)?;
        }
        match departure.get_ref() {
            Departure::Pause { .. } => at.can_pause(&what, known)?,
            Departure::Fetch { .. } if !known.profile.changes().fetches() => {
                return Err(
                    at.no_such_change("members fetch nothing ahead", known.profile, |changes| changes.fetches())
                );
            }
            Departure::MemberChange { change, .. } if !known.profile.changes().has(*change) => {
                if let Some(reason) = known.profile.why_not(*change) {
                    return Err(source.at(departure.span(), format!("`{}`: {reason}", change.verb())));
                }
                let what = format!("nothing like `{}` happens", change.verb());
                return Err(at.no_such_change(&what, known.profile, |changes| changes.has(*change)));
            }
            _ => {}
        }
    }
    Ok(())
}

impl<T: Suite> Scenario<T> {
    /// Checks that departures speak of what there is in this scenario, as those of its file do: that every
    /// name exists, and that what shall pause can.
    ///
    /// # Errors
    /// The first that does not; `from` stands for the file.
    pub fn check_departures(&self, from: &str, departures: &[Departure]) -> Result<(), FileError> {
        if departures.is_empty() {
            // The clients of a workload are many.
            return Ok(());
        }
        let clients = self.clients_of(self.seed);
        let commands = clients.iter().flat_map(|client| &client.commands);
        let created = commands.filter_map(|sending| sending.command.creates());
        let records = created.chain(self.stored.iter().map(Stored::record)).collect();
        let simulation = self.simulation(self.seed).ok();
        let known = Known::of(self, simulation.as_ref(), departures.to_vec(), &records, &clients);
        departures.iter().try_for_each(|departure| {
            let text = departure.to_string();
            let place = Spanned::new(0..text.len(), departure.clone());
            check(&Source::of(from, &text), &[place], &known)
        })
    }
}

/// Checks that every name in recorded steps exists and that what paused can.
pub(super) fn check_steps<C: Command>(
    source: &Source<'_>,
    steps: &[Spanned<NamedStep>],
    known: &Known<'_, C>,
) -> Result<(), FileError> {
    let check = |step: &Spanned<NamedStep>| Place { source, span: step.span() }.target(&step.get_ref().what, known);
    steps.iter().try_for_each(check)
}

/// Where a departure or a step stands.
struct Place<'a> {
    source: &'a Source<'a>,
    span: Range<usize>,
}

impl Place<'_> {
    /// That something does not happen to the members of a broker, with those on which it does.
    fn no_such_change(&self, what: &str, profile: &Profile, happens: impl Fn(MemberChanges) -> bool) -> FileError {
        let error = self.source.at(self.span.clone(), format!("{what} on `{}`", profile.name));
        let driven = |name: &str| engine::Profile::named(name).map(|broker| Profile::driven(&broker).changes());
        if profile.engine.is_none() && driven(profile.name).is_some_and(&happens) {
            return error.help("it does where its engine plays it: write `engine = true` in `[broker]`");
        }
        let there: Vec<&str> = Profile::NAMES.into_iter().filter(|name| driven(name).is_some_and(&happens)).collect();
        error.help(format!("it does on {}", there.join(", ")))
    }

    fn target<C: Command>(&self, target: &Target, known: &Known<'_, C>) -> Result<(), FileError> {
        match target {
            Target::Delivery(delivery) | Target::Ack(delivery) | Target::AckWait(delivery) => {
                self.one_of(&delivery.subject, "subject", &known.subjects)?;
                self.one_of(&delivery.group, "group", &known.groups)?;
                self.record(delivery.record, known)
            }
            Target::Timer(timer) => {
                self.one_of(&timer.service, "service", &known.services)?;
                self.record(timer.record, known)
            }
            Target::Command(command) => self.command(command, known),
            Target::Pause(what) => {
                self.target(what, known)?;
                self.can_pause(what, known)
            }
            Target::Await { what, .. } => {
                self.target(what, known)?;
                self.can_pause(what, known)?;
                self.can_await(what, known)
            }
            Target::Start(what) | Target::Publish(what) => self.target(what, known),
            Target::Join(group) => {
                self.one_of(group, "group", &known.groups)?;
                match known.hostings.get(group).is_some_and(|hosting| !hosting.joins_late) {
                    false => Ok(()),
                    true => {
                        let message = format!("`{group}` is there from the start: it does not join");
                        let error = self.source.at(self.span.clone(), message).about_a_name();
                        self.source.leave_out(error.help(format!("set `joins_late = true` in [services.{group}]")))
                    }
                }
            }
        }
    }

    /// Refuses a name that is none of the known ones.
    fn one_of(&self, name: &str, what: &str, known: &[String]) -> Result<(), FileError> {
        if known.iter().any(|known| known == name) {
            return Ok(());
        }
        // All would be too many where a workload makes them; the nearest is among those shown.
        let known = || known.iter().map(String::as_str);
        let near = nearest(name, known()).filter(|_| known().count() > NAMES_SHOWN);
        let others = known().filter(|other| near != Some(*other));
        let shown: Vec<&str> = near.into_iter().chain(others).take(NAMES_SHOWN).collect();
        self.source.leave_out(self.source.unknown(&Spanned::new(self.span.clone(), name.to_owned()), what, &shown))
    }

    fn record<C: Command>(&self, record: RecordId, known: &Known<'_, C>) -> Result<(), FileError> {
        if known.records.is_empty() || known.records.contains(&record) || known.happens.contains(&record) {
            return Ok(());
        }
        self.source.leave_out(never_created(self.source, record, self.span.clone(), known.records).about_a_name())
    }

    /// The commands of a workload depend on the seed, so only those written out are checked.
    fn command<C: Command>(&self, command: &CommandSpec, known: &Known<'_, C>) -> Result<(), FileError> {
        let clients = known.written.iter().chain(known.generated);
        let names: Vec<String> = clients.map(|client| client.name.clone()).collect();
        self.one_of(&command.client, "client", &names)?;
        let Some(client) = known.written.iter().find(|client| client.name == command.client) else { return Ok(()) };
        // A later attempt of one that is tried again is named like the first.
        let first = command.at_first_attempt().filter(|first| {
            client.commands.iter().any(|sending| sending.until_accepted && sending.label() == first.label)
        });
        if first.is_some() {
            return Ok(());
        }
        let labels: Vec<String> = client.commands.iter().map(|sending| sending.label()).collect();
        self.one_of(&command.label, &format!("command of `{}`", client.name), &labels)
    }

    /// Refuses an await of a handler that has none.
    fn can_await<C: Command>(&self, what: &Target, known: &Known<'_, C>) -> Result<(), FileError> {
        let (Some(service), Some(awaiting)) = (handler_of(what, known), &known.awaiting) else { return Ok(()) };
        if awaiting.contains(&service) || !known.services.iter().any(|other| other == service) {
            return Ok(());
        }
        let message = format!("handlers of `{service}` are no `async fn`s: they have no awaits");
        let error = self.source.at(self.span.clone(), message).about_a_name();
        self.source.leave_out(error.help(format!("write `pause {what} until …`: between its reads and its saves")))
    }

    fn can_pause<C: Command>(&self, what: &Target, known: &Known<'_, C>) -> Result<(), FileError> {
        let service = match what {
            // A broker that an engine plays waits for a slow handler, whatever else that does meanwhile.
            Target::Delivery(_) if known.profile.engine.is_some() => None,
            what => handler_of(what, known),
        };
        let hosted = service.and_then(|name| Some((name, known.hostings.get(name)?)));
        match hosted {
            Some((name, hosting)) if !hosting.may_pause() => {
                let message =
                    format!("handlers of `{name}` cannot pause: it has one member, which handles one at a time");
                let error = self.source.at(self.span.clone(), message).about_a_name();
                self.source.leave_out(error.help(format!("set `overlapping = true` in [services.{name}]")))
            }
            _ => Ok(()),
        }
    }
}

/// Who handles a delivery or a command.
fn handler_of<'a, 'k: 'a, C: Command>(what: &'a Target, known: &Known<'k, C>) -> Option<&'a str> {
    match what {
        Target::Delivery(delivery) => Some(delivery.group.as_str()),
        Target::Command(command) => service_of(command, known),
        _ => None,
    }
}

/// The service a command goes to: that of the client's command of this label or, where labels depend
/// on the seed, of its first one.
fn service_of<'a, C: Command>(command: &CommandSpec, known: &Known<'a, C>) -> Option<&'a str> {
    let clients: Vec<_> = known.written.iter().chain(known.generated).collect();
    let client = clients.into_iter().find(|client| client.name == command.client)?;
    let first = command.at_first_attempt().map(|first| first.label);
    let is_named = |label: &str| label == command.label || first.as_deref() == Some(label);
    let named = client.commands.iter().find(|request| is_named(&request.label()));
    named.or(client.commands.first()).map(|request| request.service())
}

#[cfg(test)]
mod tests {
    use pellmell::ticketing::Scenario;

    fn refused(departure: &str, services: &str) -> String {
        let text = format!(
            "version = 1\nabout = \"a test\"\nschedule = [\"{departure}\"]\n{services}\n\
             [[client]]\nname = \"alice\"\ncommands = [{{ create_ticket = {{ ticket = \"t1\", price = 5 }} }}]\n\
             [workload]\ntickets = 30\nprices = [5]\n"
        );
        // t1 of the workload is made by its seller.
        let text = text.replace("\"t1\"", "\"t99\"");
        Scenario::parse("test.toml", &text).map_or_else(|error| error.to_string(), |_| "fine".to_owned())
    }

    #[test]
    fn names_that_do_not_exist_are_refused_with_the_nearest_that_do() {
        let check = |departure: &str, parts: &[&str]| {
            let error = refused(departure, "[services.tickets]\noverlapping = true");
            assert!(parts.iter().all(|part| error.contains(part)), "{departure}: {error}");
        };
        let hold = "hold ticket:created t1@0 -> orders until";
        check(&format!("{hold} alise: create t1 at 5"), &["unknown client `alise`", "did you mean `alice`?"]);
        check(&format!("{hold} seler-30: create t1 at 5"), &["did you mean `seller-30`? Known are seller-30, alice,"]);
        let label = &["unknown command of `alice` `create t99 at 6`", "did you mean `create t99 at 5`?"];
        check(&format!("{hold} alice: create t99 at 6"), label);
        check(&format!("{hold} timer t1 of ticket"), &["unknown service `ticket`", "did you mean `tickets`?"]);
        check(&format!("{hold} timer o1 of orders"), &["no command creates `o1`"]);
        check("crash order before save of timer t1 of orders", &["unknown service `order`"]);
        check("pause ticket:create t1@0 -> orders until quiescence", &["unknown subject `ticket:create`"]);
        check("pause alice: create t99 at 5 until seller-1: create t1 at 5", &["fine"]);
        check("hold alise: create t99 at 5 until quiescence", &["unknown client `alise`"]);
        check("hold alice: create t99 at 5 until seller-1: create t1 at 5", &["fine"]);
        check(&format!("{hold} ack of ticket:create t1@0 -> orders"), &["unknown subject `ticket:create`"]);
        check(&format!("{hold} ack wait of ticket:created t1@0 -> order"), &["unknown group `order`"]);
        check(&format!("{hold} pause of ticket:created t1@0 -> orders"), &["handlers of `orders` cannot pause"]);
        check(&format!("{hold} join of orders"), &["`orders` is there from the start", "set `joins_late = true`"]);
        check("hold join of order until quiescence", &["unknown group `order`"]);
    }

    #[test]
    fn a_pause_where_nothing_can_pause_is_refused_with_the_key_that_helps() {
        let overlapping = "[services.tickets]\noverlapping = true";
        let members = "[services.orders]\nmembers = 2";
        for (what, helps, does_not) in [
            ("alice: create t99 at 5", overlapping, members),
            ("seller-7: create t7 at 5", overlapping, members),
            ("ticket:created t1@0 -> orders", members, overlapping),
        ] {
            let pause = format!("pause {what} until quiescence");
            assert_eq!(refused(&pause, helps), "fine");
            let error = refused(&pause, does_not);
            assert!(error.contains("cannot pause") && error.contains("set `overlapping = true` in ["), "{error}");
        }
    }
}
