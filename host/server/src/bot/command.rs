//! What somebody wrote to the bot, read. The command is the first word, and nothing else is.

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    Auth(Auth),
    Monitor(bool),
    /// On one's own telephone, or by a configuration that calls out.
    Dial {
        to: String,
        via: Option<Via>,
    },
    Answer,
    HangUp,
    Hold,
    Resume,
    History,
    State(State),
    Echo(String),
    Help,
    /// It was nearly a command: how it is written.
    Usage(&'static str),
}

/// A configuration that calls out, and the agent that speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Via {
    pub(super) configuration: String,
    pub(super) agent: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Auth {
    /// Unless signed in already.
    Begin,
    Force,
    Clear,
    /// Forget all who are on their way.
    Maintenance,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Info,
    Clear,
}

const AUTH: &str = "/auth [clear | force | maintenance]";
const MONITOR: &str = "/monitor on | off";
const DIAL: &str = "/dial NUMBER [via CONFIGURATION AGENT]";
const STATE: &str = "/redis info | clear";

pub(super) const HELP: &str = "\
- `/auth` sign in; `/auth force` once more; `/auth clear` sign out
- `/monitor on` or `off`: your calls are told here
- `/dial NUMBER` rings your telephone, then the number; `/dial NUMBER via CONFIGURATION AGENT` has an agent call
- `/answer`, `/hangup`, `/hold`, `/resume`: your calls
- `/history`: your last calls
- `/echo TEXT`, `/help`
- for administrators: `/auth maintenance`, `/redis info`, `/redis clear`";

impl Command {
    pub(super) fn parse(text: &str) -> Self {
        let mut words = text.split_whitespace();
        let command = words.next().unwrap_or_default().to_ascii_lowercase();
        let rest: Vec<&str> = words.collect();
        let word = |at: usize| rest.get(at).map(|word| word.to_ascii_lowercase());
        let alone = |command: Self, usage| if rest.is_empty() { command } else { Self::Usage(usage) };
        match (command.as_str(), word(0).as_deref(), rest.len()) {
            ("/auth", None, _) => Self::Auth(Auth::Begin),
            ("/auth", Some("force"), 1) => Self::Auth(Auth::Force),
            ("/auth", Some("clear"), 1) => Self::Auth(Auth::Clear),
            ("/auth", Some("maintenance"), 1) => Self::Auth(Auth::Maintenance),
            ("/auth", ..) => Self::Usage(AUTH),
            ("/monitor", Some("on"), 1) => Self::Monitor(true),
            ("/monitor", Some("off"), 1) => Self::Monitor(false),
            ("/monitor", ..) => Self::Usage(MONITOR),
            ("/dial", ..) => dial(&rest),
            ("/answer", ..) => alone(Self::Answer, "/answer"),
            ("/hangup", ..) => alone(Self::HangUp, "/hangup"),
            ("/hold", ..) => alone(Self::Hold, "/hold"),
            ("/resume", ..) => alone(Self::Resume, "/resume"),
            ("/history", ..) => alone(Self::History, "/history"),
            ("/redis", Some("info"), 1) => Self::State(State::Info),
            ("/redis", Some("clear"), 1) => Self::State(State::Clear),
            ("/redis", ..) => Self::Usage(STATE),
            ("/echo", ..) => Self::Echo(rest.join(" ")),
            _ => Self::Help,
        }
    }

    /// May only administrators ask for it?
    pub(super) fn is_for_administrators(&self) -> bool {
        matches!(self, Self::Auth(Auth::Maintenance) | Self::State(_))
    }
}

fn dial(rest: &[&str]) -> Command {
    match rest {
        [to] => Command::Dial { to: (*to).to_owned(), via: None },
        [to, via, configuration, agent] if via.eq_ignore_ascii_case("via") => {
            let via = Via { configuration: (*configuration).to_owned(), agent: (*agent).to_owned() };
            Command::Dial { to: (*to).to_owned(), via: Some(via) }
        }
        _ => Command::Usage(DIAL),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_is_the_command() {
        let cases = [
            ("/auth", Command::Auth(Auth::Begin)),
            (" /AUTH  Force ", Command::Auth(Auth::Force)),
            ("/auth clear", Command::Auth(Auth::Clear)),
            ("/auth maintenance", Command::Auth(Auth::Maintenance)),
            ("/monitor ON", Command::Monitor(true)),
            ("/monitor off", Command::Monitor(false)),
            ("/dial 1001", Command::Dial { to: "1001".into(), via: None }),
            ("/answer", Command::Answer),
            ("/hangup", Command::HangUp),
            ("/history", Command::History),
            ("/redis info", Command::State(State::Info)),
            ("/echo a  b", Command::Echo("a b".into())),
            ("/help", Command::Help),
        ];
        for (text, command) in cases {
            assert_eq!(Command::parse(text), command, "{text}");
        }
        let via = Via { configuration: "main".into(), agent: "bot".into() };
        assert_eq!(
            Command::parse("/dial +14155550123 via main bot"),
            Command::Dial { to: "+14155550123".into(), via: Some(via) }
        );
    }

    #[test]
    fn what_is_not_quite_a_command_does_nothing() {
        for text in ["please don't /dial 123", "dial 123", "", "hello", "/dialx 1", "//dial 1", "/ dial 1"] {
            assert_eq!(Command::parse(text), Command::Help, "{text}");
        }
        for text in [
            "/dial",
            "/dial 1 2",
            "/dial 1 via main",
            "/auth now",
            "/auth clear all",
            "/monitor",
            "/monitor maybe",
            "/hangup all",
            "/redis",
            "/redis drop",
        ] {
            assert!(matches!(Command::parse(text), Command::Usage(_)), "{text}");
        }
    }
}
