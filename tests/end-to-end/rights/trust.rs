//! Derives the writers of each kind of row from the template, and compares them with
//! docs/ARCHITECTURE.md and with the rights that the rows grant. A function may write a row only if
//! it has at least the rights that the row grants.

use std::collections::{BTreeMap, BTreeSet};

use end_to_end::rights::statements::texts;
use end_to_end::rights::template::Template;
use end_to_end::rights::{Outcome, ensure, functions, logical};
use local::{Progress, Tools};
use serde_json::Value;

/// The attributes that a function may write in the rows of a partition.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Write {
    All,
    Attributes(BTreeSet<String>),
}

type Writers = BTreeMap<String, BTreeMap<String, Write>>;

/// Each kind of partition, the functions that have at least the rights that its rows grant, and
/// these rights.
const GRANTS: [(&str, &[&str], &str); 16] = [
    ("ORG#", &["identity"], "the workspace of a name"),
    ("WS#", &["identity"], "the platforms of a workspace, and its number of owners"),
    ("USER#", &["identity"], "the identity and the workspaces of a user"),
    ("LOGIN#", &["identity"], "the user of a login, a name or an e-mail address"),
    ("MEMBERS#", &["identity"], "roles"),
    ("TOKEN#", &["identity"], "the identity of a caller"),
    ("ENVS#", &["identity"], "to which account and role the values of a workspace's runs are sent"),
    ("ENVIRONMENTS", &["identity"], "in which accounts orphans are searched for and deleted"),
    ("SECRETS#", &["identity", "write-secrets"], "a secret's name, version and sealed value"),
    ("REMOVED#", &["identity"], "whose secrets and environments are deleted and whose runs end"),
    ("IDEM#", &["write-secrets"], "the secrets that a replayed request returns"),
    (
        "RUN#",
        &["launch-run", "claim-run"],
        "the values that a claim opens, the token for it, and the copies that are deleted",
    ),
    ("LAUNCH#", &["launch-run"], "the run whose tokens a repeated launch renews"),
    ("QUOTA#", &["launch-run"], "how long launches with many copies wait"),
    ("JOB#", &["report-run"], "nothing: a hint, which DescribeJobs confirms"),
    (
        "AUDIT#",
        &["identity", "write-secrets", "launch-run", "claim-run", "report-run", "cleanup-run"],
        "nothing: an overwritten record is found by its log line",
    ),
];

/// Attributes that only the functions above may write, in rows where others may write some
/// attributes.
const PROTECTED: [(&str, &[&str]); 3] = [
    ("TOKEN#", &["id", "user", "name", "hash", "createdAt", "expires", "due", "dueShard"]),
    (
        "SECRETS#",
        &[
            "name",
            "version",
            "envelope",
            "expires",
            "due",
            "dueShard",
            "lost",
            "nextflowStore",
            "secretId",
            "secretCount",
        ],
    ),
    (
        "RUN#",
        &[
            "workspace",
            "user",
            "launchedWith",
            "platform",
            "layout",
            "createdAt",
            "notAfter",
            "created",
            "runScope",
            "copyCount",
            "target",
            "secrets",
            "copies",
            "runToken",
            "claimToken",
            "claimed",
            "delivered",
        ],
    ),
];

