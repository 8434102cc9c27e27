use super::*;

fn text_of(count: usize) -> String {
    let mut problems = Problems::default();
    for number in 1..=count {
        problems.add("", &format!("problem {number}"));
    }
    match problems.into_result() {
        Ok(()) => String::new(),
        Err(Error::Invalid(text)) => text,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn up_to_a_hundred_problems_are_listed_one_per_line_and_the_number_counts_them_all() {
    assert_eq!(text_of(0), "");
    assert_eq!(text_of(1), "Nothing was changed. The document has 1 problem(s):\nproblem 1");
    assert_eq!(text_of(2), "Nothing was changed. The document has 2 problem(s):\nproblem 1\nproblem 2");
    for (count, lines, last) in [(100, 101, "problem 100"), (101, 102, "…"), (150, 102, "…")] {
        let text = text_of(count);
        assert!(text.contains(&format!("has {count} problem(s)")), "{count}: {text}");
        assert_eq!((text.lines().count(), text.lines().last()), (lines, Some(last)), "{count}");
        assert!(text.lines().any(|line| line == "problem 100"), "{count}");
    }
}

#[test]
fn a_problem_begins_with_its_place_unless_it_is_of_the_whole_document() {
    let mut problems = Problems::default();
    problems.add("", "it must be a JSON object.");
    problems.add("users[3].email", "it must be an e-mail address.");
    let text = problems.into_result().unwrap_err().to_string();
    let lines: Vec<_> = text.lines().skip(1).collect();
    assert_eq!(lines, ["it must be a JSON object.", "users[3].email: it must be an e-mail address."]);
}
