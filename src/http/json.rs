//! JSON from clients, read no deeper than contracts look: the fields of an object, and two levels below them. What lies deeper is checked and
//! passed over, so that a body costs little more memory than its bytes. Texts that JavaScript accepts are accepted.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// How many fields of an object are read; contracts know fewer.
const FIELDS: usize = 64;

/// How many elements of an array in a field are read.
const ELEMENTS: usize = 1_000;

/// How many elements of an array one level deeper are read.
const NESTED_ELEMENTS: usize = 100;

/// Reads a body: an object with its fields, an empty array for any array, or a plain value. A field holds a plain value, an array of them, or an
/// object of such fields, whose objects hold plain values; empty arrays stand for what lies deeper.
///
/// # Errors
/// Whatever is no JSON.
pub fn body(text: &[u8]) -> Result<Value, serde_json::Error> {
    let text = String::from_utf8_lossy(text);
    lenient(text.trim_start_matches('\u{feff}'), |t| serde_json::from_str::<Body>(t).map(|o| o.0))
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

/// How many levels below this one are read. Of arrays the plain elements are; the outermost one is only checked.
#[derive(Clone, Copy)]
struct Levels(u8);

/// What a body has: an object, its fields, and the fields of those.
const BODY: Levels = Levels(3);

impl Levels {
    /// How many elements of an array are read here.
    fn elements(self) -> usize {
        match self.0 {
            2 => ELEMENTS,
            1 => NESTED_ELEMENTS,
            _ => 0,
        }
    }

    fn below(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl<'de> DeserializeSeed<'de> for Levels {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Levels {
    type Value = Value;

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

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut read = Vec::new();
        while read.len() < self.elements() {
            let Some(item) = items.next_element_seed(Levels(0))? else { return Ok(read.into()) };
            read.push(item);
        }
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(read.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while self.0 > 0 && object.len() < FIELDS {
            let Some(name) = fields.next_key::<String>()? else { return Ok(object.into()) };
            object.insert(name, fields.next_value_seed(self.below())?);
        }
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        // What lies deeper shows as an empty array.
        Ok(if self.0 > 0 { object.into() } else { Value::Array(Vec::new()) })
    }
}

/// The first argument of a packet.
struct Packet(Value);

struct PacketVisitor;

impl<'de> Visitor<'de> for PacketVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event packet")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        items.next_element::<IgnoredAny>()?;
        let first = items.next_element_seed(BODY)?;
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(first.unwrap_or(Value::Null))
    }
}

impl<'de> Deserialize<'de> for Packet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(PacketVisitor).map(Packet)
    }
}

/// A body.
struct Body(Value);

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BODY.deserialize(deserializer).map(Body)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_is_read_three_levels_deep() {
        let read = |text: &str| body(text.as_bytes()).unwrap();
        assert_eq!(
            read(r#"{"a":"x","b":1,"c":null,"d":{"e":1,"h":{"i":2,"j":{"k":1},"l":[1]},"m":[1,[2],{"n":1}]},"f":[1,[2]],"g":true}"#),
            json!({"a":"x","b":1,"c":null,"d":{"e":1,"h":{"i":2,"j":[],"l":[]},"m":[1,[],[]]},"f":[1,[]],"g":true})
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
        assert_eq!(read(&format!("{{\"o\":{many}}}"))["o"]["a"].as_array().unwrap().len(), NESTED_ELEMENTS);
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
