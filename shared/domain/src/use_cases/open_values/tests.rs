use super::*;
use crate::secret::Secret;
use crate::testing::*;

fn open(fixture: &Fixture, pins: &[PinnedSecret], sealed: &[SealedValue]) -> Result<Vec<(String, String)>> {
    let values = run_now(open_values(&*fixture.keys, pins, sealed, &fixture.settings))?;
    Ok(values.iter().map(|(name, value)| (name.to_string(), value.expose().to_owned())).collect())
}

/// Each secret shares its id or its owner with another.
fn secrets() -> [Secret; 3] {
    [secret(of_workspace(), 1, "AA"), secret(of_workspace(), 2, "BB"), secret(of_user(), 1, "CC")]
}

fn seal_all(fixture: &Fixture) -> (Vec<PinnedSecret>, Vec<SealedValue>) {
    let texts = ["text of AA", "text of BB", "text of CC"];
    let sealed = secrets().iter().zip(texts).map(|(secret, text)| fixture.seal(secret, text)).collect();
    (secrets().iter().map(pin_of).collect(), sealed)
}

#[test]
fn each_pin_gets_the_value_of_its_own_secret_in_whatever_order_they_were_read() {
    let fixture = Fixture::new();
    let (pins, mut sealed) = seal_all(&fixture);
    sealed.reverse();
    let expected =
        [("AA", "text of AA"), ("BB", "text of BB"), ("CC", "text of CC")].map(|(a, b)| (a.into(), b.into()));
    assert_eq!(open(&fixture, &pins, &sealed).unwrap(), expected);
}

#[test]
fn a_value_opens_only_as_the_version_scope_name_and_deployment_that_it_was_sealed_for() {
    type Change = fn(&mut Fixture, &mut PinnedSecret, &mut SealedValue);
    let cases: [(&str, Change); 5] = [
        ("version", |_, pin, _| pin.version += 1),
        ("owner", |_, pin, sealed| (pin.owner, sealed.owner) = (of_workspace(), of_workspace())),
        ("secret", |_, pin, sealed| {
            pin.id = secret(of_user(), 9, "CC").id;
            sealed.secret = pin.id;
        }),
        ("name", |_, pin, _| pin.name = name("DD")),
        ("deployment", |fixture, _, _| fixture.settings.deployment = "other".into()),
    ];
    for (case, change) in cases {
        let mut fixture = Fixture::new();
        let secret = secret(of_user(), 1, "CC");
        let (mut pin, mut sealed) = (pin_of(&secret), fixture.seal(&secret, "text"));
        change(&mut fixture, &mut pin, &mut sealed);
        assert_eq!(error_of(open(&fixture, &[pin], &[sealed])).code(), "envelope-refused", "{case}");
    }
}

#[test]
fn one_value_that_is_missing_or_does_not_open_fails_all() {
    let fixture = Fixture::new();
    let (pins, mut sealed) = seal_all(&fixture);
    fixture.keys.faults.fail("decrypt_data_key", unavailable());
    assert_eq!(error_of(open(&fixture, &pins, &sealed)).code(), "unavailable");
    let corrupt = SealedValue { envelope: vec![0; 40], ..sealed[2].clone() };
    assert_eq!(error_of(open(&fixture, &pins[2..], &[corrupt])).code(), "envelope-refused");
    sealed.pop();
    assert_eq!(error_of(open(&fixture, &pins, &sealed)).code(), "bug");
}

#[test]
fn pins_follow_the_versions_that_were_read() {
    let fixture = Fixture::new();
    let (pins, read) = seal_all(&fixture);
    let rotated = |index: usize| {
        let mut read = read.clone();
        read[index].version = 4;
        read
    };
    let cases = [
        ("none rotated", read.clone(), [3, 3, 3], false),
        ("the first rotated", rotated(0), [4, 3, 3], true),
        ("the second rotated", rotated(1), [3, 4, 3], true),
        ("the last rotated", rotated(2), [3, 3, 4], true),
    ];
    for (case, sealed, versions, changed) in cases {
        let (pinned, pins_changed) = pin_read_versions(&pins, &sealed).unwrap();
        let expected: Vec<_> =
            pins.iter().zip(versions).map(|(pin, version)| PinnedSecret { version, ..pin.clone() }).collect();
        assert_eq!((pinned, pins_changed), (expected, changed), "{case}");
    }
}

#[test]
fn a_pin_whose_value_is_deleted_is_named() {
    let fixture = Fixture::new();
    let (pins, read) = seal_all(&fixture);
    for (index, deleted) in ["AA", "BB", "CC"].into_iter().enumerate() {
        let mut read = read.clone();
        read.remove(index);
        assert_eq!(pin_read_versions(&pins, &read), Err(name(deleted)));
    }
}
