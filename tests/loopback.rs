//! The listener for the redirect, over real sockets: who gets a callback through, who does not, and
//! that the genuine one always does.
#![cfg(feature = "loopback")]

mod support;

use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use authflow::CallbackUrl;
use authflow::loopback::{BindError, Loopback, Page, Pages, PendingCallback, Received};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use support::raw::{PATIENCE, Reply, ask, connect, navigation, read_reply, send, within};

const GENUINE: &str = "/callback?code=genuine-code&state=genuine-state";

fn listener() -> Loopback {
    Loopback::builder().bind().unwrap()
}

/// What the listener hands over next.
fn next(listener: &mut Loopback) -> PendingCallback {
    match listener.receive(PATIENCE) {
        Ok(Received::Callback(callback)) => callback,
        other => panic!("no callback but {other:?}"),
    }
}

/// The genuine redirect comes, while everything that was sent before stays as it is.
fn the_genuine_redirect_wins(mut listener: Loopback) -> Loopback {
    let address = listener.address();
    let browser = thread::spawn(move || ask(address, navigation(address, GENUINE)));
    let callback = next(&mut listener);
    assert_eq!(callback.url(), CallbackUrl::new(GENUINE));
    callback.answer(Page::Success);
    let page = browser.join().unwrap().expect("a page");
    assert_eq!(page.status(), 200);
    assert!(page.body.contains("You are logged in"));
    listener
}

/// Asks while the listener waits, and only after the answer sends the genuine redirect.
fn refused(mut listener: Loopback, request: String) -> Reply {
    let address = listener.address();
    let client = thread::spawn(move || {
        let refused = ask(address, request);
        let page = ask(address, navigation(address, GENUINE)).expect("a page");
        (refused, page)
    });
    let callback = next(&mut listener);
    assert_eq!(callback.url(), CallbackUrl::new(GENUINE), "not refused");
    callback.answer(Page::Success);
    let (refused, page) = client.join().unwrap();
    assert_eq!(page.status(), 200);
    refused.expect("an answer")
}

/// The page that this query is answered with.
fn page(pages: Pages, target: &str, answer: Page) -> Reply {
    let mut listener = Loopback::builder().pages(pages).bind().unwrap();
    let address = listener.address();
    let mut browser = send(address, navigation(address, target));
    next(&mut listener).answer(answer);
    read_reply(&mut browser).expect("a page")
}

/// A port below those that systems hand out, so that nobody takes it between two uses.
fn fixed_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let process = (std::process::id() % 500) as u16;
    loop {
        let port = 21_000 + process * 20 + NEXT.fetch_add(1, Ordering::SeqCst);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A listener of the name `localhost`, and where a browser may look for it.
fn localhost() -> (Loopback, Vec<SocketAddr>) {
    let listener = Loopback::builder().localhost().bind().unwrap();
    let mut addresses = vec![listener.address()];
    if has_ipv6() {
        addresses.push(at_ipv6(listener.address()));
    }
    (listener, addresses)
}

/// The same port at `[::1]`.
fn at_ipv6(address: SocketAddr) -> SocketAddr {
    (Ipv6Addr::LOCALHOST, address.port()).into()
}

fn has_ipv6() -> bool {
    TcpListener::bind("[::1]:0").is_ok()
}

// --- where it listens ----------------------------------------------------------------------------

#[test]
fn the_redirect_uri_carries_the_port_that_is_bound() {
    let listener = listener();
    let port = listener.address().port();
    assert_ne!(port, 0);
    let uri = format!("http://127.0.0.1:{port}/callback");
    assert_eq!(listener.redirect_uri(), uri);
    the_genuine_redirect_wins(listener);
}

#[test]
fn nobody_reaches_it_by_another_address_of_this_machine() {
    nobody_but(listener(), &[]);
    nobody_but(localhost().0, &[IpAddr::V6(Ipv6Addr::LOCALHOST)]);
}

fn nobody_but(listener: Loopback, own: &[IpAddr]) {
    let port = listener.address().port();
    let outside = UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
        socket.connect("192.0.2.1:9")?; // sends nothing
        socket.local_addr()
    });
    let mut others: Vec<IpAddr> = outside.iter().map(SocketAddr::ip).collect();
    if cfg!(target_os = "linux") {
        others.push([127, 0, 0, 2].into());
    }
    if has_ipv6() {
        others.push(Ipv6Addr::LOCALHOST.into());
    }
    others.retain(|ip| !ip.is_unspecified() && *ip != listener.address().ip() && !own.contains(ip));
    for ip in others {
        let other = TcpStream::connect_timeout(&(ip, port).into(), PATIENCE);
        assert!(other.is_err(), "{ip} answers");
    }
}

