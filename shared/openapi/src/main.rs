//! `cargo run -p openapi`: writes `docs/openapi.json`.

use std::path::Path;

fn main() -> std::io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::fs::write(root.join("docs/openapi.json"), openapi::text())
}
