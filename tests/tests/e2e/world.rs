//! A host of its own for each test, with one Twilio account, one number and the `echo` agent.

use std::time::Duration;

use jackfield_tests::api::{Api, id_of};
use jackfield_tests::carrier::{Account, Carrier, Leg, MediaStream};
use jackfield_tests::host_process::{HostOptions, HostProcess};
use jackfield_tests::speech;
use jackfield_tests::twilio_rest::TwilioRest;
use serde_json::Value;

pub(crate) const CALLER: &str = "+14155550123";
pub(crate) const NUMBER: &str = "+12065550188";

pub(crate) struct World {
    pub(crate) host: HostProcess,
    pub(crate) api: Api,
    pub(crate) carrier: Carrier,
    pub(crate) rest: TwilioRest,
    pub(crate) configuration: String,
    pub(crate) agent: String,
}

impl World {
    /// On the embedded default.
    pub(crate) async fn new() -> Self {
        Self::with(|options| options).await
    }

    /// With other settings.
    pub(crate) async fn with(change: impl FnOnce(HostOptions) -> HostOptions) -> Self {
        let account = Account::fresh();
        let rest = TwilioRest::start(account.clone()).await.unwrap();
        let options = change(HostOptions::new().unwrap().with_twilio_at(rest.address).recording());
        let host = options.start().unwrap();
        let api = host.api().unwrap();
        let configuration = api.add_twilio("main", &account.sid, &account.token).await.unwrap();
        let agent = api.add_agent("echo", None).await.unwrap();
        api.add_number(NUMBER, &configuration, Some(&agent)).await.unwrap();
        let carrier = Carrier::new(host.gateway(), account).unwrap();
        Self { host, api, carrier, rest, configuration, agent }
    }

    /// A host that was killed, in its folder and with its token.
    pub(crate) fn start_again(&mut self, folder: &std::path::Path) {
        let mut options = HostOptions::new().unwrap().in_folder(folder).with_twilio_at(self.rest.address);
        self.host.admin_token().clone_into(&mut options.admin_token);
        self.host = options.start().unwrap();
        self.api = self.host.api().unwrap();
        self.carrier.gateway = self.host.gateway();
    }

    /// A caller who is put through.
    pub(crate) async fn call_in(&self) -> (Leg, MediaStream) {
        let leg = Leg::inbound(CALLER, NUMBER);
        let verb = self.carrier.ring_through(&leg).await.unwrap();
        let stream = self.carrier.open_stream(&leg, &verb).await.unwrap();
        (leg, stream)
    }

    /// Waits until the call is as wanted, and returns it.
    pub(crate) async fn call_when(&self, leg: &Leg, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut call = Value::Null;
        for _ in 0..400 {
            call = self.api.call_of(&leg.sid).await.unwrap();
            if wanted(&call) {
                return call;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("waited for {what}: {call:#}\n{}", self.host.output());
    }

    /// The generation that new calls begin on.
    pub(crate) async fn generation(&self) -> String {
        let plugin = self.api.get("plugins/twilio").await.unwrap().expect(200).unwrap();
        plugin["digest"].as_str().unwrap().to_owned()
    }

    /// The value of a metric, summed over its labels.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let text = self.api.get("/metrics").await.unwrap().text();
        let lines =
            text.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}

/// So many frames of the spoken sentence, none of them silent all through.
pub(crate) fn frames(count: usize) -> Vec<Vec<u8>> {
    speech::hello_frames().unwrap().into_iter().skip(10).take(count).collect()
}

/// Speaks, and waits until as much came back.
pub(crate) async fn speak_and_hear(stream: &mut MediaStream, spoken: &[Vec<u8>]) {
    stream.speak(spoken).await;
    let sent: usize = stream.sent().iter().map(|passed| passed.bytes.len()).sum();
    stream.until("the echo", |heard| heard.bytes() >= sent).await.unwrap();
}

pub(crate) fn ended(call: &Value) -> bool {
    !call["ended_at"].is_null()
}

/// What a call's history says of its audio, once it is over.
pub(crate) fn audio_of(call: &Value) -> Value {
    let events = call["events"].as_array().unwrap();
    events.iter().find(|event| event["kind"] == "audio").unwrap()["data"].clone()
}

pub(crate) fn id(call: &Value) -> String {
    id_of(call).unwrap()
}
