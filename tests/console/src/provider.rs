//! A real OpenID Connect provider on loopback: `oidc-provider` from npm.

use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// The client ID of the console at the provider.
pub const CLIENT: &str = "console";
/// The audience of its access tokens: a URI, because the provider follows RFC 8707.
pub const AUDIENCE: &str = "https://secrets.example.org";

/// A provider. It stops when this value is dropped.
pub struct Provider {
    /// Its issuer, on another host than the console, so that the browser keeps their cookies apart.
    pub issuer: String,
    _process: Child,
}

impl Provider {
    /// Starts the provider. `checks` is the folder in which `install-checkers` installed it; `None`
    /// if it is not there.
    pub async fn start(checks: &Path) -> Option<Self> {
        if !checks.join("node_modules/oidc-provider").is_dir() {
            return None;
        }
        // A module finds its packages from its own folder on.
        let script = checks.join("provider.mjs");
        std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("provider.mjs"), &script).expect("a script");
        let mut process = Command::new("node")
            .arg(script)
            .args([CLIENT, AUDIENCE])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .ok()?;
        let mut lines = BufReader::new(process.stdout.take().expect("its output")).lines();
        let issuer = lines.next_line().await.expect("its output").expect("the provider's issuer");
        // A provider whose output nothing reads stops at its next line.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Some(Self { issuer, _process: process })
    }
}
