//! An endpoint that can be told to fail, and that remembers who came.

use std::time::Duration;

use super::fault::{Fault, Outcome, Queue};
use super::http::{Reply, Request};
use super::recorded::RecordedRequest;
use super::server::Server;

/// The faults to come and the requests that came. One for each endpoint that a program's own
/// requests go to; the person's have none.
#[derive(Default)]
pub(super) struct Desk {
    pub(super) faults: Queue,
    entries: Vec<Entry>,
    received: u64,
}

struct Entry {
    number: u64,
    request: Request,
    status: Option<u16>,
}

impl Desk {
    /// Notes the request and takes the fault that is meant for it, both at once: of requests that
    /// come together, the first one noted meets the first fault.
    ///
    /// The number is for [`answered`](Self::answered).
    pub(super) fn receive(&mut self, request: &Request) -> (u64, Option<Fault>) {
        self.received = self.received.wrapping_add(1);
        self.entries.push(Entry {
            number: self.received,
            request: request.clone(),
            status: None,
        });
        (self.received, self.faults.next())
    }

    /// A request that was cleared meanwhile stays forgotten.
    pub(super) fn answered(&mut self, number: u64, status: u16) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.number == number) {
            entry.status = Some(status);
        }
    }

    /// The requests so far, oldest first, each with the status it was answered with.
    pub(super) fn record(&self) -> Vec<RecordedRequest> {
        self.entries
            .iter()
            .map(|entry| RecordedRequest::new(&entry.request, entry.status))
            .collect()
    }

    pub(super) fn clear_record(&mut self) {
        self.entries.clear();
    }
}

impl Server {
    /// Takes a request to a desk, with the fault that is meant for it. A wait before it is the
    /// caller's.
    pub(super) fn serve(
        &mut self,
        request: &Request,
        number: u64,
        fault: Option<Fault>,
        now: Duration,
    ) -> Outcome {
        let outcome = match fault {
            None | Some(Fault::Slow(_)) => Outcome::Reply(self.handle(request, now)),
            Some(Fault::Late(wait)) => Outcome::Late(wait, self.handle(request, now)),
            Some(Fault::Duplicated) => {
                let first = self.handle(request, now);
                let _ = self.handle(request, now);
                Outcome::Reply(first)
            }
            Some(Fault::DropBefore) => Outcome::HangUp,
            Some(Fault::DropAfter) => {
                let _ = self.handle(request, now);
                Outcome::HangUp
            }
            Some(Fault::TruncatedJson) => Outcome::Reply(self.handle(request, now).truncated()),
            Some(Fault::Endless { bytes }) => Outcome::Endless(bytes),
            Some(fault) => {
                Outcome::Reply(fault.reply().unwrap_or_else(|| self.handle(request, now)))
            }
        };
        // Before the client can know: whoever has the answer also finds it recorded.
        let status = match &outcome {
            Outcome::Reply(reply) | Outcome::Late(_, reply) => Some(reply.status),
            Outcome::Endless(_) => Some(endless().status),
            Outcome::HangUp => None,
        };
        if let (Some(status), Some(desk)) = (status, self.desk_at(&request.path)) {
            desk.answered(number, status);
        }
        outcome
    }
}

/// The head of an answer that doesn't end.
pub(super) fn endless() -> Reply {
    Reply::new(200).header("Content-Type", "application/json")
}
