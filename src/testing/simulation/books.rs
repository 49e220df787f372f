//! What was done, counted, and held against what a right program does.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use super::flaw::Flaw;
use super::network::{Acted, Sent};
use crate::testing::form;
use crate::{AuthFlow, HttpRequest, RequestId, Snapshot};

#[derive(Default)]
pub(super) struct Books {
    /// Counts the program's starts.
    pub(super) life: u64,
    pub(super) saves: bool,
    /// Browsers that wait for an answer.
    pub(super) unanswered: u32,
    /// What happened to the program from outside.
    pub(super) happened: u64,
    pub(super) requests: u64,
    /// Answers with tokens that reached the program.
    pub(super) good_answers: u64,
    pub(super) flaw: Option<Flaw>,
    /// This life's.
    sent: HashSet<RequestId>,
    exchanges: HashSet<RequestId>,
    /// This life's: after a restart, a browser that comes back once more may bring one again.
    codes: HashSet<String>,
    /// Tokens in what was saved, or would have been.
    offered: HashSet<String>,
    /// Refreshes whose answer has not reached the life that sent them; whether the provider has
    /// replaced the refresh token meanwhile.
    open: BTreeMap<Sent, bool>,
    /// Something that no program can help may have ended the login.
    pub(super) excused: bool,
}

/// The tokens in a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) access: Option<String>,
    pub(super) refresh: Option<String>,
}

impl Held {
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let secrets = snapshot.secrets();
        Self {
            access: secrets.map(|(access, _)| access.expose().to_owned()),
            refresh: secrets.and_then(|(_, it)| it.map(|it| it.expose().to_owned())),
        }
    }
}

impl Books {
    pub(super) fn find(&mut self, flaw: Flaw) {
        self.flaw = self.flaw.or(Some(flaw));
    }

    /// Another life of the program begins.
    pub(super) fn begin_life(&mut self) {
        self.life += 1;
        self.happened += 1;
        self.unanswered = 0;
        self.sent.clear();
        self.exchanges.clear();
        self.codes.clear();
    }

    pub(super) fn offered(&mut self, snapshot: &Snapshot) {
        let held = Held::of(snapshot);
        self.offered
            .extend([held.access, held.refresh].into_iter().flatten());
    }

    /// Whether a token may be used.
    pub(super) fn uses(&mut self, token: &str) {
        if self.saves && !self.offered.contains(token) {
            self.find(Flaw::UsedBeforeSaved);
        }
    }

    pub(super) fn sent(&mut self, request: &HttpRequest) {
        self.requests += 1;
        for (name, value) in form::read(request.body().as_bytes()) {
            match &*name {
                "code" => {
                    self.exchanges.insert(request.id());
                    if !self.codes.insert(value) {
                        self.find(Flaw::CodeSentTwice);
                    }
                }
                "refresh_token" => {
                    self.uses(&value);
                    // Another refresh may be at the provider, or on its way: which of them gets the
                    // live token is luck.
                    self.excused |= !self.open.is_empty();
                    let sent = Sent {
                        life: self.life,
                        id: request.id(),
                    };
                    self.open.insert(sent, false);
                }
                _ => {}
            }
        }
        if !self.sent.insert(request.id()) {
            self.find(Flaw::RequestSentTwice);
        }
    }

    pub(super) fn acted(&mut self, acted: &Acted) {
        self.excused |= acted.duplicated;
        if let Some(rotated) = self.open.get_mut(&acted.sent) {
            *rotated |= acted.rotated;
        }
    }

    /// An answer is there. Whether it is for this life of the program.
    pub(super) fn answered(&mut self, sent: Sent, has_tokens: bool) -> bool {
        let reached = sent.life == self.life;
        if reached && has_tokens {
            self.good_answers += 1;
        }
        let rotated = self.open.get(&sent).copied().unwrap_or(false);
        if !rotated || (reached && has_tokens) {
            self.open.remove(&sent);
        }
        reached
    }

    /// A replaced refresh token whose successor never came.
    pub(super) fn is_excused(&self) -> bool {
        self.excused || self.open.values().any(|rotated| *rotated)
    }

    /// The program has new and live tokens. After a login, what came before it no longer matters; after a
    /// refresh, another one that is still on its way may.
    pub(super) fn renewed(&mut self, by: RequestId) {
        if self.exchanges.contains(&by) {
            self.open.clear();
        }
        self.excused = !self.open.is_empty();
    }

    /// The flow after an event; `answered` is the request whose outcome the event was.
    pub(super) fn after(&mut self, flow: &AuthFlow, answered: Option<RequestId>) {
        if flow.has_actions() {
            self.find(Flaw::ActionsLeft);
        }
        for id in flow.in_flight() {
            if answered == Some(id) {
                self.find(Flaw::ResponseNotHandled);
            } else if !self.sent.contains(&id) {
                self.find(Flaw::RequestNotSent);
            }
        }
    }

    /// A flow refreshes once in half a token's life, and makes no more than 66 requests in an hour if
    /// that is short or if they fail; what happens from outside may end one of its waits.
    pub(super) fn count(&mut self, elapsed: Duration, life: Duration) {
        let hours = elapsed.as_secs() / 3600 + 1;
        let by_life = 2 * 3600 / life.as_secs().max(2) + 8;
        let hourly = if life.as_secs() > 2 {
            by_life.max(66)
        } else {
            66
        };
        let most = hourly * hours + 2 * self.happened + 10;
        if self.requests > most {
            self.find(Flaw::TooManyRequests);
        }
    }
}
