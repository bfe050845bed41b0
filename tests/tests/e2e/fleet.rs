//! Two and three hosts as one: what lands on one is known to all, and what dies with one does not.

use std::time::{Duration, Instant};

use jackfield_tests::api::{Api, id_of};
use jackfield_tests::carrier::{Account, Carrier, Leg, MediaStream, Webhook, document, parse_stream};
use jackfield_tests::fleet::Fleet;
use jackfield_tests::host_process::{HostOptions, HostProcess};
use jackfield_tests::place;
use jackfield_tests::twilio_rest::{PlacedCall, TwilioRest};
use serde_json::{Value, json};

use crate::world::{CALLER, NUMBER, ended, frames, speak_and_hear};

pub(crate) struct Together {
    pub(crate) fleet: Fleet,
    pub(crate) hosts: Vec<HostProcess>,
    pub(crate) rest: TwilioRest,
    account: Account,
    configuration: String,
    agent: String,
}

impl Together {
    async fn of(count: usize) -> Self {
        Self::each(count, |_, options| options).await
    }

    /// Each host, by its place, with options of its own.
    pub(crate) async fn each(count: usize, change: impl Fn(usize, HostOptions) -> HostOptions) -> Self {
        let account = Account::fresh();
        let rest = TwilioRest::start(account.clone()).await.unwrap();
        let fleet = Fleet::new(|options| options.with_twilio_at(rest.address)).await.unwrap();
        let hosts: Vec<HostProcess> = (0..count).map(|host| change(host, fleet.options()).start().unwrap()).collect();
        let api = hosts[0].api().unwrap();
        let configuration = api.add_twilio("main", &account.sid, &account.token).await.unwrap();
        let agent = api.add_agent("echo", None).await.unwrap();
        api.add_number(NUMBER, &configuration, Some(&agent)).await.unwrap();
        let together = Self { fleet, hosts, rest, account, configuration, agent };
        for host in 1..count {
            together
                .eventually("the settings on every host", 2, async || {
                    let numbers = together.api(host).get("telephony/numbers").await.unwrap().json().unwrap();
                    let known = together.ring(host, &Leg::inbound(CALLER, NUMBER)).await.is_some();
                    !numbers["items"].as_array().unwrap().is_empty() && known
                })
                .await;
        }
        together
    }

    pub(crate) fn api(&self, host: usize) -> Api {
        self.hosts[host].api().unwrap()
    }

    pub(crate) fn carrier(&self, host: usize) -> Carrier {
        Carrier::new(self.hosts[host].gateway(), self.account.clone()).unwrap()
    }

    /// The stream that a host answers a caller with.
    pub(crate) async fn ring(&self, host: usize, leg: &Leg) -> Option<jackfield_tests::carrier::StreamVerb> {
        let carrier = self.carrier(host);
        let answer = carrier.post(&carrier.inbound_webhook(leg)).await.unwrap();
        parse_stream(document(&answer).ok()?).ok()
    }

    /// A caller whose webhook lands on one host, and whose audio on another.
    pub(crate) async fn call_in(&self, webhook: usize, media: usize) -> (Leg, MediaStream) {
        let leg = Leg::inbound(CALLER, NUMBER);
        let verb = self.ring(webhook, &leg).await.expect("a stream");
        let mut stream = self.carrier(media).open_stream(&leg, &verb).await.unwrap();
        self.rest.know(&leg.sid, CALLER, NUMBER);
        speak_and_hear(&mut stream, &frames(15)).await;
        (leg, stream)
    }

    pub(crate) async fn status(&self, host: usize, url: &str, leg: &Leg, status: &str, sequence: u32) -> u16 {
        let carrier = self.carrier(host);
        let webhook = carrier.status_webhook(url, leg, status, sequence, &[("CallDuration", "3")]);
        carrier.post(&webhook).await.unwrap().status
    }

    /// Ends the calls that only rang to find out whether a host is ready, which count too.
    pub(crate) async fn no_calls(&self) {
        let api = self.api(0);
        for call in api.calls().await.unwrap() {
            api.post(&format!("calls/{}/hangup", id_of(&call).unwrap()), &json!({})).await.unwrap();
        }
        self.eventually("no call to count", 15, async || {
            let known = self.api(0).get("organizations/org_default").await.unwrap().json().unwrap();
            known["calls"] == 0
        })
        .await;
    }

