//! What comes out.

use crate::flow::notice::Notice;
use crate::wire::authorize::AuthorizationUrl;
use crate::wire::http::HttpRequest;

/// Something to do, from [`AuthFlow::poll_action`](crate::AuthFlow::poll_action). Do them in the
/// order in which they come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Answer the browser whose request brought the callback that was handled last, so handle one
    /// callback at a time. Without a browser (a pasted URL), there is nothing to do.
    AnswerCallback(Verdict),
    /// Save [`AuthFlow::snapshot`](crate::AuthFlow::snapshot), taken now, before going on: a rotated
    /// refresh token that is used before it is saved is lost by a crash. A program that saves nothing
    /// may pass this by.
    Persist,
    /// Show the person this URL and open it in their browser.
    OpenUrl(AuthorizationUrl),
    /// Send this once, and hand what comes back to [`Event::Response`](crate::Event::Response), also
    /// if nothing does.
    Send(HttpRequest),
    /// Tell the program.
    Notify(Notice),
}

impl Action {
    /// The variant's name, for logs. Nothing else of an action should be logged.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::AnswerCallback(_) => "AnswerCallback",
            Self::Persist => "Persist",
            Self::OpenUrl(_) => "OpenUrl",
            Self::Send(_) => "Send",
            Self::Notify(_) => "Notify",
        }
    }
}

/// What to tell the browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was the redirect of this login, and the code is on its way. Hold the page back until
    /// [`Notice::LoggedIn`] or [`Notice::LoginFailed`] says how it ended.
    Accepted,
    /// It was the redirect of this login, and the person or the server said no: show the denied page.
    Denied,
    /// It was not for this login: answer with a plain 400, and go on waiting.
    NotOurs,
}
