//! Counterexamples as scenario files.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use toml_edit::{DocumentMut, Item, Table};

use super::suite::{Design, Stored, Suite};
use super::{Scenario, SchedulerKind};
use pellmell_core::escape::{file_for_shell, for_shell, for_terminal};
use pellmell_core::event::Command;
use pellmell_core::faults::FaultPlan;
use pellmell_core::ids::RecordId;
use pellmell_core::run::{Limits, Verdict};
use pellmell_core::schedule::{CommandSpec, Departure, Target};
use pellmell_core::shrink::{Shrunk, Simpler};
use pellmell_core::simulation::{Client, CommandIndex, Sending};

impl<T: Suite> Scenario<T> {
    /// What this departs from otherwise than the text it was read from, and whether it has no faults
    /// although that text has: with the text enough to have the same runs again.
    #[must_use]
    pub fn departs_otherwise(&self) -> (Vec<String>, bool) {
        let written = Scenario::<T>::parse(&self.name, &self.source).unwrap_or_else(|_| self.clone());
        let others = self.schedule.iter().filter(|_| self.schedule != written.schedule);
        (others.map(ToString::to_string).collect(), self.faults == FaultPlan::NONE && written.faults != FaultPlan::NONE)
    }

    /// The command that does `verb` with this scenario, read from the file at `path`: it says the
    /// design, and by a flag whatever else is another than in the text this was read from. A shell reads it as it is.
    #[must_use]
    pub fn command(&self, verb: &str, path: &Path) -> String {
        let written = Scenario::<T>::parse(&path.to_string_lossy(), &self.source).unwrap_or_else(|_| self.clone());
        let mut command = format!("{} {verb} {} --design {}", T::program(), file_for_shell(path), self.design.name());
        if let Some(profile) = &self.on_profile {
            command += &format!(" --profile {}", for_shell(profile.as_ref()));
        }
        // Departures replace the scheduler.
        let is_drawn = self.schedule.is_empty();
        if is_drawn && (self.scheduler != written.scheduler || !written.schedule.is_empty()) {
            command += &format!(" --scheduler {}", self.scheduler.unwrap_or(SchedulerKind::Random).name());
        }
        if self.faults == FaultPlan::NONE && written.faults != FaultPlan::NONE {
            command += " --no-faults";
        }
        for departure in self.schedule.iter().filter(|_| self.schedule != written.schedule) {
            command += &format!(" --departure {}", for_shell(departure.to_string().as_ref()));
        }
        for defect in self.defects.iter().skip(written.defects.len()) {
            command += &format!(" --defect {defect}");
        }
        for property in self.properties.iter().filter(|_| self.properties != written.properties) {
            command += &format!(" --property {property}");
        }
        for allow in self.allow.iter().filter(|allow| !written.allow.contains(allow)) {
            command += &format!(" --allow {}", for_shell(allow.to_string().as_ref()));
        }
        let limits = [
            ("--max-steps", self.limits.steps_max, written.limits.steps_max),
            ("--max-messages", self.limits.messages_max.into(), written.limits.messages_max.into()),
            ("--max-in-flight", self.limits.in_flight_max.into(), written.limits.in_flight_max.into()),
        ];
        for (flag, limit, _) in limits.into_iter().filter(|(_, limit, written)| limit != written) {
            command += &format!(" {flag} {limit}");
        }
        command
    }

    /// A counterexample to this scenario as the text of a scenario file: the clients `seed` gives it
    /// with the commands that are left, the departures, and the verdict it comes to as what to expect.
    #[must_use]
    pub fn counterexample(&self, seed: u64, shrunk: &Shrunk<T::Command>) -> String {
        let all = replaced(self.clients_of(seed), &shrunk.simpler);
        let clients = kept(&all, &shrunk.commands);
        let verdict = &shrunk.report.verdict;
        let what = match verdict {
            Verdict::Violated { property, .. } => format!("violates {property}"),
            other => format!("is {}", other.word()),
        };
        let mut text = String::from("version = 1\n");
        // Writing to a string cannot fail.
        let _ = writeln!(text, "about = {}", quoted(&format!("Shrunk from {}, seed {seed}: {what}.", self.name)));
        if T::OF_PROCESSES {
            let _ = writeln!(text, "system = {}", quoted(T::NAME));
        }
        let _ = writeln!(text, "design = {}", quoted(self.design.name()));
        if !self.defects.is_empty() {
            let _ = writeln!(text, "defects = {}", list(self.defects.iter().cloned()));
        }
        if !self.properties.is_empty() {
            let _ = writeln!(text, "properties = {}", list(self.properties.iter().cloned()));
        }
        if shrunk.departures.is_empty() {
            text += "scheduler = \"calm\"\n";
        } else {
            text += "schedule = [\n";
            for departure in renumbered(&shrunk.departures, &all, &shrunk.commands) {
                let _ = writeln!(text, "    {},", quoted(&departure.to_string()));
            }
            text += "]\n";
        }
        let anchors = shrunk.anchors.as_deref().unwrap_or_default();
        let anchors = renumbered(anchors, &all, &shrunk.commands);
        if !anchors.is_empty() {
            text += "# If the groups are served in another order, it takes these as well:\n";
        }
        for anchor in anchors {
            let _ = writeln!(text, "#   {},", quoted(&anchor.to_string()));
        }
        text += &self.tables_as_written();
        text += &limits(self.limits);
        self.stored.iter().for_each(|stored| text += &record_table::<T>(stored));
        for client in &clients {
            text += &client_table(client);
        }
        if let Verdict::Violated { property, .. } = verdict {
            let expected = quoted(&format!("violated {property}"));
            let _ = write!(text, "\n[expect]\n{} = {expected}\n", self.design.name());
        }
        text
    }

