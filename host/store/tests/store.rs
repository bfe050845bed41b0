//! Claims about stored state, on a real SQLite file.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use jackfield_store::{
    Agent, CallChange, Configuration, Inserted, Keyring, KeyringError, NewCall, NewEvent, PhoneNumber, Secret, Store,
    StoreError, new_id,
};
use serde_json::json;
use tempfile::TempDir;

const KEY: [u8; 32] = [7; 32];

fn url(folder: &TempDir) -> String {
    format!("sqlite:{}", folder.path().join("jackfield.db").display())
}

async fn open(folder: &TempDir) -> Store {
    Store::open(&url(folder), Keyring::from_bytes("k1", KEY)).await.unwrap()
}

fn configuration(name: &str) -> Configuration {
    Configuration {
        id: new_id("cfg"),
        name: name.to_owned(),
        provider: "twilio".to_owned(),
        fields: BTreeMap::from([("account_sid".to_owned(), "AC1".to_owned())]),
        secrets: BTreeMap::from([("auth_token".to_owned(), Secret::from("planted-canary".to_owned()))]),
        created_at: 1,
        updated_at: 1,
    }
}

fn number(configuration: &Configuration, agent: Option<&Agent>) -> PhoneNumber {
    PhoneNumber {
        id: new_id("num"),
        number: "+12065550188".to_owned(),
        configuration_id: configuration.id.clone(),
        agent_id: agent.map(|agent| agent.id.clone()),
        label: String::new(),
        created_at: 1,
        updated_at: 1,
    }
}

fn agent(name: &str) -> Agent {
    Agent {
        id: new_id("agt"),
        name: name.to_owned(),
        connector: "echo".to_owned(),
        url: None,
        settings: json!({}),
        secret: None,
        created_at: 1,
        updated_at: 1,
    }
}

fn call(provider_id: Option<&str>, created_at: i64) -> NewCall {
    NewCall {
        direction: "inbound".to_owned(),
        status: "ringing".to_owned(),
        provider: "twilio".to_owned(),
        generation: "d1".to_owned(),
        configuration_id: "cfg_1".to_owned(),
        agent_id: None,
        from: "+14155550123".to_owned(),
        to: "+12065550188".to_owned(),
        provider_call_id: provider_id.map(str::to_owned),
        memo: vec![0, 255],
        created_at,
    }
}

#[tokio::test]
async fn a_configuration_comes_back_after_a_restart_with_its_secrets() {
    let folder = TempDir::new().unwrap();
    let stored = configuration("main");
    open(&folder).await.create_configuration(&stored).await.unwrap();
    let store = open(&folder).await;
    assert_eq!(store.get_configuration(&stored.id).await.unwrap(), stored);
    assert_eq!(store.directory().configuration(&stored.id).unwrap().secrets, stored.secrets);
}

#[tokio::test]
async fn no_secret_lies_in_the_file_in_the_clear() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder).await;
    store.create_configuration(&configuration("main")).await.unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(14).any(|part| part == b"planted-canary"));
    }
}

#[tokio::test]
async fn an_agents_secret_is_sealed_and_comes_back() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder).await;
    let mut bot = Agent { secret: Some(Secret::from("planted-canary".to_owned())), ..agent("bot") };
    store.create_agent(&bot).await.unwrap();
    assert_eq!(store.get_agent(&bot.id).await.unwrap(), bot);
    assert_eq!(store.directory().agent(&bot.id).unwrap().secret, bot.secret);
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(14).any(|part| part == b"planted-canary"));
    }
    bot.secret = None;
    store.update_agent(&bot).await.unwrap();
    assert_eq!(store.get_agent(&bot.id).await.unwrap(), bot);
}

#[tokio::test]
async fn another_key_is_noticed_at_the_start_and_named() {
    let folder = TempDir::new().unwrap();
    drop(open(&folder).await);
    let missing = Store::open(&url(&folder), Keyring::from_bytes("k2", KEY)).await.unwrap_err();
    assert!(matches!(missing, StoreError::Sealed(KeyringError::UnknownKey(id)) if id == "k1"));
    let wrong = Store::open(&url(&folder), Keyring::from_bytes("k1", [8; 32])).await.unwrap_err();
    assert!(matches!(wrong, StoreError::Sealed(KeyringError::Tampered)));
}

#[tokio::test]
async fn names_and_numbers_are_unique_and_what_is_in_use_stays() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder).await;
    let (main, echo) = (configuration("main"), agent("echo"));
    store.create_configuration(&main).await.unwrap();
    store.create_agent(&echo).await.unwrap();
    assert!(matches!(store.create_configuration(&configuration("main")).await, Err(StoreError::Conflict(_))));
    assert!(matches!(store.create_agent(&agent("echo")).await, Err(StoreError::Conflict(_))));
    let first = number(&main, Some(&echo));
    store.create_number(&first).await.unwrap();
    assert!(matches!(store.create_number(&number(&main, None)).await, Err(StoreError::Conflict(_))));
    assert!(matches!(store.delete_configuration(&main.id).await, Err(StoreError::Conflict(_))));
    assert!(matches!(store.delete_agent(&echo.id).await, Err(StoreError::Conflict(_))));
    store.delete_number(&first.id).await.unwrap();
    store.delete_agent(&echo.id).await.unwrap();
    store.delete_configuration(&main.id).await.unwrap();
    assert!(matches!(store.delete_number(&first.id).await, Err(StoreError::NotFound { .. })));
}

