//! Who answers the questions.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::fit;
use crate::script::Script;

/// The interfaces of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Interface {
    Manifest,
    Webhooks,
    Calls,
    Media,
    Socket,
    Desk,
    Chat,
}

/// A plugin under test.
pub trait Subject {
    /// A fresh instance of one interface, whose `http.send` meets `script`.
    ///
    /// # Errors
    /// When the plugin has no such interface, or cannot be instantiated.
    fn instance(&self, interface: Interface, script: &Script) -> Result<Box<dyn Instance + '_>, String>;

    /// Instructions run so far, by whoever counts them.
    fn instructions(&self) -> u64 {
        0
    }
}

/// One instance of one interface.
pub trait Instance {
    /// Calls a function by its name in the contract, with `_` for `-`, and gives its result as JSON.
    ///
    /// `authenticate` is given the `secrets` too and answers with `proof` (`holds`, `fails`, `unsigned`, `malformed`
    /// or `other`) and `replay_key`: the secrets are the host's, and the evaluation is part of what is tested. Without them it
    /// answers with the proof itself.
    ///
    /// # Errors
    /// When there is no such function, its arguments do not fit, or it fails other than by its own result.
    fn call(&mut self, function: &str, arguments: Arguments) -> Result<Value, String>;
}

/// Arguments by the names of the contract's parameters.
#[derive(Debug, Clone)]
pub struct Arguments {
    pub(crate) values: Map<String, Value>,
    /// Texts are texts, also where they look like bytes.
    exact: bool,
}

impl Arguments {
    /// As people write them: `base64:…` stands for bytes.
    pub(crate) fn written(values: Map<String, Value>) -> Self {
        Self { values, exact: false }
    }

    /// As they crossed into a plugin once.
    pub fn exact(values: Map<String, Value>) -> Self {
        Self { values, exact: true }
    }

    /// The argument of that name.
    ///
    /// # Errors
    /// When it is missing or of another type.
    pub fn take<T: for<'de> Deserialize<'de>>(&self, name: &str) -> Result<T, String> {
        let value = self.values.get(name).ok_or_else(|| format!("`{name}` is missing"))?;
        let raw = if self.exact { value.clone() } else { fit::raw(value)? };
        serde_json::from_value(raw).map_err(|why| format!("{name}: {value}: {why}"))
    }

    /// The argument of that name, if it is there.
    ///
    /// # Errors
    /// When it is of another type.
    pub fn get<T: for<'de> Deserialize<'de>>(&self, name: &str) -> Result<Option<T>, String> {
        match self.values.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(_) => self.take(name).map(Some),
        }
    }
}

/// A result as JSON.
///
/// # Errors
/// When it has no JSON form.
pub fn shown(value: impl Serialize) -> Result<Value, String> {
    serde_json::to_value(value).map_err(|why| why.to_string())
}
