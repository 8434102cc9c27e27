//! One file per use case. Each begins with its authorization.
