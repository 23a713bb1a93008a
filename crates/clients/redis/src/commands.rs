//! What clients of Redis ask for.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::frame::{self, Command, Reply};
use crate::streams::{Claim, Read, Redis, id_of, number_of};
use pellmell_code::Answer;
use pellmell_code::serving::{Publishes, body};
use pellmell_tokio::{About, Hand, Protocol, Room};

const NOT_PLAYED: &str = "pellmell does not play that; docs/guide/redis.md says what it does";

/// A client: the commands of its transaction, and a read that waits until a time, or for ever.
#[derive(Default)]
pub struct Client {
    queued: Option<Vec<Command>>,
    blocked: Option<(Option<Duration>, Read)>,
}

/// Why a command is not done.
enum Refused {
    /// Redis refuses it.
    ByRedis(String),
    NotPlayed,
}

type Done = Result<Option<Reply>, Refused>;

fn refused(text: &str) -> Refused {
    Refused::ByRedis(text.to_owned())
}

fn number(id: &str) -> Result<u64, Refused> {
    number_of(id).ok_or_else(|| refused("ERR Invalid stream ID specified as stream command argument"))
}

fn millis(text: &str) -> Result<Duration, Refused> {
    text.parse().map(Duration::from_millis).map_err(|_| refused("ERR value is not an integer or out of range"))
}

impl Protocol for Redis {
    type Client = Client;
    type Command = Command;
    type Reply = Reply;

    const SCHEME: &'static str = "redis+unix://";
    const PROFILE: &'static str = "redis-streams";
    const ASKS_WITHIN: Duration = Duration::from_secs(300);
    const LEFT: Option<&'static str> = Some("no claim gets it, and no consumer that has it reads its own history");

    fn expects(body: &Value) -> Option<&'static str> {
        (!body.is_object()).then_some("an object of the entry's fields")
    }

    fn read(bytes: &[u8]) -> Result<Option<(Command, usize)>, String> {
        frame::read(bytes)
    }

    fn write(reply: &Reply, into: &mut Vec<u8>) {
        reply.write(into);
    }

    fn hear(&mut self, client: &mut Client, command: Command, room: &mut Room<'_>) -> Option<Reply> {
        let name = command.0.first().map(|name| String::from_utf8_lossy(name).to_ascii_uppercase()).unwrap_or_default();
        match (name.as_str(), client.queued.take()) {
            ("MULTI", None) => client.queued = Some(Vec::new()),
            ("DISCARD", Some(_)) => {}
            ("EXEC", Some(commands)) => {
                // Reads do not wait in there.
                let mut alone = Client::default();
                let done = commands.into_iter().map(|command| self.hear(&mut alone, command, room));
                return Some(Reply::list(done.map(|reply| reply.unwrap_or(Reply::NIL))));
            }
            (_, Some(mut commands)) => {
                commands.push(command);
                client.queued = Some(commands);
                return Some(Reply::simple("QUEUED"));
            }
            (name, None) => return self.does(client, name, &command, room),
        }
        Some(Reply::simple("OK"))
    }

    fn go_on(&mut self, client: &mut Client, room: &mut Room<'_>) -> Option<Reply> {
        let (until, read) = client.blocked.as_ref()?;
        let reply = self.entries(read, room);
        let is_over = until.is_some_and(|until| until <= room.talk.now);
        let reply = reply.or_else(|| is_over.then_some(Reply::NIL))?;
        client.blocked = None;
        Some(reply)
    }

    fn waits(client: &Client) -> Option<Option<Duration>> {
        client.blocked.as_ref().map(|(until, _)| *until)
    }

    fn cut_off(&mut self) {
        self.readers.clear();
        self.claims = false;
    }

    fn is_asked(&self, subject: &str) -> bool {
        self.readers.get(subject).is_some_and(|reader| reader.reads_new)
    }

    fn takers_in_words(&self) -> String {
        let all = self.readers.iter().filter(|(_, reader)| reader.reads_new);
        let words = all.flat_map(|(key, reader)| reader.groups.iter().map(move |group| (key, group)));
        let words: Vec<String> = words.map(|(key, group)| format!("the group `{group}` of `{key}`")).collect();
        if words.is_empty() { "no group that reads new entries yet".to_owned() } else { words.join(", ") }
    }

    fn is_asked_for_at_start(&self, left: &Hand) -> bool {
        !self.claims && self.readers.get(&left.subject).is_some_and(|reader| reader.reads_history)
    }
}

