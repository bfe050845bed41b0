//! URLs that name several hosts: `redis+KIND://[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]…][/PATH]`, or `rediss+KIND://…`.

use redis::{ConnectionInfo, IntoConnectionInfo};

/// Such a URL in its parts. Not to be shown: the password is in it.
pub(super) struct Hosts<'a> {
    scheme: &'a str,
    credentials: Option<&'a str>,
    hosts: &'a str,
    /// Empty where there is none.
    pub(super) path: &'a str,
}

impl<'a> Hosts<'a> {
    /// None if it is no URL of that kind.
    pub(super) fn read(url: &'a str, kind: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once('+')?;
        let rest = rest.strip_prefix(kind)?.strip_prefix("://")?;
        let (credentials, rest) =
            rest.rsplit_once('@').map_or((None, rest), |(credentials, rest)| (Some(credentials), rest));
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        matches!(scheme, "redis" | "rediss").then_some(Self { scheme, credentials, hosts, path })
    }

    /// Is TLS asked for?
    pub(super) fn is_secure(&self) -> bool {
        self.scheme == "rediss"
    }

    /// Each read as the URL of a single Redis: there is one way to write addresses and passwords. None if one is malformed.
    pub(super) fn each(&self, port: u16, database: &str) -> Option<Vec<ConnectionInfo>> {
        self.hosts.split(',').map(|host| self.one(host, port, database)).collect()
    }

    fn one(&self, host: &str, port: u16, database: &str) -> Option<ConnectionInfo> {
        let has_port = host.rsplit(']').next().unwrap_or(host).contains(':');
        let port = if has_port { String::new() } else { format!(":{port}") };
        let credentials = self.credentials.map(|known| format!("{known}@")).unwrap_or_default();
        let url = format!("{}://{credentials}{host}{port}/{database}", self.scheme);
        url.into_connection_info().ok().filter(|_| !host.is_empty())
    }
}
