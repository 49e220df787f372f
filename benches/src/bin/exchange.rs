//! Exchanges over loopback with one library: `exchange ROW TOKEN_URL count N`.

fn main() {
    authflow_benches::exchange::main();
}
