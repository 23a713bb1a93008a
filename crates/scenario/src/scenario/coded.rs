//! Services of a scenario that are code in a process of their own: what the file says of them.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use toml::Spanned;

use super::FileError;
use super::file::{MessageTable, PublishesWord, RecordsWord, ServiceTable, SpeaksWord};
use super::source::Source;
use pellmell_core::service::PublishMode;

/// How long a process may take to be ready, and for each answer, unless said otherwise.
const WITHIN: Duration = Duration::from_secs(10);

/// A service of a scenario that is code in a process of its own.
pub struct Coded {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// The folder in which it runs; that of this process if there is none.
    pub folder: Option<String>,
    /// The subjects that it listens to, where the system does not know them.
    pub listens: Vec<String>,
    /// The kinds of records that it alone changes.
    pub owns: Vec<char>,
    /// The kinds of records that it has copies of, or keeps for itself.
    pub keeps: Vec<char>,
    /// How its saves and publishes hang together, if the file says it.
    pub publishing: Option<PublishMode>,
    /// How long it may take to be ready, and for each answer.
    pub within: Duration,
    /// What it speaks.
    pub speaks: Speaks,
    /// What messages are about, by subject, in the order of the file.
    pub messages: Arc<[MessageNames]>,
    /// Whether the scenario has records that are there before a run begins.
    pub has_stored: bool,
    /// What is started, so that it goes on as long as the scenario is there.
    held: Mutex<Option<Arc<dyn Any + Send + Sync>>>,
}

/// What a process speaks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Speaks {
    /// Lines of JSON, on its stdin and stdout.
    Lines,
    /// NATS, JetStream or NATS Streaming, as a client on loopback, and HTTP.
    Client(ClientOf),
}

/// A process that is a client of a server that pellmell is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientOf {
    /// Whether it speaks NATS Streaming, and not NATS and JetStream.
    pub is_streaming: bool,
    /// The streams that are there before it starts, with their subjects, in the order of their names.
    pub streams: Vec<(String, Vec<String>)>,
    /// By which request each command is called, such as `POST /api/tickets` or `request tickets.create`, in the order
    /// of their names.
    pub calls: Vec<(String, String)>,
    /// Where its records are seen.
    pub records: Option<SeenAt>,
}

/// Where the records of a client are seen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SeenAt {
    /// The request that it answers with them, or `file` and the name of the file where it keeps them.
    Said(String),
    /// A program that prints them, and its arguments.
    Printed(Vec<String>),
}

/// What the messages on some subjects are about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MessageNames {
    /// A subject, or how subjects begin and `*`.
    pub subjects: String,
    /// The kind of the records.
    pub kind: char,
    /// Where the id is.
    pub record: Place,
    /// Where the version is, if there is one.
    pub version: Option<Place>,
}

/// Where something is in a message.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// At a JSON pointer in its body.
    Body(String),
    /// In the header of that name.
    Header(String),
}

impl Coded {
    /// Keeps what was started for it as long as the scenario and its copies are there.
    pub fn hold(&self, started: Arc<dyn Any + Send + Sync>) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(started);
    }
}

impl fmt::Debug for Coded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coded").field("command", &self.command).finish_non_exhaustive()
    }
}

/// What was read of a service, and where its name stands.
type Named = (Spanned<String>, Arc<Coded>);

/// The services of a file that have a command, in the order of the file.
pub(super) fn read(
    source: &Source<'_>,
    tables: &BTreeMap<Spanned<String>, ServiceTable>,
    messages: &BTreeMap<Spanned<String>, MessageTable>,
    has_stored: bool,
) -> Result<Vec<Named>, FileError> {
    let mut named: Vec<(&Spanned<String>, &MessageTable)> = messages.iter().collect();
    named.sort_by_key(|(subjects, _)| subjects.span().start);
    let messages: Arc<[MessageNames]> =
        named.into_iter().map(|(subjects, table)| names(source, subjects, table)).collect::<Result<_, _>>()?;
    let mut coded = Vec::new();
    for (name, table) in tables {
        let Some(command) = &table.command else {
            if let Some((key, place)) = table.only_with_a_command() {
                let error = source.at(place, format!("`{key}` says nothing of a service without a command"));
                return Err(error.help("a process has `command = [\"PROGRAM\", \"ARGUMENT\"]`"));
            }
            continue;
        };
        if command.get_ref().first().is_none_or(String::is_empty) {
            let error = source.at(command.span(), "a command has at least a program");
            return Err(error.help("write for example command = [\"node\", \"orders.js\"]"));
        }
        let listens = table.listens.iter().map(|subject| {
            is_subject(subject.get_ref()).then(|| subject.get_ref().clone()).ok_or_else(|| no_subject(source, subject))
        });
        let publishing = table.publishes.as_ref().map(|word| match word {
            PublishesWord::Outbox => PublishMode::Outbox,
            PublishesWord::AfterSaves => PublishMode::DualWrite,
            PublishesWord::BeforeSaves => PublishMode::BeforeSave,
        });
        let kinds = |kinds: &[Spanned<char>]| kinds.iter().map(|letter| kind(source, letter)).collect::<Result<_, _>>();
        let service = Coded {
            command: command.get_ref().clone(),
            folder: table.folder.clone(),
            listens: listens.collect::<Result<_, _>>()?,
            owns: kinds(&table.owns)?,
            keeps: kinds(&table.keeps)?,
            publishing,
            within: table.within.map_or(WITHIN, |within| within.0),
            speaks: speaks(source, table)?,
            messages: Arc::clone(&messages),
            has_stored,
            held: Mutex::new(None),
        };
        coded.push((name.clone(), Arc::new(service)));
    }
    coded.sort_by_key(|(name, _)| name.span().start);
    Ok(coded)
}

