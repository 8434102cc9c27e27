use super::*;

/// The message for an invalid new name; `None` for a valid one.
fn refusal(text: &str) -> Option<String> {
    match SecretName::new(text, &Settings::new("test")) {
        Ok(name) => {
            assert_eq!(name.as_str(), text);
            None
        }
        Err(Error::Invalid(message)) => Some(message),
        Err(other) => panic!("{text:?}: {other:?}"),
    }
}

fn parsed(text: &str) -> SecretName {
    SecretName::parse(text).unwrap()
}

#[test]
fn names_by_nextflows_rule_are_accepted() {
    let longest = "A".repeat(100);
    for name in
        ["AB", "_A", "A_", "NCBI_API_KEY", "SENTIEON_LICENSE_BASE64", "a1", "z9", "Z0", "_1", &longest]
    {
        assert_eq!(refusal(name), None, "{name}");
    }
}

#[test]
fn names_outside_the_rule_are_refused() {
    let too_long = "A".repeat(101);
    let short = "it must have at least 2 characters";
    let start = "it must start with a letter or an underscore";
    let characters = "it must contain only letters, digits and underscores";
    let underscores = "it must not contain two underscores in a row";
    for (name, rule) in [
        ("", short),
        ("A", short),
        ("_", short),
        (too_long.as_str(), "it must have at most 100 characters"),
        ("1A", start),
        ("-A", start),
        (" AB", start),
        ("\u{ff21}1", start),
        ("é1", start),
        ("\u{feff}AB", start),
        ("../x", start),
        ("$(id)", start),
        ("A-B", characters),
        ("A B", characters),
        ("AB ", characters),
        ("A\u{200b}B", characters),
        ("Aé", characters),
        ("a/b", characters),
        ("tower-x/y", characters),
        ("x:json", characters),
        ("x::", characters),
        ("a=b", characters),
        ("a\nb", characters),
        ("AB\n", characters),
        ("A\u{0}B", characters),
        ("__A", underscores),
        ("A__B", underscores),
        ("AB__", underscores),
        ("__", underscores),
    ] {
        assert_eq!(refusal(name), Some(format!("Invalid secret name: {rule}.")), "{name:?}");
    }
}

#[test]
fn at_most_49_groups_follow_the_first_character() {
    // After the first character, an underscore and a group of letters and digits each count as one
    // part.
    let name = |pairs: usize| format!("A{}", "_B".repeat(pairs));
    let refused = Some("Invalid secret name: it has too many parts separated by underscores.".to_owned());
    for (name, expected) in [
        (name(24), None),
        (format!("{}BB", name(24)), None),
        (format!("{}_", name(24)), None),
        (format!("A{}", name(24)), None),
        (format!("A{}_", name(24)), refused.clone()),
        (name(25), refused),
    ] {
        assert_eq!(refusal(&name), expected, "{name}");
    }
}

#[test]
fn reserved_names_are_refused_in_any_case() {
    let reserved = "PATH IFS ENV BASH_ENV SHELLOPTS BASHOPTS PS4 PROMPT_COMMAND CDPATH HOME USER SHELL PWD \
        TMPDIR HOSTNAME BASH_FUNC_x BASHRC RANDOM UID LD_PRELOAD DYLD_LIBRARY_PATH GCONV_PATH PYTHONPATH \
        PERL5LIB RUBYOPT RUBYLIB NODE_OPTIONS NODE_PATH JAVA_TOOL_OPTIONS JDK_JAVA_OPTIONS _JAVA_OPTIONS \
        JAVA_HOME CLASSPATH R_PROFILE R_PROFILE_USER R_ENVIRON R_LIBS_USER GIT_SSH_COMMAND SSH_AUTH_SOCK \
        AWS_ACCESS_KEY_ID ECS_X NXF_HOME TOWER_ACCESS_TOKEN SLURM_CONF SBATCH_X PBS_X LSB_X SGE_X \
        HTTP_PROXY HTTPS_PROXY NO_PROXY ALL_PROXY FTP_PROXY SSL_CERT_FILE CURL_CA_BUNDLE CURL_HOME \
        APPTAINERENV_LD_PRELOAD SINGULARITYENV_PATH SINGULARITY_BIND GLIBC_TUNABLES LUA_INIT";
    for name in reserved.split_whitespace() {
        let capitalized = format!("{}{}", &name[..1], name[1..].to_ascii_lowercase());
        for name in [name.to_owned(), name.to_ascii_lowercase(), capitalized] {
            let message = format!(
                "Invalid secret name: {name} is reserved for shells and runtimes. Choose another name."
            );
            assert_eq!(refusal(&name), Some(message), "{name}");
        }
    }
    // Names that only resemble a reserved name.
    for name in [
        "PATH2",
        "MY_PATH",
        "AWSOME",
        "GITHUB_TOKEN",
        "USERNAME",
        "HOMEBREW",
        "R_LIBSYN_KEY",
        "SSL_KEY",
        "SINGULARITY_DOCKER_PASSWORD",
        "APPTAINER_DOCKER_PASSWORD",
    ] {
        assert_eq!(refusal(name), None, "{name}");
    }
}

#[test]
fn a_deployment_may_allow_aws_names_and_nothing_else() {
    let settings = Settings { allow_aws_names: true, ..Settings::new("test") };
    assert!(SecretName::new("AWS_ACCESS_KEY_ID", &settings).is_ok());
    assert!(SecretName::new("LD_PRELOAD", &settings).is_err());
}

#[test]
fn a_stored_name_that_is_reserved_today_can_still_be_looked_up() {
    assert_eq!(parsed("LD_PRELOAD").as_str(), "LD_PRELOAD");
    assert!(SecretName::parse("A-B").is_err());
}

#[test]
fn names_that_differ_only_in_case_have_the_same_folded_form() {
    assert_eq!(parsed("Ncbi_Api_Key").folded(), "ncbi_api_key");
    assert_ne!(parsed("Ncbi_Api_Key"), parsed("NCBI_API_KEY"));
}

#[test]
fn a_name_keeps_its_case_in_rows_and_must_have_the_right_form() {
    let json = serde_json::to_string(&parsed("Ncbi_Key")).unwrap();
    assert_eq!(json, r#""Ncbi_Key""#);
    assert_eq!(serde_json::from_str::<SecretName>(&json).unwrap(), parsed("Ncbi_Key"));
    assert_eq!(parsed("Ncbi_Key").to_string(), "Ncbi_Key");
    assert!(serde_json::from_str::<SecretName>(r#""A-B""#).is_err());
}
