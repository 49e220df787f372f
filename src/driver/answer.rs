//! Answers through tiny_http, kept from what it does to a request that it lets go of.

use std::io::Write as _;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tiny_http::Request;

use crate::driver::pages::refusal;

/// For what takes a moment: a port that is given up, a browser that is told so.
pub(super) const PATIENCE: Duration = Duration::from_millis(100);

/// tiny_http reads shorter bodies before it hands a request over; longer ones it reads on drop.
const READ_AHEAD: usize = 1024;
/// A browser can only announce a body that it has; what is larger than this has another purpose.
const MAX_BODY: usize = 16 << 20;

/// Tells whoever still waits at the end that it is over.
pub(super) fn turn_away(requests: Vec<Request>) {
    if !requests.is_empty() {
        aside(PATIENCE, move || {
            for request in requests {
                answer(request, &refusal("410 Gone"));
            }
        });
    }
}

/// In a thread of its own, because a client that does not read its answer, or does not send the body
/// that it announced, holds up whoever answers it. Waits for the end, but only so long.
pub(super) fn aside(patience: Duration, work: impl FnOnce() + Send + 'static) {
    let (done, is_done) = mpsc::channel();
    let thread = thread::Builder::new().spawn(move || {
        work();
        let _ = done.send(());
    });
    if thread.is_ok() && !patience.is_zero() {
        let _ = is_done.recv_timeout(patience);
    }
}

/// Whether tiny_http would read a body on drop, to its end.
pub(super) fn has_unread_body(request: &Request) -> bool {
    // A client that expects a `100 Continue` has its short body left unread, too.
    let expects = values(request, "Expect").next().is_some();
    let unread = if expects { 0 } else { READ_AHEAD };
    request.body_length().unwrap_or_default() > unread
}

/// Whether that end is further than anybody should wait for.
pub(super) fn has_bottomless_body(request: &Request) -> bool {
    request.body_length().unwrap_or_default() > MAX_BODY
        || values(request, "Transfer-Encoding").next().is_some()
}

pub(super) fn values<'a>(
    request: &'a Request,
    name: &'static str,
) -> impl Iterator<Item = &'a str> {
    let is_it = move |header: &&tiny_http::Header| header.field.equiv(name);
    request
        .headers()
        .iter()
        .filter(is_it)
        .map(|header| header.value.as_str().trim())
}

/// Writes the answer by hand: tiny_http's own leaves the connection open.
pub(super) fn answer(request: Request, response: &[u8]) {
    let mut writer = request.into_writer();
    // A browser that has gone away needs no answer.
    let _ = writer.write_all(response).and_then(|()| writer.flush());
}
