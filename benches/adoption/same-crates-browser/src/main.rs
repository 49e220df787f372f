#[path = "../../callback.rs"]
mod callback;
#[path = "../../listener.rs"]
mod listener;
#[path = "../../protocol.rs"]
mod protocol;
#[path = "../../setup.rs"]
mod setup;

use std::time::Duration;

use protocol::{Result, Tokens};
use tiny_http::Server;
use ureq::Agent;

fn main() -> Result<()> {
    let (state, verifier) = (protocol::random()?, protocol::random()?);
    let server = Server::http(("127.0.0.1", setup::port()))?;
    let url = protocol::authorize_url(&state, &verifier)?;
    setup::show(url.as_str());
    let _ = open::that_detached(url.as_str());
    let code = listener::wait(&server, &state)?;
    let agent = Agent::config_builder()
        .timeout_connect(Some(Duration::from_secs(10)))
        .timeout_global(Some(Duration::from_secs(30)))
        .max_redirects(0)
        .http_status_as_error(false)
        .build()
        .new_agent();
    let tokens = ask(&agent, &protocol::token_form(&code, &verifier)?)?;
    setup::came(&tokens.access_token);
    let refresh_token = tokens.refresh_token.ok_or("no refresh token")?;
    let mut tokens = ask(&agent, &protocol::refresh_form(&refresh_token)?)?;
    tokens.refresh_token.get_or_insert(refresh_token);
    setup::came(&tokens.access_token);
    Ok(())
}

fn ask(agent: &Agent, form: &str) -> Result<Tokens> {
    let mut response = agent
        .post(&setup::token_url())
        .header("Content-Type", "application/x-www-form-urlencoded")
        .header("Accept", "application/json")
        .send(form)?;
    let body = response.body_mut().with_config().limit(1 << 20);
    let body = body.read_to_vec()?;
    protocol::tokens(response.status().as_u16(), &body)
}
