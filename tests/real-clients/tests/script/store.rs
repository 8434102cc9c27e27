//! The store's location: private from the first byte, newly created, never through a link.

use std::{fs, os::unix::fs::symlink, process::Command};

use real_clients::{Answer, Harness, STORE, WORKFLOW, set_mode, under_every_shell};
use serde_json::json;

#[test]
fn an_open_umask_does_not_widen_permissions() {
    under_every_shell(|harness| {
        let script = "umask 0; exec \"$0\" \"$@\"";
        let inner = harness.command([
            "--dir",
            "new/stores",
            "--",
            "sh",
            "-c",
            "stat -c %a $NXF_SECRETS_FILE ${NXF_SECRETS_FILE%/*} ${NXF_SECRETS_FILE%/*/*}; umask",
        ]);
        let mut outer = Command::new("sh");
        outer
            .args(["-c", script])
            .arg(inner.get_program())
            .args(inner.get_args())
            .current_dir(harness.home.path())
            .env_clear();
        for (name, value) in inner.get_envs() {
            outer.env(name, value.expect("a value"));
        }
        let outcome = harness.finish(&mut outer);
        let lines: Vec<_> = outcome.stdout.lines().collect();
        assert_eq!(lines[..3], ["600", "700", "700"], "{outcome:?}");
        assert!(lines[3].ends_with("000"), "{outcome:?}");
    });
}

#[test]
fn a_directory_writable_by_others_is_rejected_before_any_request() {
    under_every_shell(|harness| {
        for mode in [0o770, 0o707, 0o777, 0o1777] {
            set_mode(&harness.path("stores"), mode);
            let outcome = harness.run("touch ran");
            assert_eq!(outcome.status, 73, "{outcome:?}");
            assert!(outcome.stderr.contains("chmod go-w"), "{outcome:?}");
        }
        assert!(harness.service.requests().is_empty() && !harness.path("ran").exists());
    });
}

#[test]
fn an_unusable_directory_is_rejected_before_any_request() {
    under_every_shell(|harness| {
        fs::write(harness.path("file"), "").expect("a file");
        fs::create_dir(harness.path("a b")).expect("a directory");
        symlink("nowhere", harness.path("dangling")).expect("a link");
        for (directory, status) in
            [("file", 73), ("file/below", 73), ("dangling", 73), ("a b", 64), ("/proc/stores", 73)]
        {
            let outcome = harness.finish(&mut harness.command(["--dir", directory, "--", "touch", "ran"]));
            assert_eq!(outcome.status, status, "{outcome:?}");
            assert!(outcome.stderr.contains("choose another directory with --dir"), "{outcome:?}");
        }
        assert!(harness.service.requests().is_empty() && !harness.path("ran").exists());
    });
}

#[test]
fn a_home_that_is_a_link_to_shared_storage_is_resolved() {
    under_every_shell(|harness| {
        symlink(harness.path("stores"), harness.path("link")).expect("a link");
        let outcome = harness.finish(&mut harness.command([
            "--dir",
            "link",
            "--",
            "sh",
            "-c",
            "echo $NXF_SECRETS_FILE",
        ]));
        let stores = harness.path("stores").canonicalize().expect("a path");
        assert!(outcome.stdout.starts_with(stores.to_str().expect("a path")), "{outcome:?}");
    });
}

#[test]
fn tasks_get_the_directory_as_given_if_only_the_user_can_change_where_it_leads() {
    under_every_shell(|harness| {
        let home = harness.home.path().canonicalize().expect("a path");
        let stores = home.join("stores");
        fs::create_dir(home.join("open")).expect("a directory");
        set_mode(&home.join("open"), 0o777);
        symlink(&home, home.join("up")).expect("a link");
        symlink(&stores, home.join("link")).expect("a link");
        symlink(&stores, home.join("open/link")).expect("a link");
        for (given, expected) in [
            ("link", home.join("link")),
            ("link/", home.join("link")),
            ("up/stores", home.join("up/stores")),
            ("stores/../link", stores.clone()),
            ("open/link", stores.clone()),
        ] {
            let harness = Harness::like(harness);
            let given = format!("{}/{given}", home.display());
            let command =
                ["--dir", &given, "--", "sh", "-c", "cat $NXF_SECRETS_FILE >seen; echo $NXF_SECRETS_FILE"];
            let outcome = harness.finish(&mut harness.command(command));
            assert_eq!(outcome.status, 0, "{given}: {outcome:?}");
            let store = std::path::Path::new(outcome.stdout.trim());
            assert_eq!(store.ancestors().nth(2), Some(expected.as_path()), "{given}: {outcome:?}");
            assert!(harness.path("seen").exists());
        }
    });
}