#[test]
fn on_ipv6_it_listens_at_the_loopback_address_and_nowhere_else() {
    if !has_ipv6() {
        return;
    }
    let listener = Loopback::builder().ipv6().bind().unwrap();
    let port = listener.address().port();
    assert_eq!(
        listener.redirect_uri(),
        format!("http://[::1]:{port}/callback")
    );
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    the_genuine_redirect_wins(listener);
}

#[test]
fn localhost_is_served_at_either_address() {
    let (mut listener, addresses) = localhost();
    let port = listener.address().port();
    assert_ne!(port, 0);
    let host = format!("localhost:{port}");
    assert_eq!(listener.redirect_uri(), format!("http://{host}/callback"));
    assert_eq!(listener.address().ip(), Ipv4Addr::LOCALHOST);
    for name in [&*host, &host.to_uppercase()] {
        // Nobody has to wait for who is at the other.
        let mut browsers: Vec<_> = addresses
            .iter()
            .map(|&address| send(address, navigation(name, GENUINE)))
            .collect();
        for _ in &browsers {
            next(&mut listener).answer(Page::Success);
        }
        for browser in &mut browsers {
            assert_eq!(read_reply(browser).unwrap().status(), 200);
        }
    }
    drop(listener);
    for address in addresses {
        drop(TcpListener::bind(address).expect("the port is free"));
    }
}

#[test]
fn at_localhost_no_other_name_delivers() {
    let (mut listener, addresses) = localhost();
    let port = listener.address().port();
    let mut refused = Vec::new();
    for &address in &addresses {
        for host in [
            format!("127.0.0.1:{port}"),
            format!("[::1]:{port}"),
            "localhost".to_owned(),
            format!("localhost.:{port}"),
            format!("app.localhost:{port}"),
            format!("localhost.evil.example:{port}"),
            format!("evil.example:{port}"),
        ] {
            refused.push(send(address, navigation(host, GENUINE)));
        }
    }
    let genuine = navigation(format!("localhost:{port}"), "/callback?code=last");
    let mut last = send(addresses[0], genuine);
    let callback = next(&mut listener);
    assert_eq!(callback.url(), CallbackUrl::new("/callback?code=last"));
    callback.answer(Page::Success);
    assert_eq!(read_reply(&mut last).unwrap().status(), 200);
    let waited = listener.receive(Duration::ZERO);
    assert!(matches!(waited, Ok(Received::TimedOut)), "{waited:?}");
    for client in &mut refused {
        assert_eq!(read_reply(client).unwrap().status(), 421);
    }
}

/// Half of `localhost` is as good as none: the browser may go to the other half.
#[test]
fn a_port_of_localhosts_that_is_taken_at_either_address_is_named() {
    if !has_ipv6() {
        support::not_tested("this needs IPv6");
        return;
    }
    let port = fixed_port();
    let v4 = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let v6 = at_ipv6(v4);
    let bind = || Loopback::builder().localhost().port(port).bind();
    for (taken, other) in [(v6, v4), (v4, v6)] {
        let _other_program = TcpListener::bind(taken).unwrap();
        let error = bind().unwrap_err();
        let expected = BindError::Address {
            address: taken,
            kind: std::io::ErrorKind::AddrInUse,
        };
        assert_eq!(error, expected);
        assert!(error.to_string().contains(&taken.to_string()), "{error}");
        drop(TcpListener::bind(other).expect("nothing is kept"));
    }
    let _other_program = TcpListener::bind(v6).unwrap();
    let free = fixed_port();
    let builder = Loopback::builder().localhost().ports([port, free]);
    assert_eq!(builder.bind().unwrap().address().port(), free);
    // The last word counts.
    let v4_alone = Loopback::builder().ipv6().localhost().port(port);
    assert!(v4_alone.bind().is_err());
}

