//! One rollout from its bytes to its end: checks, trials, promotion, bake.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use jackfield_plugins::types::Provider;
use jackfield_plugins::{Candidate, Generation, Granted, Refusal, StageReport, digest_of};
use jackfield_store::{Generation as StoredGeneration, RolloutRecord, StoreError, new_id_at};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::trial::{Mode, Trial};
use super::{Rollout, RolloutError, bake};
use crate::account::account_of;
use crate::clock::{now_for_guests, now_ms};

const GLANCE: Duration = Duration::from_millis(200);

/// Where bytes came from, and who sent them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// `api`, `folder`, or `grants` for other grants of the same bytes.
    pub source: &'static str,
    /// A token's organization, or nobody in particular.
    pub who: String,
}

/// What a build goes through before it serves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Plan {
    /// For so long its answers are compared and dropped.
    pub shadow: Option<Duration>,
    /// For so long a share of new calls, of a hundred, begins on it.
    pub canary: Option<(u8, Duration)>,
}

/// What is to serve.
pub(super) struct Offer {
    pub(super) bytes: Vec<u8>,
    pub(super) granted: Granted,
    /// Where the bytes came from.
    pub(super) source: String,
}

/// A rollout that passed its checks.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Begun {
    /// What names it in the record.
    pub rollout: String,
    pub digest: String,
    /// `shadow`, `canary` or `baking`.
    pub state: &'static str,
    pub stages: Vec<StageReport>,
}

impl Plan {
    fn steps(self) -> Vec<(Mode, Duration)> {
        let shadow = self.shadow.map(|lasting| (Mode::Shadow, lasting));
        let canary = self.canary.map(|(share, lasting)| (Mode::Canary(share), lasting));
        shadow.into_iter().chain(canary).collect()
    }
}

impl Mode {
    fn word(self) -> &'static str {
        match self {
            Self::Shadow => "shadow",
            Self::Canary(_) => "canary",
        }
    }
}

impl Rollout {
    /// Checks new bytes, and has them serve at once or by the plan.
    ///
    /// # Errors
    /// Says which check failed; what served before still does.
    pub async fn begin(&self, name: &str, bytes: Vec<u8>, origin: Origin, plan: Plan) -> Result<Begun, RolloutError> {
        let offer = Offer { bytes, granted: Granted::InForce, source: origin.source.to_owned() };
        self.roll_out(name, offer, origin, plan).await
    }

    pub(super) async fn roll_out(
        &self,
        name: &str,
        offer: Offer,
        origin: Origin,
        plan: Plan,
    ) -> Result<Begun, RolloutError> {
        if self.trial(name).is_some() {
            return Err(RolloutError::Busy(name.to_owned()));
        }
        let bytes = offer.bytes.clone();
        let mut record = self.fresh_record(name, &bytes, &origin);
        let source = offer.source.clone();
        let (candidate, stages) = match self.checked(name, offer).await {
            Ok(checked) => checked,
            Err(refusal) => {
                record.state = "refused".to_owned();
                record.reason = Some(refusal.message.clone());
                record.stages = json!(refusal.stages);
                self.put(&mut record).await;
                return Err(refusal.into());
            }
        };
        self.keep(candidate.generation(), bytes, &source).await?;
        record.stages = json!(stages);
        candidate.generation().digest().clone_into(&mut record.digest);
        let previous = self.host.current(name);
        let generation = self.host.retain(candidate);
        let (rollout, digest) = (record.id.clone(), record.digest.clone());
        let steps = plan.steps();
        let Some((first, _)) = steps.first() else {
            let stages = self.promote(&generation, previous, record, stages).await?;
            return Ok(Begun { rollout, digest, state: "baking", stages });
        };
        let state = first.word();
        record.state = state.to_owned();
        // Before the answer, so that whoever gets it can look, and nobody begins another.
        self.enter_trial(name, Some(Arc::new(Trial::new(Arc::clone(&generation), *first))));
        self.put(&mut record).await;
        let (own, told) = (self.clone(), stages.clone());
        tokio::spawn(async move { own.try_out(generation, previous, steps, record, told).await });
        Ok(Begun { rollout, digest, state, stages })
    }