    /// Whether a counterexample can be written to a file, which names only what its commands create
    /// and the commands it has.
    #[must_use]
    pub fn can_be_written(
        &self,
        clients: &[Client<T::Command>],
        commands: &[CommandIndex],
        departures: &[Departure],
    ) -> bool {
        // Where no command says what it creates, nothing is known to be missing.
        let creates = |client: &Client<T::Command>| client.commands.iter().any(|sent| sent.command.creates().is_some());
        let knows_nothing = !clients.iter().any(creates);
        let clients = kept(clients, commands);
        let requests: Vec<&Sending<T::Command>> = clients.iter().flat_map(|client| &client.commands).collect();
        let created = requests.iter().filter_map(|request| request.command.creates());
        let made: BTreeSet<RecordId> = created.chain(self.stored.iter().map(Stored::record)).collect();
        let is_made = |record: &RecordId| knows_nothing || made.contains(record);
        let sent = |spec: &CommandSpec| {
            let client = clients.iter().find(|client| client.name == spec.client);
            let first = spec.at_first_attempt().map(|first| first.label);
            let is_named = |label: &str| label == spec.label || first.as_deref() == Some(label);
            client.is_some_and(|client| client.commands.iter().any(|request| is_named(&request.label())))
        };
        let named = |request: &Sending<T::Command>| {
            let awaited = request.waits_for.iter().map(|awaited| awaited.record);
            request.command.needs().into_iter().chain(awaited).all(|id| is_made(&id))
        };
        fn there(target: &Target, is_made: &dyn Fn(&RecordId) -> bool, sent: &dyn Fn(&CommandSpec) -> bool) -> bool {
            match target {
                Target::Delivery(spec) | Target::Ack(spec) | Target::AckWait(spec) => is_made(&spec.record),
                Target::Timer(spec) => is_made(&spec.record),
                Target::Command(spec) => sent(spec),
                Target::Pause(what) | Target::Await { what, .. } | Target::Start(what) | Target::Publish(what) => {
                    there(what, is_made, sent)
                }
                Target::Join(_) => true,
            }
        }
        !requests.is_empty()
            && requests.iter().all(|request| named(request))
            && departures.iter().all(|departure| {
                there(&departure.what(), &is_made, &sent)
                    && departure.until().is_none_or(|until| there(until, &is_made, &sent))
            })
    }

    /// The tables about the broker and the services that take part, as they stand in the file this was read from.
    fn tables_as_written(&self) -> String {
        let mut document: DocumentMut = self.source.parse().unwrap_or_default();
        document.retain(|key, _| ["broker", "messages", "services"].contains(&key));
        if let Some(services) = document.get_mut("services").and_then(Item::as_table_mut) {
            services.retain(|name, _| self.hostings.get(name).is_some());
        }
        document.set_trailing("");
        bare(document.as_table_mut());
        document.decor_mut().clear();
        let written = document.to_string();
        if written.is_empty() || written.starts_with('\n') { written } else { format!("\n{written}") }
    }
}

/// Takes from a table what stands between its values, and puts an empty line before each of those in it.
fn bare(table: &mut Table) {
    table.decor_mut().set_prefix("\n");
    for (mut key, item) in table.iter_mut() {
        match item {
            Item::Table(table) => bare(table),
            Item::Value(value) => {
                key.leaf_decor_mut().clear();
                value.decor_mut().clear();
            }
            _ => {}
        }
    }
}

fn replaced<C: Clone>(mut clients: Vec<Client<C>>, simpler: &[Simpler<C>]) -> Vec<Client<C>> {
    for Simpler { index, command } in simpler {
        clients[index.client].commands[index.position].command = command.clone();
    }
    clients
}

fn kept<C: Clone>(clients: &[Client<C>], commands: &[CommandIndex]) -> Vec<Client<C>> {
    let kept = commands.chunk_by(|one, next| one.client == next.client).map(|of_client| {
        let client = &clients[of_client[0].client];
        let commands = of_client.iter().map(|index| client.commands[index.position].clone()).collect();
        Client { name: client.name.clone(), commands }
    });
    kept.collect()
}

