//! The schemas of request and response bodies, generated from the wire types of `shared/http`.

use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

/// Collects the schemas that the document refers to. Requests and responses have separate
/// generators, because they differ in which fields are required.
pub(crate) struct Schemas {
    bodies: SchemaGenerator,
    answers: SchemaGenerator,
}

impl Schemas {
    pub(crate) fn new() -> Self {
        let settings = SchemaSettings::draft2020_12()
            .with(|settings| {
                settings.definitions_path = "/components/schemas".into();
                settings.meta_schema = None;
            })
            .with_transform(RecursiveTransform(tidy));
        Self {
            bodies: settings.clone().for_deserialize().into_generator(),
            answers: settings.for_serialize().into_generator(),
        }
    }

    /// Returns a required JSON request body.
    pub(crate) fn body<T: JsonSchema>(&mut self, example: &Value) -> Value {
        let schema = schema_of::<T>(&mut self.bodies);
        json!({"required": true, "content": {"application/json": {"schema": schema, "example": example}}})
    }

    /// Returns the status 200 and a JSON response.
    pub(crate) fn answer<T: JsonSchema>(&mut self, description: &str, example: &Value) -> (u16, Value) {
        let schema = schema_of::<T>(&mut self.answers);
        let content = json!({"application/json": {"schema": schema, "example": example}});
        (200, json!({"description": description, "content": content}))
    }

    /// Returns a 200 response with JSON, or with lines that a shell reads.
    pub(crate) fn answer_or_lines<T: JsonSchema>(
        &mut self,
        description: &str,
        example: &Value,
        lines: &str,
    ) -> (u16, Value) {
        let (status, mut answer) = self.answer::<T>(description, example);
        answer["content"]["text/plain"] = json!({
            "schema": {"type": "string", "description": "With `Accept: text/plain`: lines of the form `name=value`, without quotes."},
            "example": lines,
        });
        (status, answer)
    }

    pub(crate) fn parameter<T: JsonSchema>(&mut self) -> Value {
        schema_of::<T>(&mut self.bodies)
    }

    /// Returns every schema that is referred to, by name.
    pub(crate) fn components(mut self) -> Map<String, Value> {
        let mut all = self.answers.take_definitions(true);
        for (name, schema) in self.bodies.take_definitions(true) {
            let answered = all.insert(name.clone(), schema.clone());
            assert!(answered.is_none_or(|answered| answered == schema), "two schemas are called {name}");
        }
        all
    }
}

fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    let mut schema = generator.subschema_for::<T>();
    RecursiveTransform(tidy).transform(&mut schema);
    schema.to_value()
}

/// Joins the lines of a doc comment into paragraphs. Replaces the formats of unsigned numbers,
/// which OpenAPI does not have. Removes null defaults: in an update, null and absent mean different
/// things.
fn tidy(schema: &mut Schema) {
    if schema.get("default").is_some_and(Value::is_null) {
        schema.remove("default");
    }
    if let Some(Value::String(text)) = schema.get_mut("description") {
        let paragraphs: Vec<_> = text.split("\n\n").map(|paragraph| paragraph.replace('\n', " ")).collect();
        *text = paragraphs.join("\n\n");
    }
    if let Some(format) = schema.get_mut("format")
        && format.as_str().is_some_and(|format| format.starts_with("uint"))
    {
        *format = "int64".into();
    }
}
