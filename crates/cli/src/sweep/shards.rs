//! Which shard of a sweep this process is: from flags, or from the variables that the engine which
//! started it sets.
//!
//! An engine's variables are read only with `--shard auto`, because they may be there for another
//! reason, and the sweep would silently skip most seeds. What was read is said.

use std::path::PathBuf;

use pellmell_scenario::results::Shard;

use super::super::environment::{Variables, number_in};
use super::super::{Failure, number, shown};

const INDEX: &str = "PELLMELL_SHARD_INDEX";
const COUNT: &str = "PELLMELL_SHARD_COUNT";

#[derive(clap::Args, Default)]
pub(super) struct ShardArgs {
    /// Sweeps a part of the seeds only: `3/8` is the third of eight, counted from 1; `auto` reads which
    /// one from the variables of the engine that started this process, and says which it read.
    #[arg(long, value_name = "K/N|auto", value_parser = asked, conflicts_with = "shard_index")]
    shard: Option<Asked>,
    /// The same as `--shard`, counted from 0: from 0 to N-1. [env: PELLMELL_SHARD_INDEX]
    #[arg(long, value_name = "I", value_parser = number)]
    shard_index: Option<u64>,
    /// How many shards there are. [env: PELLMELL_SHARD_COUNT]
    #[arg(long, value_name = "N", value_parser = number)]
    shard_count: Option<u64>,
}

#[derive(Clone, Copy)]
enum Asked {
    Auto,
    One(Shard),
}

fn asked(text: &str) -> Result<Asked, String> {
    if text == "auto" {
        return Ok(Asked::Auto);
    }
    let wrong = || "expected `auto`, or a shard and their number such as 3/8, counted from 1: 1/8 to 8/8".to_owned();
    let (place, count) = text.split_once('/').ok_or_else(wrong)?;
    let (place, count) = (number(place).map_err(|_| wrong())?, number(count).map_err(|_| wrong())?);
    let shard = place.checked_sub(1).and_then(|index| Shard::new(index, count));
    shard.map(Asked::One).ok_or_else(|| {
        let range =
            if count == 0 { String::new() } else { format!(": of {count} there are 1/{count} to {count}/{count}") };
        format!("shards are counted from 1{range} (`--shard-index` counts from 0)")
    })
}

/// An engine that starts many copies of a process and tells each its number.
struct Engine {
    name: &'static str,
    index: &'static str,
    /// The index of the first.
    first: u64,
    count: Option<&'static str>,
}

const SLURM: &str = "SLURM_ARRAY_TASK_ID";

const ENGINES: [Engine; 9] = [
    Engine { name: "pellmell", index: INDEX, first: 0, count: Some(COUNT) },
    Engine { name: "Kubernetes", index: "JOB_COMPLETION_INDEX", first: 0, count: None },
    Engine { name: "AWS Batch", index: "AWS_BATCH_JOB_ARRAY_INDEX", first: 0, count: Some("AWS_BATCH_JOB_ARRAY_SIZE") },
    Engine { name: "Cloud Run", index: "CLOUD_RUN_TASK_INDEX", first: 0, count: Some("CLOUD_RUN_TASK_COUNT") },
    Engine { name: "Slurm", index: SLURM, first: 0, count: Some("SLURM_ARRAY_TASK_COUNT") },
    Engine { name: "Bazel", index: "TEST_SHARD_INDEX", first: 0, count: Some("TEST_TOTAL_SHARDS") },
    Engine { name: "GitLab", index: "CI_NODE_INDEX", first: 1, count: Some("CI_NODE_TOTAL") },
    Engine {
        name: "Buildkite",
        index: "BUILDKITE_PARALLEL_JOB",
        first: 0,
        count: Some("BUILDKITE_PARALLEL_JOB_COUNT"),
    },
    Engine { name: "CircleCI", index: "CIRCLE_NODE_INDEX", first: 0, count: Some("CIRCLE_NODE_TOTAL") },
];

/// What to type where variables do not say it.
const BY_FLAGS: &str = "say the shard with --shard-index I and --shard-count N, or --shard K/N";

/// The shard to sweep, and where that was said.
pub(super) struct Chosen {
    pub(super) shard: Shard,
    pub(super) from: String,
}

/// The shard that flags or variables ask for; `None` if the sweep is not divided.
pub(super) fn chosen(args: &ShardArgs, variables: Variables<'_>) -> Result<Option<Chosen>, Failure> {
    match args.shard {
        Some(Asked::Auto) => auto(args.shard_count, variables).map(Some),
        Some(Asked::One(shard)) => {
            if let Some(count) = args.shard_count.filter(|count| *count != shard.count()) {
                let message = format!("--shard says {} shards, --shard-count says {count}", shard.count());
                return Err(Failure::Input(format!("{message}\n  = help: leave --shard-count out")));
            }
            Ok(Some(Chosen { shard, from: "--shard".to_owned() }))
        }
        None => by_index(args, variables),
    }
}

