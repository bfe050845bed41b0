//! The account's fields and what the plugin can do.

use jackfield_sdk::manifest::{fallback, required, secret, text};
use jackfield_sdk::media_streams::FORMAT;
use jackfield_sdk::types::{Ability, Account, Field, FieldProblem, Provider};
use jackfield_sdk::{Manifest, account};

use crate::Cloudonix;

pub(crate) const BEARER_TOKEN: &str = "bearer_token";
pub(crate) const DOMAIN_ID: &str = "domain_id";
/// What the domain's profile makes Cloudonix send as a bearer.
pub(crate) const WEBHOOK_API_KEY: &str = "webhook_api_key";
/// The key in `X-Cx-Apikey`, for whoever knows which one Cloudonix sends.
pub(crate) const CX_APIKEY: &str = "cx_apikey";
pub(crate) const APPLICATION_NAME: &str = "application_name";
/// Without it every trunk is tried in the order of its making.
pub(crate) const TRUNK: &str = "trunk";

impl Manifest for Cloudonix {
    fn describe() -> Provider {
        Provider {
            name: "cloudonix".to_owned(),
            display_name: "Cloudonix".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            docs_url: "https://developers.cloudonix.com".to_owned(),
            fields: vec![
                required(secret(BEARER_TOKEN, "Bearer Token", "XI and 32 hexadecimal digits: for REST calls.")),
                Field {
                    placeholder: "acme.cloudonix.net".to_owned(),
                    ..required(text(DOMAIN_ID, "Domain Name", "In full and in lower case."))
                },
                required(secret(
                    WEBHOOK_API_KEY,
                    "Webhook API Key",
                    "A long random text; put the same into the domain's profile as authorization-api-key.",
                )),
                secret(CX_APIKEY, "X-Cx-Apikey", "Accepted in that header too. Leave it empty if you are not sure."),
                text(APPLICATION_NAME, "Application Name", "The voice application that numbers are bound to."),
                text(TRUNK, "Trunk", "The trunk that outbound calls take."),
            ],
            identifying_field: Some(DOMAIN_ID.to_owned()),
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
            hosts: vec!["api.cloudonix.io".to_owned()],
            media: Some(FORMAT),
            sign_in: None,
            extra: fallback("application/xml", "<Response><Hangup/></Response>"),
        }
    }

    fn check(account: &Account) -> Vec<FieldProblem> {
        let domain = account::field(account, DOMAIN_ID).unwrap_or_default();
        let plain =
            domain.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte));
        if plain && domain.contains('.') && self::domain(domain) == domain {
            return Vec::new();
        }
        vec![account::problem(DOMAIN_ID, "is a whole domain in lower case, such as acme.cloudonix.net")]
    }
}

/// A domain as it is compared.
pub(crate) fn domain(raw: &str) -> String {
    raw.trim().trim_end_matches('.').to_ascii_lowercase()
}