fn speaks(source: &Source<'_>, table: &ServiceTable) -> Result<Speaks, FileError> {
    let is_streaming = match table.speaks {
        Some(SpeaksWord::NatsStreaming) => true,
        Some(SpeaksWord::Nats) => false,
        Some(SpeaksWord::Lines) | None => {
            let Some((key, place)) = table.only_of_a_client() else { return Ok(Speaks::Lines) };
            let error = source.at(place, format!("`{key}` says nothing of a service that speaks lines of JSON"));
            return Err(
                error.help("a client of NATS has `speaks = \"nats\"`, one of NATS Streaming \"nats-streaming\"")
            );
        }
    };
    let streams = table.streams.iter().map(|(name, subjects)| {
        if is_streaming {
            let error = source.at(name.span(), "`streams` says nothing of a client of NATS Streaming");
            return Err(error.help("a client of JetStream has `speaks = \"nats\"`"));
        }
        let is_pattern = |subject: &String| is_subject(subject);
        if subjects.get_ref().is_empty() || !subjects.get_ref().iter().all(is_pattern) {
            let error = source.at(subjects.span(), "a stream has subjects");
            return Err(error.help(format!("write for example {} = [\"item.>\"]", name.get_ref())));
        }
        Ok((name.get_ref().clone(), subjects.get_ref().clone()))
    });
    let is_request = |text: &str| {
        text.split_once(' ').is_some_and(|(method, path)| {
            let is_method = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase());
            is_method && path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic())
        })
    };
    let no_request = |text: &str, place: Range<usize>, help: &str| {
        source.at(place, format!("`{text}` is no request")).help(help.to_owned())
    };
    let is_of_nats = |text: &str| !is_streaming && text.strip_prefix("request ").is_some_and(is_subject);
    let calls = table.calls.iter().map(|(name, request)| {
        let text = request.get_ref();
        if is_request(text) || is_of_nats(text) {
            return Ok((name.get_ref().clone(), text.clone()));
        }
        let over_http = "write a method and a path, such as \"POST /api/orders/{record}\"";
        let help = if is_streaming { over_http.to_owned() } else { format!("{over_http}, or \"request SUBJECT\"") };
        Err(no_request(text, request.span(), &help))
    });
    let records = table.records.as_ref().map(|records| match records.get_ref() {
        RecordsWord::Printed(command) if command.first().is_none_or(String::is_empty) => {
            let error = source.at(records.span(), "a command has at least a program");
            Err(error.help("write for example records = [\"sh\", \"-c\", \"cat $PELLMELL_FOLDER/records.json\"]"))
        }
        RecordsWord::Printed(command) => Ok(SeenAt::Printed(command.clone())),
        RecordsWord::Said(text) => {
            let is_file = text.strip_prefix("file ").is_some_and(|name| !name.is_empty());
            let help = "write a request such as \"GET /records\", or \"file NAME\" for a file in PELLMELL_FOLDER, or \
                        [\"PROGRAM\", \"ARGUMENT\"] for a program that prints them";
            let said = || SeenAt::Said(text.clone());
            if is_file || is_request(text) { Ok(said()) } else { Err(no_request(text, records.span(), help)) }
        }
    });
    let (streams, calls) = (streams.collect::<Result<_, _>>()?, calls.collect::<Result<_, _>>()?);
    Ok(Speaks::Client(ClientOf { is_streaming, streams, calls, records: records.transpose()? }))
}

fn names(source: &Source<'_>, subjects: &Spanned<String>, table: &MessageTable) -> Result<MessageNames, FileError> {
    let place = |text: &Spanned<String>| match text.get_ref().split_once(' ') {
        Some(("header", name)) if !name.is_empty() => Ok(Place::Header(name.to_owned())),
        _ if text.get_ref().starts_with('/') => Ok(Place::Body(text.get_ref().clone())),
        _ => {
            let error = source.at(text.span(), format!("`{}` is no place in a message", text.get_ref()));
            Err(error.help("write a JSON pointer into its body, such as \"/id\", or \"header NAME\""))
        }
    };
    if !is_subject(subjects.get_ref()) {
        return Err(no_subject(source, subjects));
    }
    let record = table.record.as_ref().map_or_else(|| Ok(Place::Body("/id".to_owned())), place)?;
    let version = table.version.as_ref().map(place).transpose()?;
    Ok(MessageNames { subjects: subjects.get_ref().clone(), kind: kind(source, &table.kind)?, record, version })
}

/// A kind of records: `z` is the kind of what stands for the state of a process.
fn kind(source: &Source<'_>, letter: &Spanned<char>) -> Result<char, FileError> {
    match *letter.get_ref() {
        kind @ 'a'..='y' => Ok(kind),
        _ => Err(source.at(letter.span(), "a kind of records is a letter from a to y, with which ids begin")),
    }
}

/// Whether departures can name a subject so.
pub(super) fn is_subject(name: &str) -> bool {
    !name.is_empty() && !name.contains(char::is_whitespace) && !name.contains(char::is_control) && !name.contains("->")
}

pub(super) fn no_subject(source: &Source<'_>, subject: &Spanned<String>) -> FileError {
    let error = source.at(subject.span(), "this names no subject");
    error.help("a subject has at least one letter, and no space, line break or `->`: departures name it")
}
