//! Settings: the defaults in the binary, a file over them, the environment over both.
//!
//! The defaults file is the documentation and the list of what there is: a key that is not in it is an error, with the
//! nearest one that is.

mod environment;
mod nearest;
mod settings;

use std::path::{Path, PathBuf};

use toml::{Table, Value};

pub(crate) use settings::{Database, LogFormat, LogSettings, Settings};

use nearest::nearest;

/// Every setting with its default and what it means.
pub(crate) const DEFAULTS: &str = include_str!("../../defaults.toml");
const FILE: &str = "jackfield.toml";

/// Why settings cannot be used. All of it is the operator's to mend.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("the settings file {path} cannot be read: {error}")]
    File { path: String, error: std::io::Error },
    #[error("the settings file {path} is not TOML: {error}")]
    Syntax { path: String, error: String },
    #[error("there is no setting `{name}`{}", suggestion(.near))]
    Unknown { name: String, near: Option<String> },
    #[error("the setting `{name}` is {wanted}; `jackfield config` shows an example")]
    Kind { name: String, wanted: &'static str },
    #[error("{0}")]
    Value(String),
}

fn suggestion(near: &Option<String>) -> String {
    let near = near.as_ref().map(|near| format!("; did you mean `{near}`?"));
    near.unwrap_or_else(|| ". `jackfield config` lists them all".to_owned())
}

/// Reads the settings. `named` is the file that the command line names; its absence is an error, that of
/// `jackfield.toml` is not.
pub(crate) fn load(
    named: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Settings, ConfigError> {
    Ok(load_written(named, environment)?.1)
}

/// The same, with the settings as they are written: to compare them with those of another time.
pub(crate) fn load_written(
    named: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<(Written, Settings), ConfigError> {
    let environment: Vec<(String, String)> = environment.into_iter().collect();
    let defaults = defaults()?;
    let mut settings = defaults.clone();
    let variable = environment.iter().find(|(name, _)| name == environment::FILE).map(|(_, path)| PathBuf::from(path));
    let file = match named.map(Path::to_owned).or(variable) {
        Some(path) => Some(read(&path)?),
        None if Path::new(FILE).exists() => Some(read(Path::new(FILE))?),
        None => None,
    };
    if let Some(file) = file {
        overlay(&mut settings, file, &defaults, "")?;
    }
    environment::overlay(&mut settings, &defaults, &environment)?;
    let written = Written(settings.clone());
    let settings = Value::Table(settings).try_into::<Settings>();
    let settings = settings.map_err(|error| ConfigError::Value(error.to_string().trim().replace('\n', " ")))?;
    Ok((written, settings.check()?))
}

/// All settings as they are written, secrets among them.
#[derive(Clone)]
pub(crate) struct Written(Table);

impl Written {
    /// The paths of settings that are others there, in their order.
    pub(crate) fn differing(&self, other: &Self) -> Result<Vec<String>, ConfigError> {
        let mut paths: Vec<String> = paths(&defaults()?, "").into_iter().map(|(path, _)| path).collect();
        paths.retain(|path| at(&self.0, path) != at(&other.0, path));
        Ok(paths)
    }

    /// Takes those of these paths from there.
    pub(crate) fn take(&mut self, other: &Self, paths: &[String]) {
        for path in paths {
            if let Some(value) = at(&other.0, path) {
                environment::put(&mut self.0, path, value.clone());
            }
        }
    }
}

/// The process's own. Names and values that are not text belong to nobody here.
pub(crate) fn variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

fn at<'a>(settings: &'a Table, path: &str) -> Option<&'a Value> {
    match path.split_once('.') {
        None => settings.get(path),
        Some((section, rest)) => at(settings.get(section)?.as_table()?, rest),
    }
}

fn defaults() -> Result<Table, ConfigError> {
    DEFAULTS.parse().map_err(|error: toml::de::Error| ConfigError::Syntax {
        path: "in the binary".to_owned(),
        error: error.to_string(),
    })
}

fn read(path: &Path) -> Result<Table, ConfigError> {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| ConfigError::File { path: shown.clone(), error })?;
    text.parse().map_err(|error: toml::de::Error| {
        // The line itself may hold a secret.
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let error = format!("line {}: {}", before.matches('\n').count() + 1, error.message());
        ConfigError::Syntax { path: shown, error }
    })
}

/// Puts `over` over `settings`. `known` is the defaults at this depth.
fn overlay(settings: &mut Table, over: Table, known: &Table, path: &str) -> Result<(), ConfigError> {
    for (key, value) in over {
        let name = joined(path, &key);
        let Some(default) = known.get(&key) else { return Err(unknown(&name)?) };
        match (default, value, settings.get_mut(&key)) {
            (Value::Table(default), Value::Table(value), Some(Value::Table(below))) if !default.is_empty() => {
                overlay(below, value, default, &name)?;
            }
            (default, value, _) if same_kind(default, &value) => drop(settings.insert(key, value)),
            (default, _, _) => return Err(ConfigError::Kind { name, wanted: kind(default) }),
        }
    }
    Ok(())
}

/// Paths of all settings with their defaults. A table without defaults is one setting, filled as one likes.
fn paths(known: &Table, path: &str) -> Vec<(String, Value)> {
    let below = known.iter().flat_map(|(key, value)| match value {
        Value::Table(table) if !table.is_empty() => paths(table, &joined(path, key)),
        value => vec![(joined(path, key), value.clone())],
    });
    below.collect()
}

fn joined(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn unknown(name: &str) -> Result<ConfigError, ConfigError> {
    let known: Vec<String> = paths(&defaults()?, "").into_iter().map(|(path, _)| path).collect();
    Ok(ConfigError::Unknown { name: name.to_owned(), near: nearest(name, &known) })
}

fn same_kind(one: &Value, other: &Value) -> bool {
    std::mem::discriminant(one) == std::mem::discriminant(other)
}

fn kind(of: &Value) -> &'static str {
    match of {
        Value::String(_) => "a text in quotes",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a number",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a time",
        Value::Array(_) => "a list of texts",
        Value::Table(_) => "a table",
    }
}

#[cfg(test)]
mod tests;
