// SPDX-License-Identifier: GPL-3.0-only
//! Checks of parameters against the schema: `check_object`, `check_prop` and `check_type` in
//! `PVE/JSONSchema.pm`, with the same error texts.
//!
//! Limits: `oneOf`, `extends`, `disallow` and `items` do not occur in the supported part of the
//! API. The schema dump replaces `net0`, `net1`, … by `net[n]` without a maximum, so every index is
//! accepted.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::OnceLock;

use regex_lite::Regex;
use serde::Deserialize;
use serde_json::{Map, Number, Value};

use super::ParameterErrors;
use super::format::check_named_format;
use super::property_string::check_property_string;

/// Properties by name; `net[n]` stands for `net0`, `net1`, …
pub(super) type Properties = BTreeMap<String, Property>;

/// The schema of a parameter, or of a key in a property string such as `scsi0`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Property {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    #[serde(default)]
    optional: bool,
    format: Option<Format>,
    pattern: Option<Pattern>,
    #[serde(rename = "enum")]
    values: Option<Vec<String>>,
    minimum: Option<Number>,
    maximum: Option<Number>,
    min_length: Option<usize>,
    max_length: Option<usize>,
    requires: Option<String>,
    pub(super) alias: Option<String>,
    pub(super) key_alias: Option<String>,
    #[serde(default, rename = "default_key")]
    pub(super) default_key: bool,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Format {
    Named(String),
    PropertyString(Properties),
}

/// A Perl pattern, compiled on first use.
#[derive(Debug, Deserialize)]
#[serde(from = "String")]
struct Pattern {
    source: String,
    compiled: OnceLock<Regex>,
}

impl From<String> for Pattern {
    fn from(source: String) -> Self {
        Self {
            source,
            compiled: OnceLock::new(),
        }
    }
}

impl Pattern {
    fn matches(&self, text: &str) -> bool {
        self.regex().is_match(before_final_newline(text))
    }

    fn regex(&self) -> &Regex {
        self.compiled.get_or_init(|| {
            // Perl prints compiled patterns as `(?^i:…)`, and accepts `{,8}` for `{0,8}`.
            let source = self.source.replace("(?^", "(?").replace("{,", "{0,");
            // No group around the pattern, as in PVE: in `a|b`, each anchor applies to one
            // alternative.
            Regex::new(&format!("^{source}$")).expect("the tests compile every pattern")
        })
    }
}

/// A JSON value as a Perl string: PVE does not distinguish numbers and strings.
pub fn perl_text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        Value::Null => Cow::Borrowed(""),
        Value::Bool(flag) => Cow::Borrowed(if *flag { "1" } else { "0" }),
        Value::Number(number) => match number.as_f64() {
            // Perl prints 1.0 as 1.
            Some(float) if number.is_f64() => Cow::Owned(float.to_string()),
            _ => Cow::Owned(number.to_string()),
        },
        Value::Array(_) => Cow::Borrowed("ARRAY"),
        Value::Object(_) => Cow::Borrowed("HASH"),
    }
}

/// In Perl, `$` also matches before a final newline.
pub(super) fn before_final_newline(text: &str) -> &str {
    text.strip_suffix('\n').unwrap_or(text)
}

/// Collects the errors of an object's members.
#[derive(Default)]
pub(super) struct Checker {
    errors: ParameterErrors,
}

impl Checker {
    /// Returns the errors by parameter name.
    pub(super) fn check(properties: &Properties, given: &Map<String, Value>) -> ParameterErrors {
        Self::check_below("", properties, given)
    }

    /// Checks an object that is itself a parameter; its name precedes the names of its members.
    pub(super) fn check_below(
        path: &str,
        properties: &Properties,
        given: &Map<String, Value>,
    ) -> ParameterErrors {
        let mut checker = Self::default();
        checker.object(path, properties, given);
        checker.errors
    }

    fn object(&mut self, path: &str, properties: &Properties, given: &Map<String, Value>) {
        for (name, property) in properties {
            // Indexed parameters are optional; `given` checks each of them.
            if !name.ends_with("[n]") {
                self.property(&join(path, name), property, given.get(name));
            }
        }
        for (name, value) in given {
            self.given(path, properties, given, name, value);
        }
    }

