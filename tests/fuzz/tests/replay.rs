//! A short deterministic replay of the corpora and mutations of every input.

use fuzz::targets;

/// The minimum number of executions of each target.
const EXECUTIONS: usize = 1_500;

macro_rules! replays {
    ($($name:ident)*) => {
        const REPLAYED: &[&str] = &[$(stringify!($name)),*];

        $(#[test]
        fn $name() {
            let target = targets::ALL.iter().find(|target| target.name == stringify!($name)).expect("a target");
            let inputs = fuzz::replay(target, 0).inputs;
            let replayed = fuzz::replay(target, EXECUTIONS.div_ceil(inputs));
            assert!(replayed.executions >= EXECUTIONS, "{replayed:?}");
        })*
    };
}

replays! { name request body dotenv envelope row event authorization claims issuers report launch apply }

#[test]
fn every_target_is_replayed_and_has_a_cargo_fuzz_program() {
    let names: Vec<_> = targets::ALL.iter().map(|target| target.name).collect();
    assert_eq!(names, REPLAYED);
    let manifest = include_str!("../Cargo.toml");
    for name in names {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name}");
    }
}
