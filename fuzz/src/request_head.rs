//! Anything, sent to the listener for the redirect.

use authflow::CallbackUrl;
use authflow::loopback::{Head, RedirectionEndpoint};

const MOST: usize = 128 << 10;

/// The first byte says where it is cut in two.
pub fn run(data: &[u8]) -> Vec<String> {
    let Some((&cut, data)) = data.split_first() else {
        return Vec::new();
    };
    let endpoint = RedirectionEndpoint::new(([127, 0, 0, 1], 8888).into(), "/callback");
    let endpoint = endpoint.expect("a path");
    let whole = endpoint.read(data);
    let part = endpoint.read(&data[..data.len() * usize::from(cut) / 255]);
    // What is decided stays decided.
    assert!(part == Head::Incomplete || part == whole);
    match &whole {
        Head::Incomplete => assert!(data.len() < MOST),
        Head::Refused(refusal) => {
            assert!((400..500).contains(&refusal.status()));
            assert!(refusal.response().ends_with(b"\n"));
        }
        Head::Callback(url) => is_a_browsers(data, url),
    }
    // Whatever follows.
    let mut more = data.to_vec();
    more.resize(MOST, b'a');
    let decided = endpoint.read(&more);
    assert_ne!(decided, Head::Incomplete);
    assert!(whole == Head::Incomplete || whole == decided);
    [&whole, &decided].map(name).into()
}

fn name(head: &Head) -> String {
    match head {
        Head::Incomplete => "incomplete".to_owned(),
        Head::Callback(_) => "callback".to_owned(),
        Head::Refused(refusal) => format!("refused: {}", refusal.status()),
    }
}

/// As any browser would ask, judged in another way than the endpoint does.
fn is_a_browsers(data: &[u8], url: &CallbackUrl) {
    let text = String::from_utf8_lossy(data);
    let (head, _) = text.split_once("\r\n\r\n").expect("an end");
    let mut lines = head.split("\r\n");
    let line = lines.next().expect("a request line");
    let target = line
        .strip_prefix("GET ")
        .and_then(|line| line.strip_suffix(" HTTP/1.1"));
    let target = target.expect("a GET of HTTP/1.1");
    assert!(
        target == "/callback" || target.starts_with("/callback?"),
        "{target}"
    );
    assert!(target.bytes().all(|byte| byte.is_ascii_graphic()));
    assert_eq!(*url, CallbackUrl::new(target));
    let fields: Vec<_> = lines
        .map(|line| line.split_once(':').expect("a colon"))
        .collect();
    let values = |wanted: &str| {
        let wanted = wanted.to_owned();
        let named = fields
            .iter()
            .filter(move |(name, _)| name.eq_ignore_ascii_case(&wanted));
        named.map(|(_, value)| value.trim()).collect::<Vec<_>>()
    };
    assert_eq!(values("host"), ["127.0.0.1:8888"]);
    assert!(values("transfer-encoding").is_empty());
    assert!(values("content-length").iter().all(|length| *length == "0"));
    assert!(fields.iter().all(|(name, _)| !name.contains([' ', '\t'])));
}
