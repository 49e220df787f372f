use std::error::Error;
use std::time::Duration;

use authflow::http::Http;
use authflow::loopback::Page;
use authflow::{Action, AuthFlow, Client, Event, LoginSecrets, Notice, Timestamp};
use tokio::task::JoinSet;

use crate::door::Door;

pub async fn login(client: Client, open: impl Fn(&str)) -> Result<AuthFlow, Box<dyn Error>> {
    let mut door = Door::bind().await?;
    let redirect_uri = client.redirect_uri(&door.redirect_uri())?;
    let secrets = LoginSecrets::generate()?;
    let mut event = Event::BeginLogin {
        secrets,
        redirect_uri,
    };
    let (mut flow, http, mut calls) = (AuthFlow::new(client), Http::new(), JoinSet::new());
    loop {
        flow.handle(event, Timestamp::now())?;
        while let Some(action) = flow.poll_action() {
            match action {
                Action::AnswerCallback(verdict) => door.answer(verdict).await,
                Action::Persist => {} // save `flow.snapshot()`, and go on when it is safe
                Action::OpenUrl(url) => open(url.as_str()),
                Action::Send(request) => {
                    let http = http.clone();
                    calls.spawn_blocking(move || (request.id(), http.execute(&request)));
                }
                Action::Notify(Notice::LoggedIn) => {
                    door.show(Page::Success).await;
                    return Ok(flow);
                }
                Action::Notify(Notice::LoginFailed(failure)) => {
                    door.show(Page::Failed).await;
                    return Err(failure.into());
                }
                Action::Notify(_) => {}
            }
        }
        event = tokio::select! {
            url = door.callback() => Event::Callback { url },
            Some(Ok((id, result))) = calls.join_next() => Event::Response { id, result },
            () = sleep_until(flow.deadline()) => Event::Tick,
        };
    }
}

/// tokio's clock stands still while the computer is suspended, and the deadline does not: look now and
/// then. A tick too early changes nothing.
async fn sleep_until(deadline: Option<Timestamp>) {
    let longest = Duration::from_secs(30);
    let wait = deadline.map_or(longest, |due| due.saturating_since(Timestamp::now()));
    tokio::time::sleep(wait.min(longest)).await;
}
