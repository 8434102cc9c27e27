//! delivery-secretsmanager
