//! `jackfield plugin drain NAME`: the calls that are still on earlier builds, and with `--force` their end.

use super::{remote, report};
use crate::ending::Ending;

pub(super) fn run(name: &str, force: bool, url: &str) -> Ending {
    let target = format!("{}/api/v1/plugins/{name}/drain?force={force}", url.trim_end_matches('/'));
    let asked = remote::ask(url, async |token| jackfield_egress::post_to_host(&target, &token).await);
    match asked {
        Ok((200, answer)) => {
            let count = |name: &str| answer[name].as_u64().unwrap_or_default();
            report::say(&[format!("calls on earlier builds: {}; told to end: {}", count("calls"), count("ended"))]);
            Ending::Done
        }
        Ok((status, answer)) => remote::refused(status, &answer),
        Err(ending) => ending,
    }
}
