//! No text makes the reader of scenarios panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = pellmell::ticketing::Scenario::parse("fuzzed.toml", text);
});