/// In the first turn, which takes only some of the crowd. Linux delivers before `send` returns.
#[cfg(target_os = "linux")]
#[test]
fn a_crowd_at_one_address_of_localhost_keeps_nobody_waiting_at_the_other() {
    if !has_ipv6() {
        support::not_tested("this needs IPv6");
        return;
    }
    for crowded in [0, 1] {
        let (mut listener, addresses) = localhost();
        let host = format!("localhost:{}", listener.address().port());
        let _crowd: Vec<_> = (0..100).map(|_| connect(addresses[crowded])).collect();
        let mut browser = send(addresses[1 - crowded], navigation(host, GENUINE));
        match listener.receive(Duration::ZERO).unwrap() {
            Received::Callback(callback) => callback.answer(Page::Success),
            other => panic!("{other:?}"),
        }
        assert_eq!(read_reply(&mut browser).unwrap().status(), 200);
    }
}

#[test]
fn two_listeners_at_once_have_two_ports() {
    let (one, other) = (listener(), listener());
    assert_ne!(one.address(), other.address());
    the_genuine_redirect_wins(one);
    the_genuine_redirect_wins(other);
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let error = Loopback::builder().port(address.port()).bind().unwrap_err();
    let expected = BindError::Address {
        address,
        kind: std::io::ErrorKind::AddrInUse,
    };
    assert_eq!(error, expected);
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

#[test]
fn of_several_ports_the_first_free_one_is_taken() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap().port();
    let free = fixed_port();
    let listener = Loopback::builder().ports([taken, free]).bind().unwrap();
    assert_eq!(listener.address().port(), free);
    // If none is free, the first is named.
    let error = Loopback::builder().ports([free, taken]).bind().unwrap_err();
    assert!(matches!(error, BindError::Address { address, .. } if address.port() == free));
}

#[test]
fn the_path_can_be_chosen() {
    for path in ["/", "/a/b/", "/x-y_z~1", "/caf%C3%A9", "/a;b=c,d:e@f"] {
        let mut listener = Loopback::builder().path(path).bind().unwrap();
        let address = listener.address();
        assert_eq!(listener.redirect_uri(), format!("http://{address}{path}"));
        let target = format!("{path}?code=1");
        let mut browser = send(address, navigation(address, &target));
        let callback = next(&mut listener);
        assert_eq!(callback.url(), CallbackUrl::new(target));
        callback.answer(Page::Success);
        assert_eq!(read_reply(&mut browser).unwrap().status(), 200, "{path}");
    }
}

#[test]
fn a_path_that_no_browser_would_ask_for_is_refused() {
    let paths = [
        "",
        "callback",
        "/a?b",
        "/a#b",
        "//evil.example",
        "/a//b",
        "/a/../b",
        "/./a",
        "/a/%2e%2E/b",
        "/a b",
        "/é",
        "/a\r\nX: y",
        "/a\\b",
        "/{id}",
        "http://127.0.0.1/callback",
    ];
    for path in paths {
        let error = Loopback::builder().path(path).bind().unwrap_err();
        assert_eq!(error, BindError::Path, "{path:?}");
        assert!(error.to_string().contains("/callback"));
    }
}

// --- who is refused ------------------------------------------------------------------------------

/// The genuine redirect, with something about it changed.
fn changed(address: SocketAddr, from: &str, to: &str) -> String {
    let request = navigation(address, GENUINE);
    assert!(request.contains(from));
    request.replacen(from, to, 1)
}

