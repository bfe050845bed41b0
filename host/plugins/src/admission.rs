//! The way of new bytes towards serving, in stages, each with its own failure. Nothing here touches what serves.

use std::sync::Arc;
use std::time::Instant;

use wasmtime::Engine;
use wasmtime::component::Component;

use crate::bindings::describes::Describes;
use crate::cache::{CacheKey, CompiledCache};
use crate::compiler::{self, CompilerProcess};
use crate::contract::{CONTRACT, Surface, Unfit};
use crate::generation::{Capabilities, Generation, Origin};
use crate::grants::{Grants, PluginGrants};
use crate::guest;
use crate::limits::{GuestLimits, GuestState};
use crate::signature::Signers;
use crate::stock::StockPlugin;
use crate::types::{FieldKind, Provider};
use crate::vectors::{self, Vectors};

/// One check that new bytes passed, or did not.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct StageReport {
    /// `digest`, `size`, `contract`, `signature`, `imports`, `compile`, `instantiate`, `describe`, `grants`,
    /// `vectors`, `promote`.
    pub stage: &'static str,
    /// False for the last of a refusal.
    pub ok: bool,
    /// What was found.
    pub detail: String,
    /// How long it took.
    pub micros: u64,
}

/// Why new bytes will not serve, and the stages up to there. What served before still does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{stage}: {message}")]
pub struct Refusal {
    /// The stage that failed.
    pub stage: &'static str,
    /// What is wrong and what to do about it.
    pub message: String,
    /// All stages that were gone through, the failed one last.
    pub stages: Vec<StageReport>,
}

/// The stages so far.
#[derive(Debug, Default)]
pub(crate) struct Stages(Vec<StageReport>);

impl Stages {
    fn pass<T>(
        &mut self,
        stage: &'static str,
        began: Instant,
        outcome: Result<(T, String), String>,
    ) -> Result<T, Refusal> {
        let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let (ok, detail) = match &outcome {
            Ok((_, detail)) => (true, detail.clone()),
            Err(message) => (false, message.clone()),
        };
        self.0.push(StageReport { stage, ok, detail, micros });
        outcome.map(|(value, _)| value).map_err(|message| Refusal { stage, message, stages: self.0.clone() })
    }

    pub(crate) fn reports(&self) -> &[StageReport] {
        &self.0
    }

    pub(crate) fn promoted(mut self, began: Instant) -> Vec<StageReport> {
        let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let detail = "new calls begin on this generation".to_owned();
        self.0.push(StageReport { stage: "promote", ok: true, detail, micros });
        self.0
    }
}

/// What the checks are made with.
pub(crate) struct Checker<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) limits: &'a GuestLimits,
    pub(crate) grants: &'a Grants,
    pub(crate) signers: &'a Signers,
    /// What comes with the binary.
    pub(crate) stock: &'static [StockPlugin],
    pub(crate) cache: Option<&'a CompiledCache>,
    pub(crate) compiler: Option<&'a CompilerProcess>,
}

/// Bytes that want to be a generation.
pub(crate) struct Offer<'a> {
    /// Where nobody offers the plugin under a name, its own will do.
    pub(crate) name: Option<&'a str>,
    pub(crate) bytes: Vec<u8>,
    /// Where they came from, and when, in Unix milliseconds.
    pub(crate) source: &'a str,
    pub(crate) loaded_at: u64,
    /// What an operator gave this plugin while the host runs; the settings' grants where he did not.
    pub(crate) order: Option<PluginGrants>,
    pub(crate) vectors: Vectors,
}

/// SHA-256 in hex: the name of a build.
pub fn digest_of(bytes: &[u8]) -> String {
    hex::encode(ring::digest::digest(&ring::digest::SHA256, bytes))
}

