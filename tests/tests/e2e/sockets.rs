//! Event sockets against a fake Asterisk that misbehaves.

use std::time::{Duration, Instant};

use jackfield_tests::api::Api;
use jackfield_tests::ari::{Ari, Manner};
use jackfield_tests::host_process::{HostOptions, HostProcess};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

const PASSWORD: &str = "s3cr:t/?&p@ss";

async fn host(more: &[(&str, &str)]) -> (HostProcess, Api) {
    let mut options = HostOptions::new().unwrap();
    let local = [("JACKFIELD_EGRESS_NETWORKS", "127.0.0.0/8")];
    for (name, value) in local.iter().chain(more) {
        options.environment.push(((*name).to_owned(), (*value).to_owned()));
    }
    let host = options.start().unwrap();
    let api = host.api().unwrap();
    (host, api)
}

fn account(name: &str, ari: &Ari, password: &str) -> Value {
    let fields = json!({
        "ari_endpoint": format!("http://{}", ari.address), "app_name": "gw", "app_password": password,
        "ws_client_name": "gw",
    });
    json!({ "name": name, "provider": "asterisk", "fields": fields })
}

async fn configure(api: &Api, name: &str, ari: &Ari) -> String {
    api.create("telephony/configurations", &account(name, ari, PASSWORD)).await.unwrap()
}

async fn standing(api: &Api, id: &str) -> Value {
    api.get(&format!("telephony/configurations/{id}")).await.unwrap().json().unwrap()["socket"].clone()
}

async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(30) {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("waited in vain for {what}");
}

async fn open(api: &Api, id: &str) {
    until("the socket to open", async || standing(api, id).await["state"] == "open").await;
}

async fn counted(host: &HostProcess, outcome: &str) -> u64 {
    let page = reqwest::get(format!("http://{}/metrics", host.gateway().address)).await.unwrap().text().await.unwrap();
    let line = format!("jackfield_event_messages_total{{outcome=\"{outcome}\"}} ");
    page.lines().find_map(|found| found.strip_prefix(&line)?.parse().ok()).unwrap()
}

/// A call whose caller nobody has an agent for: the host asks for its removal.
fn stranger(id: &str) -> Message {
    let channel = json!({
        "id": id, "name": "PJSIP/x", "state": "Ring", "caller": { "name": "", "number": "14155550123" },
        "dialplan": { "context": "in", "exten": "8000" },
    });
    Message::text(json!({ "type": "StasisStart", "args": [], "channel": channel }).to_string())
}

#[tokio::test]
async fn configurations_start_stop_and_change_their_sockets_at_once() {
    let (one, other) = (Ari::start("gw", PASSWORD).await.unwrap(), Ari::start("gw", PASSWORD).await.unwrap());
    let (_host, api) = host(&[]).await;
    let id = configure(&api, "main", &one).await;
    open(&api, &id).await;
    assert!(one.say(&id, stranger("c1")), "the application is the configuration's id");
    until("the stranger to be refused", async || {
        one.asked().iter().any(|asked| asked == "DELETE /ari/channels/c1?reason=unallocated")
    })
    .await;
    // What was missed is asked for whenever a socket opens.
    assert!(one.asked().iter().any(|asked| asked == "GET /ari/channels"));
    let renamed =
        json!({ "name": "renamed", "provider": "asterisk", "fields": account("x", &one, PASSWORD)["fields"] });
    assert_eq!(api.put(&format!("telephony/configurations/{id}"), &renamed).await.unwrap().status, 200);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(one.attempts(), 1, "a new name is no reason to dial anew");
    let moved = account("main", &other, PASSWORD);
    assert_eq!(api.put(&format!("telephony/configurations/{id}"), &moved).await.unwrap().status, 200);
    until("the socket to move", async || one.open() == 0 && other.open() == 1).await;
    assert!(api.delete(&format!("telephony/configurations/{id}")).await.unwrap().status < 300);
    until("the socket to close", async || other.open() == 0).await;
}

#[tokio::test]
async fn a_socket_that_is_lost_comes_back_and_one_that_is_refused_is_not_hurried() {
    let ari = Ari::start("gw", PASSWORD).await.unwrap();
    let (host, api) = host(&[]).await;
    let id = configure(&api, "main", &ari).await;
    open(&api, &id).await;
    ari.hang_up();
    until("the second handshake", async || ari.attempts() == 2).await;
    open(&api, &id).await;
    ari.set(Manner::Refusing);
    ari.hang_up();
    until("the refusal to be told", async || standing(&api, &id).await["state"] == "refused").await;
    let attempts = ari.attempts();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(ari.attempts(), attempts, "wrong credentials are no storm");
    let told = standing(&api, &id).await;
    assert!(told["reason"].as_str().unwrap().contains("credentials"), "{told}");
    assert!(!host.output().contains(PASSWORD));
    // Whoever mends the configuration does not wait for it.
    ari.set(Manner::Welcoming);
    let changed = json!({ "ws_client_name": "gw2" });
    let mut mended = account("main", &ari, PASSWORD);
    mended["fields"].as_object_mut().unwrap().extend(changed.as_object().unwrap().clone());
    assert_eq!(api.put(&format!("telephony/configurations/{id}"), &mended).await.unwrap().status, 200);
    open(&api, &id).await;
}

