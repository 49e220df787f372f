//! The queue of actions, in the order that the contract promises.

use std::collections::VecDeque;

use crate::flow::action::Action;
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

    /// Puts it where it belongs among the actions of this event: AnswerCallback, Persist (once is enough, it
    /// saves the state at the end), OpenUrl and Send, Notify.
    pub(crate) fn push(&mut self, action: Action) {
        if self.queue.capacity() == 0 {
            // Most events have no more, and a server keeps this room for every login that waits.
            self.queue.reserve_exact(2);
        }
        let turn = turn(&action);
        let mut own = self.queue.iter().skip(self.start);
        if action == Action::Persist && own.clone().any(|own| *own == Action::Persist) {
            return;
        }
        match own.position(|own| self::turn(own) > turn) {
            Some(at) => self.queue.insert(self.start + at, action),
            None => self.queue.push_back(action),
        }
    }

    pub(crate) fn pop(&mut self) -> Option<Action> {
        self.queue.pop_front()
    }

    #[cfg(feature = "testing")]
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Takes back a request that nobody has sent yet.
    pub(crate) fn withdraw_request(&mut self, id: RequestId) {
        self.withdraw(|action| matches!(action, Action::Send(request) if request.id() == id));
    }

    /// Takes back a URL that nobody has opened yet.
    pub(crate) fn withdraw_url(&mut self) {
        self.withdraw(|action| matches!(action, Action::OpenUrl(_)));
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

fn turn(action: &Action) -> u8 {
    match action {
        Action::AnswerCallback(_) => 0,
        Action::Persist => 1,
        Action::OpenUrl(_) | Action::Send(_) => 2,
        Action::Notify(_) => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::notice::Notice;
    use crate::wire::authorize::AuthorizationUrl;
    use crate::wire::pkce::LoginSecrets;
    use crate::{Client, Provider};

    fn url() -> AuthorizationUrl {
        let provider = Provider::new("https://as.example/authorize", "https://as.example/token");
        let client = Client::builder(provider, "client").build().unwrap();
        let redirect_uri = client.redirect_uri("http://127.0.0.1/callback").unwrap();
        client.authorization_url(&LoginSecrets::from_entropy([7; 64]), &redirect_uri)
    }

    /// Queues the actions of one event.
    fn event(outbox: &mut Outbox, actions: impl IntoIterator<Item = Action>) {
        outbox.begin();
        for action in actions {
            outbox.push(action);
        }
    }

    fn names(outbox: &mut Outbox) -> Vec<&'static str> {
        std::iter::from_fn(|| outbox.pop())
            .map(|action| action.name())
            .collect()
    }

    const TOLD: Action = Action::Notify(Notice::Refreshed);

    #[test]
    fn what_is_drained_late_comes_before_what_happened_later() {
        let mut outbox = Outbox::default();
        event(&mut outbox, [TOLD, Action::OpenUrl(url())]);
        event(&mut outbox, [TOLD, Action::Persist]);
        assert_eq!(
            names(&mut outbox),
            ["OpenUrl", "Notify", "Persist", "Notify"]
        );
    }

    #[test]
    fn one_save_for_each_event_is_enough() {
        let mut outbox = Outbox::default();
        event(&mut outbox, [TOLD, TOLD, Action::Persist]);
        let saves = [Action::Persist, TOLD, Action::Persist, Action::Persist];
        event(&mut outbox, saves);
        let all = ["Persist", "Notify", "Notify", "Persist", "Notify"];
        assert_eq!(names(&mut outbox), all);
    }

    #[test]
    fn what_is_withdrawn_leaves_the_rest_in_order() {
        for before in [0, 1, 2] {
            let mut outbox = Outbox::default();
            let told = std::iter::repeat_n(TOLD, before);
            event(&mut outbox, told.chain([Action::OpenUrl(url())]));
            outbox.begin();
            outbox.push(TOLD);
            outbox.withdraw_url();
            outbox.push(Action::Persist);
            let mut all = vec!["Notify"; before];
            all.extend(["Persist", "Notify"]);
            assert_eq!(names(&mut outbox), all);
        }
    }
}
