// SPDX-License-Identifier: GPL-3.0-only
//! Parses JSON as Perl writes it: a number may be a string and a string a number, a boolean may be 0, 1,
//! "1", "" or true, and any value may be null.
//!
//! An invalid field counts as absent. An invalid list entry is kept apart, so that it does not hide the
//! valid entries.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{
    Deserialize, DeserializeOwned, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::value::RawValue;

use super::repair::{REPLACEMENT, repair};

/// Parses any scalar as text: `5`, `"5"` and `5.0` as Perl would print them, booleans as `1` and `0`.
pub(crate) fn text<'de, D: Deserializer<'de>>(input: D) -> Result<Option<String>, D::Error> {
    Ok(Scalar::deserialize(input)?.0)
}

/// Whether a part of the text was replaced by [`repair`], so that the original text is unknown.
pub(crate) fn is_damaged(text: Option<&str>) -> bool {
    text.is_some_and(|text| text.contains(REPLACEMENT))
}

/// Parses any scalar that is a number of zero or more; a fraction is cut off.
pub(crate) fn unsigned<'de, D: Deserializer<'de>>(input: D) -> Result<Option<u64>, D::Error> {
    Ok(text(input)?.and_then(|digits| parse_unsigned(&digits)))
}

/// Parses any scalar that is a number; a fraction is cut off.
pub(crate) fn signed<'de, D: Deserializer<'de>>(input: D) -> Result<Option<i64>, D::Error> {
    Ok(text(input)?.and_then(|digits| parse_signed(&digits)))
}

/// Parses a boolean as Perl does: everything is true but null, the empty string and `0`. The words
/// `false`, `no` and `off` are false too, as in PVE's configuration files.
pub(crate) fn boolean<'de, D: Deserializer<'de>>(input: D) -> Result<bool, D::Error> {
    Ok(optional_boolean(input)?.unwrap_or(false))
}

/// Like [`boolean`], but null, lists and objects are `None`.
pub(crate) fn optional_boolean<'de, D: Deserializer<'de>>(
    input: D,
) -> Result<Option<bool>, D::Error> {
    Ok(text(input)?.map(|word| is_true(&word)))
}

/// Whether the text is true for Perl and in PVE's configuration files.
pub(crate) fn is_true(word: &str) -> bool {
    !matches!(word, "" | "0" | "false" | "no" | "off")
}

/// A [`boolean`] as the value of a map.
pub(crate) struct Flag(pub(crate) bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        boolean(input).map(Self)
    }
}

/// Parses a number as Perl may print it: `12`, `12.0`, `1.2e+01`.
fn parse_unsigned(digits: &str) -> Option<u64> {
    let digits = digits.trim();
    digits
        .parse()
        .ok()
        .or_else(|| parse_signed(digits).and_then(|number| number.try_into().ok()))
}

/// Like [`parse_unsigned`], with a sign.
pub(crate) fn parse_signed(digits: &str) -> Option<i64> {
    let digits = digits.trim();
    digits.parse().ok().or_else(|| {
        let number = digits.parse::<f64>().ok()?.trunc();
        // Above 2^53 an f64 cannot represent every whole number.
        if number.abs() > 9_007_199_254_740_992.0 {
            return None;
        }
        format!("{number:.0}").parse().ok()
    })
}

