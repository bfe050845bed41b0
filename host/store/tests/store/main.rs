//! Claims about stored state. Each is held against a SQLite file and against a PostgreSQL database of its own.
#![allow(clippy::unwrap_used, reason = "tests")]

mod schema;

use std::collections::BTreeMap;

use jackfield_store::{
    Agent, ApiToken, Call, CallChange, CallFilter, Configuration, DEFAULT_ORGANIZATION, Inserted, Keyring,
    KeyringError, NewCall, NewEvent, Organization, PhoneNumber, RolloutRecord, Secret, Store, StoreError, new_call_id,
    new_id,
};
use serde_json::json;
use sqlx::{Connection, Executor, Row};
use tempfile::TempDir;

use schema::{a_schema_that_a_newer_host_made_is_served_as_before, tables_go_down_and_up_again};

const KEY: [u8; 32] = [7; 32];

/// A database that nobody else uses.
struct Place {
    url: String,
    folder: Option<TempDir>,
}

impl Place {
    async fn sqlite() -> Self {
        let folder = TempDir::new().unwrap();
        Self { url: format!("sqlite:{}", folder.path().join("jackfield.db").display()), folder: Some(folder) }
    }

    async fn postgres() -> Self {
        let server = std::env::var("JACKFIELD_TEST_DATABASE_URL")
            .unwrap_or_else(|_| panic!("JACKFIELD_TEST_DATABASE_URL is not set: `cargo xtask services up` prints one"));
        sqlx::any::install_default_drivers();
        let name = new_id("t");
        let mut connection = sqlx::AnyConnection::connect(&server).await.unwrap();
        connection.execute(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
        let (base, _) = server.rsplit_once('/').unwrap();
        Self { url: format!("{base}/{name}"), folder: None }
    }

    async fn open(&self) -> Store {
        Store::open(&self.url, 4, Keyring::from_bytes("k1", KEY)).await.unwrap()
    }

    /// Everything that lies in the database, as it lies there.
    async fn bytes(&self) -> Vec<u8> {
        let Some(folder) = &self.folder else {
            let mut connection = sqlx::AnyConnection::connect(&self.url).await.unwrap();
            let mut all = String::new();
            for table in ["configurations", "agents", "sign_ins", "meta"] {
                let sql = format!("SELECT CAST(t.* AS TEXT) FROM {table} t");
                let rows = connection.fetch_all(sqlx::AssertSqlSafe(sql)).await.unwrap();
                rows.iter().for_each(|row| all.push_str(&row.get::<String, _>(0)));
            }
            return all.into_bytes();
        };
        let files =
            std::fs::read_dir(folder.path()).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
        files.collect::<Vec<_>>().concat()
    }
}

macro_rules! on_both {
    ($($claim:ident)*) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $claim() {
                super::$claim(super::Place::sqlite().await).await;
            })*
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $claim() {
                super::$claim(super::Place::postgres().await).await;
            })*
        }
    };
}

on_both! {
    a_rollout_is_written_down_as_it_goes_on
    an_order_that_comes_again_is_the_same_call
    a_configuration_comes_back_after_a_restart_with_its_secrets
    no_secret_lies_in_the_file_in_the_clear
    an_agents_secret_is_sealed_and_comes_back
    another_key_is_noticed_at_the_start_and_named
    names_and_numbers_are_unique_and_what_is_in_use_stays
    the_directory_follows_every_change
    the_directory_never_goes_back_to_what_it_was
    a_thousand_deliveries_of_one_webhook_make_one_call
    calls_without_a_providers_id_do_not_collide
    calls_that_are_up_are_found_by_whose_they_are
    a_change_keeps_what_it_does_not_name_and_adds_to_the_history_in_order
    one_providers_id_names_one_call_also_when_it_is_learned_later
    calls_that_a_host_stored_without_keys_get_them_at_the_next_start
    lists_are_walked_page_by_page_without_gap_or_repeat
    hostile_text_is_stored_as_text
    organizations_see_nothing_of_each_other
    a_token_is_known_until_it_is_revoked
    a_new_default_takes_the_place_of_the_one_before
    calls_are_found_by_what_they_are
    a_call_that_changed_hands_is_written_by_its_new_owner_alone
    a_bill_that_is_due_is_asked_for_by_one
    seconds_are_counted_by_month
    old_calls_are_forgotten_with_their_histories
    secrets_are_sealed_anew_while_others_read
    tables_go_down_and_up_again
    a_schema_that_a_newer_host_made_is_served_as_before
}

