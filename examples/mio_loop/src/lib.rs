//! A thousand logins and refreshes at once in one thread, over [mio](https://docs.rs/mio): every socket
//! is non-blocking, and the one thing that waits is the one poll of the loop.
//!
//! - [`app`] is the loop: events in, actions out, and how long to wait. Start reading there.
//! - [`browsers`] is the redirection endpoint: one listening socket for all logins.
//! - [`calls`] are the requests to the token endpoint, so many at a time, the rest in a queue.
//! - [`timers`] are everybody's deadlines in one order, and so one timeout for the poll.
//! - [`world`] is not the program but those around it, provider and people, who may block.
//!
//! **One socket for all logins, or one for each?** A desktop program has one login and one socket; the
//! port then says which login it is. A thousand sockets that listen are a thousand descriptors, which is
//! what many systems allow a whole program, and a thousand ports, which only those providers take that
//! leave the port of a loopback redirect open (RFC 8252 section 7.3). So here is what a server would do:
//! one socket, one redirect URI, and the `state` says which login it is, because that is what comes back
//! with every redirect and nobody can guess another's. The lookup only finds the flow. Whether the
//! redirect is believed is for the flow to say, which compares the state again, in constant time.
//!
//! **Descriptors.** `ulimit -n` is often 1024, or 256, and a thousand browsers may come at once. So there
//! are at most so many connections of browsers and so many calls ([`Limits`]); whoever is beyond
//! waits in the system's backlog, or in a queue. Where the system gives fewer still, the loop takes what
//! it gets, and goes on when something closes.
//!
//! **TLS.** A real token endpoint speaks it. rustls has no sockets of its own, so it fits between: its
//! `ClientConnection` is fed with `read_tls` when the socket is readable, and drained with `write_tls`
//! when it is writable, where [`calls`] reads and writes now. Names are resolved on another thread.

pub mod app;
pub mod browsers;
#[path = "../../event_loop/call.rs"]
#[allow(dead_code, reason = "the other example has more uses for it")]
mod call;
pub mod calls;
pub mod people;
pub mod plan;
pub mod timers;
pub mod usage;
pub mod world;

pub use app::App;
pub use plan::{Limits, Outcome, Plan, Report};
