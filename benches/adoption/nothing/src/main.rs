#[path = "../../setup.rs"]
mod setup;

/// What any program costs.
fn main() {
    setup::show(&setup::authorize_url());
}
