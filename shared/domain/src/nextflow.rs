//! What open-source Nextflow makes of secrets: which values its local store carries.

/// Whether Nextflow's local secrets store brings a value to a task unchanged.
///
/// Nextflow writes each secret as a line of shell that the task's wrapper sources; a value that holds a new line, a
/// quote, a backtick, a backslash or anything else that a shell reads does not arrive as it was, or runs as a command.
#[must_use]
pub fn store_carries(value: &str) -> bool {
    value
        .chars()
        .all(|character| !character.is_control() && !matches!(character, '"' | '`' | '\\' | '$' | '!' | '\''))
}
