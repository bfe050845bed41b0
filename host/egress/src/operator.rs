//! Requests of an operator's tool to the operator's own host.

use std::time::Duration;

use crate::client::{Egress, EgressError, EgressSettings, class};

/// An upload is checked, compiled and replayed before it is answered.
const PATIENCE: Duration = Duration::from_secs(120);

/// Puts a body somewhere below the host's API, with a token. Returns the status and what was answered.
///
/// # Errors
/// When the host cannot be reached.
pub async fn put_to_host(
    url: &str,
    token: &str,
    content_type: &str,
    body: Vec<u8>,
) -> Result<(u16, String), EgressError> {
    let client = Egress::new(EgressSettings::default())?.operators()?;
    ask(client.put(url).bearer_auth(token).header("content-type", content_type).body(body)).await
}

/// Asks a host for something that needs no more words than its URL. Returns its status and what it says.
///
/// # Errors
/// When it cannot be reached, or does not answer in time.
pub async fn post_to_host(url: &str, token: &str) -> Result<(u16, String), EgressError> {
    ask(Egress::new(EgressSettings::default())?.operators()?.post(url).bearer_auth(token)).await
}

/// Takes something away from a host. Returns its status and what it says.
///
/// # Errors
/// When it cannot be reached, or does not answer in time.
pub async fn delete_at_host(url: &str, token: &str) -> Result<(u16, String), EgressError> {
    ask(Egress::new(EgressSettings::default())?.operators()?.delete(url).bearer_auth(token)).await
}

/// Asks a host's API.
///
/// # Errors
/// When it cannot be reached, or does not answer in time.
pub async fn get_from_host(url: &str, token: &str) -> Result<(u16, String), EgressError> {
    ask(Egress::new(EgressSettings::default())?.operators()?.get(url).bearer_auth(token)).await
}

async fn ask(request: reqwest::RequestBuilder) -> Result<(u16, String), EgressError> {
    let answer = request.timeout(PATIENCE).send().await.map_err(|error| class(&error))?;
    let status = answer.status().as_u16();
    let text = answer.text().await.map_err(|error| class(&error))?;
    Ok((status, text))
}
