//! Other grants for a plugin that serves: a rollout as any other.

use jackfield_tests::http::Answer;
use jackfield_tests::place;
use serde_json::{Value, json};

use crate::world::{World, frames, speak_and_hear};

async fn grant(world: &World, grants: &Value) -> Answer {
    world.api.put("plugins/twilio/grants", grants).await.unwrap()
}

async fn serving(world: &World) -> Value {
    let plugin = world.api.get("plugins/twilio").await.unwrap().expect(200).unwrap();
    let generations = plugin["generations"].as_array().unwrap();
    generations.iter().find(|known| known["current"] == true).unwrap().clone()
}

#[tokio::test]
async fn other_grants_are_rolled_out_and_back_while_calls_keep_what_they_have() {
    let world = World::new().await;
    let old = world.generation().await;
    let (leg, mut stream) = world.call_in().await;

    let begun = grant(&world, &json!({ "requests": 4, "memory_bytes": 16_777_216 })).await.expect(200).unwrap();
    let new = begun["digest"].as_str().unwrap();
    assert!(new.starts_with(&old) && new.len() == old.len() + 17, "{begun:#}");
    let stages: Vec<&str> =
        begun["stages"].as_array().unwrap().iter().map(|stage| stage["stage"].as_str().unwrap()).collect();
    assert!(stages.ends_with(&["describe", "grants", "vectors", "accounts", "replay", "promote"]), "{stages:?}");
    let now = serving(&world).await;
    assert_eq!(now["grants"], json!({ "requests": 4, "memory_bytes": 16_777_216 }));
    assert_eq!((&now["granted_by_order"], &now["digest"]), (&json!(true), &json!(new)));

    speak_and_hear(&mut stream, &frames(5)).await;
    let call = world.api.call_of(&leg.sid).await.unwrap();
    assert_eq!(call["generation"], old.as_str(), "a call keeps what it began with");
    let (leg, mut other) = world.call_in().await;
    speak_and_hear(&mut other, &frames(5)).await;
    assert_eq!(world.api.call_of(&leg.sid).await.unwrap()["generation"], new);

    let next = world.api.put_plugin("twilio", place::plugin("twilio-next").unwrap()).await.unwrap();
    let next = next.expect(200).unwrap();
    assert_eq!(serving(&world).await["grants"]["requests"], 4, "grants hold for builds to come: {next:#}");
    for back in [new, &old] {
        world.api.post("plugins/twilio/rollback", &json!({})).await.unwrap().expect(200).unwrap();
        assert_eq!(serving(&world).await["digest"], back, "a build goes back with its grants");
    }
    let record = world.api.get("plugins/twilio/rollouts").await.unwrap().expect(200).unwrap();
    let sources: Vec<&Value> = record["items"].as_array().unwrap().iter().map(|known| &known["source"]).collect();
    assert_eq!(sources, ["api", "grants"]);
}

#[tokio::test]
async fn grants_that_do_not_cover_the_build_or_are_none_change_nothing() {
    let world = World::new().await;
    let old = serving(&world).await;
    assert_eq!((&old["grants"], &old["granted_by_order"]), (&json!({}), &json!(false)));
    for (grants, word) in [
        (json!({ "hosts": ["api.example.com"] }), "the host `"),
        (json!({ "secrets": [] }), "the secret `auth_token`"),
        (json!({ "media": false }), "`media`"),
    ] {
        let refused = grant(&world, &grants).await;
        let problem = refused.json().unwrap();
        assert_eq!((refused.status, &problem["stage"]), (422, &json!("grants")), "{problem:#}");
        assert!(problem["detail"].as_str().unwrap().contains(word), "{problem:#}");
    }
    // Its own vectors tell what it cannot do without.
    let refused = grant(&world, &json!({ "requests": 1 })).await;
    let problem = refused.json().unwrap();
    assert_eq!((refused.status, &problem["stage"]), (422, &json!("vectors")), "{problem:#}");
    assert!(problem["detail"].as_str().unwrap().contains("1 of 2 requests were sent"), "{problem:#}");
    for odd in [json!({ "host": [] }), json!({ "requests": -1 }), json!([])] {
        assert_eq!(grant(&world, &odd).await.status, 400, "{odd}");
    }
    assert_eq!(world.api.put("plugins/nobody/grants", &json!({})).await.unwrap().status, 404);
    let token = json!({ "name": "deploys", "scopes": ["read", "plugins"] });
    let token = world.api.post("tokens", &token).await.unwrap().expect(201).unwrap();
    let deploys = world.api.with_token(token["token"].as_str().unwrap());
    assert_eq!(deploys.put("plugins/twilio/grants", &json!({})).await.unwrap().status, 403, "the operator's alone");
    assert_eq!(serving(&world).await["digest"], old["digest"]);
    let (_, mut stream) = world.call_in().await;
    speak_and_hear(&mut stream, &frames(5)).await;
}

#[tokio::test]
async fn grants_are_there_after_a_restart_and_go_back_to_the_settings() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::with(|options| options.in_folder(folder.path())).await;
    let old = world.generation().await;
    let begun = grant(&world, &json!({ "requests": 3 })).await.expect(200).unwrap();
    world.host.kill().unwrap();
    world.start_again(folder.path());
    let now = serving(&world).await;
    assert_eq!((&now["digest"], &now["grants"]), (&begun["digest"], &json!({ "requests": 3 })));
    assert_eq!(now["source"], "stock", "the binary's own plugin stays the binary's own");
    world.api.delete("plugins/twilio/grants").await.unwrap().expect(200).unwrap();
    assert_eq!(serving(&world).await["granted_by_order"], false);
    assert_eq!(world.generation().await, old);
    world.host.kill().unwrap();
    world.start_again(folder.path());
    assert_eq!(serving(&world).await["grants"], json!({}));
}