impl Checker<'_> {
    /// All stages before promotion.
    pub(crate) async fn check(&self, offer: Offer<'_>) -> Result<(Arc<Generation>, Stages), Refusal> {
        let Offer { name, bytes, source, loaded_at, order, vectors } = offer;
        let mut stages = Stages::default();
        let began = Instant::now();
        let digest = digest_of(&bytes);
        stages.pass("digest", began, Ok(((), digest.clone())))?;
        let began = Instant::now();
        stages.pass("size", began, self.size(&bytes))?;
        let began = Instant::now();
        let surface = stages.pass("contract", began, contract(&bytes))?;
        let began = Instant::now();
        let signature = self.signers.allow(&bytes, self.is_stock(&bytes)).map(|detail| ((), detail));
        stages.pass("signature", began, signature)?;
        let began = Instant::now();
        stages.pass("imports", began, imports(&surface))?;
        // Kept for its own stage, since compiling consumes the bytes.
        let shipped = match vectors {
            Vectors::Run => vectors::shipped(&bytes).map(|section| section.map(<[u8]>::to_vec)),
            Vectors::Skip(_) => Ok(None),
        };
        let began = Instant::now();
        let granted = order.clone().or_else(|| self.grants.of(name?).ok()).unwrap_or_default();
        let key = CacheKey::new(&digest, &granted, self.limits, self.engine);
        let component = stages.pass("compile", began, self.compile(&key, bytes).await)?;
        let began = Instant::now();
        let capabilities = stages.pass("instantiate", began, self.instantiate(&component, &surface).await)?;
        let began = Instant::now();
        let provider = stages.pass("describe", began, self.describe(name, &capabilities))?;
        let began = Instant::now();
        let by_order = order.is_some();
        let grants = stages.pass("grants", began, self.grant(order, &provider, &surface))?;
        let limits = grants.narrow(self.limits);
        let generation = |limits: GuestLimits| {
            let (provider, capabilities, engine) = (provider.clone(), capabilities.clone(), self.engine.clone());
            let (build, source, grants) = (digest.clone(), source.to_owned(), grants.clone());
            let origin = Origin { build, source, loaded_at, grants, by_order };
            Arc::new(Generation::new(origin, provider, capabilities, engine, limits))
        };
        let began = Instant::now();
        let held = match vectors {
            // By one of their own, whose counters nobody sees.
            Vectors::Run => self.hold(generation(vectors::patient(&limits)), shipped).await,
            Vectors::Skip(why) => Ok(why.to_owned()),
        };
        stages.pass("vectors", began, held.map(|detail| ((), detail)))?;
        Ok((generation(limits), stages))
    }

    /// By their bytes, whichever way they came.
    fn is_stock(&self, bytes: &[u8]) -> bool {
        self.stock.iter().any(|plugin| plugin.bytes == bytes)
    }

    fn size(&self, bytes: &[u8]) -> Result<((), String), String> {
        let (size, limit) = (bytes.len(), self.limits.upload);
        if size > limit {
            return Err(format!("the file has {size} bytes and {limit} are allowed. Strip it, or raise the limit."));
        }
        Ok(((), format!("{size} bytes")))
    }

    async fn compile(&self, key: &CacheKey, bytes: Vec<u8>) -> Result<(Component, String), String> {
        if let Some(code) = self.cache.and_then(|cache| cache.load(key)) {
            match deserialize(self.engine, &code) {
                Ok(component) => return Ok((component, "from the cache".to_owned())),
                Err(error) => tracing::warn!(%error, "a cached plugin did not load; compiling again"),
            }
        }
        let counted = self.limits.counted;
        let code = match self.compiler {
            Some(compiler) => compiler.compile(bytes, counted).await?,
            None => compiler::in_process(bytes, counted).await?,
        };
        if let Some(Err(error)) = self.cache.map(|cache| cache.keep(key, &code)) {
            tracing::warn!(%error, "could not keep compiled code; the next start compiles again");
        }
        let component = deserialize(self.engine, &code).map_err(|error| format!("{error:#}"))?;
        Ok((component, format!("{} bytes of code", code.len())))
    }

    async fn instantiate(&self, component: &Component, surface: &Surface) -> Result<(Capabilities, String), String> {
        let mismatch = |error: wasmtime::Error| {
            format!("the plugin's functions are not those of contract {CONTRACT}, or its start fails: {error:#}")
        };
        component.initialize_copy_on_write_image().map_err(mismatch)?;
        let capabilities = Capabilities::link(self.engine, component, surface).map_err(mismatch)?;
        capabilities.type_check(|| self.store()).await.map_err(mismatch)?;
        let interfaces = ["manifest", "webhooks", "calls", "media", "socket", "desk", "chat"];
        let found: Vec<&str> = interfaces.into_iter().filter(|name| surface.exports(name)).collect();
        Ok((capabilities, found.join(", ")))
    }

    fn describe(&self, name: Option<&str>, capabilities: &Capabilities) -> Result<(Provider, String), String> {
        let mut store = self.store();
        let provider = capabilities
            .describes
            .instantiate(&mut store)
            .and_then(|exports: Describes| exports.jackfield_provider_manifest().call_describe(&mut store))
            .map_err(|error| format!("`describe` failed: {error:#}"))?;
        sound(name, &provider)?;
        let detail = format!("{} {}", provider.display_name, provider.version);
        Ok((provider, detail))
    }

    fn grant(
        &self,
        order: Option<PluginGrants>,
        provider: &Provider,
        surface: &Surface,
    ) -> Result<(PluginGrants, String), String> {
        let grants = order.map_or_else(|| self.grants.of(&provider.name), Ok)?;
        let detail = grants.cover(provider, surface)?;
        Ok((grants, detail))
    }

    async fn hold(
        &self,
        generation: Arc<Generation>,
        shipped: Result<Option<Vec<u8>>, String>,
    ) -> Result<String, String> {
        let name = &generation.describe().name;
        let stock = self.stock.iter().find(|plugin| plugin.name == name).copied();
        vectors::hold(generation, shipped?, stock).await
    }

    fn store(&self) -> wasmtime::Store<GuestState> {
        let state = GuestState::new(self.limits, self.limits.webhook_cpu, None);
        let mut store = guest::store(self.engine, self.limits, state);
        guest::arm(&mut store);
        store
    }
}

