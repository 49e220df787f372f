//! Whose program is at the other end of a connection on this machine.

use mio::net::TcpStream;

/// Whether it is another person's. Linux says so; elsewhere, and where it does not say, it is not.
///
/// Nobody is asked about root, who can do anything anyway, and may stand between a browser and this
/// program where a port is forwarded; nor by root, whose browser is the person's who became root.
pub(super) fn is_of_another_user(stream: &TcpStream) -> bool {
    #[cfg(target_os = "linux")]
    let is_other = linux::is_of_another_user(stream).unwrap_or(false);
    #[cfg(not(target_os = "linux"))]
    let is_other = {
        let _ = stream;
        false
    };
    is_other
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;
    use std::io::ErrorKind;
    use std::net::{IpAddr, SocketAddr};

    use mio::net::TcpStream;

    use crate::driver::sock_diag;

    /// `None` where the system does not tell.
    pub(super) fn is_of_another_user(stream: &TcpStream) -> Option<bool> {
        let (here, there) = (stream.local_addr().ok()?, stream.peer_addr().ok()?);
        let user = sock_diag::user_of(there, here);
        // As it nearly always is, and then nothing has to be read.
        if user.is_some_and(|user| user == 0 || sock_diag::user_of(here, there) == Some(user)) {
            return Some(false);
        }
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let own = own_user(&status)?;
        // In a container with users of its own, others all look alike.
        let users = fs::read_to_string("/proc/self/uid_map").ok()?;
        let has_all_users = users.split_whitespace().eq(["0", "0", "4294967295"]);
        if own == "0" || !has_all_users {
            return Some(false);
        }
        if let Some(user) = user {
            return Some(user.to_string() != own);
        }
        let mut is_told = false;
        // An IPv4 connection may be an IPv6 socket's at its other end.
        for name in ["/proc/net/tcp", "/proc/net/tcp6"] {
            let table = fs::read_to_string(name).unwrap_or_default();
            if let Some(user) = user_of(&table, there, here) {
                return Some(user != own && user != "0");
            }
            is_told |= !table.is_empty();
        }
        is_told.then(|| has_gone(stream)).flatten()
    }

    /// Whoever is in no table is in another system, as a browser of Windows' is to WSL, and nothing is
    /// known of them; or has gone meanwhile, and no longer has an owner. A browser would wait for its page.
    fn has_gone(stream: &TcpStream) -> Option<bool> {
        match stream.peek(&mut [0]) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            _ => Some(true),
        }
    }

    /// The effective one.
    fn own_user(status: &str) -> Option<&str> {
        let users = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
        users.split_whitespace().nth(1)
    }

    /// The owner of the socket that is bound to `own` and connected to `other`, if a process has it.
    fn user_of(tables: &str, own: SocketAddr, other: SocketAddr) -> Option<&str> {
        let (own, other) = (written(own), written(other));
        let is_it = |field: &str, forms: &[String]| forms.iter().any(|form| form == field);
        tables.lines().find_map(|line| {
            let fields: Vec<_> = line.split_whitespace().collect();
            match fields[..] {
                [_, local, remote, _, _, _, _, user, _, inode, ..]
                    if is_it(local, &own) && is_it(remote, &other) && inode != "0" =>
                {
                    Some(user)
                }
                _ => None,
            }
        })
    }

    /// As the tables have it: words of the machine's own order. An IPv4 address may be written as an
    /// IPv6 one.
    fn written(address: SocketAddr) -> Vec<String> {
        let word = |bytes: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(bytes));
        let port = address.port();
        match address.ip() {
            IpAddr::V4(ip) => {
                let ip = word(ip.octets());
                let mapped = word([0, 0, 0xff, 0xff]);
                vec![
                    format!("{ip}:{port:04X}"),
                    format!("{:016}{mapped}{ip}:{port:04X}", 0),
                ]
            }
            IpAddr::V6(ip) => {
                let octets = ip.octets();
                let (words, _) = octets.as_chunks();
                let words: String = words.iter().copied().map(word).collect();
                vec![format!("{words}:{port:04X}")]
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[cfg(target_endian = "little")]
        const TABLES: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:22B8 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 7001 1
   1: 0100007F:22B8 0100007F:C350 01 00000000:00000000 00:00000000 00000000  1000        0 7002 1
   2: 0100007F:C350 0100007F:22B8 01 00000000:00000000 00:00000000 00000000  1001        0 7003 1
   3: 0100007F:C351 0100007F:22B8 05 00000000:00000000 03:00000000 00000000     0        0 0 1
   4: 0000000000000000FFFF00000100007F:C352 0000000000000000FFFF00000100007F:22B8 01 0:0 0:0 0 1002 0 7004 1
   5: 00000000000000000000000001000000:C353 00000000000000000000000001000000:22B8 01 0:0 0:0 0 1003 0 7005 1
";

        #[cfg(target_endian = "little")]
        #[test]
        fn a_sockets_owner_is_found_in_the_tables() {
            let user = |own: &str, other: &str| {
                user_of(TABLES, own.parse().unwrap(), other.parse().unwrap())
            };
            let v4 = |port| user(&format!("127.0.0.1:{port}"), "127.0.0.1:8888");
            assert_eq!(v4(50000), Some("1001"));
            // Orphaned, whose owner is no longer known.
            assert_eq!(v4(50001), None);
            assert_eq!(v4(50002), Some("1002"));
            assert_eq!(v4(50009), None);
            assert_eq!(user("[::1]:50003", "[::1]:8888"), Some("1003"));
            assert_eq!(user("127.0.0.1:50000", "127.0.0.1:8889"), None);
        }

        /// A browser of another system's has no entry either.
        #[test]
        fn who_is_in_no_table_has_gone_or_is_elsewhere() {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let browser = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (stream, _) = listener.accept().unwrap();
            stream.set_nonblocking(true).unwrap();
            let stream = TcpStream::from_std(stream);
            assert_eq!(has_gone(&stream), None);
            drop(browser);
            // The end has been sent before this returns, and arrives on loopback.
            while has_gone(&stream).is_none() {
                std::thread::yield_now();
            }
            assert_eq!(has_gone(&stream), Some(true));
        }

        #[test]
        fn the_effective_user_counts() {
            let status = "Name:\tx\nUid:\t1000\t1001\t1002\t1003\nGid:\t1\t1\t1\t1\n";
            assert_eq!(own_user(status), Some("1001"));
            assert_eq!(own_user("Name:\tx\n"), None);
        }
    }
}
