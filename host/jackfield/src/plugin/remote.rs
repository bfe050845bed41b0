//! A host that runs, asked over its API by an operator.

use jackfield_egress::EgressError;
use serde_json::Value;

use super::report;
use crate::ending::Ending;

/// The variable with the token: on a command line it would be seen by all.
const TOKEN: &str = "JACKFIELD_ADMIN_TOKEN";

/// Sends to a host with the operator's token. Returns the status and the answer; complains where there is none.
pub(super) fn ask<Sent>(url: &str, send: impl FnOnce(String) -> Sent) -> Result<(u16, Value), Ending>
where
    Sent: Future<Output = Result<(u16, String), EgressError>>,
{
    let Ok(token) = std::env::var(TOKEN) else {
        report::complain(&format!("{TOKEN} is not set: the host listens to whoever has a token for it"));
        return Err(Ending::Config);
    };
    rustls::crypto::ring::default_provider().install_default().ok();
    let runtime = tokio::runtime::Runtime::new().map_err(|error| {
        report::complain(&format!("the system gives no threads: {error}"));
        Ending::Config
    })?;
    match runtime.block_on(send(token)) {
        Ok((status, text)) => Ok((status, serde_json::from_str(&text).unwrap_or(Value::Null))),
        Err(error) => {
            report::complain(&format!("the host at {url}: {error}"));
            Err(Ending::Failed)
        }
    }
}

/// What a host says that did not do it.
pub(super) fn refused(status: u16, answer: &Value) -> Ending {
    report::complain(&format!("{status}: {}", answer["detail"].as_str().unwrap_or("the host did not take it")));
    Ending::BadData
}
