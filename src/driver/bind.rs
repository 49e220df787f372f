//! Binds the listener: to a loopback address, or to both that `localhost` may stand for.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use crate::driver::gate::Gate;
use crate::driver::loopback::Loopback;
use crate::driver::pages::Pages;
use crate::driver::redirection::RedirectionEndpoint;

const IPV4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const IPV6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
/// Where the port is not known yet.
const UNKNOWN: SocketAddr = SocketAddr::new(IPV4, 0);
/// How many ports of the system's choice may be taken at the other address.
const MAX_TRIES: u32 = 16;
/// A system without IPv6 says EAFNOSUPPORT, of which `std` has no kind.
const NO_SUCH_FAMILY: i32 = match () {
    () if cfg!(windows) => 10047,
    () if cfg!(any(target_os = "linux", target_os = "android")) => 97,
    () => 47,
};

/// Says where to listen and what to show.
#[derive(Clone, Debug)]
#[must_use]
pub struct LoopbackBuilder {
    host: Host,
    ports: Vec<u16>,
    path: String,
    pages: Pages,
}

#[derive(Clone, Copy, Debug)]
enum Host {
    Default,
    Ipv6,
    Localhost,
}

impl LoopbackBuilder {
    pub(super) fn new() -> Self {
        Self {
            host: Host::Default,
            ports: Vec::new(),
            path: "/callback".to_owned(),
            pages: Pages::default(),
        }
    }

    /// Listens on `[::1]`. The default is 127.0.0.1, or `[::1]` on a machine without that.
    pub fn ipv6(mut self) -> Self {
        self.host = Host::Ipv6;
        self
    }

    /// Makes the redirect URI `http://localhost:PORT/path`, for providers that take nothing else
    /// ([`Provider::localhost_redirects`](crate::Provider::localhost_redirects)). A browser may take the
    /// name for either loopback address, so this listens on 127.0.0.1 and `[::1]`, at the same port, and
    /// on 127.0.0.1 alone on a machine without IPv6 (RFC 8252 section 7.3). In place of
    /// [`ipv6`](Self::ipv6).
    ///
    /// It is NOT RECOMMENDED (section 8.3). Other interfaces are never listened on, which is the first
    /// reason there. The others stay: a hosts file, a resolver or a proxy may lead the name elsewhere,
    /// and the code with it.
    pub fn localhost(mut self) -> Self {
        self.host = Host::Localhost;
        self
    }

    /// Listens on this port. The default is one that the system picks, which providers take that
    /// follow RFC 8252 section 7.3 (register the redirect URI without a port).
    pub fn port(self, port: u16) -> Self {
        self.ports([port])
    }

    /// Listens on the first of these ports that is free.
    pub fn ports(mut self, ports: impl IntoIterator<Item = u16>) -> Self {
        self.ports = ports.into_iter().collect();
        self
    }

    /// The path of the redirect URI. The default is `/callback`.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// The pages to show.
    pub fn pages(mut self, pages: Pages) -> Self {
        self.pages = pages;
        self
    }

    /// Binds the listener. From here on the browser may come.
    ///
    /// # Errors
    /// [`BindError`] names the address that could not be had. With [`localhost`](Self::localhost) it may be
    /// either: where another program has one of the two, the redirect could go there.
    pub fn bind(self) -> Result<Loopback, BindError> {
        // Before anything is bound.
        self.endpoint(UNKNOWN)?;
        let Bound { address, listeners } = self.listen(&TcpListener::bind)?;
        let endpoint = self.endpoint(address)?;
        Gate::new(listeners, endpoint)
            .and_then(|gate| Loopback::new(gate, address, self.pages))
            .map_err(|error| BindError::refused(address, &error))
    }

    /// The redirect URI to be, with another port.
    #[cfg(all(feature = "ureq", feature = "os-rng"))]
    pub(crate) fn redirect_uri(&self) -> Result<String, BindError> {
        Ok(self.endpoint(UNKNOWN)?.redirect_uri())
    }

    fn endpoint(&self, address: SocketAddr) -> Result<RedirectionEndpoint, BindError> {
        match self.host {
            Host::Localhost => RedirectionEndpoint::localhost(address.port(), &*self.path),
            Host::Default | Host::Ipv6 => RedirectionEndpoint::new(address, &*self.path),
        }
    }

    fn listen(&self, bind: Bind<'_>) -> Result<Bound, BindError> {
        match self.host {
            Host::Ipv6 => self.first(|port| one(IPV6, port, bind)),
            Host::Localhost => self.first(|port| both(port, bind)),
            // The other family is for machines without this one, not for ports that are taken.
            Host::Default => match self.first(|port| one(IPV4, port, bind)) {
                Err(refused) if refused.is_missing() => self
                    .first(|port| one(IPV6, port, bind))
                    .map_err(|_| refused),
                bound => bound,
            },
        }
    }

    /// The first port that can be had. If none can, the first is named.
    fn first(&self, bind: impl Fn(u16) -> Result<Bound, BindError>) -> Result<Bound, BindError> {
        let (first, others) = self.ports.split_first().unwrap_or((&0, &[]));
        bind(*first).or_else(|refused| {
            let mut others = others.iter();
            others.find_map(|port| bind(*port).ok()).ok_or(refused)
        })
    }
}

type Bind<'a> = &'a dyn Fn(SocketAddr) -> io::Result<TcpListener>;

