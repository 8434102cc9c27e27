//! What the commands print about the saved data.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::emulator::{Emulator, Saved, snapshot_time};

/// Describes a stack that is not running.
pub(crate) fn describe_stopped(folder: &Path) -> String {
    let state = if Emulator::was_killed(folder) { "was killed" } else { "is not running" };
    let kept = snapshot_time(folder)
        .map(|saved| format!("; its data is kept, as it was {}", ago(saved)))
        .unwrap_or_default();
    format!("The local stack {state}{kept}. To start it, run: cargo local up")
}

/// Describes what a running emulator has saved.
pub(crate) fn describe_saved(saved: &Saved) -> String {
    let when = saved.saved_at.map_or_else(|| "not yet".to_owned(), ago);
    let newer = match (&saved.error, saved.unsaved_changes) {
        (Some(error), _) => format!("; the last attempt failed: {error}"),
        (None, true) => "; newer changes follow within 2 seconds".to_owned(),
        (None, false) => String::new(),
    };
    let fallback = saved.fallback.as_ref();
    let fallback = fallback.map(|damage| {
        format!("; started from the previous snapshot, because the newest is damaged ({damage})")
    });
    format!("{when}{newer}{}", fallback.unwrap_or_default())
}

/// Reports that the newest snapshot was not used.
pub(crate) fn describe_fallback(damage: &str, folder: &Path) -> String {
    let restored = snapshot_time(folder).map(ago).unwrap_or_default();
    format!(
        "The newest snapshot of the local stack is damaged ({damage}). The stack starts from the snapshot before it, \
         saved {restored}. Later changes are lost. The damaged snapshot is kept: {}",
        folder.join("state/snapshot.damaged").display()
    )
}

/// Describes a time in seconds since 1970.
pub(crate) fn ago(time: f64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    age(now.saturating_sub(Duration::try_from_secs_f64(time).unwrap_or_default()).as_secs())
}

fn age(seconds: u64) -> String {
    let (count, unit) = match seconds {
        0..60 => (seconds, "second"),
        60..3600 => (seconds / 60, "minute"),
        3600..86_400 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{count} {unit}{} ago", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved(error: Option<&str>, unsaved_changes: bool, fallback: Option<&str>) -> String {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let (error, fallback) = (owned(error), owned(fallback));
        describe_saved(&Saved { saved_at: None, unsaved_changes, error, took: None, fallback })
    }

    #[test]
    fn an_age_has_one_unit() {
        for (seconds, expected) in [
            (0, "0 seconds ago"),
            (1, "1 second ago"),
            (60, "1 minute ago"),
            (7200, "2 hours ago"),
            (86_400, "1 day ago"),
        ] {
            assert_eq!(age(seconds), expected);
        }
    }

    #[test]
    fn unsaved_changes_failures_and_a_damaged_snapshot_are_reported() {
        assert_eq!(saved(None, false, None), "not yet");
        assert_eq!(saved(None, true, None), "not yet; newer changes follow within 2 seconds");
        assert_eq!(saved(Some("disk full"), true, None), "not yet; the last attempt failed: disk full");
        assert!(saved(None, false, Some("cut")).ends_with("because the newest is damaged (cut)"));
    }

    #[test]
    fn a_stopped_stack_without_data_is_described() {
        let folder = tempfile::tempdir().unwrap();
        let expected = "The local stack is not running. To start it, run: cargo local up";
        assert_eq!(describe_stopped(folder.path()), expected);
    }
}
