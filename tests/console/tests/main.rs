//! The web console, in one browser session against one deployed local stack. The tests run in
//! order, because they share the window.

mod failures;
mod fixture;
mod looks;
mod oidc;
mod secrecy;
mod story;

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use libtest_mimic::{Arguments, Trial};
use tokio::runtime::Runtime;

use fixture::Fixture;

/// Lists test functions. Each test is named after its function.
macro_rules! trials {
    ($runtime:ident, $fixture:ident, $($module:ident::$test:ident),* $(,)?) => {
        vec![$({
            let (runtime, fixture) = ($runtime.clone(), $fixture.clone());
            Trial::test(concat!(stringify!($module), "::", stringify!($test)), move || {
                runtime.block_on($module::$test(&fixture));
                Ok(())
            })
        }),*]
    };
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let runtime = Arc::new(Runtime::new().expect("a runtime"));
    if arguments.list {
        return ExitCode::SUCCESS;
    }
    let Some(fixture) = runtime.block_on(Fixture::start()) else {
        assert!(std::env::var_os("CI").is_none(), "no test may be skipped in CI: Chromium is not installed");
        // Errors are ignored: standard error may be closed.
        let _ = writeln!(
            std::io::stderr(),
            "skipped: the console: chromium and chromium-driver are not installed"
        );
        return ExitCode::SUCCESS;
    };
    let fixture = Arc::new(fixture);
    let tests = trials![
        runtime,
        fixture,
        story::an_owner_stores_secrets,
        story::a_launcher_previews_a_launch_and_reads_its_receipt,
        story::a_token_of_one_workspace_shows_its_secrets_and_previews_a_launch,
        story::a_run_is_ended_after_a_confirmation_and_with_a_live_head_job_only_by_force,
        story::an_owner_imports_a_file,
        story::an_owner_manages_people_and_tokens_and_reads_the_audit_trail,
        story::an_owner_adds_an_environment_and_previews_a_launch_there,
        story::a_viewer_is_offered_only_what_the_role_allows,
        story::the_keyboard_is_enough_to_sign_in_and_store_a_secret,
        failures::a_taken_name_is_shown_while_it_is_typed_and_when_it_is_sent,
        failures::a_concurrent_change_is_shown_and_nothing_typed_is_lost,
        failures::throttling_and_an_unavailable_service_are_shown_with_the_services_words,
        failures::a_lost_answer_is_repeated_with_the_same_key_and_has_one_effect,
        failures::a_refused_token_leads_to_sign_in_and_back,
        failures::a_role_that_was_revoked_meanwhile_is_shown_and_nothing_typed_is_lost,
        failures::idle_users_and_users_who_sign_out_leave_nothing_behind,
        oidc::people_sign_in_and_return_to_where_they_were,
        oidc::answers_that_belong_to_no_sign_in_are_refused,
        oidc::a_denied_sign_in_and_an_expired_code_are_explained,
        secrecy::markup_stays_text,
        looks::the_first_view_is_small,
        looks::a_thousand_secrets_stay_usable,
        looks::every_view_is_accessible_wide_narrow_light_and_dark,
        secrecy::no_value_is_left_anywhere_and_no_other_origin_is_called,
    ];
    let first = libtest_mimic::run(&arguments, tests);
    // This is the last reference: failed tests have dropped theirs as well.
    let last = Mutex::new(Arc::into_inner(fixture));
    let afterwards = Trial::test("a_parameter_leaves_the_console_out", move || {
        let mut fixture = last.lock().expect("the fixture").take().expect("the fixture");
        runtime.block_on(async {
            let (before, after, left) = fixture.leave_out_the_console().await;
            fixture.stop().await;
            // Other paths are operations that the service does not have, for users only.
            assert_eq!((before, after, left), (200, 401, Vec::new()));
        });
        Ok(())
    });
    let then = libtest_mimic::run(&arguments, vec![afterwards]);
    if first.has_failed() || then.has_failed() { ExitCode::from(101) } else { ExitCode::SUCCESS }
}
