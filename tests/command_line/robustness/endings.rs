//! How a command ends: by signals, without a reader, in odd environments, on scenarios that would cost
//! too much.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use super::folder::{Folder, Ran, failing};

#[test]
fn a_result_that_nobody_can_read_is_an_error() {
    let folder = Folder::new("stdout_closed");
    folder.write("s.toml", failing());
    for verb in ["check s.toml", "run s.toml", "sweep s.toml --seeds 0..3", "--help"] {
        for to in [">&-", "> /dev/full"] {
            let ran = folder.bash(&format!("pellmell {verb} {to}")).ends(74);
            assert!(ran.stderr.contains("error: "), "{verb} {to}: {}", ran.stderr);
        }
    }
    folder.bash("pellmell check s.toml > /dev/null").ends(0);
    folder.bash("pellmell check s.toml <> /dev/null >&0").ends(0);
    folder.bash("pellmell check s.toml <&- 2>&-").ends(0);
}

#[test]
fn who_stops_reading_changes_no_ending() {
    let folder = Folder::new("stopped_reading");
    folder.write("s.toml", failing());
    for (verb, code) in [("check s.toml", 0), ("run s.toml", 1), ("--help", 0), ("--version", 0), ("run --help", 0)] {
        let ran = folder.bash(&format!("pellmell {verb} | true; exit ${{PIPESTATUS[0]}}")).ends(code);
        assert_eq!(ran.stderr, "", "{verb}");
    }
}

/// Sweeps for so long, unless a signal ends it that comes after about a second; `before` is what the shell does
/// first.
fn sweep_until(folder: &Folder, signal: &str, time: &str, before: &str) -> Ran {
    let sweep = format!("pellmell sweep s.toml --for {time} --departures 0 --threads 1 --out out");
    folder.bash(&format!("{before} {sweep} & sleep 1; kill -{signal} $!; wait $!"))
}

#[test]
fn a_terminal_that_goes_away_ends_a_sweep_as_ctrl_c_does() {
    let folder = Folder::new("hangup");
    folder.copy("price-5-10-15.toml", "s.toml");
    for signal in ["HUP", "TERM"] {
        // Where the tests run under nohup, all that they start goes on as well.
        if folder.bash(&format!("trap -p {signal}")).stdout.contains("''") {
            continue;
        }
        // On a busy machine the signal comes later than that.
        let ran = sweep_until(&folder, signal, "60s", "").ends(130);
        assert!(ran.stderr.contains("Interrupted at seed"), "{signal}: {}", ran.stderr);
        assert_eq!(folder.names("out"), ["result.json"]);
    }
    // Under nohup it goes on.
    let ran = sweep_until(&folder, "HUP", "3s", "trap '' HUP;");
    assert!(ran.code < 2 && !ran.stderr.contains("Interrupted"), "{}: {}", ran.code, ran.stderr);
}

#[test]
fn variables_that_are_no_text_are_refused_where_a_number_is_expected_and_taken_for_a_folder() {
    let folder = Folder::new("variables");
    folder.write("s.toml", failing());
    let bytes = OsStr::from_bytes(b"o\xff");
    let sweep = |name: &str, value: &OsStr| {
        let mut command = folder.command("pellmell");
        let args = ["sweep", "s.toml", "--seeds", "0..3"];
        Ran::of(
            command
                .args(args)
                .env(name, value)
                .env("PELLMELL_SHARD_COUNT", "2")
                .env("PELLMELL_SHARD_INDEX", "0")
                .env(name, value)
                .output()
                .expect("a run"),
        )
    };
    for name in ["PELLMELL_SHARD_INDEX", "PELLMELL_SHARD_COUNT", "PELLMELL_THREADS"] {
        let ran = sweep(name, bytes).ends(2);
        assert!(ran.stderr.contains(&format!("the variable {name} is ")), "{}", ran.stderr);
    }
    sweep("PELLMELL_OUT", bytes).ends(1);
    assert!(folder.path(bytes).join("shard-1-of-2.json").exists());
    assert!(sweep("PELLMELL_OUT", OsStr::new("")).code < 2);
    assert_eq!(fs::read_dir(folder.path("")).expect("a folder").count(), 2);
}

