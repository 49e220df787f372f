//! Spotify, as its developer documentation describes it.
//!
//! - Redirect URIs: `https`, a loopback IP literal over `http`, or a scheme of your own. `localhost`
//!   has been refused since 2025-11-27, and is refused here before a browser opens. Register
//!   `http://127.0.0.1/callback` without a port to use any port (or with one, and use that one).
//!   <https://developer.spotify.com/documentation/web-api/concepts/redirect_uri>
//! - Refresh answers carry no new refresh token: the old one goes on. It lives six months from the
//!   person's consent, whatever is done with it; after that `invalid_grant` sends the person through
//!   the login again. [`AuthFlow::sign_in_due`](crate::AuthFlow::sign_in_due) says when.
//!   <https://developer.spotify.com/documentation/web-api/tutorials/refreshing-tokens>
//! - `authorize_param("show_dialog", "true")` shows the consent page to a person who has agreed
//!   before, too. <https://developer.spotify.com/documentation/web-api/tutorials/code-pkce-flow>
//! - The client id is your user's or your own: in development mode an app serves five people, so let
//!   it be configured.
//! - The implicit grant, which Spotify ended on 2025-11-27, is left out: use this flow instead, it
//!   needs no secret either.

use std::borrow::Cow;
use std::time::Duration;

use crate::provider::Provider;
use crate::provider::client::{Client, ClientBuilder};

/// The shortest span of six calendar months. Spotify counts from the person's consent and does not
/// say the day, so the date that follows from this may be early by three days but is never late.
const SIX_MONTHS: Duration = Duration::from_secs(181 * 24 * 60 * 60);

/// Spotify's endpoints and rules.
pub fn provider() -> Provider {
    Provider::new(
        "https://accounts.spotify.com/authorize",
        "https://accounts.spotify.com/api/token",
    )
    .api_origin("https://api.spotify.com")
    .undotted_redirect_schemes()
    .refresh_token_lifetime(SIX_MONTHS)
}

/// A client of Spotify's with the id that its dashboard shows. Without a secret it is a public
/// client, as a desktop program should be.
pub fn client(client_id: impl Into<String>) -> ClientBuilder {
    Client::builder(provider(), client_id)
}

macro_rules! scopes {
    ($($name:ident = $text:literal: $doc:literal,)*) => {
        /// The scopes of Spotify's Web API.
        /// <https://developer.spotify.com/documentation/web-api/concepts/scopes>
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Scope {
            $(#[doc = concat!("`", $text, "`: ", $doc, ".")] $name,)*
            /// Any other: Open Access partners' scopes, or one that is newer than this crate. Client
            /// ids made since February 2026 refuse a whole request for one unknown scope.
            Other(Cow<'static, str>),
        }

        impl Scope {
            /// All that are named here.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The scope's text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$name => $text,)*
                    Self::Other(text) => text,
                }
            }
        }

        impl From<&str> for Scope {
            fn from(text: &str) -> Self {
                match text {
                    $($text => Self::$name,)*
                    _ => Self::Other(Cow::Owned(text.to_owned())),
                }
            }
        }
    };
}

scopes! {
    UgcImageUpload = "ugc-image-upload": "upload images",
    UserReadPlaybackState = "user-read-playback-state": "read the player's state and devices",
    UserModifyPlaybackState = "user-modify-playback-state": "control playback",
    UserReadCurrentlyPlaying = "user-read-currently-playing": "read the item that is playing",
    AppRemoteControl = "app-remote-control": "remote control by the mobile SDKs",
    Streaming = "streaming": "play in the Web Playback SDK (Premium)",
    PlaylistReadPrivate = "playlist-read-private": "read private playlists",
    PlaylistReadCollaborative = "playlist-read-collaborative": "include collaborative playlists",
    PlaylistModifyPrivate = "playlist-modify-private": "edit private playlists",
    PlaylistModifyPublic = "playlist-modify-public": "edit public playlists",
    UserFollowModify = "user-follow-modify": "change whom the person follows",
    UserFollowRead = "user-follow-read": "read whom the person follows",
    UserReadPlaybackPosition = "user-read-playback-position": "read the position in episodes",
    UserTopRead = "user-top-read": "read top artists and tracks",
    UserReadRecentlyPlayed = "user-read-recently-played": "read recent tracks",
    UserLibraryModify = "user-library-modify": "change saved items",
    UserLibraryRead = "user-library-read": "read saved items",
    UserReadEmail = "user-read-email": "read the e-mail address",
    UserReadPrivate = "user-read-private": "read subscription and country",
}

impl AsRef<str> for Scope {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_go_there_and_back() {
        assert_eq!(Scope::ALL.len(), 19);
        for scope in Scope::ALL {
            assert_eq!(&Scope::from(scope.as_str()), scope);
        }
        assert_eq!(Scope::from("user-soa-link").as_str(), "user-soa-link");
    }
}
