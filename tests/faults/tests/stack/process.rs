//! Kills the process at the other end of a loopback connection.

use std::fs::read_dir;
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill as send};
use nix::unistd::Pid;
use tokio::net::TcpStream;

/// Kills the function that opened this connection, as Lambda does with a function that exceeds its
/// time or memory.
pub(crate) fn kill(connection: &TcpStream) {
    let port = connection.peer_addr().expect("a peer").port();
    let inode = inode(port).expect("the peer's socket");
    let folder = owner(&inode).expect("the peer's process");
    let program = std::fs::read_link(folder.join("exe")).expect("the peer's program");
    assert!(program.ends_with("bootstrap"), "{} is not a function", program.display());
    let pid = folder.file_name().and_then(|name| name.to_str()?.parse().ok()).expect("a process id");
    send(Pid::from_raw(pid), Signal::SIGKILL).expect("killed");
}

/// Finds the inode of the socket with this local port:
/// <https://man7.org/linux/man-pages/man5/proc_pid_net.5.html>.
fn inode(port: u16) -> Option<String> {
    let sockets = std::fs::read_to_string("/proc/net/tcp").ok()?;
    sockets.lines().skip(1).find_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let local = fields.get(1)?.rsplit(':').next()?;
        (u16::from_str_radix(local, 16) == Ok(port)).then(|| fields.get(9).map(ToString::to_string))?
    })
}

/// Finds the `/proc` folder of the process that has this socket open.
fn owner(inode: &str) -> Option<PathBuf> {
    let socket = PathBuf::from(format!("socket:[{inode}]"));
    let opens = |process: &Path| {
        let files = read_dir(process.join("fd")).into_iter().flatten().flatten();
        files.filter_map(|file| std::fs::read_link(file.path()).ok()).any(|target| target == socket)
    };
    read_dir("/proc").ok()?.flatten().map(|entry| entry.path()).find(|process| opens(process))
}
