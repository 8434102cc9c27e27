//! keys-kms
