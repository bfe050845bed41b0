//! The account's fields and what the plugin can do.

use jackfield_sdk::encoding::from_base64;
use jackfield_sdk::manifest::{required, secret, text};
use jackfield_sdk::types::{Ability, Account, Codec, Field, FieldProblem, MediaFormat, Provider};
use jackfield_sdk::{Manifest, account};

use crate::Telnyx;

pub(crate) const API_KEY: &str = "api_key";
pub(crate) const CONNECTION_ID: &str = "connection_id";
/// Verifies webhooks. One for the whole account at Telnyx, so it is no secret and proves no connection.
pub(crate) const PUBLIC_KEY: &str = "webhook_public_key";
pub(crate) const VOICE_PROFILE: &str = "outbound_voice_profile_id";

/// What streams are asked to carry. The way in follows the telephone leg and says so at its start.
pub(crate) const FORMAT: MediaFormat = MediaFormat { codec: Codec::Pcmu, sample_rate: 8_000 };

impl Manifest for Telnyx {
    fn describe() -> Provider {
        Provider {
            name: "telnyx".to_owned(),
            display_name: "Telnyx".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            docs_url: "https://developers.telnyx.com/docs/voice/programmable-voice".to_owned(),
            fields: vec![
                Field {
                    placeholder: "KEY…".to_owned(),
                    ..required(secret(API_KEY, "API Key", "A version 2 key, for REST calls."))
                },
                required(text(CONNECTION_ID, "Call Control App ID", "The application that calls come in by.")),
                required(text(PUBLIC_KEY, "Webhook Public Key", "Keys & Credentials, Public Key: verifies webhooks.")),
                text(VOICE_PROFILE, "Outbound Voice Profile ID", "Put on the application: calls out need one."),
            ],
            identifying_field: Some(CONNECTION_ID.to_owned()),
            abilities: vec![
                Ability::Place,
                Ability::AnswerByCommand,
                Ability::HangUp,
                Ability::Inspect,
                Ability::Transfer,
                Ability::BindNumber,
                Ability::ListNumbers,
                Ability::Media,
            ],
            hosts: vec!["api.telnyx.com".to_owned()],
            media: Some(FORMAT),
            sign_in: None,
            extra: Vec::new(),
        }
    }

    fn check(account: &Account) -> Vec<FieldProblem> {
        let digits = |name| account::field(account, name).is_none_or(|id| id.bytes().all(|byte| byte.is_ascii_digit()));
        let mut problems = Vec::new();
        if public_key(account).is_none() {
            problems.push(account::problem(PUBLIC_KEY, "is 32 bytes in base64; the portal shows it"));
        }
        for name in [CONNECTION_ID, VOICE_PROFILE] {
            if !digits(name) {
                problems.push(account::problem(name, "has only digits; the portal shows it"));
            }
        }
        problems
    }
}

/// The 32 bytes of the account's key.
pub(crate) fn public_key(account: &Account) -> Option<Vec<u8>> {
    from_base64(account::field(account, PUBLIC_KEY)?.trim()).filter(|key| key.len() == 32)
}
