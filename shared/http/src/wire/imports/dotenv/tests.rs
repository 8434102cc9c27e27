use std::collections::BTreeMap;

use super::*;
use serde_json::Value;

type Entries = BTreeMap<String, String>;

fn read(text: &str) -> Result<Entries, String> {
    from_dotenv(text, &Settings::new("test"))
        .map(|drafts| {
            drafts.iter().map(|draft| (draft.name.to_string(), draft.value.expose().to_owned())).collect()
        })
        .map_err(|problem| problem.message().to_owned())
}

/// Returns what a program read, or nothing if it refused the file. Node.js reads a comment on a
/// last line without a line break as a name, and a byte order mark as a part of the first name.
fn recorded(case: &Value, program: &str) -> Option<Entries> {
    let entries = case[program].as_object()?;
    let text = |value: &Value| value.as_str().map_or("(no value)".to_owned(), str::to_owned);
    let name = |name: &str| name.strip_prefix('\u{feff}').unwrap_or(name).to_owned();
    let entries = entries.iter().filter(|(name, _)| !name.starts_with('#'));
    Some(entries.map(|(key, value)| (name(key), text(value))).collect())
}

/// Node.js ends a value without quotes at a `#` inside a word. The import keeps it.
fn cut_at_hash(text: &str, entries: &Entries) -> Entries {
    let cut = |value: &String| match value.split_once('#') {
        Some((cut, _)) if text.contains(&format!("={value}")) => cut.to_owned(),
        _ => value.clone(),
    };
    entries.iter().map(|(name, value)| (name.clone(), cut(value))).collect()
}

