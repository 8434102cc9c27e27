//! The Nextflow plugin: its zip, the job definitions that it makes, and a real Nextflow that loads
//! it beside a stand-in for nf-amazon, which is on no public registry of jars.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use package_functions::{Plugin, PluginOrder, REQUIRES, checkout, package_plugin};

/// The newest Nextflow on Maven Central.
const NEXTFLOW: &str = "25.04.4";

/// `None`, with a message on standard error, if Java or Maven is not installed. In CI, no test may
/// be skipped.
fn build(out: &Path, requires: &str) -> Option<Plugin> {
    let found = |program: &str| Command::new(program).arg("--version").output().is_ok();
    if !["javac", "mvn"].into_iter().all(found) {
        assert!(std::env::var_os("CI").is_none(), "Java and Maven are not installed");
        let _ = writeln!(std::io::stderr(), "skipped: Java or Maven is not installed");
        return None;
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("nextflow-plugin");
    let _lock = lock(&target);
    let root = checkout().unwrap();
    Some(package_plugin(&PluginOrder { root: &root, target: &target, out, requires }).unwrap())
}

/// The tests of real-clients use the same folder and lock.
fn nextflow() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("nextflow-{NEXTFLOW}"));
    let _lock = lock(&folder);
    let script = checkout().unwrap().join("tests/real-clients/setup-nextflow.sh");
    succeed(Command::new(script).arg(&folder).arg(NEXTFLOW));
    folder
}

fn lock(folder: &Path) -> fs::File {
    fs::create_dir_all(folder.parent().unwrap()).unwrap();
    let mut name = folder.as_os_str().to_owned();
    name.push(".lock");
    let lock = fs::File::create(name).unwrap();
    lock.lock().unwrap();
    lock
}

#[track_caller]
fn succeed(command: &mut Command) -> String {
    let (code, text) = run(command);
    assert_eq!(code, Some(0), "{text}");
    text
}

/// The exit code, and everything that the command prints.
fn run(command: &mut Command) -> (Option<i32>, String) {
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

fn unpack(plugin: &Plugin, plugins: &Path) -> PathBuf {
    let folder = plugins.join(&plugin.name);
    fs::create_dir_all(&folder).unwrap();
    succeed(Command::new("jar").current_dir(&folder).arg("--extract").arg("--file").arg(&plugin.zip));
    folder
}

#[test]
fn the_same_source_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let Some(one) = build(&folder.path().join("one"), REQUIRES) else { return };
    let two = build(&folder.path().join("two"), REQUIRES).unwrap();
    assert_eq!(fs::read(&one.zip).unwrap(), fs::read(&two.zip).unwrap());
    assert_eq!(one.digest, two.digest);
    assert_ne!(one.stubs.path(), two.stubs.path(), "a build sees no class of another build");
    assert_eq!(one.name, format!("nf-pipeline-secrets-{}", env!("CARGO_PKG_VERSION")));
    let plugin = unpack(&one, folder.path());
    let manifest = fs::read_to_string(plugin.join("classes/META-INF/MANIFEST.MF")).unwrap();
    assert!(manifest.contains("\nPlugin-Requires: >=25.10.0\n"), "{manifest}");
    assert!(plugin.join("lib").is_dir());
    let extensions = fs::read_to_string(plugin.join("classes/META-INF/extensions.idx")).unwrap();
    for class in extensions.lines() {
        assert!(plugin.join("classes").join(class.replace('.', "/") + ".class").is_file(), "{class}");
    }
}

#[test]
fn job_definitions_have_the_secrets_of_their_tasks() {
    let folder = tempfile::tempdir().unwrap();
    let Some(plugin) = build(folder.path(), REQUIRES) else { return };
    let classes = unpack(&plugin, folder.path()).join("classes");
    let tests = folder.path().join("tests");
    let jars = nextflow().join("lib/*");
    let mut path = vec![tests.clone(), classes, plugin.stubs.path().to_owned(), jars];
    path.extend(plugin.jars);
    let path = std::env::join_paths(path).unwrap();
    let source = checkout().unwrap().join("infra/nextflow-plugin/tests/pipelinesecrets/SecretsTest.java");
    let mut javac = Command::new("javac");
    succeed(
        javac.args(["--release", "17", "-proc:none", "-d"]).arg(&tests).arg("-cp").arg(&path).arg(source),
    );
    let mut java = Command::new("java");
    let text =
        succeed(java.current_dir(folder.path()).arg("-cp").arg(path).arg("pipelinesecrets.SecretsTest"));
    assert_eq!(text.lines().filter(|line| line.starts_with("ok: ")).count(), 7, "{text}");
}

