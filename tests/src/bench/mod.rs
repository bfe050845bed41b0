//! `cargo xtask bench`: what the host costs, beside the least it could cost, in one run on one machine.

mod adapter;
mod audio;
pub mod bare;
mod calls;
mod crowd;
mod hostile;
mod jitter;
mod lists;
mod load;
mod memory;
pub(crate) mod process;
mod ramp;
mod soak;
mod sockets;
mod start;
mod state;
mod swap;
mod table;
mod tenants;
mod transfers;
mod webhooks;

use anyhow::{Context, Result};

use table::Table;

/// What can be asked for.
pub const NAMES: [&str; 18] = [
    "all", "calls", "webhooks", "media", "adapter", "swap", "start", "memory", "sockets", "audio", "jitter", "lists",
    "state", "soak", "swaps", "hostile", "tenants", "ramp",
];

/// Runs one part or all, and prints the table.
pub fn run(name: &str) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new().context("no runtime for the load")?;
    let mut table = Table::default();
    let wants = |part: &str| name == "all" || name == part;
    if wants("audio") {
        audio::measure(&mut table)?;
    }
    runtime.block_on(async {
        if wants("start") {
            start::measure(&mut table).await?;
        }
        if wants("webhooks") {
            webhooks::measure(&mut table).await?;
        }
        if wants("webhooks") || wants("adapter") {
            adapter::webhooks(&mut table).await?;
        }
        if wants("media") || wants("adapter") {
            adapter::media(&mut table).await?;
        }
        if wants("swap") {
            swap::measure(&mut table).await?;
        }
        if wants("memory") {
            memory::measure(&mut table).await?;
        }
        if wants("sockets") {
            sockets::measure(&mut table).await?;
        }
        if wants("lists") {
            lists::measure(&mut table).await?;
        }
        if wants("jitter") {
            jitter::measure(&mut table).await?;
        }
        if wants("state") {
            state::measure(&mut table).await?;
        }
        // An hour: only when it is asked for.
        if name == "soak" {
            soak::measure(&mut table).await?;
        }
        if name == "ramp" {
            ramp::measure(&mut table).await?;
        }
        if name == "swaps" {
            swap::measure_many(&mut table).await?;
        }
        if name == "hostile" {
            hostile::measure(&mut table).await?;
        }
        if wants("tenants") {
            tenants::measure(&mut table).await?;
        }
        if wants("calls") {
            calls::measure(&mut table).await?;
        }
        anyhow::Ok(())
    })?;
    table.print();
    Ok(())
}
