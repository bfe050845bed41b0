//! New builds of a plugin while calls are up.

use jackfield_tests::carrier::Leg;
use jackfield_tests::hostile::{Export, Hostile, Misdeed};
use jackfield_tests::{echo, place};

use crate::world::{CALLER, NUMBER, World, ended, frames, speak_and_hear};

#[tokio::test]
async fn a_call_keeps_its_generation_while_new_calls_begin_on_the_next() {
    let world = World::new().await;
    let old = world.generation().await;
    let (first, mut first_stream) = world.call_in().await;
    speak_and_hear(&mut first_stream, &frames(10)).await;
    let answer = world.api.put_plugin("twilio", place::plugin("twilio-next").unwrap()).await.unwrap();
    let new = answer.expect(200).unwrap()["digest"].as_str().unwrap().to_owned();
    assert_ne!(old, new);
    let (second, mut second_stream) = world.call_in().await;
    speak_and_hear(&mut second_stream, &frames(10)).await;
    speak_and_hear(&mut first_stream, &frames(20)).await;
    for (leg, generation) in [(&first, &old), (&second, &new)] {
        let call = world.api.call_of(&leg.sid).await.unwrap();
        assert_eq!(call["generation"], generation.as_str());
        assert_eq!(call["status"], "in-progress");
    }
    assert!(echo::compare(first_stream.sent(), &first_stream.heard().audio).whole());
    first_stream.hang_up();
    assert_eq!(world.call_when(&first, "the end", ended).await["generation"], old.as_str());
}

#[tokio::test]
async fn a_rollback_brings_the_build_before_back_for_new_calls() {
    let world = World::new().await;
    let old = world.generation().await;
    world.api.put_plugin("twilio", place::plugin("twilio-next").unwrap()).await.unwrap().expect(200).unwrap();
    assert_ne!(world.generation().await, old);
    let rolled = world.api.post("plugins/twilio/rollback", &serde_json::json!({})).await.unwrap();
    rolled.expect(200).unwrap();
    assert_eq!(world.generation().await, old);
    let (leg, mut stream) = world.call_in().await;
    speak_and_hear(&mut stream, &frames(5)).await;
    assert_eq!(world.api.call_of(&leg.sid).await.unwrap()["generation"], old.as_str());
}

#[tokio::test]
async fn a_file_in_the_plugin_folder_comes_into_service() {
    let folder = tempfile::tempdir().unwrap();
    let plugins = folder.path().join("plugins.d");
    std::fs::create_dir(&plugins).unwrap();
    let world = World::with(|options| options.in_folder(folder.path())).await;
    let old = world.generation().await;
    let fresh = plugins.join("twilio.part");
    std::fs::write(&fresh, place::plugin("twilio-next").unwrap()).unwrap();
    std::fs::rename(&fresh, plugins.join("twilio.wasm")).unwrap();
    for _ in 0..400 {
        if world.generation().await != old {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the file was not taken in\n{}", world.host.output());
}

#[tokio::test]
async fn a_file_that_is_no_plugin_is_refused_at_the_stage_that_noticed_and_the_old_one_serves() {
    let world = World::new().await;
    let old = world.generation().await;
    let good = place::plugin("twilio").unwrap();
    let cases = [
        ("not wasm", b"this is not wasm".to_vec(), "contract", vec!["not WebAssembly"]),
        ("empty", Vec::new(), "contract", vec![]),
        ("truncated", good[..good.len() / 2].to_vec(), "contract", vec!["damaged"]),
        ("a core module", b"\0asm\x01\0\0\0".to_vec(), "contract", vec!["core"]),
        (
            "another contract",
            Hostile::harmless("twilio").built_for("9.9.0").build().unwrap(),
            "contract",
            vec!["9.9.0", "0.1.0"],
        ),
        (
            "an import",
            Hostile::harmless("twilio").wanting_sockets().build().unwrap(),
            "imports",
            vec!["wasi:sockets/tcp@0.2.0"],
        ),
        ("another name", Hostile::harmless("somebody").build().unwrap(), "describe", vec!["somebody", "twilio"]),
        (
            "a start that traps",
            Hostile::new("twilio", Export::Check, Misdeed::Trap).at_start().build().unwrap(),
            "instantiate",
            vec![],
        ),
        (
            "a start that loops",
            Hostile::new("twilio", Export::Check, Misdeed::Loop).at_start().build().unwrap(),
            "instantiate",
            vec![],
        ),
        (
            "a describe that traps",
            Hostile::new("twilio", Export::Describe, Misdeed::Trap).build().unwrap(),
            "describe",
            vec![],
        ),
        (
            "a describe that loops",
            Hostile::new("twilio", Export::Describe, Misdeed::Loop).build().unwrap(),
            "describe",
            vec![],
        ),
        (
            "rubbish from describe",
            Hostile::new("twilio", Export::Describe, Misdeed::BadText).build().unwrap(),
            "describe",
            vec![],
        ),
        (
            "too much from describe",
            Hostile::new("twilio", Export::Describe, Misdeed::HugeResult).build().unwrap(),
            "describe",
            vec![],
        ),
        (
            "everything is genuine",
            Hostile::harmless("twilio").build().unwrap(),
            "vectors",
            vec!["our own plugin for `twilio`", "it is not genuine, and was taken for it"],
        ),
    ];
    for (what, bytes, stage, words) in cases {
        let answer = world.api.put_plugin("twilio", bytes).await.unwrap();
        let text = answer.text();
        assert_eq!(answer.status, 422, "{what}: {text}");
        let stages = answer.json().unwrap()["stages"].as_array().unwrap().clone();
        assert_eq!(stages.last().unwrap()["stage"], stage, "{what}: {text}");
        assert!(words.iter().all(|word| text.contains(word)), "{what}: {text}");
        assert_eq!(world.generation().await, old, "{what}");
    }
    world.carrier.ring_through(&Leg::inbound(CALLER, NUMBER)).await.unwrap();
}