fn configuration(name: &str) -> Configuration {
    Configuration {
        id: new_id("cfg"),
        organization_id: DEFAULT_ORGANIZATION.to_owned(),
        name: name.to_owned(),
        provider: "twilio".to_owned(),
        fields: BTreeMap::from([("account_sid".to_owned(), "AC1".to_owned())]),
        secrets: BTreeMap::from([("auth_token".to_owned(), Secret::from("planted-canary".to_owned()))]),
        previous: BTreeMap::new(),
        is_default: false,
        max_calls: None,
        calls_per_second: None,
        created_at: 1,
        updated_at: 1,
    }
}

fn number(configuration: &Configuration, agent: Option<&Agent>) -> PhoneNumber {
    PhoneNumber {
        id: new_id("num"),
        organization_id: configuration.organization_id.clone(),
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
        organization_id: DEFAULT_ORGANIZATION.to_owned(),
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
        id: new_call_id(created_at),
        organization_id: DEFAULT_ORGANIZATION.to_owned(),
        owner: "node_1".to_owned(),
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
        order_key: None,
    }
}

async fn a_configuration_comes_back_after_a_restart_with_its_secrets(place: Place) {
    let stored = configuration("main");
    place.open().await.create_configuration(&stored).await.unwrap();
    let store = place.open().await;
    assert_eq!(store.get_configuration(DEFAULT_ORGANIZATION, &stored.id).await.unwrap(), stored);
    assert_eq!(store.directory().configuration(&stored.id).unwrap().secrets, stored.secrets);
}

async fn no_secret_lies_in_the_file_in_the_clear(place: Place) {
    let store = place.open().await;
    store.create_configuration(&configuration("main")).await.unwrap();
    assert!(!place.bytes().await.windows(14).any(|part| part == b"planted-canary"));
}

async fn an_agents_secret_is_sealed_and_comes_back(place: Place) {
    let store = place.open().await;
    let mut bot = Agent { secret: Some(Secret::from("planted-canary".to_owned())), ..agent("bot") };
    store.create_agent(&bot).await.unwrap();
    assert_eq!(store.get_agent(DEFAULT_ORGANIZATION, &bot.id).await.unwrap(), bot);
    assert_eq!(store.directory().agent(&bot.id).unwrap().secret, bot.secret);
    assert!(!place.bytes().await.windows(14).any(|part| part == b"planted-canary"));
    bot.secret = None;
    store.update_agent(&bot).await.unwrap();
    assert_eq!(store.get_agent(DEFAULT_ORGANIZATION, &bot.id).await.unwrap(), bot);
}

async fn another_key_is_noticed_at_the_start_and_named(place: Place) {
    drop(place.open().await);
    let missing = Store::open(&place.url, 4, Keyring::from_bytes("k2", KEY)).await.unwrap_err();
    assert!(matches!(missing, StoreError::Sealed(KeyringError::UnknownKey(id)) if id == "k1"));
    let wrong = Store::open(&place.url, 4, Keyring::from_bytes("k1", [8; 32])).await.unwrap_err();
    assert!(matches!(wrong, StoreError::Sealed(KeyringError::Tampered)));
}

async fn names_and_numbers_are_unique_and_what_is_in_use_stays(place: Place) {
    let store = place.open().await;
    let (main, echo) = (configuration("main"), agent("echo"));
    store.create_configuration(&main).await.unwrap();
    store.create_agent(&echo).await.unwrap();
    assert!(matches!(store.create_configuration(&configuration("main")).await, Err(StoreError::Conflict(_))));
    assert!(matches!(store.create_agent(&agent("echo")).await, Err(StoreError::Conflict(_))));
    let first = number(&main, Some(&echo));
    store.create_number(&first).await.unwrap();
    assert!(matches!(store.create_number(&number(&main, None)).await, Err(StoreError::Conflict(_))));
    assert!(matches!(store.delete_configuration(DEFAULT_ORGANIZATION, &main.id).await, Err(StoreError::Conflict(_))));
    assert!(matches!(store.delete_agent(DEFAULT_ORGANIZATION, &echo.id).await, Err(StoreError::Conflict(_))));
    store.delete_number(DEFAULT_ORGANIZATION, &first.id).await.unwrap();
    store.delete_agent(DEFAULT_ORGANIZATION, &echo.id).await.unwrap();
    store.delete_configuration(DEFAULT_ORGANIZATION, &main.id).await.unwrap();
    assert!(matches!(store.delete_number(DEFAULT_ORGANIZATION, &first.id).await, Err(StoreError::NotFound { .. })));
}