/// A scalar as text; `None` for null, lists and objects.
struct Scalar(Option<String>);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any JSON value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Scalar, E> {
        Ok(Scalar(Some(if value { "1" } else { "0" }.to_owned())))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Scalar, E> {
        Ok(Scalar(Some(value.to_string())))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Scalar, E> {
        Ok(Scalar(Some(value.to_string())))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Scalar, E> {
        Ok(Scalar(Some(value.to_string())))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Scalar, E> {
        Ok(Scalar(Some(value.to_owned())))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Scalar, E> {
        Ok(Scalar(Some(value)))
    }

    fn visit_unit<E: Error>(self) -> Result<Scalar, E> {
        Ok(Scalar(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Scalar, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar(None))
    }
}

/// A list: its valid entries, and the beginning of each other entry. Null is an empty list.
#[derive(Debug)]
pub(crate) struct List<T>(pub(crate) Vec<T>, pub(crate) Vec<String>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new(), Vec::new())
    }
}

/// The length of the excerpt of an invalid entry, in characters.
const EXCERPT: usize = 100;
/// How many excerpts are kept.
pub(crate) const EXCERPTS: usize = 50;

/// The beginning of a JSON text.
pub(crate) fn excerpt(json: &str) -> String {
    let mut text: String = json.chars().take(EXCERPT).collect();
    if text.len() < json.len() {
        text.push('…');
    }
    text
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(ListVisitor(PhantomData))
    }
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: DeserializeOwned> Visitor<'de> for ListVisitor<T> {
    type Value = List<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list")
    }

    fn visit_unit<E: Error>(self) -> Result<List<T>, E> {
        Ok(List::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<List<T>, A::Error> {
        let (mut elements, mut unreadable, mut more) = (Vec::new(), Vec::new(), 0_usize);
        while let Some(raw) = list.next_element::<&'de RawValue>()? {
            match element(raw.get()) {
                Ok(element) => elements.push(element),
                Err(_) if unreadable.len() == EXCERPTS => more += 1,
                Err(error) => {
                    let excerpt = excerpt(raw.get());
                    tracing::debug!(%error, excerpt, "cannot read a list entry");
                    unreadable.push(excerpt);
                }
            }
        }
        if more > 0 {
            unreadable.push(format!("{more} more entries"));
        }
        Ok(List(elements, unreadable))
    }
}

/// Parses one entry. Half a surrogate pair is found only here, so the repair is tried here too.
fn element<T: DeserializeOwned>(json: &str) -> serde_json::Result<T> {
    serde_json::from_str(json)
        .or_else(|error| serde_json::from_str(&repair(json.as_bytes())).map_err(|_| error))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Sample {
        #[serde(default, deserialize_with = "unsigned")]
        count: Option<u64>,
        #[serde(default, deserialize_with = "signed")]
        change: Option<i64>,
        #[serde(default, deserialize_with = "boolean")]
        flag: bool,
        #[serde(default, deserialize_with = "text")]
        name: Option<String>,
    }

    fn count(json: &str) -> Option<u64> {
        serde_json::from_str::<Sample>(&format!(r#"{{"count":{json},"x":[{{}}]}}"#))
            .unwrap()
            .count
    }

    fn flag(json: &str) -> bool {
        serde_json::from_str::<Sample>(&format!(r#"{{"flag":{json}}}"#))
            .unwrap()
            .flag
    }

    #[test]
    fn numbers_are_parsed_in_every_notation() {
        for json in ["12", "\"12\"", "12.0", "\" 12 \"", "\"12.7\"", "1.2e1"] {
            assert_eq!(count(json), Some(12), "{json}");
        }
        for json in ["null", "\"\"", "\"x\"", "-1", "[]", "{\"a\":[1]}", "1e300"] {
            assert_eq!(count(json), None, "{json}");
        }
        assert_eq!(count("18446744073709551615"), Some(u64::MAX));
        assert_eq!(count("true"), Some(1));
    }

    #[test]
    fn booleans_are_parsed_as_in_perl() {
        for json in ["1", "\"1\"", "true", "\"yes\"", "2", "\"on\""] {
            assert!(flag(json), "{json}");
        }
        for json in ["0", "\"0\"", "false", "\"\"", "null", "[]", "\"no\""] {
            assert!(!flag(json), "{json}");
        }
    }

    #[test]
    fn text_and_negative_numbers_are_parsed() {
        let sample: Sample = serde_json::from_str(r#"{"name":117,"change":"-3"}"#).unwrap();
        assert_eq!(sample.name.as_deref(), Some("117"));
        assert_eq!(sample.change, Some(-3));
    }

    #[test]
    fn an_invalid_entry_does_not_hide_the_others() {
        let list: List<Sample> =
            serde_json::from_str(r#"[{"count":1},5,null,"x",[],{"count":"2"}]"#).unwrap();
        let counts: Vec<_> = list.0.iter().filter_map(|sample| sample.count).collect();
        assert_eq!(counts, [1, 2]);
        assert_eq!(list.1, ["5", "null", "\"x\""]);
        assert!(
            serde_json::from_str::<List<Sample>>("null")
                .unwrap()
                .0
                .is_empty()
        );
        assert!(serde_json::from_str::<List<Sample>>(r#"{"n":1}"#).is_err());
        assert!(serde_json::from_str::<List<Sample>>("[{]").is_err());
    }

    proptest! {
        #[test]
        fn every_whole_number_is_parsed_as_number_and_as_string(number: u64) {
            prop_assert_eq!(count(&number.to_string()), Some(number));
            prop_assert_eq!(count(&format!("\"{number}\"")), Some(number));
        }

        #[test]
        fn any_text_is_parsed_without_a_panic(json in "[\\[\\]{}:,\"0-9a-z ]{0,40}") {
            let _ = serde_json::from_str::<List<Sample>>(&json);
        }
    }
}
