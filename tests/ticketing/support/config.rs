//! How many cases the property tests play.

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

/// How many cases a test plays, and where it keeps those that failed.
pub(crate) fn config(test: &str, cases: u32) -> ProptestConfig {
    let path = Box::leak(format!("tests/regressions/{test}.txt").into_boxed_str());
    // `.cargo/config.toml` fixes the seed, so that a change is to blame for a failure and not the
    // day. Many more cases: PROPTEST_RNG_SEED=7 PROPTEST_CASES=20000 cargo test --test ticketing extract
    let asked = ProptestConfig::default();
    let cases = if asked.cases == 256 { cases } else { asked.cases };
    let persistence = FileFailurePersistence::Direct(path);
    ProptestConfig { cases, failure_persistence: Some(Box::new(persistence)), ..asked }
}
