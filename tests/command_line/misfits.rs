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
    check(
        "fits",
        "{ set_prize = { item = \"i1\", price = 5 } }",
        &expect![[r#"
        unknown variant `set_prize`, expected one of `set_price`, `discontinue`, `audit`
         --> misfit.toml:7:15
          |
        7 | commands = [{ set_prize = { item = "i1", price = 5 } }]
          |               ^^^^^^^^^
          = help: did you mean `set_price`?"#]],
    );
    check(
        "fits",
        "{ burn = { item = \"i1\" } }",
        &expect![[r#"
        unknown variant `burn`, expected one of `set_price`, `discontinue`, `audit`
         --> misfit.toml:7:15
          |
        7 | commands = [{ burn = { item = "i1" } }]
          |               ^^^^
          = help: see docs/scenarios.md for what a scenario file may say"#]],
    );
    check(
        "fits",
        "{ discontinue = { itme = \"i1\" } }",
        &expect![[r#"
        unexpected keys in table: itme, available keys: item
         --> misfit.toml:7:31
          |
        7 | commands = [{ discontinue = { itme = "i1" } }]
          |                               ^^^^
          = help: see docs/scenarios.md for what a scenario file may say"#]],
    );
    check(
        "fits",
        "{ discontinue = { item = \"i1\" }, set_price = { item = \"i1\", price = 5 } }",
        &expect![[r#"
        this is not one command
         --> misfit.toml:7:13
          |
        7 | commands = [{ discontinue = { item = "i1" }, set_price = { item = "i1", price = 5 } }]
          |             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
          = help: each command has braces of its own, with one of `set_price`, `discontinue` and `audit`"#]],
    );
    check(
        "fits",
        "{ set_price = { item = \"1\", price = 5 } }",
        &expect![[r#"
        `1` is not a record id: expected a lowercase letter and a number up to 2000000, for example `t1`, or a letter, `:` and a key, for example `o:6f1c-2b`
         --> misfit.toml:7:36
          |
        7 | commands = [{ set_price = { item = "1", price = 5 } }]
          |                                    ^^^
          = help: see docs/scenarios.md for what a scenario file may say"#]],
    );
    check("fits", FITS, &expect!["1, 1"]);
}

#[test]
fn a_command_for_no_service_is_told_at_its_place() {
    check(
        "fits",
        "{ audit = { item = \"i1\" } }",
        &expect![[r#"
        there is no service `serch` that could execute the command
         --> misfit.toml:7:13
          |
        7 | commands = [{ audit = { item = "i1" } }]
          |             ^^^^^^^^^^^^^^^^^^^^^^^^^^^
          = help: `Command::service` names it: did you mean `search`?"#]],
    );
}

#[test]
fn a_service_twice_and_a_collection_owned_twice_are_told_by_name() {
    check("service-twice", FITS, &expect!["service `shop` is added twice"]);
    check(
        "owned-twice",
        FITS,
        &expect![
            "services `shop` and `audit` both own the records of `items`: one service alone changes what it owns, and another one keeps replicas (`keeps`)"
        ],
    );
    check(
        "collection-twice",
        FITS,
        &expect![
            "service `audit` declares two collections called `items`: give one of the records another COLLECTION, so that reports tell them apart"
        ],
    );
}

#[test]
fn a_record_of_a_kind_that_the_service_does_not_keep_is_told_at_its_place() {
    check(
        "fits",
        "{ set_price = { item = \"i1\", price = 5 }, waits_for = [\"o1 at search\"] }",
        &expect![
            "`SetPrice { item: i1, price: 5 }` waits for `o1 at search`, which can never be there: the ids of its records begin with `i`"
        ],
    );
}

#[test]
fn what_a_system_does_not_have_is_told_with_what_to_write_instead() {
    let workload = "\n[workload]\nitems = 3\n";
    expect![[r#"
        this system generates no clients: write them out as [[client]] tables
         --> misfit.toml:5:1
          |
        5 | [workload]
          | ^^^^^^^^^^
          = help: see docs/scenarios.md for what a scenario file may say"#]]
    .assert_eq(&said("fits", workload));
    let client = format!("\n[[record]]\nitem = \"i1\"\n\n[[client]]\nname = \"ann\"\ncommands = [{FITS}]\n");
    expect![[r#"
        the stores of this system begin empty: let a client's command create the record
         --> misfit.toml:5:1
          |
        5 | [[record]]
          | ^^^^^^^^^^
          = help: see docs/scenarios.md for what a scenario file may say"#]]
    .assert_eq(&said("fits", &client));
    let client = format!("\n[services.serch]\n\n[[client]]\nname = \"ann\"\ncommands = [{FITS}]\n");
    expect![[r#"
        unknown service `serch`
         --> misfit.toml:5:11
          |
        5 | [services.serch]
          |           ^^^^^
          = help: did you mean `search`? Known are shop, search, audit"#]]
    .assert_eq(&said("fits", &client));
    let client = format!("defects = [\"Any\"]\n\n[[client]]\nname = \"ann\"\ncommands = [{FITS}]\n");
    expect![[r#"
        unknown defect `Any`
         --> misfit.toml:4:12
          |
        4 | defects = ["Any"]
          |            ^^^^^
          = help: this system has no defect to name"#]]
    .assert_eq(&said("fits", &client));
}
