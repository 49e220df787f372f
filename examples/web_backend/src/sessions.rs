//! The users' sessions that this process has open: so many and no more, those used last. What is dropped is
//! opened again from Redis when it is needed.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

pub struct Sessions<T> {
    most: usize,
    open: Mutex<Open<T>>,
}

struct Open<T> {
    by_user: HashMap<String, Entry<T>>,
    by_use: BTreeMap<u64, String>,
    uses: u64,
}

struct Entry<T> {
    generation: String,
    used: u64,
    session: T,
}

impl<T: Clone> Sessions<T> {
    pub fn new(most: usize) -> Self {
        Self {
            most: most.max(1),
            open: Mutex::new(Open {
                by_user: HashMap::new(),
                by_use: BTreeMap::new(),
                uses: 0,
            }),
        }
    }

    /// The user's session, if it is of this generation. One from before a log-out is gone.
    pub fn get(&self, user: &str, generation: &str) -> Option<T> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = open.take(user)?;
        if entry.generation != generation {
            return None;
        }
        let session = entry.session.clone();
        open.put(user, generation, entry.session);
        Some(session)
    }

    pub fn put(&self, user: &str, generation: &str, session: T) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.take(user);
        open.put(user, generation, session);
        while open.by_user.len() > self.most {
            let Some((_, oldest)) = open.by_use.pop_first() else {
                break;
            };
            open.by_user.remove(&oldest);
        }
    }

    pub fn forget(&self, user: &str) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.take(user);
    }
}

impl<T> Open<T> {
    fn take(&mut self, user: &str) -> Option<Entry<T>> {
        let entry = self.by_user.remove(user)?;
        self.by_use.remove(&entry.used);
        Some(entry)
    }

    fn put(&mut self, user: &str, generation: &str, session: T) {
        self.uses += 1;
        self.by_use.insert(self.uses, user.to_owned());
        let entry = Entry {
            generation: generation.to_owned(),
            used: self.uses,
            session,
        };
        self.by_user.insert(user.to_owned(), entry);
    }
}

#[cfg(test)]
mod tests {
    use super::Sessions;

    #[test]
    fn the_one_used_longest_ago_goes_first() {
        let sessions = Sessions::new(2);
        sessions.put("a", "1", 'a');
        sessions.put("b", "1", 'b');
        assert_eq!(sessions.get("a", "1"), Some('a'));
        sessions.put("c", "1", 'c');
        assert_eq!(sessions.get("b", "1"), None);
        assert_eq!(sessions.get("a", "1"), Some('a'));
        assert_eq!(sessions.get("c", "1"), Some('c'));
        sessions.forget("a");
        assert_eq!(sessions.get("a", "1"), None);
    }

    #[test]
    fn a_session_from_before_a_log_out_is_gone() {
        let sessions = Sessions::new(2);
        sessions.put("a", "1", 'a');
        assert_eq!(sessions.get("a", "2"), None);
        assert_eq!(sessions.get("a", "1"), None);
    }
}
