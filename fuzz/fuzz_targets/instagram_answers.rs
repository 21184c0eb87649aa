#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = ig_adapters::instagram::fuzzing::instagram_answers(bytes);
});
