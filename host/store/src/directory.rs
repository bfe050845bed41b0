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
    /// By provider.
    accounts: HashMap<String, Accounts>,
    numbers: HashMap<String, BTreeMap<String, PhoneNumber>>,
    agents: HashMap<String, Arc<Agent>>,
    organizations: BTreeMap<String, Organization>,
    /// By digest.
    tokens: HashMap<String, ApiToken>,
}

/// A provider's configurations, as webhooks ask for them.
#[derive(Debug, Default)]
struct Accounts {
    all: Vec<Arc<Configuration>>,
    /// By a public field, and what it holds.
    by_field: HashMap<String, HashMap<String, Vec<Arc<Configuration>>>>,
}

impl Accounts {
    fn put(&mut self, known: &Arc<Configuration>) {
        self.all.push(Arc::clone(known));
        for (field, value) in &known.fields {
            let by_value = self.by_field.entry(field.clone()).or_default();
            by_value.entry(value.clone()).or_default().push(Arc::clone(known));
        }
    }
}

impl Directory {
    pub(crate) fn new(configurations: Vec<Configuration>, numbers: Vec<PhoneNumber>, agents: Vec<Agent>) -> Self {
        let mut by_configuration: HashMap<String, BTreeMap<String, PhoneNumber>> = HashMap::new();
        for number in numbers {
            by_configuration.entry(number.configuration_id.clone()).or_default().insert(number.number.clone(), number);
        }
        let configurations: BTreeMap<_, _> =
            configurations.into_iter().map(|known| (known.id.clone(), Arc::new(known))).collect();
        let mut accounts: HashMap<String, Accounts> = HashMap::new();
        for known in configurations.values() {
            accounts.entry(known.provider.clone()).or_default().put(known);
        }
        Self {
            configurations,
            accounts,
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
        self.accounts.get(provider).into_iter().flat_map(|accounts| &accounts.all)
    }

    /// Those of one provider that hold that value in a field.
    pub fn configurations_with(
        &self,
        provider: &str,
        field: &str,
        value: &str,
    ) -> impl Iterator<Item = &Arc<Configuration>> {
        let by_value = self.accounts.get(provider).and_then(|accounts| accounts.by_field.get(field));
        by_value.and_then(|by_value| by_value.get(value)).into_iter().flatten()
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
