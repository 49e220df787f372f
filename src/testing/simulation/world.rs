//! What a program under test has instead of sockets, a disk, a browser and a clock.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::books::Books;
use super::chance::Chance;
use super::network::{Network, Sent};
use super::plan::Plan;
use crate::{
    AuthorizationUrl, Client, HttpRequest, LoginSecrets, RedirectUri, Snapshot, Timestamp, Verdict,
};

/// When every run begins: 14 November 2023, 22:13:20 UTC.
const START: u64 = 1_700_000_000_000;

/// All that is outside of the program under test: where it gets the time and what was saved, and where
/// it carries out its actions. Nothing in it blocks; what a request brings comes as an
/// [`Event`](crate::Event) later.
pub struct World {
    client: Arc<Client>,
    pub(super) redirect_uri: RedirectUri,
    secrets: Chance,
    /// Since the run began, by a stopwatch.
    pub(super) elapsed: Duration,
    /// How far the clock was set ahead, and back.
    pub(super) ahead: Duration,
    pub(super) back: Duration,
    pub(super) network: Network,
    pub(super) disk: Disk,
    /// The authorization URLs that were opened, the last one last.
    pub(super) windows: Vec<String>,
    /// Where the browser came back to last.
    pub(super) landed: Option<String>,
    pub(super) books: Books,
}

/// Where the program saves.
#[derive(Default)]
pub(super) struct Disk {
    pub(super) saved: Option<Snapshot>,
    /// What is there after a restart.
    pub(super) kept: Option<Snapshot>,
    pub(super) failures: u32,
    pub(super) losses: u32,
    /// The last save failed.
    pub(super) is_behind: bool,
}

impl Disk {
    fn save(&mut self, snapshot: &Snapshot) -> Result<(), SaveFailed> {
        self.is_behind = self.failures > 0;
        if self.is_behind {
            self.failures -= 1;
            return Err(SaveFailed);
        }
        self.saved = Some(snapshot.clone());
        if self.losses > 0 {
            self.losses -= 1;
        } else {
            self.kept = self.saved.clone();
        }
        Ok(())
    }

    /// Whether a restart would find something else than was saved last.
    pub(super) fn is_at_risk(&self) -> bool {
        self.is_behind || self.saved != self.kept
    }
}

impl World {
    pub(super) fn new(client: Arc<Client>, redirect_uri: RedirectUri, plan: &Plan) -> Self {
        Self {
            network: Network::new(&client, redirect_uri.as_str(), plan),
            client,
            redirect_uri,
            secrets: Chance::new(2),
            elapsed: Duration::ZERO,
            ahead: Duration::ZERO,
            back: Duration::ZERO,
            disk: Disk::default(),
            windows: Vec::new(),
            landed: None,
            books: Books::default(),
        }
    }

    /// What the clock says.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let start = Timestamp::from_millis(START);
        let set = start.saturating_add(self.elapsed.saturating_add(self.ahead));
        set.saturating_sub(self.back)
    }

    /// The client that the simulation was made for.
    #[must_use]
    pub fn client(&self) -> Arc<Client> {
        Arc::clone(&self.client)
    }

    /// Where the browser comes back to, for a program that begins a login by itself. The transcript knows
    /// only of what a program is handed, not of what it hands to its flow of its own accord.
    #[must_use]
    pub fn redirect_uri(&self) -> RedirectUri {
        self.redirect_uri.clone()
    }

    /// Fresh secrets, for a program that begins a login by itself.
    #[must_use]
    pub fn login_secrets(&mut self) -> LoginSecrets {
        LoginSecrets::from_entropy(self.secrets.bytes())
    }

    /// What was saved last, by this program or by the one that ran before it.
    #[must_use]
    pub fn saved(&self) -> Option<Snapshot> {
        self.disk.saved.clone()
    }

    /// Saves, as [`Action::Persist`](crate::Action::Persist) asks for.
    ///
    /// # Errors
    /// [`SaveFailed`] if it did not work: what was saved before is still there. Try again later.
    pub fn save(&mut self, snapshot: &Snapshot) -> Result<(), SaveFailed> {
        self.books.offered(snapshot);
        self.disk.save(snapshot)
    }

    /// Sends what [`Action::Send`](crate::Action::Send) asks for. The outcome comes as one
    /// [`Event::Response`](crate::Event::Response), whatever happens.
    pub fn send(&mut self, request: HttpRequest) {
        self.books.sent(&request);
        let sent = Sent {
            life: self.books.life,
            id: request.id(),
        };
        self.network.send(sent, &request, self.elapsed);
    }

    /// Opens a browser window, as [`Action::OpenUrl`](crate::Action::OpenUrl) asks for.
    pub fn open_url(&mut self, url: &AuthorizationUrl) {
        self.windows.push(url.as_str().to_owned());
    }

    /// Answers the browser, as [`Action::AnswerCallback`](crate::Action::AnswerCallback) asks for. A
    /// program may hold the page back until it knows how the login ended.
    pub fn answer_callback(&mut self, _verdict: Verdict) {
        self.books.unanswered = self.books.unanswered.saturating_sub(1);
    }
}

/// It shows none of what is in it.
impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("now", &self.now())
            .finish_non_exhaustive()
    }
}

/// The simulated disk did not take a save.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaveFailed;

impl fmt::Display for SaveFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the simulated disk did not take a save")
    }
}

impl Error for SaveFailed {}
