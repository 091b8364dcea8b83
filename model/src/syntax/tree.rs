//! Text to a tree, watching for keys that are in one mapping twice.

use std::collections::HashMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::scalar::number_in_yaml_1_2_only;

/// Telling one takes two more looks at the text, so of many only the first are told.
const MOST_TWICE: usize = 10;

/// What one pass over a text watches for, and finds.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// `<<` merges, and numbers are looked at.
    yaml: bool,
    /// Fails at the key with this number.
    stop: Option<usize>,
    /// Values, by number, that are to be read as text and taken for these numbers unless tools of
    /// YAML 1.1 take the text for a string.
    as_text: HashMap<usize, Number>,
    /// Numbers found, by the value's number.
    pub(super) numbers: HashMap<usize, Number>,
    pub(super) twice: Vec<Twice>,
    pub(super) documents: usize,
    document: usize,
    keys: usize,
    /// Of any kind, read so far.
    values: usize,
    path: String,
}

/// A key that one mapping has twice. `first` and `second` number the keys of the text.
#[derive(Debug)]
pub(super) struct Twice {
    pub(super) document: usize,
    /// Of the key, in its document.
    pub(super) path: String,
    pub(super) key: String,
    pub(super) first: usize,
    pub(super) second: usize,
}

impl Reading {
    pub(super) fn yaml() -> Self {
        Self { yaml: true, ..Self::default() }
    }

    pub(super) fn with_numbers(numbers: HashMap<usize, Number>) -> Self {
        Self { as_text: numbers, ..Self::yaml() }
    }

    /// As `like`, and fails at a key.
    pub(super) fn stop_at(key: usize, like: &Self) -> Self {
        Self { yaml: like.yaml, stop: Some(key), ..Self::default() }
    }

    pub(super) fn begin(&mut self, document: usize) {
        self.document = document;
        self.path.clear();
    }

    /// Runs `read` one step further down the path.
    fn below<T>(&mut self, step: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.path.len();
        if length > 0 && !step.starts_with('[') {
            self.path.push('.');
        }
        self.path.push_str(step);
        let read = read(self);
        self.path.truncate(length);
        read
    }
}

/// Builds what stands next in the text.
pub(super) struct Build<'a>(pub(super) &'a mut Reading);

impl<'de> DeserializeSeed<'de> for Build<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.0.values += 1;
        if self.0.as_text.contains_key(&self.0.values) {
            deserializer.deserialize_str(NumberText(self.0))
        } else {
            deserializer.deserialize_any(self)
        }
    }
}

impl Build<'_> {
    fn scalar<E>(self, value: Value) -> Result<Value, E> {
        if let Value::Number(number) = &value
            && self.0.yaml
        {
            self.0.numbers.insert(self.0.values, number.clone());
        }
        Ok(value)
    }
}

impl<'de> Visitor<'de> for Build<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping, a sequence, a string, a number, true, false or null")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        self.scalar(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        self.scalar(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        self.scalar(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        match Number::from_f64(value) {
            Some(number) => self.scalar(Value::Number(number)),
            None => Err(E::custom("a number must be finite; a string of this text needs quotes")),
        }
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        self.scalar(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        self.scalar(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        self.scalar(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        self.scalar(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) =
            self.0.below(&format!("[{}]", items.len()), |reading| sequence.next_element_seed(Build(reading)))?
        {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut mapping: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        while let Some(key) = mapping.next_key_seed(Key(self.0))? {
            let place = self.0.keys;
            if let Some(first) = places.get(&key).copied() {
                if self.0.twice.len() < MOST_TWICE {
                    let path = self.0.below(&key, |reading| reading.path.clone());
                    let (document, key) = (self.0.document, key.clone());
                    self.0.twice.push(Twice { document, path, key, first, second: place });
                }
            } else {
                places.insert(key.clone(), place);
            }
            let value = self.0.below(&key, |reading| mapping.next_value_seed(Build(reading)))?;
            fields.insert(key, value);
        }
        if self.0.yaml
            && let Some(merged) = fields.shift_remove("<<")
        {
            merge(&mut fields, merged).map_err(A::Error::custom)?;
        }
        Ok(Value::Object(fields))
    }
}

/// Puts in what `fields` does not say itself; of several mappings the earlier win.
fn merge(fields: &mut Map<String, Value>, merged: Value) -> Result<(), &'static str> {
    match merged {
        Value::Object(more) => {
            for (key, value) in more {
                fields.entry(key).or_insert(value);
            }
            Ok(())
        }
        Value::Array(mappings) if mappings.iter().all(Value::is_object) => {
            mappings.into_iter().try_for_each(|mapping| merge(fields, mapping))
        }
        _ => Err("`<<` merges a mapping, or a sequence of mappings"),
    }
}

struct Key<'a>(&'a mut Reading);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string as the key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<String, E> {
        self.0.keys += 1;
        if self.0.stop == Some(self.0.keys) { Err(E::custom("here")) } else { Ok(key.to_owned()) }
    }
}

/// Reads the text of a number.
struct NumberText<'a>(&'a mut Reading);

impl Visitor<'_> for NumberText<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(match self.0.as_text.get(&self.0.values) {
            Some(number) if !number_in_yaml_1_2_only(text) => Value::Number(number.clone()),
            _ => text.into(),
        })
    }
}
