//! People who sign in, their telephones and the bot, against a fake Webex.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use jackfield_tests::api::Api;
use jackfield_tests::fleet::Fleet;
use jackfield_tests::host_process::{HostOptions, HostProcess};
use jackfield_tests::webex::{BOT, CLIENT, CLIENT_SECRET, Dial, Refresh, Webex};
use ring::hmac;
use serde_json::{Value, json};

const SECRET: &str = "webhook-secret-canary-of-32-letters";
pub(crate) const ANN: (&str, &str) = ("PERSON-ANN", "ann@example.com");
pub(crate) const BOB: (&str, &str) = ("PERSON-BOB", "bob@example.com");
const ROOT: (&str, &str) = ("PERSON-ROOT", "root@example.com");
const EVE: (&str, &str) = ("PERSON-EVE", "eve@evil.example");

pub(crate) struct Stage {
    /// One, or several as one.
    pub(crate) hosts: Vec<HostProcess>,
    /// To which of them requests go.
    at: AtomicUsize,
    api: Api,
    pub(crate) webex: Webex,
    configuration: String,
    /// Their database and Redis.
    _fleet: Option<Fleet>,
}

fn settings(options: HostOptions, webex: &Webex) -> HostOptions {
    let mut options = options.with_route("webexapis.com", webex.address);
    options.environment.push(("JACKFIELD_EGRESS_TOTAL_MS".to_owned(), "1500".to_owned()));
    options.environment.push(("JACKFIELD_LOG_LEVEL".to_owned(), "trace".to_owned()));
    options
}

async fn stage() -> Stage {
    let webex = Webex::start().await.unwrap();
    let host = settings(HostOptions::new().unwrap(), &webex).start().unwrap();
    Stage::on(vec![host], webex).await
}

impl Stage {
    async fn on(hosts: Vec<HostProcess>, webex: Webex) -> Self {
        let api = hosts[0].api().unwrap();
        let fields = json!({
            "client_id": CLIENT, "client_secret": CLIENT_SECRET, "bot_token": BOT, "bot_email": "jf@webex.bot",
            "bot_users": "ann@example.com, bob@example.com", "bot_admins": "root@example.com",
            "webhook_secret": SECRET,
        });
        let account = json!({ "name": "desk", "provider": "webex", "fields": fields });
        let configuration = api.create("telephony/configurations", &account).await.unwrap();
        Self { hosts, at: AtomicUsize::new(0), api, webex, configuration, _fleet: None }
    }

    /// Two hosts as one; the second with other options.
    pub(crate) async fn of_two(change: impl FnOnce(HostOptions) -> HostOptions) -> Self {
        let webex = Webex::start().await.unwrap();
        let fleet = Fleet::new(|options| settings(options, &webex)).await.unwrap();
        let hosts = vec![fleet.host().unwrap(), change(fleet.options()).start().unwrap()];
        let stage = Self::on(hosts, webex).await;
        let nothing = json!({ "id": "W0", "resource": "rooms", "event": "updated", "data": {} });
        stage.go_to(1);
        let known = async || (stage.post(&nothing).await < 300).then_some(());
        until("the account on both hosts", known).await;
        stage.go_to(0);
        Self { _fleet: Some(fleet), ..stage }
    }
}

impl Stage {
    /// Requests go to that host from now on.
    pub(crate) fn go_to(&self, host: usize) {
        self.at.store(host, Ordering::Relaxed);
    }

    fn host(&self) -> &HostProcess {
        &self.hosts[self.at.load(Ordering::Relaxed)]
    }

    async fn post(&self, body: &Value) -> u16 {
        let body = body.to_string();
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
        let signature = format!("SHA-256={}", hex::encode(hmac::sign(&key, body.as_bytes())));
        self.post_signed(body, &signature).await
    }

    async fn post_signed(&self, body: String, signature: &str) -> u16 {
        let url = format!("http://{}/api/v1/telephony/inbound/{}", self.host().gateway().address, self.configuration);
        let request = reqwest::Client::new().post(url).header("content-type", "application/json");
        request.header("x-webex-signature", signature).body(body).send().await.unwrap().status().as_u16()
    }

    /// A person writes; what the bot answers.
    pub(crate) async fn says(&self, who: (&str, &str), text: &str) -> String {
        let before = self.heard(who.0).len();
        self.writes(who, text).await;
        until(&format!("an answer to {text}"), async || self.heard(who.0).get(before).cloned()).await
    }

