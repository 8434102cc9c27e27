//! Which changes take effect together, and which are never split.

use super::*;
use crate::audit::AuditAction;

/// A number of new users, of 5 rows each, and Sam with a number of new tokens, of 4 rows each.
fn large(users: usize, tokens: usize) -> Value {
    let user = |n: usize| json!({"userName": format!("u{n}"), "email": format!("u{n}@example.org")});
    let mut list: Vec<_> = (0..users).map(user).collect();
    let tokens: Vec<_> = (0..tokens).map(|n| json!({"name": format!("t{n}")})).collect();
    list.push(json!({"userName": "sam", "email": "sam@example.org", "tokens": tokens}));
    json!({"users": list})
}

#[test]
fn a_transaction_holds_as_many_changes_as_fit_in_its_rows() {
    let mut unit = large(17, 0);
    unit["organizations"] = json!([{"name": "new", "workspaces": [
        {"name": "w", "participants": people(&[("sam", "owner")])},
    ]}]);
    let mut torn = unit.clone();
    torn["users"].as_array_mut().unwrap().push(json!({"userName": "v", "email": "v@example.org"}));
    let cases = [
        ("95 rows", large(19, 0), vec![19]),
        ("100 rows with a token", large(19, 1), vec![19, 1]),
        ("100 rows", large(20, 0), vec![19, 1]),
        ("105 rows", large(19, 2), vec![19, 2]),
        ("198 rows and more", large(19, 30), vec![19, 19, 11]),
        ("95 rows with an organization, its workspace and its owner", unit, vec![20]),
        ("these three are never split", torn, vec![18, 3]),
    ];
    for (case, json, sizes) in cases {
        let plan = planned(&json);
        let changes: Vec<_> = plan.batches.iter().map(|batch| batch.changes.len()).collect();
        assert_eq!(changes, sizes, "{case}");
        assert!(plan.batches.iter().all(|batch| (1..=MAX_ROWS).contains(&batch.rows())), "{case}");
    }
}

#[test]
fn each_transaction_carries_the_audit_records_of_its_own_changes() {
    let plan = planned(&large(20, 2));
    let actions: Vec<Vec<_>> =
        plan.batches.iter().map(|batch| batch.audit.iter().map(|record| record.action).collect()).collect();
    let second = [AuditAction::UserCreated, AuditAction::TokenCreated, AuditAction::TokenCreated];
    assert_eq!(actions, [[AuditAction::UserCreated; 19].to_vec(), second.to_vec()]);
    let records: Vec<_> = plan.batches.iter().flat_map(|batch| &batch.audit).collect();
    assert!(records.iter().all(|record| record.actor.is_none() && record.at == NOW), "an operator's");
    let ids: HashSet<_> = records.iter().map(|record| &record.id).collect();
    assert_eq!(ids.len(), records.len());
}
