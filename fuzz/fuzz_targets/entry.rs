//! No text makes the check of an entry panic, and what is as expected has an entry to expect it.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(checked) = pellmell::corpus::check::<pellmell::ticketing::Ticketing>("fuzzed.toml", text) {
        assert!(!checked.status.is_expected() || !checked.entry.reason.is_empty());
    }
});
