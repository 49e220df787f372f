//! A login under way: receive, handle, carry out, wait.

use std::io::BufRead;
use std::time::Duration;

use crate::driver::loopback::{ListenError, Loopback, Page, PendingCallback, Received};
use crate::error::{Cause, Failure, Phase};
use crate::flow::action::{Action, Verdict};
use crate::flow::event::Event;
use crate::flow::notice::Notice;
use crate::provider::client::Client;
use crate::session::control::{Controlled, Judge, LoginControl, PasteError, Pasted};
use crate::session::login::{IgnoredHook, UrlHook};
use crate::session::store::StoreError;
use crate::session::{Error, Session};
use crate::time::Timestamp;
use crate::wire::callback::{CallbackUrl, IgnoredCallback, IgnoredReason};
use crate::wire::pkce::LoginSecrets;

/// A wait is cut into short ones, so that a clock that jumps or stood still is noticed.
const SLICE: Duration = Duration::from_secs(1);

pub(super) struct Browse<'a> {
    pub(super) session: &'a Session,
    /// Before the listener, whose end would wait for its answer.
    pub(super) waiting: Option<PendingCallback>,
    pub(super) judge: Option<Judge>,
    pub(super) listener: Option<Loopback>,
    pub(super) prompt: Option<UrlHook>,
    pub(super) opener: Option<UrlHook>,
    pub(super) ignored: Option<IgnoredHook>,
    pub(super) allows_other_users: bool,
    pub(super) has_warned: bool,
    pub(super) control: Controlled,
}

