//! The fake token endpoint for `exchange` and `redirect`: answers every token request with the same tokens, and
//! what is none with a 400, over plain TCP, and keeps connections open. Prints its address; ends when its
//! standard input does.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;

use authflow_benches::fixture;

const REFUSAL: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";

fn main() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    println!("http://{address}/api/token");
    thread::spawn(move || {
        let answer = answer();
        for stream in listener.incoming().flatten() {
            let answer = answer.clone();
            // A client that goes away has had what it wanted.
            thread::spawn(move || serve(stream, &answer).ok());
        }
    });
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

fn answer() -> Vec<u8> {
    let tokens = fixture::tokens();
    let length = tokens.len();
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{tokens}"
    )
    .into_bytes()
}

fn serve(mut stream: TcpStream, answer: &[u8]) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = [0; 8192];
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..])?;
        if read == 0 {
            return Ok(());
        }
        filled += read;
        if let Some(length) = request(&buffer[..filled]) {
            let is_sound = is_token_request(&buffer[..length]);
            stream.write_all(if is_sound { answer } else { REFUSAL })?;
            buffer.copy_within(length..filled, 0);
            filled -= length;
        }
    }
}

/// The length of the request, if all of it is there.
fn request(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let body = content_length(&bytes[..head]).unwrap_or(0);
    let all = head + 4 + body;
    (bytes.len() >= all).then_some(all)
}

/// So that no library is measured that sends something else.
fn is_token_request(request: &[u8]) -> bool {
    let text = std::str::from_utf8(request).unwrap_or_default();
    let Some((head, form)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let has = |name: &str| form.split('&').any(|pair| pair.starts_with(name));
    head.starts_with("POST /api/token HTTP/1.1\r\n")
        && has("client_id=")
        && (has("grant_type=authorization_code") && has("code=") && has("redirect_uri=")
            || has("grant_type=refresh_token") && has("refresh_token="))
}

fn content_length(head: &[u8]) -> Option<usize> {
    let head = std::str::from_utf8(head).ok()?;
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-length"))?;
    value.trim().parse().ok()
}