#[tokio::test]
async fn a_service_that_is_not_there_yet_is_asked_again_soon() {
    let ari = Ari::start("gw", PASSWORD).await.unwrap();
    let (_host, api) = host(&[]).await;
    let id = configure(&api, "main", &ari).await;
    open(&api, &id).await;
    ari.set(Manner::Loading);
    ari.hang_up();
    until("its absence to be told", async || standing(&api, &id).await["state"] == "refused").await;
    let told = standing(&api, &id).await;
    assert!(told["reason"].as_str().unwrap().contains("no event socket at that address"), "{told}");
    ari.set(Manner::Welcoming);
    open(&api, &id).await;
}

#[tokio::test]
async fn a_socket_that_does_not_answer_pings_is_given_up() {
    let ari = Ari::start("gw", PASSWORD).await.unwrap();
    ari.set(Manner::Silent);
    let (_host, api) = host(&[("JACKFIELD_SOCKETS_PING_SECONDS", "1"), ("JACKFIELD_SOCKETS_PONG_SECONDS", "1")]).await;
    let id = configure(&api, "main", &ari).await;
    until("the silence to be told", async || {
        standing(&api, &id).await["reason"].as_str().is_some_and(|reason| reason.contains("pings"))
    })
    .await;
    ari.set(Manner::Welcoming);
    open(&api, &id).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(standing(&api, &id).await["state"], "open", "one that answers is left alone");
}

#[tokio::test]
async fn garbage_is_counted_and_huge_messages_end_the_socket_and_others_do_not_notice() {
    let (bad, good) = (Ari::start("gw", PASSWORD).await.unwrap(), Ari::start("gw", PASSWORD).await.unwrap());
    let (host, api) = host(&[]).await;
    let (noisy, quiet) = (configure(&api, "noisy", &bad).await, configure(&api, "quiet", &good).await);
    open(&api, &noisy).await;
    open(&api, &quiet).await;
    for text in ["", "hello", "{\"type\":\"StasisSt", "[]", "{}", "null"] {
        assert!(bad.say(&noisy, Message::text(text)));
    }
    assert!(bad.say(&noisy, Message::binary(vec![0; 1_000])));
    until("garbage to be counted", async || counted(&host, "malformed").await == 7).await;
    assert_eq!(bad.attempts(), 1, "garbage is no reason to hang up");
    assert!(bad.say(&noisy, Message::text("x".repeat(10 << 20))));
    until("ten megabytes to end it", async || bad.attempts() == 2).await;
    open(&api, &noisy).await;
    assert_eq!((good.attempts(), &standing(&api, &quiet).await["state"]), (1, &json!("open")));
}

#[tokio::test]
async fn a_flood_on_one_socket_delays_no_other() {
    let (bad, good) = (Ari::start("gw", PASSWORD).await.unwrap(), Ari::start("gw", PASSWORD).await.unwrap());
    let (host, api) = host(&[]).await;
    let (noisy, quiet) = (configure(&api, "noisy", &bad).await, configure(&api, "quiet", &good).await);
    open(&api, &noisy).await;
    open(&api, &quiet).await;
    // Ten thousand events at once, each of a call of its own, which the host never heard of.
    for n in 0..10_000 {
        let gone = json!({ "type": "ChannelDestroyed", "cause": 16, "channel": { "id": format!("c{n}") } });
        assert!(bad.say(&noisy, Message::text(gone.to_string())));
    }
    assert!(good.say(&quiet, stranger("q1")));
    until("the other's caller to be served", async || good.asked().iter().any(|asked| asked.contains("/q1?"))).await;
    until("all to be read", async || counted(&host, "read").await == 10_001).await;
    assert_eq!((bad.attempts(), good.attempts()), (1, 1));
}

#[tokio::test]
async fn an_asterisk_in_a_private_network_is_reached_only_if_the_operator_names_the_network() {
    let ari = Ari::start("gw", PASSWORD).await.unwrap();
    let (_host, api) = host(&[("JACKFIELD_EGRESS_NETWORKS", "10.0.0.0/8")]).await;
    let id = configure(&api, "main", &ari).await;
    until("the refusal to be told", async || {
        let told = standing(&api, &id).await;
        told["state"] == "refused" && told["reason"].as_str().is_some_and(|why| why.contains("egress.networks"))
    })
    .await;
    assert_eq!(ari.attempts(), 0);
}
