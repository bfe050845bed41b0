//! Messages to and from the bot.

use jackfield_sdk::Chat;
use jackfield_sdk::form::component;
use jackfield_sdk::http::Http;
use jackfield_sdk::json::text;
use jackfield_sdk::types::{Account, ChatMessage, Fault};
use serde_json::json;

use crate::config::{API, bot, is_the_bot, role_of};
use crate::{Webex, webhook};

/// Webex takes 7439 bytes; what encoding adds has room.
const LONGEST: usize = 7_000;

impl Chat for Webex {
    fn fetch(http: &dyn Http, account: &Account, id: &str) -> Result<Option<ChatMessage>, Fault> {
        let said = bot(http).get(&format!("{API}/messages/{}", component(id)))?;
        let address = text(&said["personEmail"]).unwrap_or_default();
        if is_the_bot(account, address) {
            return Ok(None);
        }
        let person = text(&said["personId"]).ok_or_else(|| Fault::Malformed("a message of nobody".to_owned()))?;
        Ok(Some(ChatMessage {
            person: person.to_owned(),
            address: address.to_owned(),
            text: text(&said["text"]).unwrap_or_default().to_owned(),
            direct: said["roomType"] == "direct",
            role: role_of(account, address),
            extra: Vec::new(),
        }))
    }

    fn send(http: &dyn Http, _account: &Account, person: &str, text: &str) -> Result<(), Fault> {
        let webex = bot(http);
        for part in parts(text) {
            let message = json!({ "toPersonId": person, "markdown": part });
            webex.once("POST", &format!("{API}/messages"), Some(&message))?;
        }
        Ok(())
    }

    fn listen(http: &dyn Http, _account: &Account, url: &str) -> Result<(), Fault> {
        webhook::keep(&bot(http), "messages", "created", Some(url))
    }
}

/// Cut at the ends of lines where it can be, and never within a letter.
fn parts(mut text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    while text.len() > LONGEST {
        let most = (0..=LONGEST).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let at = text[..most].rfind('\n').map_or(most, |line| line + 1);
        let (part, rest) = text.split_at(at);
        parts.push(part);
        text = rest;
    }
    if !text.is_empty() {
        parts.push(text);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_cut_between_lines_and_letters() {
        assert_eq!(parts("short"), ["short"]);
        assert!(parts("").is_empty());
        let lines = "a line of text\n".repeat(2_000);
        assert!(parts(&lines).iter().all(|part| part.len() <= LONGEST && part.ends_with('\n')));
        assert_eq!(parts(&lines).concat(), lines);
        let letters = "☎".repeat(5_000);
        assert!(parts(&letters).iter().all(|part| part.len() <= LONGEST && part.len() % 3 == 0));
        assert_eq!(parts(&letters).concat(), letters);
    }
}
