//! The scenario file as it is written: tables and keys, nothing else accepted. What is up to the system
//! (commands, a workload, records) is read elsewhere, from the same text.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use pellmell_core::broker::Limit;
use pellmell_core::prng::Ratio;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) version: Spanned<u32>,
    pub(super) about: String,
    /// The system it is a scenario of, where a program has several.
    pub(super) system: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) seed: u64,
    pub(super) design: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) defects: Vec<Spanned<String>>,
    pub(super) scheduler: Option<Spanned<String>>,
    pub(super) properties: Option<Vec<Spanned<String>>>,
    #[serde(default)]
    pub(super) schedule: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) allow: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) broker: BrokerTable,
    #[serde(default)]
    pub(super) services: BTreeMap<Spanned<String>, ServiceTable>,
    /// What messages are about, by subject, where services are processes.
    #[serde(default)]
    pub(super) messages: BTreeMap<Spanned<String>, MessageTable>,
    pub(super) faults: Option<Spanned<FaultsTable>>,
    pub(super) workload: Option<Spanned<IgnoredAny>>,
    /// They are read by the system.
    #[serde(default)]
    pub(super) record: Vec<IgnoredAny>,
    #[serde(default)]
    pub(super) client: Vec<ClientTable>,
    #[serde(default)]
    pub(super) limits: LimitsTable,
    #[serde(default)]
    pub(super) expect: BTreeMap<String, Spanned<String>>,
    pub(super) entry: Option<EntryTable>,
}

/// Why a scenario is kept in a corpus.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EntryTable {
    pub(super) expect: Spanned<String>,
    pub(super) reason: String,
    pub(super) seed: Option<u64>,
    pub(super) tool: Option<String>,
    pub(super) commit: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) trace: Vec<Spanned<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct BrokerTable {
    pub(super) profile: Option<Spanned<String>>,
    pub(super) ordering: Option<Spanned<OrderingWord>>,
    pub(super) partitions: Option<Spanned<u32>>,
    pub(super) reorder_window: Option<Spanned<LimitValue>>,
    pub(super) dispatch: Option<Spanned<DispatchWord>>,
    pub(super) max_in_flight: Option<Spanned<LimitValue>>,
    pub(super) max_in_flight_of: Option<Spanned<ScopeWord>>,
    pub(super) stale_acks: Option<Spanned<StaleWord>>,
    pub(super) ack_wait: Option<Spanned<Vec<Wait>>>,
    pub(super) redeliver_at: Option<Spanned<RedeliverWord>>,
    pub(super) release_on_crash: Option<Spanned<bool>>,
    pub(super) nak: Option<Spanned<bool>>,
    pub(super) max_deliver: Option<Spanned<u16>>,
    pub(super) when_exhausted: Option<Spanned<ExhaustedWord>>,
    /// How a publisher's retry is recognised, by parameters and by engines.
    pub(super) dedup: Option<Spanned<String>>,
    /// What a consumer sees of how often a message was sent.
    pub(super) sees: Option<Spanned<SeesWord>>,
    /// Whether an engine plays a broker that the keys above could say too.
    pub(super) engine: Option<Spanned<bool>>,
    // What the rules of engines say.
    pub(super) order: Option<Spanned<toml::Value>>,
    pub(super) window: Option<Spanned<toml::Value>>,
    pub(super) window_of: Option<Spanned<toml::Value>>,
    pub(super) wait: Option<Spanned<toml::Value>>,
    pub(super) on_nak: Option<Spanned<toml::Value>>,
    pub(super) on_loss: Option<Spanned<toml::Value>>,
    pub(super) on_timeout: Option<Spanned<toml::Value>>,
    pub(super) releases: Option<Spanned<toml::Value>>,
    pub(super) notices_crash: Option<Spanned<toml::Value>>,
    pub(super) exclusive: Option<Spanned<toml::Value>>,
    pub(super) cumulative: Option<Spanned<toml::Value>>,
    pub(super) stale: Option<Spanned<toml::Value>>,
    pub(super) deliveries: Option<Spanned<toml::Value>>,
    pub(super) then: Option<Spanned<toml::Value>>,
    pub(super) naks: Option<Spanned<toml::Value>>,
    pub(super) requeues_late: Option<Spanned<toml::Value>>,
    pub(super) claims: Option<Spanned<toml::Value>>,
    pub(super) copies: Option<Spanned<toml::Value>>,
    pub(super) session: Option<Spanned<toml::Value>>,
    pub(super) commits: Option<Spanned<toml::Value>>,
    pub(super) rebalance: Option<Spanned<toml::Value>>,
    pub(super) start: Option<Spanned<toml::Value>>,
    pub(super) sharing: Option<Spanned<toml::Value>>,
    pub(super) batch: Option<Spanned<toml::Value>>,
    pub(super) timeout: Option<Spanned<toml::Value>>,
    pub(super) retries: Option<Spanned<toml::Value>>,
    pub(super) ordered: Option<Spanned<toml::Value>>,
    pub(super) at_most_once: Option<Spanned<toml::Value>>,
    pub(super) exactly_once: Option<Spanned<toml::Value>>,
    pub(super) transactions: Option<Spanned<toml::Value>>,
}

