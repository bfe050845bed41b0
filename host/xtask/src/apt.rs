//! Reads the machine's own package sources, to ask the same mirror for another suite. Text in, text out.

/// A Debian archive that the machine trusts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Archive {
    uris: Vec<String>,
    /// As it was written: a path, a fingerprint, or a whole key over several lines.
    signed_by: Option<String>,
    trusted: bool,
}

impl Archive {
    /// Where it is.
    pub(crate) fn address(&self) -> Option<&str> {
        self.uris.first().map(String::as_str)
    }
}

/// The Debian archives in a sources file of either format: what offers `main` of this machine's release (`codename`), or
/// has an address that ends in `/debian`.
pub(crate) fn archives(text: &str, codename: &str) -> Vec<Archive> {
    let one_line = text.lines().filter_map(|line| of_line(line, codename));
    one_line.chain(stanzas(text).filter_map(|stanza| of_stanza(&stanza, codename))).collect()
}

/// Those archives as a sources file for `suite`.
pub(crate) fn sources(archives: &[Archive], suite: &str) -> String {
    let stanza = |archive: &Archive| {
        let signed_by = archive.signed_by.as_ref().map_or(String::new(), |key| format!("Signed-By: {key}\n"));
        let trusted = if archive.trusted { "Trusted: yes\n" } else { "" };
        let uris = archive.uris.join(" ");
        format!("Types: deb\nURIs: {uris}\nSuites: {suite}\nComponents: main\n{signed_by}{trusted}")
    };
    archives.iter().map(stanza).collect::<Vec<_>>().join("\n")
}

/// The package's versions for this release of Rust, in what `apt-cache madison` prints. Newest first, as it prints them.
pub(crate) fn versions(madison: &str, release: &str) -> Vec<String> {
    let all = madison.lines().filter_map(|line| Some(line.split('|').nth(1)?.trim()));
    let fits = |version: &&str| version.strip_prefix(release).is_some_and(|rest| rest.starts_with(['+', '-', '~']));
    all.filter(fits).map(str::to_owned).collect()
}

/// `deb [signed-by=KEY trusted=yes] URI SUITE COMPONENT…`
fn of_line(line: &str, codename: &str) -> Option<Archive> {
    let rest = line.trim().strip_prefix("deb ")?.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => ("", rest),
    };
    let mut words = rest.split_whitespace();
    let (uri, suite) = (words.next()?.to_owned(), words.next()?);
    let option =
        |name: &str| options.split_whitespace().find_map(|option| option.strip_prefix(name)?.strip_prefix('='));
    let archive = Archive {
        signed_by: option("signed-by").map(str::to_owned),
        trusted: option("trusted") == Some("yes"),
        uris: vec![uri],
    };
    is_debian(&archive, &[suite], &words.collect::<Vec<_>>(), codename).then_some(archive)
}

fn of_stanza(stanza: &[(String, String)], codename: &str) -> Option<Archive> {
    let field =
        |name: &str| stanza.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str());
    let words = |name: &str| field(name).unwrap_or_default().split_whitespace().collect::<Vec<_>>();
    if !words("Types").contains(&"deb") || field("Enabled") == Some("no") {
        return None;
    }
    let archive = Archive {
        uris: words("URIs").into_iter().map(str::to_owned).collect(),
        signed_by: field("Signed-By").map(str::to_owned),
        trusted: field("Trusted") == Some("yes"),
    };
    is_debian(&archive, &words("Suites"), &words("Components"), codename).then_some(archive)
}

/// Fields by name. A value goes on over the lines that begin with a space; lines that begin with `#` are comments.
fn stanzas(text: &str) -> impl Iterator<Item = Vec<(String, String)>> {
    text.split("\n\n").map(|stanza| {
        let mut fields: Vec<(String, String)> = Vec::new();
        for line in stanza.lines().filter(|line| !line.starts_with('#')) {
            match (line.starts_with([' ', '\t']), fields.last_mut(), line.split_once(':')) {
                (true, Some((_, value)), _) => *value = format!("{value}\n{line}"),
                (false, _, Some((name, value))) => fields.push((name.to_owned(), value.trim().to_owned())),
                _ => {}
            }
        }
        fields
    })
}

fn is_debian(archive: &Archive, suites: &[&str], components: &[&str], codename: &str) -> bool {
    let by_address = archive.uris.iter().any(|uri| uri.trim_end_matches('/').ends_with("/debian"));
    components.contains(&"main") && (suites.contains(&codename) || by_address)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEB822: &str = "\
# the archive
Types: deb
URIs: http://mirror.example/debian
# a comment inside
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
";

    #[test]
    fn another_suite_is_asked_of_the_same_mirror_with_the_same_key() {
        assert_eq!(
            sources(&archives(DEB822, "bookworm"), "trixie-backports"),
            "Types: deb\nURIs: http://mirror.example/debian\nSuites: trixie-backports\nComponents: main\n\
             Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
        );
    }

    #[test]
    fn a_one_line_source_keeps_its_options() {
        let text = "# deb http://off.example/debian bookworm main\n\
                    deb [ arch=amd64 signed-by=/k.gpg ] https://packages.example/remote-debian bookworm main\n\
                    deb-src http://mirror.example/debian bookworm main\n";
        let found = archives(text, "bookworm");
        let expected = Archive {
            uris: vec!["https://packages.example/remote-debian".into()],
            signed_by: Some("/k.gpg".into()),
            trusted: false,
        };
        assert_eq!(found, [expected]);
        let trusted = archives("deb [trusted=yes] http://m.example/debian trixie main", "bookworm");
        assert!(sources(&trusted, "s").ends_with("Trusted: yes\n"));
    }

    #[test]
    fn a_key_inside_the_file_is_kept_with_its_lines() {
        let text =
            "Types: deb\nURIs: http://m.example/debian\nSuites: sid\nComponents: main\nSigned-By:\n BEGIN\n .\n END\n";
        assert!(sources(&archives(text, "bookworm"), "x").ends_with("Signed-By: \n BEGIN\n .\n END\n"));
    }

    #[test]
    fn other_archives_are_not_asked() {
        assert_eq!(archives("deb https://tools.example/linux/debian bookworm stable", "bookworm"), []);
        assert_eq!(archives("deb https://db.example/apt bookworm-db main", "bookworm"), []);
        assert_eq!(archives(&DEB822.replace("Types", "Enabled: no\nTypes"), "bookworm"), []);
    }

    #[test]
    fn all_versions_of_the_same_release_are_candidates() {
        let madison = " rust-src | 1.96.1+dfsg1-2~bpo13+1 | x\n rust-src | 1.95.0+dfsg1-2~bpo13+1 | x\n\
                        rust-src | 1.95.0+dfsg1-1 | x\n rust-src | 1.95.01-1 | x\n";
        assert_eq!(versions(madison, "1.95.0"), ["1.95.0+dfsg1-2~bpo13+1", "1.95.0+dfsg1-1"]);
        assert_eq!(versions(madison, "1.9"), Vec::<String>::new());
    }
}
