//! A plugin that is not in Rust: twenty megabytes of an interpreter, in the sandbox that all others are in.

use jackfield_tests::carrier::{Account, Carrier, Leg, Signature};
use jackfield_tests::python_plugin;
use serde_json::json;

use crate::world::{CALLER, World, audio_of, ended, frames, speak_and_hear};

const ITS_NUMBER: &str = "+12065550177";

/// A host that has it, and one account more: of its provider.
async fn world() -> World {
    let mut world = World::new().await;
    let bytes = tokio::task::spawn_blocking(python_plugin::build).await.unwrap().unwrap();
    world.api.put_plugin(python_plugin::NAME, bytes).await.unwrap().expect(200).unwrap();
    let account = Account::fresh();
    let fields = json!({ "account_sid": account.sid, "auth_token": account.token });
    let form = json!({ "name": "python", "provider": python_plugin::NAME, "fields": fields });
    world.configuration = world.api.create("telephony/configurations", &form).await.unwrap();
    world.api.add_number(ITS_NUMBER, &world.configuration, Some(&world.agent)).await.unwrap();
    world.carrier = Carrier::new(world.host.gateway(), account).unwrap();
    world
}

#[tokio::test]
async fn a_plugin_in_python_lets_calls_in_and_carries_their_audio() {
    let world = world().await;
    let mut calls = Vec::new();
    for _ in 0..2 {
        let leg = Leg::inbound(CALLER, ITS_NUMBER);
        let verb = world.carrier.ring_through(&leg).await.unwrap();
        let stream = world.carrier.open_stream(&leg, &verb).await.unwrap();
        calls.push((stream, leg, verb.status_callback.unwrap()));
    }
    for (stream, ..) in &mut calls {
        speak_and_hear(stream, &frames(50)).await;
    }
    for (stream, leg, url) in calls {
        stream.hang_up();
        let over = world.carrier.status_webhook(&url, &leg, "completed", 1, &[]);
        assert!(world.carrier.post(&over).await.unwrap().status < 300);
        let call = world.call_when(&leg, "the end", ended).await;
        assert_eq!(call["status"], "completed", "{call:#}");
        assert_eq!((&audio_of(&call)["bad"], &audio_of(&call)["frames_in"]), (&json!(0), &json!(50)), "{call:#}");
    }
    let forged = world.carrier.inbound_webhook(&Leg::inbound(CALLER, ITS_NUMBER)).signed(Signature::OtherToken);
    assert_eq!(world.carrier.post(&forged).await.unwrap().status, 403);
    let plugin = world.api.get("plugins/twilio-py").await.unwrap().expect(200).unwrap();
    let traps = plugin["generations"].as_array().unwrap().iter().map(|one| one["traps"].as_u64().unwrap()).sum::<u64>();
    assert_eq!(traps, 0, "{plugin:#}");
}