/// Each of some fields that are there, with its name.
macro_rules! present {
    ($table:expr, $($name:ident),* $(,)?) => {
        [$((stringify!($name), $table.$name.as_ref())),*].into_iter().filter_map(|(name, value)| Some((name, value?)))
    };
}

impl BrokerTable {
    /// The settings of engines that are there, each with its name.
    pub(super) fn settings(&self) -> impl Iterator<Item = (&'static str, &Spanned<toml::Value>)> {
        present![
            self,
            order,
            window,
            window_of,
            wait,
            on_nak,
            on_loss,
            on_timeout,
            releases,
            notices_crash,
            exclusive,
            cumulative,
            stale,
            deliveries,
            then,
            naks,
            requeues_late,
            claims,
            copies,
            session,
            commits,
            rebalance,
            start,
            sharing,
            batch,
            timeout,
            retries,
            ordered,
            at_most_once,
            exactly_once,
            transactions,
        ]
    }

    /// The keys of the parameters that are there, each with its place.
    pub(super) fn parameters(&self) -> impl Iterator<Item = (&'static str, Range<usize>)> {
        fn place<T>(value: Option<&Spanned<T>>) -> Option<Range<usize>> {
            value.map(Spanned::span)
        }
        let all = [
            ("ordering", place(self.ordering.as_ref())),
            ("reorder_window", place(self.reorder_window.as_ref())),
            ("dispatch", place(self.dispatch.as_ref())),
            ("max_in_flight", place(self.max_in_flight.as_ref())),
            ("max_in_flight_of", place(self.max_in_flight_of.as_ref())),
            ("stale_acks", place(self.stale_acks.as_ref())),
            ("ack_wait", place(self.ack_wait.as_ref())),
            ("redeliver_at", place(self.redeliver_at.as_ref())),
            ("release_on_crash", place(self.release_on_crash.as_ref())),
            ("nak", place(self.nak.as_ref())),
            ("max_deliver", place(self.max_deliver.as_ref())),
            ("when_exhausted", place(self.when_exhausted.as_ref())),
        ];
        all.into_iter().filter_map(|(name, place)| Some((name, place?)))
    }
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
pub(super) enum OrderingWord {
    None,
    Log,
    Subscription,
    Key,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
pub(super) enum DispatchWord {
    Competing,
    Exclusive,
    BlockWhileInFlight,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
pub(super) enum SeesWord {
    Count,
    Flag,
    Nothing,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ScopeWord {
    Member,
    Group,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
pub(super) enum StaleWord {
    Accept,
    Reject,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RedeliverWord {
    Front,
    Original,
    Back,
    Any,
    Rewind,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ExhaustedWord {
    DeadLetter,
    Drop,
    Park,
}

/// A number, or `"unlimited"`.
#[derive(Clone, Copy)]
pub(super) struct LimitValue(pub(super) Limit);

impl<'de> Deserialize<'de> for LimitValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<LimitValue, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = LimitValue;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a whole number or \"unlimited\"")
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<LimitValue, E> {
                let number = u32::try_from(number).map_err(|_| E::custom("expected a number from 0 to 4294967295"))?;
                Ok(LimitValue(Limit::Of(number)))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<LimitValue, E> {
                if text == "unlimited" {
                    return Ok(LimitValue(Limit::Unlimited));
                }
                Err(E::custom("expected a whole number or \"unlimited\""))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// A duration written `"5s"`, `"500ms"`, `"2m"`.
#[derive(Clone, Copy)]
pub(super) struct Wait(pub(super) Duration);

impl<'de> Deserialize<'de> for Wait {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Wait, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_wait(&text).map(Wait).map_err(serde::de::Error::custom)
    }
}

fn parse_wait(text: &str) -> Result<Duration, String> {
    let digits = text.chars().take_while(char::is_ascii_digit).count();
    let shown: String = text.chars().take(40).collect();
    let wrong =
        || format!("`{shown}` is not a duration: write a number and a unit, for example \"5s\", \"500ms\" or \"2m\"");
    let number: u32 = text[..digits].parse().map_err(|_| wrong())?;
    match &text[digits..] {
        "ms" => Ok(Duration::from_millis(number.into())),
        "s" => Ok(Duration::from_secs(number.into())),
        "m" => Ok(Duration::from_secs(u64::from(number) * 60)),
        _ => Err(wrong()),
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct ServiceTable {
    pub(super) members: Option<Spanned<u16>>,
    pub(super) overlapping: Option<bool>,
    pub(super) joins_late: Option<bool>,
    pub(super) dead_letters: Option<Spanned<String>>,
    /// How long its handlers work for each delivery.
    pub(super) takes: Option<Spanned<Wait>>,
    /// The program and its arguments, if it is code in a process of its own.
    pub(super) command: Option<Spanned<Vec<String>>>,
    // What is said of such a service alone.
    pub(super) folder: Option<String>,
    #[serde(default)]
    pub(super) listens: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) owns: Vec<Spanned<char>>,
    #[serde(default)]
    pub(super) keeps: Vec<Spanned<char>>,
    pub(super) publishes: Option<PublishesWord>,
    pub(super) within: Option<Wait>,
    pub(super) speaks: Option<SpeaksWord>,
    #[serde(default)]
    pub(super) streams: BTreeMap<Spanned<String>, Spanned<Vec<String>>>,
    #[serde(default)]
    pub(super) calls: BTreeMap<Spanned<String>, Spanned<String>>,
    pub(super) records: Option<Spanned<RecordsWord>>,
}

/// Where the records of a client are seen.
#[derive(Deserialize, Clone)]
#[serde(untagged, expecting = "expected a request, `file NAME`, or a list with a program and its arguments")]
pub(super) enum RecordsWord {
    Said(String),
    Printed(Vec<String>),
}

impl ServiceTable {
    /// The first key that is there and says something of a service with a command alone.
    pub(super) fn only_with_a_command(&self) -> Option<(&'static str, Range<usize>)> {
        let listens = self.listens.first().map(|subject| ("listens", subject.span()));
        let kinds = [("owns", &self.owns), ("keeps", &self.keeps)];
        let others = || self.only_of_a_client();
        listens
            .or_else(|| kinds.into_iter().find_map(|(key, kinds)| Some((key, kinds.first()?.span()))))
            .or_else(others)
    }

    /// The first key that is there and says something of a client of NATS or NATS Streaming alone.
    pub(super) fn only_of_a_client(&self) -> Option<(&'static str, Range<usize>)> {
        let streams = self.streams.keys().next().map(|name| ("streams", name.span()));
        let calls = || self.calls.keys().next().map(|name| ("calls", name.span()));
        let records = || self.records.as_ref().map(|records| ("records", records.span()));
        streams.or_else(calls).or_else(records)
    }
}

/// What a process speaks.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum SpeaksWord {
    /// Lines of JSON.
    Lines,
    NatsStreaming,
    Nats,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
pub(super) enum PublishesWord {
    /// In one transaction with what it saves.
    Outbox,
    AfterSaves,
    BeforeSaves,
}

/// What messages on some subjects are about.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MessageTable {
    pub(super) kind: Spanned<char>,
    pub(super) record: Option<Spanned<String>>,
    pub(super) version: Option<Spanned<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct FaultsTable {
    pub(super) lose_ack: Option<Ratio>,
    pub(super) lose_ack_most: Option<Spanned<u32>>,
    pub(super) delay_ack: Option<Ratio>,
    pub(super) delay_ack_most: Option<Spanned<u32>>,
    pub(super) duplicate: Option<Ratio>,
    pub(super) duplicate_most: Option<Spanned<u32>>,
    pub(super) crash: Option<Ratio>,
    pub(super) crash_most: Option<Spanned<u32>>,
    pub(super) pause: Option<Ratio>,
    pub(super) pause_most: Option<Spanned<u32>>,
    pub(super) lose_message: Option<Ratio>,
    pub(super) lose_message_most: Option<Spanned<u32>>,
    pub(super) fetch: Option<Ratio>,
    pub(super) fetch_most: Option<Spanned<u32>>,
    pub(super) member_change: Option<Ratio>,
    pub(super) member_change_most: Option<Spanned<u32>>,
    pub(super) broker_failure: Option<Ratio>,
    pub(super) broker_failure_most: Option<Spanned<u32>>,
    pub(super) truncate: Option<Ratio>,
    pub(super) truncate_most: Option<Spanned<u32>>,
    pub(super) forget_counts: Option<Ratio>,
    pub(super) forget_counts_most: Option<Spanned<u32>>,
    pub(super) redrive: Option<Ratio>,
    pub(super) redrive_most: Option<Spanned<u32>>,
    pub(super) compact: Option<Ratio>,
    pub(super) compact_most: Option<Spanned<u32>>,
    pub(super) expire: Option<Ratio>,
    pub(super) expire_most: Option<Spanned<u32>>,
    pub(super) publish_twice: Option<Ratio>,
    pub(super) publish_twice_most: Option<Spanned<u32>>,
    pub(super) slow_publish: Option<Ratio>,
    pub(super) slow_publish_most: Option<Spanned<u32>>,
    pub(super) crash_between_saves: Option<Ratio>,
    pub(super) crash_between_saves_most: Option<Spanned<u32>>,
    pub(super) stale_answer: Option<Ratio>,
    pub(super) stale_answer_most: Option<Spanned<u32>>,
    pub(super) no_answer: Option<Ratio>,
    pub(super) no_answer_most: Option<Spanned<u32>>,
    pub(super) attempts: Option<u16>,
    pub(super) swarm: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClientTable {
    pub(super) name: Spanned<String>,
    /// Whom the client signs in as; its name if absent, nobody if empty.
    pub(super) signs_in_as: Option<String>,
    /// They are read by the system (see `commands`).
    #[expect(dead_code, reason = "they are read by the system")]
    pub(super) commands: Vec<IgnoredAny>,
}

/// The keys of a command that say how it is sent.
#[derive(Deserialize)]
pub(super) struct HowTable {
    #[serde(default)]
    pub(super) waits_for: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) until_accepted: bool,
    #[serde(default)]
    pub(super) setup: bool,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitsTable {
    pub(super) steps: Option<u64>,
    pub(super) messages: Option<u32>,
    pub(super) in_flight: Option<u32>,
}