/// By `--shard-index` and `--shard-count`, or the variables named like them.
fn by_index(args: &ShardArgs, variables: Variables<'_>) -> Result<Option<Chosen>, Failure> {
    let (index, index_from) = match args.shard_index {
        Some(index) => (Some(index), "--shard-index"),
        None => (number_in(variables, INDEX)?, INDEX),
    };
    let (count, count_from) = match args.shard_count {
        Some(count) => (Some(count), "--shard-count"),
        None => (number_in(variables, COUNT)?, COUNT),
    };
    match (index, count) {
        (None, None) => Ok(None),
        (Some(index), Some(count)) => {
            let shard = zero_based(index, count, index_from)?;
            Ok(Some(Chosen { shard, from: format!("{index_from} and {count_from}") }))
        }
        (Some(_), None) => {
            let help = format!("add --shard-count N, or set {COUNT}");
            Err(Failure::Input(format!("{index_from} says which shard, but not of how many\n  = help: {help}")))
        }
        (None, Some(_)) => {
            let help = "add --shard-index I, which counts from 0, or --shard auto";
            Err(Failure::Input(format!("{count_from} says how many shards, but not which one\n  = help: {help}")))
        }
    }
}

fn zero_based(index: u64, count: u64, from: &str) -> Result<Shard, Failure> {
    Shard::new(index, count).ok_or_else(|| {
        let message = match count.checked_sub(1) {
            None => "0 shards sweep nothing: expected at least 1".to_owned(),
            Some(last) => format!("{from} is {index}, but counts from 0: of {count} shards there are 0 to {last}"),
        };
        Failure::Input(format!("{message}\n  = help: {BY_FLAGS}"))
    })
}

/// By the variables of the one engine that set some.
fn auto(count_flag: Option<u64>, variables: Variables<'_>) -> Result<Chosen, Failure> {
    let found: Vec<&Engine> = ENGINES.iter().filter(|engine| variables(engine.index).is_some()).collect();
    let [engine] = found[..] else {
        let message = if found.is_empty() {
            let known = ENGINES.map(|engine| engine.index).join(", ");
            format!("--shard auto finds no engine's variable: none of {known} is set")
        } else {
            let names = found.iter().map(|engine| format!("{} ({})", engine.index, engine.name));
            format!("--shard auto finds variables of several engines: {}", names.collect::<Vec<_>>().join(", "))
        };
        return Err(Failure::Input(format!("{message}\n  = help: {BY_FLAGS}")));
    };
    let told = number_in(variables, engine.index)?.unwrap_or_default();
    let (count, count_from) = count_of(engine, count_flag, variables)?;
    let index = if engine.index == SLURM { slurm(told, count, variables)? } else { told.checked_sub(engine.first) };
    let shard = index.and_then(|index| Shard::new(index, count)).ok_or_else(|| {
        let Some(further) = count.checked_sub(1) else {
            let message = format!("0 shards ({count_from}) sweep nothing: expected at least 1");
            return Failure::Input(format!("{message}\n  = help: {BY_FLAGS}"));
        };
        let range = format!("from {} to {}", engine.first, engine.first.saturating_add(further));
        let message = format!("{} is {told}, but of {count} shards ({count_from}) it goes {range}", engine.index);
        Failure::Input(format!("{message}\n  = help: {BY_FLAGS}"))
    })?;
    if engine.name == "Bazel" {
        acknowledge_to_bazel(variables)?;
    }
    Ok(Chosen { shard, from: format!("{} and {count_from}", engine.index) })
}

/// How many shards there are. If the engine tells it and the command line, too, they must agree: an
/// engine that was asked to repeat one task alone tells 1.
fn count_of(engine: &Engine, flag: Option<u64>, variables: Variables<'_>) -> Result<(u64, String), Failure> {
    let said = match flag {
        Some(count) => Some((count, "--shard-count".to_owned())),
        None => number_in(variables, COUNT)?.map(|count| (count, COUNT.to_owned())),
    };
    let told = match engine.count {
        Some(name) => number_in(variables, name)?.map(|count| (count, name.to_owned())),
        None => None,
    };
    match (said, told) {
        (Some((said, from)), Some((told, name))) if said != told => {
            let help = "to repeat one shard, say which with --shard-index";
            Err(Failure::Input(format!("{from} says {said} shards, {name} says {told}\n  = help: {help}")))
        }
        (_, Some(told)) => Ok(told),
        (Some(said), None) => Ok(said),
        (None, None) => {
            let name = engine.name;
            let message = format!("{name} says which shard ({}), but not of how many", engine.index);
            Err(Failure::Input(format!("{message}\n  = help: add --shard-count N, or set {COUNT}")))
        }
    }
}

