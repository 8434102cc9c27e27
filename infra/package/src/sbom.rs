//! The software bill of materials, in JSON of `CycloneDX`: what is linked into the functions.
//!
//! cargo-cyclonedx reads `cargo metadata`, which enables the features of every package of the
//! workspace, tests included, and so lists crates that no function links. `cargo tree` resolves
//! features for the selected packages alone, as the build does. The document has no time and no
//! serial number: <https://cyclonedx.org/docs/1.6/json/>.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::{Arch, Error, Result};

const NAME: &str = "pipeline-secrets";
const VERSION: &str = env!("CARGO_PKG_VERSION");
const REPOSITORY: &str = env!("CARGO_PKG_REPOSITORY");

/// A package that is linked, as `cargo tree` prints it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Package {
    name: String,
    version: String,
    /// Its folder in this checkout; none for a package of crates.io.
    folder: Option<String>,
    license: String,
    repository: String,
}

/// Each package with those that it depends on.
type Graph = BTreeMap<Package, BTreeSet<Package>>;

impl Package {
    /// <https://github.com/package-url/purl-spec/blob/main/PURL-TYPES.rst>
    fn purl(&self) -> String {
        match &self.folder {
            Some(folder) => format!("{}#{folder}", project_purl()),
            // A `+` of a version's build metadata is percent-encoded.
            None => format!("pkg:cargo/{}@{}", self.name, self.version.replace('+', "%2B")),
        }
    }

    fn is_function(&self) -> bool {
        self.folder.as_ref().is_some_and(|folder| folder.starts_with("functions/"))
    }

    fn component(&self, checksums: &BTreeMap<(String, String), String>) -> Result<Value> {
        let kind = if self.is_function() { "application" } else { "library" };
        let mut component = json!({
            "type": kind,
            "bom-ref": self.purl(),
            "name": self.name,
            "version": self.version,
            "scope": "required",
            "purl": self.purl(),
        });
        if !self.license.is_empty() {
            // Old manifests separate alternatives by a slash.
            component["licenses"] = json!([{ "expression": self.license.replace('/', " OR ") }]);
        }
        if self.folder.is_none() {
            let checksum = checksums.get(&(self.name.clone(), self.version.clone())).ok_or_else(|| {
                Error::Sbom(format!("Cargo.lock has no checksum of {} {}", self.name, self.version))
            })?;
            component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
        }
        if !self.repository.is_empty() {
            component["externalReferences"] = json!([{ "type": "vcs", "url": self.repository }]);
        }
        Ok(component)
    }
}

/// Lists what is linked into the functions, for both architectures.
pub(crate) fn of_functions(root: &Path) -> Result<Value> {
    let mut tree = Command::new(cargo());
    tree.current_dir(root).args(["tree", "--locked", "--edges", "normal,no-proc-macro"]);
    tree.args(["--prefix", "depth", "--format", "\t{p}\t{l}\t{r}\t"]);
    for arch in Arch::ALL {
        tree.args(["--target", arch.target()]);
    }
    for function in crate::functions(root).map_err(Error::file(&root.join("functions")))? {
        tree.args(["--package", &function]);
    }
    let graph = read_tree(&root.display().to_string(), &output(tree, "cargo tree")?)?;
    let lock = root.join("Cargo.lock");
    let checksums = read_checksums(&std::fs::read_to_string(&lock).map_err(Error::file(&lock))?);
    let mut rustc = Command::new("rustc");
    rustc.current_dir(root).arg("--version");
    let rust = output(rustc, "rustc --version")?;
    let rust = rust.split_whitespace().nth(1).unwrap_or_default().to_owned();
    document(&graph, &checksums, &rust)
}

fn document(graph: &Graph, checksums: &BTreeMap<(String, String), String>, rust: &str) -> Result<Value> {
    let standard_library = format!("pkg:generic/rust-std@{rust}");
    let mut components = vec![json!({
        "type": "library",
        "bom-ref": standard_library,
        "name": "rust-std",
        "version": rust,
        "description": "Rust's standard library, of the compiler that built the functions",
        "scope": "required",
        "licenses": [{ "expression": "MIT OR Apache-2.0" }],
        "purl": standard_library,
        "externalReferences": [{ "type": "vcs", "url": "https://github.com/rust-lang/rust" }],
    })];
    let mut dependencies =
        BTreeMap::from([(project_purl(), BTreeSet::new()), (standard_library.clone(), BTreeSet::new())]);
    for (package, on) in graph {
        components.push(package.component(checksums)?);
        let mut on: BTreeSet<_> = on.iter().map(Package::purl).collect();
        if package.is_function() {
            on.insert(standard_library.clone());
            dependencies.entry(project_purl()).or_default().insert(package.purl());
        }
        dependencies.insert(package.purl(), on);
    }
    let dependencies: Vec<_> =
        dependencies.into_iter().map(|(package, on)| json!({ "ref": package, "dependsOn": on })).collect();
    Ok(json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": project_purl(),
                "name": NAME,
                "version": VERSION,
                "licenses": [{ "expression": env!("CARGO_PKG_LICENSE") }],
                "purl": project_purl(),
                "externalReferences": [{ "type": "vcs", "url": REPOSITORY }],
            },
        },
        "components": components,
        "dependencies": dependencies,
    }))
}

