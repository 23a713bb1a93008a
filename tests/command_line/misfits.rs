//! A user's own types that do not fit are errors with the place or the name, the nearest that does fit, and
//! what to write.

use expect_test::{Expect, expect};
use pellmell::any::{AnySystem, Erased};
use pellmell::prelude::*;
use pellmell::scenario::Design;
use pellmell::testing::service;

/// A system that is wrong in one place, by its design.
struct Misfit;

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
struct Item(u32);

impl Record for Item {
    const COLLECTION: &'static str = "items";
    const KIND: char = 'i';
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
struct Shelf(u32);

impl Record for Shelf {
    const COLLECTION: &'static str = "items";
    const KIND: char = 's';
}

#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Ask {
    SetPrice { item: RecordId, price: u32 },
    Discontinue { item: RecordId },
    Audit { item: RecordId },
}

impl Command for Ask {
    fn service(&self) -> &str {
        if matches!(self, Ask::Audit { .. }) { "serch" } else { "shop" }
    }

    fn record(&self) -> RecordId {
        match self {
            Ask::SetPrice { item, .. } | Ask::Discontinue { item } | Ask::Audit { item } => *item,
        }
    }
}

impl System for Misfit {
    type Event = Snapshot<Item>;
    type Command = Ask;
}

#[derive(Clone, Copy, Debug, Default)]
enum Wrong {
    #[default]
    Nothing,
    ServiceTwice,
    OwnedTwice,
    CollectionTwice,
}

impl Design for Wrong {
    fn name(&self) -> &'static str {
        match self {
            Wrong::Nothing => "fits",
            Wrong::ServiceTwice => "service-twice",
            Wrong::OwnedTwice => "owned-twice",
            Wrong::CollectionTwice => "collection-twice",
        }
    }
}

impl Suite for Misfit {
    const NAME: &'static str = "misfit";
    type Design = Wrong;
    type Workload = NoWorkload;
    type Stored = NoRecords;

    fn designs() -> Vec<Wrong> {
        vec![Wrong::Nothing, Wrong::ServiceTwice, Wrong::OwnedTwice, Wrong::CollectionTwice]
    }

    fn services(design: &Wrong) -> Services<Misfit> {
        let policy = VersionPolicy::EVERY_SAVE;
        let shop = service("shop").owns::<Item>(policy).on_command(|_, _| Ok(()));
        let search = service("search").keeps::<Item>(policy);
        let services = Services::new().service(shop).service(search);
        match design {
            Wrong::Nothing => services.optional(service("audit")),
            Wrong::ServiceTwice => services.service(service("shop")),
            Wrong::OwnedTwice => services.service(service("audit").owns::<Item>(policy)),
            Wrong::CollectionTwice => services.service(service("audit").owns::<Shelf>(policy).keeps::<Item>(policy)),
        }
    }

    fn properties(_: &Wrong) -> Vec<Box<dyn Property<Misfit>>> {
        Vec::new()
    }
}

/// What is said of a scenario of the system, read and put together.
fn said(design: &str, rest: &str) -> String {
    let text = format!("version = 1\nabout = \"a test\"\ndesign = \"{design}\"\n{rest}");
    let scenario = match Erased::<Misfit>::default().scenario("misfit.toml", &text) {
        Ok(scenario) => scenario,
        Err(error) => return error.to_string(),
    };
    scenario.size().map_or_else(|error| error.to_string(), |(clients, commands)| format!("{clients}, {commands}"))
}

fn check(design: &str, commands: &str, expected: &Expect) {
    let client = format!("\n[[client]]\nname = \"ann\"\ncommands = [{commands}]\n");
    expected.assert_eq(&said(design, &client));
}

const FITS: &str = "{ set_price = { item = \"i1\", price = 5 } }";

#[test]
fn a_command_that_the_enum_lacks_is_told_with_the_nearest_one() {
    check("fits", "{ set_prize = { item = \"i1\", price = 5 } }", &expect![]);
    check("fits", "{ burn = { item = \"i1\" } }", &expect![]);
    check("fits", "{ discontinue = { itme = \"i1\" } }", &expect![]);
    check("fits", "{ discontinue = { item = \"i1\" }, set_price = { item = \"i1\", price = 5 } }", &expect![]);
    check("fits", "{ set_price = { item = \"1\", price = 5 } }", &expect![]);
    check("fits", FITS, &expect!["1, 1"]);
}

#[test]
fn a_command_for_no_service_is_told_at_its_place() {
    check("fits", "{ audit = { item = \"i1\" } }", &expect![]);
}

#[test]
fn a_service_twice_and_a_collection_owned_twice_are_told_by_name() {
    check("service-twice", FITS, &expect![]);
    check("owned-twice", FITS, &expect![]);
    check("collection-twice", FITS, &expect![]);
}

#[test]
fn a_record_of_a_kind_that_the_service_does_not_keep_is_told_at_its_place() {
    check("fits", "{ set_price = { item = \"i1\", price = 5 }, waits_for = [\"o1 at search\"] }", &expect![]);
}

#[test]
fn what_a_system_does_not_have_is_told_with_what_to_write_instead() {
    let workload = format!("\n[workload]\nitems = 3\n");
    expect![].assert_eq(&said("fits", &workload));
    let client = format!("\n[[record]]\nitem = \"i1\"\n\n[[client]]\nname = \"ann\"\ncommands = [{FITS}]\n");
    expect![].assert_eq(&said("fits", &client));
    let client = format!("\n[services.serch]\n\n[[client]]\nname = \"ann\"\ncommands = [{FITS}]\n");
    expect![].assert_eq(&said("fits", &client));
    let client = format!("defects = [\"Any\"]\n\n[[client]]\nname = \"ann\"\ncommands = [{FITS}]\n");
    expect![].assert_eq(&said("fits", &client));
}
