//! Rubbish on the media socket.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jackfield_tests::carrier::Leg;
use jackfield_tests::echo;

use crate::world::{CALLER, NUMBER, World, audio_of, ended, frames, speak_and_hear};

/// The largest message that a provider may send.
const LARGEST: usize = 64 << 10;

#[tokio::test]
async fn frames_of_any_length_or_none_are_survived_and_counted() {
    let world = World::new().await;
    let before = world.metric("jackfield_media_frames_bad_total").await;
    let (_, mut stream) = world.call_in().await;
    speak_and_hear(&mut stream, &frames(5)).await;
    for payload in ["", "A", "not base64 at all!", "////=", "//"] {
        stream.payload(payload);
    }
    for text in ["", "{", "[]", "null", "{\"event\":\"media\"}", "{\"event\":7}", "{\"event\":\"never heard of\"}"] {
        stream.raw_text(text);
    }
    stream.raw_binary(vec![0; 160]);
    let heard = stream.heard().bytes();
    let rest = frames(30).split_off(5);
    stream.speak(&rest).await;
    let wanted = heard + rest.len() * 160;
    let heard = stream.until("the call to go on", |heard| heard.bytes() >= wanted).await.unwrap();
    assert!(heard.closed.is_none() && heard.illegal.is_empty(), "{heard:?}");
    // Odd bytes may shift what follows; every whole frame sent after them is still heard somewhere in the echo.
    let report = echo::compare(&stream.sent()[..5], &heard.audio[..5]);
    assert!(report.whole(), "{report:?}");
    stream.hang_up();
    stream.until("the end", |heard| heard.closed.is_some()).await.unwrap();
    let mut after = before;
    for _ in 0..100 {
        // A stream's counts are added when it is over.
        after = world.metric("jackfield_media_frames_bad_total").await;
        if after > before {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(after >= before + 5.0, "{before} then {after}\n{}", world.api.get("/metrics").await.unwrap().text());
}

#[tokio::test]
async fn a_stream_that_names_another_call_carries_nothing_and_is_cut() {
    let world = World::with(|options| options.with_settings("[media]\nno_media_ms = 1000\n")).await;
    let leg = Leg::inbound(CALLER, NUMBER);
    let verb = world.carrier.ring_through(&leg).await.unwrap();
    let mut stream = world.carrier.dial_stream(&leg, &verb.url).await.unwrap();
    stream.begin(&world.carrier.account.sid, "CAffffffffffffffffffffffffffffffff", &verb.parameters);
    for frame in frames(10) {
        stream.frame(&frame);
    }
    stream.until("the cut", |heard| heard.closed.is_some()).await.unwrap();
    assert_eq!(stream.heard().bytes(), 0);
}

#[tokio::test]
async fn a_message_of_64_kib_is_survived_and_a_longer_one_closes_its_socket_alone() {
    let world = World::new().await;
    let (_, mut other) = world.call_in().await;
    let (leg, mut stream) = world.call_in().await;
    speak_and_hear(&mut stream, &frames(5)).await;
    // Frames of odd lengths are audio like any.
    for length in [0, 1, 159, 161] {
        stream.payload(&STANDARD.encode(vec![0x55; length]));
    }
    let sid = &stream.stream_sid;
    let payload = STANDARD.encode(vec![0x55; 48_000]);
    let mut text =
        format!(r#"{{"event":"media","streamSid":"{sid}","media":{{"track":"inbound","payload":"{payload}"}}}}"#);
    text.extend(std::iter::repeat_n(' ', LARGEST - text.len()));
    // Six seconds at once are more than anybody may say.
    stream.raw_text(&text);
    let wanted = stream.heard().bytes() + 321 + 5 * 160;
    stream.speak(&frames(5)).await;
    let heard = stream.until("the call to go on", |heard| heard.bytes() >= wanted).await.unwrap();
    assert!(heard.closed.is_none() && heard.bytes() < 48_000, "{heard:?}");
    text.push(' ');
    stream.raw_text(&text);
    stream.until("the cut", |heard| heard.closed.is_some()).await.unwrap();
    // As if the line had gone dead.
    let call = world.call_when(&leg, "the end", ended).await;
    assert_eq!(call["status"], "completed", "{call:#}");
    let audio = audio_of(&call);
    assert_eq!((&audio["dropped"], &audio["bad"]), (&1.into(), &1.into()), "{audio:#}");
    speak_and_hear(&mut other, &frames(5)).await;
}