#[test]
fn only_a_get_delivers() {
    for method in ["POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "get"] {
        let listener = listener();
        let request = changed(listener.address(), "GET", method);
        let reply = refused(listener, request);
        assert_eq!(reply.status(), 405, "{method}");
        assert!(reply.headers().contains(&"Allow: GET"), "{method}");
    }
}

#[test]
fn a_post_with_a_body_is_refused_too() {
    let listener = listener();
    let address = listener.address();
    let request =
        format!("POST {GENUINE} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 5\r\n\r\na=b&c");
    assert_eq!(refused(listener, request).status(), 405);
}

#[test]
fn only_the_exact_path_delivers() {
    let targets = [
        "/favicon.ico",
        "/",
        "/callback/",
        "/Callback",
        "/callback/../callback?code=1",
        "//callback?code=1",
        "/callback%3Fcode=1",
        "/callback#code=1",
        "/x/callback?code=1",
        "*",
    ];
    for target in targets {
        let listener = listener();
        let request = navigation(listener.address(), target);
        assert_eq!(refused(listener, request).status(), 404, "{target}");
    }
}

#[test]
fn an_absolute_target_delivers_nothing() {
    let listener = listener();
    let address = listener.address();
    for host in [address.to_string(), "evil.example".to_owned()] {
        let target = format!("http://{host}{GENUINE}");
        let reply = refused(self::listener(), navigation(address, &target));
        assert_eq!(reply.status(), 404, "{target}");
    }
}

#[test]
fn only_our_own_host_delivers() {
    let own = |address: SocketAddr| format!("Host: {address}\r\n");
    let others: [fn(SocketAddr) -> String; 7] = [
        |_| String::new(),
        |_| "Host: evil.example\r\n".to_owned(),
        |address| format!("Host: evil.example:{}\r\n", address.port()),
        |address| format!("Host: localhost:{}\r\n", address.port()),
        |_| "Host: 127.0.0.1\r\n".to_owned(),
        |address| format!("Host: {address}\r\nHost: {address}\r\n"),
        |address| format!("Host: {address}\r\nhost: evil.example\r\n"),
    ];
    for other in others {
        let listener = listener();
        let address = listener.address();
        let request = changed(address, &own(address), &other(address));
        let reply = refused(listener, request);
        assert_eq!(reply.status(), 421, "{}", other(address));
    }
}

#[test]
fn no_older_http_delivers() {
    for version in ["HTTP/1.0", "HTTP/0.9"] {
        let listener = listener();
        let request = changed(listener.address(), "HTTP/1.1", version);
        assert_eq!(refused(listener, request).status(), 400, "{version}");
    }
}

#[test]
fn a_browser_that_asks_for_anything_but_a_page_delivers_nothing() {
    let modes = ["cors", "no-cors", "same-origin", "websocket"].map(|mode| ("navigate", mode));
    let places = ["image", "script", "iframe", "empty", "style"].map(|dest| ("document", dest));
    for (own, other) in modes.into_iter().chain(places) {
        let listener = listener();
        let request = changed(listener.address(), own, other);
        assert_eq!(refused(listener, request).status(), 403, "{other}");
    }
}

#[test]
fn a_client_that_does_not_say_what_it_asks_for_delivers() {
    let mut listener = listener();
    let address = listener.address();
    let request = format!("GET {GENUINE} HTTP/1.1\r\nhOST:   {address}  \r\n\r\n");
    let mut client = send(address, request);
    next(&mut listener).answer(Page::Success);
    assert_eq!(read_reply(&mut client).unwrap().status(), 200);
}

#[test]
fn a_refusal_says_nothing_of_the_request_and_closes() {
    let listener = listener();
    let request = navigation(listener.address(), "/<script>?code=hush-hush");
    let reply = refused(listener, request);
    assert_eq!(reply.body, "404 Not Found\n");
    let expected = [
        "Content-Type: text/plain; charset=utf-8",
        "Content-Length: 14",
        "Cache-Control: no-store",
        "Referrer-Policy: no-referrer",
        "X-Content-Type-Options: nosniff",
        "Connection: close",
    ];
    assert_eq!(reply.headers(), expected);
}

