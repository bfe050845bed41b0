//! The values that labels may have.

/// What became of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WebhookOutcome {
    Accepted,
    Refused,
    Malformed,
    PluginFault,
    Unavailable,
}

impl WebhookOutcome {
    pub(super) const ALL: [Self; 5] =
        [Self::Accepted, Self::Refused, Self::Malformed, Self::PluginFault, Self::Unavailable];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Malformed => "malformed",
            Self::PluginFault => "plugin_fault",
            Self::Unavailable => "unavailable",
        }
    }
}

/// What became of a message on an event socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SocketMessage {
    Read,
    /// The plugin could make nothing of it.
    Malformed,
    /// Too much happened to one call, or to too many at once.
    Dropped,
    /// The plugin failed at it.
    Failed,
}

impl SocketMessage {
    pub(super) const ALL: [Self; 4] = [Self::Read, Self::Malformed, Self::Dropped, Self::Failed];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Malformed => "malformed",
            Self::Dropped => "dropped",
            Self::Failed => "failed",
        }
    }
}

/// Why calls on an earlier build of a plugin were told to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DrainedBy {
    /// An operator would not wait.
    Force,
    /// Their build was out of service for as long as the settings allow.
    Age,
}

impl DrainedBy {
    pub(super) const ALL: [Self; 2] = [Self::Force, Self::Age];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Force => "force",
            Self::Age => "age",
        }
    }
}

/// What kind of route a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Webhook,
    Media,
    Api,
    Probe,
    Other,
}

impl Class {
    pub(super) const ALL: [Self; 5] = [Self::Webhook, Self::Media, Self::Api, Self::Probe, Self::Other];

    /// By path alone: it has to be known before anything is routed, and for paths that lead nowhere.
    pub(crate) fn of(path: &str) -> Self {
        let Some(rest) = path.strip_prefix("/api/v1/") else {
            return if matches!(path, "/healthz" | "/readyz" | "/metrics") { Self::Probe } else { Self::Other };
        };
        let Some(rest) = rest.strip_prefix("telephony/") else { return Self::Api };
        match rest.split('/').next() {
            Some("configurations" | "numbers" | "providers") => Self::Api,
            Some("ws") => Self::Media,
            _ => Self::Webhook,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Media => "media",
            Self::Api => "api",
            Self::Probe => "probe",
            Self::Other => "other",
        }
    }
}

/// First digits of a status.
pub(super) const HUNDREDS: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
/// Why a webhook was not taken for genuine.
pub(super) const REASONS: [&str; 6] = ["unrecognised", "unsigned", "malformed", "mismatch", "stale", "other"];
/// Who called whom.
pub(super) const DIRECTIONS: [&str; 3] = ["inbound", "outbound", "other"];
/// How calls end.
pub(super) const STATUSES: [&str; 6] = ["completed", "busy", "no-answer", "failed", "canceled", "other"];

/// Where a value is among those known; anything else counts as the last, `other`.
pub(super) fn index_of(known: &[&str], value: &str) -> usize {
    known.iter().position(|name| *name == value).unwrap_or(known.len().saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_apart_by_what_they_are_for() {
        for (path, class) in [
            ("/api/v1/telephony/inbound/run", Class::Webhook),
            ("/api/v1/telephony/inbound/cfg_1", Class::Webhook),
            ("/api/v1/telephony/twilio/status/call_1", Class::Webhook),
            ("/api/v1/telephony/ws/0011", Class::Media),
            ("/api/v1/telephony/configurations", Class::Api),
            ("/api/v1/telephony/numbers/num_1/binding", Class::Api),
            ("/api/v1/calls", Class::Api),
            ("/readyz", Class::Probe),
            ("/", Class::Other),
            ("/wp-login.php", Class::Other),
        ] {
            assert_eq!(Class::of(path), class, "{path}");
        }
    }

    #[test]
    fn a_value_nobody_foresaw_makes_no_new_series() {
        assert_eq!(index_of(&STATUSES, "busy"), 1);
        assert_eq!(index_of(&STATUSES, "exploded"), 5);
    }
}
