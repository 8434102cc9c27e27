//! The names and values of an expression. Every attribute has a placeholder, because many of our
//! names are reserved words.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::rows::{Attributes, Fields};

/// The placeholders of an expression.
#[derive(Default)]
pub(crate) struct ExpressionAttributes {
    names: HashMap<String, String>,
    values: Attributes,
}

/// The changes of an update.
#[derive(Default)]
pub(crate) struct Changes {
    attributes: ExpressionAttributes,
    set: Vec<String>,
    remove: Vec<String>,
    add: Vec<String>,
}

impl ExpressionAttributes {
    /// The placeholder of an attribute.
    pub(crate) fn name(&mut self, attribute: &str) -> String {
        let placeholder = format!("#{attribute}");
        self.names.insert(placeholder.clone(), attribute.to_owned());
        placeholder
    }

    /// The placeholder of a value.
    pub(crate) fn value(&mut self, value: AttributeValue) -> String {
        let placeholder = format!(":v{}", self.values.len());
        self.values.insert(placeholder.clone(), value);
        placeholder
    }

    /// The condition that the attribute equals this value.
    pub(crate) fn equals(&mut self, attribute: &str, value: AttributeValue) -> String {
        format!("{} = {}", self.name(attribute), self.value(value))
    }

    /// Names and values for a request: `None` instead of empty maps.
    pub(crate) fn parts(self) -> (Option<HashMap<String, String>>, Option<Attributes>) {
        ((!self.names.is_empty()).then_some(self.names), (!self.values.is_empty()).then_some(self.values))
    }
}

impl Changes {
    /// The attributes for the condition that accompanies the changes.
    pub(crate) fn attributes(&mut self) -> &mut ExpressionAttributes {
        &mut self.attributes
    }

    pub(crate) fn set(&mut self, attribute: &str, value: AttributeValue) {
        self.set.push(self.attributes.equals(attribute, value));
    }

    /// Sets the attributes that have a value and removes the others.
    pub(crate) fn set_or_remove(&mut self, fields: Fields) {
        for (attribute, value) in fields {
            match value {
                Some(value) => self.set(&attribute, value),
                None => self.remove.push(self.attributes.name(&attribute)),
            }
        }
    }

    /// Adds to a number. A missing attribute counts as 0.
    pub(crate) fn add(&mut self, attribute: &str, value: AttributeValue) {
        let change = format!("{} {}", self.attributes.name(attribute), self.attributes.value(value));
        self.add.push(change);
    }

    /// The update expression and its attributes.
    pub(crate) fn expression(self) -> (String, ExpressionAttributes) {
        let clauses = [("SET", self.set), ("REMOVE", self.remove), ("ADD", self.add)];
        let clauses = clauses.iter().filter(|(_, changes)| !changes.is_empty());
        let text: Vec<_> = clauses.map(|(verb, changes)| format!("{verb} {}", changes.join(", "))).collect();
        (text.join(" "), self.attributes)
    }
}
