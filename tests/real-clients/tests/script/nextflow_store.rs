//! Compares the values that a real Nextflow delivers from its local store to tasks with the rule by
//! which a launch for HPC rejects values. An accepted value arrives byte for byte and without other
//! secrets.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use domain::{
    name::SecretName,
    nextflow::{nextflow_store_preserves, store, store_collision},
    settings::Settings,
    value::SecretValue,
};
use real_clients::{real::nextflow, set_mode};

/// Versions that are available without a download from Nextflow's site.
const VERSIONS: [&str; 2] = ["24.10.0", "25.04.4"];

/// The secrets in each task's environment, by the name of the task's secret.
type Found = BTreeMap<String, BTreeMap<String, Vec<u8>>>;

#[test]
fn accepted_values_arrive_byte_for_byte_and_without_other_secrets() {
    let (good, bad): (Vec<_>, Vec<_>) =
        cases().into_iter().partition(|(_, value)| nextflow_store_preserves(value));
    assert!(good.len() > 150 && bad.len() > 5);
    for version in VERSIONS {
        for locale in [None, Some("C.UTF-8")] {
            let Some(found) = run(version, locale, &good) else { return };
            for (name, value) in &good {
                let expected = BTreeMap::from([(name.clone(), value.clone().into_bytes())]);
                assert_eq!(found.get(name), Some(&expected), "{version} {locale:?} {value:?}");
            }
        }
    }
}

/// The rule does not reject more than necessary: each of these characters alone corrupts a value.
/// `$` is rejected because of containers.
#[test]
fn rejected_values_would_not_arrive() {
    let secrets: Vec<_> =
        ['\n', '"', '\\', '`'].into_iter().map(surround).enumerate().map(numbered("CASE")).collect();
    for version in VERSIONS {
        let Some(found) = run(version, None, &secrets) else { return };
        for (name, value) in &secrets {
            assert!(!nextflow_store_preserves(value));
            let arrived = found.get(name).and_then(|task| task.get(name));
            assert_ne!(arrived, Some(&value.clone().into_bytes()), "{version} {value:?}");
        }
    }
}

#[test]
fn a_value_that_would_expose_another_secret_is_rejected() {
    let exposing = ["OTHER=1", "x OTHER=1", "x;OTHER=", "-OTHER==", "éOTHER=1"];
    let harmless = ["OTHER", "xOTHER=1", "_OTHER=1", "other=1", "OTHERS=1", "OTHER =1"];
    // One pair of secrets for each value: the secret with the value, and the secret that the value
    // names.
    let pair = |number: usize, value: &str| {
        let other = format!("OTHER{}", char::from(b'A' + u8::try_from(number).expect("a few")));
        [(format!("HOLDER_{number}"), value.replace("OTHER", &other)), (other, "v".to_owned())]
    };
    let pairs: Vec<_> =
        exposing.iter().chain(&harmless).enumerate().map(|(number, value)| pair(number, value)).collect();
    for version in VERSIONS {
        // Without a locale, a non-ASCII letter is not part of a word.
        let Some(found) = run(version, None, &pairs.concat()) else { return };
        for (number, [holder, other]) in pairs.iter().enumerate() {
            let is_found = store_collision(&values(&[holder.clone(), other.clone()])).is_some();
            assert_eq!(is_found, number < exposing.len(), "{holder:?}");
            let is_exposed = found[&other.0].contains_key(&holder.0);
            assert_eq!(is_exposed, is_found, "{version} {holder:?}");
            assert_eq!(found[&other.0].len(), 1 + usize::from(is_found), "{version} {holder:?}");
        }
    }
}

/// Bash has built-in variables: a secret with such a name would not reach the task, or would stop
/// it.
#[test]
fn every_valid_name_reaches_a_task() {
    let listed =
        Command::new("bash").args(["--norc", "-c", "compgen -v"]).env_clear().output().expect("bash");
    let settings = Settings::new("test");
    let names: BTreeSet<String> = String::from_utf8_lossy(&listed.stdout)
        .split_whitespace()
        .chain(OTHER_NAMES)
        .filter(|name| SecretName::new(name, &settings).is_ok())
        .map(str::to_owned)
        .collect();
    let secrets: Vec<_> = names.into_iter().map(|name| (name.clone(), format!("of-{name}"))).collect();
    for version in VERSIONS {
        let Some(found) = run(version, None, &secrets) else { return };
        for (name, value) in &secrets {
            let arrived = found.get(name).and_then(|task| task.get(name));
            assert_eq!(
                arrived,
                Some(&value.clone().into_bytes()),
                "{version}: {name} must be an invalid secret name"
            );
        }
    }
}

/// Variables of other bash versions or modes, variables of the task wrapper, and names that contain
/// other names.
const OTHER_NAMES: [&str; 48] = [
    "AUTO_RESUME",
    "BASH_ARGV0",
    "BASH_COMPAT",
    "BASH_XTRACEFD",
    "CHILD_MAX",
    "COLUMNS",
    "COMP_LINE",
    "COPROC",
    "EMACS",
    "EPOCHREALTIME",
    "EPOCHSECONDS",
    "EXECIGNORE",
    "FIGNORE",
    "FUNCNAME",
    "FUNCNEST",
    "HISTFILE",
    "HISTSIZE",
    "IGNOREEOF",
    "INPUTRC",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "LINES",
    "MAIL",
    "MAPFILE",
    "OLDPWD",
    "OPTARG",
    "OPTERR",
    "OPTIND",
    "PIPESTATUS",
    "PROMPT_DIRTRIM",
    "PS3",
    "READLINE_LINE",
    "REPLY",
    "SECONDS",
    "SHLVL",
    "SRANDOM",
    "TERM",
    "TIMEFORMAT",
    "TMOUT",
    "TZ",
    "UID",
    "export",
    "pid",
    "children",
    "exit_status",
    "A_B",
    "BB",
];