const PIPELINE: &str = "
process fetch {
  container 'image'
  secret 'A_KEY'
  errorStrategy 'retry'
  script: 'true'
}
process plain {
  container 'image'
  script: 'true'
}
workflow {
  plain()
  fetch()
}
";

/// The plugin and a stand-in for nf-amazon, in a folder that Nextflow takes its plugins from.
struct Installed {
    folder: tempfile::TempDir,
    nextflow: PathBuf,
}

impl Installed {
    fn new() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let plugins = folder.path().join("plugins");
        let plugin = build(folder.path(), ">=25.04.0")?;
        unpack(&plugin, &plugins);
        let amazon = plugins.join("nf-amazon-3.0.0");
        let classes = amazon.join("classes");
        fs::create_dir_all(amazon.join("lib")).unwrap();
        for jar in plugin.jars.iter().filter(|jar| is_of_the_sdk(jar)) {
            fs::copy(jar, amazon.join("lib").join(jar.file_name().unwrap())).unwrap();
        }
        succeed(Command::new("cp").arg("-r").arg(plugin.stubs.path()).arg(&classes));
        fs::create_dir_all(classes.join("META-INF")).unwrap();
        let manifest = "Manifest-Version: 1.0\nPlugin-Class: nextflow.cloud.aws.AmazonPlugin\n\
            Plugin-Id: nf-amazon\nPlugin-Version: 3.0.0\nPlugin-Requires: >=25.04.0\nPlugin-Provider: test\n\n";
        fs::write(classes.join("META-INF/MANIFEST.MF"), manifest).unwrap();
        let extensions = "nextflow.cloud.aws.batch.AwsBatchExecutor\n";
        fs::write(classes.join("META-INF/extensions.idx"), extensions).unwrap();
        fs::write(folder.path().join("main.nf"), PIPELINE).unwrap();
        Some(Self { folder, nextflow: nextflow().join("nextflow") })
    }

    /// Runs the pipeline with this config.
    fn run(&self, config: &str) -> (Option<i32>, String) {
        let version = env!("CARGO_PKG_VERSION");
        let plugins = format!("plugins {{ id 'nf-amazon@3.0.0'; id 'nf-pipeline-secrets@{version}' }}");
        let config = format!("{plugins}\nprocess.executor = 'awsbatch'\n{config}\n");
        let folder = self.folder.path();
        fs::write(folder.join("secrets.config"), config).unwrap();
        let mut command = Command::new(&self.nextflow);
        command.args(["-log", "nextflow.log", "-c", "secrets.config", "run", "main.nf"]).current_dir(folder);
        command.env("NXF_HOME", folder.join("home")).env("NXF_PLUGINS_DIR", folder.join("plugins"));
        command.env_remove("TOWER_ACCESS_TOKEN").env_remove("TOWER_WORKFLOW_ID");
        let (code, text) = run(&mut command);
        let log = fs::read_to_string(folder.join("nextflow.log")).unwrap_or_default();
        (code, format!("{text}\n{log}"))
    }
}

fn is_of_the_sdk(jar: &Path) -> bool {
    let name = jar.file_name().unwrap().to_string_lossy();
    ["batch-", "sdk-core-", "utils-"].iter().any(|start| name.starts_with(start))
}

#[test]
fn a_real_nextflow_loads_the_plugin_and_prefers_its_executor() {
    let Some(installed) = Installed::new() else { return };
    let scope = "pipelineSecrets.workflowId = 'run-1'\npipelineSecrets.valueFrom = ";
    let (code, text) = installed.run(&format!("{scope}[A_KEY: 'arn:aws:run-1:A_KEY::']"));
    assert_eq!(code, Some(0), "{text}");
    for line in ["submitted fetch [image, secret:A_KEY=arn:aws:run-1:A_KEY::]", "submitted plain [image]"] {
        assert!(text.contains(line), "no line `{line}`: {text}");
    }

    let (code, text) = installed.run(&format!("{scope}[B_KEY: 'arn:aws:run-1:B_KEY::']"));
    assert_ne!(code, Some(0), "{text}");
    let reason = "Cannot deliver the secrets of task 'fetch': run run-1 does not have A_KEY;";
    assert!(text.contains(reason), "{text}");
    for sign in ["submitted fetch", "Re-submitted"] {
        assert!(!text.contains(sign), "{sign}: {text}");
    }

    let (code, text) = installed.run("");
    assert_ne!(code, Some(0), "{text}");
    let reason = "Cannot deliver the secrets of task 'fetch': the config has no pipelineSecrets.valueFrom;";
    assert!(text.contains(reason), "{text}");
    for sign in ["submitted fetch", "Re-submitted"] {
        assert!(!text.contains(sign), "{sign}: {text}");
    }
}
