//! An endpoint that can be told to fail, and that remembers who came.

use super::fault::{Fault, Queue};
use super::http::Request;
use super::recorded::RecordedRequest;

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
