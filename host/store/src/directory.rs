//! What a webhook asks, answered from memory: configurations, numbers and agents as of the last change.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::model::{Agent, ApiToken, Configuration, Organization, PhoneNumber};

/// Stands for every number of a configuration that has no entry of its own.
pub const ANY_NUMBER: &str = "*";

/// A snapshot. A new one takes its place after each change.
#[derive(Debug, Default)]
pub struct Directory {
    configurations: BTreeMap<String, Arc<Configuration>>,
    numbers: HashMap<String, BTreeMap<String, PhoneNumber>>,
    agents: HashMap<String, Arc<Agent>>,
    organizations: BTreeMap<String, Organization>,
    /// By digest.
    tokens: HashMap<String, ApiToken>,
}

impl Directory {
    pub(crate) fn new(configurations: Vec<Configuration>, numbers: Vec<PhoneNumber>, agents: Vec<Agent>) -> Self {
        let mut by_configuration: HashMap<String, BTreeMap<String, PhoneNumber>> = HashMap::new();
        for number in numbers {
            by_configuration.entry(number.configuration_id.clone()).or_default().insert(number.number.clone(), number);
        }
        Self {
            configurations: configurations.into_iter().map(|known| (known.id.clone(), Arc::new(known))).collect(),
            numbers: by_configuration,
            agents: agents.into_iter().map(|known| (known.id.clone(), Arc::new(known))).collect(),
            ..Self::default()
        }
    }

    /// With those organizations, and the tokens that are not revoked.
    pub(crate) fn of(mut self, organizations: Vec<Organization>, tokens: Vec<ApiToken>) -> Self {
        self.organizations = organizations.into_iter().map(|known| (known.id.clone(), known)).collect();
        self.tokens = tokens.into_iter().map(|known| (known.digest.clone(), known)).collect();
        self
    }

    /// All organizations, by id.
    pub fn organizations(&self) -> impl Iterator<Item = &Organization> {
        self.organizations.values()
    }

    /// The organization with that id.
    pub fn organization(&self, id: &str) -> Option<&Organization> {
        self.organizations.get(id)
    }

    /// The token with that digest (SHA-256 in hex), unless it is revoked.
    pub fn token(&self, digest: &str) -> Option<&ApiToken> {
        self.tokens.get(digest)
    }

    /// All configurations.
    pub fn configurations(&self) -> impl Iterator<Item = &Arc<Configuration>> {
        self.configurations.values()
    }

    /// Those of one organization.
    pub fn configurations_in(&self, organization: &str) -> impl Iterator<Item = &Arc<Configuration>> {
        self.configurations.values().filter(move |known| known.organization_id == organization)
    }

    /// Those of one provider.
    pub fn configurations_of(&self, provider: &str) -> impl Iterator<Item = &Arc<Configuration>> {
        self.configurations.values().filter(move |known| known.provider == provider)
    }

    /// The configuration with that id.
    pub fn configuration(&self, id: &str) -> Option<&Arc<Configuration>> {
        self.configurations.get(id)
    }

    /// A configuration's number, in canonical form.
    pub fn number(&self, configuration: &str, number: &str) -> Option<&PhoneNumber> {
        self.numbers.get(configuration)?.get(number)
    }

    /// What answers calls to a number: its own entry, or the one for all that have none.
    pub fn called(&self, configuration: &str, number: &str) -> Option<&PhoneNumber> {
        self.number(configuration, number).or_else(|| self.number(configuration, ANY_NUMBER))
    }

    /// A configuration's numbers, in order, that calls can be made from.
    pub fn numbers_of(&self, configuration: &str) -> impl Iterator<Item = &PhoneNumber> {
        self.numbers
            .get(configuration)
            .into_iter()
            .flat_map(BTreeMap::values)
            .filter(|number| number.number != ANY_NUMBER)
    }

    /// The agent with that id.
    pub fn agent(&self, id: &str) -> Option<&Arc<Agent>> {
        self.agents.get(id)
    }

    /// An organization's agent with that id or name.
    pub fn agent_of(&self, organization: &str, named: &str) -> Option<&Arc<Agent>> {
        let own = |agent: &&Arc<Agent>| agent.organization_id == organization;
        let by_name = || self.agents.values().filter(own).find(|agent| agent.name == named);
        self.agents.get(named).filter(own).or_else(by_name)
    }
}
