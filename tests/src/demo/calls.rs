//! The demo's three calls.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::timeline::short;
use super::{CALLER, NUMBER, Stage};
use crate::carrier::{Leg, MediaStream, document, parse_stream};
use crate::echo;
use crate::{api, speech};

/// A call that is up.
pub(crate) struct Live {
    leg: Leg,
    id: String,
    generation: String,
    stream: MediaStream,
    began: Instant,
}

/// The first call: half of the sentence on the old plugin, the swap, and the other half.
pub(crate) async fn first(stage: &mut Stage) -> Result<Live> {
    let mut live = put_through(stage, CALLER, "first").await?;
    let frames = speech::hello_frames()?;
    let (before, after) = frames.split_at(frames.len() / 2);
    stage.timeline.said("caller", "agent", &format!("speaks: {} ms of the sentence", before.len() * 20));
    live.stream.speak(before).await;
    live.stream.dtmf("5");
    stage.timeline.said("caller", "agent", "presses 5");
    stage.timeline.said("operator", "host", "PUT plugins/twilio, a new build, while the caller speaks on");
    // The swap runs beside the speech: nobody waits for it.
    let (api, build, timeline) = (stage.api.clone(), stage.next_build.clone(), &mut stage.timeline);
    let swap = async move {
        let asked = Instant::now();
        let swapped = api.put_plugin("twilio", build).await?.expect(200)?;
        let digest = swapped["digest"].as_str().context("the answer to PUT names no digest")?.to_owned();
        let (took, short) = (asked.elapsed().as_millis(), short(&digest));
        timeline.said("host", "operator", &format!("after {took} ms new calls begin on {short}: {}", stages(&swapped)));
        anyhow::Ok(digest)
    };
    let (digest, ()) = tokio::join!(swap, live.stream.speak(after));
    let digest = digest?;
    stage.timeline.check(digest != live.generation, "the new build is another generation");
    still_on(stage, &live, "after the swap the first call is still on its own generation").await?;
    Ok(live)
}

/// The second call, while the first is up, on the new build.
pub(crate) async fn second(stage: &mut Stage, first: &Live) -> Result<Live> {
    let mut live = put_through(stage, "+14155550124", "second").await?;
    let fresh = live.generation != first.generation;
    let what =
        format!("the second call runs on {}, the first on {}", short(&live.generation), short(&first.generation));
    stage.timeline.check(fresh, &what);
    stage.timeline.said("second caller", "agent", "speaks: 1000 ms");
    let frames = speech::hello_frames()?;
    live.stream.speak(frames.get(..50).context("a sentence of a second at least")?).await;
    Ok(live)
}

/// Both callers hang up; what they heard is compared with what they said.
pub(crate) async fn end_both(stage: &mut Stage, mut first: Live, mut second: Live) -> Result<()> {
    still_on(stage, &first, "two generations served at once").await?;
    settle(&mut first.stream).await;
    settle(&mut second.stream).await;
    for live in [&first, &second] {
        live.stream.hang_up();
        stage.timeline.said("caller", "host", &format!("hangs up ({})", live.id));
        report_end(stage, live).await?;
    }
    let heard = first.stream.heard();
    let bytes: Vec<u8> = heard.audio.iter().flat_map(|passed| passed.bytes.clone()).collect();
    speech::write_wav(&stage.folder.join("echo.wav"), &bytes)?;
    stage.timeline.check_echo("echo of the first call", &echo::compare(first.stream.sent(), &heard.audio));
    let of_second = echo::compare(second.stream.sent(), &second.stream.heard().audio);
    stage.timeline.check_echo("echo of the second call", &of_second);
    for live in [first, second] {
        ended(stage, &live.id, "completed").await?;
    }
    Ok(())
}

