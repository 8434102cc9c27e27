//! The rows of environments. Their types hold ids and workspace, so the keys add nothing.

use domain::Result;
use domain::environment::{ListedEnvironment, StoredCredentials, StoredEnvironment};

use crate::keys::Key;
use crate::rows::{Attributes, FromRow, Row, fields};

pub(crate) fn environment_row(stored: &StoredEnvironment) -> Result<Attributes> {
    Ok(Key::environment(stored.workspace, &stored.environment.id).row(fields(stored)?))
}

pub(crate) fn credentials_row(stored: &StoredCredentials) -> Result<Attributes> {
    Ok(Key::credentials(stored.workspace, &stored.id).row(fields(stored)?))
}

pub(crate) fn listed_row(listed: &ListedEnvironment) -> Result<Attributes> {
    Ok(Key::listed_environment(&listed.environment.id).row(fields(listed)?))
}

impl FromRow for StoredEnvironment {
    fn from_row(row: Row) -> Result<Self> {
        row.read()
    }
}

impl FromRow for StoredCredentials {
    fn from_row(row: Row) -> Result<Self> {
        row.read()
    }
}