/// Checks every file of `tests/dotenv/cases.jsonl`: a file that is accepted has one meaning in all
/// programs that know quotes. `docker run --env-file` does not: it is compared for files without
/// quotes, unless it refuses the file.
#[test]
fn an_accepted_file_means_the_same_in_every_program() {
    let mut accepted = 0;
    let mut differing = Vec::new();
    for line in include_str!("../../../../../../tests/dotenv/cases.jsonl").lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let text = case["text"].as_str().unwrap();
        let Ok(ours) = read(text) else { continue };
        accepted += 1;
        let cut = cut_at_hash(text, &ours);
        let mut equal =
            ["compose", "python"].iter().all(|program| recorded(&case, program) == Some(ours.clone()));
        let mark = text.starts_with("\u{feff}#");
        let node = if mark { &["dotenv"][..] } else { &["dotenv", "node"] };
        equal &= node.iter().all(|program| recorded(&case, program) == Some(cut.clone()));
        equal &= text.contains(['\'', '"']) || recorded(&case, "docker-run").is_none_or(|read| read == ours);
        if !equal {
            differing.push(format!("{text:?} is read as {ours:?}, but {line}"));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
    assert!(accepted > 150, "only {accepted} files are accepted");
}

#[test]
fn ordinary_files_are_read() {
    for (text, expected) in [
        ("AA=1\nBB=two words\n", vec![("AA", "1"), ("BB", "two words")]),
        ("# keys\r\n\r\nexport AA=1\r\nBB='2'\r\n", vec![("AA", "1"), ("BB", "2")]),
        ("\u{feff}AA=1", vec![("AA", "1")]),
        ("  # indented\n  AA=1\n\n", vec![("AA", "1")]),
        ("AA = 'x'\nBB= \"y\"", vec![("AA", "x"), ("BB", "y")]),
        ("AA=p#ss\nBB=a#", vec![("AA", "p#ss"), ("BB", "a#")]),
        ("AA=\"a # b\"\nBB='a # b'", vec![("AA", "a # b"), ("BB", "a # b")]),
        ("AA='x' # rotate yearly\nBB=\"y\"#c", vec![("AA", "x"), ("BB", "y")]),
        ("AA='$HOME `id` $(id) \"x\" \\n'", vec![("AA", "$HOME `id` $(id) \"x\" \\n")]),
        ("AA=\"a\\nb\"\nBB=\"it's\"", vec![("AA", "a\nb"), ("BB", "it's")]),
        ("AA=\"a\n\n# b\nCC=c\"\nBB='a\n b '\n", vec![("AA", "a\n\n# b\nCC=c"), ("BB", "a\n b ")]),
        ("AA=don't\nBB==a=b", vec![("AA", "don't"), ("BB", "=a=b")]),
        (
            "AA=C:\\dir\nBB=https://u:p@h/?a=b&c=%20",
            vec![("AA", "C:\\dir"), ("BB", "https://u:p@h/?a=b&c=%20")],
        ),
        ("export=1", vec![("export", "1")]),
    ] {
        let expected: Entries = expected.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        assert_eq!(read(text), Ok(expected), "{text:?}");
    }
}

#[test]
fn a_line_without_one_meaning_is_refused_with_its_number_and_what_to_do() {
    for (text, line, words) in [
        ("AA=      # optional", 1, "put the value in quotes if # belongs to it"),
        ("AA=1\nBB=hidden   # rotate yearly", 2, "move the comment to its own line"),
        ("AA=#hidden", 1, "in quotes if #"),
        ("AA= hidden", 1, "remove the blanks"),
        ("AA=hidden ", 1, "remove the blanks"),
        ("AA=hidden\u{a0}", 1, "remove the blanks"),
        ("AA=-----BEGIN-----\\nhidden\\n", 1, "in double quotes if \\n means a line break"),
        ("AA=hidden\\\nBB=1", 1, "in double quotes"),
        ("AA=`hidden`", 1, "in single quotes"),
        ("AA=$'hidden\\nb'", 1, "in single quotes"),
        ("AA=hid$den", 1, "in single quotes"),
        ("AA=${hidden}", 1, "in single quotes"),
        ("AA=\"$(hidden)\"", 1, "in single quotes"),
        ("AA=\"`hidden`\"", 1, "in single quotes"),
        ("AA=\"\\$hidden\"", 1, "no escape but \\n"),
        ("AA=\"hid\\r\\nden\"", 1, "no escape but \\n"),
        ("AA=\"hid\\\"den\"", 1, "no escape but \\n"),
        ("AA=\"hid\\\\den\"", 1, "no escape but \\n"),
        ("AA='hid\\'den'", 1, "as JSON"),
        ("AA='hid\\\\den'", 1, "as JSON"),
        ("AA='${hidden}'", 1, "as JSON"),
        ("AA='hid\r\nden'\r\n", 1, "LF line endings"),
        ("AA='hidden", 1, "closing quote"),
        ("AA=1\nBB='hid\nden'x", 2, "end the line"),
        ("AA='hid'den'", 1, "end the line"),
        ("AA='a' # hidden's", 1, "end the line"),
        ("AA='a\nb'\nBB=\"hidden", 3, "closing quote"),
        ("AA=1\rBB=hidden", 1, "line endings"),
        ("AA=1\nBB=hid\0den", 2, "UTF-8"),
        ("AA=1\nBB='hid\u{2028}den'", 2, "as JSON"),
        ("AA=hid\u{c}den", 1, "as JSON"),
        ("export\tAA=hidden", 1, "one space"),
        ("export  AA=hidden", 1, "one space"),
        ("\t# hidden\nAA=1", 1, "a tab"),
        (" \t\nAA=1", 1, "a tab"),
        ("export =hidden", 1, ""),
        ("\tAA=hidden", 1, "no blanks around the name"),
        ("AA\t=hidden", 1, "no blanks around the name"),
        ("AA: hidden", 1, "not a colon"),
        ("{\n\"AA\": \"hidden\"}", 1, "application/json"),
        ("AA=1\nhidden", 2, "NAME=value"),
        ("AA=1\n\nAA=hidden", 3, "already on line 1"),
        ("AA=1\nBB=", 2, ""),
        ("AA=''", 1, ""),
        ("A-B=hidden", 1, ""),
        ("A.B=hidden", 1, ""),
        ("AA: x=hidden", 1, ""),
        ("=hidden", 1, ""),
        ("exports AA=hidden", 1, ""),
    ] {
        let message = read(text).expect_err(text);
        assert!(message.starts_with(&format!("Line {line}: ")), "{text:?}: {message}");
        assert!(message.contains(words) && !message.contains("hid"), "{text:?}: {message}");
    }
}

#[test]
fn the_33rd_entry_is_refused() {
    let lines = |n: usize| (0..n).map(|i| format!("N{i}=v")).collect::<Vec<_>>().join("\n");
    assert_eq!(read(&lines(32)).unwrap().len(), 32);
    assert!(read(&lines(33)).is_err());
    assert!(read(&lines(10_000)).is_err());
}
