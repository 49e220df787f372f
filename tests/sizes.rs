//! What moving a value costs, and which values may go to another thread.

use std::fmt::Debug;

use authflow::*;

/// Sizes are no promise, and another compiler may make them smaller. But nothing grows unseen.
fn assert_size<T>(at_most: usize) {
    let (name, size) = (std::any::type_name::<T>(), size_of::<T>());
    assert!(
        size <= at_most,
        "{name} has grown from {at_most} to {size} bytes: if that is meant, change it here and say so in CHANGELOG.md"
    );
}

fn assert_send_sync<T: Send + Sync + Debug + 'static>() {}

#[cfg(target_pointer_width = "64")]
#[test]
fn the_main_types_have_these_sizes() {
    assert_size::<AuthFlow>(96);
    assert_size::<Event>(96);
    assert_size::<Action>(32);
    assert_size::<Notice>(32);
    assert_size::<Failure>(112);
    assert_size::<Snapshot>(344);
    assert_size::<Client>(448);
    assert_size::<Secret>(16);
    assert_size::<Timestamp>(8);
    assert_size::<HttpRequest>(8);
    assert_size::<HttpResponse>(56);
}

#[cfg(all(
    target_pointer_width = "64",
    feature = "ureq",
    feature = "loopback",
    feature = "os-rng"
))]
#[test]
fn the_session_has_this_size() {
    assert_size::<Session>(8);
    assert_size::<session::AccessToken>(8);
    assert_size::<session::Error>(48);
}

#[test]
fn everything_may_go_to_any_thread() {
    assert_send_sync::<AccessTokenRef<'static>>();
    assert_send_sync::<Action>();
    assert_send_sync::<Activity>();
    assert_send_sync::<AuthFlow>();
    assert_send_sync::<AuthorizationUrl>();
    assert_send_sync::<BadResponse>();
    assert_send_sync::<CallbackUrl>();
    assert_send_sync::<Cause>();
    assert_send_sync::<Client>();
    assert_send_sync::<ClientAuth>();
    assert_send_sync::<ClientBuilder>();
    assert_send_sync::<ClientCredentialsRequest>();
    assert_send_sync::<ConfigError>();
    assert_send_sync::<Event>();
    assert_send_sync::<Extra>();
    assert_send_sync::<Failure>();
    assert_send_sync::<HttpRequest>();
    assert_send_sync::<HttpResponse>();
    assert_send_sync::<IgnoredCallback>();
    assert_send_sync::<IgnoredReason>();
    assert_send_sync::<LoginSecrets>();
    assert_send_sync::<Misuse>();
    assert_send_sync::<NotBearer>();
    assert_send_sync::<Notice>();
    assert_send_sync::<OAuthError>();
    assert_send_sync::<Phase>();
    assert_send_sync::<Provider>();
    assert_send_sync::<Provider>();
    assert_send_sync::<RedirectUri>();
    assert_send_sync::<RepairStep>();
    assert_send_sync::<RequestId>();
    assert_send_sync::<RestoreError>();
    assert_send_sync::<RevocationRequest>();
    assert_send_sync::<Scopes>();
    assert_send_sync::<Secret>();
    assert_send_sync::<Snapshot>();
    assert_send_sync::<State>();
    assert_send_sync::<Timestamp>();
    assert_send_sync::<TokenSerial>();
    assert_send_sync::<TokenSet>();
    assert_send_sync::<TokenSwap>();
    assert_send_sync::<TokenType>();
    assert_send_sync::<TransportError>();
    assert_send_sync::<TransportErrorKind>();
    assert_send_sync::<Verdict>();
    assert_send_sync::<WhatNow>();
    assert_send_sync::<spotify::Scope>();
}

#[cfg(feature = "testing")]
#[test]
fn the_fake_provider_may_go_to_any_thread() {
    assert_send_sync::<testing::Answer>();
    assert_send_sync::<testing::Endpoint>();
    assert_send_sync::<testing::FakeProvider>();
    assert_send_sync::<testing::FakeProviderBuilder>();
    assert_send_sync::<testing::Fault>();
    assert_send_sync::<testing::Landing>();
    assert_send_sync::<testing::Person>();
    assert_send_sync::<testing::Rotation>();
    assert_send_sync::<testing::RecordedRequest>();
}

#[cfg(feature = "ureq")]
#[test]
fn the_http_driver_may_go_to_any_thread() {
    assert_send_sync::<http::Http>();
    assert_send_sync::<http::InvalidProxy>();
}

#[cfg(feature = "loopback")]
#[test]
fn the_listener_may_go_to_any_thread() {
    assert_send_sync::<loopback::BindError>();
    assert_send_sync::<loopback::Canceller>();
    assert_send_sync::<loopback::ListenError>();
    assert_send_sync::<loopback::Loopback>();
    assert_send_sync::<loopback::LoopbackBuilder>();
    assert_send_sync::<loopback::Page>();
    assert_send_sync::<loopback::Pages>();

    // A browser's connection has one owner, who may be in any thread.
    fn assert_sent<T: Send + Debug + 'static>() {}
    assert_sent::<loopback::PendingCallback>();
    assert_sent::<loopback::Received>();
}

#[cfg(all(feature = "ureq", feature = "loopback", feature = "os-rng"))]
#[test]
fn a_session_may_go_to_any_thread() {
    assert_send_sync::<Session>();
    assert_send_sync::<session::AccessToken>();
    assert_send_sync::<session::ApiRequest>();
    assert_send_sync::<session::ApiResponse>();
    assert_send_sync::<session::Error>();
    assert_send_sync::<session::FileStore>();
    assert_send_sync::<session::LocalLock>();
    assert_send_sync::<session::LoginControl>();
    assert_send_sync::<session::MemoryStore>();
    assert_send_sync::<session::PasteError>();
    assert_send_sync::<session::PendingLogin>();
    assert_send_sync::<session::Revocation>();
    assert_send_sync::<session::StoreError>();
    #[cfg(feature = "redis")]
    {
        assert_send_sync::<session::RedisStore>();
        assert_send_sync::<session::RedisPendingLogins>();
    }

    // What it is told to do runs once, in its own thread.
    fn assert_sent<T: Send + Debug + 'static>() {}
    assert_sent::<Login>();
    assert_sent::<session::ClientCredentials>();
    assert_sent::<session::StoreLock>();
}
