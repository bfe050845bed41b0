//! ARI. Every step can be done again: what is there already, or gone already, is as wanted.

use jackfield_sdk::Calls;
use jackfield_sdk::account;
use jackfield_sdk::form::component;
use jackfield_sdk::http::Http;
use jackfield_sdk::json::text;
use jackfield_sdk::number::digits;
use jackfield_sdk::rest::{Rest, bound, inspected, progress};
use jackfield_sdk::types::{
    Account, Action, Binding, Call, CallStatus, Fault, Inspection, PlaceRequest, Placed, RejectReason, StreamAction,
    TransferProgress, TransferStep,
};
use serde_json::{Value, json};

use crate::event::{BRIDGE, CLEAN_UP, MEDIA_ENDED, OPENED};
use crate::{Asterisk, config, names};

/// Requests with which one run removes left-overs: the host allows an order only so many.
const AT_ONCE: usize = 24;

struct Ari<'a> {
    rest: Rest<'a>,
    base: String,
    application: &'a str,
}

impl<'a> Ari<'a> {
    fn of(http: &'a dyn Http, account: &'a Account) -> Result<Self, Fault> {
        let rest = Rest::new(http, "Asterisk", config::authorization(account)?);
        Ok(Self { rest, base: config::base(account)?, application: config::application(account) })
    }

    fn channel(&self, id: &str) -> String {
        format!("{}/channels/{}", self.base, component(id))
    }

    fn bridge(&self, id: &str) -> String {
        format!("{}/bridges/{}", self.base, component(id))
    }

    /// A channel that is gone, or was never there, is as wanted.
    fn remove(&self, id: &str, reason: &str) -> Result<(), Fault> {
        self.rest.end("DELETE", &format!("{}?reason={reason}", self.channel(id)), None)
    }

    /// Everything that a call had. What can go goes, whatever does not.
    fn clean_up(&self, channel: &str, reason: &str) -> Result<(), Fault> {
        let caller = self.remove(channel, reason);
        let bridge = self.rest.end("DELETE", &self.bridge(&names::bridge(channel)), None);
        let external = self.remove(&names::external(channel), "normal");
        caller.and(bridge).and(external)
    }

    /// Has Asterisk open the call's audio. Its channel comes to life when the host has taken the socket, and only then
    /// the two can meet.
    fn carry(&self, account: &Account, channel: &str, stream: &StreamAction) -> Result<(), Fault> {
        let token = stream.url.rsplit('/').next().unwrap_or_default();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(Fault::Other("a stream URL ends in a token of letters and digits".to_owned()));
        }
        let control = if config::json_control(account) { "f(json)" } else { "" };
        let query = [
            ("app", self.application),
            ("channelId", &names::external(channel)),
            ("external_host", account::required(account, config::CLIENT)?),
            ("format", config::media_format(account)),
            ("transport", "websocket"),
            ("encapsulation", "none"),
            ("connection_type", "client"),
            ("direction", "both"),
            ("transport_data", &format!("{control}v(token={token})")),
        ];
        let url = format!("{}/channels/externalMedia?{}", self.base, encoded(&query));
        done_already(self.rest.change("POST", &url, None))
    }

    /// Brings caller and audio together, and then answers the caller if it still rings: nothing that is said after that is lost.
    fn join(&self, channel: &str) -> Result<(), Fault> {
        let (bridge, external) = (names::bridge(channel), names::external(channel));
        done_already(self.rest.change("POST", &format!("{}?type=mixing", self.bridge(&bridge)), None))?;
        let both = component(&format!("{channel},{external}"));
        self.rest.change("POST", &format!("{}/addChannel?channel={both}", self.bridge(&bridge)), None)?;
        if names::is_outbound(channel) {
            return Ok(());
        }
        self.rest.change("POST", &format!("{}/answer", self.channel(channel)), None).map(|_| ())
    }

    /// The destination takes the place of the call's audio.
    fn swap(&self, channel: &str, destination: &str) -> Result<(), Fault> {
        let (bridge, external) = (self.bridge(&names::bridge(channel)), names::external(channel));
        let name = component(destination);
        self.rest.change("POST", &format!("{bridge}/addChannel?channel={name}"), None)?;
        self.rest.end("POST", &format!("{bridge}/removeChannel?channel={}", component(&external)), None)?;
        self.remove(&external, "normal")
    }

    /// Does somebody else talk to the caller, so that it does without the call's audio?
    fn is_transferred(&self, channel: &str) -> Result<bool, Fault> {
        match self.rest.get(&self.bridge(&names::bridge(channel))) {
            Ok(bridge) => Ok(talk(&bridge, channel)),
            Err(Fault::NotFound) => Ok(false),
            Err(fault) => Err(fault),
        }
    }

    /// Removes what a restart of the host, or a broken socket, has left behind: audio and bridges without a caller, and
    /// callers who were answered and have no audio. Calls go on meanwhile, and may be between two of their steps.
    fn tidy(&self) -> Result<(), Fault> {
        let channels = self.rest.get(&format!("{}/channels", self.base))?;
        let bridges = self.rest.get(&format!("{}/bridges", self.base))?;
        let known: Vec<&str> = list(&channels).iter().filter_map(|channel| text(&channel["id"])).collect();
        let rooms = list(&bridges);
        let named = rooms.iter().filter_map(|bridge| text(&bridge["id"]));
        let made_for = named.filter_map(|bridge| Some((bridge, names::bridged_by(bridge)?)));
        let bridges = made_for.filter(|(_, caller)| !known.contains(caller));
        let talks =
            |channel: &&Value| text(&channel["id"]).is_some_and(|id| rooms.iter().any(|bridge| talk(bridge, id)));
        let stray = list(&channels).iter().filter(|channel| self.is_stray(channel, &known));
        let channels = stray.filter(|channel| !talks(channel));
        let mut left = AT_ONCE;
        let mut spend = |requests| left.checked_sub(requests).map(|less| left = less).ok_or(Fault::RetryLater(1));
        for (bridge, caller) in bridges {
            spend(2)?;
            // The caller may have come after the channels were asked for.
            if self.rest.get(&self.channel(caller)).is_err_and(|fault| fault == Fault::NotFound) {
                self.rest.end("DELETE", &self.bridge(bridge), None)?;
            }
        }
        for id in channels.filter_map(|channel| text(&channel["id"])) {
            spend(1)?;
            self.remove(id, "failure")?;
        }
        Ok(())
    }

    fn is_stray(&self, channel: &Value, known: &[&str]) -> bool {
        let Some(id) = text(&channel["id"]) else { return false };
        if let Some(caller) = names::carried_by(id) {
            return !known.contains(&caller);
        }
        let application = text(&channel["dialplan"]["app_data"]).unwrap_or_default().split(',').next();
        let ours = channel["dialplan"]["app_name"] == "Stasis" && application == Some(self.application);
        // A call out is the host's own, which waits for its audio only so long.
        ours && !names::is_outbound(id) && channel["state"] == "Up" && !known.contains(&names::external(id).as_str())
    }
}

