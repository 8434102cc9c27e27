use domain::settings::Settings;
use http_api::wire::{identity, imports, launches, secrets};
use http_api::{Answer, Operation, Problem, Request};
use serde_json::json;
use serde_json::value::to_raw_value;

/// A body of any shape, for the operation that its first byte names, is read or refused in a line that quotes no value.
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
        super::answered(served.answer.get());
    }
}

fn read(request: &Request<'_>, settings: &Settings) -> Result<Answer, Problem> {
    match request.operation {
        Operation::CreatePipelineSecret => {
            request.with_fields(|fields| secrets::draft(fields, settings).map(drop))?;
        }
        Operation::UpdatePipelineSecret => request.with_fields(|fields| secrets::change(fields).map(drop))?,
        Operation::ImportPipelineSecrets if request.content_type() == "text/plain" => {
            imports::from_dotenv(&request.body()?, settings)?;
        }
        Operation::ImportPipelineSecrets => {
            request.with_fields(|fields| imports::from_json(fields, settings).map(drop))?;
        }
        Operation::LaunchRun | Operation::PreviewLaunch => {
            request.with_fields(|fields| launches::request(fields, request.workspace()?).map(drop))?;
        }
        Operation::UpdateWorkspacePlatforms => request.with_fields(identity::platforms).map(drop)?,
        Operation::AddParticipant => request.with_fields(identity::new_participant).map(drop)?,
        Operation::UpdateParticipantRole => request.with_fields(identity::new_role).map(drop)?,
        _ => request.with_fields(|fields| Ok(fields.required_text("name")?.len())).map(drop)?,
    }
    Ok(Answer::no_content())
}
