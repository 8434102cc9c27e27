use domain::ids::WorkspaceId;
use domain::name::SecretName;
use http_api::body;
use http_api::wire::launches;

/// A request to launch of any shape is read, and then names secrets by names that are some; or it is refused in a line.
pub fn run(data: &[u8]) {
    let text = super::text(data);
    let asked = body::parse(&text).and_then(|body| launches::request(body, WorkspaceId::new(42)));
    match asked {
        Ok(asked) => {
            assert_eq!(asked.workspace, WorkspaceId::new(42), "a body names no workspace");
            assert!(asked.secrets.optional.iter().all(|name| SecretName::parse(name.as_str()).is_ok()));
        }
        Err(problem) => super::one_line(problem.message()),
    }
}
