//! The same seed gives the same bytes: in two runs, two threads, two processes, debug and release.
//! And the checker that says so finds what a service could smuggle in.

use std::path::Path;
use std::process::Command;

use pellmell::doc_example::{Change, Changed, Item, Shop};
use pellmell::scenario::SchedulerKind;
use pellmell::search::Sweep;
use pellmell::ticketing::Design;
use pellmell::ticketing::Scenario;
use pellmell::trace::hex;
use pellmell::{
    Context, FaultPlan, Keyed, Limits, Outcome, Profile, RecordId, Rejection, Schema, Service, Simulation, Subject,
    VersionPolicy, determinism,
};

fn scenario(name: &str) -> Scenario {
    let path = format!("scenarios/{name}.toml");
    let text = std::fs::read_to_string(&path).expect("a scenario of the repository");
    Scenario::parse(&path, &text).expect("a valid scenario")
}

/// The names of all scenarios of the repository.
fn scenarios() -> Vec<String> {
    let folder = std::fs::read_dir("scenarios").expect("the scenarios folder");
    let names = folder.map(|entry| entry.expect("readable").file_name().into_string().expect("a name in ASCII"));
    let mut names: Vec<String> = names.filter_map(|name| name.strip_suffix(".toml").map(str::to_owned)).collect();
    names.sort();
    names
}

/// The fingerprints of every scenario under every design for some seeds, as text.
fn fingerprints() -> String {
    let mut text = String::from(
        "# scenario design seed fingerprint; regenerate with PELLMELL_BLESS=1 cargo test --test ticketing determinism\n",
    );
    for name in scenarios() {
        for design in Design::ALL {
            let scenario = Scenario { design, ..scenario(&name) };
            // Where nothing is left to chance one seed is enough.
            let chance = scenario.schedule.is_empty() && scenario.scheduler != Some(SchedulerKind::Calm);
            let seeds: &[u64] = if chance { &[0, 7, 1_000_003] } else { &[0] };
            for &seed in seeds {
                let mut world = scenario.simulation(seed).expect("the parts fit").world();
                let report = scenario.run(&mut world, &scenario.judges(), seed, &mut ());
                text += &format!("{name} {} {seed} {}\n", design.name, hex(report.fingerprint));
            }
        }
    }
    text
}

#[test]
fn fingerprints_are_the_golden_ones() {
    let path = Path::new("tests/golden/fingerprints.txt");
    let found = fingerprints();
    if std::env::var_os("PELLMELL_BLESS").is_some() {
        std::fs::write(path, &found).expect("the golden file can be written");
    }
    let golden = std::fs::read_to_string(path).expect("the golden file");
    for (golden, found) in golden.lines().zip(found.lines()) {
        assert_eq!(golden, found);
    }
    assert_eq!(golden.lines().count(), found.lines().count());
}

#[test]
fn a_sweep_is_the_same_with_any_number_of_threads() {
    let scenario = Scenario { design: Design::COURSE, ..scenario("price-5-10-15") };
    let result = |threads| {
        Sweep { source: &scenario, judges: &scenario.judges_with_sometimes(), seeds: 0..40, threads }
            .run(|_, _| {})
            .expect("it runs")
    };
    let one = result(1);
    assert!(one.totals.violated > 0, "a sweep without failures compares little");
    assert_eq!(one, result(2));
    assert_eq!(one, result(7));
}

#[test]
fn two_processes_write_the_same_bytes() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let trace = |name: &str| {
        let path = folder.join(name);
        let run = Command::new(env!("CARGO_BIN_EXE_pellmell"))
            .args(["run", "scenarios/price-5-10-15.toml", "--seed", "7", "--trace"])
            .arg(&path)
            .output()
            .expect("the binary runs");
        (std::fs::read(&path).expect("a trace"), run.stdout)
    };
    let (one, other) = (trace("process-1.jsonl"), trace("process-2.jsonl"));
    assert!(one.0.len() > 100_000, "a trace of 600 commands is not small");
    assert!(one == other, "two processes wrote different bytes");
}

