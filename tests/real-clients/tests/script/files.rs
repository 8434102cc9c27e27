//! Token files as editors, Windows and copying write them.

use std::fs;

use real_clients::{USER_TOKEN, under_every_shell};

#[test]
fn a_token_file_with_invisible_characters_says_which() {
    let utf16: Vec<u8> = USER_TOKEN.bytes().flat_map(|byte| [byte, 0]).collect();
    let cases: [(&str, Vec<u8>); 11] = [
        ("Windows line ending", format!("{USER_TOKEN}\r\n").into()),
        ("Windows line ending", format!("{USER_TOKEN}\r").into()),
        ("byte order mark", format!("\u{feff}{USER_TOKEN}\n").into()),
        ("UTF-16", [&[0xff, 0xfe], utf16.as_slice()].concat()),
        ("UTF-16", utf16),
        ("blanks", format!("{USER_TOKEN} \n").into()),
        ("blanks", format!("\t{USER_TOKEN}\n").into()),
        ("more than one line", format!("{USER_TOKEN}\n{USER_TOKEN}\n").into()),
        ("more than one line", format!("\n{USER_TOKEN}\n").into()),
        ("not allowed in a token", format!("\"{USER_TOKEN}\"\n").into()),
        ("is empty", b"\n".to_vec()),
    ];
    under_every_shell(|harness| {
        for (words, content) in &cases {
            fs::write(harness.path("token"), content).expect("a token file");
            let outcome = harness.run("touch ran");
            assert_eq!(outcome.status, 64, "{words}: {outcome:?}");
            let path = harness.path("token");
            assert!(outcome.stderr.contains(words), "{words}: {outcome:?}");
            assert!(outcome.stderr.contains(path.to_str().expect("a path")), "{outcome:?}");
            assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
            assert!(!outcome.stderr.contains(USER_TOKEN), "{outcome:?}");
        }
        assert!(harness.service.requests().is_empty() && !harness.path("ran").exists());
    });
}

#[test]
fn a_token_file_may_end_with_empty_lines_or_without_one() {
    under_every_shell(|harness| {
        for end in ["", "\n", "\n\n"] {
            let harness = real_clients::Harness::like(harness);
            harness.write_private("token", &format!("{USER_TOKEN}{end}"));
            assert_eq!(harness.run("true").status, 0);
        }
    });
}
