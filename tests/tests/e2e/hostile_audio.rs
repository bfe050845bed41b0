//! Plugins that misbehave at a call's audio.

use jackfield_tests::carrier::Leg;
use jackfield_tests::hostile::{Export, Hostile, Misdeed};
use jackfield_tests::telephone::Telephone;

use crate::world::{CALLER, NUMBER, World, frames, speak_and_hear};

#[tokio::test]
async fn the_plugin_that_takes_any_call_carries_its_audio_both_ways() {
    let world = World::new().await;
    let plugin = Hostile::harmless("phone");
    let telephone = Telephone::install(&world.api, &world.carrier, &plugin, &world.agent).await.unwrap();
    let mut line = telephone.call("7").await.unwrap();
    for number in 0..5u8 {
        line.say(vec![0x80 | number; 160]).await.unwrap();
    }
    // The echo, and silence where it has nothing yet.
    let mut heard = Vec::new();
    while heard.len() < 5 {
        let frame = line.hear().await.expect("the line is up");
        heard.extend(frame.first().copied().filter(|byte| *byte < 0xFF));
    }
    assert_eq!(heard, [0x80, 0x81, 0x82, 0x83, 0x84]);
}

#[tokio::test]
async fn a_plugin_that_fails_at_audio_costs_its_own_calls_and_soon_gets_none() {
    let world = World::new().await;
    let (_, mut stream) = world.call_in().await;
    for (name, misdeed) in [("looping", Misdeed::Loop), ("trapping", Misdeed::Trap)] {
        let plugin = Hostile::new(name, Export::Decode, misdeed);
        let telephone = Telephone::install(&world.api, &world.carrier, &plugin, &world.agent).await.unwrap();
        for caller in 0..5 {
            let mut line = telephone.call(&caller.to_string()).await.unwrap();
            assert_eq!(line.hear().await, None, "{name}: the line is dead");
        }
        let plugin = format!("plugins/{name}");
        let audio = async || world.api.get(&plugin).await.unwrap().expect(200).unwrap()["breaker"]["audio"].clone();
        while audio().await != "out" {
            tokio::task::yield_now().await;
        }
        let answer = telephone.dial("5").await.unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (200, ""), "{name}: nowhere to send audio");
        let calls = world.api.get("calls").await.unwrap().expect(200).unwrap();
        let newest = &calls["items"][0];
        assert_eq!((&newest["provider"], &newest["status"]), (&name.into(), &"failed".into()), "{calls:#}");
        assert!(newest["end_reason"].as_str().unwrap().contains("keeps failing at audio"), "{calls:#}");
        // An operator gives it another chance.
        world.api.post(&format!("{plugin}/release"), &serde_json::Value::Null).await.unwrap().expect(200).unwrap();
        assert_eq!(audio().await, "in");
        telephone.call("6").await.unwrap();
        speak_and_hear(&mut stream, &frames(10)).await;
    }
    world.carrier.ring_through(&Leg::inbound(CALLER, NUMBER)).await.unwrap();
}