async fn the_directory_follows_every_change(place: Place) {
    let store = place.open().await;
    let (main, mut echo) = (configuration("main"), agent("echo"));
    store.create_configuration(&main).await.unwrap();
    store.create_agent(&echo).await.unwrap();
    store.create_number(&number(&main, Some(&echo))).await.unwrap();
    let directory = store.directory();
    let found = directory.number(&main.id, "+12065550188").unwrap();
    assert_eq!(directory.agent(found.agent_id.as_deref().unwrap()).unwrap().name, "echo");
    echo.name = "parrot".to_owned();
    store.update_agent(&echo).await.unwrap();
    assert!(store.directory().agent_of(DEFAULT_ORGANIZATION, "parrot").is_some());
    assert!(store.directory().agent_of(DEFAULT_ORGANIZATION, "echo").is_none());
}

async fn the_directory_never_goes_back_to_what_it_was(place: Place) {
    let store = Store::open(&place.url, 16, Keyring::from_bytes("k1", KEY)).await.unwrap();
    // As another request would, or the look for what other nodes changed.
    let others: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                loop {
                    store.reread().await.unwrap();
                }
            })
        })
        .collect();
    for index in 0..100 {
        let new = agent(&format!("agent-{index}"));
        store.create_agent(&new).await.unwrap();
        for _ in 0..20 {
            assert!(store.directory().agent(&new.id).is_some(), "agent {index} is gone");
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }
    others.iter().for_each(tokio::task::JoinHandle::abort);
}

