//! JSON from clients, read no deeper than contracts look: the fields of an object, and one level below them. What lies deeper is checked and
//! passed over, so that a body costs little more memory than its bytes. Texts that JavaScript accepts are accepted.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// How many fields of an object are read; contracts know fewer.
const FIELDS: usize = 64;

/// How many elements of an array are read.
const ELEMENTS: usize = 1_000;

/// Reads a body: an object with its fields, an empty array for any array, or a plain value. A field holds a plain value, an array of them, or an
/// object of them; empty arrays stand for what lies deeper.
///
/// # Errors
/// Whatever is no JSON.
pub fn body(text: &[u8]) -> Result<Value, serde_json::Error> {
    let text = String::from_utf8_lossy(text);
    lenient(text.trim_start_matches('\u{feff}'), |t| serde_json::from_str::<Object>(t).map(|o| o.0))
}

/// Reads the first argument of `["event",argument,…]`; `Null` where there is none.
///
/// # Errors
/// As [`body`].
pub fn first_argument(packet: &str) -> Result<Value, serde_json::Error> {
    lenient(packet, |t| serde_json::from_str::<Packet>(t).map(|p| p.0))
}

/// Reads a text again with its unpaired surrogates replaced, if that is what was wrong with it. JavaScript sends them, for example where an
/// emoji is cut in half, and stores U+FFFD for them.
fn lenient<T>(text: &str, read: impl Fn(&str) -> Result<T, serde_json::Error>) -> Result<T, serde_json::Error> {
    read(text).or_else(|error| if text.contains("\\u") { read(&without_lone_surrogates(text)) } else { Err(error) })
}

fn without_lone_surrogates(text: &str) -> String {
    let mut mended = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        mended.push_str(before);
        let taken = match (unit(escape), escape.get(6..).and_then(unit)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => {
                mended.push_str("\\ufffd");
                rest = escape.get(6..).unwrap_or_default();
                continue;
            }
            (Some(_), _) => 6,
            (None, _) => escape.char_indices().nth(2).map_or(escape.len(), |(i, _)| i),
        };
        let (kept, after) = escape.split_at(taken);
        mended.push_str(kept);
        rest = after;
    }
    mended + rest
}

/// The code unit that an escape at the beginning of a text stands for.
fn unit(text: &str) -> Option<u16> {
    u16::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok()
}

/// A plain value, or an empty array in place of anything that has parts.
struct Leaf(Value);

/// An array or object of leaves, or a leaf.
struct Field(Value);

/// An object of fields, or a leaf.
struct Object(Value);

/// The first argument of a packet.
struct Packet(Value);

/// The visitor methods for plain values, in which all levels agree.
macro_rules! plain_values {
    () => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("JSON")
        }

        fn visit_unit<E>(self) -> Result<Value, E> {
            Ok(Value::Null)
        }

        fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
            Ok(value.into())
        }

        fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
            Ok(value.into())
        }

        fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
            Ok(value.into())
        }

        fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
            Ok(value.into())
        }

        fn visit_str<E>(self, value: &str) -> Result<Value, E> {
            Ok(value.into())
        }
    };
}

/// Reads the fields of an object, each as this type.
macro_rules! fields_as {
    ($part:ident) => {
        fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
            let mut object = Map::new();
            while object.len() < FIELDS {
                let Some((name, $part(value))) = fields.next_entry::<String, $part>()? else { return Ok(object.into()) };
                object.insert(name, value);
            }
            while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok(object.into())
        }
    };
}

/// Passes over an array.
macro_rules! no_elements {
    () => {
        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
            while items.next_element::<IgnoredAny>()?.is_some() {}
            Ok(Value::Array(Vec::new()))
        }
    };
}

struct LeafVisitor;

impl<'de> Visitor<'de> for LeafVisitor {
    type Value = Value;

    plain_values!();
    no_elements!();

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Array(Vec::new()))
    }
}

struct FieldVisitor;

impl<'de> Visitor<'de> for FieldVisitor {
    type Value = Value;

    plain_values!();
    fields_as!(Leaf);

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut read = Vec::new();
        while read.len() < ELEMENTS {
            let Some(Leaf(item)) = items.next_element()? else { return Ok(read.into()) };
            read.push(item);
        }
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(read.into())
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Value;

    plain_values!();
    no_elements!();
    fields_as!(Field);
}

struct PacketVisitor;

impl<'de> Visitor<'de> for PacketVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event packet")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        items.next_element::<IgnoredAny>()?;
        let first = items.next_element::<Object>()?;
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(first.map_or(Value::Null, |o| o.0))
    }
}

impl<'de> Deserialize<'de> for Leaf {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LeafVisitor).map(Leaf)
    }
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldVisitor).map(Field)
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ObjectVisitor).map(Object)
    }
}

impl<'de> Deserialize<'de> for Packet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(PacketVisitor).map(Packet)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_is_read_two_levels_deep() {
        let read = |text: &str| body(text.as_bytes()).unwrap();
        assert_eq!(
            read(r#"{"a":"x","b":1,"c":null,"d":{"e":1,"h":{"i":2}},"f":[1,[2]],"g":true}"#),
            json!({"a":"x","b":1,"c":null,"d":{"e":1,"h":[]},"f":[1,[]],"g":true})
        );
        assert_eq!(read("\u{feff}[1,2]"), json!([]));
        assert_eq!(read("5"), json!(5));
        assert_eq!(
            read(&format!("{{{}}}", (0..100).map(|n| format!("\"f{n}\":{n}")).collect::<Vec<_>>().join(","))).as_object().unwrap().len(),
            FIELDS
        );
        assert_eq!(read(&format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000))), json!({"a":[[]]}));
        let many = format!("{{\"a\":[{}1]}}", "1,".repeat(5_000));
        assert_eq!(read(&many)["a"].as_array().unwrap().len(), ELEMENTS);
        for bad in ["", "{", "{} {}", "{\"a\":}", &"[".repeat(10_000)] {
            assert!(body(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_first_argument_counts() {
        assert_eq!(first_argument(r#"["ev"]"#).unwrap(), Value::Null);
        assert_eq!(first_argument(r#"["ev","s",{"a":1}]"#).unwrap(), json!("s"));
        assert_eq!(first_argument(r#"["ev",{"a":1},null]"#).unwrap(), json!({"a":1}));
        assert!(first_argument(r#"["ev",{"a":"#).is_err());
    }

    #[test]
    fn half_an_emoji_is_replaced_and_a_whole_one_kept() {
        let text = |escaped: &str| body(format!("{{\"a\":\"{escaped}\"}}").as_bytes()).unwrap()["a"].as_str().unwrap().to_owned();
        assert_eq!(text(r"abc\ud83d"), "abc\u{fffd}");
        assert_eq!(text(r"\ude00x"), "\u{fffd}x");
        assert_eq!(text(r"\ud83d\ude00 \ud83d\ud83d\uDE00"), "😀 \u{fffd}😀");
        assert_eq!(text(r"\\ud83d\n\ud83d"), "\\ud83d\n\u{fffd}");
        assert_eq!(text(r"é\ud83dé"), "é\u{fffd}é");
    }
}
