//! madsim's part, which is a program of its own: builds it, and plays it.

use std::env;
use std::ops::Range;
use std::path::PathBuf;
use std::process::Command;

use crate::table::Round;

pub struct Madsim {
    program: PathBuf,
}

impl Madsim {
    /// Builds the program beside this one, with the flag that makes madsim simulate.
    pub fn build() -> Madsim {
        let own = env::current_exe().expect("a program knows where it is");
        let profile = own.parent().expect("in a folder");
        let target = profile.parent().expect("in a target folder").join("madsim");
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--quiet", "--locked", "--release", "--package", "peers-madsim"]);
        cargo.args(["--manifest-path", manifest, "--target-dir"]).arg(&target);
        cargo.env_remove("CARGO_ENCODED_RUSTFLAGS").env("RUSTFLAGS", "--cfg madsim");
        let status = cargo.status().expect("cargo starts");
        assert!(status.success(), "madsim's part does not build: {status}");
        let name = format!("peers-madsim{}", env::consts::EXE_SUFFIX);
        Madsim { program: target.join("release").join(name) }
    }

    pub fn play(&self, seeds: Range<u64>) -> Round {
        let arguments = [seeds.start, seeds.end - seeds.start].map(|number| number.to_string());
        let output = Command::new(&self.program).args(arguments).output().expect("madsim's part starts");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "madsim's part: {}", String::from_utf8_lossy(&output.stderr));
        let mut numbers = text.split_whitespace().map(|word| word.parse().expect("two numbers"));
        let mut next = || numbers.next().expect("two numbers");
        Round { nanos: next(), units: next() }
    }
}
