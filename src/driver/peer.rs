//! Whose program is at the other end of a connection on this machine.

use mio::net::TcpStream;

/// Whether it is another person's, or nobody's any more. Linux says so; elsewhere, and where it does not
/// say, it is not.
///
/// Nobody is asked about root, who can do anything anyway, and may stand between a browser and this
/// program where a port is forwarded; nor by root, whose browser is the person's who became root.
pub(super) fn is_of_another_user(stream: &TcpStream) -> bool {
    #[cfg(target_os = "linux")]
    let is_other = linux::is_of_another_user(stream);
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
    use std::io::{self, ErrorKind};
    use std::net::{IpAddr, SocketAddr};

    use mio::net::TcpStream;

    use crate::driver::sock_diag::{self, Owner};

    pub(super) fn is_of_another_user(stream: &TcpStream) -> bool {
        let here = stream.local_addr();
        let ends = here.and_then(|here| Ok((here, stream.peer_addr()?))).ok();
        let owner = match ends {
            Some((here, there)) => sock_diag::owner_of(there, here),
            // Whoever resets the connection has no address any more, though what they sent is still here.
            None => Some(Owner::Nobody),
        };
        // As it nearly always is, and then nothing has to be read.
        if let (Some((here, there)), Some(Owner::User(user))) = (ends, owner)
            && (user == 0 || sock_diag::owner_of(here, there) == owner)
        {
            return false;
        }
        is_not_ours(stream, ends, owner).unwrap_or_else(|error| !is_untold(&error))
    }

    /// Only a system that does not tell leaves everybody in. One that cannot at the moment, because others
    /// have used up the descriptors for instance, does not.
    fn is_untold(error: &io::Error) -> bool {
        matches!(
            error.kind(),
            ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::Unsupported
        )
    }

    fn is_not_ours(
        stream: &TcpStream,
        ends: Option<(SocketAddr, SocketAddr)>,
        owner: Option<Owner>,
    ) -> io::Result<bool> {
        let own = own_user(&read("/proc/self/status")?);
        // In a container with users of its own, others all look alike.
        let users = read("/proc/self/uid_map")?;
        let has_all_users = users.split_whitespace().eq(["0", "0", "4294967295"]);
        let Some(own) = own.filter(|&own| own != 0 && has_all_users) else {
            return Ok(false);
        };
        let owner = match (owner, ends) {
            (None, Some((here, there))) => owner_in_tables(there, here)?,
            _ => owner,
        };
        Ok(match owner {
            Some(Owner::User(user)) => user != own && user != 0,
            Some(Owner::Nobody) => true,
            None => has_gone(stream, &read("/proc/sys/kernel/osrelease")?),
        })
    }

    fn owner_in_tables(own: SocketAddr, other: SocketAddr) -> io::Result<Option<Owner>> {
        let owner = owner_in(&read("/proc/net/tcp")?, own, other);
        if owner.is_some() {
            return Ok(owner);
        }
        // An IPv4 connection may be an IPv6 socket's at its other end. Without IPv6 there is no such table.
        match read("/proc/net/tcp6") {
            Err(error) if is_untold(&error) => Ok(None),
            table => Ok(owner_in(&table?, own, other)),
        }
    }

    /// A program's name, which `status` has, may be of any bytes.
    fn read(name: &str) -> io::Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(name)?).into_owned())
    }

    /// Whoever is in no table has gone, though a connection that timed out at their end does not show it
    /// here. Only to WSL, a browser of Windows' is in none either; but it would wait for its page.
    fn has_gone(stream: &TcpStream, release: &str) -> bool {
        let is_silent =
            matches!(stream.peek(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock);
        !(is_silent && release.to_ascii_lowercase().contains("microsoft"))
    }

    /// The effective one.
    fn own_user(status: &str) -> Option<u32> {
        let users = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
        users.split_whitespace().nth(1)?.parse().ok()
    }

    /// Who has the socket that is bound to `own` and connected to `other`, if it is there.
    fn owner_in(table: &str, own: SocketAddr, other: SocketAddr) -> Option<Owner> {
        let (own, other) = (written(own), written(other));
        let is_it = |field: &str, forms: &[String]| forms.iter().any(|form| form == field);
        table.lines().find_map(|line| {
            let fields: Vec<_> = line.split_whitespace().collect();
            match fields[..] {
                [_, local, remote, _, _, _, _, user, _, inode, ..]
                    if is_it(local, &own) && is_it(remote, &other) =>
                {
                    Some(Owner::of(user.parse().ok()?, inode.parse().ok()?))
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
            let owner = |own: &str, other: &str| {
                owner_in(TABLES, own.parse().unwrap(), other.parse().unwrap())
            };
            let v4 = |port| owner(&format!("127.0.0.1:{port}"), "127.0.0.1:8888");
            assert_eq!(v4(50000), Some(Owner::User(1001)));
            // Closed by its process, though its end may not have been sent yet.
            assert_eq!(v4(50001), Some(Owner::Nobody));
            assert_eq!(v4(50002), Some(Owner::User(1002)));
            assert_eq!(v4(50009), None);
            assert_eq!(owner("[::1]:50003", "[::1]:8888"), Some(Owner::User(1003)));
            assert_eq!(owner("127.0.0.1:50000", "127.0.0.1:8889"), None);
        }

        #[test]
        fn who_is_in_no_table_has_gone_or_is_elsewhere() {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let browser = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (stream, _) = listener.accept().unwrap();
            stream.set_nonblocking(true).unwrap();
            let stream = TcpStream::from_std(stream);
            let wsl = "5.15.167.4-microsoft-standard-WSL2\n";
            assert!(!has_gone(&stream, wsl));
            assert!(has_gone(&stream, "6.12.0-generic\n"));
            drop(browser);
            // The end has been sent before this returns, and arrives on loopback.
            while !has_gone(&stream, wsl) {
                std::thread::yield_now();
            }
        }

        #[test]
        fn only_a_system_that_does_not_tell_leaves_everybody_in() {
            let is_untold = |number| is_untold(&io::Error::from_raw_os_error(number));
            let (eperm, enoent, eacces, enosys) = (1, 2, 13, 38);
            assert!([eperm, enoent, eacces, enosys].into_iter().all(is_untold));
            let (enomem, enfile, emfile, enobufs) = (12, 23, 24, 105);
            assert!(![enomem, enfile, emfile, enobufs].into_iter().any(is_untold));
        }

        #[test]
        fn the_effective_user_counts() {
            let status = "Name:\tx\nUid:\t1000\t1001\t1002\t1003\nGid:\t1\t1\t1\t1\n";
            assert_eq!(own_user(status), Some(1001));
            assert_eq!(own_user("Name:\tx\n"), None);
        }
    }
}
