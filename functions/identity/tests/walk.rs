//! Random sequences of concurrent changes by users and operators keep the invariants of the table,
//! and every workspace keeps an owner.

use crate::harness::{Harness, Ids, TestRequest, declaration};
use domain::role::Role;
use futures_util::future::join_all;
use http_api::Operation;
use serde_json::{Value, json};

/// Pseudo-random numbers that are the same in every run (Knuth's MMIX generator).
struct Lcg(u64);

impl Lcg {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn of<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.roll(choices.len())]
    }
}

const PEOPLE: [&str; 7] = ["owner", "admin", "maintain", "launch", "connect", "view", "outsider"];

/// An attempted change.
enum Act {
    Ask(Operation, Box<TestRequest>),
    Apply(Value),
}

fn act(dice: &mut Lcg, ids: &Ids) -> Act {
    let (caller, target) = (dice.of(&PEOPLE), dice.of(&PEOPLE));
    let role = Role::ALL[dice.roll(Role::ALL.len())].as_str();
    let on_target = ids.request(caller).path("participantId", ids.user(target));
    let (operation, request) = match dice.roll(8) {
        0 | 1 => {
            let body = json!({ "memberId": ids.user(target), "role": role });
            (Operation::AddParticipant, ids.request(caller).body(body))
        }
        2 | 3 => (Operation::UpdateParticipantRole, on_target.body(json!({ "role": role }))),
        4 | 5 => (Operation::DeleteParticipant, on_target),
        6 => {
            let platform = dice.of(&["slurm", "lsf", "aws-batch"]);
            (
                Operation::UpdateWorkspacePlatforms,
                ids.request(caller).body(json!({ "platforms": [platform] })),
            )
        }
        _ => {
            let participants = json!([{ "user": target, "role": "owner" }, { "user": caller, "role": role }]);
            let participants = if caller == target { json!([participants[0]]) } else { participants };
            let workspace = json!({ "name": "genomics", "participants": participants });
            let organizations = json!([{ "name": "Lab", "workspaces": [workspace] }]);
            return Act::Apply(json!({ "organizations": organizations, "prune": dice.roll(2) == 0 }));
        }
    };
    Act::Ask(operation, Box::new(request))
}

async fn carry_out(harness: &Harness, act: Act) {
    match act {
        Act::Ask(operation, request) => {
            let answer = harness.ask(operation, *request).await;
            assert!(matches!(answer.status, 200 | 204 | 403 | 404 | 409), "{}: {answer:?}", operation.id());
        }
        // Concurrent changes can leave a declaration without an owner: it is refused, which is
        // fine.
        Act::Apply(document) => drop(harness.send(&json!({ "apply": document })).await.unwrap()),
    }
}

#[tokio::test]
async fn concurrent_changes_in_any_order_keep_the_invariants_of_the_table() {
    for seed in 0..6 {
        let (harness, ids) = Harness::with_declaration().await;
        let mut dice = Lcg(seed);
        for _ in 0..25 {
            let acts: Vec<_> = (0..4).map(|_| act(&mut dice, &ids)).collect();
            join_all(acts.into_iter().map(|act| carry_out(&harness, act))).await;
            harness.check().await;
        }
        harness.apply(&declaration()).await;
        let roles = harness.roles(ids.workspace).await;
        assert!(
            PEOPLE[..6].iter().all(|name| roles[*name] == *name),
            "a declaration restores the roles: {roles:?}"
        );
    }
}
