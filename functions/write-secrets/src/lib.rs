//! write-secrets