    async fn checked(&self, name: &str, offer: Offer) -> Result<(Candidate, Vec<StageReport>), Refusal> {
        let Offer { bytes, granted, source } = offer;
        let candidate = self.host.check_under(name, bytes, granted, &source, now_for_guests()).await?;
        let mut stages = candidate.stages().to_vec();
        let new = Arc::clone(candidate.generation());
        if let Some(old) = self.host.current(name).filter(|old| old.digest() != new.digest()) {
            pass(&mut stages, "accounts", || self.accounts_agree(&old, &new))?;
            pass(&mut stages, "replay", || self.desk.samples.replay(name, &old, &new).verdict())?;
        }
        Ok((candidate, stages))
    }

    /// Accounts that work must go on working: what tells them apart, their secrets, and the plugin's own word on each.
    fn accounts_agree(&self, old: &Generation, new: &Generation) -> Result<String, String> {
        let (before, after) = (old.describe(), new.describe());
        let directory = self.store.directory();
        let accounts: Vec<_> = directory.configurations_of(&after.name).collect();
        if accounts.is_empty() {
            return Ok("no account depends on it".to_owned());
        }
        if before.identifying_field != after.identifying_field {
            return Err(format!(
                "accounts were told apart by {:?} and would be by {:?}",
                before.identifying_field, after.identifying_field
            ));
        }
        let secret =
            |provider: &Provider, name: &str| provider.fields.iter().any(|field| field.name == *name && field.secret);
        for account in &accounts {
            if let Some(lost) = account.secrets.keys().find(|name| secret(before, name) && !secret(after, name)) {
                return Err(format!("the secret field `{lost}` is gone, which account {} holds", account.id));
            }
            let shown = account_of(account);
            let problems = |generation: &Generation| generation.check(&shown).map_err(|error| error.to_string());
            let new_problems = problems(new)?;
            if let (Some(problem), true) = (new_problems.first(), problems(old).is_ok_and(|none| none.is_empty())) {
                return Err(format!("account {} would not work: `{}` {}", account.id, problem.field, problem.message));
            }
        }
        Ok(format!("{} accounts go on working", accounts.len()))
    }

    /// The trials in their order, and then promotion, or the end.
    async fn try_out(
        self,
        generation: Arc<Generation>,
        previous: Option<Arc<Generation>>,
        steps: Vec<(Mode, Duration)>,
        mut record: RolloutRecord,
        stages: Vec<StageReport>,
    ) {
        let name = record.plugin.clone();
        let mut figures = serde_json::Map::new();
        for (mode, lasting) in steps {
            let trial = match self.trial(&name).filter(|trial| trial.mode == mode) {
                Some(trial) => trial,
                None => Arc::new(Trial::new(Arc::clone(&generation), mode)),
            };
            self.enter_trial(&name, Some(Arc::clone(&trial)));
            record.state = mode.word().to_owned();
            self.put(&mut record).await;
            let why = self.observe(&trial, lasting).await;
            figures.insert(mode.word().to_owned(), trial.figures());
            record.figures = Value::Object(figures.clone());
            if let Some(why) = why {
                self.enter_trial(&name, None);
                tracing::warn!(plugin = name, digest = record.digest, why, "a plugin did not pass its trial");
                record.state = "aborted".to_owned();
                record.reason = Some(why);
                return self.put(&mut record).await;
            }
        }
        self.enter_trial(&name, None);
        if let Err(error) = self.promote(&generation, previous, record, stages).await {
            tracing::error!(plugin = name, %error, "a plugin passed its trials and could not be promoted");
        }
    }

    /// Watches a trial to its end. Why it must not go on, if it must not.
    async fn observe(&self, trial: &Trial, lasting: Duration) -> Option<String> {
        let began = Instant::now();
        loop {
            if trial.is_aborted() {
                return Some("it was aborted".to_owned());
            }
            if let Some(why) = trial.verdict(self.settings().bake_faults) {
                return Some(why);
            }
            if began.elapsed() >= lasting {
                return None;
            }
            sleep(GLANCE).await;
        }
    }

