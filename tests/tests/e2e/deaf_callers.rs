//! Media sockets that are not read, for a while or for ever.

use crate::world::{World, audio_of, ended, frames, speak_and_hear};

/// What the kernel takes for a socket that nobody reads is not the host's: little, here.
const BUFFER: u32 = 4 << 10;

/// Frames that tell which one each is.
fn numbered(numbers: std::ops::Range<u8>) -> Vec<Vec<u8>> {
    numbers.map(|number| vec![number; 160]).collect()
}

async fn narrow_world() -> World {
    let mut world = World::new().await;
    world.carrier.receive_buffer = Some(BUFFER);
    world
}

#[tokio::test]
async fn a_caller_who_hears_nothing_for_a_while_then_hears_what_is_said_now() {
    let world = narrow_world().await;
    let (leg, mut stream) = world.call_in().await;
    speak_and_hear(&mut stream, &numbered(0..10)).await;
    stream.listen(false);
    stream.speak(&numbered(10..190)).await;
    stream.listen(true);
    stream.speak(&numbered(190..200)).await;
    let last = |heard: &jackfield_tests::carrier::Heard| {
        heard.audio.last().is_some_and(|passed| passed.bytes.first() == Some(&199))
    };
    let heard = stream.until("the newest", last).await.unwrap();
    let numbers: Vec<u8> = heard.audio.iter().filter_map(|passed| passed.bytes.first().copied()).collect();
    assert!(heard.audio.iter().all(|passed| passed.bytes == [passed.bytes[0]; 160]), "whole frames");
    assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
    // Of 3.6 s, what both kernels and the host held: far less than half.
    let stale = numbers.iter().filter(|number| (10..190).contains(*number)).count();
    assert!(stale < 60, "{stale} of 180 frames were kept: {numbers:?}");
    stream.hang_up();
    let call = world.call_when(&leg, "the end", ended).await;
    let audio = audio_of(&call);
    assert_eq!(audio["dropped"], 200 - numbers.len(), "{audio:#}");
}

#[tokio::test]
async fn a_caller_who_never_hears_again_is_cut_off_and_no_other() {
    let world = narrow_world().await;
    let (_, mut other) = world.call_in().await;
    let (leg, mut stream) = world.call_in().await;
    speak_and_hear(&mut stream, &frames(5)).await;
    stream.listen(false);
    let mut call = serde_json::Value::Null;
    // It still speaks, so that its silence is not what ends it.
    for _ in 0..30 {
        stream.speak(&vec![vec![0x55; 160]; 50]).await;
        call = world.api.call_of(&leg.sid).await.unwrap();
        if ended(&call) {
            break;
        }
    }
    // It had been answered: its reason says that it did not end well.
    assert_eq!(call["status"], "completed", "{call:#}");
    assert!(call["end_reason"].as_str().unwrap().contains("stopped reading"), "{call:#}");
    let audio = audio_of(&call);
    assert!(audio["dropped"].as_u64().unwrap() > 200, "{audio:#}");
    stream.listen(true);
    stream.until("the cut", |heard| heard.closed.is_some()).await.unwrap();
    speak_and_hear(&mut other, &frames(5)).await;
}
