#[path = "../../setup.rs"]
mod setup;

use std::error::Error;

use authflow::{
    Action, AuthFlow, CallbackUrl, Client, Event, HttpResponse, LoginSecrets, Notice, Provider,
    Timestamp,
};

fn main() -> Result<(), Box<dyn Error>> {
    let provider = Provider::new(setup::authorize_url(), setup::token_url())
        .dangerously_allow_http_on_loopback();
    let client = Client::builder(provider, setup::CLIENT_ID)
        .scopes(setup::SCOPES)
        .build()?;
    let redirect_uri = client.redirect_uri(&setup::redirect_uri())?;
    let mut flow = AuthFlow::new(client);
    let secrets = LoginSecrets::generate()?;
    let begin = Event::BeginLogin {
        secrets,
        redirect_uri,
    };
    handle(&mut flow, begin)?;
    while flow.access_token(Timestamp::now()).is_none() {
        let url = CallbackUrl::from_query(&setup::pasted_query());
        handle(&mut flow, Event::Callback { url })?;
    }
    came(&flow);
    handle(&mut flow, Event::Refresh)?;
    came(&flow);
    Ok(())
}

/// Tells the machine, and does what it says.
fn handle(flow: &mut AuthFlow, event: Event) -> Result<(), Box<dyn Error>> {
    flow.handle(event, Timestamp::now())?;
    while let Some(action) = flow.poll_action() {
        match action {
            Action::OpenUrl(url) => setup::show(url.as_str()),
            Action::Send(request) => {
                let (status, body) = setup::post(request.url(), request.body());
                let id = request.id();
                let result = Ok(HttpResponse::new(status, body));
                flow.handle(Event::Response { id, result }, Timestamp::now())?;
            }
            Action::Notify(Notice::LoginFailed(failure)) => return Err(failure.into()),
            Action::Notify(Notice::RefreshFailed { failure, .. }) => return Err(failure.into()),
            _ => {}
        }
    }
    Ok(())
}

fn came(flow: &AuthFlow) {
    if let Some(token) = flow.access_token(Timestamp::now()) {
        setup::came(token.secret().expose());
    }
}
