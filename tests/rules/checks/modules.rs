//! The domain's modules must not import each other in cycles.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::{read, root, sources};

type Graph = BTreeMap<String, BTreeSet<String>>;

#[test]
fn the_modules_of_the_domain_have_no_import_cycle() {
    let mut graph = imports(&root().join("shared/domain/src"));
    assert!(graph.len() > 20 && graph["run"].contains("ids"), "the imports were not found: {graph:?}");
    // A module that imports no remaining module is not part of a cycle.
    while let Some(leaf) = graph.iter().find(|(_, needs)| needs.is_empty()).map(|(module, _)| module.clone())
    {
        graph.remove(&leaf);
        for needs in graph.values_mut() {
            needs.remove(&leaf);
        }
    }
    assert!(graph.is_empty(), "import cycle among: {graph:#?}");
}

/// The top-level modules, each with the modules that its code names as `crate::…`.
fn imports(folder: &Path) -> Graph {
    let mut graph = Graph::new();
    for path in sources(folder) {
        let inside = path.strip_prefix(folder).expect("inside").with_extension("");
        let parts: Vec<_> = inside.iter().filter_map(|part| part.to_str()).collect();
        if !parts.iter().any(|part| ["lib", "schema", "testing", "tests"].contains(part)) {
            let needs = named(&read(&path)).into_iter().filter(|name| name != parts[0]);
            graph.entry(parts[0].to_owned()).or_default().extend(needs);
        }
    }
    let modules: BTreeSet<_> = graph.keys().cloned().collect();
    for needs in graph.values_mut() {
        needs.retain(|name| modules.contains(name));
    }
    graph
}

/// The modules that code names outside comments and tests. Names from the crate root belong to
/// `error` or `context`.
fn named(source: &str) -> BTreeSet<String> {
    let code = source.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let code: String = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let paths = code.split("crate::").skip(1).flat_map(|rest| match rest.strip_prefix('{') {
        Some(list) => list.split('}').next().unwrap_or_default().split(',').collect(),
        None => vec![rest],
    });
    let word = |path: &str| {
        let end = path.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(path.len());
        path[..end].replace("Result", "error").to_lowercase()
    };
    paths.map(|path| word(path.trim())).collect()
}