impl Redis {
    fn does(&mut self, client: &mut Client, name: &str, command: &Command, room: &mut Room<'_>) -> Option<Reply> {
        let words: Vec<_> = command.0.iter().skip(1).map(|word| String::from_utf8_lossy(word)).collect();
        let words: Vec<&str> = words.iter().map(|word| &**word).collect();
        let done = match (name, words.as_slice()) {
            ("XREADGROUP", [_, group, consumer, rest @ ..]) => self.reads(client, [group, consumer], rest, room),
            ("XADD", [key, rest @ ..]) => self.adds(key, rest, &command.0[2..], room).map(Some),
            (name, words) => self.does_more(name, words, room).map(Some),
        };
        done.unwrap_or_else(|why| match why {
            Refused::ByRedis(text) => Some(Reply::error(text)),
            Refused::NotPlayed => {
                room.talk.refuse(&format!("it sends `{command}`"), NOT_PLAYED);
                Some(Reply::error(format!("ERR unknown command '{name}'")))
            }
        })
    }

    fn does_more(&mut self, name: &str, words: &[&str], room: &mut Room<'_>) -> Result<Reply, Refused> {
        let now = room.talk.now;
        if let ("XACK" | "XAUTOCLAIM" | "XCLAIM" | "XPENDING", [key, group, ..]) = (name, words) {
            self.check_group(key, group, name)?;
        }
        Ok(match (name, words) {
            ("PING", _) => Reply::simple("PONG"),
            ("SELECT" | "AUTH" | "CLIENT", _) => Reply::simple("OK"),
            // Servers before the sixth version know none either, and clients go on without.
            ("HELLO", _) => Reply::error("ERR unknown command 'HELLO'"),
            ("XGROUP", [verb, key, group, ..]) if verb.eq_ignore_ascii_case("CREATE") => {
                match self.groups.insert(((*key).to_owned(), (*group).to_owned())) {
                    true => Reply::simple("OK"),
                    false => Reply::error("BUSYGROUP Consumer Group name already exists"),
                }
            }
            ("XGROUP", [verb, ..]) if verb.eq_ignore_ascii_case("CREATECONSUMER") => Reply::number(1),
            ("XACK", [key, _, ids @ ..]) => {
                for id in ids {
                    let acked = number(id)?;
                    match room.desk.hand(key).filter(|hand| hand.number == acked && !hand.is_new()) {
                        // An ack counts, whoever has it.
                        Some(hand) => (hand.sent, hand.answer) = (hand.sent.or(Some(now)), Some(Answer::Done)),
                        None => room.talk.said.push(format!("a late ack of {id} of {key}")),
                    }
                }
                Reply::number(ids.len())
            }
            ("XAUTOCLAIM", [key, _, consumer, idle, _] | [key, _, consumer, idle, _, _, _]) => {
                let claimed = self.claim(&Claim { key, consumer, idle: millis(idle)?, numbers: None }, room);
                Reply::list([Reply::text("0-0"), claimed, Reply::list([])])
            }
            ("XCLAIM", [key, _, consumer, idle, ids @ ..]) => {
                let numbers = ids.iter().map(|id| number_of(id).ok_or(Refused::NotPlayed)).collect::<Result<_, _>>()?;
                self.claim(&Claim { key, consumer, idle: millis(idle)?, numbers: Some(numbers) }, room)
            }
            ("XPENDING", [key, _, rest @ ..]) => self.pending(key, rest, room)?,
            ("XDEL", [_, ids @ ..]) => Reply::number(ids.len()),
            ("XTRIM", _) => Reply::number(0),
            _ => return Err(Refused::NotPlayed),
        })
    }