// --- the end of a wait ---------------------------------------------------------------------------

#[test]
fn the_deadline_ends_the_wait_however_much_else_comes() {
    let mut listener = listener();
    let address = listener.address();
    let noise = thread::spawn(move || {
        for _ in 0..20 {
            ask(address, navigation(address, "/favicon.ico"));
        }
    });
    let start = Instant::now();
    loop {
        let waited = listener.receive(Duration::from_millis(300));
        assert!(matches!(waited, Ok(Received::TimedOut)));
        if noise.is_finished() {
            break;
        }
    }
    assert!(start.elapsed() >= Duration::from_millis(300));
    assert!(start.elapsed() < PATIENCE);
    noise.join().unwrap();
    drop(listener);
    assert!(TcpListener::bind(address).is_ok());
}

#[test]
fn no_time_at_all_is_enough_for_a_callback_that_is_there() {
    let mut listener = listener();
    let address = listener.address();
    assert!(matches!(
        listener.receive(Duration::ZERO),
        Ok(Received::TimedOut)
    ));
    let mut browser = send(address, navigation(address, GENUINE));
    let start = Instant::now();
    let callback = loop {
        match listener.receive(Duration::ZERO).unwrap() {
            Received::Callback(callback) => break callback,
            _ => assert!(start.elapsed() < PATIENCE),
        }
    };
    callback.answer(Page::Success);
    assert_eq!(read_reply(&mut browser).unwrap().status(), 200);
}

#[test]
fn a_wait_can_be_cancelled_before_it_begins() {
    let mut listener = listener();
    let canceller = listener.canceller();
    canceller.cancel();
    canceller.clone().cancel();
    assert!(matches!(
        listener.receive(PATIENCE),
        Ok(Received::Cancelled)
    ));
    // That was the wait it was meant for.
    the_genuine_redirect_wins(listener);
    canceller.cancel(); // of nothing
}

#[test]
fn a_wait_can_be_cancelled_from_another_thread() {
    let mut listener = listener();
    for _ in 0..3 {
        let canceller = listener.canceller();
        let other = thread::spawn(move || {
            thread::sleep(Duration::from_millis(50));
            canceller.cancel();
        });
        let start = Instant::now();
        let waited = listener.receive(Duration::from_secs(600));
        assert!(matches!(waited, Ok(Received::Cancelled)));
        assert!(start.elapsed() < PATIENCE);
        other.join().unwrap();
    }
    the_genuine_redirect_wins(listener);
}

#[test]
fn a_port_is_free_as_soon_as_its_listener_is_dropped() {
    let port = fixed_port();
    let mut clients = Vec::new();
    for _ in 0..20 {
        let listener = Loopback::builder().port(port).bind().unwrap();
        clients.push(connect(listener.address())); // says nothing and stays
        clients.push(send(listener.address(), "GET /callb"));
        let address = listener.address();
        drop(the_genuine_redirect_wins(listener));
        drop(TcpListener::bind(address).expect("the port is free"));
    }
}

#[test]
fn listeners_follow_each_other_on_one_port() {
    let port = fixed_port();
    for _ in 0..20 {
        the_genuine_redirect_wins(Loopback::builder().port(port).bind().unwrap());
    }
}

#[test]
fn requests_that_still_wait_are_answered_at_the_end() {
    let listener = listener();
    let address = listener.address();
    let mut browsers: Vec<_> = (0..3)
        .map(|_| send(address, navigation(address, GENUINE)))
        .collect();
    thread::sleep(Duration::from_millis(500));
    drop(listener);
    for browser in &mut browsers {
        assert_eq!(read_reply(browser).expect("an answer").status(), 410);
    }
}

#[test]
fn an_end_with_a_page_still_owed_does_not_hang() {
    within(PATIENCE, || {
        let mut listener = listener();
        let address = listener.address();
        let request = navigation(address, GENUINE);
        let mut browser = send(address, format!("{request}{request}"));
        let owed = next(&mut listener);
        thread::sleep(Duration::from_millis(50));
        drop(listener);
        owed.answer(Page::Success);
        assert_eq!(read_reply(&mut browser).unwrap().status(), 200);
    });
}