/// Every character below U+0080 at the start, at the end, alone and doubled; other characters that
/// programs treat specially; and texts that are special to a shell.
fn cases() -> Vec<(String, String)> {
    let ascii = (1..128_u8).map(char::from).map(surround).enumerate().map(numbered("ASCII"));
    let beyond = BEYOND_ASCII.chars().map(surround).enumerate().map(numbered("UNICODE"));
    let texts = TEXTS.into_iter().map(str::to_owned).enumerate().map(numbered("TEXT"));
    let long = ["k".repeat(32_768), "é".repeat(16_384)].into_iter().enumerate().map(numbered("LONG"));
    ascii.chain(beyond).chain(texts).chain(long).collect()
}

fn surround(c: char) -> String {
    format!("{c}a{c}b{c}{c}c{c}")
}

/// Names each value with this prefix.
fn numbered(kind: &str) -> impl Fn((usize, String)) -> (String, String) {
    move |(number, value)| (format!("{kind}_{number}"), value)
}

const BEYOND_ASCII: &str = "\u{80}\u{85}\u{9f}\u{a0}\u{a7}\u{ad}\u{e9}\u{ff}\u{100}\u{301}\u{3b1}\u{5d0}\u{200b}\u{200d}\u{2028}\u{2029}\
    \u{202e}\u{20ac}\u{3000}\u{4e2d}\u{d7ff}\u{e000}\u{fdd0}\u{feff}\u{fffd}\u{fffe}\u{ffff}\u{10000}\u{1d11e}\u{1f600}\u{e0001}\u{10ffff}";

const TEXTS: [&str; 28] = [
    "  two  blanks  ",
    "\t\ttabs\t",
    "\r",
    "a\r\r",
    "!! !x !$ a!b !",
    "it's 'quoted' '",
    "# a #comment",
    "=a==b=",
    "* ? [a-z] {a,b} ~ ~root +(x)",
    "%s%n%%",
    "-n",
    "-e foo",
    "a&b;c|d>e<f(g)&&h||i",
    "QUJDRA==",
    "{'json':[1,2]}",
    "export TEXT_1",
    "EOF",
    "ＡＢＣ",
    "e\u{301}e\u{301}",
    "a\nb",
    "a\n",
    "\na",
    "a\\",
    "a\\\\b",
    "\"; touch broken-out; \"",
    "`touch broken-out`",
    "$HOME ${HOME} $$",
    "$(touch broken-out)",
];

fn values(secrets: &[(String, String)]) -> BTreeMap<SecretName, SecretValue> {
    secrets
        .iter()
        .map(|(name, value)| {
            let value = SecretValue::new(zeroize::Zeroizing::new(value.clone())).expect("a value");
            (SecretName::parse(name).expect("a name"), value)
        })
        .collect()
}

/// The random entry of the store is not under test.
struct Zeros;

impl domain::context::Randomness for Zeros {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

/// Runs a pipeline with one task per secret. Each task declares only that secret and writes its
/// environment to a file. A failed task has found nothing. `None` if Nextflow is not available.
fn run(version: &str, locale: Option<&str>, secrets: &[(String, String)]) -> Option<Found> {
    let nextflow = nextflow(env!("CARGO_TARGET_TMPDIR"), version)?;
    let project = tempfile::Builder::new().prefix("store").tempdir().expect("a directory");
    let store_file = project.path().join("store.json");
    fs::write(&store_file, store(&values(secrets), &Zeros).as_str()).expect("a store");
    set_mode(&store_file, 0o600);
    let (mut script, mut workflow) = (String::new(), String::new());
    for (name, _) in secrets {
        script += include_str!("one_secret.nf").replace("NAME", name).as_str();
        workflow.extend(["    TASK_", name, "()\n"]);
    }
    script.extend(["workflow {\n", &workflow, "}\n"]);
    fs::write(project.path().join("main.nf"), script).expect("a pipeline");
    let settings = "process.errorStrategy = 'ignore'\nexecutor.pollInterval = '50ms'\nexecutor.cpus = 8\n";
    fs::write(project.path().join("nextflow.config"), settings).expect("its settings");
    let mut command = Command::new(nextflow);
    command.args(["-q", "run", "main.nf"]).current_dir(project.path()).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", project.path());
    command.env("NXF_HOME", project.path().join("nxf")).env("NXF_SECRETS_FILE", &store_file);
    if let Some(locale) = locale {
        command.env("LC_ALL", locale);
    }
    let output = command.output().expect("Nextflow");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let names: BTreeSet<&str> = secrets.iter().map(|(name, _)| name.as_str()).collect();
    Some(
        secrets
            .iter()
            .map(|(name, _)| (name.clone(), environment(&project.path().join("found").join(name), &names)))
            .collect(),
    )
}

/// Reads the variables with these names from a file of NUL-terminated assignments. Empty if the
/// file does not exist.
fn environment(file: &Path, names: &BTreeSet<&str>) -> BTreeMap<String, Vec<u8>> {
    let bytes = fs::read(file).unwrap_or_default();
    let assignments = bytes.split(|byte| *byte == 0).filter_map(|assignment| {
        let at = assignment.iter().position(|byte| *byte == b'=')?;
        Some((String::from_utf8_lossy(&assignment[..at]).into_owned(), assignment[at + 1..].to_vec()))
    });
    assignments.filter(|(name, _)| names.contains(name.as_str())).collect()
}
