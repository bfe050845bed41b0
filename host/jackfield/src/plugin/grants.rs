//! `jackfield plugin grants NAME`: what a plugin may have, and with `--set` or `--by-settings` a rollout of other grants.

use serde_json::Value;

use super::{load, remote, report};
use crate::ending::Ending;

pub(super) fn run(name: &str, set: Option<&str>, by_settings: bool, url: &str) -> Ending {
    let plugin = format!("{}/api/v1/plugins/{name}", url.trim_end_matches('/'));
    let target = format!("{plugin}/grants");
    let json = "application/json";
    let asked = match (set, by_settings) {
        (Some(grants), _) => {
            let grants = grants.as_bytes().to_vec();
            remote::ask(url, async |token| jackfield_egress::put_to_host(&target, &token, json, grants).await)
        }
        (None, true) => remote::ask(url, async |token| jackfield_egress::delete_at_host(&target, &token).await),
        (None, false) => {
            return match remote::ask(url, async |token| jackfield_egress::get_from_host(&plugin, &token).await) {
                Ok((200, answer)) => shown(&answer),
                Ok((status, answer)) => remote::refused(status, &answer),
                Err(ending) => ending,
            };
        }
    };
    match asked {
        Ok((status, answer)) => load::told(status, &answer),
        Err(ending) => ending,
    }
}

fn shown(plugin: &Value) -> Ending {
    let generations = plugin["generations"].as_array().map(Vec::as_slice).unwrap_or_default();
    let Some(serving) = generations.iter().find(|known| known["current"] == true) else {
        report::complain("the host does not say which build serves");
        return Ending::Failed;
    };
    let by = if serving["granted_by_order"] == true { "by order" } else { "by the settings" };
    report::say(&[format!("{} ({by})", serving["grants"])]);
    Ending::Done
}
