//! Prose and comments: their width, and the words of an earlier dialect that must not come back.

use std::path::{Path, PathBuf};

use crate::{extension, files, read, root};

/// Extensions of the files that are checked, beside scripts without one.
const KINDS: [&str; 10] = ["md", "rs", "py", "sh", "yaml", "toml", "config", "nf", "java", "mjs"];
/// Columns of prose and comments.
const WIDTH: usize = 100;

#[test]
fn prose_and_comments_are_at_most_100_columns_wide() {
    let mut wide = Vec::new();
    for path in written() {
        let text = read(&root().join(&path));
        let lines: Vec<_> = match extension(&path) {
            "md" => prose(&text).collect(),
            _ => comments(&path, &text).collect(),
        };
        wide.extend(
            lines
                .iter()
                .filter(|(_, line)| {
                    line.chars().count() > WIDTH
                        && !line.contains("](http")
                        && line.split_whitespace().count() > 2
                })
                .map(|(number, line)| format!("{}:{number}: {line}", path.display())),
        );
    }
    assert!(wide.is_empty(), "wider than {WIDTH} columns: {wide:#?}");
}

#[test]
fn words_of_the_earlier_dialect_are_not_used() {
    let mut found = Vec::new();
    for path in written().into_iter().filter(|path| !path.ends_with("tests/rules/checks/prose.rs")) {
        for (number, line) in read(&root().join(&path)).lines().enumerate() {
            let line = line.to_lowercase();
            let words: Vec<_> = line.split(|c: char| !c.is_alphanumeric()).collect();
            let words = format!(" {} ", words.join(" "));
            found.extend(
                RETIRED
                    .iter()
                    .filter(|retired| words.contains(&format!(" {retired} ")))
                    .map(|retired| format!("{}:{}: {retired}", path.display(), number + 1)),
            );
        }
    }
    assert!(found.is_empty(), "CONTRIBUTING.md says what to write instead: {found:#?}");
}

/// Words and sequences of words, in lower case.
const RETIRED: [&str; 24] = [
    "anew",
    "as it is given back",
    "bury",
    "by nobody",
    "deed",
    "deeds",
    "for want of",
    "garbled",
    "gym",
    "hand over",
    "handed over",
    "hands over",
    "is none that",
    "nobody",
    "nobody s",
    "sign of life",
    "signs of life",
    "take the place of",
    "takes the place of",
    "the own",
    "took the place of",
    "whoever",
    "whom",
    "whosever",
];

/// The files of the checkout that hold prose or comments and that people write, relative to its
/// root.
fn written() -> Vec<PathBuf> {
    let kept = |path: &PathBuf| KINDS.contains(&extension(path)) || is_script(path);
    let relative = |path: PathBuf| path.strip_prefix(root()).expect("a path below the root").to_owned();
    let written: Vec<_> = files(&root()).into_iter().filter(kept).map(relative).collect();
    assert!(written.len() > 300, "found only {} files", written.len());
    written
}

/// A file without an extension whose first line names an interpreter.
fn is_script(path: &Path) -> bool {
    extension(path).is_empty() && std::fs::read(path).is_ok_and(|text| text.starts_with(b"#!"))
}

/// The numbered lines of Markdown outside tables and blocks of code. A line that is one long link
/// or path counts as one word.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut code = false;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        !code && !fence && !line.trim_start().starts_with('|')
    })
}

/// The numbered lines that are comments and nothing else, but for tables in them.
fn comments<'a>(path: &Path, text: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
    let start = match extension(path) {
        "rs" | "nf" | "config" | "java" | "mjs" => "//",
        _ => "#",
    };
    (1..).zip(text.lines()).filter(move |(_, line)| {
        let line = line.trim_start();
        line.starts_with(start)
            && !line.contains(" | ")
            && !line.contains('─')
            && !line.contains("shellcheck")
    })
}
