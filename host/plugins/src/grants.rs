//! What the operator lets each plugin have. A plugin says in `describe` what it asks for; one that asks for more than
//! it is granted is not admitted, and what it did not ask for it does not get.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::contract::Surface;
use crate::limits::GuestLimits;
use crate::types::Provider;

/// Grants by the plugins' names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// What is not in here, a plugin may have as it describes it.
    pub plugins: BTreeMap<String, PluginGrants>,
    /// Is a plugin without an entry refused?
    pub required: bool,
}

/// What one plugin may have. What is left out, it may have as it describes it, within the limits of all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginGrants {
    /// As a plugin describes them: `api.example.com`, `{field}`; and `*.example.com` for all below it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hosts: Option<Vec<String>>,
    /// Names of secret fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Vec<String>>,
    /// May it carry audio?
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media: Option<bool>,
    /// May it be of the second tier: import WASI, all of it denied?
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wasi: Option<bool>,
    /// Bytes of memory of an instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<usize>,
    /// CPU time of a webhook export.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_cpu_ms: Option<u64>,
    /// CPU time of a media message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_cpu_ms: Option<u64>,
    /// Requests of one `calls` export.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<u32>,
}

/// Whose word on a build's grants counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Granted {
    /// What the build in service has; the settings' where none is.
    InForce,
    /// The settings'.
    BySettings,
    /// An operator's, given while the host runs.
    ByOrder(PluginGrants),
}

impl Grants {
    /// What this plugin may have.
    ///
    /// # Errors
    /// When it has to have an entry and has none.
    pub(crate) fn of(&self, plugin: &str) -> Result<PluginGrants, String> {
        match self.plugins.get(plugin) {
            Some(grants) => Ok(grants.clone()),
            None if self.required => Err(format!(
                "nothing is granted to `{plugin}`, and `plugins.grants_required` is set. Give it an entry in \
                 `plugins.grants`."
            )),
            None => Ok(PluginGrants::default()),
        }
    }
}

impl PluginGrants {
    /// Is all that the plugin asks for granted? Says what it gets.
    ///
    /// # Errors
    /// Names what is not.
    pub(crate) fn cover(&self, provider: &Provider, surface: &Surface) -> Result<String, String> {
        let refused = |what: &str, name: &str| {
            format!(
                "the plugin asks for {what} `{name}`, which `plugins.grants` does not give it. Grant it, or do not \
                 take this build."
            )
        };
        let covered =
            |host: &&String| self.hosts.as_ref().is_none_or(|hosts| hosts.iter().any(|own| covers(own, host)));
        if let Some(host) = provider.hosts.iter().find(|host| !covered(host)) {
            return Err(refused("the host", host));
        }
        let secrets: Vec<&str> = secrets_of(provider).collect();
        let granted = |name: &&&str| self.secrets.as_ref().is_none_or(|own| own.iter().any(|own| own == **name));
        if let Some(secret) = secrets.iter().find(|name| !granted(name)) {
            return Err(refused("the secret", secret));
        }
        if surface.exports("media") && self.media == Some(false) {
            return Err(refused("the interface", "media"));
        }
        if surface.imports_wasi() && self.wasi == Some(false) {
            return Err(refused("the interface", "wasi"));
        }
        let list = |names: Vec<&str>| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let hosts = list(provider.hosts.iter().map(String::as_str).collect());
        Ok(format!("hosts: {hosts}; secrets: {}", list(secrets)))
    }

    /// Tells these grants from others in the name of a generation: 16 hexadecimal digits.
    pub fn mark(&self) -> String {
        let text = serde_json::to_vec(self).unwrap_or_default();
        let mut mark = hex::encode(ring::digest::digest(&ring::digest::SHA256, &text));
        mark.truncate(16);
        mark
    }

    /// The limits of all, or less.
    pub(crate) fn narrow(&self, limits: &GuestLimits) -> GuestLimits {
        let lower = |granted: Option<u64>, usual: Duration| {
            granted.map_or(usual, |granted| usual.min(Duration::from_millis(granted)))
        };
        GuestLimits {
            memory: self.memory_bytes.map_or(limits.memory, |granted| limits.memory.min(granted)),
            webhook_cpu: lower(self.webhook_cpu_ms, limits.webhook_cpu),
            media_cpu: lower(self.media_cpu_ms, limits.media_cpu),
            requests: self.requests.map_or(limits.requests, |granted| limits.requests.min(granted)),
            ..limits.clone()
        }
    }
}

/// Names of the secret fields that a plugin describes: no others are ever used for it.
pub fn secrets_of(provider: &Provider) -> impl Iterator<Item = &str> {
    let fields = provider.fields.iter().filter(|field| field.secret).map(|field| field.name.as_str());
    fields.chain(provider.sign_in.iter().map(|terms| terms.client_secret.as_str()))
}

/// A star stands for one or more labels.
fn covers(granted: &str, asked: &str) -> bool {
    let (granted, asked) = (granted.to_ascii_lowercase(), asked.to_ascii_lowercase());
    granted == asked || granted.strip_prefix('*').is_some_and(|rest| rest.starts_with('.') && asked.ends_with(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_covers_what_is_below_it_and_nothing_else() {
        for (granted, asked) in [
            ("api.example.com", "api.example.com"),
            ("API.example.com", "api.example.com"),
            ("*.example.com", "api.example.com"),
            ("*.example.com", "*.example.com"),
            ("*.example.com", "*.eu.example.com"),
            ("{url}", "{url}"),
        ] {
            assert!(covers(granted, asked), "{granted} {asked}");
        }
        for (granted, asked) in [
            ("*.example.com", "example.com"),
            ("*.example.com", "badexample.com"),
            ("*.example.com", "*.com"),
            ("api.example.com", "*.example.com"),
            ("*.example.com", "{url}"),
            ("{url}", "{other}"),
            ("*", "api.example.com"),
        ] {
            assert!(!covers(granted, asked), "{granted} {asked}");
        }
    }

    #[test]
    fn limits_are_lowered_and_never_raised() {
        let usual = GuestLimits::default();
        let less =
            PluginGrants { memory_bytes: Some(1 << 20), requests: Some(2), media_cpu_ms: Some(1), ..<_>::default() };
        let narrowed = less.narrow(&usual);
        assert_eq!((narrowed.memory, narrowed.requests), (1 << 20, 2));
        assert_eq!((narrowed.media_cpu, narrowed.webhook_cpu), (Duration::from_millis(1), usual.webhook_cpu));
        let more = PluginGrants { memory_bytes: Some(usize::MAX), webhook_cpu_ms: Some(60_000), ..<_>::default() };
        assert_eq!(more.narrow(&usual), usual);
    }
}
