//! The account's fields and what the plugin can do.

use jackfield_sdk::manifest::{fallback, secret, text};
use jackfield_sdk::media_streams::FORMAT;
use jackfield_sdk::types::{Ability, Account, Field, FieldKind, FieldProblem, Provider};
use jackfield_sdk::{Manifest, account};

use crate::Twilio;

pub(crate) const ACCOUNT_SID: &str = "account_sid";
pub(crate) const AUTH_TOKEN: &str = "auth_token";
/// While tokens are rotated, webhooks may still be signed with the other one.
pub(crate) const AUTH_TOKEN_SECONDARY: &str = "auth_token_secondary";
/// The secret of a webhooks shared key, which signs with SHA-256.
pub(crate) const SHARED_KEY: &str = "webhook_shared_key";
pub(crate) const API_KEY_SID: &str = "api_key_sid";
pub(crate) const API_KEY_SECRET: &str = "api_key_secret";
pub(crate) const AMD_ENABLED: &str = "amd_enabled";
pub(crate) const REGION: &str = "region";
pub(crate) const EDGE: &str = "edge";

impl Manifest for Twilio {
    fn describe() -> Provider {
        Provider {
            name: "twilio".to_owned(),
            display_name: "Twilio".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            docs_url: "https://www.twilio.com/docs/voice".to_owned(),
            fields: fields(),
            identifying_field: Some(ACCOUNT_SID.to_owned()),
            abilities: vec![
                Ability::Place,
                Ability::AnswerByReply,
                Ability::HangUp,
                Ability::Inspect,
                Ability::Transfer,
                Ability::BindNumber,
                Ability::ListNumbers,
                Ability::Media,
                Ability::AnsweringMachineDetection,
            ],
            hosts: vec!["api.twilio.com".to_owned(), "*.twilio.com".to_owned()],
            media: Some(FORMAT),
            sign_in: None,
            extra: fallback("application/xml", "<Response><Hangup/></Response>"),
        }
    }

    fn check(account: &Account) -> Vec<FieldProblem> {
        let mut problems = Vec::new();
        if !is_sid(account::field(account, ACCOUNT_SID).unwrap_or_default(), "AC") {
            problems
                .push(account::problem(ACCOUNT_SID, "is AC and 32 hexadecimal digits; the Twilio console shows it"));
        }
        let has = |name| account::field(account, name).is_some();
        if has(REGION) != has(EDGE) {
            let missing = if has(REGION) { EDGE } else { REGION };
            problems.push(account::problem(
                missing,
                "region and edge go together: fill in both (ie1 and dublin) or neither",
            ));
        }
        for name in [REGION, EDGE] {
            if !account::field(account, name).unwrap_or_default().bytes().all(is_label) {
                problems.push(account::problem(name, "has only letters, digits and hyphens, such as ie1 or dublin"));
            }
        }
        problems.extend(api_key_problem(account));
        problems
    }
}

fn api_key_problem(account: &Account) -> Option<FieldProblem> {
    match (account::field(account, API_KEY_SID), account::has_secret(account, API_KEY_SECRET)) {
        (None, false) => None,
        (Some(sid), true) if is_sid(sid, "SK") => None,
        (Some(_), true) => Some(account::problem(API_KEY_SID, "is SK and 32 hexadecimal digits")),
        (Some(_), false) => Some(account::problem(API_KEY_SECRET, "an API key has a SID and a secret: fill in both")),
        (None, true) => Some(account::problem(API_KEY_SID, "an API key has a SID and a secret: fill in both")),
    }
}

/// A prefix of two letters and 32 hexadecimal digits.
pub(crate) fn is_sid(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|rest| rest.len() == 32 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn is_label(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

fn fields() -> Vec<Field> {
    vec![
        Field {
            required: true,
            masked: true,
            placeholder: "AC…".to_owned(),
            ..text(ACCOUNT_SID, "Account SID", "AC and 32 hexadecimal digits. A sub-account has its own.")
        },
        Field { required: true, ..secret(AUTH_TOKEN, "Auth Token", "The account's primary token: it signs webhooks.") },
        secret(AUTH_TOKEN_SECONDARY, "Secondary Auth Token", "Accepted too while you rotate tokens."),
        secret(SHARED_KEY, "Webhook Shared Key", "Only for webhooks that are signed with HMAC-SHA256."),
        text(API_KEY_SID, "API Key SID", "SK…: used for REST calls instead of the Auth Token."),
        secret(API_KEY_SECRET, "API Key Secret", "Belongs to the API key."),
        Field {
            kind: FieldKind::Boolean,
            default: Some("false".to_owned()),
            ..text(AMD_ENABLED, "Answering Machine Detection", "On outbound calls. Twilio bills it extra.")
        },
        text(REGION, "Region", "ie1, au1, …: together with Edge. A region has its own Auth Token."),
        text(EDGE, "Edge", "dublin, sydney, …: together with Region."),
    ]
}
