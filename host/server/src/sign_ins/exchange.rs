//! Codes and tokens at the provider.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jackfield_calls::retry::Failure;
use jackfield_egress::{Authorization, Egress, Request, Response};
use jackfield_store::Secret;
use serde::Deserialize;
use serde_json::Value;

use super::Client;
use crate::retries::Retries;

/// How long somebody who came back from a sign-in waits for a code to be asked about again.
const PATIENCE: Duration = Duration::from_secs(15);

/// What a provider is asked with.
pub(super) struct Exchange<'a> {
    pub(super) egress: &'a Egress,
    pub(super) retries: &'a Retries,
    pub(super) client: &'a Client,
    pub(super) redirect: &'a str,
}

/// What it gave.
pub(super) struct Tokens {
    pub(super) access: Secret,
    pub(super) refresh: Option<Secret>,
    /// Seconds.
    pub(super) lasts: i64,
    pub(super) refresh_lasts: Option<i64>,
    pub(super) scope: String,
}

/// Why it gave none.
pub(super) enum Refused {
    /// It will not, whatever is asked again.
    Declined,
    /// It cannot now.
    Unavailable(String),
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    expires_in: Option<i64>,
    refresh_token: Option<String>,
    refresh_token_expires_in: Option<i64>,
    scope: Option<String>,
}

/// What the proof key's question is (RFC 7636 §4.2).
pub(super) fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(ring::digest::digest(&ring::digest::SHA256, verifier.as_bytes()))
}

impl Exchange<'_> {
    /// Tokens for a code. Asked twice if the first time was not heard.
    pub(super) async fn code(&self, code: &str, verifier: Option<&Secret>) -> Result<Tokens, String> {
        let mut form = vec![("grant_type", "authorization_code"), ("code", code), ("redirect_uri", self.redirect)];
        form.extend(verifier.map(|verifier| ("code_verifier", verifier.expose())));
        let mut trying = self.retries.begin(&self.client.configuration.id, true, PATIENCE);
        let mut outcome = self.tokens(&form).await;
        if let Err(Refused::Unavailable(_)) = outcome
            && trying.again(Failure::Unknown).await
        {
            outcome = self.tokens(&form).await;
        }
        outcome.map_err(|refused| match refused {
            Refused::Declined => "the provider did not take the code".to_owned(),
            Refused::Unavailable(why) => why,
        })
    }

    /// Tokens for the one that was given for this.
    pub(super) async fn refresh(&self, token: &Secret) -> Result<Tokens, Refused> {
        self.tokens(&[("grant_type", "refresh_token"), ("refresh_token", token.expose())]).await
    }

    /// Whose bearer this is.
    pub(super) async fn identity(&self, access: &Secret) -> Result<String, String> {
        let request = Request {
            method: "GET".to_owned(),
            url: self.client.terms.identity_url.clone(),
            headers: vec![("accept".to_owned(), "application/json".to_owned())],
            body: Vec::new(),
            authorization: vec![Authorization::Bearer(access.expose().to_owned())],
            grants: self.client.grants.clone(),
        };
        let answer = self.egress.send(request).await.map_err(|error| error.to_string())?;
        let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let person = said[self.client.terms.identity_member.as_str()].as_str().filter(|_| answer.status == 200);
        person.map(str::to_owned).ok_or_else(|| format!("the provider did not say who signed in ({})", answer.status))
    }

    /// The form, with the client's own credentials.
    fn body(&self, form: &[(&str, &str)]) -> Vec<u8> {
        let Client { configuration, terms, .. } = self.client;
        let secret = configuration.secrets.get(&terms.client_secret).map(Secret::expose);
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.append_pair("client_id", self.client.field(&terms.client_id));
        body.append_pair("client_secret", secret.unwrap_or_default()).extend_pairs(form);
        body.finish().into_bytes()
    }

    async fn tokens(&self, form: &[(&str, &str)]) -> Result<Tokens, Refused> {
        let Client { terms, grants, .. } = self.client;
        let unavailable = |why: &str| Refused::Unavailable(why.to_owned());
        let request = Request {
            method: "POST".to_owned(),
            url: terms.token_url.clone(),
            headers: vec![
                ("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned()),
                ("accept".to_owned(), "application/json".to_owned()),
            ],
            body: self.body(form),
            authorization: Vec::new(),
            grants: grants.clone(),
        };
        match self.egress.send(request).await {
            Ok(Response { status: 200, body, .. }) => {
                read(&body).ok_or_else(|| unavailable("the provider's answer holds no token"))
            }
            // RFC 6749 §5.2; everything else is no word about the token.
            Ok(Response { status: 400 | 401, .. }) => Err(Refused::Declined),
            Ok(Response { status, .. }) => Err(unavailable(&format!("the provider answered {status}"))),
            Err(error) => Err(unavailable(&error.to_string())),
        }
    }
}

fn read(body: &[u8]) -> Option<Tokens> {
    let answer: Answer = serde_json::from_slice(body).ok()?;
    Some(Tokens {
        access: token(answer.access_token)?,
        refresh: answer.refresh_token.and_then(token),
        // One that says nothing of its end is asked about again soon.
        lasts: answer.expires_in.unwrap_or(300).max(0),
        refresh_lasts: answer.refresh_token_expires_in,
        scope: answer.scope.unwrap_or_default(),
    })
}

/// An empty one is none.
fn token(text: String) -> Option<Secret> {
    if text.is_empty() { None } else { Some(Secret::from(text)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_that_of_the_standard() {
        // RFC 7636, appendix B.
        assert_eq!(
            challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }

    #[test]
    fn answers_without_a_token_are_none() {
        for body in ["", "[]", "{}", r#"{"access_token":""}"#, r#"{"access_token":7}"#] {
            assert!(read(body.as_bytes()).is_none(), "{body}");
        }
        let tokens = read(br#"{"access_token":"a","expires_in":60,"refresh_token":""}"#);
        assert!(tokens.is_some_and(|tokens| tokens.lasts == 60 && tokens.refresh.is_none()));
    }
}
