//! Requests in words, shared by the tests of the ticketing services.

pub(crate) mod alone;
#[expect(unreachable_pub, reason = "an example uses it as well")]
pub(crate) mod changed;
pub(crate) mod config;
pub(crate) mod damage;
pub(crate) mod random;
pub(crate) mod verdicts;

use pellmell::scenario::FileError;
use pellmell::ticketing::{Design, Ticketing};
use pellmell::ticketing::{Request, What};
use pellmell::{Profile, RecordId, Simulation, zoo};

/// Reads a scenario file of the zoo.
pub(crate) fn read(file: &str) -> Result<String, FileError> {
    std::fs::read_to_string(file)
        .map_err(|error| FileError::new(file, "", 0..0, format!("cannot read {file}: {error}")))
}

/// A design in a scenario file of the zoo.
pub(crate) fn in_zoo(design: &Design, file: &str, profile: Profile, splits: bool) -> Simulation<Ticketing> {
    let scenario = zoo::scenario(file, &read(file).expect("the file")).expect("a scenario");
    zoo::simulation(design, &scenario, profile, splits).expect("the parts fit")
}

/// Reads `ann create t1 5`, `ann edit t1 10`, `bob order t1 as o1`, `bob cancel o1`, `bob show o1`,
/// `bob pay o1 as p1`.
///
/// Where `nobody` asks, nobody is signed in. A price may be followed by a title; `-` is the empty
/// one.
pub(crate) fn request(text: &str) -> Request {
    let words: Vec<&str> = text.split(' ').collect();
    let id = |word: &str| word.parse::<RecordId>().unwrap_or_else(|error| panic!("`{text}`: {error}"));
    let price = |word: &str| word.parse::<u32>().unwrap_or_else(|error| panic!("`{text}`: {error}"));
    let title = |word: &str| word.trim_start_matches('-').into();
    let what = match words[1..] {
        ["create", ticket, at] => What::CreateTicket { ticket: id(ticket), title: "concert".into(), price: price(at) },
        ["create", ticket, at, name] => What::CreateTicket { ticket: id(ticket), title: title(name), price: price(at) },
        ["edit", ticket, to] => What::EditTicket { ticket: id(ticket), title: None, price: price(to) },
        ["edit", ticket, to, name] => {
            What::EditTicket { ticket: id(ticket), title: Some(title(name)), price: price(to) }
        }
        ["order", ticket, "as", order] => What::CreateOrder { order: id(order), ticket: id(ticket) },
        ["pay", order, "as", payment] => What::Pay { payment: id(payment), order: id(order), token: "token".into() },
        ["pay", order, "as", payment, "without", "token"] => {
            What::Pay { payment: id(payment), order: id(order), token: "".into() }
        }
        ["cancel", order] => What::CancelOrder { order: id(order) },
        ["show", record] if record.starts_with('t') => What::ShowTicket { ticket: id(record) },
        ["show", record] => What::ShowOrder { order: id(record) },
        _ => panic!("`{text}` is no request"),
    };
    Request { user: (words[0] != "nobody").then(|| words[0].into()), what }
}