fn contract(bytes: &[u8]) -> Result<(Surface, String), String> {
    let surface = Surface::read(bytes).map_err(|unfit| unfit.to_string())?;
    surface.check_contract().map_err(|unfit: Unfit| unfit.to_string())?;
    Ok((surface, format!("built for {CONTRACT}")))
}

fn imports(surface: &Surface) -> Result<((), String), String> {
    surface.check_imports().map_err(|unfit| unfit.to_string())?;
    let http = if surface.imports("http") { "http" } else { "none" };
    let wasi = if surface.imports_wasi() { "; WASI, all of it denied: a plugin of the second tier" } else { "" };
    Ok(((), format!("{http}{wasi}")))
}

#[allow(unsafe_code, reason = "wasmtime deserialises native code; these bytes come from our compiler or carry our MAC")]
fn deserialize(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: `code` was made by `precompile_component` a moment ago in this process or in a child that runs
    // this very program, or was read from the cache and
    // carries a MAC under this host's key over exactly these bytes, this plugin and this engine's compatibility hash.
    unsafe { Component::deserialize(engine, code) }
}

/// What later parts of the host take for granted about a description.
fn sound(name: Option<&str>, provider: &Provider) -> Result<(), String> {
    let plain = |text: &str| {
        !text.is_empty()
            && text.len() <= 32
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    if !plain(&provider.name) {
        return Err(format!("the plugin calls itself {:?}; a name is 1 to 32 of a-z, 0-9 and -.", provider.name));
    }
    if let Some(name) = name.filter(|name| *name != provider.name) {
        return Err(format!(
            "the plugin is for provider `{}` and was offered as `{name}`. Offer it under its own name.",
            provider.name
        ));
    }
    for (index, field) in provider.fields.iter().enumerate() {
        if provider.fields.iter().take(index).any(|earlier| earlier.name == field.name) {
            return Err(format!("the account field `{}` is described twice.", field.name));
        }
        if matches!(field.kind, FieldKind::Choice) && field.options.is_empty() {
            return Err(format!("the account field `{}` is a choice without options.", field.name));
        }
    }
    match &provider.identifying_field {
        Some(identifying) if !provider.fields.iter().any(|field| field.name == *identifying && !field.secret) => {
            Err(format!("the identifying field `{identifying}` is not among the non-secret account fields."))
        }
        _ => Ok(()),
    }
}
