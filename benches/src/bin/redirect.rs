//! A program that logs in whenever it is told to: `redirect ROW TOKEN_URL`. `browser` tells it.

fn main() {
    authflow_benches::redirect::main();
}
