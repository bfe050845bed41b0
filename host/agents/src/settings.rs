//! Reads an agent's settings. Keys that a connector does not know belong to other parts of the host.

use serde_json::{Map, Value};

use crate::connector::AgentError;

/// An agent's settings, one JSON object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings<'a>(Option<&'a Map<String, Value>>);

fn wrong(key: &str, due: &str) -> AgentError {
    AgentError::Invalid(format!("the setting `{key}` is {due}"))
}

impl<'a> Settings<'a> {
    /// Of an object; null stands for an empty one.
    pub(crate) fn of(value: &'a Value) -> Result<Self, AgentError> {
        match value {
            Value::Null => Ok(Self(None)),
            Value::Object(map) => Ok(Self(Some(map))),
            _ => Err(AgentError::Invalid("an agent's settings are one JSON object".to_owned())),
        }
    }

    /// As it is; null is as good as absent.
    pub(crate) fn value(self, key: &str) -> Option<&'a Value> {
        self.0?.get(key).filter(|value| !value.is_null())
    }

    pub(crate) fn text(self, key: &str) -> Result<Option<&'a str>, AgentError> {
        self.value(key).map(|value| value.as_str().ok_or_else(|| wrong(key, "a text"))).transpose()
    }

    pub(crate) fn flag(self, key: &str) -> Result<Option<bool>, AgentError> {
        self.value(key).map(|value| value.as_bool().ok_or_else(|| wrong(key, "true or false"))).transpose()
    }

    /// A whole number within bounds, or the default.
    pub(crate) fn number(self, key: &str, least: u32, most: u32, default: u32) -> Result<u32, AgentError> {
        let Some(value) = self.value(key) else { return Ok(default) };
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
        let number = number.filter(|number| (least..=most).contains(number));
        number.ok_or_else(|| wrong(key, &format!("a whole number from {least} to {most}")))
    }

    /// A sample rate that the host can play.
    pub(crate) fn rate(self, key: &str) -> Result<Option<u32>, AgentError> {
        let rate = self.value(key).map(|value| value.as_u64().and_then(|rate| u32::try_from(rate).ok()));
        match rate {
            None => Ok(None),
            Some(Some(rate @ (8_000 | 16_000 | 24_000 | 48_000))) => Ok(Some(rate)),
            Some(_) => Err(wrong(key, "8000, 16000, 24000 or 48000")),
        }
    }

    /// One of a few words.
    pub(crate) fn choice<T: Copy>(self, key: &str, choices: &[(&str, T)]) -> Result<Option<T>, AgentError> {
        let Some(word) = self.text(key)? else { return Ok(None) };
        let found = choices.iter().find(|(name, _)| *name == word).map(|(_, choice)| *choice);
        let names = || choices.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        found.map(Some).ok_or_else(|| wrong(key, &format!("one of {}", names())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_setting_of_the_wrong_kind_is_named() {
        let value = json!({ "a": 1, "b": "x", "rate": 11_025, "n": -1 });
        let settings = Settings::of(&value).unwrap_or(Settings(None));
        let errors = [
            settings.text("a").err(),
            settings.flag("b").err(),
            settings.rate("rate").err(),
            settings.number("n", 0, 9, 1).err(),
            settings.choice("b", &[("y", ())]).err(),
        ];
        for (error, key) in errors.into_iter().zip(["`a`", "`b`", "`rate`", "`n`", "`b`"]) {
            assert!(error.is_some_and(|error| error.to_string().contains(key)), "{key}");
        }
        assert!(Settings::of(&json!([])).is_err());
        assert_eq!(settings.number("absent", 0, 9, 7), Ok(7));
    }
}
