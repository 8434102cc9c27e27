//! Users, workspaces, who belongs where, and tokens.
//!
//! A membership stands twice, under the workspace and under the user, and a token thrice: under its id, which alone
//! decides, under its user, and as the guard of its name. All of them are written in one transaction.

mod change;
mod keys;
mod login;
mod read;
