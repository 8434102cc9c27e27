//! Links between Markdown documents. The release has a part of the checkout's files: links to
//! others lead to the repository, at the release's tag.

use std::path::{Component, Path, PathBuf};

const REPOSITORY: &str = env!("CARGO_PKG_REPOSITORY");

/// The document with each relative link to a file that is not in `names` as an absolute one.
pub(crate) fn rewrite(root: &Path, document: &str, text: &str, names: &[String]) -> String {
    let folder = Path::new(document).parent().unwrap_or(Path::new(""));
    let mut rewritten = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, link, after)) = next_link(rest) {
        rewritten.push_str(before);
        let (path, anchor) = link.split_at(link.find('#').unwrap_or(link.len()));
        let target = normal(&folder.join(path));
        let known = target.to_str().is_some_and(|target| names.iter().any(|name| name == target));
        if is_relative(link) && !known && root.join(&target).exists() {
            let kind = if root.join(&target).is_dir() { "tree" } else { "blob" };
            let tag = concat!("v", env!("CARGO_PKG_VERSION"));
            rewritten.extend([REPOSITORY, "/", kind, "/", tag, "/", &target.to_string_lossy(), anchor]);
        } else {
            rewritten.push_str(link);
        }
        rest = after;
    }
    rewritten + rest
}

/// The paths of a document's relative links, without anchors.
#[cfg(test)]
pub(crate) fn relative(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, link, after)) = next_link(rest) {
        let path = link.split('#').next().unwrap_or(link);
        if is_relative(link) && !path.is_empty() {
            found.push(path);
        }
        rest = after;
    }
    found
}

/// The text before a link's address, the address, and the text after it.
fn next_link(text: &str) -> Option<(&str, &str, &str)> {
    let start = text.find("](")? + 2;
    let length = text[start..].find([')', '\n'])?;
    Some((&text[..start], &text[start..start + length], &text[start + length..]))
}

fn is_relative(link: &str) -> bool {
    !link.is_empty() && !link.starts_with('#') && !link.contains(':')
}

/// The path without `.` and `..`.
fn normal(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut normal, component| {
        match component {
            Component::ParentDir => drop(normal.pop()),
            Component::CurDir => {}
            other => normal.push(other),
        }
        normal
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_files_that_are_not_released_lead_to_the_repository() {
        let root = crate::checkout().unwrap();
        let names = ["docs/operations.md".to_owned(), "README.md".to_owned()];
        for (text, expected) in [
            ("[a](operations.md#keys)", "[a](operations.md#keys)".to_owned()),
            ("[a](../README.md), [b](#keys)", "[a](../README.md), [b](#keys)".to_owned()),
            ("[a](https://example.org/x) `b](c)`", "[a](https://example.org/x) `b](c)`".to_owned()),
            ("[a](adr/README.md#x) z", format!("[a]({REPOSITORY}/blob/v0.1.0/docs/adr/README.md#x) z")),
            ("[a](../functions)", format!("[a]({REPOSITORY}/tree/v0.1.0/functions)")),
        ] {
            let expected = expected.replace("0.1.0", env!("CARGO_PKG_VERSION"));
            assert_eq!(rewrite(&root, "docs/alarms.md", text, &names), expected);
        }
    }
}
