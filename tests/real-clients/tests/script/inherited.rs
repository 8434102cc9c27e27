//! Options, functions and variables that the script inherits.

use std::{fs, process::Command};

use real_clients::{CLAIM_TOKEN, Harness, RUN_TOKEN, STORE, USER_TOKEN, under_every_shell};

/// Runs the script with this environment and checks that it does what it does without.
fn assert_works(harness: &Harness, environment: &[(&str, &str)]) {
    let harness = Harness::like(harness);
    fs::write(harness.path("evil"), "set -eufC; alias curl=false; find() { exit 9; }; cat() { exit 9; }\n")
        .expect("a file");
    let left = harness.leave("dead", "dead", 3700);
    harness.service.always("GET /runs/dead", 200, "workflowId=dead\nstate=ended\n");
    let mut command = harness.command(["--", "/bin/sh", "-c", "/bin/cat $NXF_SECRETS_FILE; (exit 3)"]);
    let outcome = harness.finish(command.envs(environment.iter().copied()));
    assert_eq!((outcome.status, outcome.stdout.as_str()), (3, STORE), "{environment:?}: {outcome:?}");
    assert_eq!(outcome.stderr.lines().count(), 1, "{environment:?}: {outcome:?}");
    assert!(!left.exists() && harness.stores().is_empty(), "{environment:?}: {outcome:?}");
}

#[test]
fn inherited_shell_options_change_nothing() {
    under_every_shell(|harness| {
        // Not onecmd, with which bash ends at the first line of a script, or noexec.
        for option in
            ["errexit", "noglob", "noclobber", "nounset:posix", "allexport:keyword:monitor:pipefail"]
        {
            assert_works(harness, &[("SHELLOPTS", option)]);
        }
        let mut command = harness.command(["--", "sh", "-c", "exit 3"]);
        let outcome = harness.finish(command.env("SHELLOPTS", "physical:verbose:xtrace"));
        assert_eq!(outcome.status, 3, "{outcome:?}");
        for token in [USER_TOKEN, CLAIM_TOKEN, RUN_TOKEN, "canary"] {
            assert!(!outcome.stderr.contains(token), "{outcome:?}");
        }
        let harness = &Harness::like(harness);
        assert_works(harness, &[("SHELLOPTS", "braceexpand:errexit:hashall:noclobber:noglob:nounset")]);
        assert_works(harness, &[("BASHOPTS", "expand_aliases:failglob:nullglob:nocasematch:lastpipe")]);
    });
}

#[test]
fn options_of_the_shells_command_line_change_nothing() {
    under_every_shell(|harness| {
        for options in ["-e", "-f", "-efuCa"] {
            let harness = Harness::like(harness);
            let inner = harness.command(["--", "sh", "-c", "exit 3"]);
            let mut command = Command::new(inner.get_program());
            let words: Vec<_> = inner.get_args().collect();
            let script =
                words.iter().position(|word| word.to_string_lossy().contains('/')).expect("the script");
            command.args(&words[..script]).arg(options).args(&words[script..]);
            command.env_clear().current_dir(harness.home.path());
            command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
            let outcome = harness.finish(&mut command);
            assert_eq!(outcome.status, 3, "{options}: {outcome:?}");
            assert_eq!(outcome.stderr.lines().count(), 1, "{options}: {outcome:?}");
            assert!(harness.stores().is_empty());
        }
    });
}

#[test]
fn inherited_functions_aliases_and_variables_change_nothing() {
    under_every_shell(|harness| {
        let functions: Vec<_> =
            ["curl", "find", "cat", "rm", "mkdir", "chmod", "umask", "printf", "grep", "kill", "module"]
                .iter()
                .map(|program| format!("BASH_FUNC_{program}%%"))
                .collect();
        let functions: Vec<_> =
            functions.iter().map(|function| (function.as_str(), "() { return 9; }")).collect();
        assert_works(harness, &functions);
        for (name, value) in [("BASH_ENV", "evil"), ("POSIXLY_CORRECT", "1"), ("LC_ALL", "C")] {
            assert_works(harness, &[(name, value)]);
        }
        assert_works(
            harness,
            &[
                ("ENV", "evil"),
                ("IFS", "/.0123456789"),
                ("CDPATH", "/:/tmp"),
                ("GLOBIGNORE", "*"),
                ("PS4", "$(touch evil)"),
                ("status", "9"),
                ("stopped", "yes"),
                ("users", "1"),
                ("made", "yes"),
                ("code", "200"),
            ],
        );
    });
}