/// What `check` says against a scenario.
fn refused(folder: &Folder, text: &str) -> String {
    folder.write("s.toml", text);
    // So little memory that nothing large is made before it is refused.
    folder.bash("ulimit -v 1000000; pellmell check s.toml").ends(2).stderr
}

#[test]
fn two_clients_of_one_name_are_refused_with_the_line() {
    let folder = Folder::new("names_of_clients");
    let client =
        |name: &str| format!("[[client]]\nname = \"{name}\"\ncommands = [{{ show_ticket = {{ ticket = \"t1\" }} }}]\n");
    let head = "version = 1\nabout = \"x\"\n[workload]\ntickets = 2\nprices = [5]\nbuyers = 1\norders = 1\n";
    let said = refused(&folder, &format!("{head}{}{}", client("a"), client("a")));
    assert!(said.contains("another client is named `a`") && said.contains("s.toml:12:8"), "{said}");
    for name in ["seller-1", "seller-2", "buyer-1"] {
        let said = refused(&folder, &format!("{head}{}", client(name)));
        assert!(
            said.contains(&format!("the workload has a client named `{name}`")) && said.contains("s.toml:9:8"),
            "{said}"
        );
        assert!(said.contains(&format!(" | name = \"{name}\"\n  |        ^^^")), "{said}");
    }
    for name in ["seller-3", "seller-01", "seller-0", "buyer-2", "seller", "A"] {
        folder.write("s.toml", format!("{head}{}{}", client(name), client("a")));
        folder.pellmell(["check", "s.toml"]).ends(0);
    }
}

#[test]
fn every_factor_of_a_workload_is_bounded_by_itself() {
    let folder = Folder::new("workload");
    let most = u32::MAX;
    for (keys, at, says) in [
        (format!("tickets = 1\nbuyers = {most}"), "5:10", "at most 1000000 buyers"),
        (format!("tickets = 1\norders = {most}"), "5:10", "at most 1000000 orders"),
        (format!("tickets = {most}"), "4:11", "at most 1000000 tickets"),
        (format!("tickets = 1\nedits = {most}"), "5:9", "at most 4000000 commands of sellers"),
        ("tickets = 1\nbuyers = 2000\norders = 2000".to_owned(), "6:10", "at most 1000000 orders"),
        ("tickets = 1\ncancels = 5".to_owned(), "5:11", "from 0 to 4"),
        ("tickets = 1\npays = 5".to_owned(), "5:8", "from 0 to 4"),
        ("tickets = 0".to_owned(), "4:11", "at least 1 ticket"),
    ] {
        let said = refused(&folder, &format!("version = 1\nabout = \"x\"\n[workload]\n{keys}\nprices = [5]\n"));
        assert!(
            said.contains(says) && said.contains(&format!("s.toml:{at}\n")) && said.contains("^"),
            "{keys}: {said}"
        );
    }
}

#[test]
fn a_large_record_number_costs_no_memory() {
    let folder = Folder::new("numbers");
    let text = |number: u32| {
        format!(
            "version = 1\nabout = \"x\"\n[services.payments]\n[[client]]\nname = \"a\"\ncommands = [\n\
             {{ create_ticket = {{ ticket = \"t{number}\", price = 5 }} }},\n\
             {{ create_order = {{ order = \"o{number}\", ticket = \"t{number}\" }} }},\n\
             {{ pay = {{ payment = \"p{number}\", order = \"o{number}\" }} }},\n]\n"
        )
    };
    folder.write("low.toml", text(1));
    folder.write("high.toml", text(2_000_000));
    for (verb, flags) in [
        ("run", ""),
        ("sweep", "--seeds 0..20 --departures 20 --threads 1"),
        ("exhaust", "--order any --threads 1 --memory 16MiB"),
    ] {
        let [low, high] = ["low", "high"].map(|name| {
            // The three tables by number alone were more.
            let limit = format!("ulimit -v 300000; pellmell --message-format json {verb} {name}.toml {flags}");
            let ran = folder.bash(&limit);
            let said: serde_json::Value =
                ran.stdout.lines().next().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default();
            (ran.code, said["states"].to_string())
        });
        assert_eq!((low.0, &high), (0, &low), "{verb}");
    }
}
