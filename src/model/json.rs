//! Our records as JSON, octet for octet as `serde_json` writes them, in a third of the time: an explanation is made for every
//! message, and most of it are names of members, in which there is nothing to escape.
//!
//! **Failure**: that of the record's own `Serialize`; octets and floats, which our records don't hold, are left to `serde_json`.
//! **Invariants**: what is appended is one JSON value in one line. Names of members and variants are not escaped: they are those of
//! our own types, which are plain.

use std::fmt::{self, Display, Write as _};

use serde::Serialize;
use serde::ser::{self, Serializer};

type Error = serde_json::Error;

/// Appends the JSON of `value`.
///
/// # Errors
/// If the value can't be serialized; what was written by then stays.
pub fn append<T: Serialize + ?Sized>(value: &T, out: &mut String) -> Result<(), Error> {
    value.serialize(Writer(out))
}

struct Writer<'a>(&'a mut String);

/// The members of a list, an object or a variant.
struct Members<'a> {
    out: &'a mut String,
    is_first: bool,
    close: &'static str,
}

/// Whether a text holds anything that JSON escapes. All octets are looked at, many at a time.
fn is_plain(text: &str) -> bool {
    !text.bytes().fold(false, |found, octet| found | (octet < 0x20) | (octet == b'"') | (octet == b'\\'))
}

fn string(text: &str, out: &mut String) {
    if is_plain(text) {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&serde_json::Value::from(text).to_string());
    }
}

/// A text piece by piece, escaped if need be.
struct Pieces<'a>(&'a mut String);

impl fmt::Write for Pieces<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if is_plain(text) {
            self.0.push_str(text);
        } else {
            let quoted = serde_json::Value::from(text).to_string();
            self.0.push_str(quoted.get(1..quoted.len() - 1).unwrap_or_default());
        }
        Ok(())
    }
}

impl<'a> Writer<'a> {
    fn members(self, open: &str, close: &'static str) -> Members<'a> {
        self.0.push_str(open);
        Members { out: self.0, is_first: true, close }
    }

    /// `{"variant":` and what follows.
    fn variant(self, variant: &str, open: &str, close: &'static str) -> Members<'a> {
        self.0.push_str("{\"");
        self.0.push_str(variant);
        self.0.push_str("\":");
        self.members(open, close)
    }

    fn by_library<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        self.0.push_str(&serde_json::to_string(value)?);
        Ok(())
    }
}

macro_rules! integers {
    ($($method:ident $kind:ty),*) => {$(
        fn $method(self, value: $kind) -> Result<(), Error> {
            self.0.push_str(itoa::Buffer::new().format(value));
            Ok(())
        }
    )*};
}

impl<'a> Serializer for Writer<'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Members<'a>;
    type SerializeTuple = Members<'a>;
    type SerializeTupleStruct = Members<'a>;
    type SerializeTupleVariant = Members<'a>;
    type SerializeMap = Members<'a>;
    type SerializeStruct = Members<'a>;
    type SerializeStructVariant = Members<'a>;

    integers!(
        serialize_i8 i8, serialize_i16 i16, serialize_i32 i32, serialize_i64 i64, serialize_i128 i128,
        serialize_u8 u8, serialize_u16 u16, serialize_u32 u32, serialize_u64 u64, serialize_u128 u128
    );

    fn serialize_bool(self, value: bool) -> Result<(), Error> {
        self.0.push_str(if value { "true" } else { "false" });
        Ok(())
    }

    fn serialize_f32(self, value: f32) -> Result<(), Error> {
        self.by_library(&value)
    }

    fn serialize_f64(self, value: f64) -> Result<(), Error> {
        self.by_library(&value)
    }

    fn serialize_char(self, value: char) -> Result<(), Error> {
        string(value.encode_utf8(&mut [0; 4]), self.0);
        Ok(())
    }