async fn a_thousand_deliveries_of_one_webhook_make_one_call(place: Place) {
    let store = place.open().await;
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

async fn an_order_that_comes_again_is_the_same_call(place: Place) {
    let store = place.open().await;
    let order = |at| NewCall { order_key: Some("key".to_owned()), ..call(None, at) };
    let first = store.create_call(order(1)).await.unwrap();
    let again = store.create_call(order(2)).await.unwrap();
    assert!(matches!((&first, &again), (Inserted::New(_), Inserted::Existing(_))));
    assert_eq!(first.into_call().id, again.into_call().id);
}

async fn calls_without_a_providers_id_do_not_collide(place: Place) {
    let store = place.open().await;
    for at in 0..3 {
        assert!(matches!(store.create_call(call(None, at)).await.unwrap(), Inserted::New(_)));
    }
    assert_eq!(store.unfinished_calls().await.unwrap().len(), 3);
}

async fn calls_that_are_up_are_found_by_whose_they_are(place: Place) {
    let store = place.open().await;
    let mut made = Vec::new();
    for (owner, at) in [("node_c", 1), ("node_b", 2), ("node_a", 3), ("node_c", 4), ("node_d", 5)] {
        let new = NewCall { owner: owner.to_owned(), ..call(None, at) };
        made.push(store.create_call(new).await.unwrap().into_call().id);
    }
    let over = CallChange { ended_at: Some(6), ..CallChange::default() };
    store.change_call(&made[4], over, Vec::new(), 6).await.unwrap();
    for (node, others) in
        [("node_b", ["node_a", "node_c"]), ("node_a", ["node_b", "node_c"]), ("node_c", ["node_a", "node_b"])]
    {
        let mut found = store.other_owners(node).await.unwrap();
        found.sort();
        assert_eq!(found, others);
    }
    let ids = |calls: Vec<Call>| calls.into_iter().map(|call| call.id).collect::<Vec<_>>();
    assert_eq!(ids(store.unfinished_calls_of("node_c").await.unwrap()), [made[0].clone(), made[3].clone()]);
    assert_eq!(ids(store.unfinished_calls().await.unwrap()), made[..4]);
}

async fn a_change_keeps_what_it_does_not_name_and_adds_to_the_history_in_order(place: Place) {
    let store = place.open().await;
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

async fn one_providers_id_names_one_call_also_when_it_is_learned_later(place: Place) {
    let store = place.open().await;
    store.create_call(call(Some("CA1"), 1)).await.unwrap();
    let second = store.create_call(call(None, 2)).await.unwrap().into_call();
    let change = CallChange { provider_call_id: Some("CA1".into()), ..CallChange::default() };
    assert!(matches!(store.change_call(&second.id, change, vec![], 3).await, Err(StoreError::Conflict(_))));
    let change = |name: &str| CallChange { provider_call_id: Some(name.into()), ..CallChange::default() };
    assert!(store.change_call(&second.id, change("CA2"), vec![], 4).await.unwrap());
    assert!(matches!(store.create_call(call(Some("CA2"), 5)).await.unwrap(), Inserted::Existing(_)));
    // The same again is no conflict, and a name that was given up is free.
    assert!(store.change_call(&second.id, change("CA2"), vec![], 6).await.unwrap());
    assert!(store.change_call(&second.id, change("CA3"), vec![], 7).await.unwrap());
    assert!(matches!(store.create_call(call(Some("CA2"), 8)).await.unwrap(), Inserted::New(_)));
    assert_eq!(store.call_by_provider_id("cfg_1", "CA3").await.unwrap().map(|call| call.id), Some(second.id));
}

async fn calls_that_a_host_stored_without_keys_get_them_at_the_next_start(place: Place) {
    let store = place.open().await;
    let name = |index: i64| format!("CA{index}");
    for index in 0..1_001 {
        store.create_call(call(Some(&name(index)), index)).await.unwrap();
    }
    drop(store);
    let mut connection = sqlx::AnyConnection::connect(&place.url).await.unwrap();
    connection.execute("UPDATE calls SET name_key = NULL WHERE id <> (SELECT MIN(id) FROM calls)").await.unwrap();
    let store = place.open().await;
    for index in [0, 1, 499, 500, 501, 1_000] {
        let again = store.create_call(call(Some(&name(index)), 2_000)).await.unwrap();
        assert!(matches!(again, Inserted::Existing(_)), "{index}");
    }
    let missing = "SELECT COUNT(*) FROM calls WHERE name_key IS NULL";
    assert_eq!(sqlx::query_scalar::<_, i64>(missing).fetch_one(&mut connection).await.unwrap(), 0);
}

async fn lists_are_walked_page_by_page_without_gap_or_repeat(place: Place) {
    let store = place.open().await;
    for at in 0..7 {
        store.create_call(call(None, at / 3)).await.unwrap();
    }
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = store.list_calls(DEFAULT_ORGANIZATION, &CallFilter::default(), 2, cursor.as_deref()).await.unwrap();
        seen.extend(page.items.into_iter().map(|call| call.id));
        match page.next {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    let distinct: std::collections::HashSet<_> = seen.iter().collect();
    assert_eq!((seen.len(), distinct.len()), (7, 7));
}

async fn hostile_text_is_stored_as_text(place: Place) {
    let store = place.open().await;
    for (index, hostile) in ["'; DROP TABLE calls; --", "\0", "\u{202e}", "{}", "%00"].into_iter().enumerate() {
        // A name is one line of text: the API sees to it. PostgreSQL's text holds no NUL.
        let mut new = configuration(&format!("{index}{}", hostile.replace('\0', "")));
        new.fields.insert(hostile.to_owned(), hostile.to_owned());
        store.create_configuration(&new).await.unwrap();
        assert_eq!(store.get_configuration(DEFAULT_ORGANIZATION, &new.id).await.unwrap(), new);
    }
}

async fn a_rollout_is_written_down_as_it_goes_on(place: Place) {
    let store = place.open().await;
    let mut rollout = RolloutRecord {
        id: new_id("rol"),
        plugin: "twilio".to_owned(),
        digest: "d2".to_owned(),
        previous: Some("d1".to_owned()),
        source: "api".to_owned(),
        who: "ci".to_owned(),
        state: "shadow".to_owned(),
        reason: None,
        stages: json!([{ "stage": "digest", "ok": true }]),
        figures: json!({}),
        began_at: 1,
        updated_at: 1,
    };
    store.put_rollout(&rollout).await.unwrap();
    rollout.state = "rolled-back".to_owned();
    rollout.reason = Some("its guests failed".to_owned());
    rollout.figures = json!({ "faults": 7 });
    store.put_rollout(&rollout).await.unwrap();
    assert_eq!(store.rollouts("twilio").await.unwrap(), [rollout.clone()]);
    assert!(store.rollouts("plivo").await.unwrap().is_empty());
    for (index, state) in ["canary", "baking"].into_iter().enumerate() {
        let (id, state) = (format!("rol_z{index}"), state.to_owned());
        store.put_rollout(&RolloutRecord { id, state, reason: None, ..rollout.clone() }).await.unwrap();
    }
    store.end_interrupted_rollouts(9).await.unwrap();
    let ended = store.rollouts("twilio").await.unwrap();
    let states: Vec<(&str, i64)> = ended.iter().map(|known| (known.state.as_str(), known.updated_at)).collect();
    assert_eq!(states, [("serving", 9), ("aborted", 9), ("rolled-back", 1)]);
}

fn organization(name: &str) -> Organization {
    Organization {
        id: new_id("org"),
        name: name.to_owned(),
        max_calls: None,
        calls_per_second: None,
        minutes_per_month: Some(5),
        created_at: 1,
        updated_at: 1,
    }
}

async fn organizations_see_nothing_of_each_other(place: Place) {
    let store = place.open().await;
    let other = organization("other");
    store.create_organization(&other).await.unwrap();
    assert!(matches!(store.create_organization(&organization("other")).await, Err(StoreError::Conflict(_))));
    assert_eq!(store.directory().organization(&other.id), Some(&other));
    let mut theirs = configuration("main");
    theirs.organization_id.clone_from(&other.id);
    let bot = Agent { organization_id: other.id.clone(), ..agent("bot") };
    store.create_configuration(&configuration("main")).await.unwrap();
    store.create_configuration(&theirs).await.unwrap();
    store.create_agent(&bot).await.unwrap();
    let line = number(&theirs, Some(&bot));
    store.create_number(&line).await.unwrap();
    assert!(matches!(
        store.get_configuration(DEFAULT_ORGANIZATION, &theirs.id).await,
        Err(StoreError::NotFound { .. })
    ));
    assert!(matches!(store.get_agent(DEFAULT_ORGANIZATION, &bot.id).await, Err(StoreError::NotFound { .. })));
    assert!(matches!(store.get_number(DEFAULT_ORGANIZATION, &line.id).await, Err(StoreError::NotFound { .. })));
    let grabbed = Agent { organization_id: DEFAULT_ORGANIZATION.to_owned(), ..bot.clone() };
    assert!(matches!(store.update_agent(&grabbed).await, Err(StoreError::NotFound { .. })));
    assert!(matches!(store.delete_agent(DEFAULT_ORGANIZATION, &bot.id).await, Err(StoreError::NotFound { .. })));
    assert!(matches!(store.delete_number(DEFAULT_ORGANIZATION, &line.id).await, Err(StoreError::NotFound { .. })));
    assert!(store.directory().agent_of(DEFAULT_ORGANIZATION, &bot.id).is_none());
    assert!(store.directory().agent_of(&other.id, "bot").is_some());
    assert_eq!(store.list_configurations(&other.id, 10, None).await.unwrap().items, [theirs]);
    assert_eq!(store.list_agents(DEFAULT_ORGANIZATION, 10, None).await.unwrap().items, []);
    assert_eq!(store.list_numbers(DEFAULT_ORGANIZATION, 10, None).await.unwrap().items, []);
}

async fn a_token_is_known_until_it_is_revoked(place: Place) {
    let store = place.open().await;
    let token = ApiToken {
        id: new_id("tok"),
        organization_id: DEFAULT_ORGANIZATION.to_owned(),
        name: "ci".to_owned(),
        digest: "ab".repeat(32),
        scopes: vec!["read".to_owned(), "calls".to_owned()],
        created_at: 1,
        revoked_at: None,
    };
    store.create_token(&token).await.unwrap();
    assert_eq!(store.directory().token(&token.digest), Some(&token));
    assert!(matches!(store.revoke_token("org_other", &token.id, 7).await, Err(StoreError::NotFound { .. })));
    store.revoke_token(DEFAULT_ORGANIZATION, &token.id, 7).await.unwrap();
    assert_eq!(store.directory().token(&token.digest), None);
    assert_eq!(store.tokens(DEFAULT_ORGANIZATION).await.unwrap()[0].revoked_at, Some(7));
}

async fn a_new_default_takes_the_place_of_the_one_before(place: Place) {
    let store = place.open().await;
    let (one, two) = (configuration("one"), configuration("two"));
    for mut new in [one.clone(), two.clone()] {
        new.is_default = true;
        store.create_configuration(&new).await.unwrap();
    }
    let is_default = |id: &str| store.directory().configuration(id).unwrap().is_default;
    assert!(!is_default(&one.id) && is_default(&two.id));
}

async fn calls_are_found_by_what_they_are(place: Place) {
    let store = place.open().await;
    for at in 0..30 {
        let direction = if at % 3 == 0 { "outbound" } else { "inbound" };
        let from = format!("+1{}", at % 5);
        let new = NewCall { direction: direction.to_owned(), from, ..call(None, at * 1_000) };
        store.create_call(new).await.unwrap();
    }
    let found = async |filter: CallFilter| {
        let page = store.list_calls(DEFAULT_ORGANIZATION, &filter, 100, None).await.unwrap();
        assert_eq!(page.next, None);
        page.items.iter().map(|call| call.created_at / 1_000).collect::<Vec<_>>()
    };
    let outbound = CallFilter { direction: Some("outbound".into()), ..CallFilter::default() };
    assert_eq!(found(outbound.clone()).await, [27, 24, 21, 18, 15, 12, 9, 6, 3, 0]);
    let from = CallFilter { from: Some("+12".into()), ..outbound };
    assert_eq!(found(from.clone()).await, [27, 12]);
    let early = CallFilter { created_before: Some(27_000), created_from: Some(12_000), ..from };
    assert_eq!(found(early).await, [12]);
    assert!(found(CallFilter { status: Some("busy".into()), ..CallFilter::default() }).await.is_empty());
    let elsewhere = store.list_calls("org_other", &CallFilter::default(), 10, None).await.unwrap();
    assert!(elsewhere.items.is_empty());
}

async fn a_bill_that_is_due_is_asked_for_by_one(place: Place) {
    let store = place.open().await;
    let made = store.create_call(call(Some("CA1"), 1)).await.unwrap().into_call();
    let change = CallChange { ended_at: Some(5), bill_at: Some(10), ..CallChange::default() };
    store.change_call(&made.id, change, vec![], 5).await.unwrap();
    assert_eq!(store.due_bills(9, 10).await.unwrap(), []);
    let due = store.due_bills(10, 10).await.unwrap();
    assert_eq!((due.len(), due[0].call.id.as_str(), due[0].tries), (1, made.id.as_str(), 0));
    assert!(store.claim_bill(&due[0], Some(70)).await.unwrap());
    assert!(!store.claim_bill(&due[0], Some(70)).await.unwrap(), "another node was quicker");
    assert_eq!(store.due_bills(69, 10).await.unwrap(), []);
    let due = store.due_bills(70, 10).await.unwrap();
    assert_eq!(due[0].tries, 1);
    assert!(store.claim_bill(&due[0], None).await.unwrap());
    assert_eq!(store.due_bills(i64::MAX, 10).await.unwrap(), [], "asked often enough");
}

async fn a_call_that_changed_hands_is_written_by_its_new_owner_alone(place: Place) {
    let store = place.open().await;
    let made = store.create_call(call(Some("CA1"), 5)).await.unwrap().into_call();
    let takers: Vec<_> = (0..8)
        .map(|index| {
            let (store, made) = (store.clone(), made.clone());
            tokio::spawn(async move { store.take_call(&made, &format!("node_{index}")).await.unwrap() })
        })
        .collect();
    let mut winners = Vec::new();
    for taker in takers {
        winners.extend(taker.await.unwrap());
    }
    let [winner] = winners.as_slice() else { panic!("{} took it", winners.len()) };
    assert_eq!((winner.epoch, made.epoch), (1, 0));
    let by = |epoch| CallChange { epoch: Some(epoch), status: Some(format!("by {epoch}")), ..CallChange::default() };
    assert!(!store.change_call(&made.id, by(0), vec![], 6).await.unwrap());
    assert!(store.change_call(&made.id, by(1), vec![], 6).await.unwrap());
    assert_eq!(store.call(&made.id).await.unwrap().unwrap().status, "by 1");
}

async fn seconds_are_counted_by_month(place: Place) {
    let store = place.open().await;
    let november = 1_796_083_000_000;
    for (id, ended_at) in [("CA1", november), ("CA2", november + 1_000), ("CA3", november + 400_000)] {
        let made = store.create_call(call(Some(id), 5)).await.unwrap().into_call();
        let answered = CallChange { answered_at: Some(ended_at - 90_500), ..CallChange::default() };
        store.change_call(&made.id, answered, vec![], 6).await.unwrap();
        let over = CallChange { ended_at: Some(ended_at), ..CallChange::default() };
        store.change_call(&made.id, over, vec![], 7).await.unwrap();
    }
    assert_eq!(store.seconds_used(DEFAULT_ORGANIZATION, november).await.unwrap(), 180);
    assert_eq!(store.seconds_used(DEFAULT_ORGANIZATION, november + 400_000).await.unwrap(), 90);
    assert_eq!(store.seconds_used("org_other", november).await.unwrap(), 0);
}

async fn old_calls_are_forgotten_with_their_histories(place: Place) {
    let store = place.open().await;
    let event = || vec![NewEvent { kind: "a".to_owned(), data: json!({}) }];
    let mut ids = Vec::new();
    for at in [10, 20, 30] {
        let made = store.create_call(call(None, at)).await.unwrap().into_call();
        let over = CallChange { ended_at: (at != 20).then_some(at + 1), ..CallChange::default() };
        store.change_call(&made.id, over, event(), at).await.unwrap();
        ids.push(made.id);
    }
    assert_eq!(store.forget_calls(25, 100).await.unwrap(), 1, "one is still up, one is too young");
    assert!(store.call(&ids[0]).await.unwrap().is_none());
    assert!(store.call_events(&ids[0]).await.unwrap().is_empty());
    assert!(store.call(&ids[1]).await.unwrap().is_some() && store.call(&ids[2]).await.unwrap().is_some());
}

async fn secrets_are_sealed_anew_while_others_read(place: Place) {
    let store = place.open().await;
    let mut ids = Vec::new();
    for index in 0..450 {
        let mut new = configuration(&index.to_string());
        new.previous.insert("auth_token".to_owned(), (Secret::from("planted-canary".to_owned()), 9));
        store.create_configuration(&new).await.unwrap();
        ids.push(new.id);
    }
    let bot = Agent { secret: Some(Secret::from("planted-canary".to_owned())), ..agent("bot") };
    store.create_agent(&bot).await.unwrap();
    let both = Keyring::from_bytes("k2", [8; 32]).and_older("k1", KEY);
    let newer = Store::open(&place.url, 4, both.clone()).await.unwrap();
    let reading = {
        let (reader, ids) = (Store::open(&place.url, 4, both).await.unwrap(), ids.clone());
        tokio::spawn(async move {
            for id in &ids {
                let read = reader.get_configuration(DEFAULT_ORGANIZATION, id).await.unwrap();
                assert_eq!(read.secrets["auth_token"].expose(), "planted-canary");
            }
        })
    };
    assert_eq!(newer.reseal().await.unwrap(), 452, "450 accounts, an agent and the canary");
    reading.await.unwrap();
    assert_eq!(newer.reseal().await.unwrap(), 0, "what was done stays done");
    let alone = Store::open(&place.url, 4, Keyring::from_bytes("k2", [8; 32])).await.unwrap();
    assert_eq!(alone.get_agent(DEFAULT_ORGANIZATION, &bot.id).await.unwrap(), bot);
    let read = alone.get_configuration(DEFAULT_ORGANIZATION, &ids[449]).await.unwrap();
    assert_eq!(read.previous["auth_token"].0.expose(), "planted-canary");
}
