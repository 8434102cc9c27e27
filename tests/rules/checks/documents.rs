//! The documents: their links have targets, and every invariant names a check that exists.

use std::path::PathBuf;

use crate::{entries, extension, files, read, root, sources};

#[test]
fn every_link_between_documents_has_a_target() {
    let mut broken = Vec::new();
    for document in documents() {
        let text = read(&document);
        for target in links(&text) {
            let (file, part) = target.split_once('#').unwrap_or((target, ""));
            let path = match file {
                "" => document.clone(),
                file => document.parent().expect("a folder").join(file),
            };
            let found = path.exists() && (part.is_empty() || headings(&read(&path)).any(|it| it == part));
            if !found {
                broken.push(format!("{}: {target}", document.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_invariant_names_a_check_that_exists() {
    let text = read(&root().join("docs/ARCHITECTURE.md"));
    let invariants: Vec<_> = text.split("\n\n").filter(|part| part.starts_with("**Invariant** ")).collect();
    assert!(!invariants.is_empty());
    for invariant in invariants {
        let code: Vec<_> = invariant.split('`').skip(1).step_by(2).collect();
        let checks: Vec<_> = code.iter().filter_map(|code| code.split_once("::")).collect();
        assert!(code.contains(&"cargo local demo") || !checks.is_empty(), "no check: {invariant}");
        for (file, name) in checks {
            let source = read(&root().join(file));
            let defines = |keyword: &str| {
                source.contains(&format!("{keyword} {name}("))
                    || source.contains(&format!("{keyword} {name} "))
            };
            let named = defines("fn") || defines("pub struct");
            assert!(named, "{file} does not define {name}: {invariant}");
        }
    }
}

#[test]
fn code_cites_only_sections_of_published_standards_and_existing_documents() {
    let mut wrong = Vec::new();
    let folders = ["functions", "infra", "shared", "tests"];
    for path in folders.iter().flat_map(|folder| sources(&root().join(folder))) {
        let source = read(&path);
        for text in source.lines().filter(|line| line.trim_start().starts_with("//")) {
            let section =
                text.contains('\u{a7}') && !["RFC ", "OpenID Connect "].iter().any(|it| text.contains(it));
            let missing = |rest: &str| {
                let (file, rest) = rest.split_once(".md").unwrap_or((rest, ""));
                let document = root().join(format!("docs/{file}.md"));
                let title = rest.strip_prefix(", \"").and_then(|rest| rest.split('"').next());
                !document.exists()
                    || title.is_some_and(|title| !read(&document).contains(&format!("\n## {title}\n")))
            };
            if section || text.split("docs/").skip(1).filter(|rest| rest.contains(".md")).any(missing) {
                wrong.push(format!("{}: {text}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "unknown section or document: {wrong:#?}");
}

/// The Markdown files in the root and under `docs`.
fn documents() -> Vec<PathBuf> {
    let mut found = files(&root().join("docs"));
    found.extend(entries(&root()).filter(|path| path.is_file()));
    found.retain(|path| extension(path) == "md");
    found
}

/// The targets of inline links within the checkout.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let prose = text.split("```").step_by(2);
    let inline = prose.flat_map(|prose| prose.split("](").skip(1)).filter_map(|rest| rest.split(')').next());
    inline.filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
}

/// The anchors of a document's headings, as code-hosting sites generate them.
fn headings(text: &str) -> impl Iterator<Item = String> {
    text.lines().filter(|line| line.starts_with('#')).map(|line| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    })
}
