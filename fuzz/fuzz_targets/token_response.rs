#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    authflow_fuzz::token_response::run(data);
});
