//! Calls from outside to the echo agent.

use jackfield_tests::carrier::{Leg, Verb, document};
use jackfield_tests::echo;

use crate::world::{CALLER, NUMBER, World, ended, frames, speak_and_hear};

#[tokio::test]
async fn a_caller_hears_every_byte_again() {
    let world = World::new().await;
    let (leg, mut stream) = world.call_in().await;
    speak_and_hear(&mut stream, &frames(75)).await;
    let heard = stream.heard();
    let report = echo::compare(stream.sent(), &heard.audio);
    assert!(report.whole(), "{report:?}");
    assert!(heard.illegal.is_empty(), "{:?}", heard.illegal);
    stream.hang_up();
    let call = world.call_when(&leg, "the end", ended).await;
    assert_eq!((call["status"].as_str(), call["direction"].as_str()), (Some("completed"), Some("inbound")));
    assert_eq!((call["from"].as_str(), call["to"].as_str()), (Some(CALLER), Some(NUMBER)));
    assert!(!call["events"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn a_webhook_that_comes_twice_makes_one_call() {
    let world = World::new().await;
    let leg = Leg::inbound(CALLER, NUMBER);
    let webhook = world.carrier.inbound_webhook(&leg);
    let answers = [
        world.carrier.post(&webhook).await.unwrap(),
        world.carrier.post(&webhook).await.unwrap(),
        world.carrier.post(&world.carrier.inbound_webhook(&leg)).await.unwrap(),
    ];
    for answer in answers {
        assert!(matches!(document(&answer).unwrap().as_slice(), [Verb::Stream(_), ..]), "{}", answer.text());
    }
    assert_eq!(world.api.calls().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_number_nobody_has_and_one_nobody_answers_say_so_and_hang_up() {
    let world = World::new().await;
    let silent = "+12065550199";
    world.api.add_number(silent, &world.configuration, None).await.unwrap();
    for number in ["+12065550100", silent] {
        let verbs = world.carrier.ring(&Leg::inbound(CALLER, number)).await.unwrap();
        assert!(matches!(verbs.as_slice(), [Verb::Say(said), Verb::Hangup] if !said.is_empty()), "{number}: {verbs:?}");
    }
    assert!(world.api.calls().await.unwrap().is_empty());
}

#[tokio::test]
async fn the_recording_holds_both_sides_as_they_were() {
    let world = World::new().await;
    let (leg, mut stream) = world.call_in().await;
    speak_and_hear(&mut stream, &frames(50)).await;
    stream.hang_up();
    let call = world.call_when(&leg, "the end", ended).await;
    assert!(call["recording"].is_string(), "the call names its recording: {call:#}");
    let path = world.host.folder().join("data").join(call["recording"].as_str().unwrap());
    let (caller, agent) = read_settled(&path).await;
    let said: Vec<i16> = stream.sent().iter().flat_map(|passed| passed.bytes.iter().copied().map(decoded)).collect();
    for (whose, side) in [("caller", caller), ("agent", agent)] {
        let (frames, found) = (said.len() / 160, in_order(&side, &said));
        assert!(found * 10 >= frames * 9, "{found} of {frames} frames are on the {whose}'s side");
    }
}

fn decoded(byte: u8) -> i16 {
    jackfield_tests::speech::from_ulaw(byte)
}

/// The recording is finished on a thread of its own: once it stops growing it is whole.
async fn read_settled(path: &std::path::Path) -> (Vec<i16>, Vec<i16>) {
    let mut size = 0;
    for _ in 0..100 {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        let now = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        if now > 44 && now == size {
            break;
        }
        size = now;
    }
    let reader = hound::WavReader::open(path).unwrap();
    assert_eq!((reader.spec().channels, reader.spec().sample_rate), (2, 8_000));
    let samples: Vec<i16> = reader.into_samples().map(Result::unwrap).collect();
    samples.chunks_exact(2).map(|pair| (pair[0], pair[1])).unzip()
}

/// How many frames of what was said are on the tape, in their order. A frame that came late leaves a gap before it.
fn in_order(side: &[i16], said: &[i16]) -> usize {
    let (mut rest, mut found) = (side, 0);
    for frame in said.chunks_exact(160) {
        if let Some(at) = rest.windows(160).position(|part| part == frame) {
            rest = &rest[at + 160..];
            found += 1;
        }
    }
    found
}
