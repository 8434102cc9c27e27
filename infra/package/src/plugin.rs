//! Builds the Nextflow plugin of `infra/nextflow-plugin` as a zip.
//!
//! The plugin is compiled against pinned jars of Maven Central. `stubs` has the signatures of
//! classes that Maven Central lacks: those of nf-amazon, and the config scopes of Nextflow 25.10.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::release::digest;
use crate::{Error, Result};

/// The plugin's id.
const ID: &str = "nf-pipeline-secrets";
/// The class that pf4j creates.
const CLASS: &str = "pipelinesecrets.SecretsPlugin";
/// The classes that pf4j finds by their type.
const EXTENSIONS: [&str; 2] = ["pipelinesecrets.SecretsBatchExecutor", "pipelinesecrets.SecretsConfig"];
/// The first Nextflow whose nf-amazon uses version 2 of the AWS SDK and whose config scopes are in
/// `nextflow.config.spec`.
pub const REQUIRES: &str = ">=25.10.0";

/// What to build, and where.
#[derive(Clone, Copy, Debug)]
pub struct PluginOrder<'a> {
    /// The checkout.
    pub root: &'a Path,
    /// Where the jars and the classes go.
    pub target: &'a Path,
    /// The folder for the zip.
    pub out: &'a Path,
    /// The versions of Nextflow that load the plugin.
    pub requires: &'a str,
}

/// A built plugin.
#[derive(Debug)]
pub struct Plugin {
    /// Its name and version, which is the name of its folder in `NXF_PLUGINS_DIR`.
    pub name: String,
    /// The zip.
    pub zip: PathBuf,
    /// The SHA-256 digest of the zip, in hexadecimal.
    pub digest: String,
    /// The compiled stubs, until this is dropped. Each build has its own: with a class that an
    /// earlier build left, a source that no longer compiles would still compile here.
    pub stubs: TempDir,
    /// The jars that it is compiled against.
    pub jars: Vec<PathBuf>,
}

/// Compiles the plugin and packs it. The same source and the same JDK give the same bytes.
pub fn package_plugin(order: &PluginOrder<'_>) -> Result<Plugin> {
    let source = order.root.join("infra/nextflow-plugin");
    let version = env!("CARGO_PKG_VERSION");
    let name = format!("{ID}-{version}");
    let folder = |path: &Path| std::path::absolute(path).map_err(Error::file(path));
    let (target, out) = (folder(order.target)?, folder(order.out)?);
    for made in [&target, &out] {
        fs::create_dir_all(made).map_err(Error::file(made))?;
    }
    for program in ["javac", "jar"] {
        check_installed(program, "openjdk-17-jdk-headless")?;
    }
    let jars = jars(&source.join("jars.sha256"), &target.join("jars"))?;

    let temporary = || tempfile::tempdir_in(&target).map_err(Error::file(&target));
    let (build, stubs) = (temporary()?, temporary()?);
    let plugin = build.path().join("plugin");
    let classes = plugin.join("classes");
    compile(&source.join("stubs"), &jars, stubs.path())?;
    compile(&source.join("src"), &[&[stubs.path().to_owned()][..], &jars].concat(), &classes)?;
    let manifest = format!(
        "Manifest-Version: 1.0\nPlugin-Class: {CLASS}\nPlugin-Id: {ID}\nPlugin-Version: {version}\n\
         Plugin-Provider: Pipeline Secrets\nPlugin-Requires: {}\nPlugin-Dependencies: nf-amazon\n\n",
        order.requires
    );
    write(&classes.join("META-INF/MANIFEST.MF"), &manifest)?;
    write(&classes.join("META-INF/extensions.idx"), &(EXTENSIONS.join("\n") + "\n"))?;
    let lib = plugin.join("lib");
    fs::create_dir_all(&lib).map_err(Error::file(&lib))?;

    let zip = out.join(format!("{name}.zip"));
    // The date is the first that a zip can hold without a time zone.
    let mut jar = Command::new("jar");
    jar.current_dir(&plugin).args(["--create", "--no-manifest", "--date=1980-01-01T00:00:02Z"]);
    jar.arg("--file").arg(&zip).args(files(&plugin, &classes)?).arg("lib");
    run(&mut jar, "jar")?;
    let bytes = fs::read(&zip).map_err(Error::file(&zip))?;
    Ok(Plugin { name, zip, digest: digest(&bytes), stubs, jars })
}

/// Compiles all Java files of a folder for Nextflow's oldest Java.
fn compile(source: &Path, path: &[PathBuf], classes: &Path) -> Result<()> {
    let path = std::env::join_paths(path).map_err(|error| Error::Program {
        what: "javac",
        reason: format!("a folder of the class path has a colon in its name: {error}"),
    })?;
    let mut javac = Command::new("javac");
    javac.current_dir(source).args(["--release", "17", "-proc:none", "-Xlint:all", "-Werror", "-encoding"]);
    javac.arg("UTF-8").arg("-cp").arg(path).arg("-d").arg(classes).args(files(source, source)?);
    run(&mut javac, "javac")
}

