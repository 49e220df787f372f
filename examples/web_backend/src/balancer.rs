//! What stands in front of the backends: each connection goes to the next one, and one that is not there is
//! left out. A real deployment has nginx, HAProxy or a cloud's own here, which also ends TLS.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Serves for as long as the process runs.
pub fn start(backends: Vec<SocketAddr>) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    start_at(listener, backends)
}

pub fn start_at(listener: TcpListener, backends: Vec<SocketAddr>) -> io::Result<SocketAddr> {
    let address = listener.local_addr()?;
    let backends = Arc::new(backends);
    let turn = Arc::new(AtomicUsize::new(0));
    thread::spawn(move || {
        for browser in listener.incoming().flatten() {
            let (backends, turn) = (Arc::clone(&backends), Arc::clone(&turn));
            thread::spawn(move || {
                let first = turn.fetch_add(1, Ordering::Relaxed);
                let order = (0..backends.len()).map(|at| backends[(first + at) % backends.len()]);
                let mut open = order.filter_map(|backend| TcpStream::connect(backend).ok());
                if let Some(backend) = open.next() {
                    let _ = join(&browser, &backend);
                }
            });
        }
    });
    Ok(address)
}

fn join(browser: &TcpStream, backend: &TcpStream) -> io::Result<()> {
    let (from, to) = (browser.try_clone()?, backend.try_clone()?);
    let there = thread::spawn(move || copy(from, to));
    copy(backend.try_clone()?, browser.try_clone()?);
    let _ = there.join();
    Ok(())
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}
