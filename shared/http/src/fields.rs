//! The fields of a JSON body, read one by one, so that an error can name the field and never quotes what stands in it:
//! serde's own error texts do.

use std::borrow::Cow;
use std::collections::BTreeSet;

use domain::Timestamp;
use domain::name::SecretName;
use domain::secret::Description;
use domain::value::SecretValue;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::problem::Problem;

/// A JSON object, its fields unread. Unknown fields are tolerated.
pub struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Fields<'a> {
    /// Takes an object apart; 400 with the position of what is no JSON.
    pub fn parse(body: &'a str) -> Result<Self, Problem> {
        serde_json::from_str(body).map_err(|error| malformed(&error))
    }

    /// Every field with its raw JSON, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(name, value)| (&**name, *value))
    }

    /// A field, null or not; `None` where it is absent. 400 where it stands twice.
    fn only(&self, name: &str) -> Result<Option<&'a RawValue>, Problem> {
        let mut found = self.0.iter().filter(|(field, _)| field == name).map(|(_, value)| *value);
        let first = found.next();
        if found.next().is_some() {
            return Err(Problem::bad_request(format!("Malformed body: `{name}` stands twice.")));
        }
        Ok(first)
    }

    /// A field; `None` where it is absent or null. 400 where it stands twice.
    fn raw(&self, name: &str) -> Result<Option<&'a RawValue>, Problem> {
        Ok(self.only(name)?.filter(|value| value.get() != "null"))
    }

    /// Whether the field is there and null. 400 where it stands twice.
    pub fn is_null(&self, name: &str) -> Result<bool, Problem> {
        Ok(self.only(name)?.is_some_and(|value| value.get() == "null"))
    }

    /// A field that is a JSON string, zeroed after use.
    pub fn text(&self, name: &str) -> Result<Option<Zeroizing<String>>, Problem> {
        self.raw(name)?.map(|value| text(name, value)).transpose()
    }

    /// A field that has to be there and be a JSON string.
    pub fn required_text(&self, name: &str) -> Result<Zeroizing<String>, Problem> {
        self.text(name)?
            .ok_or_else(|| Problem::bad_request(format!("`{name}` is missing: it must be a JSON string.")))
    }

    /// A field that is a whole number.
    pub fn number(&self, name: &str) -> Result<Option<i64>, Problem> {
        self.typed(name, "a whole number")
    }

    /// A field that is true or false.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>, Problem> {
        self.typed(name, "true or false")
    }

    /// A field that is an object.
    pub fn object(&self, name: &str) -> Result<Option<Fields<'a>>, Problem> {
        self.raw(name)?
            .map(|value| {
                serde_json::from_str(value.get())
                    .map_err(|_| Problem::bad_request(format!("`{name}` must be a JSON object.")))
            })
            .transpose()
    }

    fn typed<T: Deserialize<'a>>(&self, name: &str, what: &str) -> Result<Option<T>, Problem> {
        self.raw(name)?
            .map(|value| {
                serde_json::from_str(value.get())
                    .map_err(|_| Problem::bad_request(format!("`{name}` must be {what}.")))
            })
            .transpose()
    }

    /// A field that is a list of secret names.
    pub fn names(&self, name: &str) -> Result<Option<BTreeSet<SecretName>>, Problem> {
        let list: Option<Vec<String>> = self.typed(name, "a list of secret names")?;
        let Some(list) = list else {
            return Ok(None);
        };
        let names = list.iter().map(|text| SecretName::parse(text)).collect::<domain::Result<_>>()?;
        Ok(Some(names))
    }

    /// A field that is a list of JSON strings.
    pub fn texts(&self, name: &str) -> Result<Option<Vec<String>>, Problem> {
        self.typed(name, "a list of JSON strings")
    }

    /// The required field `value`, as a secret's value.
    pub fn secret_value(&self) -> Result<SecretValue, Problem> {
        Ok(SecretValue::new(self.required_text("value")?)?)
    }

    /// The optional field `description`.
    pub fn description(&self) -> Result<Option<Description>, Problem> {
        let text = self.text("description")?;
        Ok(text.map(|text| Description::new(&text)).transpose()?)
    }

    /// An optional field that is an instant, as RFC 3339.
    pub fn instant(&self, name: &str) -> Result<Option<Timestamp>, Problem> {
        self.text(name)?
            .map(|text| {
                text.parse().map_err(|_| {
                    Problem::bad_request(format!(
                        "`{name}` must be a date and time like 2027-01-31T00:00:00Z, before 9999-12-30."
                    ))
                })
            })
            .transpose()
    }
}

/// A JSON string, zeroed after use. 400 for another type, or for text that is no Unicode.
pub fn text(name: &str, value: &RawValue) -> Result<Zeroizing<String>, Problem> {
    serde_json::from_str::<String>(value.get())
        .map(Zeroizing::new)
        .map_err(|_| Problem::bad_request(format!("`{name}` must be a valid JSON string.")))
}