fn project_purl() -> String {
    let repository = REPOSITORY.strip_prefix("https://github.com/").unwrap_or(REPOSITORY);
    format!("pkg:github/{repository}@v{VERSION}")
}

/// Reads lines such as `2 tab libc v0.2.191 tab MIT OR Apache-2.0 tab https://… tab (*)`. The
/// number is the depth; a package that was printed before ends with `(*)` and has no lines below
/// it.
fn read_tree(root: &str, text: &str) -> Result<Graph> {
    let mut graph = Graph::new();
    let mut path: Vec<Package> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let unknown = || Error::Sbom(format!("cargo tree printed an unknown line: {line}"));
        let mut fields = line.split('\t');
        let mut next = || fields.next().ok_or_else(unknown);
        let (depth, package, license, repository) = (next()?, next()?, next()?, next()?);
        let depth: usize = depth.parse().map_err(|_| unknown())?;
        let (name, rest) = package.split_once(" v").ok_or_else(unknown)?;
        let (version, folder) = match rest.split_once(" (") {
            None => (rest, None),
            Some((version, folder)) => {
                let folder = folder.strip_prefix(root).and_then(|folder| folder.strip_prefix('/'));
                let folder = folder.and_then(|folder| folder.strip_suffix(')')).ok_or_else(unknown)?;
                (version, Some(folder.to_owned()))
            }
        };
        let package = Package {
            name: name.to_owned(),
            version: version.to_owned(),
            folder,
            license: license.to_owned(),
            repository: repository.to_owned(),
        };
        path.truncate(depth);
        if path.len() != depth {
            return Err(unknown());
        }
        if let Some(parent) = path.last() {
            graph.entry(parent.clone()).or_default().insert(package.clone());
        }
        graph.entry(package.clone()).or_default();
        path.push(package);
    }
    Ok(graph)
}

/// The checksums of `Cargo.lock` by name and version. cargo writes each key on its own line.
fn read_checksums(lock: &str) -> BTreeMap<(String, String), String> {
    let value = |block: &str, key: &str| {
        let start = format!("{key} = \"");
        let found = block.lines().find_map(|line| line.strip_prefix(&start)?.strip_suffix('"'));
        found.map(str::to_owned)
    };
    lock.split("[[package]]")
        .filter_map(|block| {
            Some(((value(block, "name")?, value(block, "version")?), value(block, "checksum")?))
        })
        .collect()
}

fn cargo() -> std::ffi::OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

fn output(mut command: Command, what: &'static str) -> Result<String> {
    let failed = |reason: String| Error::Program { what, reason };
    let output = command.output().map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    String::from_utf8(output.stdout).map_err(|error| failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(bom: &Value) -> BTreeSet<&str> {
        bom["components"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect()
    }

    #[test]
    fn the_sbom_has_what_functions_link_and_nothing_that_builds_or_tests_them() {
        let root = crate::checkout().unwrap();
        let bom = of_functions(&root).unwrap();
        let names = names(&bom);
        let mut linked = vec!["aws-lc-sys", "aws-sdk-dynamodb", "domain", "zeroizing-alloc", "rust-std"];
        let functions = crate::functions(&root).unwrap();
        linked.extend(functions.iter().map(String::as_str));
        for name in linked {
            assert!(names.contains(name), "{name} is missing");
        }
        for name in ["dynoxide-rs", "proptest", "schemars", "serde_derive", "cc", "ring", "package-functions"]
        {
            assert!(!names.contains(name), "{name} is not linked");
        }
    }

    #[test]
    fn every_component_has_a_license_and_every_crate_the_checksum_of_the_lock_file() {
        let bom = of_functions(&crate::checkout().unwrap()).unwrap();
        let mut references = BTreeSet::new();
        for component in bom["components"].as_array().unwrap() {
            assert!(component["licenses"][0]["expression"].is_string(), "{component}");
            let purl = component["purl"].as_str().unwrap();
            assert_eq!(
                purl.starts_with("pkg:cargo/"),
                component["hashes"][0]["content"].is_string(),
                "{component}"
            );
            assert!(references.insert(purl), "{purl} is there twice");
        }
        for dependency in bom["dependencies"].as_array().unwrap() {
            for on in dependency["dependsOn"].as_array().unwrap() {
                assert!(references.contains(on.as_str().unwrap()), "{on} is no component");
            }
        }
        let text = bom.to_string();
        assert!(!text.contains(&crate::checkout().unwrap().display().to_string()), "a path of this machine");
    }

    #[test]
    fn a_line_that_cargo_tree_did_not_print_so_far_is_refused() {
        let tree = "0\tone v1.0.0 (/x/functions/one)\tMIT\t\t\n1\ttwo v2.0.0\tMIT\t\t (*)\n";
        let graph = read_tree("/x", tree).unwrap();
        assert_eq!(graph.len(), 2);
        for line in
            ["", "x\ttwo v2\tMIT\t\t", "1\ttwo\tMIT\t\t", "2\ttwo v2\tMIT\t\t", "1\ttwo v2 (/y)\tMIT\t\t"]
        {
            assert_eq!(
                read_tree("/x", &format!("{tree}0\tone v1\t\t\t\n{line}")).is_ok(),
                line.is_empty(),
                "{line}"
            );
        }
    }
}
