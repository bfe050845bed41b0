//! Each key has a sentence, a default and a reader; whatever else is written is refused with a hint.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use super::*;

fn with(environment: &[(&str, &str)]) -> Result<Settings, ConfigError> {
    load(None, environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

fn file(text: &str) -> Result<Settings, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("some.toml");
    std::fs::write(&path, text).unwrap();
    load(Some(&path), [])
}

fn refusal(outcome: Result<Settings, ConfigError>) -> String {
    outcome.err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn every_default_has_a_sentence_above_it_and_is_read() {
    let lines: Vec<&str> = DEFAULTS.lines().collect();
    for (index, line) in lines.iter().enumerate() {
        let is_key = line.contains(" = ") && !line.starts_with('#');
        let above = index.checked_sub(1).and_then(|above| lines.get(above)).copied().unwrap_or_default();
        assert!(!is_key || above.starts_with("# "), "{line} has no sentence above it");
    }
    // Every field is required and no other is allowed: this reads each key, and misses none.
    assert!(with(&[]).is_ok(), "{}", refusal(with(&[])));
    let keys = lines.iter().filter(|line| line.contains(" = ") && !line.starts_with('#')).count();
    assert_eq!(paths(&defaults().unwrap(), "").len(), keys);
}

#[test]
fn leaving_any_default_out_would_be_noticed() {
    for (path, _) in paths(&defaults().unwrap(), "") {
        let mut table = defaults().unwrap();
        match path.split_once('.') {
            None => drop(table.remove(&path)),
            Some((section, key)) => drop(table[section].as_table_mut().unwrap().remove(key)),
        }
        assert!(Value::Table(table).try_into::<Settings>().is_err(), "{path} is not read");
    }
}

#[test]
fn every_setting_has_a_variable_of_its_own() {
    let mut names: Vec<String> =
        paths(&defaults().unwrap(), "").iter().map(|(path, _)| environment::variable(path)).collect();
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn the_environment_is_over_the_file_and_the_file_over_the_defaults() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("some.toml");
    std::fs::write(&path, "data = \"/from/file\"\nlisten = \"127.0.0.1:1\"\n[limits]\ncalls = 7\n").unwrap();
    let environment = [("JACKFIELD_LISTEN", "127.0.0.1:2"), ("JACKFIELD_LIMITS_RING_SECONDS", "9")];
    let named = ("JACKFIELD_CONFIG".to_owned(), path.display().to_string());
    let given = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let settings = load(None, given.into_iter().chain([named])).unwrap();
    assert_eq!(settings.listen.port(), 2);
    assert_eq!(settings.data, Path::new("/from/file"));
    let limits = settings.server(settings.listen).limits;
    assert_eq!((limits.calls, limits.ring_seconds, limits.call_seconds), (7, 9, 14_400));
}

#[test]
fn a_key_nobody_knows_is_named_with_the_nearest_one() {
    let sentence = refusal(file("[limits]\ncall = 7\n"));
    assert!(sentence.contains("`limits.call`") && sentence.contains("`limits.calls`"), "{sentence}");
    let sentence = refusal(file("no_such_setting_at_all = 7\n"));
    assert!(sentence.contains("no_such_setting_at_all") && sentence.contains("jackfield config"), "{sentence}");
    let sentence = refusal(with(&[("JACKFIELD_LISEN", "x")]));
    assert!(sentence.contains("JACKFIELD_LISEN") && sentence.contains("JACKFIELD_LISTEN"), "{sentence}");
}

#[test]
fn a_value_of_another_kind_is_named_with_what_is_wanted() {
    for (outcome, words) in [
        (file("listen = 8080\n"), ["`listen`", "text"]),
        (file("[limits]\ncalls = \"many\"\n"), ["`limits.calls`", "whole number"]),
        (file("limits = 3\n"), ["`limits`", "table"]),
        (with(&[("JACKFIELD_LIMITS_CALLS", "many")]), ["JACKFIELD_LIMITS_CALLS", "whole number"]),
        (with(&[("JACKFIELD_EGRESS_DANGER_ROUTES", "no pair")]), ["JACKFIELD_EGRESS_DANGER_ROUTES", "table"]),
        (with(&[("JACKFIELD_LISTEN", "somewhere")]), ["listen", "socket address"]),
        (with(&[("JACKFIELD_ADMIN_LISTEN", "9090")]), ["admin_listen", "socket address"]),
        (with(&[("JACKFIELD_LOG_FORMAT", "xml")]), ["format", "json"]),
        (with(&[("JACKFIELD_TRUSTED_PROXIES", "10.0.0.1,nobody")]), ["nobody", "10.0.0.0/8"]),
    ] {
        let sentence = refusal(outcome);
        assert!(words.iter().all(|word| sentence.contains(word)), "{sentence:?} lacks one of {words:?}");
    }
}

#[test]
fn what_this_build_cannot_do_is_refused_without_showing_secrets() {
    let sentence = refusal(with(&[("DATABASE_URL", "mysql://ann:hush@db/x")]));
    assert!(sentence.contains("mysql") && sentence.contains("sqlite") && !sentence.contains("hush"), "{sentence}");
    let sentence = refusal(with(&[("REDIS_URL", "http://:hush@cache")]));
    assert!(sentence.contains("REDIS_URL") && sentence.contains("redis+cluster://"), "{sentence}");
    assert!(!sentence.contains("hush"), "{sentence}");
    let sentence = refusal(with(&[("JACKFIELD_ADMIN_TOKEN", "hush")]));
    assert!(sentence.contains("admin_token") && !sentence.contains("hush"), "{sentence}");
    for odd in ["gw.example.net", "ftp://gw.example.net", "https://gw.example.net/?a=b", "https://ann@gw.example.net"] {
        assert!(refusal(with(&[("JACKFIELD_PUBLIC_URL", odd)])).contains("public_url"), "{odd}");
    }
    assert!(refusal(with(&[("JACKFIELD_LIMITS_CALLS", "0")])).contains("limits.calls"));
}

#[test]
fn signers_are_keys_in_base64_or_hexadecimal_digits() {
    let (base64, digits) = ("BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=", "07".repeat(32));
    assert!(file(&format!("[plugins]\nsigners = [{base64:?}, {digits:?}]\n")).is_ok());
    assert!(with(&[("JACKFIELD_PLUGINS_SIGNERS", base64)]).is_ok());
    let sentence = refusal(file("[plugins]\nsigners = [\"somebody\"]\n"));
    assert!(sentence.contains("`plugins.signers`") && sentence.contains("`somebody`"), "{sentence}");
}

#[test]
fn lists_and_tables_are_read_from_the_environment() {
    let routes = "api.twilio.com=http://127.0.0.1:9, other.example=http://127.0.0.1:8";
    let settings = with(&[
        ("JACKFIELD_EGRESS_DANGER_ROUTES", routes),
        ("JACKFIELD_TRUSTED_PROXIES", "10.0.0.0/8,192.0.2.1"),
        ("JACKFIELD_MEDIA_RECORD", "true"),
        ("DATABASE_URL", "sqlite:/tmp/some.db?mode=rwc"),
    ])
    .unwrap();
    assert_eq!(settings.egress().danger_routes["api.twilio.com"].as_str(), "http://127.0.0.1:9/");
    let server = settings.server(settings.listen);
    assert!(server.trusted_proxies.contains("10.1.2.3".parse().unwrap()));
    assert!(server.media.record);
    assert_eq!(settings.database().unwrap().file.unwrap(), Path::new("/tmp/some.db"));
}

#[test]
fn variables_that_others_set_are_none_of_our_business() {
    let others = [
        ("JACKFIELD_SERVICE_HOST", "10.0.0.1"),
        ("JACKFIELD_PORT", "tcp://10.0.0.1:80"),
        ("JACKFIELD_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("JACKFIELD_BIN", "x"),
        ("PATH", "/bin"),
    ];
    assert!(with(&others).is_ok());
}

#[test]
fn a_named_file_that_is_missing_or_no_toml_is_an_error() {
    let missing = load(Some(Path::new("no/such/file.toml")), []);
    assert!(refusal(missing).contains("no/such/file.toml"));
    assert!(refusal(file("listen =\n")).contains("not TOML"));
    let sentence = refusal(file("data = \"x\"\nadmin_token = \"a-secret\n"));
    assert!(sentence.contains("line 2") && !sentence.contains("a-secret"), "{sentence}");
}

#[test]
fn settings_that_differ_are_named_and_a_table_to_fill_is_one_of_them() {
    let written = |environment: &[(&str, &str)]| {
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        load_written(None, environment).map(|(written, _)| written).unwrap()
    };
    let (one, same) = (written(&[]), written(&[("JACKFIELD_LOG_LEVEL", "info")]));
    assert_eq!(one.differing(&same).unwrap(), Vec::<String>::new());
    let other = written(&[
        ("JACKFIELD_LOG_LEVEL", "debug"),
        ("JACKFIELD_LISTEN", "127.0.0.1:1"),
        ("JACKFIELD_EGRESS_DANGER_ROUTES", "a=http://127.0.0.1:9"),
    ]);
    let mut named = other.differing(&one).unwrap();
    named.sort();
    assert_eq!(named, ["egress.danger_routes", "listen", "log.level"]);
}
