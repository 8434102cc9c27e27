//! The envelope key: who may not open, seal, manage or share it.

use end_to_end::rights::sealed::{Sealed, tried};
use local::platform::Platform;
use serde_json::json;

use super::{NAME, Outcome, Targets, Trial, functions};

pub(super) async fn try_all(targets: &Targets, trial: &mut Trial) -> Outcome {
    let (harness, world) = (&targets.harness, &targets.world);
    let scope = format!("WS#{}", world.workspace);
    let place =
        (harness.stack.output("EnvelopeKeyArn")?, harness.stack.output("TableName")?, harness.stack.name());
    let sealed = Sealed::of(&harness.operator, place, (&scope, targets.secret, NAME)).await?;
    let elsewhere = sealed.of_deployment("another-deployment");
    for function in functions() {
        let role = harness.role(function).await?;
        let may = |trial: &mut Trial, allowed: bool, what: &str, outcome| {
            let what = format!("{function} {what}");
            if allowed { trial.permit(what, &outcome) } else { trial.refuse(what, &outcome) }
        };
        let opens = matches!(function, "launch-run" | "claim-run");
        let seals = function == "write-secrets";
        may(trial, opens, "kms:Decrypt", sealed.open(&role).await);
        may(trial, seals, "kms:GenerateDataKey", sealed.generate(&role).await);
        may(trial, false, "kms:Decrypt for another deployment", elsewhere.open(&role).await);
        may(trial, false, "kms:GenerateDataKey for another deployment", elsewhere.generate(&role).await);
        for (what, outcome) in
            sealed.other_uses(&role).await.into_iter().chain(sealed.management(&role).await)
        {
            may(trial, false, what, outcome);
        }
        let described = aws_sdk_kms::Client::new(&role).describe_key().key_id(&sealed.key).send().await;
        may(trial, opens || seals, "kms:DescribeKey", tried(described));
        // The at-rest key serves through the table alone, which the emulator does not ask for: a direct use is refused.
        let at_rest = Sealed { key: harness.stack.output("AtRestKeyArn")?.to_owned(), ..sealed.clone() };
        may(trial, false, "kms:GenerateDataKey with the at-rest key", at_rest.generate(&role).await);
    }
    passed_roles(targets, trial, &sealed).await?;
    administrators(targets, trial, &sealed).await
}

/// The roles of `launch-run` and `claim-run`, passed to another function or assumed by a person, open nothing.
async fn passed_roles(targets: &Targets, trial: &mut Trial, sealed: &Sealed) -> Outcome {
    for (function, role) in [("launch-run", "LaunchRunRole"), ("claim-run", "ClaimRunRole")] {
        let name = targets.harness.resource(role)?;
        let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
            "Principal": {"AWS": format!("arn:aws:iam::{}:root", local::ACCOUNT)}, "Action": "sts:AssumeRole"}]});
        let trust = trust.to_string();
        let asked = [("Action", "UpdateAssumeRolePolicy"), ("RoleName", name), ("PolicyDocument", &trust)];
        let (status, answer) = targets.harness.raw.iam(&asked).await?;
        end_to_end::rights::ensure(status.is_success(), || {
            format!("UpdateAssumeRolePolicy: {status} {answer}")
        })?;
        let taken = Platform::new(&targets.harness.stack).await.assume(name).await?;
        let taken = targets.harness.stack.sdk_config(&taken).await;
        trial.refuse(format!("{function}'s role, taken on, kms:Decrypt"), &sealed.open(&taken).await);
    }
    Ok(())
}

/// An administrator whose IAM policy allows everything on every key may manage this one, and never use it.
async fn administrators(targets: &Targets, trial: &mut Trial, sealed: &Sealed) -> Outcome {
    let platform = Platform::new(&targets.harness.stack).await;
    let statements =
        json!([{"Effect": "Allow", "Action": ["kms:*", "secretsmanager:DescribeSecret"], "Resource": "*"}]);
    let administrator = platform.role("administrator", &statements).await?;
    let administrator = targets.harness.stack.sdk_config(&administrator).await;
    trial.refuse("an administrator kms:Decrypt", &sealed.open(&administrator).await);
    trial.refuse("an administrator kms:GenerateDataKey", &sealed.generate(&administrator).await);
    for (what, outcome) in sealed.other_uses(&administrator).await {
        trial.refuse(format!("an administrator {what}"), &outcome);
    }
    let kms = aws_sdk_kms::Client::new(&administrator);
    let described = kms.describe_key().key_id(&sealed.key).send().await;
    trial.permit("an administrator kms:DescribeKey", &tried(described));
    let rotated = kms.get_key_rotation_status().key_id(&sealed.key).send().await;
    trial.permit("an administrator kms:GetKeyRotationStatus", &tried(rotated));
    // A function's role does not gain by an IAM policy either: the key's own policy alone decides.
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
    trial.refuse("read-secrets with kms:* on everything, kms:Decrypt", &sealed.open(&reader).await);
    let taken = [("Action", "DeleteRolePolicy"), ("RoleName", role), ("PolicyName", "more")];
    let (status, _) = targets.harness.raw.iam(&taken).await?;
    end_to_end::rights::ensure(status.is_success(), || format!("DeleteRolePolicy: {status}"))
}
