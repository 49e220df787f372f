//! Ways for an endpoint to fail.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use super::http::Reply;

/// A failure of an endpoint, ordered with [`FakeProvider::fault`] and used up by the requests that come
/// next.
///
/// Each variant says whether the request is *processed*: whether codes are spent and tokens are
/// made or ended although the client may never learn of it.
///
/// [`FakeProvider::fault`]: super::FakeProvider::fault
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// 503 and a line of plain text, as Spotify's front end answers when what is behind it is
    /// down. Not processed.
    Unavailable,
    /// An HTML page where JSON should be. Not processed.
    Html {
        /// The status it comes with.
        status: u16,
    },
    /// Wait, then answer as usual. Processed after the wait.
    Slow(Duration),
    /// Read the request and hang up. Not processed.
    DropBefore,
    /// Process the request and hang up: the reply is lost, and under
    /// [`Rotation::EveryRefresh`](super::Rotation::EveryRefresh) the only live refresh token with it.
    DropAfter,
    /// 429 with this `Retry-After`. Not processed.
    TooManyRequests {
        /// The header's value: seconds, an HTTP date, or nonsense.
        retry_after: String,
    },
    /// Send the client elsewhere. A client must not go: its secrets are in the request. Not
    /// processed.
    Redirect {
        /// 302 or 307 usually; any status is sent as it is.
        status: u16,
        /// The `Location` header.
        location: String,
    },
    /// No body at all. Not processed.
    Empty {
        /// The status it comes with.
        status: u16,
    },
    /// Process the request and send the first half of the body, with a length that agrees.
    TruncatedJson,
    /// 200 and a JSON string that doesn't end, without a length; the connection is closed after
    /// this many bytes. Not processed.
    Endless {
        /// Where it ends after all.
        bytes: u64,
    },
    /// Exactly this. `Content-Length` and `Connection` are added unless they are given. Not
    /// processed.
    Custom {
        /// The status.
        status: u16,
        /// The headers, in order. Line breaks in them are sent as spaces.
        headers: Vec<(String, String)>,
        /// The body.
        body: Vec<u8>,
    },
}

impl Fault {
    /// The reply of a fault that is nothing but a reply.
    pub(super) fn reply(self) -> Option<Reply> {
        match self {
            Self::Unavailable => Some(
                Reply::new(503)
                    .header("Content-Type", "text/plain")
                    .body("upstream connect error or disconnect/reset before headers"),
            ),
            Self::Html { status } => Some(
                Reply::new(status)
                    .header("Content-Type", "text/html; charset=utf-8")
                    .body("<!doctype html><title>Error</title><h1>Something went wrong</h1>"),
            ),
            Self::TooManyRequests { retry_after } => Some(
                Reply::new(429)
                    .header("Content-Type", "text/plain")
                    .header("Retry-After", retry_after)
                    .body("Too many requests"),
            ),
            Self::Redirect { status, location } => {
                Some(Reply::new(status).header("Location", location))
            }
            Self::Empty { status } => Some(Reply::new(status)),
            Self::Custom {
                status,
                headers,
                body,
            } => Some(
                headers
                    .into_iter()
                    .fold(Reply::new(status), |reply, (name, value)| {
                        reply.header(name, value)
                    })
                    .body(body),
            ),
            Self::Slow(_)
            | Self::DropBefore
            | Self::DropAfter
            | Self::TruncatedJson
            | Self::Endless { .. } => None,
        }
    }
}

/// A custom body and a redirect's query may hold tokens, so neither is printed.
impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable => f.write_str("Unavailable"),
            Self::Html { status } => write!(f, "Html({status})"),
            Self::Slow(wait) => write!(f, "Slow({wait:?})"),
            Self::DropBefore => f.write_str("DropBefore"),
            Self::DropAfter => f.write_str("DropAfter"),
            Self::TooManyRequests { retry_after } => write!(f, "TooManyRequests({retry_after:?})"),
            Self::Redirect { status, .. } => write!(f, "Redirect({status})"),
            Self::Empty { status } => write!(f, "Empty({status})"),
            Self::TruncatedJson => f.write_str("TruncatedJson"),
            Self::Endless { bytes } => write!(f, "Endless({bytes} bytes)"),
            Self::Custom { status, body, .. } => {
                write!(f, "Custom({status}, {} bytes)", body.len())
            }
        }
    }
}

/// The faults to come, first in first out.
#[derive(Debug, Default)]
pub(super) struct Queue(VecDeque<(Fault, usize)>);

impl Queue {
    pub(super) fn push(&mut self, fault: Fault, requests: usize) {
        if requests > 0 {
            self.0.push_back((fault, requests));
        }
    }

    pub(super) fn next(&mut self) -> Option<Fault> {
        let (fault, left) = self.0.front_mut()?;
        if *left > 1 {
            *left -= 1;
            return Some(fault.clone());
        }
        self.0.pop_front().map(|(fault, _)| fault)
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_used_up_in_order() {
        let mut queue = Queue::default();
        queue.push(Fault::Unavailable, 2);
        queue.push(Fault::DropAfter, 0);
        queue.push(Fault::DropBefore, 1);
        assert_eq!(queue.next(), Some(Fault::Unavailable));
        assert_eq!(queue.next(), Some(Fault::Unavailable));
        assert_eq!(queue.next(), Some(Fault::DropBefore));
        assert_eq!(queue.next(), None);
        queue.push(Fault::Unavailable, usize::MAX);
        assert_eq!(queue.next(), Some(Fault::Unavailable));
        queue.clear();
        assert_eq!(queue.next(), None);
    }

    #[test]
    fn debug_shows_no_body_and_no_location() {
        let faults = [
            Fault::Custom {
                status: 200,
                headers: vec![("X".into(), "hush".into())],
                body: b"hush".to_vec(),
            },
            Fault::Redirect {
                status: 307,
                location: "http://127.0.0.1/?hush".into(),
            },
        ];
        let shown = format!("{faults:?}");
        assert!(!shown.contains("hush"), "{shown}");
    }
}
