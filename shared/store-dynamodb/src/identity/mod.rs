//! Users, organizations, workspaces, memberships and tokens.
//!
//! A membership has two rows, under the workspace and under the user. A token has three: under its
//! id, under its user, and as the guard of its name. Authentication reads only the one under its
//! id. One transaction writes them together.

mod change;
mod keys;
mod login;
mod names;
mod read;
mod removed;

pub(crate) use self::keys::TOKENS;
