use domain::ids::WorkspaceId;
use domain::name::SecretName;
use http_api::body;
use http_api::wire::launches;

/// A launch request is read with valid secret names, or rejected with one line.
pub fn run(data: &[u8]) {
    let text = super::text(data);
    let request = body::parse(&text).and_then(|body| launches::request(body, WorkspaceId::new(42)));
    match request {
        Ok(request) => {
            assert_eq!(request.workspace, WorkspaceId::new(42), "a body must not select a workspace");
            assert!(request.secrets.optional.iter().all(|name| SecretName::parse(name.as_str()).is_ok()));
        }
        Err(problem) => super::one_line(problem.message()),
    }
}
