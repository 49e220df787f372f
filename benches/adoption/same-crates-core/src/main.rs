#[path = "../../callback.rs"]
mod callback;
#[path = "../../protocol.rs"]
mod protocol;
#[path = "../../setup.rs"]
mod setup;

use protocol::{Result, Tokens};

fn main() -> Result<()> {
    let (state, verifier) = (protocol::random()?, protocol::random()?);
    setup::show(protocol::authorize_url(&state, &verifier)?.as_str());
    let code = loop {
        if let Some(code) = callback::read(&setup::pasted_query(), &state) {
            break code?;
        }
    };
    let tokens = ask(&protocol::token_form(&code, &verifier)?)?;
    setup::came(&tokens.access_token);
    let refresh_token = tokens.refresh_token.ok_or("no refresh token")?;
    let mut tokens = ask(&protocol::refresh_form(&refresh_token)?)?;
    tokens.refresh_token.get_or_insert(refresh_token);
    setup::came(&tokens.access_token);
    Ok(())
}

fn ask(form: &str) -> Result<Tokens> {
    let (status, body) = setup::post(&setup::token_url(), form);
    protocol::tokens(status, &body)
}