impl Browse<'_> {
    pub(super) fn run(
        mut self,
        client: &Client,
        redirect_uri: &str,
        pastes: Option<Box<dyn BufRead + Send>>,
    ) -> Result<(), Error> {
        if self.control.remote.is_cancelled() {
            let failure = Failure::new(Phase::Authorization, Cause::Cancelled);
            return Err(Error::Login(Box::new(failure)));
        }
        let redirect_uri = client.redirect_uri(redirect_uri)?;
        let secrets = LoginSecrets::generate()?;
        let waker = self.listener.as_ref().map(Loopback::canceller);
        self.control.remote.wake_by(waker);
        let mut event = Event::BeginLogin {
            secrets,
            redirect_uri,
        };
        let mut pastes = pastes;
        loop {
            let actions = self.session.handle(event)?;
            let (deadline, unsaved) = self.session.waits();
            if let Some(outcome) = self.carry_out(actions, unsaved) {
                return outcome;
            }
            // Not before the person has seen what to paste.
            if let Some(pastes) = pastes.take() {
                let remote = self.control.remote.clone();
                LoginControl { remote }.paste_from(pastes);
            }
            let left = deadline.map(|at| at.saturating_since(Timestamp::now()));
            event = self.next(left.map_or(SLICE, |left| left.min(SLICE)))?;
        }
    }

    /// What happens next: somebody says something, the browser comes, or time passes.
    fn next(&mut self, timeout: Duration) -> Result<Event, Error> {
        if let Some(event) = self.said() {
            return Ok(event);
        }
        let Some(listener) = &mut self.listener else {
            self.control.remote.wait(timeout);
            return Ok(self.said().unwrap_or(Event::Tick));
        };
        match listener.receive(timeout) {
            Ok(Received::Callback(callback)) => {
                let url = callback.url();
                // Asked of what has the state only, because the system takes its time to say.
                if !self.allows_other_users
                    && self.session.expects(&url)
                    && callback.is_of_another_user()
                {
                    callback.answer(Page::NotOurs);
                    let ignored = IgnoredReason::AnotherUser.into();
                    // Once, because they may do so as often as they like.
                    let level = match self.has_warned {
                        false => log::Level::Warn,
                        true => log::Level::Debug,
                    };
                    self.has_warned = true;
                    log::log!(level, "a callback was ignored: {ignored}");
                    self.ignore(&ignored);
                    return Ok(Event::Tick);
                }
                self.waiting = Some(callback);
                Ok(Event::Callback { url })
            }
            Ok(Received::TimedOut) => Ok(Event::Tick),
            Ok(Received::Cancelled) => Ok(self.said().unwrap_or(Event::Tick)),
            Err(error) => self.without_listener(error),
        }
    }

    fn said(&mut self) -> Option<Event> {
        if self.control.remote.is_cancelled() {
            return Some(Event::CancelLogin);
        }
        loop {
            let (pasted, judge) = self.control.remote.next()?;
            let url = match pasted {
                Pasted::Address(text) => address(text.expose()),
                Pasted::BareCode(code) => self.session.callback_of_bare_code(code.expose()),
            };
            if let Some(url) = url {
                self.judge = Some(judge);
                return Some(Event::Callback { url });
            }
            // Whoever pasted may have gone.
            let reason = IgnoredReason::Nothing.into();
            let _ = judge.send(Err(PasteError::Ignored(reason)));
        }
    }

    /// The listener has broken down. If the person may still paste, the login goes on.
    fn without_listener(&mut self, error: ListenError) -> Result<Event, Error> {
        log::warn!("{error}");
        if self.control.is_watched() {
            self.control.remote.wake_by(None);
            self.listener = None;
            return Ok(Event::Tick);
        }
        self.session.handle(Event::CancelLogin)?;
        Err(Error::Listen(error))
    }

    /// What the machine wants of a login; its end, if this was it. A login that can't be saved ends
    /// before the browser opens, or else as one that worked all the same.
    fn carry_out(
        &mut self,
        actions: Vec<Action>,
        unsaved: Option<StoreError>,
    ) -> Option<Result<(), Error>> {
        let mut denied = false;
        for action in actions {
            let is_step = matches!(
                action,
                Action::OpenUrl(_) | Action::Notify(Notice::LoggedIn)
            );
            if let Some(error) = unsaved.clone().filter(|_| is_step) {
                self.show(Page::Failed);
                return Some(Err(self.session.not_saved(error)));
            }
            match action {
                Action::OpenUrl(url) => {
                    let hooks = [self.prompt.take(), self.opener.take()];
                    hooks.into_iter().flatten().for_each(|hook| hook(&url));
                }
                Action::AnswerCallback(Verdict::NotOurs) => self.show(Page::NotOurs),
                Action::AnswerCallback(Verdict::Denied) => denied = true,
                // The page is for when it is known how it ended.
                Action::AnswerCallback(Verdict::Accepted) => {}
                Action::Notify(Notice::CallbackIgnored(ignored)) => {
                    if let Some(judge) = self.judge.take() {
                        let _ = judge.send(Err(PasteError::Ignored(ignored.clone())));
                    }
                    self.ignore(&ignored);
                }
                Action::Notify(Notice::LoggedIn) => {
                    self.show(Page::Success);
                    return Some(Ok(()));
                }
                Action::Notify(Notice::LoginFailed(failure)) => {
                    self.show(if denied { Page::Denied } else { Page::Failed });
                    return Some(Err(Error::Login(failure)));
                }
                Action::Notify(_) | Action::Persist | Action::Send(_) => {}
            }
        }
        None
    }

    fn ignore(&mut self, ignored: &IgnoredCallback) {
        if let Some(hook) = &mut self.ignored {
            hook(ignored);
        }
    }

    fn show(&mut self, page: Page) {
        if let Some(callback) = self.waiting.take() {
            callback.answer(page);
        }
        if let Some(judge) = self.judge.take_if(|_| page != Page::NotOurs) {
            let _ = judge.send(Ok(()));
        }
    }
}

/// The address in what was pasted: perhaps in quotes, or without the `http://` that browsers hide. The
/// machine takes a bare query too, and has reason to; a person who pastes one may have cut it.
fn address(text: &str) -> Option<CallbackUrl> {
    let text = text.trim().trim_matches(['"', '\'', '`', '<', '>']);
    if text.contains("://") {
        return Some(CallbackUrl::new(text));
    }
    let (place, _) = text.split_once('?')?;
    let hides_scheme = place.contains('/') && !place.starts_with('/');
    hides_scheme.then(|| CallbackUrl::new(["http://", text].concat()))
}