#[test]
fn the_fault_free_calm_run_is_the_same_for_every_seed() {
    let scenario = scenario("price-5-10-15").with(|settings| {
        (settings.scheduler, settings.faults) = (Some(SchedulerKind::Calm), FaultPlan::NONE);
    });
    let fingerprint = |seed| {
        let mut world = scenario.simulation(seed).expect("the parts fit").world();
        scenario.run(&mut world, &scenario.judges(), seed, &mut ()).fingerprint
    };
    assert_eq!(fingerprint(1), fingerprint(2));
}

/// What a service adds to the price it stores.
type Smuggle = fn() -> u32;

/// A shop that tells search more than it should know.
struct LeakyShop(Smuggle);

impl Service<Shop> for LeakyShop {
    fn name(&self) -> &'static str {
        "shop"
    }

    fn collections(&self, schema: &mut Schema) {
        schema.owns::<Item>(VersionPolicy::EVERY_SAVE);
    }

    fn execute(&self, command: &Change, ctx: &mut Context<'_, Shop>) -> Result<(), Rejection> {
        let price = command.price.wrapping_add((self.0)());
        let taken = |_| Rejection { status: 409, reason: "exists" };
        let version = ctx.store.insert(command.item, Item { price }).map_err(taken)?;
        ctx.publish(Changed { item: command.item, version, price });
        Ok(())
    }
}

struct Search;

impl Service<Shop> for Search {
    fn name(&self) -> &'static str {
        "search"
    }

    fn collections(&self, schema: &mut Schema) {
        schema.keeps::<Item>(VersionPolicy::EVERY_SAVE);
    }

    fn subjects(&self) -> &[Subject] {
        const { &[Subject::new("item:changed")] }
    }

    fn handle(&self, event: &Changed, ctx: &mut Context<'_, Shop>) -> Outcome {
        match ctx.store.insert(event.item, Item { price: event.price }) {
            Ok(_) => Outcome::Ack,
            Err(_) => Outcome::Silent("exists"),
        }
    }
}

fn check(smuggle: Smuggle) -> Result<u64, determinism::Divergence> {
    let commands = (1..=8).map(|number| Change { item: RecordId::new('i', number), price: number });
    let simulation = Simulation::on(Profile::adversarial())
        .service(LeakyShop(smuggle))
        .service(Search)
        .client("seller", commands.collect())
        .build()
        .expect("the parts fit");
    let plan = FaultPlan { duplicate: FaultPlan::NONE.duplicate, ..FaultPlan::SOME };
    determinism::check(&simulation, || Box::new(Keyed::new(5, plan)), Limits::default())
}

#[test]
fn a_pure_service_passes_the_check() {
    let steps = check(|| 0).expect("nothing differs");
    assert!(steps >= 16, "8 commands and 8 deliveries, found {steps} steps");
}

/// Finds the planted nondeterminism, at the first step, which is the first command.
fn assert_found(smuggle: Smuggle) {
    let divergence = check(smuggle).expect_err("the runs differ");
    assert_eq!(divergence.step, 1, "{divergence}");
    assert!(divergence.first.contains("seller: change i"), "{divergence}");
}

#[test]
#[expect(clippy::disallowed_types, reason = "planted")]
fn the_order_of_a_hash_map_is_found() {
    assert_found(|| {
        let map: std::collections::HashMap<u32, ()> = (0..1000).map(|i| (i, ())).collect();
        map.keys().take(8).fold(0, |sum: u32, key| sum.wrapping_mul(1009).wrapping_add(*key))
    });
}

#[test]
#[expect(clippy::disallowed_types, reason = "planted")]
fn the_wall_clock_is_found() {
    assert_found(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        (now.as_nanos() % 4_000_000_007) as u32
    });
}

#[test]
#[expect(clippy::disallowed_methods, reason = "planted")]
fn the_thread_is_found() {
    assert_found(|| {
        let id = format!("{:?}", std::thread::current().id());
        id.bytes().fold(0, |sum: u32, byte| sum.wrapping_mul(31).wrapping_add(byte.into()))
    });
}

#[test]
fn an_address_is_found() {
    assert_found(|| {
        // Kept, so that the second run cannot get the same place.
        let place: &'static mut [u8] = Box::leak(vec![0u8; 64].into_boxed_slice());
        (place.as_ptr() as usize >> 4) as u32
    });
}

#[test]
fn a_decision_by_a_growing_counter_is_found() {
    static CALLS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    assert_found(|| CALLS.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
}