/// The files below a folder, relative to the root, in alphabetical order.
fn files(root: &Path, folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::file(folder))? {
        let path = entry.map_err(Error::file(folder))?.path();
        if path.is_dir() {
            found.extend(files(root, &path)?);
        } else {
            found.push(path.strip_prefix(root).unwrap_or(&path).to_owned());
        }
    }
    found.sort();
    Ok(found)
}

/// A jar of Maven Central and its digest.
struct Pin<'a> {
    digest: &'a str,
    group: &'a str,
    artifact: &'a str,
    version: &'a str,
}

impl<'a> Pin<'a> {
    /// Reads a line of `jars.sha256`: digest, two spaces, `group:artifact:version`.
    fn read(line: &'a str) -> Option<Self> {
        let (digest, coordinates) = line.split_once("  ")?;
        let mut parts = coordinates.split(':');
        let pin = Self { digest, group: parts.next()?, artifact: parts.next()?, version: parts.next()? };
        parts.next().is_none().then_some(pin)
    }

    fn path(&self, folder: &Path) -> PathBuf {
        folder.join(format!("{}-{}.jar", self.artifact, self.version))
    }

    /// Whether the folder has the jar. A jar with other content is an error.
    fn is_in(&self, folder: &Path) -> Result<bool> {
        let path = self.path(folder);
        match fs::read(&path) {
            Ok(bytes) if digest(&bytes) == self.digest => Ok(true),
            Ok(_) => Err(Error::Jar { path }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::file(&path)(error)),
        }
    }

    fn dependency(&self) -> String {
        let Self { group, artifact, version, .. } = self;
        format!(
            "<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>\
             <version>{version}</version><exclusions><exclusion><groupId>*</groupId>\
             <artifactId>*</artifactId></exclusion></exclusions></dependency>\n"
        )
    }
}

/// The pinned jars in this folder. Maven, with its own settings, downloads those that are missing.
fn jars(pins: &Path, folder: &Path) -> Result<Vec<PathBuf>> {
    let text = fs::read_to_string(pins).map_err(Error::file(pins))?;
    let malformed =
        || Error::file(pins)(std::io::Error::other("a line is not `sha256  group:artifact:version`"));
    let pins: Vec<_> = text.lines().map(Pin::read).collect::<Option<_>>().ok_or_else(malformed)?;
    let all_are_in =
        |folder| pins.iter().try_fold(true, |all, pin: &Pin<'_>| Ok::<_, Error>(pin.is_in(folder)? && all));
    if !all_are_in(folder)? {
        check_installed("mvn", "maven")?;
        let dependencies: String = pins.iter().map(Pin::dependency).collect();
        let pom = folder.join("pom.xml");
        write(
            &pom,
            &format!(
                "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion>\n\
                 <groupId>local</groupId><artifactId>jars</artifactId><version>1</version>\
                 <packaging>pom</packaging>\n<dependencies>\n{dependencies}</dependencies>\n</project>\n"
            ),
        )?;
        let mut maven = Command::new("mvn");
        maven.args(["-q", "-B", "-ntp", "-f"]).arg(&pom);
        maven.arg("org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies");
        maven.arg(format!("-DoutputDirectory={}", folder.display()));
        run(&mut maven, "mvn")?;
        if let Some(missing) = pins.iter().find(|pin| !pin.path(folder).exists()) {
            return Err(Error::file(&missing.path(folder))(std::io::ErrorKind::NotFound.into()));
        }
        all_are_in(folder)?;
    }
    Ok(pins.iter().map(|pin| pin.path(folder)).collect())
}

fn check_installed(program: &'static str, package: &'static str) -> Result<()> {
    let version = Command::new(program).arg("--version").stdin(Stdio::null()).output();
    match version {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Error::Java { program, package }),
        Err(error) => Err(Error::Program { what: program, reason: error.to_string() }),
    }
}

fn run(command: &mut Command, what: &'static str) -> Result<()> {
    command.env_remove("JAVA_TOOL_OPTIONS").stdin(Stdio::null()).stdout(std::io::stderr());
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Error::Program { what, reason: status.to_string() }),
        Err(error) => Err(Error::Program { what, reason: error.to_string() }),
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(Error::file(folder))?;
    fs::write(path, text).map_err(Error::file(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jar_with_other_content_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let pins = folder.path().join("jars.sha256");
        fs::write(&pins, format!("{}  group:artifact:1.0\n", digest(b"a jar"))).unwrap();
        let jar = folder.path().join("artifact-1.0.jar");
        fs::write(&jar, "a jar").unwrap();
        assert_eq!(jars(&pins, folder.path()).unwrap(), std::slice::from_ref(&jar));
        fs::write(&jar, "another jar").unwrap();
        let refused = jars(&pins, folder.path()).unwrap_err().to_string();
        assert!(refused.contains("artifact-1.0.jar"), "{refused}");
    }

    #[test]
    fn a_malformed_pin_is_refused() {
        for line in ["", "group:artifact:1.0", "digest  group:artifact", "digest  a:b:c:d"] {
            assert!(Pin::read(line).is_none(), "{line}");
        }
    }

    #[test]
    fn a_missing_jdk_is_named_with_its_package() {
        let missing = check_installed("javac-that-does-not-exist", "openjdk-17-jdk-headless").unwrap_err();
        assert!(missing.to_string().contains("Debian package openjdk-17-jdk-headless"), "{missing}");
    }
}
