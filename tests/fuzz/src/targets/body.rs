use domain::settings::Settings;
use http_api::wire::{environments, identity, imports, launches, reports, secrets};
use http_api::{Answer, Operation, Problem, Request};
use serde_json::json;
use serde_json::value::to_raw_value;

/// A body, for the operation selected by the first byte, is read or rejected with one line that
/// does not quote a value.
pub fn run(data: &[u8]) {
    let Some((first, body)) = data.split_first() else {
        return;
    };
    let operation = Operation::ALL[usize::from(*first) % Operation::ALL.len()];
    let body = super::text(body);
    for content_type in ["application/json", "text/plain"] {
        let event = json!({
            "routeKey": operation.route_key(),
            "headers": { "content-type": content_type },
            "queryStringParameters": { "workspaceId": "42" },
            "requestContext": { "authorizer": { "lambda": { "userId": "1" } } },
            "body": body,
        });
        let event = to_raw_value(&event).expect("JSON");
        let settings = Settings::new("test");
        let served =
            crate::aws::wait(http_api::serve(&settings, &event, async |request| read(&request, &settings)));
        super::check_answer(served.answer.get());
    }
}

fn read(request: &Request<'_>, settings: &Settings) -> Result<Answer, Problem> {
    match request.operation {
        Operation::CreatePipelineSecret => {
            secrets::draft(request.json()?, settings)?;
        }
        Operation::UpdatePipelineSecret => drop(secrets::change(request.json()?)?),
        Operation::ImportPipelineSecrets if request.content_type() == "text/plain" => {
            imports::from_dotenv(&request.body()?, settings)?;
        }
        Operation::ImportPipelineSecrets => {
            imports::from_json(&request.json_text()?, settings)?;
        }
        Operation::LaunchRun | Operation::PreviewLaunch => {
            launches::request(request.json()?, request.workspace()?)?;
        }
        Operation::UpdateWorkspacePlatforms => drop(identity::platforms(request.json()?)?),
        Operation::AddParticipant => drop(identity::new_participant(request.json()?)?),
        Operation::UpdateParticipantRole => drop(identity::new_role(request.json()?)?),
        Operation::CreateCredentials | Operation::UpdateCredentials => {
            environments::credentials_draft(&request.json()?)?;
        }
        Operation::CreateComputeEnv => drop(environments::environment_draft(&request.json()?)?),
        Operation::UpdateComputeEnv => drop(environments::environment_update(&request.json()?)?),
        Operation::RecordHeadJob => drop(reports::head_job(request.json()?)?),
        Operation::EndRun => drop(reports::ended(&request.json()?)),
        Operation::TraceComplete => drop(reports::completed(&request.body()?)),
        _ => drop(identity::new_token(request.json()?)?),
    }
    Ok(Answer::no_content())
}
