//! So many requests of one user are worked on at a time, and no more: whoever asks for much that is slow
//! takes few of the workers.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

pub struct Turns {
    most: usize,
    taken: Mutex<HashMap<String, usize>>,
}

/// It is over when this is dropped.
pub struct Turn<'a> {
    turns: &'a Turns,
    user: String,
}

impl Turns {
    pub fn new(most: usize) -> Self {
        Self {
            most: most.max(1),
            taken: Mutex::default(),
        }
    }

    /// `None` if this user has as many as one may have.
    pub fn take(&self, user: &str) -> Option<Turn<'_>> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(user.to_owned()).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Turn {
            turns: self,
            user: user.to_owned(),
        })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let taken = self.turns.taken.lock();
        let mut taken = taken.unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Turns;

    #[test]
    fn each_user_has_so_many_and_nothing_is_kept_of_them() {
        let turns = Turns::new(2);
        let (first, second) = (turns.take("a").unwrap(), turns.take("a").unwrap());
        assert!(turns.take("a").is_none());
        let other = turns.take("b").unwrap();
        drop(first);
        let third = turns.take("a").unwrap();
        assert!(turns.take("a").is_none());
        drop((second, third, other));
        assert!(turns.taken.lock().unwrap().is_empty());
    }
}