/// Is the channel in that bridge with somebody who is not its own audio?
fn talk(bridge: &Value, channel: &str) -> bool {
    let external = names::external(channel);
    let channels: Vec<&str> = list(&bridge["channels"]).iter().filter_map(text).collect();
    channels.contains(&channel) && channels.iter().any(|other| *other != channel && *other != external)
}

fn encoded(query: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = query.iter().map(|(name, value)| format!("{name}={}", component(value))).collect();
    pairs.join("&")
}

fn list(found: &Value) -> &[Value] {
    found.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// What has our name is ours: an earlier attempt made it.
fn done_already(outcome: Result<Value, Fault>) -> Result<(), Fault> {
    match outcome {
        Err(Fault::Refused(refusal)) if refusal.code == "409" => Ok(()),
        other => other.map(|_| ()),
    }
}

/// How a number is dialled. Nothing in it may be read as more than a number.
fn dialled(account: &Account, number: &str) -> Result<String, Fault> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+*#._@:-".contains(&byte);
    if number.is_empty() || !number.bytes().all(plain) {
        return Err(Fault::Other("a number to dial has letters, digits and +*#._@:- alone".to_owned()));
    }
    let template = config::dial_template(account);
    Ok(template.replace("{number}", number).replace("{digits}", digits(number)))
}

impl Calls for Asterisk {
    fn probe(http: &dyn Http, account: &Account) -> Result<(), Fault> {
        let ari = Ari::of(http, account)?;
        ari.rest.get(&format!("{}/asterisk/info?only=system", ari.base)).map(|_| ())
    }

    /// The channel has a name of ours, so that an order that is sent again is refused as known.
    fn place(http: &dyn Http, account: &Account, request: &PlaceRequest, _now: u64) -> Result<Placed, Fault> {
        let ari = Ari::of(http, account)?;
        let name = names::outbound(&request.call);
        let endpoint = dialled(account, &request.call.to)?;
        let query = [
            ("endpoint", endpoint.as_str()),
            ("app", ari.application),
            ("appArgs", &format!("jackfield,{}", request.call.id)),
            ("channelId", &name),
            ("callerId", &request.call.from),
            ("timeout", &request.ring_timeout.to_string()),
        ];
        let url = format!("{}/channels?{}", ari.base, encoded(&query));
        match ari.rest.order(&url, &json!({})) {
            Err(Fault::Refused(refusal)) if refusal.code == "409" => ari.rest.placed(&json!(name)),
            answer => ari.rest.placed(&answer?["id"]),
        }
    }

