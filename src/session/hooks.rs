//! What a program wants to be told of its session.

use std::sync::{Arc, MutexGuard, PoisonError};

use crate::error::Failure;
use crate::session::flight::Inner;
use crate::session::{AccessToken, Session};

type ChangeHook = Arc<dyn Fn(&AccessToken) + Send + Sync>;
type SignInHook = Arc<dyn Fn(Option<&Failure>) + Send + Sync>;

#[derive(Default)]
pub(super) struct Hooks {
    pub(super) change: Vec<ChangeHook>,
    pub(super) sign_in: Vec<SignInHook>,
}

/// What there is to tell.
pub(super) enum News {
    Changed(AccessToken),
    SignInNeeded(Option<Failure>),
}

impl Session {
    /// Calls the program's hooks, without any lock.
    pub(super) fn tell(&self) {
        loop {
            let mut shared = self.lock();
            if shared.news.is_empty() {
                return;
            }
            let news = shared.news.remove(0);
            drop(shared);
            match news {
                News::Changed(token) => {
                    let hooks = self.inner.hooks().change.clone();
                    hooks.iter().for_each(|hook| hook(&token));
                }
                News::SignInNeeded(failure) => {
                    let hooks = self.inner.hooks().sign_in.clone();
                    hooks.iter().for_each(|hook| hook(failure.as_ref()));
                }
            }
        }
    }
}

impl Inner {
    pub(super) fn hooks(&self) -> MutexGuard<'_, Hooks> {
        self.hooks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
