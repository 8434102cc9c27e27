//! The envelope key: roles that must not decrypt, encrypt, manage or grant it.

use end_to_end::rights::sealed::{Sealed, call_result};
use local::platform::Platform;
use serde_json::json;

use super::{Attempts, NAME, Outcome, Targets, functions};

pub(super) async fn try_all(targets: &Targets, attempts: &mut Attempts) -> Outcome {
    let (harness, world) = (&targets.harness, &targets.world);
    let scope = format!("WS#{}", world.workspace);
    let target =
        (harness.stack.output("EnvelopeKeyArn")?, harness.stack.output("TableName")?, harness.stack.name());
    let sealed = Sealed::of(&harness.operator, target, (&scope, targets.secret, NAME)).await?;
    let elsewhere = sealed.of_deployment("another-deployment");
    for function in functions() {
        let role = harness.role(function).await?;
        let expect = |attempts: &mut Attempts, allowed: bool, what: &str, outcome| {
            let what = format!("{function} {what}");
            if allowed {
                attempts.expect_allowed(what, &outcome);
            } else {
                attempts.expect_denied(what, &outcome);
            }
        };
        let opens = matches!(function, "launch-run" | "claim-run");
        let seals = function == "write-secrets";
        expect(attempts, opens, "kms:Decrypt", sealed.open(&role).await);
        expect(attempts, seals, "kms:GenerateDataKey", sealed.generate(&role).await);
        expect(attempts, false, "kms:Decrypt for another deployment", elsewhere.open(&role).await);
        expect(
            attempts,
            false,
            "kms:GenerateDataKey for another deployment",
            elsewhere.generate(&role).await,
        );
        for (what, outcome) in
            sealed.other_uses(&role).await.into_iter().chain(sealed.management(&role).await)
        {
            expect(attempts, false, what, outcome);
        }
        let described = aws_sdk_kms::Client::new(&role).describe_key().key_id(&sealed.key).send().await;
        expect(attempts, opens || seals, "kms:DescribeKey", call_result(described));
        // The at-rest key can be used only through DynamoDB, which the emulator does not call it
        // for: direct use is denied.
        let at_rest = Sealed { key: harness.stack.output("AtRestKeyArn")?.to_owned(), ..sealed.clone() };
        expect(attempts, false, "kms:GenerateDataKey with the at-rest key", at_rest.generate(&role).await);
    }
    passed_roles(targets, attempts, &sealed).await?;
    administrators(targets, attempts, &sealed).await
}

/// The roles of `launch-run` and `claim-run` cannot decrypt when they are passed to another
/// function or assumed by a user.
async fn passed_roles(targets: &Targets, attempts: &mut Attempts, sealed: &Sealed) -> Outcome {
    for (function, role) in [("launch-run", "LaunchRunRole"), ("claim-run", "ClaimRunRole")] {
        let name = targets.harness.resource(role)?;
        let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
            "Principal": {"AWS": format!("arn:aws:iam::{}:root", local::ACCOUNT)}, "Action": "sts:AssumeRole"}]});
        let trust = trust.to_string();
        let request = [("Action", "UpdateAssumeRolePolicy"), ("RoleName", name), ("PolicyDocument", &trust)];
        let (status, answer) = targets.harness.raw.iam(&request).await?;
        end_to_end::rights::ensure(status.is_success(), || {
            format!("UpdateAssumeRolePolicy: {status} {answer}")
        })?;
        let assumed = Platform::new(&targets.harness.stack).await.assume(name).await?;
        let assumed = targets.harness.stack.sdk_config(&assumed).await;
        attempts.expect_denied(
            format!("{function}'s role, assumed by a user, kms:Decrypt"),
            &sealed.open(&assumed).await,
        );
    }
    Ok(())
}

/// An administrator with `kms:*` on every key can manage the envelope key but never use it.
async fn administrators(targets: &Targets, attempts: &mut Attempts, sealed: &Sealed) -> Outcome {
    let platform = Platform::new(&targets.harness.stack).await;
    let statements =
        json!([{"Effect": "Allow", "Action": ["kms:*", "secretsmanager:DescribeSecret"], "Resource": "*"}]);
    let administrator = platform.role("administrator", &statements).await?;
    let administrator = targets.harness.stack.sdk_config(&administrator).await;
    attempts.expect_denied("an administrator kms:Decrypt", &sealed.open(&administrator).await);
    attempts.expect_denied("an administrator kms:GenerateDataKey", &sealed.generate(&administrator).await);
    for (what, outcome) in sealed.other_uses(&administrator).await {
        attempts.expect_denied(format!("an administrator {what}"), &outcome);
    }
    let kms = aws_sdk_kms::Client::new(&administrator);
    let described = kms.describe_key().key_id(&sealed.key).send().await;
    attempts.expect_allowed("an administrator kms:DescribeKey", &call_result(described));
    let rotated = kms.get_key_rotation_status().key_id(&sealed.key).send().await;
    attempts.expect_allowed("an administrator kms:GetKeyRotationStatus", &call_result(rotated));
    // An IAM policy does not extend a function's role either: only the key policy decides.
    let role = targets.harness.resource("ReadSecretsRole")?;
    let policy = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "kms:*", "Resource": "*"}]});
    let policy = policy.to_string();
    let put = [
        ("Action", "PutRolePolicy"),
        ("RoleName", role),
        ("PolicyName", "more"),
        ("PolicyDocument", &policy),
    ];
    targets.harness.raw.iam(&put).await?;
    let reader = targets.harness.role("read-secrets").await?;
    attempts
        .expect_denied("read-secrets with kms:* on every resource, kms:Decrypt", &sealed.open(&reader).await);
    let delete = [("Action", "DeleteRolePolicy"), ("RoleName", role), ("PolicyName", "more")];
    let (status, _) = targets.harness.raw.iam(&delete).await?;
    end_to_end::rights::ensure(status.is_success(), || format!("DeleteRolePolicy: {status}"))
}