#[tokio::test]
async fn the_directory_follows_every_change() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder).await;
    let (main, mut echo) = (configuration("main"), agent("echo"));
    store.create_configuration(&main).await.unwrap();
    store.create_agent(&echo).await.unwrap();
    store.create_number(&number(&main, Some(&echo))).await.unwrap();
    let directory = store.directory();
    let found = directory.number(&main.id, "+12065550188").unwrap();
    assert_eq!(directory.agent(found.agent_id.as_deref().unwrap()).unwrap().name, "echo");
    echo.name = "parrot".to_owned();
    store.update_agent(&echo).await.unwrap();
    assert!(store.directory().agent_by_name("parrot").is_some());
    assert!(store.directory().agent_by_name("echo").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_deliveries_of_one_webhook_make_one_call() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder).await;
    let deliveries: Vec<_> = (0..1_000)
        .map(|at| {
            let store = store.clone();
            tokio::spawn(async move { store.create_call(call(Some("CA1"), at)).await.unwrap() })
        })
        .collect();
    let (mut new, mut ids) = (0, std::collections::HashSet::new());
    for delivery in deliveries {
        let inserted = delivery.await.unwrap();
        new += usize::from(matches!(inserted, Inserted::New(_)));
        ids.insert(inserted.into_call().id);
    }
    assert_eq!((new, ids.len()), (1, 1));
}

#[tokio::test]
async fn calls_without_a_providers_id_do_not_collide() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder).await;
    for at in 0..3 {
        assert!(matches!(store.create_call(call(None, at)).await.unwrap(), Inserted::New(_)));
    }
    assert_eq!(store.unfinished_calls().await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_change_keeps_what_it_does_not_name_and_adds_to_the_history_in_order() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder).await;
    let made = store.create_call(call(Some("CA1"), 5)).await.unwrap().into_call();
    let event = |kind: &str| NewEvent { kind: kind.to_owned(), data: json!({ "text": "'; DROP TABLE calls; --" }) };
    let change = CallChange { status: Some("in-progress".into()), answered_at: Some(9), ..CallChange::default() };
    assert!(store.change_call(&made.id, change, vec![event("a"), event("b")], 9).await.unwrap());
    let change = CallChange { ended_at: Some(11), ..CallChange::default() };
    assert!(store.change_call(&made.id, change, vec![event("c")], 11).await.unwrap());
    assert!(!store.change_call("call_nobody", CallChange::default(), vec![event("d")], 1).await.unwrap());
    let now = store.call(&made.id).await.unwrap().unwrap();
    assert_eq!((now.status.as_str(), now.answered_at, now.ended_at), ("in-progress", Some(9), Some(11)));
    assert_eq!(now.memo, [0, 255]);
    let kinds: Vec<(i64, String)> =
        store.call_events(&made.id).await.unwrap().into_iter().map(|event| (event.seq, event.kind)).collect();
    assert_eq!(kinds, [(1, "a".to_owned()), (2, "b".to_owned()), (3, "c".to_owned())]);
}

#[tokio::test]
async fn one_providers_id_names_one_call_also_when_it_is_learned_later() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder).await;
    store.create_call(call(Some("CA1"), 1)).await.unwrap();
    let second = store.create_call(call(None, 2)).await.unwrap().into_call();
    let change = CallChange { provider_call_id: Some("CA1".into()), ..CallChange::default() };
    assert!(matches!(store.change_call(&second.id, change, vec![], 3).await, Err(StoreError::Conflict(_))));
}

#[tokio::test]
async fn lists_are_walked_page_by_page_without_gap_or_repeat() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder).await;
    for at in 0..7 {
        store.create_call(call(None, at / 3)).await.unwrap();
    }
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = store.list_calls(2, cursor.as_deref()).await.unwrap();
        seen.extend(page.items.into_iter().map(|call| call.id));
        match page.next {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    let distinct: std::collections::HashSet<_> = seen.iter().collect();
    assert_eq!((seen.len(), distinct.len()), (7, 7));
}

#[tokio::test]
async fn hostile_text_is_stored_as_text() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder).await;
    for (index, hostile) in ["'; DROP TABLE calls; --", "\0", "\u{202e}", "{}", "%00"].into_iter().enumerate() {
        let mut new = configuration(&format!("{index}{hostile}"));
        new.fields.insert(hostile.to_owned(), hostile.to_owned());
        store.create_configuration(&new).await.unwrap();
        assert_eq!(store.get_configuration(&new.id).await.unwrap(), new);
    }
}
