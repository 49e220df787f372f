//! Opens the authorization URL in the person's browser.

use std::fmt;
use std::time::Duration;

use crate::wire::authorize::AuthorizationUrl;

/// Asks the desktop to open the URL. No shell is involved, the URL is one argument, and it is always
/// an `http` or `https` one, because an [`AuthorizationUrl`] can't be anything else.
///
/// # Errors
/// [`NoBrowser`] is advice, not a failure of the login: show the URL, the person can open it anywhere.
/// A launcher may also say that all is well and open nothing, so show the URL in any case.
pub fn open(url: &AuthorizationUrl) -> Result<(), NoBrowser> {
    // A launcher that has not failed by then is one that waits for its browser.
    const GRACE: Duration = Duration::from_millis(500);
    if cfg!(all(unix, not(target_os = "macos"))) && !has_desktop() {
        return Err(NoBrowser);
    }
    open::that_detached_with_timeout(url.as_str(), GRACE).map_err(|_| NoBrowser)
}

/// Without one of these a launcher could only find a browser for the terminal, and start it without
/// the terminal.
fn has_desktop() -> bool {
    let signs = ["DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "WSL_DISTRO_NAME"];
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    signs.into_iter().any(is_set)
}

/// No browser could be opened from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NoBrowser;

impl fmt::Display for NoBrowser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no browser could be opened: open the URL yourself")
    }
}

impl std::error::Error for NoBrowser {}