#[test]
fn the_command_keeps_the_functions_of_its_caller() {
    under_every_shell(|harness| {
        if !harness.is_bash() {
            return; // other shells do not pass them on
        }
        let mut command = harness.command(["--", "bash", "-c", "module load nextflow"]);
        let outcome = harness.finish(command.env("BASH_FUNC_module%%", "() { echo loaded $2; }"));
        assert_eq!(outcome.stdout, "loaded nextflow\n", "{outcome:?}");
    });
}

#[test]
fn the_command_does_not_get_the_options_of_the_script() {
    under_every_shell(|harness| {
        let mut command =
            harness.command(["--", "bash", "-c", "echo $unset; case $- in *u* | *e*) echo $- ;; esac"]);
        let outcome = harness.finish(command.env("SHELLOPTS", "braceexpand:errexit"));
        assert_eq!((outcome.status, outcome.stdout.as_str()), (0, "\n"), "{outcome:?}");
    });
}

#[test]
fn any_umask_gives_a_private_store() {
    under_every_shell(|harness| {
        for mask in ["000", "777", "027", "0"] {
            let harness = Harness::like(harness);
            let inner =
                harness.command(["--", "sh", "-c", "stat -c %a $NXF_SECRETS_FILE ${NXF_SECRETS_FILE%/*}"]);
            let mut command = Command::new("sh");
            command.arg("-c").arg(format!("umask {mask}; exec \"$0\" \"$@\"")).arg(inner.get_program());
            command.args(inner.get_args()).env_clear().current_dir(harness.home.path());
            command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
            let outcome = harness.finish(&mut command);
            assert_eq!((outcome.status, outcome.stdout.as_str()), (0, "600\n700\n"), "{mask}: {outcome:?}");
        }
    });
}

#[test]
fn settings_of_the_site_that_would_hide_secrets_do_not_reach_the_command() {
    under_every_shell(|harness| {
        let mut command = harness.command(["--", "env"]);
        command.envs([
            ("NXF_ENABLE_SECRETS", "false"),
            ("NXF_SECRETS_FILE", "/nowhere"),
            ("SLURM_EXPORT_ENV", "NONE"),
            ("SBATCH_EXPORT", "NONE"),
            ("NXF_HOME", "/elsewhere"),
        ]);
        let outcome = harness.finish(&mut command);
        assert_eq!(outcome.status, 0, "{outcome:?}");
        for name in ["NXF_ENABLE_SECRETS", "SLURM_EXPORT_ENV", "SBATCH_EXPORT"] {
            assert!(!outcome.stdout.contains(name), "{name}: {outcome:?}");
        }
        assert_eq!(outcome.stdout.matches("NXF_SECRETS_FILE=").count(), 1, "{outcome:?}");
        assert!(!outcome.stdout.contains("/nowhere") && outcome.stdout.contains("NXF_HOME=/elsewhere"));
    });
}

#[test]
fn report_does_not_use_the_sites_tower() {
    under_every_shell(|harness| {
        let mut command = harness.command(["--report", "--", "env"]);
        for name in ["ACCESS_TOKEN", "REFRESH_TOKEN", "WORKSPACE_ID", "WORKFLOW_ID", "API_ENDPOINT"] {
            command.env(format!("TOWER_{name}"), "of-the-site");
        }
        harness.write_program("env", "#!/bin/sh\nexec /usr/bin/env\n");
        let outcome = harness.finish(&mut command);
        assert_eq!(outcome.status, 0, "{outcome:?}");
        assert!(!outcome.stdout.contains("of-the-site"), "{outcome:?}");
    });
}