    fn given(
        &mut self,
        path: &str,
        properties: &Properties,
        given: &Map<String, Value>,
        name: &str,
        value: &Value,
    ) {
        let full_name = join(path, name);
        let property = match (properties.get(name), indexed(properties, name)) {
            (Some(property), _) => property,
            (None, Some(property)) => {
                self.property(&full_name, property, Some(value));
                property
            }
            (None, None) => {
                let text = "property is not defined in schema and the schema does not allow \
                            additional properties";
                return self.add(full_name, text);
            }
        };
        if let Some(required) = &property.requires
            && given.get(required).is_none_or(Value::is_null)
        {
            let text = format!("missing property - '{full_name}' requires this property");
            self.add(join(path, required), &text);
        }
    }

    fn property(&mut self, path: &str, property: &Property, value: Option<&Value>) {
        let outcome = match value {
            None | Some(Value::Null) if property.optional || property.alias.is_some() => Ok(()),
            None | Some(Value::Null) => {
                Err("property is missing and it is not optional".to_owned())
            }
            Some(Value::Array(items)) if property.is_list() => {
                // Up to PVE 9, PVE joins arrays that are given for a list.
                let texts: Vec<_> = items.iter().map(perl_text).collect();
                property.check_text(path, &texts.join(","))
            }
            Some(Value::Bool(_)) if property.kind.as_deref() == Some("boolean") => Ok(()),
            Some(Value::Bool(_)) => property.refuse_reference("JSON::PP::Boolean"),
            Some(Value::Array(_)) => property.refuse_reference("ARRAY"),
            Some(Value::Object(_)) => property.refuse_reference("HASH"),
            Some(text @ (Value::String(_) | Value::Number(_))) => {
                property.check_text(path, &perl_text(text))
            }
        };
        if let Err(text) = outcome {
            self.add(path.to_owned(), &text);
        }
    }

    /// Joins two texts about one parameter with a backslash and an `n`: PVE's source has `\n` in
    /// single quotes.
    fn add(&mut self, path: String, text: &str) {
        let entry = self.errors.entry(path).or_default();
        if !entry.is_empty() {
            entry.push_str("\\n");
        }
        entry.push_str(text);
    }
}

impl Property {
    fn is_list(&self) -> bool {
        matches!(&self.format, Some(Format::Named(name)) if name.ends_with("-list"))
            && self.kind.as_deref() == Some("string")
    }

    fn refuse_reference(&self, what: &str) -> Result<(), String> {
        match &self.kind {
            None => Ok(()),
            Some(kind) => Err(format!("type check ('{kind}') failed - got {what}")),
        }
    }

    /// Checks in PVE's order; returns only the first error.
    fn check_text(&self, path: &str, text: &str) -> Result<(), String> {
        self.check_type(text)?;
        if let Some(format) = &self.format {
            format
                .check(path, text)
                .map_err(|error| format!("invalid format - {error}"))?;
        }
        if self
            .pattern
            .as_ref()
            .is_some_and(|pattern| !pattern.matches(text))
        {
            return Err("value does not match the regex pattern".to_owned());
        }
        self.check_length(text)?;
        self.check_range(text)?;
        match &self.values {
            Some(values) if !values.iter().any(|value| value == text) => Err(format!(
                "value '{text}' does not have a value in the enumeration '{}'",
                values.join(", ")
            )),
            _ => Ok(()),
        }
    }

    fn check_type(&self, text: &str) -> Result<(), String> {
        let Some(kind) = &self.kind else {
            return Ok(());
        };
        let fits = match kind.as_str() {
            "boolean" => text == "0" || text == "1",
            "integer" => is_integer(text),
            "number" => is_number(text),
            _ => true,
        };
        if fits {
            Ok(())
        } else {
            Err(format!("type check ('{kind}') failed - got '{text}'"))
        }
    }

    fn check_length(&self, text: &str) -> Result<(), String> {
        let length = text.chars().count();
        if let Some(maximum) = self.max_length.filter(|maximum| length > *maximum) {
            return Err(format!("value may only be {maximum} characters long"));
        }
        match self.min_length.filter(|minimum| length < *minimum) {
            Some(minimum) => Err(format!("value must be at least {minimum} characters long")),
            None => Ok(()),
        }
    }

    /// Applies to everything that looks like a number, even in a string property.
    fn check_range(&self, text: &str) -> Result<(), String> {
        if !is_number(text) {
            return Ok(());
        }
        let value: f64 = before_final_newline(text).parse().unwrap_or(f64::NAN);
        let float = |limit: &Number| limit.as_f64().unwrap_or(f64::NAN);
        if let Some(maximum) = self.maximum.as_ref().filter(|limit| value > float(limit)) {
            return Err(format!("value must have a maximum value of {maximum}"));
        }
        match self.minimum.as_ref().filter(|limit| value < float(limit)) {
            Some(minimum) => Err(format!("value must have a minimum value of {minimum}")),
            None => Ok(()),
        }
    }
}

