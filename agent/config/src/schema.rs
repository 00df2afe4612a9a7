//! The JSON schema of the configuration, for editors and for programs that write one.
//!
//! It has types, keys, choices, ranges of numbers and formats of texts. It has no contradictions between keys and no
//! ranges of durations, which `config check` finds. Of the vocabulary it uses what draft 4 has: taplo knows no more.

use serde_json::{Map, Value, json};

use crate::formats::{DURATION, SIZE};
use crate::reference::{Key, Section, sections};
use crate::shape::{Presence, Shape};

/// The schema of a whole configuration.
pub fn schema() -> Value {
    let mut root = Map::new();
    let mut required = Vec::new();
    for section in sections() {
        if !section.is_list && section.keys.iter().any(|key| key.presence == Presence::Required) {
            required.push(section.name.clone());
        }
        let table = of_section(&section);
        match section.name.split_once('.') {
            None => root.insert(section.name, table),
            Some((parent, name)) => {
                let parent = root.entry(parent).or_insert_with(|| table_of(&Map::new()));
                parent["minProperties"] = json!(1);
                parent["properties"][name] = table;
                None
            }
        };
    }
    let mut schema = table_of(&root);
    schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    schema["title"] = json!("Configuration of t0rn-agent");
    schema["required"] = json!(required);
    schema["definitions"] = json!({ "duration": of_text(DURATION), "size": of_text(SIZE) });
    schema
}

fn of_section(section: &Section) -> Value {
    let properties = section.keys.iter().map(|key| (key.name.clone(), of_key(key)));
    let mut table = table_of(&properties.collect());
    let required: Vec<_> = section
        .keys
        .iter()
        .filter(|key| key.presence == Presence::Required)
        .collect();
    if !required.is_empty() {
        table["required"] = required.iter().map(|key| key.name.as_str()).collect();
    }
    for key in &section.keys {
        if let Presence::RequiredUnless(other) = key.presence {
            let is_true = json!({ "required": [other], "properties": { other: { "enum": [true] } } });
            table["anyOf"] = json!([{ "required": [key.name] }, is_true]);
        }
    }
    let mut schema = if section.is_list {
        json!({ "type": "array", "items": table })
    } else {
        table
    };
    if !section.text.is_empty() {
        schema["description"] = json!(section.text);
    }
    schema
}

fn table_of(properties: &Map<String, Value>) -> Value {
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

fn of_key(key: &Key) -> Value {
    let mut schema = of_shape(&key.shape);
    schema["description"] = match &key.shape {
        Shape::Duration { .. } | Shape::Size { .. } | Shape::EmptyOr(_) => {
            json!(format!("{} {}.", key.text, key.accepts))
        }
        _ => json!(key.text),
    };
    // A value of the printed default is valid TOML: a test holds it to that.
    let value = toml::from_str::<Map<String, Value>>(&format!("value = {}", key.value)).ok();
    if let Some(value) = value.and_then(|mut table| table.remove("value")) {
        if key.has_default {
            schema["default"] = value;
        } else {
            schema["examples"] = json!([value]);
        }
    }
    schema
}

fn of_shape(shape: &Shape) -> Value {
    match shape {
        Shape::Boolean => json!({ "type": "boolean" }),
        Shape::Integer { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        // Beside a reference, other words have no effect.
        Shape::Duration { .. } => json!({ "allOf": [{ "$ref": "#/definitions/duration" }] }),
        Shape::Size { min, max } => json!({
            "anyOf": [{ "type": "integer", "minimum": min, "maximum": max }, { "$ref": "#/definitions/size" }]
        }),
        Shape::Text { pattern } => of_text(pattern),
        Shape::Choice(words) => json!({ "enum": words }),
        Shape::BooleanOr(words) => json!({ "anyOf": [{ "type": "boolean" }, { "enum": words }] }),
        Shape::EmptyOr(other) => json!({ "anyOf": [{ "enum": [""] }, of_shape(other)] }),
        Shape::List { each, min, max } => {
            let mut list = json!({ "type": "array", "items": of_shape(each) });
            if *min > 0 {
                list["minItems"] = json!(min);
            }
            if let Some(max) = max {
                list["maxItems"] = json!(max);
            }
            list
        }
        Shape::OneOrList(each) => json!({ "anyOf": [of_shape(each), of_shape(&Shape::list((**each).clone()))] }),
        Shape::Entries { name, each } => json!({
            "type": "object", "patternProperties": { *name: of_shape(each) }, "additionalProperties": false
        }),
        Shape::Table | Shape::Tables => json!({}),
    }
}

fn of_text(pattern: &str) -> Value {
    match pattern {
        "" => json!({ "type": "string" }),
        pattern => json!({ "type": "string", "pattern": pattern }),
    }
}
