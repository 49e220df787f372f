//! The queue of actions, in the order that the contract promises.

use std::collections::VecDeque;

use crate::flow::action::Action;
use crate::wire::authorize::AuthorizationUrl;
use crate::wire::http::RequestId;

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    queue: VecDeque<Action>,
    /// Where the actions of the event at hand begin.
    start: usize,
}

impl Outbox {
    /// Begins the actions of one event.
    pub(crate) fn begin(&mut self) {
        self.start = self.queue.len();
    }

    pub(crate) fn push(&mut self, action: Action) {
        self.queue.push_back(action);
    }

    /// Ends the actions of one event: AnswerCallback, Persist (once is enough, it saves the state at
    /// the end), OpenUrl and Send, Notify.
    pub(crate) fn end(&mut self) {
        let start = self.start.min(self.queue.len());
        let actions = &mut self.queue.make_contiguous()[start..];
        actions.sort_by_key(|action| match action {
            Action::AnswerCallback(_) => 0,
            Action::Persist => 1,
            Action::OpenUrl(_) | Action::Send(_) => 2,
            Action::Notify(_) => 3,
        });
        let saves = actions.iter().filter(|&a| *a == Action::Persist).count();
        let first = actions.iter().position(|a| *a == Action::Persist);
        if let Some(first) = first.filter(|_| saves > 1) {
            self.queue.drain(start + first + 1..start + first + saves);
        }
    }

    pub(crate) fn pop(&mut self) -> Option<Action> {
        self.queue.pop_front()
    }

    /// Takes back a request that nobody has sent yet.
    pub(crate) fn withdraw_request(&mut self, id: RequestId) {
        self.withdraw(|action| matches!(action, Action::Send(request) if request.id() == id));
    }

    /// Takes back a URL that nobody has opened yet.
    pub(crate) fn withdraw_url(&mut self, url: &AuthorizationUrl) {
        self.withdraw(|action| matches!(action, Action::OpenUrl(queued) if queued == url));
    }

    fn withdraw(&mut self, is_it: impl Fn(&Action) -> bool) {
        if let Some(at) = self.queue.iter().position(is_it) {
            self.queue.remove(at);
            if at < self.start {
                self.start -= 1;
            }
        }
    }
}
