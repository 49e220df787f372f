//! The way to the people: where a program opens a browser.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write as _};
use std::net::SocketAddr;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

/// Where the URLs go, one a line. A real program opens a browser, or answers a request with a redirect.
pub struct People {
    stream: TcpStream,
    unsent: VecDeque<u8>,
}

impl People {
    pub fn connect(registry: &Registry, token: Token, to: SocketAddr) -> io::Result<Self> {
        let mut stream = TcpStream::connect(to)?;
        registry.register(&mut stream, token, Interest::WRITABLE)?;
        let unsent = VecDeque::new();
        Ok(Self { stream, unsent })
    }

    /// Takes a URL. What can't be sent now goes when the socket is ready for it.
    pub fn tell(&mut self, url: &str) -> io::Result<()> {
        self.unsent.extend(url.bytes().chain([b'\n']));
        self.flush()
    }

    pub fn flush(&mut self) -> io::Result<()> {
        while !self.unsent.is_empty() {
            match self.stream.write(self.unsent.as_slices().0) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => drop(self.unsent.drain(..count)),
                // It is not connected yet, or takes no more now.
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::NotConnected => break,
                    _ => return Err(error),
                },
            }
        }
        Ok(())
    }
}
