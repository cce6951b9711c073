// SPDX-License-Identifier: GPL-3.0-only
//! Property strings such as `tank:vm-100-disk-0,size=8G`: `parse_property_string` in
//! `PVE/JSONSchema.pm`, with the same error texts.
//!
//! Limits: additional checks by a format's own validator are not part of the schema.

use serde_json::{Map, Value};

use super::validation::{Checker, Properties, Property};

/// Checks a comma-separated list of `key=value`; one default key may be omitted.
pub(super) fn check_property_string(
    path: &str,
    properties: &Properties,
    text: &str,
) -> Result<(), String> {
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
    let errors = Checker::check_below(path, properties, &parser.given);
    if errors.is_empty() {
        return Ok(());
    }
    // In PVE, these lines have a random order.
    let lines = errors.iter().fold(String::new(), |lines, (key, text)| {
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

/// `parse_boolean`: property strings accept more words for booleans than parameters do.
fn boolean_word(text: &str) -> &str {
    match text.to_ascii_lowercase().as_str() {
        "1" | "on" | "yes" | "true" => "1",
        "0" | "off" | "no" | "false" => "0",
        _ => text,
    }
}
