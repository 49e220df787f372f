//! What must never be shown, and everything that was: texts, log records of any crate, arguments,
//! environment, files.

use std::any::type_name;
use std::error::Error as StdError;
use std::fmt::Debug;
use std::path::Path;
use std::sync::{Mutex, Once};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::raw::{json, lock};

pub const CODE: &str = "c0deMarker-aQ7fK2mXw9Lz";
pub const ACCESS: &str = "acc3ssMarker-Vb4nT8rYq1Js";
pub const REFRESH: &str = "refr3shMarker-Hd6gP0uWe5Kc";
pub const NEW_REFRESH: &str = "n3wRefreshMarker-Zx3vM7tBi9Ro";
pub const ID_TOKEN: &str = "eyJ1dMarker.eyJhIjoiYiJ9.Sg2fN5yLk8Ua";
pub const CLIENT_SECRET: &str = "cli3ntSecretMarker-Ej1hQ4wDp6Xs";

/// Everything that was shown somewhere, and what must not be in it.
pub struct Shown {
    pub texts: Vec<String>,
    /// The types of what was shown by `debug`.
    pub types: Vec<&'static str>,
    markers: Vec<String>,
}

impl Shown {
    pub fn new() -> Self {
        LOGGING.call_once(|| {
            log::set_logger(&Log).unwrap();
            log::set_max_level(log::LevelFilter::Trace);
        });
        let markers = [CODE, ACCESS, REFRESH, NEW_REFRESH, ID_TOKEN, CLIENT_SECRET];
        Self {
            texts: Vec::new(),
            types: Vec::new(),
            markers: markers.map(str::to_owned).to_vec(),
        }
    }

    pub fn secret(&mut self, marker: impl Into<String>) {
        let marker = marker.into();
        assert!(marker.len() >= 16, "{marker} is too short to be told apart");
        self.markers.push(marker);
    }

    pub fn debug<T: Debug>(&mut self, value: &T) {
        self.types.push(type_name::<T>());
        self.texts.push(format!("{value:?}"));
        self.texts.push(format!("{value:#?}"));
    }

    pub fn error(&mut self, error: &(dyn StdError + 'static)) {
        let mut next = Some(error);
        while let Some(error) = next {
            self.debug(&error);
            self.texts.push(error.to_string());
            self.texts.push(format!("{error:#}"));
            next = error.source();
        }
    }

    /// The arguments and the environment of this process, and every file under the directory that
    /// others may read.
    #[cfg(target_os = "linux")]
    pub fn surroundings(&mut self, directory: &Path) {
        use std::os::unix::fs::MetadataExt as _;
        for file in ["/proc/self/cmdline", "/proc/self/environ"] {
            let text = std::fs::read(file).unwrap();
            self.texts.push(String::from_utf8_lossy(&text).into_owned());
        }
        let mut directories = vec![directory.to_owned()];
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(directory).unwrap() {
                let entry = entry.unwrap();
                let metadata = entry.path().symlink_metadata().unwrap();
                if metadata.is_dir() {
                    directories.push(entry.path());
                } else if metadata.mode() & 0o077 != 0 {
                    let text = std::fs::read(entry.path()).unwrap();
                    self.texts.push(String::from_utf8_lossy(&text).into_owned());
                }
                self.texts.push(entry.path().display().to_string());
            }
        }
    }

    #[cfg(not(target_os = "linux"))]
    pub fn surroundings(&mut self, _: &Path) {}

    /// Also as they would be in a URL, a form or a header.
    pub fn check(self) {
        let Self { texts, markers, .. } = self;
        assert!(texts.len() > 1);
        let logged = lock(&LOGGED).clone();
        for marker in &markers {
            let encoded: String = url::form_urlencoded::byte_serialize(marker.as_bytes()).collect();
            let basic = STANDARD.encode(format!("raw-client:{marker}"));
            for spelling in [marker, &encoded, &basic, &STANDARD.encode(marker)] {
                // A part of a secret is no better than the whole.
                for part in [spelling.as_str(), &spelling[..spelling.len() - 4]] {
                    for text in texts.iter().chain(&logged) {
                        assert!(!text.contains(part), "{part} is shown in: {text}");
                    }
                }
            }
        }
    }
}

static LOGGING: Once = Once::new();
pub static LOGGED: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Keeps what any crate logs, at any level.
struct Log;

impl log::Log for Log {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let text = format!("{} {}: {}", record.level(), record.target(), record.args());
        lock(&LOGGED).push(text);
    }

    fn flush(&self) {}
}

/// What a token endpoint says that knows the markers.
pub fn all_tokens() -> String {
    let body = serde_json::json!({
        "access_token": ACCESS,
        "token_type": "Bearer",
        "expires_in": 3600,
        "refresh_token": REFRESH,
        "id_token": ID_TOKEN,
        "nested": {"secret": ID_TOKEN},
    });
    json("200 OK", &body.to_string())
}
