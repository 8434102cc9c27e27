//! JSON objects with arbitrary names.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A JSON object whose names are unique. A repeated name is an error: parsers differ in which value
/// they use, so a check and a use could see different ones.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UniqueMap<V>(pub BTreeMap<String, V>);

impl<V> Default for UniqueMap<V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for UniqueMap<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Unique<V>(PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for Unique<V> {
            type Value = UniqueMap<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<UniqueMap<V>, A::Error> {
                let mut values = BTreeMap::new();
                while let Some(name) = map.next_key::<String>()? {
                    match values.entry(name) {
                        Entry::Vacant(new) => new.insert(map.next_value()?),
                        Entry::Occupied(_) => return Err(A::Error::custom("a name is repeated")),
                    };
                }
                Ok(UniqueMap(values))
            }
        }
        deserializer.deserialize_map(Unique(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_name_is_an_error() {
        let read = |text| serde_json::from_str::<UniqueMap<u8>>(text).ok();
        assert_eq!(read("{}"), Some(UniqueMap::default()));
        let both = BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), 1)]);
        assert_eq!(read(r#"{"a":1,"b":1}"#), Some(UniqueMap(both)));
        for refused in [r#"{"a":1,"a":1}"#, r#"{"a":1,"b":2,"\u0061":3}"#, r#"{"a":"1"}"#, "[]", "null"] {
            assert_eq!(read(refused), None, "{refused}");
        }
    }
}
