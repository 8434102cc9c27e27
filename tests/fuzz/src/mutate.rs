//! Deterministic mutations of an input: changed bytes, inserted words that are special to parsers,
//! changed JSON nodes, and splices with other inputs.

use proptest::prelude::RngExt as _;
use proptest::test_runner::{RngAlgorithm, TestRng};
use serde_json::{Map, Value, json};

/// Generates mutations.
pub(crate) struct Mutator<'a> {
    random: TestRng,
    others: &'a [Vec<u8>],
}

/// Words that are special to a parser.
const WORDS: [&str; 36] = [
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "\u{feff}",
    "\u{2028}",
    "\r\n",
    "\n",
    "\0",
    "=",
    "export ",
    "#",
    "'",
    "$(id)",
    "`id`",
    "../",
    "%00",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "null",
    "-1",
    "9007199254740993",
    "1e999",
    "9223372036854775808",
    "LD_PRELOAD",
    "__proto__",
    "Bearer ",
    "Basic ",
    ".",
    "K",
    "ı",
    "9999-12-30T22:00:00.999999999Z",
];

impl<'a> Mutator<'a> {
    /// Creates a mutator with a corpus to splice from.
    pub(crate) fn new(others: &'a [Vec<u8>]) -> Self {
        Self { random: TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]), others }
    }

    /// Returns a mutated input.
    pub(crate) fn mutate(&mut self, input: &[u8]) -> Vec<u8> {
        let mut input = input.to_vec();
        for _ in 0..self.random.random_range(1..=4) {
            input = match serde_json::from_slice::<Value>(&input) {
                Ok(document) if self.random.random() => self.mutate_json(document),
                _ => self.mutate_bytes(input),
            };
        }
        input
    }

    fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { self.random.random_range(0..end) }
    }

    fn word(&mut self) -> &'static str {
        WORDS[self.below(WORDS.len())]
    }

    fn mutate_bytes(&mut self, mut input: Vec<u8>) -> Vec<u8> {
        let at = self.below(input.len() + 1);
        let end = at + self.below((input.len() - at).min(64) + 1);
        match self.random.random_range(0..6) {
            0 if at < input.len() => input[at] ^= 1 << self.random.random_range(0..8),
            1 => {
                input.drain(at..end);
            }
            2 => {
                let part = input[at..end].to_vec();
                input.splice(at..at, part);
            }
            3 => {
                let word = self.word();
                input.splice(at..end, word.bytes());
            }
            4 => {
                let byte = self.random.random();
                input.insert(at, byte);
            }
            _ => {
                let other = &self.others[self.below(self.others.len())];
                let from = self.below(other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
        }
        input.truncate(16 * 1024);
        input
    }

    fn mutate_json(&mut self, mut document: Value) -> Vec<u8> {
        let mut steps = self.below(count(&document));
        if let Some(node) = nth(&mut document, &mut steps) {
            let word = self.word();
            *node = match self.random.random_range(0..9) {
                0 => Value::Null,
                1 => json!(word),
                2 => json!(i64::MIN),
                3 => json!(1.5e300),
                4 => json!(true),
                5 => json!([node.clone(), node.clone()]),
                6 => json!({ word: node.clone() }),
                7 => node.as_str().map_or(json!({}), |text| json!(format!("{word}{text}"))),
                _ => node.as_str().map_or(json!([]), |text| json!(text.to_uppercase())),
            };
        }
        document.to_string().into_bytes()
    }
}

/// Counts a document's nodes, including itself.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(values) => values.iter().map(count).sum::<usize>(),
        Value::Object(fields) => fields.values().map(count).sum(),
        _ => 0,
    }
}

/// Returns the node after this many steps in depth-first order.
fn nth<'a>(value: &'a mut Value, steps: &mut usize) -> Option<&'a mut Value> {
    if *steps == 0 {
        return Some(value);
    }
    *steps -= 1;
    match value {
        Value::Array(values) => values.iter_mut().find_map(|value| nth(value, steps)),
        Value::Object(fields) => Map::values_mut(fields).find_map(|value| nth(value, steps)),
        _ => None,
    }
}
