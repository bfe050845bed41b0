//! The serving engine: pooled where the address space allows, with an epoch that moves every millisecond.

use std::thread;
use std::time::Instant;

use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::limits::{GuestLimits, INSTANCES, TABLE_ELEMENTS, TABLES, TICK};

/// How instances get their memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pooling {
    /// Pooled if the machine grants the address space, else on demand; the log says which.
    #[default]
    Auto,
    /// Pooled, or the start fails.
    On,
    /// A fresh mapping for each instance: slower, needs little address space.
    Off,
}

/// Everything of the configuration that decides what compiled code looks like; compiling and serving engines share it.
fn base(counted: bool) -> Config {
    let mut config = Config::new();
    config.wasm_component_model(true);
    config.epoch_interruption(true);
    config.consume_fuel(counted);
    config.concurrency_support(false);
    // Dropping a generation must not stall on unwinder registries; our own backtraces don't need them.
    config.native_unwind_info(false);
    config.max_wasm_stack(256 << 10);
    config.async_stack_size(512 << 10);
    config
}

/// A throw-away engine: wasmtime 48 keeps register-allocator contexts for as long as an engine lives.
pub(crate) fn compiling(counted: bool) -> wasmtime::Result<Engine> {
    let mut config = base(counted);
    // Compilation may not take every core from the audio loop.
    config.parallel_compilation(false);
    Engine::new(&config)
}

/// The engine that serves, and whether it is pooled.
pub(crate) fn serving(limits: &GuestLimits, pooling: Pooling) -> wasmtime::Result<(Engine, bool)> {
    let pooled = || {
        let mut config = base(limits.counted);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(limits)));
        Engine::new(&config)
    };
    let (engine, is_pooled) = match pooling {
        Pooling::On => (pooled()?, true),
        Pooling::Off => (Engine::new(&base(limits.counted))?, false),
        Pooling::Auto => match pooled() {
            Ok(engine) => (engine, true),
            Err(error) => {
                tracing::warn!(%error, "no address space for pooled instances; webhooks cost more CPU");
                (Engine::new(&base(limits.counted))?, false)
            }
        },
    };
    tick(&engine)?;
    Ok((engine, is_pooled))
}

fn pool(limits: &GuestLimits) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::default();
    let instances = limits.instances;
    pool.total_component_instances(instances);
    // A component of ours is its own module plus up to two of wit-component's that tie imports to its memory; one whose language
    // brings an interpreter is made of dozens that share a memory and a table of thousands of functions. Counts cost nothing.
    pool.total_core_instances(instances.saturating_mul(8));
    pool.max_core_instances_per_component(INSTANCES);
    pool.total_memories(instances);
    pool.max_memories_per_component(1);
    pool.total_tables(instances.saturating_mul(2));
    pool.max_tables_per_component(TABLES);
    pool.table_elements(TABLE_ELEMENTS);
    pool.max_memory_size(limits.memory);
    // Only `calls` exports run on fibers.
    pool.total_stacks(instances.min(512));
    // What a webhook touches stays mapped, so that the next one takes no page faults.
    pool.linear_memory_keep_resident(256 << 10);
    pool.pagemap_scan(wasmtime::Enabled::Auto);
    pool.table_keep_resident(4 << 10);
    pool
}

/// Moves the epoch from a plain thread for as long as the engine lives. It goes by the clock: a thread that wakes late makes up
/// for it, or guests would have as much more time as it sleeps too long.
fn tick(engine: &Engine) -> wasmtime::Result<()> {
    let engine = engine.weak();
    let beat = move || {
        let mut next = Instant::now();
        while let Some(engine) = engine.upgrade() {
            while next <= Instant::now() {
                engine.increment_epoch();
                next += TICK;
            }
            drop(engine);
            thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    };
    thread::Builder::new().name("guest-epoch".to_owned()).spawn(beat)?;
    Ok(())
}