    pub(crate) async fn writes(&self, who: (&str, &str), text: &str) {
        let id = self.webex.write(who.0, who.1, text);
        let data = json!({ "id": id, "personId": who.0, "personEmail": who.1, "roomType": "direct" });
        let webhook = json!({ "id": "WM", "resource": "messages", "event": "created", "data": data });
        assert!(self.post(&webhook).await < 300);
    }

    pub(crate) fn heard(&self, person: &str) -> Vec<String> {
        self.webex
            .with(|inner| inner.sent.iter().filter(|(to, _)| to == person).map(|(_, text)| text.clone()).collect())
    }

    async fn link(&self, who: (&str, &str), command: &str) -> String {
        let answer = self.says(who, command).await;
        let (_, rest) = answer.split_once("](").unwrap_or_else(|| panic!("no link in {answer}"));
        rest.split_once(')').unwrap().0.to_owned()
    }

    async fn come_back(&self, path: &str) -> (u16, String) {
        let answer = reqwest::get(format!("http://{}{path}", self.host().gateway().address)).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    pub(crate) async fn signs_in(&self, who: (&str, &str)) {
        let link = self.link(who, "/auth").await;
        let back = self.webex.consent(&link, who.0).unwrap();
        let answer = self.come_back(&back).await;
        assert_eq!(answer.0, 200, "{}\n{}", answer.1, self.host().output());
    }
}

pub(crate) async fn until<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(20) {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("waited in vain for {what}");
}

fn call(id: &str, personality: &str, state: &str) -> Value {
    json!({ "id": id, "personality": personality, "state": state, "remoteParty": { "name": "Cem", "number": "1002" } })
}

#[tokio::test]
async fn a_person_signs_in_and_controls_a_telephone() {
    let stage = stage().await;
    assert!(stage.says(ANN, "/history").await.contains("/auth"), "nobody has signed in");
    stage.signs_in(ANN).await;
    assert!(stage.says(ANN, "/auth").await.contains("13 days"), "signed in already");
    assert!(stage.says(ANN, "/dial +14155550123").await.contains("Calling"));
    assert_eq!(stage.webex.with(|inner| inner.dials.clone()), ["+14155550123"]);
    assert!(stage.says(ANN, "/answer").await.contains("No call rings"));
    stage
        .webex
        .with(|inner| inner.calls = vec![call("OWN", "clickToDial", "alerting"), call("IN", "terminator", "alerting")]);
    assert_eq!(stage.says(ANN, "/answer").await, "Done: call from Cem (1002)");
    stage.webex.with(|inner| inner.calls = vec![call("IN", "terminator", "connected")]);
    for command in ["/hold", "/hangup"] {
        assert!(stage.says(ANN, command).await.contains("Done"), "{command}");
    }
    let orders = stage.webex.with(|inner| inner.orders.clone());
    let orders: Vec<(&str, &str)> = orders.iter().map(|(verb, call)| (verb.as_str(), call.as_str())).collect();
    assert_eq!(
        orders,
        [("answer", "IN"), ("hold", "IN"), ("hangup", "IN")],
        "the call from outside before one's own leg"
    );
    assert!(stage.says(ANN, "/history").await.contains("missed: 1001 Ann"));
    assert!(stage.says(ANN, "please don't /dial 1").await.contains("/auth"), "help, and nothing dialled");
    assert_eq!(stage.says(ANN, "/echo a b").await, "a b");
    assert_eq!(stage.webex.with(|inner| inner.dials.len()), 1);
    assert!(stage.says(ANN, "/auth clear").await.contains("signed out"));
    assert!(stage.says(ANN, "/history").await.contains("/auth"));
}

#[tokio::test]
async fn a_state_is_good_once_for_whoever_it_was_given_to() {
    let stage = stage().await;
    let link = stage.link(ANN, "/auth").await;
    let back = stage.webex.consent(&link, BOB.0).unwrap();
    assert_eq!(stage.come_back(&back).await.0, 400, "somebody else signed in");
    assert!(stage.says(ANN, "/history").await.contains("/auth"), "and nothing was kept");
    let asked = stage.webex.with(|inner| inner.token_requests);
    assert_eq!(stage.come_back(&back).await.0, 400, "used before");
    for state in ["", "made-up", &"0".repeat(64)] {
        assert_eq!(stage.come_back(&format!("/api/v1/oauth/redirect?code=x&state={state}")).await.0, 400, "{state}");
    }
    assert_eq!(stage.come_back("/api/v1/oauth/redirect").await.0, 400);
    assert_eq!(stage.webex.with(|inner| inner.token_requests), asked, "no code is exchanged for a state that is none");
    let link = stage.link(ANN, "/auth").await;
    let state = link.split_once("state=").unwrap().1.split('&').next().unwrap().to_owned();
    let refusal = format!("/api/v1/oauth/redirect?error=access_denied&state={state}");
    assert_eq!(stage.come_back(&refusal).await.0, 400);
    assert!(stage.heard(ANN.0).last().unwrap().contains("declined"));
    assert_eq!(stage.webex.with(|inner| inner.token_requests), asked);
    assert_eq!(stage.come_back(&format!("/api/v1/oauth/redirect?code=made-up&state={state}")).await.0, 400, "spent");
}

#[tokio::test]
async fn of_a_hundred_who_need_a_new_token_one_asks_for_it() {
    let stage = stage().await;
    stage.signs_in(ANN).await;
    stage.webex.spend_tokens();
    let before = stage.heard(ANN.0).len();
    for _ in 0..100 {
        stage.writes(ANN, "/history").await;
    }
    until("a hundred answers", async || (stage.heard(ANN.0).len() >= before + 100).then_some(())).await;
    assert!(stage.heard(ANN.0)[before..].iter().all(|answer| answer.contains("missed")), "{:?}", stage.heard(ANN.0));
    assert_eq!(stage.webex.with(|inner| inner.refreshes), 1);
}

#[tokio::test]
async fn a_provider_out_of_order_costs_nobody_the_sign_in_and_one_that_revokes_says_so_once() {
    let stage = stage().await;
    stage.webex.with(|inner| inner.lasts = 0);
    stage.signs_in(ANN).await;
    stage.webex.with(|inner| inner.refresh_with = Refresh::Down);
    assert!(stage.says(ANN, "/history").await.contains("does not answer"));
    stage.webex.with(|inner| (inner.refresh_with, inner.lasts) = (Refresh::Granted, 1_000_000));
    assert!(stage.says(ANN, "/history").await.contains("missed"), "kept");
    stage.webex.with(|inner| inner.refresh_with = Refresh::Revoked);
    stage.webex.spend_tokens();
    let answer = stage.says(ANN, "/history").await;
    assert!(answer.contains("refused") || answer.contains("credentials"), "{answer}");
    let asked = stage.webex.with(|inner| inner.token_requests);
    assert!(stage.says(ANN, "/history").await.contains("sign in anew"));
    assert_eq!(
        stage.webex.with(|inner| inner.token_requests),
        asked,
        "a sign-in that was taken back is not tried again"
    );
}

#[tokio::test]
async fn nothing_is_dialled_twice() {
    let stage = stage().await;
    stage.signs_in(ANN).await;
    stage.webex.with(|inner| inner.dial_with = Dial::Silent);
    assert!(stage.says(ANN, "/dial 1002").await.contains("did not say whether"));
    stage.webex.with(|inner| inner.calls = vec![call("OWN", "clickToDial", "alerting")]);
    assert!(stage.says(ANN, "/dial 1003").await.contains("was slow"));
    assert_eq!(stage.webex.with(|inner| inner.dials.clone()), ["1002", "1003"]);
    stage.webex.with(|inner| inner.dial_with = Dial::Taken);
    stage.webex.spend_tokens();
    stage.says(ANN, "/dial 1004").await;
    assert_eq!(
        stage.webex.with(|inner| inner.dials.clone()),
        ["1002", "1003"],
        "a spent token is renewed, and no dial is repeated"
    );
}

#[tokio::test]
async fn strangers_and_users_do_not_get_what_is_not_theirs() {
    let stage = stage().await;
    assert!(stage.says(EVE, "/dial 1").await.contains("does not know you"));
    stage.writes(EVE, "/dial my-secret-text").await;
    for command in ["/redis info", "/redis clear", "/auth maintenance"] {
        assert!(stage.says(ANN, command).await.contains("administrators"), "{command}");
    }
    stage.signs_in(ANN).await;
    stage.link(BOB, "/auth").await;
    let info = stage.says(ROOT, "/redis info").await;
    assert!(info.contains("1 on their way, 1 signed in") && info.contains(ANN.0) && !info.contains("canary"), "{info}");
    assert!(stage.says(ROOT, "/auth maintenance").await.contains("Forgot 1"));
    assert!(stage.says(ROOT, "/redis clear").await.contains("1 sign-ins"));
    assert!(stage.says(ANN, "/history").await.contains("/auth"));
    assert_eq!(stage.heard(EVE.0).len(), 1, "a stranger is answered once");
    assert!(!stage.host().output().contains("my-secret-text"));
}

#[tokio::test]
async fn monitored_calls_are_told_in_order_once_and_only_if_they_are_signed() {
    let stage = stage().await;
    stage.signs_in(ANN).await;
    assert!(stage.says(ANN, "/monitor on").await.contains("Monitoring"));
    let hooks = stage.webex.with(|inner| inner.webhooks.clone());
    let mine: Vec<&Value> = hooks.iter().filter(|hook| hook["createdBy"] == ANN.0).collect();
    assert_eq!((mine.len(), &mine[0]["resource"], &mine[0]["secret"]), (1, &json!("telephony_calls"), &json!(SECRET)));
    let event = |state: &str, millis: i64| {
        let at = format!("{}.{millis:03}Z", iso_now());
        let data = json!({
            "callId": "C1", "personality": "terminator", "state": state, "eventType": state, "eventTimestamp": at,
            "remoteParty": { "name": "Cem", "number": "1002" },
        });
        json!({ "id": "W9", "resource": "telephony_calls", "event": "updated", "createdBy": ANN.0, "data": data })
    };
    let before = stage.heard(ANN.0).len();
    let ringing = event("alerting", 1);
    assert!(stage.post(&ringing).await < 300 && stage.post(&ringing).await < 300, "doubled");
    until("the ringing to be told", async || (stage.heard(ANN.0).len() > before).then_some(())).await;
    assert_eq!(stage.post_signed(event("connected", 5).to_string(), &format!("SHA-256={}", "0".repeat(64))).await, 403);
    assert!(stage.post(&event("disconnected", 9)).await < 300);
    until("the end to be told", async || (stage.heard(ANN.0).len() > before + 1).then_some(())).await;
    assert!(stage.post(&event("connected", 4)).await < 300, "late");
    assert!(stage.says(ANN, "/monitor OFF").await.contains("off"));
    let told = &stage.heard(ANN.0)[before..];
    assert_eq!(told[..2], ["call from Cem (1002) rings", "call from Cem (1002) is over"]);
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(!stage.webex.with(|inner| inner.webhooks.iter().any(|hook| hook["createdBy"] == ANN.0)));
}

/// The second that is now, as ISO 8601 has it, and without its end.
fn iso_now() -> String {
    let output = std::process::Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%S"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn the_bots_webhook_is_kept_and_a_person_can_have_an_agent_call() {
    let stage = stage().await;
    until("the bot's webhook", async || {
        let hooks = stage.webex.with(|inner| inner.webhooks.clone());
        hooks.iter().any(|hook| hook["createdBy"] == "BOT" && hook["resource"] == "messages").then_some(())
    })
    .await;
    stage.webex.with(|inner| inner.webhooks[0]["status"] = json!("inactive"));
    // Any change of a configuration is a reason to look again; the next minute would be as well.
    stage.api.add_agent("echo", None).await.unwrap();
    until("the webhook to be switched on again", async || {
        stage.webex.with(|inner| inner.webhooks[0]["status"] == "active").then_some(())
    })
    .await;
    let answer = stage.says(ANN, "/dial +14155550123 via desk echo").await;
    assert!(answer.contains("Not called"), "this provider calls nobody by itself: {answer}");
}

#[tokio::test]
async fn no_token_is_anywhere_but_in_a_request() {
    let stage = stage().await;
    stage.webex.with(|inner| inner.lasts = 1);
    stage.signs_in(ANN).await;
    stage.says(ANN, "/history").await;
    stage.says(ANN, "/monitor on").await;
    stage.says(ROOT, "/redis info").await;
    let metrics = stage.come_back("/metrics").await.1;
    let shown = stage.api.get("telephony/configurations").await.unwrap().text();
    let said: String = stage.webex.with(|inner| inner.sent.iter().map(|(_, text)| text.clone()).collect());
    for (place, text) in [("log", stage.host().output()), ("metrics", metrics), ("API", shown), ("chat", said)] {
        assert!(!text.contains("-canary"), "a secret is in the {place}: {text}");
    }
}