// --- pages ---------------------------------------------------------------------------------------

#[test]
fn pages_have_exactly_these_headers() {
    for (answer, status) in [
        (Page::Success, 200),
        (Page::Denied, 200),
        (Page::Failed, 200),
        (Page::NotOurs, 400),
    ] {
        let reply = page(Pages::new(), GENUINE, answer);
        assert_eq!(reply.status(), status);
        let (_, script) = reply.body.split_once("<script>").unwrap();
        let (script, _) = script.split_once("</script>").unwrap();
        assert_eq!(script, "history.replaceState(null,'',location.pathname)");
        let hash = STANDARD.encode(Sha256::digest(script));
        let expected = [
            "Content-Type: text/html; charset=utf-8".to_owned(),
            format!("Content-Length: {}", reply.body.len()),
            "Cache-Control: no-store".to_owned(),
            "Referrer-Policy: no-referrer".to_owned(),
            "X-Content-Type-Options: nosniff".to_owned(),
            format!(
                "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
            ),
            "Connection: close".to_owned(),
        ];
        assert_eq!(reply.headers(), expected);
    }
}

#[test]
fn pages_are_the_same_whatever_the_query_and_load_nothing() {
    let evil = "/callback?code=hush-code&state=hush-state&error=%3Cscript%3Ealert(1)%3C/script%3E&error_description=<b>hush</b>";
    for answer in [Page::Success, Page::Denied, Page::Failed, Page::NotOurs] {
        let one = page(Pages::new(), GENUINE, answer);
        let other = page(Pages::new(), evil, answer);
        assert_eq!(one, other);
        for word in [
            "hush", "genuine", "alert", "http:", "https:", "src=", "href=",
        ] {
            assert!(!one.body.contains(word), "{word}");
        }
    }
}

#[test]
fn pages_can_be_replaced() {
    let pages = Pages::new()
        .success("<p>yes &amp; thanks")
        .denied("<p>no".to_owned())
        .failed("<p>oh ☹");
    for (answer, html) in [
        (Page::Success, "<p>yes &amp; thanks"),
        (Page::Denied, "<p>no"),
        (Page::Failed, "<p>oh ☹"),
    ] {
        let reply = page(pages.clone(), GENUINE, answer);
        assert!(reply.body.starts_with(html));
        assert!(!reply.body.contains("genuine"));
    }
}

#[test]
fn a_callback_that_is_dropped_unanswered_shows_that_the_login_failed() {
    let mut listener = listener();
    let address = listener.address();
    let mut browser = send(address, navigation(address, GENUINE));
    drop(next(&mut listener));
    let reply = read_reply(&mut browser).unwrap();
    assert!(reply.body.contains("The login failed"));
}

#[test]
fn a_connection_is_for_one_request() {
    let mut listener = listener();
    let address = listener.address();
    let (one, two) = ("/callback?code=1", "/callback?code=2");
    let both = navigation(address, one) + &navigation(address, two);
    let mut browser = send(address, both);
    let first = next(&mut listener);
    assert_eq!(first.url(), CallbackUrl::new(one));
    first.answer(Page::Success);
    assert_eq!(read_reply(&mut browser).unwrap().status(), 200);
    let mut rest = Vec::new();
    browser.read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty());
    // Nor is the second kept for later.
    let waited = listener.receive(Duration::ZERO);
    assert!(matches!(waited, Ok(Received::TimedOut)), "{waited:?}");
}

#[test]
fn debug_shows_no_query() {
    let mut listener = listener();
    let address = listener.address();
    let _browser = send(address, navigation(address, GENUINE));
    let received = listener.receive(PATIENCE).unwrap();
    let shown = format!("{received:?} {listener:?} {:?}", listener.canceller());
    assert!(!shown.contains("genuine"), "{shown}");
}
