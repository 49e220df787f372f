//! The redirection endpoint, over tokio's sockets.
//!
//! What authflow's own `Loopback` does besides, and this does not: ask Linux whether the connection is
//! another user's, who may have seen the URL, and so the state, in the list of processes.

use std::io;
use std::time::Duration;

use authflow::loopback::{Head, Page, Pages, RedirectionEndpoint};
use authflow::{CallbackUrl, Verdict};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Connections at a time. Each has ten seconds for its request.
const MOST: usize = 64;
const PATIENCE: Duration = Duration::from_secs(10);

pub struct Door {
    listener: TcpListener,
    endpoint: RedirectionEndpoint,
    /// Each has a task, so that one who says nothing keeps nobody else waiting.
    visitors: JoinSet<Option<(TcpStream, CallbackUrl)>>,
    /// The browser that the machine was asked about, and then the one whose page waits for the login
    /// to end.
    asked: Option<TcpStream>,
    held: Option<TcpStream>,
}

impl Door {
    pub async fn bind() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = RedirectionEndpoint::new(listener.local_addr()?, "/callback");
        Ok(Self {
            listener,
            endpoint: endpoint.map_err(io::Error::other)?,
            visitors: JoinSet::new(),
            asked: None,
            held: None,
        })
    }

    pub fn redirect_uri(&self) -> String {
        self.endpoint.redirect_uri()
    }

    /// What may be the redirect. It may be dropped at any await, as `select!` does: nobody is lost.
    pub async fn callback(&mut self) -> CallbackUrl {
        loop {
            tokio::select! {
                visitor = self.listener.accept(), if self.visitors.len() < MOST => match visitor {
                    Ok((stream, _)) => drop(self.visitors.spawn(read(stream, self.endpoint.clone()))),
                    // No descriptors are left, perhaps. That passes.
                    Err(_) => sleep(Duration::from_millis(10)).await,
                },
                Some(visit) = self.visitors.join_next() => if let Ok(Some((stream, url))) = visit {
                    self.asked = Some(stream);
                    return url;
                },
            }
        }
    }

    /// Answers who brought the last callback, as the machine wants it.
    pub async fn answer(&mut self, verdict: Verdict) {
        let asked = self.asked.take();
        match verdict {
            Verdict::Accepted => self.held = asked,
            Verdict::Denied => show(asked, Page::Denied).await,
            Verdict::NotOurs => show(asked, Page::NotOurs).await,
        }
    }

    /// The page at the end, for the browser that waits for it.
    pub async fn show(&mut self, page: Page) {
        show(self.held.take(), page).await;
    }
}

async fn read(
    mut stream: TcpStream,
    endpoint: RedirectionEndpoint,
) -> Option<(TcpStream, CallbackUrl)> {
    let (mut head, mut chunk) = (Vec::new(), [0; 4096]);
    let read = async move {
        loop {
            match stream.read(&mut chunk).await.ok()? {
                0 => return None,
                count => head.extend_from_slice(&chunk[..count]),
            }
            match endpoint.read(&head) {
                Head::Incomplete => {}
                Head::Callback(url) => return Some((stream, url)),
                Head::Refused(refusal) => {
                    stream.write_all(&refusal.response()).await.ok()?;
                    return None;
                }
            }
        }
    };
    timeout(PATIENCE, read).await.ok()?
}

async fn show(browser: Option<TcpStream>, page: Page) {
    if let Some(mut stream) = browser {
        let page = Pages::new().response(page);
        // One who reads nothing is not waited for.
        let _ = timeout(Duration::from_secs(1), stream.write_all(&page)).await;
    }
}