/// Where a body stops being JSON; serde's own text would quote it.
fn malformed(error: &serde_json::Error) -> Problem {
    use serde_json::error::Category;
    match error.classify() {
        Category::Data => Problem::bad_request("Malformed body: it must be a JSON object."),
        Category::Eof if error.column() == 0 => {
            Problem::bad_request("The body is missing: it must be a JSON object.")
        }
        _ => Problem::bad_request(format!(
            "Malformed body: it is not valid JSON at line {}, column {}.",
            error.line(),
            error.column()
        )),
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(entry) = map.next_entry::<Key<'de>, &'de RawValue>()? {
                    fields.push((entry.0.0, entry.1));
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(Object).map(Fields)
    }
}

/// A field's name, borrowed where it holds no escapes.
#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome<T>(result: Result<T, Problem>) -> Result<T, String> {
        result.map_err(|problem| format!("{} {}", problem.status(), problem.message()))
    }

    #[test]
    fn a_body_that_is_not_an_object_is_refused_with_its_position() {
        for (body, message) in [
            ("", "400 The body is missing: it must be a JSON object."),
            ("\n", "400 The body is missing: it must be a JSON object."),
            ("[]", "400 Malformed body: it must be a JSON object."),
            ("\"hidden\"", "400 Malformed body: it must be a JSON object."),
            ("{\"a\":", "400 Malformed body: it is not valid JSON at line 1, column 5."),
            ("{\n\"a\": hidden}", "400 Malformed body: it is not valid JSON at line 2, column 6."),
            ("hidden", "400 Malformed body: it is not valid JSON at line 1, column 1."),
        ] {
            assert_eq!(outcome(Fields::parse(body).map(|_| ())), Err(message.to_owned()), "{body:?}");
        }
    }

    #[test]
    fn fields_keep_their_order_and_escaped_names_are_decoded() {
        let fields = Fields::parse(r#"{"b": 1, "\u0061": [2 ], "b": null}"#).unwrap();
        let read: Vec<_> = fields.iter().map(|(name, value)| (name, value.get())).collect();
        assert_eq!(read, [("b", "1"), ("a", "[2 ]"), ("b", "null")]);
    }

    #[test]
    fn a_field_is_read_as_its_type_and_absent_or_null_is_none() {
        let fields = Fields::parse(
            r#"{"n": -7, "t": true, "f": false, "s": "ü", "o": {"n": 8}, "l": ["a"], "z": null}"#,
        )
        .unwrap();
        for name in ["z", "absent"] {
            assert_eq!(outcome(fields.number(name)), Ok(None), "{name}");
            assert_eq!(outcome(fields.boolean(name)), Ok(None), "{name}");
            assert_eq!(outcome(fields.text(name)), Ok(None), "{name}");
            assert_eq!(outcome(fields.texts(name)), Ok(None), "{name}");
            assert!(fields.object(name).unwrap().is_none(), "{name}");
            assert_eq!(outcome(fields.is_null(name)), Ok(name == "z"), "{name}");
        }
        assert_eq!(outcome(fields.number("n")), Ok(Some(-7)));
        assert_eq!(outcome(fields.boolean("t")), Ok(Some(true)));
        assert_eq!(outcome(fields.boolean("f")), Ok(Some(false)));
        assert_eq!(outcome(fields.text("s")), Ok(Some(Zeroizing::new("ü".to_owned()))));
        assert_eq!(outcome(fields.texts("l")), Ok(Some(vec!["a".to_owned()])));
        assert_eq!(outcome(fields.object("o").unwrap().unwrap().number("n")), Ok(Some(8)));
        assert_eq!(outcome(fields.is_null("n")), Ok(false));
    }

    #[test]
    fn an_error_names_the_field() {
        let fields = Fields::parse(r#"{"x": [[]], "y": 1, "y": 1}"#).unwrap();
        for (error, message) in [
            (outcome(fields.number("x")).unwrap_err(), "400 `x` must be a whole number."),
            (outcome(fields.boolean("x")).unwrap_err(), "400 `x` must be true or false."),
            (outcome(fields.text("x")).unwrap_err(), "400 `x` must be a valid JSON string."),
            (outcome(fields.texts("x")).unwrap_err(), "400 `x` must be a list of JSON strings."),
            (outcome(fields.names("x")).unwrap_err(), "400 `x` must be a list of secret names."),
            (outcome(fields.object("x").map(|_| ())).unwrap_err(), "400 `x` must be a JSON object."),
            (
                outcome(fields.required_text("z")).unwrap_err(),
                "400 `z` is missing: it must be a JSON string.",
            ),
            (outcome(fields.number("y")).unwrap_err(), "400 Malformed body: `y` stands twice."),
            (outcome(fields.is_null("y")).unwrap_err(), "400 Malformed body: `y` stands twice."),
        ] {
            assert_eq!(error, message);
        }
    }
}
