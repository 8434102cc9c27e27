//! A handler's answer on its way to Lambda.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// JSON that is copied once into the response, and zeroed here: a claim's answer holds values.
pub(crate) struct Answer(pub(crate) Box<RawValue>);

impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        crate::invocation::wipe(&mut self.0);
    }
}
