//! Not the program: the provider, and the people with their browsers. They have a thread each, and
//! may block.

use std::io::{self, BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use authflow::testing::{Answer, FakeProvider, FakeProviderBuilder, Landing, Person};

/// Who ask the provider at one time. It has a thread and two descriptors for each.
const ASKING: usize = 16;
/// Who are with the program at one time. Fewer than the 1024 descriptors that there may be.
const COMING_BACK: usize = 400;

/// What a person does with the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visit {
    Allow,
    Deny,
    /// Looks away, and never comes back.
    Never,
    /// Allows. Meanwhile the browser asks for an icon, and somebody else brings a forged callback.
    AllowAmongStrays,
}

/// A provider, and so many people.
pub struct World {
    pub provider: FakeProvider,
    /// Where they take URLs, one a line, the first person the first.
    pub address: SocketAddr,
    landings: Arc<Mutex<Vec<Option<Page>>>>,
}

/// The page that a person sees at the end: its status and its heading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page(pub u16, pub String);

impl World {
    /// # Errors
    /// If the system gives no port or no thread.
    pub fn start(
        provider: FakeProviderBuilder,
        people: usize,
        visit: fn(usize) -> Visit,
    ) -> io::Result<Self> {
        let provider = provider.start()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let landings: Arc<Mutex<Vec<Option<Page>>>> = Arc::new(Mutex::new(vec![None; people]));
        let (urls, asked) = channel();
        let (redirects, allowed) = channel();
        let (browsers, coming) = channel();
        spawn(move || {
            if let Ok((program, _)) = listener.accept() {
                take(program, &urls);
            }
        })?;
        pool(ASKING, asked, move |(at, url): (usize, String)| {
            let redirect = redirect(visit(at), &url);
            let _ = redirects.send((at, redirect));
        })?;
        // Nobody comes back before everybody has left: all logins are under way then.
        spawn(move || {
            let all: Vec<_> = allowed.iter().take(people).collect();
            for (at, redirect) in all {
                if let Some(redirect) = redirect {
                    let _ = browsers.send((at, redirect));
                }
            }
        })?;
        let seen = landings.clone();
        pool(COMING_BACK, coming, move |(at, url): (usize, String)| {
            if visit(at) == Visit::AllowAmongStrays {
                stray(&url);
            }
            let page = Person::open(&url);
            let page = page.map_or_else(|error| Page(0, error.to_string()), |page| see(&page));
            if let Some(place) = lock(&seen).get_mut(at) {
                *place = Some(page);
            }
        })?;
        Ok(Self {
            provider,
            address,
            landings,
        })
    }

    /// What they see, so far.
    #[must_use]
    pub fn pages(&self) -> Vec<Option<Page>> {
        lock(&self.landings).clone()
    }
}

fn take(program: TcpStream, urls: &Sender<(usize, String)>) {
    let lines = BufReader::new(program).lines().map_while(Result::ok);
    for line in lines.enumerate() {
        let _ = urls.send(line);
    }
}

fn redirect(visit: Visit, url: &str) -> Option<String> {
    let answer = match visit {
        Visit::Allow | Visit::AllowAmongStrays => Answer::Allow,
        Visit::Deny => Answer::Deny,
        Visit::Never => return None,
    };
    Person::redirect_for(url, answer).ok()
}

fn stray(url: &str) {
    let Some((place, _)) = url.split_once("/callback") else {
        return;
    };
    for target in ["/favicon.ico", "/callback", "/callback?code=x&state=forged"] {
        let _ = Person::open(&format!("{place}{target}"));
    }
}

fn see(page: &Landing) -> Page {
    let heading = page.body().split("<h1>").nth(1).unwrap_or_default();
    let heading = heading.split("</h1>").next().unwrap_or_default();
    Page(page.status(), heading.to_owned())
}

/// So many threads that take from one queue.
fn pool<T: Send + 'static>(
    threads: usize,
    queue: Receiver<T>,
    work: impl Fn(T) + Clone + Send + 'static,
) -> io::Result<()> {
    let queue = Arc::new(Mutex::new(queue));
    for _ in 0..threads {
        let (queue, work) = (queue.clone(), work.clone());
        spawn(move || {
            loop {
                let Ok(next) = lock(&queue).recv() else {
                    return;
                };
                work(next);
            }
        })?;
    }
    Ok(())
}

fn spawn(run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let thread = thread::Builder::new().stack_size(256 << 10);
    thread.spawn(run).map(drop)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
