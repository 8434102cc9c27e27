use super::*;
use crate::environment::{EnvironmentId, ExternalId, Region, RoleArn};
use crate::testing::{Fixture, Roles, run_now};

fn environment() -> Environment {
    Environment {
        id: EnvironmentId::parse("0123456789abcdefghijkl").unwrap(),
        region: Region::parse("eu-west-1").unwrap(),
        role: RoleArn::parse("arn:aws:iam::210987654321:role/pipeline-secrets-lab").unwrap(),
        external_id: ExternalId::parse("0123456789abcdefghijklmnopqrstuv").unwrap(),
        copy_key: None,
    }
}

#[test]
fn a_role_that_may_be_new_is_checked_for_15_seconds_and_an_open_one_once() {
    use Verdict::{GrantsNothing, LetsAnyoneIn, Proved, Refused};
    // The verdicts, the seconds left, whether the role is proved, and the seconds of pause.
    for (verdicts, left, proved, paused) in [
        (vec![Proved], 29, true, 0),
        (vec![Refused, GrantsNothing, Proved], 29, true, 3),
        (vec![Refused], 29, false, 15),
        (vec![GrantsNothing], 29, false, 15),
        (vec![LetsAnyoneIn], 29, false, 0),
        (vec![Refused, LetsAnyoneIn], 29, false, 1),
        (vec![Refused], 10, false, 3),
        (vec![Refused], 3, false, 0),
    ] {
        let fixture = Fixture::new();
        fixture.backoff.set_remaining(Duration::from_secs(left));
        let roles = Roles::default();
        *roles.verdicts.borrow_mut() = verdicts.clone();
        let outcome = run_now(prove(&roles, &environment(), &fixture.context()));
        assert_eq!(outcome.is_ok(), proved, "{verdicts:?}, {left} s");
        let pauses: Duration = fixture.backoff.pauses().iter().sum();
        assert_eq!(pauses, Duration::from_secs(paused), "{verdicts:?}, {left} s");
    }
}

#[test]
fn a_failure_names_the_role_and_what_to_do() {
    assert_eq!(failure(Verdict::Proved, &environment()), None);
    for (verdict, parts) in [
        (Verdict::Refused, ["cannot be assumed", "setupSnippet"]),
        (Verdict::LetsAnyoneIn, ["without its external ID", "setupSnippet"]),
        (Verdict::GrantsNothing, ["eu-west-1", "infra/compute-environment.yaml"]),
    ] {
        let text = failure(verdict, &environment()).unwrap();
        assert!(text.contains(&environment().role.to_string()), "{text}");
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
        assert!(!text.contains(environment().external_id.as_str()), "{text}");
    }
}
