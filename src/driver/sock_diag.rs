//! Asks Linux for the owner of one TCP socket (sock_diag(7)). The tables in `/proc` say it too, but to
//! write them the kernel walks through all its sockets, which takes milliseconds.

use std::io::Read as _;
use std::net::{IpAddr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const AF_NETLINK: i32 = 16;
const NETLINK_SOCK_DIAG: i32 = 4;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const IPPROTO_TCP: u8 = 6;

/// Of `nlmsghdr` and `inet_diag_req_v2`.
const REQUEST_LENGTH: u32 = 16 + 56;

/// Who has a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    User(u32),
    /// It is still there, but no process has it: it was closed, whether or not that has been sent.
    Nobody,
}

impl Owner {
    /// A socket that no process has any more has no inode, and its user says nothing.
    pub fn of(user: u32, inode: u64) -> Self {
        match inode {
            0 => Self::Nobody,
            _ => Self::User(user),
        }
    }
}

/// Who has the socket that is bound to `own` and connected to `other`. `None` if there is no such socket,
/// or if it is not to be had in this way; then the tables say which.
pub(super) fn owner_of(own: SocketAddr, other: SocketAddr) -> Option<Owner> {
    let (domain, protocol) = (Domain::from(AF_NETLINK), Protocol::from(NETLINK_SOCK_DIAG));
    let mut socket = Socket::new(domain, Type::DGRAM, Some(protocol)).ok()?;
    // The kernel has answered by the time that it has taken the request.
    socket.set_nonblocking(true).ok()?;
    socket.send(&request(own, other)).ok()?;
    let mut answer = [0; 512];
    let length = socket.read(&mut answer).ok()?;
    owner(answer.get(..length)?, own, other)
}

fn request(own: SocketAddr, other: SocketAddr) -> Vec<u8> {
    const ANY_STATE: u32 = u32::MAX;
    const ANY_INTERFACE: u32 = 0;
    const NO_COOKIE: u64 = u64::MAX;
    let family = match own {
        SocketAddr::V4(_) => AF_INET,
        SocketAddr::V6(_) => AF_INET6,
    };
    let mut request = Vec::new();
    request.extend(REQUEST_LENGTH.to_ne_bytes());
    request.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    request.extend(NLM_F_REQUEST.to_ne_bytes());
    request.extend([0; 8]); // number and sender
    request.extend([family, IPPROTO_TCP, 0, 0]);
    request.extend(ANY_STATE.to_ne_bytes());
    request.extend(ends(own, other));
    request.extend(ANY_INTERFACE.to_ne_bytes());
    request.extend(NO_COOKIE.to_ne_bytes());
    request
}

/// The beginning of `inet_diag_sockid`: what tells one connection from another.
fn ends(own: SocketAddr, other: SocketAddr) -> Vec<u8> {
    let mut ends = Vec::new();
    ends.extend(own.port().to_be_bytes());
    ends.extend(other.port().to_be_bytes());
    for address in [own, other] {
        match address.ip() {
            IpAddr::V4(ip) => {
                ends.extend(ip.octets());
                ends.extend([0; 12]);
            }
            IpAddr::V6(ip) => ends.extend(ip.octets()),
        }
    }
    ends
}

/// From `nlmsghdr` and `inet_diag_msg`.
fn owner(answer: &[u8], own: SocketAddr, other: SocketAddr) -> Option<Owner> {
    let word = |at: usize| {
        let bytes = answer.get(at..at + 4)?;
        bytes.try_into().ok().map(u32::from_ne_bytes)
    };
    let kind = answer.get(4..6)?;
    // Where nobody is connected, it may be who listens there.
    let is_it = answer.get(20..56)? == ends(own, other);
    let (user, inode) = (word(80)?, word(84)?);
    let is_told = kind == SOCK_DIAG_BY_FAMILY.to_ne_bytes() && is_it;
    is_told.then(|| Owner::of(user, inode.into()))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn a_connection_is_found_as_long_as_somebody_has_it() {
        let own_user = std::fs::metadata("/proc/self").unwrap().uid();
        for ip in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(ip) else {
                let _ = writeln!(std::io::stderr(), "not tested: this needs {ip}");
                continue;
            };
            let here = listener.local_addr().unwrap();
            let browser = TcpStream::connect(here).unwrap();
            let there = browser.local_addr().unwrap();
            let Some(owner) = owner_of(there, here) else {
                let _ = writeln!(std::io::stderr(), "not tested: this needs sock_diag");
                return;
            };
            assert_eq!(owner, Owner::User(own_user));
            assert_eq!(owner_of(here, there), Some(Owner::Nobody)); // not accepted yet
            let (accepted, _) = listener.accept().unwrap();
            assert_eq!(owner_of(here, there), Some(Owner::User(own_user)));
            let nobody = SocketAddr::new(here.ip(), 1);
            assert_eq!(owner_of(there, nobody), None);
            assert_eq!(owner_of(here, nobody), None); // though somebody listens
            drop(browser);
            assert_eq!(owner_of(there, here), Some(Owner::Nobody));
            drop(accepted);
        }
    }

    #[test]
    fn what_is_no_answer_says_nothing() {
        let (own, other) = (([127, 0, 0, 1], 1).into(), ([127, 0, 0, 1], 2).into());
        let mut answer = request(own, other);
        answer.splice(20..24, []); // where a request has the states
        answer.extend([0; 12]);
        answer.extend(7_u32.to_ne_bytes());
        answer.extend(9_u32.to_ne_bytes());
        assert_eq!(owner(&answer, own, other), Some(Owner::User(7)));
        assert_eq!(owner(&answer, other, own), None);
        for end in 0..answer.len() {
            assert_eq!(owner(&answer[..end], own, other), None);
        }
        answer[84..88].fill(0);
        assert_eq!(owner(&answer, own, other), Some(Owner::Nobody));
    }
}
