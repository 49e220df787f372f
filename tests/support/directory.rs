//! A place for files.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use authflow::Snapshot;
use authflow::session::{FileStore, Store as _};

/// A directory that is gone with the test.
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    pub fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::SeqCst);
        let name = format!("authflow-files-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self { path }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A store in a directory of its own below, which nobody has made yet.
    pub fn store(&self) -> FileStore {
        FileStore::at(self.path.join("own").join("login.json"))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// What is in a directory, in order.
pub fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let name = |entry: std::fs::DirEntry| entry.file_name().into_string().unwrap();
    let mut names: Vec<_> = entries.map(|entry| name(entry.unwrap())).collect();
    names.sort();
    names
}

/// Saves under the store's own lock.
pub fn save(store: &FileStore, snapshot: &Snapshot) {
    let lock = store.lock(Duration::from_secs(60)).unwrap();
    store.save(snapshot, &lock).unwrap();
}

/// A login with this access token and so much more to keep.
pub fn snapshot(access_token: &str, extra: usize) -> Snapshot {
    let json = serde_json::json!({
        "version": 1,
        "provider": "https://provider.example",
        "token_endpoint": "https://provider.example/token",
        "client_id": "client",
        "session": {
            "serial": 1,
            "access_token": access_token,
            "token_type": "Bearer",
            "scopes": "",
            "extra": { "more": "1".repeat(extra) },
            "obtained_at": 1,
        },
    });
    Snapshot::from_json(json.to_string().as_bytes()).unwrap()
}
