//! Secret names. A secret's name is also the name of an environment variable in tasks, so names
//! that change how a shell, a loader or a language runtime behaves are reserved.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::settings::Settings;
use crate::{Error, Result};

/// A name that follows Nextflow's rule for secret names.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SecretName(String);

impl SecretName {
    /// The maximum length of a name, in characters.
    pub const MAX_LENGTH: usize = 100;

    /// Validates a new name from a client. The error says which rule the name breaks.
    pub fn new(text: &str, settings: &Settings) -> Result<Self> {
        let name = Self::parse(text)?;
        if name.is_reserved(settings) {
            return Err(Error::Invalid(format!(
                "Invalid secret name: {text} is reserved for shells and runtimes. Choose another name."
            )));
        }
        Ok(name)
    }

    /// Whether a shell, a loader, a language runtime, a tool or the platform gives this name a
    /// meaning, in any case. A stored name can be reserved: it was stored before the name became
    /// reserved, or written by someone with direct write access to the table.
    #[must_use]
    pub fn is_reserved(&self, settings: &Settings) -> bool {
        let upper = self.0.to_ascii_uppercase();
        RESERVED.contains(&upper.as_str())
            || RESERVED_PREFIXES.iter().any(|prefix| upper.starts_with(prefix))
            || (!settings.allow_aws_names && upper.starts_with("AWS_"))
    }

    /// Parses a name from a row, or for a lookup. It may be reserved.
    pub fn parse(text: &str) -> Result<Self> {
        check_shape(text)?;
        Ok(Self(text.to_owned()))
    }

    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the case-folded name. Names with the same folded form are duplicates in a scope.
    #[must_use]
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<SecretName> for String {
    fn from(name: SecretName) -> Self {
        name.0
    }
}

impl TryFrom<String> for SecretName {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

/// Checks Nextflow's rule `^[a-zA-Z_](?:[0-9A-Za-z]+|(_)(?!\1)){1,49}$` with a scan, because the
/// pattern itself takes exponential time on bad input. In addition, `__` at the start is refused.
fn check_shape(text: &str) -> Result<()> {
    let refuse = |rule: &str| Err(Error::Invalid(format!("Invalid secret name: {rule}.")));
    let bytes = text.as_bytes();
    if bytes.len() > SecretName::MAX_LENGTH {
        return refuse("it must have at most 100 characters");
    }
    if bytes.len() < 2 {
        return refuse("it must have at least 2 characters");
    }
    if !(bytes[0].is_ascii_alphabetic() || bytes[0] == b'_') {
        return refuse("it must start with a letter or an underscore");
    }
    if !bytes.iter().all(|&b| b.is_ascii_alphanumeric() || b == b'_') {
        return refuse("it must contain only letters, digits and underscores");
    }
    if bytes.windows(2).any(|pair| pair == b"__") {
        return refuse("it must not contain two underscores in a row");
    }
    let mut groups = 0;
    let mut in_run = false;
    for &byte in &bytes[1..] {
        let alphanumeric = byte != b'_';
        groups += usize::from(!(alphanumeric && in_run));
        in_run = alphanumeric;
    }
    if groups > MAX_GROUPS {
        return refuse("it has too many parts separated by underscores");
    }
    Ok(())
}

const MAX_GROUPS: usize = 49;

const RESERVED: [&str; 68] = [
    "PATH",
    "IFS",
    "ENV",
    "SHELLOPTS",
    "PS1",
    "PS2",
    "PS4",
    "PROMPT_COMMAND",
    "CDPATH",
    "HOME",
    "USER",
    "SHELL",
    "PWD",
    "OLDPWD",
    "TMPDIR",
    "HOSTNAME",
    "GCONV_PATH",
    "CURL_CA_BUNDLE",
    "CURL_HOME",
    "GLIBC_TUNABLES",
    "HOSTALIASES",
    "LUA_INIT",
    "PHPRC",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "R_LIBS",
    "R_LIBS_SITE",
    "R_LIBS_USER",
    "SINGULARITY_BIND",
    "SINGULARITY_BINDPATH",
    "APPTAINER_BIND",
    "APPTAINER_BINDPATH",
    "RUBYOPT",
    "RUBYLIB",
    "NODE_OPTIONS",
    "NODE_PATH",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "_JAVA_OPTIONS",
    "JAVA_HOME",
    "CLASSPATH",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "FTP_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "RSYNC_PROXY",
    "POSIXLY_CORRECT",
    "GLOBIGNORE",
    // Bash sets these itself: a task that sets one fails or sees another value.
    "COMP_WORDBREAKS",
    "DIRSTACK",
    "EPOCHREALTIME",
    "EPOCHSECONDS",
    "EUID",
    "FUNCNAME",
    "GROUPS",
    "HISTCMD",
    "LINENO",
    "OPTERR",
    "OPTIND",
    "PIPESTATUS",
    "PPID",
    "RANDOM",
    "SECONDS",
    "SHLVL",
    "SRANDOM",
    "UID",
];

const RESERVED_PREFIXES: [&str; 20] = [
    "BASH",
    "LD_",
    // Singularity and Apptainer set the rest of these names inside the container.
    "SINGULARITYENV_",
    "APPTAINERENV_",
    "DYLD_",
    "PYTHON",
    "PERL5",
    "R_PROFILE",
    "R_ENVIRON",
    "GIT_",
    "SSH_",
    "ECS_",
    "NXF_",
    "TOWER_",
    "SLURM_",
    "SBATCH_",
    "PBS_",
    "LSB_",
    "SGE_",
    "PIPELINE_SECRETS_",
];

#[cfg(test)]
mod tests;
