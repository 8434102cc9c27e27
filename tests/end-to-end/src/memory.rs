//! Searches the memory of the functions' processes.

use std::collections::BTreeSet;
use std::fs::{File, read, read_link, read_to_string};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::sinks::descendants;

/// A process of a function.
pub struct Process {
    /// The function and the process id.
    pub name: String,
    /// Its writable memory except the stack, concatenated: mainly the heap.
    pub memory: Vec<u8>,
}

/// Reads the memory of every function process that descends from this process. Linux allows reading
/// descendants, unless `kernel.yama.ptrace_scope` is above 1; then this fails.
#[must_use]
pub fn functions() -> Vec<Process> {
    let folders = descendants().into_iter().map(|pid| Path::new("/proc").join(pid.to_string()));
    let functions =
        folders.filter(|folder| read_link(folder.join("exe")).is_ok_and(|exe| exe.ends_with("bootstrap")));
    functions.map(|folder| Process { name: name(&folder), memory: memory(&folder) }).collect()
}

fn name(process: &Path) -> String {
    let environment = read(process.join("environ")).unwrap_or_default();
    let environment = String::from_utf8_lossy(&environment);
    let function =
        environment.split('\0').find_map(|variable| variable.strip_prefix("AWS_LAMBDA_FUNCTION_NAME="));
    format!("{} {}", function.unwrap_or("?"), process.display())
}

/// <https://man7.org/linux/man-pages/man5/proc_pid_maps.5.html>: `from-to permissions offset device
/// inode path`.
fn memory(process: &Path) -> Vec<u8> {
    let maps = read_to_string(process.join("maps")).expect("the process's maps");
    let mut memory = File::open(process.join("mem")).expect("the process's memory");
    let mut found = Vec::new();
    for map in maps.lines() {
        let mut fields = map.split_whitespace();
        let (range, permissions) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
        let (from, to) = range.split_once('-').expect("a range");
        let [from, to] = [from, to].map(|address| u64::from_str_radix(address, 16).expect("an address"));
        // The stack is excluded: vector registers spilled there hold up to 64 bytes of the last
        // copy.
        if permissions.starts_with("rw") && !map.ends_with("[stack]") {
            memory.seek(SeekFrom::Start(from)).expect("an address in it");
            // Regions that only the kernel may read, or that were unmapped since, are skipped.
            let _ = (&memory).take(to - from).read_to_end(&mut found);
        }
    }
    found
}

/// Returns each occurrence of these texts in these bytes, with 80 bytes of context on each side.
/// Uses `grep`: a debug build takes minutes for hundreds of texts in hundreds of megabytes.
#[must_use]
pub fn search(bytes: &[u8], texts: &BTreeSet<String>) -> Vec<String> {
    let mut list = tempfile::NamedTempFile::new().expect("a file");
    let lines: Vec<_> = texts.iter().map(String::as_str).collect();
    list.write_all(lines.join("\n").as_bytes()).expect("a written file");
    let mut grep = Command::new("grep");
    grep.args(["--text", "--only-matching", "--byte-offset", "--fixed-strings", "--file"]).arg(list.path());
    grep.env("LC_ALL", "C").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut grep = grep.spawn().expect("grep");
    let mut input = grep.stdin.take().expect("its input");
    let output = std::thread::scope(|scope| {
        scope.spawn(move || input.write_all(bytes).expect("read by grep"));
        grep.wait_with_output().expect("its output")
    });
    assert!(output.status.code().is_some_and(|code| code < 2), "grep failed: {}", output.status);
    let output = String::from_utf8_lossy(&output.stdout);
    let places = output.lines().filter_map(|line| line.split(':').next()?.parse::<usize>().ok());
    let kept = places.filter(|at| !is_received(bytes, *at));
    kept.map(|at| bytes[at.saturating_sub(80)..(at + 80).min(bytes.len())].escape_ascii().to_string())
        .collect()
}

/// Whether a position lies in the receive buffer of the connection to the Lambda Runtime API. For
/// events of more than 8 KiB the buffer grows and then keeps its content until it is overwritten.
/// `lambda_runtime` owns that connection, and has no setting for it. Such text starts with one of
/// Lambda's headers.
fn is_received(bytes: &[u8], at: usize) -> bool {
    let text = bytes[..at].rsplit(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).to_ascii_lowercase().contains("lambda-runtime-aws-request-id")
}