    fn find_placed(
        http: &dyn Http,
        account: &Account,
        request: &PlaceRequest,
        _since: u64,
    ) -> Result<Option<Placed>, Fault> {
        let ari = Ari::of(http, account)?;
        match ari.rest.get(&ari.channel(&names::outbound(&request.call))) {
            Ok(channel) => ari.rest.placed(&channel["id"]).map(Some),
            Err(Fault::NotFound) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    fn answer(http: &dyn Http, account: &Account, call: &Call, action: &Action) -> Result<(), Fault> {
        let ari = Ari::of(http, account)?;
        ari.rest.name_of(call)?;
        let channel = &call.provider_id;
        match action {
            Action::Stream(stream) => ari.carry(account, channel, stream),
            // There is no voice here to say it with, and a refusal says most of it.
            Action::Say(_) => ari.remove(channel, "unallocated"),
            Action::Reject(RejectReason::Busy) => ari.remove(channel, "busy"),
            Action::Reject(RejectReason::Other(why)) if why == "congestion" => ari.remove(channel, "congestion"),
            Action::Reject(_) => ari.remove(channel, "rejected"),
            Action::HangUp => ari.clean_up(channel, "normal"),
            Action::Acknowledge => Ok(()),
            Action::Conference(_) => Err(Fault::Unsupported("a conference".to_owned())),
            Action::Other(what) => Err(Fault::Unsupported(what.clone())),
        }
    }

    fn proceed(http: &dyn Http, account: &Account, call: Option<&Call>, step: &str) -> Result<(), Fault> {
        let ari = Ari::of(http, account)?;
        let Some(call) = call else {
            return if step == OPENED { ari.tidy() } else { Err(Fault::Unsupported(step.to_owned())) };
        };
        ari.rest.name_of(call)?;
        let channel = &call.provider_id;
        match step {
            BRIDGE => ari.join(channel).inspect_err(|_| {
                // Half a call is silence that somebody pays for.
                ari.clean_up(channel, "failure").ok();
            }),
            CLEAN_UP => ari.clean_up(channel, "normal"),
            // The caller's own end sees to the rest. One who was put through has somebody else to talk to.
            MEDIA_ENDED if ari.is_transferred(channel)? => Ok(()),
            MEDIA_ENDED => ari.remove(channel, "normal"),
            other => Err(Fault::Unsupported(other.to_owned())),
        }
    }

    /// The destination's channel is called as the transfer, so that its events need no memory to be understood.
    fn transfer(
        http: &dyn Http,
        account: &Account,
        call: &Call,
        step: &TransferStep,
    ) -> Result<TransferProgress, Fault> {
        let ari = Ari::of(http, account)?;
        match step {
            TransferStep::Dial(dial) => {
                let endpoint = dialled(account, &dial.to)?;
                let query = [
                    ("endpoint", endpoint.as_str()),
                    ("app", ari.application),
                    ("appArgs", &format!("transfer,{}", dial.transfer_id)),
                    ("channelId", &dial.transfer_id),
                    ("callerId", &dial.from),
                    ("timeout", &dial.ring_timeout.to_string()),
                ];
                let url = format!("{}/channels?{}", ari.base, encoded(&query));
                done_already(ari.rest.order(&url, &json!({})))?;
                Ok(progress(Some(dial.transfer_id.clone())))
            }
            TransferStep::Join(join) => {
                ari.rest.name_of(call)?;
                ari.swap(&call.provider_id, &join.destination).map(|()| progress(None))
            }
            TransferStep::Cancel(leg) => ari.remove(leg, "normal").map(|()| progress(None)),
            TransferStep::Other(what) => Err(Fault::Unsupported(what.clone())),
        }
    }

    fn hang_up(http: &dyn Http, account: &Account, call: &Call) -> Result<(), Fault> {
        let ari = Ari::of(http, account)?;
        ari.rest.name_of(call)?;
        ari.clean_up(&call.provider_id, "normal")
    }

    fn inspect(http: &dyn Http, account: &Account, call: &Call) -> Result<Inspection, Fault> {
        let ari = Ari::of(http, account)?;
        ari.rest.name_of(call)?;
        match ari.rest.get(&ari.channel(&call.provider_id)) {
            Ok(channel) => {
                let state = text(&channel["state"]).unwrap_or_default();
                let status = match state {
                    "Up" => CallStatus::InProgress,
                    "Ring" | "Ringing" => CallStatus::Ringing,
                    "Busy" => CallStatus::Busy,
                    other => CallStatus::Other(other.to_owned()),
                };
                Ok(inspected(status, state))
            }
            // Asterisk remembers no channel that is gone.
            Err(Fault::NotFound) => Ok(inspected(CallStatus::Completed, "gone")),
            Err(fault) => Err(fault),
        }
    }

    /// A dialplan is a file: nothing can be bound from here.
    fn bind_number(_http: &dyn Http, account: &Account, number: &str, webhook: Option<&str>) -> Result<Binding, Fault> {
        if webhook.is_none() {
            return Ok(bound());
        }
        let line = format!("exten => {number},1,Stasis({})", config::application(account));
        Ok(Binding { warnings: vec![format!("put this into extensions.conf, and reload it: {line}")] })
    }
}
