//! The account's fields and what the plugin can do.

use jackfield_sdk::manifest::{fallback, required, secret, text};
use jackfield_sdk::types::{Ability, Account, Codec, Field, FieldKind, FieldProblem, MediaFormat, Provider};
use jackfield_sdk::{Manifest, account};

use crate::Vonage;

pub(crate) const APPLICATION_ID: &str = "application_id";
/// Signs the tokens of REST calls about calls.
pub(crate) const PRIVATE_KEY: &str = "private_key";
pub(crate) const API_KEY: &str = "api_key";
/// Password of REST calls about applications and numbers.
pub(crate) const API_SECRET: &str = "api_secret";
/// Signs webhooks.
pub(crate) const SIGNATURE_SECRET: &str = "signature_secret";

/// What answers ask the socket to carry.
pub(crate) const FORMAT: MediaFormat = MediaFormat { codec: Codec::L16, sample_rate: 16_000 };

impl Manifest for Vonage {
    fn describe() -> Provider {
        Provider {
            name: "vonage".to_owned(),
            display_name: "Vonage".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            docs_url: "https://developer.vonage.com/voice/voice-api".to_owned(),
            fields: vec![
                required(text(APPLICATION_ID, "Application ID", "The UUID of the Voice application.")),
                Field {
                    kind: FieldKind::Multiline,
                    ..required(secret(PRIVATE_KEY, "Private Key", "The application's RSA key in PEM."))
                },
                Field { masked: true, ..required(text(API_KEY, "API Key", "Eight characters; names the account.")) },
                required(secret(API_SECRET, "API Secret", "For applications and numbers.")),
                required(secret(
                    SIGNATURE_SECRET,
                    "Signature Secret",
                    "Signs webhooks; switch signed webhooks on in the application.",
                )),
            ],
            identifying_field: Some(API_KEY.to_owned()),
            abilities: vec![
                Ability::Place,
                Ability::AnswerByReply,
                Ability::HangUp,
                Ability::Inspect,
                Ability::Transfer,
                Ability::BindNumber,
                Ability::ListNumbers,
                Ability::Media,
            ],
            hosts: ["api.nexmo.com", "rest.nexmo.com", "*.nexmo.com", "*.vonage.com"].map(str::to_owned).into(),
            media: Some(FORMAT),
            sign_in: None,
            extra: fallback(
                "application/json",
                "[{\"action\":\"talk\",\"text\":\"<speak><break time='100ms'/></speak>\"}]",
            ),
        }
    }

    fn check(account: &Account) -> Vec<FieldProblem> {
        let field = |name| account::field(account, name).unwrap_or_default();
        let mut problems = Vec::new();
        if !is_uuid(field(APPLICATION_ID)) {
            problems.push(account::problem(APPLICATION_ID, "is a UUID; the application's page shows it"));
        }
        if !field(API_KEY).bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            problems.push(account::problem(API_KEY, "has only letters and digits; the dashboard shows it"));
        }
        problems
    }
}

fn is_uuid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}
