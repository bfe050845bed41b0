//! How the host proves to an agent who it is.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use zeroize::Zeroizing;

use crate::connector::AgentError;

/// A value that is not shown, and wiped when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// Fit for a header: visible ASCII and spaces, not empty.
    fn fits_a_header(&self) -> bool {
        !self.0.is_empty() && self.0.bytes().all(|byte| (b' '..=b'~').contains(&byte))
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self(Zeroizing::new(value))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// What an agent asks of the host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Proof {
    /// Nothing.
    #[default]
    None,
    /// `Authorization: Basic …`, from the URL.
    Basic {
        /// User.
        user: String,
        /// Password.
        password: Secret,
    },
    /// `Authorization: Bearer …`
    Bearer(Secret),
    /// A header of the agent's own.
    Header {
        /// Its name.
        name: String,
        /// Its value.
        value: Secret,
    },
    /// The start of the call is signed, in the way of the agent's protocol.
    Signed(Secret),
}

impl Proof {
    /// From the setting `auth`: `bearer`, `hmac`, or `header:NAME`; without it a secret is a bearer token.
    pub(crate) fn parse(setting: Option<&str>, secret: Option<Secret>) -> Result<Self, AgentError> {
        let invalid = |what: &str| AgentError::Invalid(what.to_owned());
        let proof = match (setting, secret) {
            (None | Some("none"), None) => return Ok(Self::None),
            (Some("none"), Some(_)) => return Err(invalid("the agent has a secret, and `auth` is `none`")),
            (Some(_), None) => return Err(invalid("`auth` needs the agent's secret")),
            (None | Some("bearer"), Some(secret)) => Self::Bearer(secret),
            (Some("hmac"), Some(secret)) if !secret.expose().is_empty() => return Ok(Self::Signed(secret)),
            (Some(other), Some(value)) => match other.strip_prefix("header:") {
                Some(name) if is_header_name(name) => Self::Header { name: name.to_owned(), value },
                _ => return Err(invalid("`auth` is `none`, `bearer`, `hmac` or `header:` and a header's name")),
            },
        };
        match &proof {
            Self::Bearer(secret) | Self::Header { value: secret, .. } if !secret.fits_a_header() => {
                Err(invalid("the agent's secret cannot stand in a header: it is empty or has control characters"))
            }
            _ => Ok(proof),
        }
    }

    /// The header of the handshake, where there is one for every protocol.
    pub(crate) fn header(&self) -> Option<(String, Zeroizing<String>)> {
        let authorization = |value: String| Some(("Authorization".to_owned(), Zeroizing::new(value)));
        match self {
            Self::None | Self::Signed(_) => None,
            Self::Basic { user, password } => {
                let pair = Zeroizing::new(format!("{user}:{}", password.expose()));
                authorization(format!("Basic {}", STANDARD.encode(pair.as_bytes())))
            }
            Self::Bearer(token) => authorization(format!("Bearer {}", token.expose())),
            Self::Header { name, value } => Some((name.clone(), value.0.clone())),
        }
    }
}

/// Names that the handshake writes itself are not to be had.
fn is_header_name(name: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let lower = name.to_ascii_lowercase();
    let taken = ["host", "connection", "upgrade"].contains(&lower.as_str()) || lower.starts_with("sec-websocket");
    !name.is_empty() && name.bytes().all(token) && !taken
}

/// HMAC-SHA256 in hexadecimal.
pub(crate) fn sign_sha256(secret: &Secret, message: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    hex::encode(hmac::sign(&key, message.as_bytes()))
}

/// HMAC-SHA1 in base64, as Twilio signs.
pub(crate) fn sign_sha1(secret: &Secret, message: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.expose().as_bytes());
    STANDARD.encode(hmac::sign(&key, message.as_bytes()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn canary() -> Option<Secret> {
        Some(Secret::from("canary".to_owned()))
    }

    #[test]
    fn nothing_secret_is_shown() {
        for auth in [None, Some("bearer"), Some("hmac"), Some("header:api-key")] {
            let shown = format!("{:?}", Proof::parse(auth, canary()).unwrap());
            assert!(shown.contains("***") && !shown.contains("canary"), "{shown}");
        }
    }

    #[test]
    fn each_proof_has_its_header() {
        let header =
            |auth| Proof::parse(auth, canary()).unwrap().header().map(|(name, value)| (name, value.to_string()));
        assert_eq!(header(Some("bearer")), Some(("Authorization".into(), "Bearer canary".into())));
        assert_eq!(header(None), header(Some("bearer")));
        assert_eq!(header(Some("header:api-key")), Some(("api-key".into(), "canary".into())));
        assert_eq!(header(Some("hmac")), None);
    }

    #[test]
    fn what_cannot_be_proved_is_refused() {
        assert!(Proof::parse(Some("bearer"), None).is_err());
        assert!(Proof::parse(Some("none"), canary()).is_err());
        for auth in ["sesame", "header:", "header:a b", "header:Host", "header:Sec-WebSocket-Key", "header:x\r\ny"] {
            assert!(Proof::parse(Some(auth), canary()).is_err(), "{auth}");
        }
        for secret in ["", "two\r\nlines", "ümlaut"] {
            assert!(Proof::parse(Some("bearer"), Some(Secret::from(secret.to_owned()))).is_err(), "{secret}");
        }
    }

    #[test]
    fn signatures_are_the_published_ones() {
        // RFC 4231, case 2; Twilio's for a stream, made with its own library.
        let jefe = Secret::from("Jefe".to_owned());
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(sign_sha256(&jefe, "what do ya want for nothing?"), expected);
        let token = Secret::from("12345".to_owned());
        assert_eq!(sign_sha1(&token, "wss://mycompany.com/stream"), "DlELQE5iuG0XFAEQgMbv2UNcQU4=");
    }
}
