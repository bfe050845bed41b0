//! Credentials of a request, filled in.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};

/// How a request proves who sends it. Values are secrets: they are not shown.
pub enum Authorization {
    /// `Authorization: Basic …`
    Basic {
        /// User.
        user: String,
        /// Password.
        password: String,
    },
    /// `Authorization: Bearer …`
    Bearer(String),
    /// A header of the provider's own.
    Header {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
    },
    /// `Authorization: Bearer` and a JSON Web Token, signed here with RS256.
    JwtRs256 {
        /// The RSA key, PKCS#8 or PKCS#1.
        pem: String,
        /// The claims, a JSON object.
        claims_json: String,
    },
}

impl std::fmt::Debug for Authorization {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Basic { .. } => "Basic(***)",
            Self::Bearer(_) => "Bearer(***)",
            Self::Header { .. } => "Header(***)",
            Self::JwtRs256 { .. } => "JwtRs256(***)",
        })
    }
}

impl Authorization {
    /// The header to send.
    pub(crate) fn header(&self) -> Result<(String, String), String> {
        let authorization = |value: String| Ok(("authorization".to_owned(), value));
        match self {
            Self::Basic { user, password } => {
                authorization(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
            }
            Self::Bearer(token) => authorization(format!("Bearer {token}")),
            Self::Header { name, value } => Ok((name.clone(), value.clone())),
            Self::JwtRs256 { pem, claims_json } => authorization(format!("Bearer {}", sign(pem, claims_json)?)),
        }
    }
}

/// How long a token is good, in seconds.
const LASTS: u64 = 300;

fn sign(pem: &str, claims: &str) -> Result<String, String> {
    let key = rsa_key(pem)?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs();
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let message = format!("{}.{}", part(r#"{"alg":"RS256","typ":"JWT"}"#), part(&complete(claims, now)?));
    let mut signature = vec![0; key.public().modulus_len()];
    let random = ring::rand::SystemRandom::new();
    let signed = key.sign(&RSA_PKCS1_SHA256, &random, message.as_bytes(), &mut signature);
    signed.map_err(|_| "the private key cannot sign".to_owned())?;
    Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// Adds what a plugin cannot know, having neither clock nor randomness: `iat`, `exp` and `jti`, where they are missing.
fn complete(claims: &str, now: u64) -> Result<String, String> {
    let mut claims: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(claims).map_err(|_| "the claims are not a JSON object".to_owned())?;
    let mut random = [0u8; 16];
    getrandom::fill(&mut random).map_err(|error| error.to_string())?;
    claims.entry("iat").or_insert_with(|| now.into());
    claims.entry("exp").or_insert_with(|| (now + LASTS).into());
    claims.entry("jti").or_insert_with(|| hex::encode(random).into());
    serde_json::to_string(&claims).map_err(|error| error.to_string())
}

/// Keys are pasted from consoles: with literal `\n`, with CRLF, with spaces around.
fn rsa_key(pem: &str) -> Result<RsaKeyPair, String> {
    let pem = pem.replace("\\n", "\n");
    let body: String = pem.lines().map(str::trim).filter(|line| !line.starts_with("-----")).collect();
    let bytes = STANDARD.decode(body).map_err(|_| "the private key is not PEM".to_owned())?;
    let key = if pem.contains("BEGIN RSA PRIVATE KEY") {
        RsaKeyPair::from_der(&bytes)
    } else {
        RsaKeyPair::from_pkcs8(&bytes)
    };
    key.map_err(|reason| format!("the private key is not an RSA key of 2048 bits or more: {reason}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn nothing_secret_is_shown() {
        let all = [
            Authorization::Basic { user: "canary".into(), password: "canary".into() },
            Authorization::Bearer("canary".into()),
            Authorization::Header { name: "x".into(), value: "canary".into() },
            Authorization::JwtRs256 { pem: "canary".into(), claims_json: "canary".into() },
        ];
        assert!(!format!("{all:?}").contains("canary"));
    }

    #[test]
    fn a_password_may_hold_any_character() {
        let basic = Authorization::Basic { user: "gateway".into(), password: "s3cr:t/?&p@ss".into() };
        assert_eq!(basic.header(), Ok(("authorization".to_owned(), "Basic Z2F0ZXdheTpzM2NyOnQvPyZwQHNz".to_owned())));
    }

    #[test]
    fn claims_are_completed_and_never_replaced() {
        let claims: serde_json::Value =
            serde_json::from_str(&complete(r#"{"application_id":"a"}"#, 100).unwrap()).unwrap();
        assert_eq!(
            (&claims["iat"], &claims["exp"], &claims["application_id"]),
            (&100.into(), &400.into(), &"a".into())
        );
        assert_eq!(claims["jti"].as_str().map(str::len), Some(32));
        assert_eq!(complete(r#"{"iat":1,"exp":2,"jti":"x"}"#, 100).unwrap(), r#"{"exp":2,"iat":1,"jti":"x"}"#);
        assert!(complete("[]", 100).is_err() && complete("", 100).is_err());
    }

    #[test]
    fn a_key_that_is_none_is_refused_with_a_reason() {
        let jwt = Authorization::JwtRs256 { pem: "-----BEGIN PRIVATE KEY-----\nAAAA".into(), claims_json: "{}".into() };
        assert!(jwt.header().is_err_and(|reason| reason.contains("private key")));
    }
}