#[test]
fn a_link_at_the_stores_path_is_not_followed() {
    under_every_shell(|harness| {
        for target in ["precious", "absent"] {
            let harness = Harness::like(harness);
            fs::write(harness.path("precious"), "precious").expect("a file");
            let (stores, target_path) = (harness.path("stores"), harness.path(target));
            harness.service.next(&format!("POST /runs/{WORKFLOW}/claim"), move |_| {
                let directory = fs::read_dir(stores)
                    .expect("stores")
                    .next()
                    .expect("the run's directory")
                    .expect("an entry")
                    .path();
                symlink(target_path, directory.join("store.json")).expect("a link");
                Answer::Whole(200, STORE.to_owned())
            });
            let outcome = harness.run("touch ran");
            assert_eq!(outcome.status, 73, "{outcome:?}");
            assert!(outcome.stderr.contains("run this script again"), "{outcome:?}");
            assert_eq!(fs::read_to_string(harness.path("precious")).expect("the file"), "precious");
            assert!(
                !harness.path("absent").exists()
                    && !harness.path("ran").exists()
                    && harness.stores().is_empty()
            );
            assert_eq!(harness.service.end(), json!({"success": false, "exitStatus": 73}));
        }
    });
}

/// A file size limit simulates a full disk or an exceeded quota: writes are incomplete in all
/// cases.
#[test]
fn a_failed_write_leaves_nothing() {
    under_every_shell(|harness| {
        let values: Vec<_> =
            (0..40).map(|n| json!({"name": format!("S_{n}"), "value": "x".repeat(1024)})).collect();
        harness.service.always(
            &format!("POST /runs/{WORKFLOW}/claim"),
            200,
            &serde_json::Value::Array(values).to_string(),
        );
        let inner = harness.command(["--", "touch", "ran"]);
        let mut outer = Command::new("sh");
        outer
            .args(["-c", "ulimit -f 8; exec \"$0\" \"$@\""])
            .arg(inner.get_program())
            .args(inner.get_args())
            .current_dir(harness.home.path())
            .env_clear();
        for (name, value) in inner.get_envs() {
            outer.env(name, value.expect("a value"));
        }
        let outcome = harness.finish(&mut outer);
        assert_eq!(outcome.status, 73, "{outcome:?}");
        assert!(outcome.stderr.contains("is it full, or over quota?"), "{outcome:?}");
        assert!(harness.stores().is_empty() && !harness.path("ran").exists());
        assert_eq!(harness.service.end(), json!({"success": false, "exitStatus": 73}));
    });
}

#[test]
fn a_full_disk_leaves_nothing() {
    under_every_shell(|harness| {
        let mut full = Command::new("unshare");
        let probe = full
            .args(["-m", "sh", "-c", "mount -t tmpfs -o size=4k,mode=700 tmpfs \"$0\""])
            .arg(harness.path("stores"));
        if !probe.status().is_ok_and(|status| status.success()) {
            real_clients::skip(
                "a full disk: only a privileged user can mount one; another test uses a file size limit",
            );
            return;
        }
        let inner = harness.command(["--", "touch", "ran"]);
        let mut outer = Command::new("unshare");
        let mount = "mount -t tmpfs -o size=4k,mode=700 tmpfs stores || exit 99; \"$0\" \"$@\"; status=$?; ls -A stores; exit $status";
        outer
            .args(["-m", "sh", "-c", mount])
            .arg(inner.get_program())
            .args(inner.get_args())
            .current_dir(harness.home.path())
            .env_clear();
        for (name, value) in inner.get_envs() {
            outer.env(name, value.expect("a value"));
        }
        let outcome = harness.finish(&mut outer);
        assert_eq!((outcome.status, outcome.stdout.as_str()), (73, ""), "{outcome:?}");
        assert!(outcome.stderr.contains("is it full, or over quota?"), "{outcome:?}");
        assert!(!harness.path("ran").exists());
        assert_eq!(harness.service.end(), json!({"success": false, "exitStatus": 73}));
    });
}