/// A call the host places: dialled over REST, answered, spoken on, ended by the operator.
pub(crate) async fn outbound(stage: &mut Stage) -> Result<()> {
    let order = json!({ "agent": "echo", "to": CALLER, "from": NUMBER, "configuration": stage.configuration });
    stage.timeline.said("operator", "host", &format!("POST calls: echo is to call {CALLER}"));
    let made = stage.api.post("calls", &order).await?.expect(201)?;
    let id = api::id_of(&made)?;
    let placed = stage.rest.placed().await?;
    stage.timeline.said("host", "Twilio", &format!("POST Calls.json: {} is dialled", placed.to));
    let leg = Leg { sid: placed.sid.clone(), from: placed.from, to: placed.to, direction: "outbound-api" };
    for (sequence, status) in (0..).zip(["initiated", "ringing"]) {
        let report = stage.carrier.status_webhook(&placed.status_callback, &leg, status, sequence, &[]);
        let answer = stage.carrier.post(&report).await?;
        stage.timeline.check(answer.status / 100 == 2, &format!("Twilio reports {status}"));
    }
    let webhook = crate::carrier::Webhook::new(&placed.url, stage.carrier.fields(&leg, "in-progress"));
    let verb = parse_stream(document(&stage.carrier.post(&webhook).await?)?)?;
    stage.timeline.said("Twilio", "host", "answered: what now? -> connect a stream");
    let mut stream = stage.carrier.open_stream(&leg, &verb).await?;
    let frames = speech::hello_frames()?;
    stream.speak(frames.get(..50).context("a sentence of a second at least")?).await;
    settle(&mut stream).await;
    let report = echo::compare(stream.sent(), &stream.heard().audio);
    stage.timeline.check_echo("echo of the outbound call", &report);
    stage.api.post(&format!("calls/{id}/hangup"), &json!({})).await?;
    stage.timeline.said("operator", "host", "hang up");
    let closed = stream.until("the stream's end", |heard| heard.closed.is_some()).await;
    stage.timeline.check(closed.is_ok(), "the host closed the stream");
    let told = stage.rest.seen().iter().any(|seen| seen.path.contains(&leg.sid) && seen.field("Status") == "completed");
    stage.timeline.check(told, "the hang-up reached Twilio");
    let last = stage.carrier.status_webhook(&placed.status_callback, &leg, "completed", 3, &[("CallDuration", "2")]);
    stage.carrier.post(&last).await?;
    ended(stage, &id, "completed").await
}

/// The number's own status callback: it is over, and how long it was.
async fn report_end(stage: &mut Stage, live: &Live) -> Result<()> {
    let seconds = live.began.elapsed().as_secs().max(1).to_string();
    let url = stage.carrier.shared_inbound_url();
    let report = stage.carrier.status_webhook(&url, &live.leg, "completed", 1, &[("CallDuration", &seconds)]);
    let answer = stage.carrier.post(&report).await?;
    stage.timeline.check(answer.status / 100 == 2, &format!("Twilio reports completed after {seconds} s"));
    Ok(())
}

async fn put_through(stage: &mut Stage, caller: &str, which: &str) -> Result<Live> {
    let leg = Leg::inbound(caller, NUMBER);
    let what = format!("the {which} call: {caller} rings {NUMBER}, a signed webhook");
    stage.timeline.said("Twilio", "host", &what);
    let verb = stage.carrier.ring_through(&leg).await?;
    let call = stage.api.call_of(&leg.sid).await?;
    let id = api::id_of(&call)?;
    let generation = call["generation"].as_str().context("the call names no generation")?.to_owned();
    let what = format!("connect a stream (call {id}, generation {})", short(&generation));
    stage.timeline.said("host", "Twilio", &what);
    let stream = stage.carrier.open_stream(&leg, &verb).await?;
    Ok(Live { leg, id, generation, stream, began: Instant::now() })
}

async fn still_on(stage: &mut Stage, live: &Live, what: &str) -> Result<()> {
    let call = stage.api.call_of(&live.leg.sid).await?;
    let what = format!("{what}: {}", short(&live.generation));
    stage.timeline.check(call["generation"] == live.generation.as_str() && call["status"] == "in-progress", &what);
    Ok(())
}

/// Gives the last frames the time to come back.
async fn settle(stream: &mut MediaStream) {
    let sent: usize = stream.sent().iter().map(|passed| passed.bytes.len()).sum();
    let all = stream.until("the end of the echo", |heard| heard.bytes() >= sent);
    // What is missing then is counted as missing.
    tokio::time::timeout(Duration::from_secs(1), all).await.ok();
}

async fn ended(stage: &mut Stage, id: &str, status: &str) -> Result<()> {
    let mut call = Value::Null;
    for _ in 0..200 {
        call = stage.api.call(id).await?;
        if call["ended_at"].is_number() || call["ended_at"].is_string() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let word = |field: &str| call[field].as_str().unwrap_or("?").to_owned();
    let (is, by, on) = (word("status"), word("end_reason"), word("generation"));
    let what = format!("call {id}: {is}, ended by {by}, {} s, on {}", call["duration_s"], short(&on));
    stage.timeline.check(call["status"] == status, &what);
    Ok(())
}

fn stages(admission: &Value) -> String {
    let stages = admission["stages"].as_array().cloned().unwrap_or_default();
    let named = |stage: &Value| {
        let micros = stage["micros"].as_f64().unwrap_or_default();
        format!("{} {:.1} ms", stage["stage"].as_str().unwrap_or("?"), micros / 1_000.0)
    };
    stages.iter().map(named).collect::<Vec<_>>().join(", ")
}