#[derive(Debug)]
struct Bound {
    /// Of the first.
    address: SocketAddr,
    listeners: Vec<TcpListener>,
}

fn one(ip: IpAddr, port: u16, bind: Bind<'_>) -> Result<Bound, BindError> {
    let asked = SocketAddr::new(ip, port);
    let failed = |error: io::Error| BindError::refused(asked, &error);
    let listener = bind(asked).map_err(failed)?;
    Ok(Bound {
        address: listener.local_addr().map_err(failed)?,
        listeners: vec![listener],
    })
}

/// Both addresses, at one port.
fn both(port: u16, bind: Bind<'_>) -> Result<Bound, BindError> {
    let mut tries = 1;
    loop {
        let mut bound = one(IPV4, port, bind)?;
        match one(IPV6, bound.address.port(), bind) {
            Ok(other) => bound.listeners.extend(other.listeners),
            Err(refused) if refused.is_missing() => {}
            // The system picks another.
            Err(refused) if port == 0 && refused.is_taken() && tries < MAX_TRIES => {
                tries += 1;
                continue;
            }
            Err(refused) => return Err(refused),
        }
        return Ok(bound);
    }
}

/// The listener could not be bound. No browser has been opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BindError {
    /// This address can't be had: another program has the port, or the system refuses it.
    Address {
        /// The address.
        address: SocketAddr,
        /// Why.
        kind: io::ErrorKind,
    },
    /// The path is not one: write it like `/callback`.
    Path,
}

impl BindError {
    fn refused(address: SocketAddr, error: &io::Error) -> Self {
        let kind = match error.raw_os_error() {
            Some(NO_SUCH_FAMILY) => io::ErrorKind::AddrNotAvailable,
            _ => error.kind(),
        };
        Self::Address { address, kind }
    }

    /// The machine has no such address, so nobody else has it either.
    fn is_missing(&self) -> bool {
        matches!(self, Self::Address { kind, .. } if *kind == io::ErrorKind::AddrNotAvailable)
    }

    fn is_taken(&self) -> bool {
        matches!(self, Self::Address { kind, .. } if *kind == io::ErrorKind::AddrInUse)
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address { address, .. } if self.is_taken() => write!(
                f,
                "another program is using {address}: end it, choose another port, or none to let the system pick"
            ),
            Self::Address { address, kind } => write!(f, "cannot listen on {address}: {kind}"),
            Self::Path => f.write_str("the redirect path is not one: write it like /callback"),
        }
    }
}

impl std::error::Error for BindError {}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// Binds to 127.0.0.1 as asked, and to `[::1]` with this outcome. Every address that was asked for.
    fn localhost_where(
        at_ipv6: impl Fn() -> io::Result<TcpListener>,
    ) -> (Result<Bound, BindError>, Vec<SocketAddr>) {
        let asked = RefCell::new(Vec::new());
        let bind = |address: SocketAddr| {
            asked.borrow_mut().push(address);
            match address.ip() {
                IPV4 => TcpListener::bind(address),
                _ => at_ipv6(),
            }
        };
        let bound = LoopbackBuilder::new().localhost().listen(&bind);
        (bound, asked.into_inner())
    }

    #[test]
    fn without_ipv6_localhost_is_127_0_0_1_alone() {
        let missing: [fn() -> io::Error; 2] = [
            || io::ErrorKind::AddrNotAvailable.into(),
            || io::Error::from_raw_os_error(NO_SUCH_FAMILY),
        ];
        for error in missing {
            let (bound, asked) = localhost_where(|| Err(error()));
            let bound = bound.unwrap();
            assert_eq!(bound.address.ip(), IPV4);
            assert_eq!(bound.listeners.len(), 1);
            assert_eq!(asked.len(), 2);
            assert_eq!(asked[1], SocketAddr::new(IPV6, bound.address.port()));
        }
    }

    #[test]
    fn a_port_of_the_systems_choice_is_tried_a_few_times() {
        let taken = || Err(io::ErrorKind::AddrInUse.into());
        let (bound, asked) = localhost_where(taken);
        let address = *asked.last().unwrap();
        let kind = io::ErrorKind::AddrInUse;
        assert_eq!(address.ip(), IPV6);
        assert_eq!(bound.unwrap_err(), BindError::Address { address, kind });
        assert_eq!(asked.len(), 2 * MAX_TRIES as usize);

        let left = RefCell::new(3);
        let (bound, asked) = localhost_where(|| {
            *left.borrow_mut() -= 1;
            match *left.borrow() {
                0 => TcpListener::bind((IPV4, 0)), // stands for the other
                _ => taken(),
            }
        });
        assert_eq!(bound.unwrap().listeners.len(), 2);
        assert_eq!(asked.len(), 6);
    }

    /// Whoever may not look can't know that nobody is there.
    #[test]
    fn an_address_that_the_system_refuses_is_not_left_to_others() {
        let (bound, asked) = localhost_where(|| Err(io::ErrorKind::PermissionDenied.into()));
        let (address, kind) = (asked[1], io::ErrorKind::PermissionDenied);
        assert_eq!(bound.unwrap_err(), BindError::Address { address, kind });
        assert_eq!(asked.len(), 2);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_system_says_so_of_a_family_that_it_has_not() {
        let nonsense = socket2::Domain::from(9999);
        let error = socket2::Socket::new(nonsense, socket2::Type::STREAM, None).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(NO_SUCH_FAMILY));
    }
}