    fn serialize_str(self, value: &str) -> Result<(), Error> {
        string(value, self.0);
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Error> {
        self.by_library(value)
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.0.push_str("null");
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Error> {
        self.0.push('"');
        self.0.push_str(variant);
        self.0.push('"');
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        let members = self.variant(variant, "", "}");
        value.serialize(Writer(members.out))?;
        members.end()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Members<'a>, Error> {
        Ok(self.members("[", "]"))
    }

    fn serialize_tuple(self, _: usize) -> Result<Members<'a>, Error> {
        Ok(self.members("[", "]"))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Members<'a>, Error> {
        Ok(self.members("[", "]"))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Members<'a>, Error> {
        Ok(self.variant(variant, "[", "]}"))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Members<'a>, Error> {
        Ok(self.members("{", "}"))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Members<'a>, Error> {
        Ok(self.members("{", "}"))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Members<'a>, Error> {
        Ok(self.variant(variant, "{", "}}"))
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<(), Error> {
        self.0.push('"');
        write!(Pieces(self.0), "{value}").map_err(ser::Error::custom)?;
        self.0.push('"');
        Ok(())
    }
}

impl Members<'_> {
    fn next(&mut self) {
        if !std::mem::take(&mut self.is_first) {
            self.out.push(',');
        }
    }

    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.next();
        value.serialize(Writer(self.out))
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
        self.next();
        self.out.push('"');
        self.out.push_str(name);
        self.out.push_str("\":");
        value.serialize(Writer(self.out))
    }

    fn end(self) -> Result<(), Error> {
        self.out.push_str(self.close);
        Ok(())
    }
}

macro_rules! lists {
    ($($kind:ident $method:ident),*) => {$(
        impl ser::$kind for Members<'_> {
            type Ok = ();
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.element(value)
            }

            fn end(self) -> Result<(), Error> {
                Members::end(self)
            }
        }
    )*};
}

lists!(
    SerializeSeq serialize_element,
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field
);

macro_rules! objects {
    ($($kind:ident),*) => {$(
        impl ser::$kind for Members<'_> {
            type Ok = ();
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
                self.field(name, value)
            }

            fn end(self) -> Result<(), Error> {
                Members::end(self)
            }
        }
    )*};
}

objects!(SerializeStruct, SerializeStructVariant);

impl ser::SerializeMap for Members<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.next();
        let begin = self.out.len();
        key.serialize(Writer(self.out))?;
        match self.out.as_bytes().get(begin) {
            Some(b'"') => {}
            // A number as a key stands in quotes, as everywhere.
            Some(b'0'..=b'9' | b'-') => {
                self.out.insert(begin, '"');
                self.out.push('"');
            }
            _ => return Err(ser::Error::custom("key must be a string")),
        }
        self.out.push(':');
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        value.serialize(Writer(self.out))
    }

    fn end(self) -> Result<(), Error> {
        Members::end(self)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::model::{Address, Domain, ReversePath};

    fn is_as_the_library_writes<T: Serialize + ?Sized>(value: &T) {
        let mut out = String::from("before ");
        append(value, &mut out).unwrap();
        assert_eq!(out.strip_prefix("before "), Some(&*serde_json::to_string(value).unwrap()));
    }

    #[derive(Serialize)]
    enum Odd {
        Unit,
        Newtype(u8),
        Tuple(i64, &'static str),
        Struct { a: Option<u8>, b: () },
    }

    #[derive(Serialize)]
    #[serde(tag = "by", rename_all = "kebab-case")]
    enum Tagged {
        NothingAtAll,
        One { value: Box<str> },
    }

    #[derive(Serialize)]
    struct Wrapped(Vec<Odd>);

    #[test]
    fn every_shape_is_as_the_library_writes_it() {
        is_as_the_library_writes(&Wrapped(vec![
            Odd::Unit,
            Odd::Newtype(1),
            Odd::Tuple(-2, "\u{0}\"\\\u{7f}あ"),
            Odd::Struct { a: None, b: () },
        ]));
        is_as_the_library_writes(&[Tagged::NothingAtAll, Tagged::One { value: "x".into() }]);
        is_as_the_library_writes(&(1.5_f64, f32::NAN, 'x', '"', true, u64::MAX, i64::MIN));
        is_as_the_library_writes(&BTreeMap::from([(1, "a"), (2, "b")]));
        is_as_the_library_writes(&BTreeMap::from([("x\"", Vec::<u8>::new())]));
        is_as_the_library_writes(&BTreeMap::<u8, u8>::new());
        assert!(append(&BTreeMap::from([((1, 2), 3)]), &mut String::new()).is_err());
        is_as_the_library_writes(&[Address::parse("\"a\\\"b c\"@acme.example").unwrap()]);
        is_as_the_library_writes(&(ReversePath::Null, Domain::parse("acme.example").unwrap()));
    }

    proptest! {
        #[test]
        fn any_text_is_as_the_library_writes_it(text in any::<String>()) {
            is_as_the_library_writes(&text);
            let mut out = String::new();
            Writer(&mut out).collect_str(&text).unwrap();
            prop_assert_eq!(out, serde_json::to_string(&text).unwrap());
        }
    }
}
