//! Sweeps that are divided, stopped, killed and gone on with print what a sweep in one go prints.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use pellmell::results::{Departed, ResultFile};
use pellmell::search::{Part, SoFar, Sweep};

/// A scenario of a few steps a run, of which many fail in several ways.
const SMALL: &str = r#"
version = 1
about = "A few tickets under every kind of fault."
design = "course"

[services.orders]
members = 2

[faults]
lose_ack = "1/10"
delay_ack = "1/10"
duplicate = "1/10"
crash = "1/30"

[workload]
tickets = 3
prices = [5, 10, 15]
"#;

/// A folder of a test's own, with the small scenario in it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sharding").join(name);
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(path.join("scenarios")).expect("a folder");
        std::fs::write(path.join("small.toml"), SMALL).expect("a scenario");
        let shipped = "scenarios/price-5-10-15.toml";
        std::fs::copy(shipped, path.join(shipped)).expect("a scenario");
        Folder(path)
    }

    /// A command in this folder whose environment has nothing of an engine but these variables.
    fn command(&self, program: &str, variables: &[(String, String)]) -> Command {
        let mut command = Command::new(program);
        let binary = Path::new(env!("CARGO_BIN_EXE_pellmell")).parent().expect("a folder").display().to_string();
        let path = format!("{binary}:{}", std::env::var_os("PATH").unwrap_or_default().display());
        command.current_dir(&self.0).env_clear().env("PATH", path).envs(variables.iter().cloned());
        command
    }

    fn pellmell(&self, flags: &str) -> Ran {
        Ran::of(self.command(env!("CARGO_BIN_EXE_pellmell"), &[]).args(flags.split(' ')).output())
    }

    fn shell(&self, line: &str, variables: &[(String, String)]) -> Ran {
        Ran::of(self.command("sh", variables).args(["-c", line]).output())
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }
}

struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ran {
    fn of(output: std::io::Result<Output>) -> Ran {
        let Output { status, stdout, stderr } = output.expect("it runs");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Ran { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
    }

    #[track_caller]
    fn ends(self, code: i32) -> Ran {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    fn says(self, code: i32, words: &[&str]) {
        let ran = self.ends(code);
        words.iter().for_each(|word| assert!(ran.stderr.contains(word), "no `{word}` in: {}", ran.stderr));
    }
}

#[test]
fn whatever_the_shards_and_threads_the_merged_result_has_the_same_bytes() {
    let folder = Folder::new("bytes");
    let whole = folder.pellmell("sweep small.toml --seeds 3..120 --threads 1 --out whole").ends(1);
    assert!(whole.stdout.matches("VIOLATED").count() >= 2, "several buckets: {}", whole.stdout);
    assert!(whole.stdout.contains("one-departure schedules"), "a hold sweep: {}", whole.stdout);
    for shards in [1, 2, 3, 8] {
        for threads in [1, 2, 4] {
            let out = format!("out-{shards}-{threads}");
            for shard in 1..=shards {
                let shard = format!("--shard {shard}/{shards} --threads {threads} --out {out}");
                assert!(folder.pellmell(&format!("sweep small.toml --seeds 3..120 {shard}")).code <= Some(1));
            }
            let merged = folder.shell(&format!("pellmell merge {out}/shard-*.json --out {out}"), &[]).ends(1);
            assert_eq!(merged.stdout, whole.stdout, "{shards} shards, {threads} threads");
            assert_eq!(folder.read(&format!("{out}/result.json")), folder.read("whole/result.json"));
        }
    }
}

#[test]
fn the_hold_sweep_is_divided_with_its_budget_and_merging_plays_nothing_of_it() {
    let folder = Folder::new("hold-sweep");
    let flags = "sweep small.toml --seeds 0..6 --departures 40";
    let whole = folder.pellmell(&format!("{flags} --out whole")).ends(1);
    assert!(whole.stdout.contains(" of 40 one-departure schedules fail"), "{}", whole.stdout);
    for (shard, played) in [(1, 12), (2, 14), (3, 14)] {
        let ran = folder.pellmell(&format!("{flags} --shard {shard}/3 --out out"));
        assert!(
            ran.stdout.contains(&format!("{played} of 135 one-departure schedules"))
                || ran.stdout.contains(&format!(" of {played} one-departure schedules")),
            "{}",
            ran.stdout
        );
    }
    let merge = || folder.shell("pellmell merge out/shard-*.json --out out", &[]).ends(1);
    assert_eq!(merge().stdout, whole.stdout);
    assert_eq!(folder.read("out/result.json"), folder.read("whole/result.json"));
    folder.pellmell(&format!("{flags}0 --out whole")).says(2, &["not the same --departures", "has 40", "has 400"]);
    folder
        .pellmell("sweep scenarios/price-5-10-15.toml --design course --seeds 0..6 --out whole --departures 0")
        .says(2, &["not the same --departures"]);
    // What is in the files is what is told.
    let [one, two] = ["out/shard-1-of-3.json", "out/shard-2-of-3.json"];
    let read = |name: &str| ResultFile::parse(name, &folder.read(name)).expect("a result");
    let write = |name: &str, file: &ResultFile| {
        std::fs::write(folder.0.join(name), file.to_text()).expect("a file");
    };
    let (kept, mut changed) = (read(two), read(two));
    for bucket in changed.departed.as_mut().expect("a hold sweep").result.buckets.values_mut() {
        bucket.detail += " and nobody played it";
    }
    write(two, &changed);
    merge();
    assert_ne!(folder.read("out/result.json"), folder.read("whole/result.json"));
    let with = |change: fn(&mut Departed)| {
        let mut changed = kept.clone();
        change(changed.departed.as_mut().expect("a hold sweep"));
        write(two, &changed);
        folder.shell("pellmell merge out/shard-*.json", &[])
    };
    with(|departed| departed.result.calm ^= 1).says(3, &["the calm run is another one", two]);
    with(|departed| departed.places.end -= 1).says(2, &["are no part of"]);
    with(|departed| departed.result.singles.held = 0).says(2, &["the buckets are not those"]);
    with(|departed| departed.done_through -= 1).says(2, &["the schedules played are not"]);
    let mut begun = read(one);
    let departed = begun.departed.as_mut().expect("a hold sweep");
    departed.done_through = 0;
    let nothing = &mut departed.result;
    for tally in [&mut nothing.singles, &mut nothing.pairs] {
        (tally.played, tally.held) = (0, 0);
    }
    nothing.buckets.clear();
    nothing.fingerprint = 0;
    write(two, &kept);
    write(one, &begun);
    folder
        .shell("pellmell merge out/shard-*.json", &[])
        .says(2, &["schedules 0..13 of out/shard-1-of-3.json are not done"]);
    // And it goes on there.
    let ran = folder.pellmell(&format!("{flags} --shard 1/3 --out out"));
    assert!(
        ran.stderr.contains("Goes on with out/shard-1-of-3.json: schedules 0..13 and seeds 2..2"),
        "{}",
        ran.stderr
    );
    assert_eq!(merge().stdout, whole.stdout);
}

#[test]
fn a_result_of_the_version_before_is_refused_as_another_version_and_left_as_it_is() {
    let folder = Folder::new("version");
    folder.pellmell("sweep small.toml --seeds 0..4 --design reference --departures 0 --out out").ends(0);
    let old = folder.read("out/result.json").replace("\"version\": 2", "\"version\": 1");
    std::fs::write(folder.0.join("out/result.json"), &old).expect("a file");
    let words = ["another version of the format: expected 2, found 1", "sweep again with this one into another folder"];
    folder.pellmell("sweep small.toml --seeds 0..4 --design reference --departures 0 --out out").says(2, &words);
    folder.pellmell("merge out/result.json").says(2, &words);
    assert_eq!(folder.read("out/result.json"), old);
}

#[test]
fn going_on_from_whatever_was_seen_comes_to_the_same_result() {
    let scenario = pellmell::ticketing::Scenario::parse("small.toml", SMALL).expect("a scenario");
    let judges = scenario.judges_with_sometimes();
    let sweep = |threads| Sweep { source: &scenario, judges: &judges, seeds: 5..1_800, threads };
    let whole = sweep(1).run(|_, _| ()).expect("it runs");
    let mut seen = Vec::new();
    let watch = |so_far: &SoFar<'_>| {
        assert!(so_far.done >= so_far.part.result.totals.runs());
        assert_eq!(so_far.part.result.totals.runs(), so_far.part.seeds.end - 5, "no gaps");
        seen.push(so_far.part.clone());
        ControlFlow::Continue(())
    };
    assert_eq!(sweep(3).go_on(Part::none(5), watch).expect("it runs"), Part { seeds: 5..1_800, result: whole.clone() });
    assert!(seen.len() >= 8, "{}", seen.len());
    for part in seen {
        let stopped = sweep(2).go_on(part, |_| ControlFlow::Break(())).expect("it runs");
        let ended = sweep(2).go_on(stopped, |_| ControlFlow::Continue(())).expect("it runs");
        assert_eq!((ended.seeds, &ended.result), (5..1_800, &whole));
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the kill comes at a moment of the wall clock")]
fn a_sweep_that_is_killed_again_and_again_ends_with_the_bytes_of_one_that_ran_through() {
    let folder = Folder::new("killed");
    let flags = "sweep scenarios/price-5-10-15.toml --departures 500 --seeds 0..500";
    let whole = folder.pellmell(&format!("{flags} --out whole")).ends(0);
    let mut kills = 0;
    loop {
        let mut command = folder.command(env!("CARGO_BIN_EXE_pellmell"), &[]);
        command.args(flags.split(' ')).args(["--out", "out"]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut sweep = command.spawn().expect("it runs");
        if kills < 4 {
            // At moments that have nothing to do with when it writes.
            std::thread::sleep(std::time::Duration::from_millis(150 + 631 * kills));
            sweep.kill().expect("it can be killed");
        }
        let ran = Ran::of(sweep.wait_with_output());
        kills += 1;
        if ran.code.is_some() {
            let ran = ran.ends(0);
            assert_eq!(ran.stdout, whole.stdout);
            assert_eq!(folder.read("out/result.json"), folder.read("whole/result.json"));
            break;
        }
        // What a kill leaves, if anything, can be read.
        if let Ok(text) = std::fs::read_to_string(folder.0.join("out/result.json")) {
            ResultFile::parse("out/result.json", &text).expect("a whole file");
        }
    }
    assert!(kills > 1, "it was killed at least once");
}

#[cfg(unix)]
#[test]
fn an_interrupted_sweep_ends_with_130_and_goes_on() {
    let folder = Folder::new("interrupted");
    for (flags, at, on) in [
        ("--departures 0 --seeds 0..1000", "seed", "seeds "),
        ("--departures 500 --seeds 0..10", "schedule", "schedules "),
    ] {
        let flags = format!("sweep scenarios/price-5-10-15.toml {flags} --threads 2");
        // A shell without job control lets what runs behind it ignore Ctrl-C, so it is SIGTERM.
        let begin = format!("pellmell {flags} --out {at} & sweep=$!");
        let wait = format!("until [ -e {at}/result.json ]; do sleep 0.05; done; sleep 0.3");
        let ran = folder.shell(&format!("{begin}; {wait}; kill -TERM $sweep; wait $sweep"), &[]).ends(130);
        assert!(ran.stderr.contains(&format!("Interrupted at {at} ")), "{}", ran.stderr);
        let ran = folder.pellmell(&format!("{flags} --out {at}")).ends(0);
        assert!(ran.stderr.contains(&format!("Goes on with {at}/result.json: {on}")), "{}", ran.stderr);
        let whole = folder.pellmell(&format!("{flags} --out whole-{at}")).ends(0);
        assert_eq!(ran.stdout, whole.stdout);
        assert_eq!(folder.read(&format!("{at}/result.json")), folder.read(&format!("whole-{at}/result.json")));
    }
}

#[test]
fn a_sweep_with_a_time_limit_is_the_sweep_of_the_seeds_it_came_to_and_can_go_on() {
    let folder = Folder::new("time");
    let mut before = 0;
    for seeds in ["--seeds 7..", "--seeds 7..18_446_744_073_709_551_615"] {
        let timed = folder.pellmell(&format!("sweep small.toml --for 1s {seeds} --out out"));
        let end = timed.stdout.split_once(", 7..").and_then(|(_, rest)| rest.split_once(' ')).expect("seeds").0;
        let end: u64 = end.parse().expect("a seed");
        assert!(end > before, "it goes on from {before}: {end}");
        before = end;
        let exact = folder.pellmell(&format!("sweep small.toml --seeds 7..{end} --out exact"));
        assert_eq!((timed.code, &timed.stdout), (exact.code, &exact.stdout));
        assert_eq!(folder.read("out/result.json"), folder.read("exact/result.json"));
    }
    folder.pellmell("sweep small.toml --seeds 7..").says(2, &["has no end", "--for"]);
    folder.pellmell("sweep small.toml --seeds 7.. --for 1s --shard 1/2").says(2, &["have no end"]);
}

#[test]
fn a_result_of_something_else_is_not_gone_on_with() {
    let folder = Folder::new("else");
    folder.pellmell("sweep small.toml --seeds 10..20 --design reference --out out").ends(0);
    let sweep = |flags: &str| folder.pellmell(&format!("sweep small.toml --out out {flags}"));
    let next = "remove the file to begin anew";
    sweep("--seeds 10..20").says(2, &["not the same design", "has reference", "this sweep has course", next]);
    sweep("--seeds 10..20 --design reference --defect BlindApply").says(2, &["not the same defects", next]);
    sweep("--seeds 10..20 --design reference --scheduler walk").says(2, &["not the same scheduler", next]);
    sweep("--seeds 10..20 --design reference --property NoPoison").says(2, &["not the same properties", next]);
    sweep("--seeds 10..20 --design reference --max-steps 9").says(2, &["not the same limits", next]);
    sweep("--seeds 9..20 --design reference").says(2, &["seeds 10..20", "do not begin seeds 9..20", next]);
    sweep("--seeds 10..19 --design reference").says(2, &["do not begin seeds 10..19", next]);
    let text = folder.read("out/result.json");
    let mut changed = ResultFile::parse("result.json", &text).expect("a result");
    changed.swept.witness ^= 1;
    std::fs::write(folder.0.join("out/result.json"), changed.to_text()).expect("a file");
    sweep("--seeds 10..20 --design reference").says(3, &["the services or pellmell itself changed", next]);
    changed.tool = "0.0.1".to_owned();
    std::fs::write(folder.0.join("out/result.json"), changed.to_text()).expect("a file");
    sweep("--seeds 10..20 --design reference").says(2, &["was written by pellmell 0.0.1", next]);
    std::fs::write(folder.0.join("out/result.json"), &text[..text.len() / 2]).expect("a file");
    sweep("--seeds 10..20 --design reference").says(2, &["not the result of a sweep", "remove the file"]);
    // What was there is left as it was.
    assert_eq!(folder.read("out/result.json"), text[..text.len() / 2]);
    std::fs::write(folder.0.join("small.toml"), SMALL.replace("1/30", "1/31")).expect("a scenario");
    std::fs::write(folder.0.join("out/result.json"), &text).expect("a file");
    sweep("--seeds 10..20 --design reference").says(2, &["not the same scenario", next]);
}

#[test]
fn a_longer_sweep_goes_on_from_a_shorter_one() {
    let folder = Folder::new("longer");
    folder.pellmell("sweep small.toml --seeds 0..30 --out out").ends(1);
    let longer = folder.pellmell("sweep small.toml --seeds 0..50 --out out").ends(1);
    let whole = folder.pellmell("sweep small.toml --seeds 0..50 --out whole").ends(1);
    assert_eq!(longer.stdout, whole.stdout);
    assert_eq!(folder.read("out/result.json"), folder.read("whole/result.json"));
}

#[test]
fn merge_refuses_gaps_overlaps_mixtures_and_what_is_not_done() {
    let folder = Folder::new("merge");
    for (shard, of, more) in
        [(1, 3, ""), (2, 3, ""), (3, 3, ""), (1, 2, ""), (2, 2, ""), (2, 3, " --defect BlindApply")]
    {
        let out = if more.is_empty() { "out" } else { "other" };
        folder.pellmell(&format!(
            "sweep small.toml --design reference --seeds 0..30 --shard {shard}/{of} --out {out}{more}"
        ));
    }
    folder.pellmell("sweep small.toml --design reference --seeds 0..31 --shard 2/3 --out longer");
    let merge = |files: &str| folder.pellmell(&format!("merge {files}"));
    let [one, two, three] = ["out/shard-1-of-3.json", "out/shard-2-of-3.json", "out/shard-3-of-3.json"];
    merge(&format!("{three} {one} {two}")).ends(0);
    merge(&format!("{three} {one}")).says(2, &["seeds 10..20 are in no file", "run the shards"]);
    merge(&format!("{two} {three}")).says(2, &["seeds 0..10 are in no file"]);
    merge(one).says(2, &["seeds 10..30 are in no file"]);
    merge(&format!("{one} {two} {two} {three}")).says(2, &["seeds 10..20 are in", "once"]);
    merge(&format!("out/shard-1-of-2.json {two} {three}"))
        .says(2, &["seeds 10..15 are in out/shard-1-of-2.json and in"]);
    merge(&format!("{one} other/shard-2-of-3.json {three}"))
        .says(2, &["not the same defects", "other/shard-2-of-3.json"]);
    merge(&format!("{one} longer/shard-2-of-3.json {three}")).says(2, &["of a sweep of seeds 0..30", "one of 0..31"]);
    merge("out/nothing.json").says(74, &["cannot read out/nothing.json"]);
    merge("small.toml").says(2, &["small.toml:", "not the result of a sweep"]);
    folder.pellmell("merge").says(2, &["RESULTS"]);

    let text = folder.read(two);
    let parse = || ResultFile::parse(two, &text).expect("a result");
    let begun = Part::none(10);
    let mut half = ResultFile::new(parse().swept, 0..30, 10..20, begun);
    half.departed = parse().departed;
    let with = |file: &ResultFile| {
        std::fs::write(folder.0.join("changed.json"), file.to_text()).expect("a file");
        merge(&format!("{one} changed.json {three}"))
    };
    with(&half).says(2, &["seeds 10..20 of changed.json are not done yet"]);
    let mut changed = parse();
    changed.tool = "0.0.1".to_owned();
    with(&changed).says(2, &["changed.json was written by pellmell 0.0.1"]);
    let mut changed = parse();
    changed.swept.witness ^= 1;
    with(&changed).says(3, &["the services or pellmell itself changed"]);
}

#[test]
fn shards_without_seeds_hold_and_a_sweep_without_seeds_is_nothing() {
    let folder = Folder::new("empty");
    for shard in 1..=5 {
        let ran =
            folder.pellmell(&format!("sweep small.toml --design reference --seeds 0..2 --shard {shard}/5 --out out"));
        assert_eq!(ran.stderr.contains("no seeds, because"), ![3, 5].contains(&shard), "{}", ran.stderr);
        ran.ends(0);
    }
    let merged = folder.shell("pellmell merge out/*.json", &[]).ends(0);
    assert_eq!(merged.stdout, folder.pellmell("sweep small.toml --design reference --seeds 0..2").ends(0).stdout);
    folder.pellmell("sweep small.toml --seeds 4..4").ends(4);
    folder.pellmell("sweep small.toml --seeds 4..4 --shard 1/2").ends(4);
}

#[test]
fn variables_stand_in_for_flags() {
    let folder = Folder::new("variables");
    let set = |pairs: &[(&str, &str)]| {
        let owned: Vec<(String, String)> =
            pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        folder.shell("pellmell sweep small.toml --design reference --seeds 0..8", &owned)
    };
    let shard = [("PELLMELL_SHARD_INDEX", "1"), ("PELLMELL_SHARD_COUNT", "4"), ("PELLMELL_OUT", "out")];
    let ran = set(&shard).ends(0);
    let said = "Shard 2 of 4 (from PELLMELL_SHARD_INDEX and PELLMELL_SHARD_COUNT): seeds 2..4";
    assert!(ran.stderr.contains(said), "{}", ran.stderr);
    assert!(folder.0.join("out/shard-2-of-4.json").exists());
    // Other engines' variables are not read unasked.
    assert!(set(&[("CI_NODE_INDEX", "1"), ("CI_NODE_TOTAL", "4")]).ends(0).stdout.contains("8 seeds, 0..8"));
    set(&[("PELLMELL_THREADS", "0")]).says(2, &["PELLMELL_THREADS is 0"]);
    set(&[("PELLMELL_THREADS", "two")]).says(2, &["PELLMELL_THREADS is `two`"]);
    set(&[("PELLMELL_SHARD_COUNT", "4")]).says(2, &["not which one"]);
}

#[test]
fn a_folder_that_cannot_be_written_is_told_before_the_runs() {
    let folder = Folder::new("unwritable");
    std::fs::write(folder.0.join("file"), "").expect("a file");
    folder.pellmell("sweep small.toml --out file/results").says(74, &["cannot make the folder file/results"]);
}

/// How many shards the manifests have.
const SHARDS: u64 = 8;

/// The variables an engine sets for a task, by the heading of its manifest.
fn variables_of(engine: &str, index: u64) -> Vec<(String, String)> {
    let indexed = |index_name: &str, index: u64, count: &str| {
        vec![(index_name.to_owned(), index.to_string()), (count.to_owned(), SHARDS.to_string())]
    };
    match engine {
        "GitHub Actions" => indexed("PELLMELL_SHARD_INDEX", index, "PELLMELL_SHARD_COUNT"),
        "GitLab" => indexed("CI_NODE_INDEX", index + 1, "CI_NODE_TOTAL"),
        "Kubernetes" => vec![("JOB_COMPLETION_INDEX".to_owned(), index.to_string())],
        "Slurm" => {
            let mut set = indexed("SLURM_ARRAY_TASK_ID", index, "SLURM_ARRAY_TASK_COUNT");
            for (name, value) in [("MIN", 0), ("MAX", SHARDS - 1), ("STEP", 1)] {
                set.push((format!("SLURM_ARRAY_TASK_{name}"), value.to_string()));
            }
            set
        }
        "AWS Batch" => indexed("AWS_BATCH_JOB_ARRAY_INDEX", index, "AWS_BATCH_JOB_ARRAY_SIZE"),
        "Cloud Run" => indexed("CLOUD_RUN_TASK_INDEX", index, "CLOUD_RUN_TASK_COUNT"),
        "Bazel" => {
            let mut set = indexed("TEST_SHARD_INDEX", index, "TEST_TOTAL_SHARDS");
            let outputs = format!("bazel-testlogs/sweep/shard_{}_of_{SHARDS}/test.outputs", index + 1);
            set.push(("TEST_UNDECLARED_OUTPUTS_DIR".to_owned(), outputs));
            set.push(("TEST_SHARD_STATUS_FILE".to_owned(), format!("status-{index}")));
            set
        }
        "GNU parallel" => Vec::new(),
        other => panic!("nobody knows the variables of {other}"),
    }
}

/// The commands of a manifest that begin with `pellmell VERB`, up to the end of the line or the quote.
fn commands<'a>(manifest: &'a str, verb: &str) -> Vec<&'a str> {
    let begin = format!("pellmell {verb} ");
    let fenced = manifest.split("```").skip(1).step_by(2).flat_map(str::lines);
    let found = fenced.filter_map(|line| line.find(&begin).map(|at| (&line[..at], &line[at..])));
    // Bazel's has a variable in quotes; the others are quoted as a whole, or not at all.
    found
        .map(
            |(before, command)| {
                if before.contains('"') { command.split('"').next().unwrap_or(command) } else { command }
            },
        )
        .collect()
}

#[test]
fn the_manifests_of_docs_sharding_come_to_the_result_of_the_undivided_sweep() {
    let page = std::fs::read_to_string("docs/sharding.md").expect("the page");
    let (_, manifests) = page.split_once("\n## Manifests\n").expect("manifests");
    let (manifests, _) = manifests.split_once("\n## ").expect("an end");
    let manifests: Vec<(&str, &str)> =
        manifests.split("\n### ").skip(1).map(|manifest| manifest.split_once('\n').expect("a heading")).collect();
    assert!(manifests.len() >= 8, "{}", manifests.len());
    for (engine, manifest) in manifests {
        let folder = Folder::new(&engine.to_lowercase().replace(' ', "-"));
        let small = |command: &str, index: u64| {
            // The hold sweep in small as well.
            let command = command
                .replace("--seeds 0..8_000_000", "--departures 20 --seeds 5..45")
                .replace("{}", &index.to_string());
            command.replace("/results", "results")
        };
        let ([sweep], [merge]) = (&commands(manifest, "sweep")[..], &commands(manifest, "merge")[..]) else {
            panic!("{engine}: expected one command that sweeps and one that merges")
        };
        assert!(sweep.contains("0..8_000_000"), "{engine}: {sweep}");
        for index in 0..SHARDS {
            let ran = folder.shell(&small(sweep, index), &variables_of(engine, index)).ends(0);
            let which = format!("Shard {} of {SHARDS} (from ", index + 1);
            assert!(ran.stderr.contains(&which), "{engine}: {}", ran.stderr);
            assert!(
                engine != "Bazel" || folder.0.join(format!("status-{index}")).exists(),
                "Bazel sees that it shards"
            );
        }
        let merged = folder.shell(&small(merge, 0), &[]).ends(0);
        let whole =
            folder.pellmell("sweep scenarios/price-5-10-15.toml --departures 20 --seeds 5..45 --out whole").ends(0);
        assert_eq!(merged.stdout, whole.stdout, "{engine}");
        assert_eq!(folder.read("results/result.json"), folder.read("whole/result.json"), "{engine}");
    }
}
