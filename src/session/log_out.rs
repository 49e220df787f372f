//! The end of a session.

use crate::error::Failure;
use crate::flow::AuthFlow;
use crate::flow::event::Event;
use crate::session::flight::PATIENCE;
use crate::session::handout::Guard;
use crate::session::store::StoreLock;
use crate::session::{Error, Session};
use crate::time::Timestamp;

/// What the provider had to say to a log-out. The person is logged out here in any case.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Revocation {
    /// The tokens are worth nothing any more.
    Done,
    /// Nobody was told: the provider has no revocation endpoint (Spotify has none; a person takes an
    /// app off their account on its web site), or there was nothing to revoke. Access tokens live on
    /// until their end, for whoever has them.
    NotOffered,
    /// The provider could not be told, or did not do it: the tokens may live on.
    Failed(Failure),
}

impl Session {
    /// Logs the person out: forgets the tokens here and in the store, whatever happens, and then asks
    /// the provider to revoke them (RFC 7009), the store's if another process has refreshed them since.
    /// Other processes that share the store find out when they next refresh.
    ///
    /// # Errors
    /// [`Error::Store`] if the store could not be cleared: this session has no tokens any more, but the
    /// next run would find them. They have been revoked as far as the provider could be told. Call
    /// it again to try again.
    pub fn log_out(&self) -> Result<Revocation, Error> {
        let mut shared = self.wait(self.lock());
        let now = Timestamp::now();
        let mut requests: Vec<_> = shared.flow.revocation_requests(now).collect();
        let (relocked, locked) = self.unlocked(shared, |inner| {
            let lock = inner.store.lock(PATIENCE);
            (lock, inner.store.load())
        });
        shared = relocked;
        let (lock, loaded) = locked;
        let client = shared.flow.shared_client();
        if let Ok(loaded) = &loaded {
            shared.stored.clone_from(loaded);
        }
        // What can't be read can't be revoked.
        let loaded = loaded.ok().flatten();
        let stored = loaded.and_then(|saved| AuthFlow::restore(client, saved, now).ok());
        for request in stored.iter().flat_map(|flow| flow.revocation_requests(now)) {
            if !requests.contains(&request) {
                requests.push(request);
            }
        }
        shared.forget();
        let lock = match lock {
            Ok(lock) => Some(lock),
            Err(error) => {
                shared.unsaved = Some(error);
                None
            }
        };
        let shared = self.end(shared, lock.as_ref())?;
        let (shared, ()) = self.unlocked(shared, |_| drop(lock));
        let unsaved = shared.unsaved.clone();
        let client = shared.flow.shared_client();
        drop(shared);

        let mut outcome = Revocation::NotOffered;
        for revocation in requests {
            let result = self.inner.http.execute(revocation.request());
            match revocation.read(&client, result, Timestamp::now()) {
                Ok(()) if outcome == Revocation::NotOffered => outcome = Revocation::Done,
                Ok(()) => {}
                Err(failure) => {
                    log::warn!("{failure}");
                    outcome = Revocation::Failed(failure);
                }
            }
        }
        match unsaved {
            Some(error) => Err(Error::Store(error)),
            None => Ok(outcome),
        }
    }

    fn end<'a>(
        &'a self,
        mut shared: Guard<'a>,
        lock: Option<&StoreLock>,
    ) -> Result<Guard<'a>, Error> {
        match lock {
            Some(_) => {
                shared.unsaved = None;
                Ok(self.step(shared, Event::LogOut, lock)?.0)
            }
            None => {
                shared.flow.handle(Event::LogOut, Timestamp::now())?;
                while shared.flow.poll_action().is_some() {}
                Ok(shared)
            }
        }
    }
}
