//! The account's fields and what the plugin can do.

use jackfield_sdk::http::Http;
use jackfield_sdk::manifest::{required, secret, text};
use jackfield_sdk::rest::Rest;
use jackfield_sdk::types::{
    Account, Authorization, Credential, Fault, Field, FieldKind, FieldProblem, Provider, Role, SignIn,
};
use jackfield_sdk::{Calls, Manifest, account};

use crate::Webex;

pub(crate) const API: &str = "https://webexapis.com/v1";
const BOT_TOKEN: &str = "bot_token";
const BOT_EMAIL: &str = "bot_email";
const USERS: &str = "bot_users";
const ADMINISTRATORS: &str = "bot_admins";
pub(crate) const WEBHOOK_SECRET: &str = "webhook_secret";
pub(crate) const PREVIOUS_SECRET: &str = "webhook_secret_previous";
const LEAST_SIGNATURE: &str = "min_signature";

impl Manifest for Webex {
    fn describe() -> Provider {
        Provider {
            name: "webex".to_owned(),
            display_name: "Webex Calling".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            docs_url: "https://developer.webex.com/calling/docs/api/guides/call-controls".to_owned(),
            fields: fields(),
            identifying_field: None,
            abilities: Vec::new(),
            hosts: vec!["webexapis.com".to_owned()],
            // Call control moves calls; it carries none of their audio.
            media: None,
            sign_in: Some(SignIn {
                authorize_url: format!("{API}/authorize"),
                token_url: format!("{API}/access_token"),
                identity_url: format!("{API}/people/me"),
                identity_member: "id".to_owned(),
                client_id: "client_id".to_owned(),
                client_secret: "client_secret".to_owned(),
                scopes: "scopes".to_owned(),
                // UNVERIFIED that Webex takes one. A server that knows none ignores it, by RFC 6749 §3.1.
                pkce: true,
                extra: Vec::new(),
            }),
            extra: Vec::new(),
        }
    }

    fn check(account: &Account) -> Vec<FieldProblem> {
        let wrong = |name: &str| {
            let list = account::field(account, name).unwrap_or_default();
            people(list).any(|entry| !entry.contains('@'))
        };
        let mut problems = Vec::new();
        for name in [BOT_EMAIL, USERS, ADMINISTRATORS] {
            if wrong(name) {
                problems.push(account::problem(name, "holds e-mail addresses, or *@example.com for all of a domain"));
            }
        }
        problems
    }
}

fn fields() -> Vec<Field> {
    vec![
        required(text("client_id", "Client ID", "Of the integration, by which people sign in.")),
        required(secret("client_secret", "Client Secret", "Of the integration.")),
        Field {
            default: Some("spark:calls_read spark:calls_write spark:people_read".to_owned()),
            ..text("scopes", "Scopes", "A list, or the integration's whole authorization URL.")
        },
        required(secret(BOT_TOKEN, "Bot Access Token", "Of the bot, which is another identity than the integration.")),
        required(text(BOT_EMAIL, "Bot E-mail", "Of the bot: NAME@webex.bot.")),
        text(USERS, "Users", "Who may use the bot: e-mail addresses, or *@example.com, separated by commas."),
        text(ADMINISTRATORS, "Administrators", "Who may see and clear the bot's state as well."),
        required(secret(WEBHOOK_SECRET, "Webhook Secret", "Signs webhooks: 32 characters or more of your making.")),
        secret(PREVIOUS_SECRET, "Previous Webhook Secret", "Still taken, while webhooks change over."),
        Field {
            kind: FieldKind::Choice,
            options: ["sha1", "sha256"].map(|least| (least.to_owned(), least.to_owned())).to_vec(),
            default: Some("sha1".to_owned()),
            ..text(LEAST_SIGNATURE, "Weakest Signature", "sha256 refuses webhooks that have only the older signature.")
        },
    ]
}

/// May a webhook have only the older signature?
pub(crate) fn takes_sha1(account: &Account) -> bool {
    account::field(account, LEAST_SIGNATURE) != Some("sha256")
}

pub(crate) fn is_the_bot(account: &Account, address: &str) -> bool {
    account::field(account, BOT_EMAIL).is_some_and(|bot| bot.eq_ignore_ascii_case(address))
}

pub(crate) fn role_of(account: &Account, address: &str) -> Role {
    let lists = |name| people(account::field(account, name).unwrap_or_default()).any(|entry| is(entry, address));
    if lists(ADMINISTRATORS) {
        Role::Administrator
    } else if lists(USERS) {
        Role::User
    } else {
        Role::Stranger
    }
}

fn people(list: &str) -> impl Iterator<Item = &str> {
    list.split([',', ' ', '\n']).filter(|entry| !entry.is_empty())
}

fn is(entry: &str, address: &str) -> bool {
    let domain = address.rsplit_once('@').map(|(_, domain)| domain);
    match entry.strip_prefix("*@") {
        Some(all) => domain.is_some_and(|domain| domain.eq_ignore_ascii_case(all)),
        None => entry.eq_ignore_ascii_case(address),
    }
}

/// Webex, as the bot.
pub(crate) fn bot(http: &dyn Http) -> Rest<'_> {
    Rest::new(http, "Webex", vec![Authorization::Bearer(Credential::Secret(BOT_TOKEN.to_owned()))])
}

/// Webex, as a person who signed in.
pub(crate) fn person<'a>(http: &'a dyn Http, person: &str) -> Rest<'a> {
    Rest::new(http, "Webex", vec![Authorization::Person(person.to_owned())])
}

impl Calls for Webex {
    /// Only the bot can be asked: nobody has signed in yet.
    fn probe(http: &dyn Http, _account: &Account) -> Result<(), Fault> {
        bot(http).get(&format!("{API}/people/me")).map(|_| ())
    }
}