    pub(crate) async fn call_when(
        &self,
        host: usize,
        leg: &Leg,
        what: &str,
        seconds: u64,
        is: impl Fn(&Value) -> bool,
    ) -> Value {
        let until = Instant::now() + Duration::from_secs(seconds);
        loop {
            let call = self.api(host).call_of(&leg.sid).await.unwrap();
            if is(&call) {
                return call;
            }
            assert!(Instant::now() < until, "waited for {what}: {call:#}\n{}", self.hosts[host].output());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn eventually(&self, what: &str, seconds: u64, holds: impl AsyncFn() -> bool) {
        let until = Instant::now() + Duration::from_secs(seconds) + Duration::from_millis(500);
        while !holds().await {
            assert!(Instant::now() < until, "waited for {what}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn leg_of(placed: &PlacedCall) -> Leg {
    Leg { sid: placed.sid.clone(), from: placed.from.clone(), to: placed.to.clone(), direction: "outbound-api" }
}

#[tokio::test]
async fn webhook_audio_and_callback_of_one_call_may_land_on_three_hosts() {
    let hosts = Together::of(3).await;
    let (leg, mut stream) = hosts.call_in(0, 1).await;
    let url = hosts.carrier(2).shared_inbound_url();
    assert_eq!(hosts.status(2, &url, &leg, "in-progress", 1).await / 100, 2);
    speak_and_hear(&mut stream, &frames(15)).await;
    let call = hosts.api(0).call_of(&leg.sid).await.unwrap();
    assert_eq!(call["status"], "in-progress");
    // Whoever is asked to hang up has the owner do it.
    let path = format!("calls/{}/hangup", id_of(&call).unwrap());
    assert_eq!(hosts.api(2).post(&path, &json!({})).await.unwrap().status, 202);
    stream.until("the end of the stream", |heard| heard.closed.is_some()).await.unwrap();
    let call = hosts.call_when(0, &leg, "the end", 10, ended).await;
    assert_eq!((call["status"].as_str(), call["end_reason"].as_str()), (Some("completed"), Some("operator")));
    let ends = call["events"].as_array().unwrap().iter().filter(|event| event["kind"] == "ended").count();
    assert_eq!(ends, 1, "{call:#}");
    let metrics = hosts.api(0).get("/metrics").await.unwrap().text();
    let active = metrics.lines().find(|line| line.starts_with("jackfield_calls_active ")).unwrap_or_default();
    assert_eq!(active, "jackfield_calls_active 0", "the host that let it go counts it no more");
}

#[tokio::test]
async fn a_webhook_that_comes_to_two_hosts_makes_one_call_and_a_token_opens_one_socket() {
    let hosts = Together::of(2).await;
    let leg = Leg::inbound(CALLER, NUMBER);
    let webhook = hosts.carrier(0).inbound_webhook(&leg);
    let (one, two) = (hosts.carrier(0), hosts.carrier(1));
    let (one, two) = tokio::join!(one.post(&webhook), two.post(&webhook));
    let verb = parse_stream(document(&one.unwrap()).unwrap()).unwrap();
    assert!(two.unwrap().status == 200);
    let calls = hosts.api(1).calls().await.unwrap();
    assert_eq!(calls.iter().filter(|call| call["provider_call_id"] == leg.sid.as_str()).count(), 1);
    let _stream = hosts.carrier(1).open_stream(&leg, &verb).await.unwrap();
    assert!(hosts.carrier(0).open_stream(&leg, &verb).await.is_err(), "the token is spent");
}

#[tokio::test]
async fn a_live_calls_figures_are_told_by_whichever_host_is_asked() {
    let mut hosts = Together::of(2).await;
    let (leg, mut stream) = hosts.call_in(0, 1).await;
    let heard = |call: &Value| call["audio"]["frames_in"].as_u64();
    let first = hosts.call_when(0, &leg, "the owner's figures", 10, |call| heard(call).is_some()).await;
    speak_and_hear(&mut stream, &frames(25)).await;
    let more = |call: &Value| heard(call) >= heard(&first).map(|frames| frames + 25);
    hosts.call_when(0, &leg, "figures that are live", 10, more).await;
    // Those of a host that is dead are nowhere, and are not waited for.
    drop(hosts.hosts.remove(1));
    hosts.call_when(0, &leg, "no figures", 10, |call| call["audio"].is_null()).await;
    let over = hosts.call_when(0, &leg, "the call to be settled", 20, ended).await;
    assert!(over["audio"].is_null(), "{over:#}");
}

#[tokio::test]
async fn a_host_that_dies_takes_only_its_own_calls_and_others_settle_them() {
    let mut hosts = Together::of(2).await;
    let (lost, _lost_stream) = hosts.call_in(1, 0).await;
    let (kept, mut kept_stream) = hosts.call_in(0, 1).await;
    drop(hosts.hosts.remove(0));
    let killed = Instant::now();
    // The load balancer's retry: the host that lives takes everything at once.
    let mut refused = 0;
    for _ in 0..40 {
        refused += usize::from(hosts.ring(0, &Leg::inbound(CALLER, NUMBER)).await.is_none());
        speak_and_hear(&mut kept_stream, &frames(3)).await;
    }
    assert_eq!(refused, 0, "webhooks that found no host");
    let over = hosts.call_when(0, &lost, "the lost call to be settled", 20, ended).await;
    assert!(killed.elapsed() < Duration::from_secs(20), "{over:#}");
    let asked = hosts.rest.seen().iter().filter(|seen| seen.path.contains(&lost.sid) && seen.method == "POST").count();
    assert_eq!(asked, 1, "the provider is asked once to hang up");
    let live = hosts.api(0).call_of(&kept.sid).await.unwrap();
    assert_eq!(live["status"], "in-progress");
    speak_and_hear(&mut kept_stream, &frames(10)).await;
    assert_eq!(hosts.rest.calls().len(), 2, "nobody was dialled");
}

#[tokio::test]
async fn an_order_under_one_key_is_one_call_on_whichever_host_and_its_callbacks_find_it() {
    let hosts = Together::of(2).await;
    let order = json!({ "agent": hosts.agent, "to": CALLER, "from": NUMBER, "configuration": hosts.configuration });
    let send = async |host: usize| {
        let client = jackfield_tests::http::client().unwrap();
        let url = format!("{}/api/v1/calls", hosts.hosts[host].base_url());
        let request = client.post(url).header("authorization", format!("Bearer {}", hosts.hosts[host].admin_token()));
        let request = request.header("content-type", "application/json").header("idempotency-key", "once");
        let answer = request.body(order.to_string()).send().await.unwrap();
        jackfield_tests::http::Answer::read(answer).await.unwrap().expect(201).unwrap()
    };
    let (first, again) = (send(0).await, send(1).await);
    assert_eq!(first["id"], again["id"]);
    assert_eq!(hosts.rest.calls().len(), 1);
    let placed = hosts.rest.placed().await.unwrap();
    // The answer is asked for on one host, the audio comes to the other, and its owner is told of the end by the first.
    let carrier = hosts.carrier(1);
    let webhook = Webhook::new(&placed.url, carrier.fields(&leg_of(&placed), "in-progress"));
    let verb = parse_stream(document(&carrier.post(&webhook).await.unwrap()).unwrap()).unwrap();
    let mut stream = carrier.open_stream(&leg_of(&placed), &verb).await.unwrap();
    speak_and_hear(&mut stream, &frames(10)).await;
    assert_eq!(hosts.status(0, &placed.status_callback, &leg_of(&placed), "in-progress", 2).await / 100, 2);
    assert_eq!(hosts.status(0, &placed.status_callback, &leg_of(&placed), "completed", 3).await / 100, 2);
    let over = hosts.call_when(0, &leg_of(&placed), "the end", 10, ended).await;
    assert_eq!((over["status"].as_str(), over["duration_s"].as_i64()), (Some("completed"), Some(3)));
}

#[tokio::test]
async fn limits_hold_across_hosts_and_a_dead_hosts_seats_are_freed() {
    let mut hosts = Together::of(2).await;
    let api = hosts.api(0);
    let narrow = json!({ "name": "default", "max_calls": 1 });
    hosts.no_calls().await;
    api.put("organizations/org_default", &narrow).await.unwrap().expect(200).unwrap();
    tokio::time::sleep(Duration::from_millis(2_200)).await;
    let (first, _stream) = hosts.call_in(0, 0).await;
    assert!(hosts.ring(1, &Leg::inbound(CALLER, NUMBER)).await.is_none(), "the other host counts the same");
    drop(hosts.hosts.remove(0));
    hosts.call_when(0, &first, "the lost call to be settled", 20, ended).await;
    assert!(hosts.ring(0, &Leg::inbound(CALLER, NUMBER)).await.is_some(), "the seat is free");
}

#[tokio::test]
async fn a_plugin_that_one_host_promotes_is_served_by_all() {
    let hosts = Together::of(2).await;
    let bytes = place::plugin("twilio-next").unwrap();
    let before = hosts.api(1).get("plugins/twilio").await.unwrap().json().unwrap()["digest"].clone();
    let (leg, mut stream) = hosts.call_in(0, 1).await;
    hosts.api(0).put_plugin("twilio", bytes).await.unwrap().expect(200).unwrap();
    let serves = async || hosts.api(1).get("plugins/twilio").await.unwrap().json().unwrap()["digest"] != before;
    hosts.eventually("the other host to serve it", 5, serves).await;
    speak_and_hear(&mut stream, &frames(5)).await;
    let call = hosts.api(1).call_of(&leg.sid).await.unwrap();
    assert_eq!(call["generation"], before, "a call keeps the build that it began with");
    hosts.api(1).post("plugins/twilio/rollback", &json!({})).await.unwrap().expect(200).unwrap();
    let back = async || hosts.api(0).get("plugins/twilio").await.unwrap().json().unwrap()["digest"] == before;
    hosts.eventually("the first host to follow back", 5, back).await;
}

#[tokio::test]
async fn grants_that_one_host_is_told_of_hold_on_all() {
    let hosts = Together::of(2).await;
    let begun = hosts.api(0).put("plugins/twilio/grants", &json!({ "requests": 4 })).await.unwrap();
    let begun = begun.expect(200).unwrap();
    let serves =
        async || hosts.api(1).get("plugins/twilio").await.unwrap().json().unwrap()["digest"] == begun["digest"];
    hosts.eventually("the other host to serve it", 5, serves).await;
    let (leg, mut stream) = hosts.call_in(1, 0).await;
    speak_and_hear(&mut stream, &frames(5)).await;
    assert_eq!(hosts.api(0).call_of(&leg.sid).await.unwrap()["generation"], begun["digest"]);
    hosts.api(1).delete("plugins/twilio/grants").await.unwrap().expect(200).unwrap();
    let back = async || hosts.api(0).get("plugins/twilio").await.unwrap().json().unwrap()["digest"] != begun["digest"];
    hosts.eventually("the first host to follow back", 5, back).await;
}

#[tokio::test]
async fn a_host_that_cannot_load_a_build_says_so_and_calls_on_it_still_land_right() {
    let mut hosts = Together::of(1).await;
    let mut narrow = hosts.fleet.options();
    narrow.environment.push(("JACKFIELD_PLUGINS_UPLOAD_BYTES".to_owned(), "1000000".to_owned()));
    hosts.hosts.push(narrow.start().unwrap());
    let digest =
        async |host: usize| hosts.api(host).get("plugins/twilio").await.unwrap().json().unwrap()["digest"].clone();
    let old = digest(1).await;
    // The same plugin, which it would take, and half a megabyte of nothing, which the second host does not take.
    let section = [&[0, 0xA5, 0x80, 0x20, 4][..], b"salt", &[0; 0x08_0020]].concat();
    let large = [place::plugin("twilio").unwrap(), section].concat();
    hosts.api(0).put_plugin("twilio", large).await.unwrap().expect(200).unwrap();
    let new = digest(0).await;
    let says = async || hosts.hosts[1].output().contains("a plugin was refused");
    hosts.eventually("the second host to say that it cannot", 5, says).await;
    assert_eq!(digest(1).await, old);
    let (leg, mut stream) = hosts.call_in(0, 0).await;
    assert_eq!(hosts.api(1).call_of(&leg.sid).await.unwrap()["generation"], new);
    let url = hosts.carrier(1).shared_inbound_url();
    assert_eq!(hosts.status(1, &url, &leg, "in-progress", 1).await / 100, 2);
    speak_and_hear(&mut stream, &frames(10)).await;
    assert_eq!(hosts.status(1, &url, &leg, "completed", 2).await / 100, 2);
    let over = hosts.call_when(0, &leg, "the end", 10, ended).await;
    assert_eq!((&over["generation"], over["status"].as_str()), (&new, Some("completed")), "{over:#}");
    let (other, mut stream) = hosts.call_in(1, 1).await;
    speak_and_hear(&mut stream, &frames(5)).await;
    assert_eq!(hosts.api(0).call_of(&other.sid).await.unwrap()["generation"], old, "the second host serves on");
}

#[tokio::test]
async fn a_transfer_is_told_of_on_any_host_and_nothing_on_its_way_scans_keys() {
    let hosts = Together::of(2).await;
    let log = hosts.fleet.redis.monitor().unwrap();
    let (leg, stream) = hosts.call_in(0, 0).await;
    let call = id_of(&hosts.api(1).call_of(&leg.sid).await.unwrap()).unwrap();
    let order = json!({ "to": "+14155550177" });
    // Ordered where the call is not.
    let begun = hosts.api(1).post(&format!("calls/{call}/transfer"), &order).await.unwrap().expect(201).unwrap();
    assert_eq!(begun["state"], "dialled");
    let placed = hosts.rest.calls().into_iter().find(|known| known.to == "+14155550177").unwrap();
    assert_eq!(hosts.status(1, &placed.status_callback, &leg_of(&placed), "in-progress", 1).await / 100, 2);
    let moved = async || hosts.rest.calls().iter().any(|known| known.sid == leg.sid && !known.twiml.is_empty());
    hosts.eventually("the caller to be moved", 5, moved).await;
    stream.hang_up();
    assert_eq!(hosts.status(1, &placed.status_callback, &leg_of(&placed), "completed", 2).await / 100, 2);
    hosts.call_when(1, &leg, "the end", 10, ended).await;
    let log = log.lock().unwrap().clone();
    assert!(log.iter().any(|line| line.contains("transfer:by_call_sid:")), "the original's keys are used");
    let scans = |line: &&String| {
        let word = line.split('"').nth(1).unwrap_or_default().to_ascii_lowercase();
        matches!(word.as_str(), "keys" | "scan" | "sscan" | "hscan" | "zscan")
    };
    assert_eq!(log.iter().filter(scans).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[tokio::test]
async fn redis_may_be_away_and_come_back_empty() {
    let mut hosts = Together::of(1).await;
    let (leg, mut stream) = hosts.call_in(0, 0).await;
    hosts.fleet.redis.down();
    let ready = async |host: &Together| host.api(0).get("/readyz").await.unwrap().status;
    // Calls that are up keep their audio; new ones are told to come again.
    for _ in 0..3 {
        speak_and_hear(&mut stream, &frames(10)).await;
        let carrier = hosts.carrier(0);
        let began = Instant::now();
        let answer = carrier.post(&carrier.inbound_webhook(&Leg::inbound(CALLER, NUMBER))).await.unwrap();
        assert_eq!(answer.status, 503, "{}", answer.text());
        assert!(began.elapsed() < Duration::from_millis(4_200));
    }
    assert_eq!(ready(&hosts).await, 503);
    hosts.fleet.redis.up().unwrap();
    let back = Instant::now();
    while hosts.ring(0, &Leg::inbound(CALLER, NUMBER)).await.is_none() {
        assert!(back.elapsed() < Duration::from_secs(5), "recovery takes longer than 5 s");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    hosts.fleet.redis.flush().unwrap();
    speak_and_hear(&mut stream, &frames(10)).await;
    tokio::time::sleep(Duration::from_secs(9)).await;
    speak_and_hear(&mut stream, &frames(10)).await;
    let live = hosts.api(0).call_of(&leg.sid).await.unwrap();
    assert_eq!(live["status"], "in-progress", "nobody takes it for dead: {live:#}");
    stream.hang_up();
    hosts.call_when(0, &leg, "the end", 15, ended).await;
}