    fn check_group(&self, key: &str, group: &str, command: &str) -> Result<(), Refused> {
        let what = format!("NOGROUP No such key '{key}' or consumer group '{group}' in {command}");
        let is_there = self.groups.contains(&(key.to_owned(), group.to_owned()));
        is_there.then_some(()).ok_or(Refused::ByRedis(what))
    }

    fn pending(&mut self, key: &str, rest: &[&str], room: &mut Room<'_>) -> Result<Reply, Refused> {
        let (idle, rest) = match rest {
            [word, idle, rest @ ..] if word.eq_ignore_ascii_case("IDLE") => (millis(idle)?, rest),
            rest => (Duration::ZERO, rest),
        };
        let found = self.left_over(key, idle, room);
        Ok(match (rest, found) {
            ([], None) => Reply::list([Reply::number(0), Reply::NIL, Reply::NIL, Reply::NIL]),
            ([], Some((id, owner, _))) => {
                let of_owner = Reply::list([Reply::text(owner), Reply::text("1")]);
                Reply::list([Reply::number(1), id.clone(), id, Reply::list([of_owner])])
            }
            ([_, _, _, of @ ..], Some((id, owner, [idle, times]))) if of.first().is_none_or(|of| *of == owner) => {
                Reply::list([Reply::list([id, Reply::text(owner), idle, times])])
            }
            _ => Reply::list([]),
        })
    }

    /// An entry that the service adds to a stream.
    fn adds(&mut self, key: &str, words: &[&str], bytes: &[Vec<u8>], room: &mut Room<'_>) -> Result<Reply, Refused> {
        // What stands before the id limits the stream's length.
        let star = words.iter().position(|word| *word == "*").ok_or(Refused::NotPlayed)?;
        let fields = &bytes[star + 1..];
        if fields.is_empty() || !fields.len().is_multiple_of(2) {
            return Err(refused("ERR wrong number of arguments for 'xadd' command"));
        }
        let name = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let fields = Value::Object(fields.chunks(2).map(|pair| (name(&pair[0]), body(pair[1].clone()))).collect());
        let number = room.desk.add(key, &fields);
        if room.about.is_known(key) {
            let (subject, headers) = (key.to_owned(), BTreeMap::new());
            room.talk.published.push(Publishes { subject, headers, body: fields });
        } else if !room.about.is_ignored(key) {
            let what = format!("it adds to the stream `{key}`, of which nothing is said");
            room.talk.refuse(&what, About::SAYS_A_SUBJECT);
        }
        Ok(Reply::text(id_of(number)))
    }

    fn reads(&mut self, client: &mut Client, [group, consumer]: [&str; 2], all: &[&str], room: &mut Room<'_>) -> Done {
        let (mut words, mut block, mut acks) = (all.iter(), None, true);
        let rest = loop {
            match words.next().map(|word| word.to_ascii_uppercase()).as_deref() {
                Some("COUNT") => drop(words.next()),
                Some("BLOCK") => block = words.next().map(|text| millis(text)).transpose()?,
                Some("NOACK") => acks = false,
                Some("STREAMS") => break words.as_slice(),
                Some(_) => return Err(Refused::NotPlayed),
                None => return Err(refused("ERR syntax error")),
            }
        };
        let (keys, afters) = rest.split_at(rest.len() / 2);
        let keys = keys.iter().zip(afters).map(|(key, after)| {
            self.check_group(key, group, "XREADGROUP with GROUP option")?;
            Ok(((*key).to_owned(), if *after == ">" { None } else { Some(number(after)?) }))
        });
        let keys = keys.collect::<Result<Vec<_>, Refused>>()?;
        let read = Read { group: group.to_owned(), consumer: consumer.to_owned(), keys, acks };
        if let Err(what) = self.note_reader(&read) {
            room.talk.refuse(&what, "a service has one for each stream: let each be a service of the test");
        }
        let reply = self.entries(&read, room);
        if let (None, Some(block)) = (&reply, block) {
            client.blocked = Some(((!block.is_zero()).then(|| room.talk.now + block), read));
            return Ok(None);
        }
        Ok(Some(reply.unwrap_or(Reply::NIL)))
    }
}