/// The index of a task of a Slurm array, whose numbers go from a least to a most by a step.
fn slurm(task: u64, count: u64, variables: Variables<'_>) -> Result<Option<u64>, Failure> {
    let [least, most, step] = ["SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_MAX", "SLURM_ARRAY_TASK_STEP"];
    let in_variable = |name: &str| number_in(variables, name);
    let (Some(least), Some(most)) = (in_variable(least)?, in_variable(most)?) else {
        return Err(Failure::Input(format!("{SLURM} is set, but {least} or {most} is not\n  = help: {BY_FLAGS}")));
    };
    let step = in_variable(step)?.unwrap_or(1).max(1);
    let is_even = most >= least && (most - least) % step == 0 && (most - least) / step + 1 == count;
    if !is_even {
        let message = format!(
            "the Slurm array has {count} tasks from {least} to {most} by {step}: a list of numbers, in which a task \
             cannot tell its place"
        );
        return Err(Failure::Input(format!(
            "{message}\n  = help: use --array=0-N, or --shard-index and --shard-count"
        )));
    }
    let index = task.checked_sub(least).filter(|past| past % step == 0).map(|past| past / step);
    Ok(index)
}

/// Bazel wants to see that a test knows of shards: else it takes it for one that runs everything in each.
fn acknowledge_to_bazel(variables: Variables<'_>) -> Result<(), Failure> {
    let Some(path) = variables("TEST_SHARD_STATUS_FILE") else { return Ok(()) };
    let path = PathBuf::from(path);
    let touched = std::fs::OpenOptions::new().append(true).create(true).open(&path);
    touched
        .map(|_| ())
        .map_err(|error| Failure::Io(format!("cannot write {} (TEST_SHARD_STATUS_FILE): {error}", shown(&path))))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `--shard auto`, with a `--shard-count` if there is one, makes of variables such as `A=1 B=2`.
    fn auto_of(count: Option<u64>, set: &str) -> Result<String, String> {
        let variables = |name: &str| {
            let found = set.split(' ').filter_map(|pair| pair.split_once('=')).find(|(known, _)| *known == name);
            found.map(|(_, value)| value.into())
        };
        let args = ShardArgs { shard: Some(Asked::Auto), shard_count: count, ..ShardArgs::default() };
        told(chosen(&args, &variables))
    }

    fn told(chosen: Result<Option<Chosen>, Failure>) -> Result<String, String> {
        match chosen {
            Ok(Some(Chosen { shard, from })) => Ok(format!("{} of {} from {from}", shard.number(), shard.count())),
            Ok(None) => Ok("all".to_owned()),
            Err(Failure::Input(message)) => Err(message),
            Err(_) => Err("not an input error".to_owned()),
        }
    }

    #[test]
    fn each_engine_is_understood_and_named() {
        for (set, expected) in [
            ("AWS_BATCH_JOB_ARRAY_INDEX=0 AWS_BATCH_JOB_ARRAY_SIZE=8", "1 of 8"),
            ("CLOUD_RUN_TASK_INDEX=7 CLOUD_RUN_TASK_COUNT=8", "8 of 8"),
            ("TEST_SHARD_INDEX=2 TEST_TOTAL_SHARDS=8", "3 of 8"),
            ("CI_NODE_INDEX=1 CI_NODE_TOTAL=8", "1 of 8"),
            ("CI_NODE_INDEX=8 CI_NODE_TOTAL=8", "8 of 8"),
            ("BUILDKITE_PARALLEL_JOB=2 BUILDKITE_PARALLEL_JOB_COUNT=8", "3 of 8"),
            ("CIRCLE_NODE_INDEX=2 CIRCLE_NODE_TOTAL=8", "3 of 8"),
            ("PELLMELL_SHARD_INDEX=2 PELLMELL_SHARD_COUNT=8", "3 of 8"),
            ("JOB_COMPLETION_INDEX=2 PELLMELL_SHARD_COUNT=8", "3 of 8"),
        ] {
            let variables: Vec<&str> = set.split(' ').filter_map(|pair| pair.split('=').next()).collect();
            assert_eq!(auto_of(None, set), Ok(format!("{expected} from {}", variables.join(" and "))));
        }
        let kubernetes = auto_of(Some(8), "JOB_COMPLETION_INDEX=2");
        assert_eq!(kubernetes, Ok("3 of 8 from JOB_COMPLETION_INDEX and --shard-count".to_owned()));
    }

    #[test]
    fn an_array_of_slurm_counts_from_its_least_by_its_step() {
        let array = |id: u64, count: u64, least: u64, most: u64, step: u64| {
            auto_of(
                None,
                &format!(
                    "SLURM_ARRAY_TASK_ID={id} SLURM_ARRAY_TASK_COUNT={count} SLURM_ARRAY_TASK_MIN={least} \
                     SLURM_ARRAY_TASK_MAX={most} SLURM_ARRAY_TASK_STEP={step}"
                ),
            )
        };
        let from = "from SLURM_ARRAY_TASK_ID and SLURM_ARRAY_TASK_COUNT";
        assert_eq!(array(0, 8, 0, 7, 1), Ok(format!("1 of 8 {from}")));
        assert_eq!(array(8, 8, 1, 8, 1), Ok(format!("8 of 8 {from}")));
        assert_eq!(array(20, 4, 10, 25, 5), Ok(format!("3 of 4 {from}")));
        for (id, count, least, most, step) in [(9, 3, 1, 9, 1), (5, 3, 1, 9, 3), (21, 4, 10, 25, 5), (3, 2, 3, 7, 1)] {
            assert!(array(id, count, least, most, step).is_err(), "{id} of {count} from {least} to {most} by {step}");
        }
    }

    #[test]
    fn what_engines_leave_open_or_contradict_is_refused() {
        for (count, set, expected) in [
            (None, "", "finds no engine's variable"),
            (None, "CI_NODE_TOTAL=3", "finds no engine's variable"),
            (None, "CI_NODE_INDEX=1 CI_NODE_TOTAL=3 JOB_COMPLETION_INDEX=0", "variables of several engines"),
            (None, "JOB_COMPLETION_INDEX=2", "not of how many"),
            (None, "JOB_COMPLETION_INDEX=x PELLMELL_SHARD_COUNT=8", "expected a whole number"),
            (None, "CI_NODE_INDEX=0 CI_NODE_TOTAL=8", "it goes from 1 to 8"),
            (None, "CI_NODE_INDEX=9 CI_NODE_TOTAL=8", "it goes from 1 to 8"),
            (None, "TEST_SHARD_INDEX=8 TEST_TOTAL_SHARDS=8", "it goes from 0 to 7"),
            (None, "CI_NODE_INDEX=0 CI_NODE_TOTAL=18446744073709551615", "it goes from 1 to 18446744073709551615"),
            (None, "CI_NODE_INDEX=1 CI_NODE_TOTAL=0", "0 shards (CI_NODE_TOTAL) sweep nothing"),
            (
                Some(8),
                "CIRCLE_NODE_INDEX=0 CIRCLE_NODE_TOTAL=1",
                "--shard-count says 8 shards, CIRCLE_NODE_TOTAL says 1",
            ),
        ] {
            let message = auto_of(count, set).expect_err(set);
            assert!(message.contains(expected), "{set}: {message}");
        }
    }

    #[test]
    fn a_shard_is_counted_from_1_and_an_index_from_0() {
        let shard = |text: &str| asked(text).map(|_| ());
        assert_eq!((shard("1/8"), shard("8/8"), shard("auto")), (Ok(()), Ok(()), Ok(())));
        for text in ["0/8", "9/8", "0/0", "1/0"] {
            assert!(asked(text).is_err_and(|message| message.contains("counted from 1")), "{text}");
        }
        for text in ["", "/", "3", "a/b", "-1/8", "1/8/8"] {
            assert!(asked(text).is_err(), "{text}");
        }
        let by = |index, count, set: &str| {
            let args = ShardArgs { shard: None, shard_index: index, shard_count: count };
            told(chosen(&args, &|name| set.strip_prefix(&format!("{name}=")).map(Into::into)))
        };
        assert_eq!(by(None, None, ""), Ok("all".to_owned()));
        assert_eq!(by(Some(2), Some(8), ""), Ok("3 of 8 from --shard-index and --shard-count".to_owned()));
        let by_variable = by(Some(2), None, "PELLMELL_SHARD_COUNT=8");
        assert_eq!(by_variable, Ok("3 of 8 from --shard-index and PELLMELL_SHARD_COUNT".to_owned()));
        assert!(by(Some(8), Some(8), "").is_err_and(|message| message.contains("counts from 0")));
        assert!(by(Some(0), Some(0), "").is_err_and(|message| message.contains("at least 1")));
        assert!(by(None, None, "PELLMELL_SHARD_COUNT=8").is_err_and(|message| message.contains("not which one")));
        assert!(by(Some(1), None, "").is_err_and(|message| message.contains("not of how many")));
    }
}
