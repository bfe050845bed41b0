//! One call for each provider, over real sockets and in its own wire format: speech in, echo out.

use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use jackfield_tests::carrier::dialects::{Dialect, FRAMES, NUMBER, Webhook, all};
use jackfield_tests::echo::{Passed, compare};
use jackfield_tests::host_process::{HostOptions, HostProcess};
use jackfield_tests::python_peer::PythonPeer;
use jackfield_tests::speech;
use serde_json::{Value, json};
use tokio::net::TcpStream;

/// The URL of the stream in an answer of any form.
fn stream_url(answer: &str) -> Option<&str> {
    let (_, rest) = answer.split_once("wss://gw.example.net")?;
    let end = rest.find(['"', '<', '\'']).unwrap_or(rest.len());
    rest.get(..end)
}

/// A call to an agent: what was said, and what was heard.
async fn call(dialect: &Dialect, agent: &Value) -> (HostProcess, (Vec<Passed>, Vec<Passed>)) {
    let host = HostOptions::new().unwrap().recording().start().unwrap();
    let api = host.api().unwrap();
    let account = json!({ "name": "main", "provider": dialect.provider, "fields": dialect.fields });
    let configuration = api.create("telephony/configurations", &account).await.unwrap();
    let agent = api.create("agents", agent).await.unwrap();
    api.add_number(NUMBER, &configuration, Some(&agent)).await.unwrap();
    let address = host.gateway().address;
    let answer = ring(address, &(dialect.webhook)()).await;
    assert_eq!(answer.0, 200, "{}\n{}", answer.1, host.output());
    let path = stream_url(&answer.1).unwrap_or_else(|| panic!("no stream in {}", answer.1));
    let passed = speak_and_hear(dialect, address, path).await;
    (host, passed)
}

async fn converse(dialect: &Dialect) {
    let (host, sent) = call(dialect, &json!({ "name": "echo", "connector": "echo" })).await;
    let api = host.api().unwrap();
    let report = compare(&in_chunks(&sent.0), &in_chunks(&sent.1));
    assert!(report.whole(), "{}: {report:?}\n{}", dialect.provider, host.output());
    let call = api.calls().await.unwrap().remove(0);
    assert_eq!((&call["from"], &call["to"]), (&json!("+14155550123"), &json!(NUMBER)));
    assert_eq!(call["provider"], dialect.provider);
}

/// The comparison works on frames of 160 bytes; wider ones are cut into such.
fn in_chunks(passed: &[Passed]) -> Vec<Passed> {
    let cut = |one: &Passed| {
        let at = one.at;
        one.bytes.chunks(speech::FRAME).map(move |part| Passed { at, bytes: part.to_vec() }).collect::<Vec<_>>()
    };
    passed.iter().flat_map(cut).collect()
}

async fn ring(address: std::net::SocketAddr, webhook: &Webhook) -> (u16, String) {
    let client = reqwest::Client::builder().build().unwrap();
    let mut request =
        client.post(format!("http://{address}/api/v1/telephony/inbound/run")).header("host", "gw.example.net");
    for (name, value) in &webhook.headers {
        request = request.header(*name, value);
    }
    let answer = request.body(webhook.body.clone()).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

async fn speak_and_hear(dialect: &Dialect, address: std::net::SocketAddr, path: &str) -> (Vec<Passed>, Vec<Passed>) {
    let socket = TcpStream::connect(address).await.unwrap();
    let url = format!("ws://gw.example.net{path}");
    let (socket, _) = tokio_tungstenite::client_async(url, socket).await.unwrap();
    let (mut out, mut back) = socket.split();
    for message in (dialect.start)() {
        out.send(message).await.unwrap();
    }
    let frames = (dialect.frames)();
    let total: usize = frames.iter().map(Vec::len).sum();
    let (mut sent, mut heard, mut bytes) = (Vec::new(), Vec::new(), 0);
    let mut beat = tokio::time::interval(Duration::from_millis(20));
    let mut frames = frames.into_iter();
    let deadline = tokio::time::sleep(Duration::from_secs(10));
    tokio::pin!(deadline);
    while bytes < total {
        tokio::select! {
            _ = beat.tick(), if sent.len() < FRAMES => {
                let frame = frames.next().unwrap_or_default();
                out.send((dialect.speak)(sent.len() as u64 + 1, &frame)).await.unwrap();
                sent.push(Passed { at: Instant::now(), bytes: frame });
            }
            message = back.next() => {
                let message = message.expect("the host cut the stream").unwrap();
                if let Some(audio) = (dialect.hear)(&message) {
                    bytes += audio.len();
                    heard.push(Passed { at: Instant::now(), bytes: audio });
                }
            }
            () = &mut deadline => break,
        }
    }
    (sent, heard)
}

#[tokio::test]
async fn every_provider_carries_a_call_in_its_own_words() {
    for dialect in all() {
        converse(&dialect).await;
    }
}

/// Frames of 20 ms with somebody's voice in them, whatever they are encoded in: silence has the same few bytes all through.
fn voiced(passed: &[Passed]) -> usize {
    let all: Vec<u8> = passed.iter().flat_map(|one| one.bytes.iter().copied()).collect();
    let distinct = |frame: &[u8]| frame.iter().collect::<std::collections::HashSet<_>>().len();
    all.chunks(speech::FRAME).filter(|frame| distinct(frame) > 24).count()
}

#[tokio::test]
async fn a_real_pipecat_bot_for_twilio_serves_calls_of_every_provider_unmodified() {
    let bot = PythonPeer::pipecat_echo().unwrap();
    let url = format!("ws://{}/ws", bot.address);
    let agent = json!({ "name": "bot", "connector": "twilio-stream", "url": url });
    for dialect in all() {
        let (host, (sent, heard)) = call(&dialect, &agent).await;
        let (said, echoed) = (voiced(&sent), voiced(&heard));
        let told = format!("{}: {said} said, {echoed} heard", dialect.provider);
        assert!(said > 20 && echoed * 10 >= said * 8, "{told}\n{}", host.output());
    }
}