impl Format {
    fn check(&self, path: &str, text: &str) -> Result<(), String> {
        match self {
            Self::Named(name) => check_named_format(name, text),
            Self::PropertyString(properties) => check_property_string(path, properties, text),
        }
    }
}

/// Converts a value to the type in the schema.
pub(super) fn stored(properties: &Properties, name: &str, value: &Value) -> Value {
    let property = properties.get(name).or_else(|| indexed(properties, name));
    let kind = property.and_then(|property| property.kind.as_deref());
    let text = if let Value::Array(items) = value {
        let texts: Vec<_> = items.iter().map(perl_text).collect();
        Cow::Owned(texts.join(","))
    } else {
        perl_text(value)
    };
    let number = match kind {
        Some("boolean") => Some(Number::from(u8::from(crate::api::is_true(&text)))),
        Some("integer") => text.trim().parse::<i64>().ok().map(Number::from),
        Some("number") => text.trim().parse::<f64>().ok().and_then(Number::from_f64),
        _ => None,
    };
    number.map_or_else(|| Value::from(text.into_owned()), Value::Number)
}

/// Whether a property with this name exists, with or without an index.
pub(super) fn knows(properties: &Properties, name: &str) -> bool {
    properties.contains_key(name) || indexed(properties, name).is_some()
}

fn indexed<'a>(properties: &'a Properties, name: &str) -> Option<&'a Property> {
    let letters = name.trim_end_matches(|character: char| character.is_ascii_digit());
    let index = &name[letters.len()..];
    let is_index = index == "0" || (!index.is_empty() && !index.starts_with('0'));
    if !is_index {
        return None;
    }
    properties.get(&format!("{letters}[n]"))
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

fn is_integer(text: &str) -> bool {
    let digits = before_final_newline(text);
    let digits = digits.strip_prefix(['+', '-']).unwrap_or(digits);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Accepts what Rust parses, except words such as `inf`, which Perl's check rejects.
fn is_number(text: &str) -> bool {
    let text = before_final_newline(text);
    text.bytes()
        .all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte))
        && text.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_of_the_schema_compiles() {
        let schema = serde_json::from_str(include_str!("../../data/api-schema.json")).unwrap();
        let mut compiled = 0;
        compile_patterns(&schema, &mut compiled);
        assert!(compiled > 50, "only {compiled} patterns");
    }

    fn compile_patterns(value: &Value, compiled: &mut usize) {
        if let Some(source) = value.get("pattern").and_then(Value::as_str) {
            Pattern::from(source.to_owned()).regex();
            *compiled += 1;
        }
        let members = value.as_object().into_iter().flat_map(Map::values);
        for inner in members.chain(value.as_array().into_iter().flatten()) {
            compile_patterns(inner, compiled);
        }
    }

    #[test]
    fn patterns_match_as_in_perl() {
        let matches = |pattern: &str, text: &str| Pattern::from(pattern.to_owned()).matches(text);
        assert!(matches("(?^i:[a-z]+)", "Ab\n") && !matches("(?^:[a-z]+)", "Ab"));
        assert!(matches("[a-z]{,3}", "") && !matches("[a-z]{,3}", "abcd"));
        // Each anchor applies to one alternative only: a bug in PVE.
        assert!(matches(
            r"/dev/parport\d+|/dev/usb/lp\d+",
            "/dev/parport0 and more"
        ));
    }

    #[test]
    fn numbers_are_recognised_as_by_perl() {
        for number in ["1", "-1", "+1.5", ".5", "1.", "1e3", "1.5E-3", "7\n"] {
            assert!(is_number(number), "{number}");
        }
        for text in [
            "", ".", "e3", "1e", "inf", "NaN", "0x10", "1 ", "1\n\n", "--1",
        ] {
            assert!(!is_number(text), "{text}");
        }
        assert!(is_integer("-12\n") && !is_integer("1.0") && !is_integer("+"));
        let texts = [1.0.into(), 0.5.into(), (-3).into()]
            .map(|value: Value| perl_text(&value).into_owned());
        assert_eq!(texts, ["1", "0.5", "-3"]);
    }
}
