//! `cargo xtask demo`: the host on its embedded default, a Twilio account, and calls of real speech through a plugin
//! that is replaced while one of them is up.

mod calls;
mod timeline;

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::api::Api;
use crate::carrier::{Account, Carrier};
use crate::host_process::{HostOptions, HostProcess};
use crate::place;
use crate::twilio_rest::TwilioRest;
use timeline::Timeline;
pub use timeline::tell;

pub(crate) const CALLER: &str = "+14155550123";
pub(crate) const NUMBER: &str = "+12065550188";

/// Everything the demo works with.
pub(crate) struct Stage {
    pub(crate) timeline: Timeline,
    pub(crate) host: HostProcess,
    pub(crate) api: Api,
    pub(crate) carrier: Carrier,
    pub(crate) rest: TwilioRest,
    pub(crate) configuration: String,
    /// The bytes that replace the plugin in mid-call.
    pub(crate) next_build: Vec<u8>,
    pub(crate) folder: PathBuf,
}

/// Runs the demo and says whether all of it held.
pub async fn run(keep: bool) -> Result<bool> {
    let mut stage = set_up().await?;
    let first = calls::first(&mut stage).await?;
    let second = calls::second(&mut stage, &first).await?;
    calls::end_both(&mut stage, first, second).await?;
    calls::outbound(&mut stage).await?;
    let held = stage.timeline.verdict(&stage.folder);
    if keep {
        stay(&stage).await?;
    }
    Ok(held)
}

async fn set_up() -> Result<Stage> {
    let mut timeline = Timeline::begin();
    let account = Account::fresh();
    let rest = TwilioRest::start(account.clone()).await?;
    rest.own_number(NUMBER);
    let host = HostOptions::new()?.with_twilio_at(rest.address).recording().start()?;
    let api = host.api()?;
    let about = format!("is ready at {} after {} ms", host.base_url(), host.ready_after.as_millis());
    timeline.note("host", &about);
    let configuration = api.add_twilio("demo", &account.sid, &account.token).await?;
    let agent = api.add_agent("echo", None).await?;
    api.add_number(NUMBER, &configuration, Some(&agent)).await?;
    timeline.said("operator", "host", &format!("a Twilio account, the agent echo, and {NUMBER} for it"));
    let carrier = Carrier::new(host.gateway(), account)?;
    let folder = place::target().join("demo");
    std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let next_build = place::plugin("twilio-next")?;
    Ok(Stage { timeline, host, api, carrier, rest, configuration, next_build, folder })
}

async fn stay(stage: &Stage) -> Result<()> {
    let (base, token) = (stage.host.base_url(), stage.host.admin_token());
    tell(&format!("\nThe host stays at {base} until Ctrl-C. Its admin token is {token}; try"));
    tell(&format!("  curl -H 'Authorization: Bearer {token}' {base}/api/v1/calls"));
    tokio::signal::ctrl_c().await.context("Ctrl-C cannot be waited for")
}
