//! What the window's thread asks of the workers, and what they answer. Neither waits for the other.

use authflow::loopback::Page;
use authflow::session::StoreError;
use authflow::{
    AuthorizationUrl, CallbackUrl, HttpRequest, HttpResponse, RequestId, RevocationRequest, Secret,
    Snapshot, TokenSerial, TransportError,
};

/// What the store holds, if anything.
pub type Stored = Option<Box<Snapshot>>;

/// Work that takes time.
#[derive(Debug)]
pub enum Job {
    /// Read what the last run has saved.
    Load,
    /// Whatever is stored can't be used: new tokens may take its place.
    ReplaceStored,
    /// Save this. Tokens are used only once it is done.
    Save(Box<Snapshot>),
    /// What another copy of this program has saved has been taken over here.
    Adopted(Stored),
    /// Send a refresh, with the store's lock held, unless another copy has refreshed already.
    Refresh(HttpRequest),
    /// Give the store's lock back, which a refresh has kept for the saving of its tokens.
    Release,
    /// Send a token request that has nothing to do with the store.
    Exchange(HttpRequest),
    /// Wait for the browser, at this redirect URI or else at a new one.
    Listen {
        attempt: u64,
        redirect_uri: Option<String>,
    },
    /// The login is over.
    StopListening { attempt: u64 },
    /// Show the browser a page.
    Answer { ticket: u64, page: Page },
    /// Open the browser.
    Open(AuthorizationUrl),
    /// Ask the API who is logged in.
    AskMe {
        serial: TokenSerial,
        authorization: Secret,
    },
    /// Tell the provider that these tokens are done with.
    Revoke(Vec<RevocationRequest>),
}

/// What came of it.
#[derive(Debug)]
pub enum Report {
    Loaded(Result<Stored, StoreError>),
    Saved(Result<Saved, StoreError>),
    /// An exchange has ended.
    Token {
        id: RequestId,
        result: Result<HttpResponse, TransportError>,
    },
    /// A refresh has ended. The keeper still has the store's lock.
    Refreshed {
        id: RequestId,
        result: Result<HttpResponse, TransportError>,
    },
    /// A refresh was not sent: another copy of this program has saved something else in the meantime.
    Outdated {
        id: RequestId,
        stored: Stored,
    },
    /// A refresh was not sent: what came of it could not have been saved.
    NotSent {
        id: RequestId,
        error: StoreError,
    },
    /// The browser may come, or the address can't be had.
    Listening {
        attempt: u64,
        redirect_uri: Result<String, String>,
    },
    /// It has come, and waits for its page.
    Callback {
        ticket: u64,
        url: CallbackUrl,
    },
    /// Whether there is a browser.
    Opened(bool),
    Me {
        serial: TokenSerial,
        result: Result<Person, ApiError>,
    },
    /// What went wrong, if anything.
    Revoked(Option<String>),
}

/// How a save ended.
#[derive(Debug)]
pub enum Saved {
    Done,
    /// There was no news to save here, but another copy of this program had saved some.
    Outdated(Stored),
}

/// Who is logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    pub name: String,
    pub detail: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiError {
    /// 401: the API does not take this token.
    Rejected,
    /// In words.
    Other(String),
}
