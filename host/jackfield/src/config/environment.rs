//! Settings from the environment.

use toml::{Table, Value};

use super::nearest::nearest;
use super::{ConfigError, kind, paths};

/// Names the settings file.
pub(super) const FILE: &str = "JACKFIELD_CONFIG";
const PREFIX: &str = "JACKFIELD_";
/// Read by builds and tests, not by the host.
const NOT_SETTINGS: [&str; 3] = [FILE, "JACKFIELD_BIN", "JACKFIELD_PLUGINS_DIR"];
/// Names that other software uses too.
const COMMON: [(&str, &str); 2] = [("DATABASE_URL", "database_url"), ("REDIS_URL", "redis_url")];

/// Puts the environment over `settings`.
pub(super) fn overlay(
    settings: &mut Table,
    defaults: &Table,
    environment: &[(String, String)],
) -> Result<(), ConfigError> {
    let known: Vec<(String, String, Value)> =
        paths(defaults, "").into_iter().map(|(path, default)| (variable(&path), path, default)).collect();
    for (name, text) in environment {
        let path = COMMON.iter().find(|(common, _)| common == name).map(|(_, path)| *path);
        let wanted = path.map_or_else(|| name.clone(), variable);
        if path.is_none() && (!name.starts_with(PREFIX) || set_by_others(name)) {
            continue;
        }
        let Some((_, path, default)) = known.iter().find(|(variable, ..)| *variable == wanted) else {
            let names: Vec<String> = known.into_iter().map(|(variable, ..)| variable).collect();
            return Err(ConfigError::Unknown { name: name.clone(), near: nearest(name, &names) });
        };
        let value = value(text, default).ok_or(ConfigError::Kind { name: name.clone(), wanted: kind(default) })?;
        put(settings, path, value);
    }
    Ok(())
}

/// `limits.calls` as JACKFIELD_LIMITS_CALLS.
pub(super) fn variable(path: &str) -> String {
    format!("{PREFIX}{}", path.replace('.', "_").to_uppercase())
}

/// Kubernetes describes a service called `jackfield` to every pod beside it in names that look like ours.
fn set_by_others(name: &str) -> bool {
    let linked = ["JACKFIELD_SERVICE_", "JACKFIELD_PORT_"].iter().any(|prefix| name.starts_with(prefix));
    linked || name == "JACKFIELD_PORT" || NOT_SETTINGS.contains(&name)
}

/// Text as the kind of value that the default is.
fn value(text: &str, default: &Value) -> Option<Value> {
    let parts = || text.split(',').map(str::trim).filter(|part| !part.is_empty());
    Some(match default {
        Value::Integer(_) => Value::Integer(text.trim().parse().ok()?),
        Value::Float(_) => Value::Float(text.trim().parse().ok()?),
        Value::Boolean(_) => Value::Boolean(text.trim().parse().ok()?),
        Value::Array(_) => Value::Array(parts().map(|part| Value::String(part.to_owned())).collect()),
        Value::Table(_) => {
            let pair = |part: &str| {
                let (name, value) = part.split_once('=')?;
                Some((name.trim().to_owned(), Value::String(value.trim().to_owned())))
            };
            Value::Table(parts().map(pair).collect::<Option<Table>>()?)
        }
        Value::String(_) | Value::Datetime(_) => Value::String(text.to_owned()),
    })
}

pub(super) fn put(settings: &mut Table, path: &str, value: Value) {
    match path.split_once('.') {
        None => drop(settings.insert(path.to_owned(), value)),
        Some((section, rest)) => {
            if let Some(Value::Table(below)) = settings.get_mut(section) {
                put(below, rest, value);
            }
        }
    }
}
