//! What a webhook asks, answered from memory: configurations, numbers and agents as of the last change.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::model::{Agent, Configuration, PhoneNumber};

/// Stands for every number of a configuration that has no entry of its own.
pub const ANY_NUMBER: &str = "*";

/// A snapshot. A new one takes its place after each change.
#[derive(Debug, Default)]
pub struct Directory {
    configurations: BTreeMap<String, Arc<Configuration>>,
    numbers: HashMap<String, BTreeMap<String, PhoneNumber>>,
    agents: HashMap<String, Arc<Agent>>,
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
        }
    }

    /// All configurations.
    pub fn configurations(&self) -> impl Iterator<Item = &Arc<Configuration>> {
        self.configurations.values()
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

    /// The agent with that name.
    pub fn agent_by_name(&self, name: &str) -> Option<&Arc<Agent>> {
        self.agents.values().find(|agent| agent.name == name)
    }
}
