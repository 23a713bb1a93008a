//! The server of NATS and JetStream of `pellmell_code` as the front door of services on `async-nats`.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use pellmell_code::nats::{Around, Interest, Server, Wanted, fits};
use pellmell_code::serving::Talk;
use pellmell_code::{Answer, Failure};
use pellmell_core::broker::{Exhausted, InFlight, Limit, MaxDeliver, Profile, Scope};
use pellmell_tokio::{About, Door, Handed, HasStreams};

/// A server of NATS and JetStream on 127.0.0.1 for the clients of one service.
pub struct Nats(Server);

impl fmt::Debug for Nats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Nats").field(&self.0.talk).finish()
    }
}

impl HasStreams for Nats {}

impl Door for Nats {
    type Wanted = Wanted;

    fn open(about: Arc<About>, talk: Talk) -> io::Result<Nats> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        Ok(Nats(Server::new(listener, Arc::new(Said(about)), talk)))
    }

    fn url(&self) -> io::Result<String> {
        self.0.url()
    }

    fn renewed(self) -> Nats {
        Nats(self.0.renewed())
    }

    fn cut_off(&mut self) {
        self.0.cut_off();
    }

    fn talk(&self) -> &Talk {
        &self.0.talk
    }

    fn talk_mut(&mut self) -> &mut Talk {
        &mut self.0.talk
    }

    fn wanted(&self) -> Vec<Wanted> {
        self.0.wanted()
    }

    fn profile(wanted: &[Wanted]) -> Result<Profile, String> {
        jetstream(wanted)
    }

    fn check_subject(subject: &str) -> Result<(), String> {
        if subject.contains(['*', '>']) {
            return Err("expected a subject as messages have it, not a pattern".to_owned());
        }
        Ok(())
    }

    fn fits(pattern: &str, subject: &str) -> bool {
        fits(pattern, subject)
    }

    fn has_connections(&self) -> bool {
        self.0.has_connections()
    }

    fn ask_whether_read(&mut self) -> bool {
        self.0.ask_whether_read()
    }

    fn waits(&self) -> bool {
        self.0.waits()
    }

    fn is_read(&self) -> bool {
        self.0.is_read()
    }

    fn turn(&mut self) -> bool {
        self.0.turn()
    }

    fn next_due(&self) -> Option<Duration> {
        self.0.next_due()
    }

    fn at(&mut self, now: Duration) {
        self.0.at(now);
    }

    fn is_ready_for(&self, subject: &str) -> Result<bool, Failure> {
        self.0.is_ready_for(subject)
    }

    fn takers_in_words(&self) -> String {
        self.0.takers_in_words()
    }

    fn deliver(
        &mut self,
        subject: &str,
        headers: &BTreeMap<String, String>,
        body: &Value,
        attempt: u16,
    ) -> Result<(), Failure> {
        self.0.deliver(subject, headers, body, attempt)
    }

    fn call(&mut self, name: &str, body: &Value) -> Result<(), Failure> {
        self.0.call(name, body)
    }

    fn handed(&self) -> Option<Handed> {
        let handed = self.0.handed.as_ref()?;
        Some(Handed { what: handed.in_words(), sent: handed.sent, within: handed.within })
    }

    fn answer(&self) -> Option<Answer> {
        self.0.answer()
    }

    fn over(&mut self, to_nothing: bool) {
        self.0.over(to_nothing);
    }
}

/// What a test says, for the server.
struct Said(Arc<About>);

impl Around for Said {
    fn streams(&self) -> Vec<(String, Vec<String>)> {
        self.0.streams().map(|(name, subjects)| (name.to_owned(), subjects.to_vec())).collect()
    }

    fn interest(&self, subject: &str) -> Interest {
        if self.0.is_known(subject) {
            Interest::Known
        } else if self.0.is_ignored(subject) {
            Interest::Ignored
        } else {
            Interest::Unknown
        }
    }

    fn says_a_stream(&self) -> &'static str {
        "say which one does with `.stream(\"NAME\", [\"SUBJECT\"])`"
    }

    fn says_a_subject(&self) -> &'static str {
        About::SAYS_A_SUBJECT
    }
}

/// JetStream as these consumers ask for it.
fn jetstream(wanted: &[Wanted]) -> Result<Profile, String> {
    let cumulative = wanted.iter().any(|wanted| wanted.cumulative);
    let name = if cumulative { "jetstream-ack-all" } else { "jetstream" };
    let profile = Profile::named(name).ok_or_else(|| format!("there is no profile `{name}`"))?;
    let Some(first) = wanted.first().filter(|_| !cumulative) else { return Ok(profile) };
    for other in wanted {
        let asks = |of: &Wanted| (of.wait.clone(), of.max_deliver, of.max_ack_pending);
        if asks(other) != asks(first) {
            let what = format!("the consumers `{}` and `{}` ask for other `ack_wait`", first.name, other.name);
            return Err(format!(
                "{what}, `max_deliver` or `max_ack_pending`: all services of a test are on one broker; say which with \
                 `.on(profile)`"
            ));
        }
    }
    let max_deliver = match first.max_deliver {
        Some(times) => MaxDeliver::Times { times, action: Exhausted::Park },
        None => MaxDeliver::Unlimited,
    };
    let limit = first.max_ack_pending.map_or(Limit::Unlimited, |limit| Limit::Of(limit.try_into().unwrap_or(u32::MAX)));
    let max_in_flight = InFlight { limit, scope: Scope::Group };
    Ok(Profile { ack_wait: first.wait.clone(), max_deliver, max_in_flight, ..profile })
}
