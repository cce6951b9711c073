// SPDX-License-Identifier: GPL-3.0-only
//! Checks of parameters against their schema: `check_object`, `check_prop`, `check_type` and
//! `parse_property_string` of `PVE/JSONSchema.pm`, with the same texts.
//!
//! Limits: `oneOf`, `extends`, `disallow` and `items` do not occur in the part of the API that the
//! simulator serves. The schema dump folds `net0`, `net1`, … into `net[n]` without saying how many
//! there are, so that every index is accepted.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::OnceLock;

use regex_lite::Regex;
use serde::Deserialize;
use serde_json::{Map, Number, Value};

use super::ParameterErrors;
use super::format::check_named_format;

/// Properties by name; `net[n]` stands for all names of that form.
pub(super) type Properties = BTreeMap<String, Property>;

/// Schema of one parameter, or of one key of a property string such as `scsi0`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Property {
    #[serde(rename = "type")]
    kind: Option<String>,
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
    alias: Option<String>,
    key_alias: Option<String>,
    #[serde(default, rename = "default_key")]
    default_key: bool,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Format {
    Named(String),
    PropertyString(Properties),
}

/// A Perl pattern, compiled when it is first needed.
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
            // Perl prints compiled patterns as `(?^i:…)`, and reads `{,8}` as `{0,8}`.
            let source = self.source.replace("(?^", "(?").replace("{,", "{0,");
            // Without a group, as in PVE: with `a|b`, each anchor belongs to one alternative only.
            Regex::new(&format!("^{source}$")).expect("the tests compile every pattern")
        })
    }
}

/// Text of a JSON value as Perl sees it: numbers and strings are the same to PVE.
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

/// Perl's `$` also matches before a newline that ends the text.
pub(super) fn before_final_newline(text: &str) -> &str {
    text.strip_suffix('\n').unwrap_or(text)
}

/// Collects the errors of one object's members.
#[derive(Default)]
pub(super) struct Checker {
    errors: ParameterErrors,
}

impl Checker {
    /// Errors by parameter name; none if all is well.
    pub(super) fn check(properties: &Properties, given: &Map<String, Value>) -> ParameterErrors {
        let mut checker = Self::default();
        checker.object("", properties, given);
        checker.errors
    }

    fn object(&mut self, path: &str, properties: &Properties, given: &Map<String, Value>) {
        for (name, property) in properties {
            // Indexed parameters are all optional, and are looked at one by one below.
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
                // PVE joins arrays that are given for a list, up to PVE 9.
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

    /// Two texts about one parameter are joined by a backslash and an n: PVE's source has them in
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

    /// The checks in PVE's order; the first that fails is the one reported.
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

    /// Applies to whatever looks like a number, also in a string property.
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

/// A comma-separated list of `key=value`, of which one key may be left out.
fn check_property_string(path: &str, properties: &Properties, text: &str) -> Result<(), String> {
    let mut parser = PropertyString {
        properties,
        given: Map::new(),
        default_key: None,
    };
    for part in text.split(',').filter(|part| !part.trim().is_empty()) {
        match part.split_once('=') {
            None => parser.bare(part)?,
            Some((key, value)) if !key.is_empty() && !value.is_empty() => {
                parser.keyed(key, value)?;
            }
            Some(_) => return Err("missing key in comma-separated list property\n".to_owned()),
        }
    }
    let mut checker = Checker::default();
    checker.object(path, properties, &parser.given);
    if checker.errors.is_empty() {
        return Ok(());
    }
    // The order of these lines is random in PVE.
    let lines = checker
        .errors
        .iter()
        .fold(String::new(), |lines, (key, text)| {
            lines + key + ": " + text + "\n"
        });
    Err(format!("format error\n{lines}"))
}

struct PropertyString<'a> {
    properties: &'a Properties,
    given: Map<String, Value>,
    default_key: Option<&'a str>,
}

impl PropertyString<'_> {
    fn keyed(&mut self, key: &str, value: &str) -> Result<(), String> {
        self.refuse_duplicate(key)?;
        let mut key = key;
        let mut property = self.properties.get(key);
        if let Some((aliased, alias)) =
            property.and_then(|aliased| Some((aliased, aliased.alias.as_ref()?)))
        {
            self.remember_alias(aliased, key)?;
            key = alias;
            property = self.properties.get(key);
        }
        let Some(property) = property else {
            return Err(format!(
                "invalid key in comma-separated list property: {key}\n"
            ));
        };
        let value = match property.kind.as_deref() {
            Some("boolean") => boolean_word(value),
            _ => value,
        };
        self.insert(key, value);
        Ok(())
    }

    /// `virtio=BC:24:…` is short for `model=virtio,macaddr=BC:24:…`.
    fn remember_alias(&mut self, aliased: &Property, key: &str) -> Result<(), String> {
        let Some(key_alias) = &aliased.key_alias else {
            return Ok(());
        };
        if self.given.contains_key(key_alias) {
            return Err(format!("key alias '{key_alias}' is already defined\n"));
        }
        self.insert(key_alias, key);
        Ok(())
    }

    fn bare(&mut self, value: &str) -> Result<(), String> {
        if let Some(key) = self.default_key {
            return Err(duplicate_key(key));
        }
        let mut keys = self
            .properties
            .iter()
            .filter(|(_, property)| property.default_key);
        let Some((key, _)) = keys.next() else {
            return Err("value without key, but schema does not define a default key\n".to_owned());
        };
        self.refuse_duplicate(key)?;
        self.default_key = Some(key);
        self.insert(key, value);
        Ok(())
    }

    fn refuse_duplicate(&self, key: &str) -> Result<(), String> {
        if self.given.contains_key(key) {
            return Err(duplicate_key(key));
        }
        Ok(())
    }

    fn insert(&mut self, key: &str, value: &str) {
        self.given
            .insert(key.to_owned(), Value::String(value.to_owned()));
    }
}

fn duplicate_key(key: &str) -> String {
    format!("duplicate key in comma-separated list property: {key}\n")
}

/// `parse_boolean`: property strings know more words for yes and no than parameters do.
fn boolean_word(text: &str) -> &str {
    match text.to_ascii_lowercase().as_str() {
        "1" | "on" | "yes" | "true" => "1",
        "0" | "off" | "no" | "false" => "0",
        _ => text,
    }
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

/// A number is what `parse` takes, apart from words such as `inf` that Perl's check does not take.
fn is_number(text: &str) -> bool {
    let text = before_final_newline(text);
    text.bytes()
        .all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte))
        && text.parse::<f64>().is_ok()
}
