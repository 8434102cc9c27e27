//! read-secrets