/// The departures with commands counted among those that are left.
fn renumbered<C: Command>(
    departures: &[Departure],
    clients: &[Client<C>],
    commands: &[CommandIndex],
) -> Vec<Departure> {
    let rename = |spec: &mut CommandSpec| {
        let Some(client) = clients.iter().position(|client| client.name == spec.client) else { return };
        let places = 0..clients[client].commands.len();
        let labelled = |label: &str| -> Vec<usize> {
            places.clone().filter(|place| clients[client].commands[*place].label() == label).collect()
        };
        let all = match (labelled(&spec.label), spec.at_first_attempt()) {
            (none, Some(first)) if none.is_empty() => labelled(&first.label),
            (all, _) => all,
        };
        let Some(place) = all.get(spec.nth as usize - 1) else { return };
        let earlier = |kept: &&CommandIndex| kept.client == client && kept.position < *place;
        let before = commands.iter().filter(earlier).filter(|kept| all.contains(&kept.position)).count();
        spec.nth = before as u32 + 1;
    };
    let mut departures = departures.to_vec();
    departures.iter_mut().for_each(|departure| departure.each_command(rename));
    departures
}

fn limits(limits: Limits) -> String {
    let usual = Limits::default();
    let values = [
        ("steps", limits.steps_max, usual.steps_max),
        ("messages", limits.messages_max.into(), usual.messages_max.into()),
        ("in_flight", limits.in_flight_max.into(), usual.in_flight_max.into()),
    ];
    let other = values.into_iter().filter(|(_, value, usual)| value != usual);
    let lines: String = other.map(|(key, value, _)| format!("{key} = {value}\n")).collect();
    if lines.is_empty() { lines } else { format!("\n[limits]\n{lines}") }
}

fn client_table<C: Command>(client: &Client<C>) -> String {
    let mut text = format!("\n[[client]]\nname = {}\n", quoted(&client.name));
    let sender = client.commands.first().and_then(|sending| sending.command.sender()).unwrap_or_default();
    // Of commands that carry no sender nothing is to be said.
    let is_carried = client.commands.iter().any(|sending| {
        let command = sending.command.clone();
        command.sent_by(Some("a")).sender() != sending.command.clone().sent_by(Some("b")).sender()
    });
    if is_carried && sender != client.name {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "signs_in_as = {}", quoted(sender));
    }
    text += "commands = [\n";
    client.commands.iter().for_each(|sending| text += &format!("    {},\n", command(sending)));
    text + "]\n"
}

fn record_table<T: Suite>(stored: &T::Stored) -> String {
    format!("\n[[record]]\n{}", toml::to_string(stored).unwrap_or_default())
}

/// A command and how it is sent.
fn command<C: Command>(sending: &Sending<C>) -> String {
    let mut how = String::new();
    if !sending.waits_for.is_empty() {
        how += &format!(", waits_for = {}", list(sending.waits_for.iter().map(ToString::to_string)));
    }
    if sending.until_accepted {
        how += ", until_accepted = true";
    }
    if sending.setup {
        how += ", setup = true";
    }
    let what = value(&sending.command);
    match what.strip_suffix('}') {
        Some(keys) => format!("{}{how} }}", keys.trim_end()),
        None => what,
    }
}

/// A value on one line, with its keys in the order in which it has them, and with nothing in it that a
/// terminal obeys.
fn value<V: serde::Serialize>(of: &V) -> String {
    let mut text = String::new();
    let written = of.serialize(toml::ser::ValueSerializer::new(&mut text));
    if written.is_ok() && for_terminal(&text) == text {
        return text;
    }
    plain(&toml::Value::try_from(of).unwrap_or(toml::Value::Boolean(false)))
}

fn plain(value: &toml::Value) -> String {
    let pairs = |table: &toml::Table| -> Vec<String> {
        table.iter().map(|(key, value)| format!("{key} = {}", plain(value))).collect()
    };
    match value {
        toml::Value::String(text) => quoted(text),
        toml::Value::Array(values) => format!("[{}]", values.iter().map(plain).collect::<Vec<_>>().join(", ")),
        toml::Value::Table(table) => format!("{{ {} }}", pairs(table).join(", ")),
        other => other.to_string(),
    }
}

/// A text as TOML, on one line and with nothing in it that a terminal obeys: it is printed, too.
pub(super) fn quoted(text: &str) -> String {
    let escaped = for_terminal(text);
    if escaped == text {
        return toml::Value::String(text.to_owned()).to_string();
    }
    let one = |c: char| match c {
        '"' | '\\' => format!("\\{c}"),
        '\n' => "\\n".to_owned(),
        c if for_terminal(c.encode_utf8(&mut [0; 4])).starts_with('\\') => format!("\\u{:04X}", u32::from(c)),
        c => c.to_string(),
    };
    format!("\"{}\"", text.chars().map(one).collect::<String>())
}

fn list(texts: impl Iterator<Item = String>) -> String {
    let quoted: Vec<String> = texts.map(|text| self::quoted(&text)).collect();
    format!("[{}]", quoted.join(", "))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_quoted_text_is_one_line_that_reads_back(text in "(?s).{0,20}|[\"\\\\\n\u{1b}\u{202e}'a]{0,9}") {
            let quoted = quoted(&text);
            prop_assert_eq!(for_terminal(&quoted), quoted.as_str());
            let read: toml::Table = format!("x = {quoted}").parse().expect("a value");
            prop_assert_eq!(read["x"].as_str(), Some(text.as_str()));
        }
    }
}