    /// Moves the pointer, and watches what comes of it.
    async fn promote(
        &self,
        generation: &Arc<Generation>,
        previous: Option<Arc<Generation>>,
        mut record: RolloutRecord,
        mut stages: Vec<StageReport>,
    ) -> Result<Vec<StageReport>, RolloutError> {
        let (name, digest) = (record.plugin.clone(), record.digest.clone());
        // Before the pointer moves, so that no build ever serves without a record.
        self.put(&mut record).await;
        self.store.set_current(&name, &digest).await?;
        let began = Instant::now();
        self.host.promote_known(generation);
        let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let detail = "new calls begin on this generation".to_owned();
        stages.push(StageReport { stage: "promote", ok: true, detail, micros });
        self.store.announce();
        tracing::info!(plugin = name, digest, source = record.source, "a plugin came into service");
        record.state = "baking".to_owned();
        record.stages = json!(stages);
        self.put(&mut record).await;
        let (own, generation) = (self.clone(), Arc::clone(generation));
        let previous = previous.filter(|old| old.digest() != generation.digest());
        tokio::spawn(async move { own.bake(generation, previous, record).await });
        Ok(stages)
    }

    async fn bake(self, new: Arc<Generation>, old: Option<Arc<Generation>>, mut record: RolloutRecord) {
        let name = record.plugin.clone();
        let (figures, why) = bake::watch(&self, &name, &new, old.as_ref()).await;
        if let Value::Object(all) = &mut record.figures {
            all.insert("bake".to_owned(), figures);
        }
        match why {
            None if self.serves(&name, &record.digest) => record.state = "serving".to_owned(),
            // Another build, or somebody's rollback, came in between.
            None => record.state = "superseded".to_owned(),
            Some(why) => {
                // The pointer moves even where the database cannot be told yet: a restart would only repeat this.
                let digest = old.map(|old| old.digest().to_owned()).unwrap_or_default();
                self.host.make_current(&name, &digest);
                if let Err(error) = self.store.set_current(&name, &digest).await {
                    tracing::error!(plugin = name, %error, "a rollback could not be recorded");
                }
                self.store.announce();
                tracing::error!(
                    plugin = name,
                    digest = record.digest,
                    back_to = digest,
                    why,
                    "a plugin was rolled back"
                );
                record.state = "rolled-back".to_owned();
                record.reason = Some(why);
            }
        }
        self.put(&mut record).await;
    }

    fn fresh_record(&self, name: &str, bytes: &[u8], origin: &Origin) -> RolloutRecord {
        let now = now_ms();
        RolloutRecord {
            id: new_id_at("rol", now),
            plugin: name.to_owned(),
            digest: digest_of(bytes),
            previous: self.host.current(name).map(|serving| serving.digest().to_owned()),
            source: origin.source.to_owned(),
            who: origin.who.clone(),
            state: "checking".to_owned(),
            reason: None,
            stages: json!([]),
            figures: json!({}),
            began_at: now,
            updated_at: now,
        }
    }

    /// A record that cannot be written stops nothing: what serves is decided elsewhere.
    async fn put(&self, record: &mut RolloutRecord) {
        record.updated_at = now_ms();
        if !matches!(record.state.as_str(), "checking" | "shadow" | "canary" | "baking") {
            let mut outcomes = self.desk.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
            *outcomes.entry(record.state.clone()).or_default() += 1;
        }
        if let Err(error) = self.store.put_rollout(record).await {
            tracing::warn!(rollout = record.id, %error, "how a rollout stands could not be recorded");
        }
    }

    /// So that a restart and other nodes have it: its bytes, and its grants if an operator gave it some.
    pub(super) async fn keep(&self, generation: &Generation, bytes: Vec<u8>, source: &str) -> Result<(), StoreError> {
        self.keep_grants(generation).await?;
        let stored = StoredGeneration {
            plugin: generation.describe().name.clone(),
            digest: generation.build().to_owned(),
            version: generation.describe().version.clone(),
            source: source.to_owned(),
            bytes,
            admitted_at: now_ms(),
        };
        self.store.put_generation(stored).await
    }
}

fn pass(
    stages: &mut Vec<StageReport>,
    stage: &'static str,
    look: impl FnOnce() -> Result<String, String>,
) -> Result<(), Refusal> {
    let began = Instant::now();
    let outcome = look();
    let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    let (ok, detail) = match &outcome {
        Ok(detail) => (true, detail.clone()),
        Err(message) => (false, message.clone()),
    };
    stages.push(StageReport { stage, ok, detail, micros });
    outcome.map(drop).map_err(|message| Refusal { stage, message, stages: stages.clone() })
}