/// Derives the writers of each partition.
fn writers(template: &Template) -> Writers {
    let mut writers = Writers::new();
    for function in functions() {
        for statement in template.rights(&logical(function)) {
            let actions = texts(&statement["Action"]);
            let conditions = &statement["Condition"];
            let attributes = &conditions["ForAllValues:StringEquals"]["dynamodb:Attributes"];
            for action in actions {
                let write = match action.as_str() {
                    "dynamodb:UpdateItem" if attributes.is_array() => {
                        let keys = ["pk", "sk"];
                        let named =
                            texts(attributes).into_iter().filter(|name| !keys.contains(&name.as_str()));
                        Write::Attributes(named.collect())
                    }
                    "dynamodb:PutItem"
                    | "dynamodb:UpdateItem"
                    | "dynamodb:DeleteItem"
                    | "dynamodb:BatchWriteItem"
                    | "dynamodb:PartiQLInsert"
                    | "dynamodb:PartiQLUpdate"
                    | "dynamodb:PartiQLDelete"
                    | "dynamodb:*" => Write::All,
                    _ => continue,
                };
                let patterns = texts(&conditions["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]);
                let patterns = if patterns.is_empty() { vec!["*".to_owned()] } else { patterns };
                for pattern in patterns {
                    let partition = pattern.strip_suffix('*').unwrap_or(&pattern).to_owned();
                    let of = writers
                        .entry(partition)
                        .or_default()
                        .entry(function.to_owned())
                        .or_insert(write.clone());
                    *of = match (of.clone(), write.clone()) {
                        (Write::Attributes(one), Write::Attributes(other)) => {
                            Write::Attributes(one.union(&other).cloned().collect())
                        }
                        _ => Write::All,
                    };
                }
            }
        }
    }
    writers
}

/// Returns the violations of the rule.
fn violations(template: &Template) -> Vec<String> {
    let mut found = Vec::new();
    for (partition, by) in writers(template) {
        let Some((_, privileged, granted)) = GRANTS.iter().find(|(known, _, _)| *known == partition) else {
            found.push(format!("{partition} is not in GRANTS"));
            continue;
        };
        let protected =
            PROTECTED.iter().find(|(known, _)| *known == partition).map_or(&[][..], |(_, names)| *names);
        for (function, write) in by {
            let wrong = match &write {
                _ if privileged.contains(&function.as_str()) => false,
                Write::All => true,
                Write::Attributes(names) => {
                    protected.is_empty() || names.iter().any(|name| protected.contains(&name.as_str()))
                }
            };
            if wrong {
                found.push(format!("{function} may write {partition}, which decides {granted}: {write:?}"));
            }
        }
    }
    for function in functions() {
        let changes =
            |action: &String| ["dynamodb:UpdateItem", "dynamodb:DeleteItem"].contains(&action.as_str());
        for statement in template.rights(&logical(function)) {
            let audit = statement["Condition"].to_string().contains("AUDIT#");
            if audit && texts(&statement["Action"]).iter().any(changes) {
                found.push(format!("{function} may change or delete audit records"));
            }
        }
    }
    found
}

#[tokio::test]
async fn no_function_writes_a_row_that_grants_more_than_its_rights() -> Outcome {
    let tools = Tools::ready(Progress::Quiet).await?;
    let template = Template::expanded(&tools).await?;
    let found = violations(&template);
    ensure(found.is_empty(), || found.join("\n"))?;
    // The table in the architecture page must match.
    let page = std::fs::read_to_string(tools.checkout.root().join("docs/ARCHITECTURE.md"))?;
    let (derived, written) = (table(&writers(&template)), documented(&page));
    ensure(derived == written, || {
        let missing: Vec<_> = derived.difference(&written).collect();
        let wrong: Vec<_> = written.difference(&derived).collect();
        format!("docs/ARCHITECTURE.md, \"Trust\": missing {missing:#?}, wrong {wrong:#?}")
    })
}

/// Every attribute of a stored run is either writable by report-run and cleanup-run, or protected
/// from them.
#[tokio::test]
async fn every_attribute_of_a_run_is_lifecycle_or_protected() -> Outcome {
    let tools = Tools::ready(Progress::Quiet).await?;
    let template = Template::expanded(&tools).await?;
    let rows =
        std::fs::read_to_string(tools.checkout.root().join("shared/store-dynamodb/src/rows/frozen.jsonl"))?;
    let mut stored = BTreeSet::new();
    for line in rows.lines() {
        let row: Value = serde_json::from_str(line)?;
        if row["sk"]["S"] == "RUN" {
            stored.extend(row.as_object().into_iter().flatten().map(|(name, _)| name.clone()));
        }
    }
    let written = match &writers(&template)["RUN#"]["report-run"] {
        Write::Attributes(names) => names.clone(),
        Write::All => return Err("report-run may write every attribute of a run".into()),
    };
    let protected: BTreeSet<String> = PROTECTED[2].1.iter().map(|name| (*name).to_owned()).collect();
    let keys = BTreeSet::from(["pk".to_owned(), "sk".to_owned()]);
    let known: BTreeSet<String> = written.union(&protected).chain(&keys).cloned().collect();
    ensure(known == stored, || format!("{:?}", known.symmetric_difference(&stored).collect::<Vec<_>>()))
}

/// A policy with an additional partition or attribute is detected.
#[tokio::test]
async fn an_excessive_right_is_detected() -> Outcome {
    let tools = Tools::ready(Progress::Quiet).await?;
    let added: [(&str, &str, &str, Option<&str>); 10] = [
        ("ReportRun", "Put", "RUN#*", None),
        ("ReportRun", "Put", "QUOTA#*", None),
        ("CleanupRun", "Audit", "SECRETS#*", None),
        ("WriteSecrets", "Put", "LAUNCH#*", None),
        ("WriteSecrets", "Change", "MEMBERS#*", None),
        ("WriteSecrets", "Delete", "AUDIT#*", None),
        ("LaunchRun", "Intent", "TOKEN#*", None),
        ("ClaimRun", "Audit", "*", None),
        ("Authorizer", "NoteUse", "", Some("hash")),
        ("CleanupRun", "Lifecycle", "", Some("claimToken")),
    ];
    for (role, sid, partition, attribute) in added {
        let mut template = Template::expanded(&tools).await?;
        let policy =
            &mut template.document["Resources"][format!("{role}Rights")]["Properties"]["PolicyDocument"];
        let statements = policy["Statement"].as_array_mut().ok_or("no statements")?;
        let statement = statements
            .iter_mut()
            .find(|one| one["Sid"] == sid)
            .ok_or_else(|| format!("{role} has no {sid}"))?;
        let list = match attribute {
            None => &mut statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"],
            Some(_) => &mut statement["Condition"]["ForAllValues:StringEquals"]["dynamodb:Attributes"],
        };
        list.as_array_mut().ok_or("no list")?.push(attribute.unwrap_or(partition).into());
        ensure(!violations(&template).is_empty(), || {
            format!("not detected: {role} {sid} {partition}{attribute:?}")
        })?;
    }
    Ok(())
}

/// The operators' scripts select log lines by these actions.
#[test]
fn the_audit_scripts_know_every_audit_action() -> Outcome {
    let root = local::Checkout::find()?;
    let script = std::fs::read_to_string(root.root().join("infra/audit_log.py"))?;
    for action in domain::audit::AuditAction::ALL {
        ensure(script.contains(&format!("\"{}\"", action.as_str())), || action.as_str().to_owned())?;
    }
    Ok(())
}

/// `partition · function (attributes)`.
fn table(writers: &Writers) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for (partition, by) in writers {
        for (function, write) in by {
            lines.insert(match write {
                Write::All => format!("{partition} · {function}"),
                Write::Attributes(names) => {
                    format!(
                        "{partition} · {function} ({})",
                        names.iter().cloned().collect::<Vec<_>>().join(" ")
                    )
                }
            });
        }
    }
    lines
}

/// Parses the same from the page: rows `| partition | writers | trust |`, where writers are
/// `function` or `function: attribute, attribute`, separated by semicolons.
fn documented(page: &str) -> BTreeSet<String> {
    let section = page.split("\n## Trust\n").nth(1).unwrap_or_default();
    let section = section.split("\n## ").next().unwrap_or_default();
    let mut lines = BTreeSet::new();
    for line in section.lines().filter(|line| line.starts_with("| `")) {
        let mut cells = line.trim_matches('|').split('|').map(|cell| cell.replace('`', "").trim().to_owned());
        let (partition, writers) = (cells.next().unwrap_or_default(), cells.next().unwrap_or_default());
        for writer in writers.split(';') {
            match writer.split_once(':') {
                None => lines.insert(format!("{partition} · {}", writer.trim())),
                Some((function, names)) => {
                    let names: BTreeSet<_> = names.split(',').map(str::trim).collect();
                    lines.insert(format!(
                        "{partition} · {} ({})",
                        function.trim(),
                        names.into_iter().collect::<Vec<_>>().join(" ")
                    ))
                }
            };
        }
    }
    lines
}
