//! How a build comes into service, is tried, and goes back by itself.

use std::time::Duration;

use jackfield_tests::carrier::Webhook;
use jackfield_tests::hostile::{Export, Hostile, Misdeed};
use jackfield_tests::place;
use serde_json::{Value, json};

use crate::world::{World, ended, frames, speak_and_hear};

async fn quick() -> World {
    World::with(|options| options.with_settings("[rollout]\nbake_seconds = 2\n")).await
}

async fn rollouts(world: &World, plugin: &str) -> Vec<Value> {
    let page = world.api.get(&format!("plugins/{plugin}/rollouts")).await.unwrap().expect(200).unwrap();
    page["items"].as_array().unwrap().clone()
}

/// Waits until the newest rollout stands so.
async fn stands(world: &World, plugin: &str, state: &str) -> Value {
    let mut newest = Value::Null;
    for _ in 0..400 {
        newest = rollouts(world, plugin).await.into_iter().next().unwrap_or(Value::Null);
        if newest["state"] == state {
            return newest;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("waited for {state}: {newest:#}\n{}", world.host.output());
}

/// A provider whose plugin is made here, with an account. Returns its webhook URL.
async fn made(world: &World, export: Export, misdeed: Misdeed) -> String {
    let bytes = Hostile::new("made", export, misdeed).build().unwrap();
    world.api.put_plugin("made", bytes).await.unwrap().expect(200).unwrap();
    let account = json!({ "name": "made", "provider": "made", "fields": {} });
    let id = world.api.create("telephony/configurations", &account).await.unwrap();
    format!("https://gw.example.net/api/v1/telephony/inbound/{id}")
}

async fn post(world: &World, url: &str, word: &str) -> u16 {
    let webhook = Webhook::new(url, vec![("word".to_owned(), word.to_owned())]);
    world.carrier.post(&webhook).await.unwrap().status
}

async fn digest(world: &World, plugin: &str) -> Value {
    world.api.get(&format!("plugins/{plugin}")).await.unwrap().expect(200).unwrap()["digest"].clone()
}

#[tokio::test]
async fn a_promotion_is_recorded_with_its_stages_and_bakes() {
    let world = quick().await;
    let (_, mut stream) = world.call_in().await;
    speak_and_hear(&mut stream, &frames(5)).await;
    let old = world.generation().await;
    let begun = world.api.put_plugin("twilio", place::plugin("twilio-next").unwrap()).await.unwrap();
    let begun = begun.expect(200).unwrap();
    let stages: Vec<&str> =
        begun["stages"].as_array().unwrap().iter().map(|stage| stage["stage"].as_str().unwrap()).collect();
    let looked_at = ["digest", "size", "contract", "signature", "imports"];
    let run = ["compile", "instantiate", "describe", "grants", "vectors"];
    assert_eq!(stages, [&looked_at[..], &run, &["accounts", "replay", "promote"]].concat());
    let vectors = begun["stages"][9]["detail"].as_str().unwrap();
    assert!(vectors.contains(" of its own hold; ") && vectors.ends_with(" of ours for `twilio` hold"), "{vectors}");
    let replay = begun["stages"][11]["detail"].as_str().unwrap();
    assert!(replay.contains("recorded webhooks are read the same"), "{replay}");
    let record = stands(&world, "twilio", "serving").await;
    assert_eq!((record["id"].clone(), record["previous"].clone()), (begun["rollout"].clone(), json!(old)));
    assert!(record["figures"]["bake"]["new"].is_object(), "{record:#}");
}

#[tokio::test]
async fn a_build_that_fails_at_what_the_old_one_reads_is_refused_by_the_replay() {
    let world = quick().await;
    let url = made(&world, Export::Check, Misdeed::Nothing).await;
    assert_eq!(post(&world, &url, "one").await / 100, 2);
    let good = digest(&world, "made").await;
    let bad = Hostile::new("made", Export::Read, Misdeed::Trap).build().unwrap();
    let refused = world.api.put_plugin("made", bad).await.unwrap();
    assert_eq!(refused.status, 422, "{}", refused.text());
    assert_eq!(refused.json().unwrap()["stage"], "replay");
    assert_eq!(digest(&world, "made").await, good);
    assert_eq!(stands(&world, "made", "refused").await["digest"].as_str().map(str::len), Some(64));
    assert_eq!(post(&world, &url, "two").await / 100, 2);
}

#[tokio::test]
async fn a_build_that_fails_in_its_bake_goes_back_by_itself_and_the_breaker_knows_bad_inputs() {
    let world = World::with(|options| options.with_settings("[rollout]\nbake_seconds = 30\nbake_faults = 4\n")).await;
    let url = made(&world, Export::Check, Misdeed::Nothing).await;
    let good = digest(&world, "made").await;
    // Nothing was recorded yet: there is nothing to replay, and what is wrong shows in service.
    let bad = Hostile::new("made", Export::Authenticate, Misdeed::Trap).build().unwrap();
    world.api.put_plugin("made", bad).await.unwrap().expect(200).unwrap();
    for _ in 0..3 {
        assert_eq!(post(&world, &url, "the same").await, 502);
    }
    let plugin = world.api.get("plugins/made").await.unwrap().json().unwrap();
    assert_eq!(plugin["generations"][0]["traps"], 2, "the third was not given to it: {plugin:#}");
    assert_eq!(plugin["breaker"]["quarantined_inputs"], 1);
    world.api.post("plugins/made/release", &json!({})).await.unwrap().expect(200).unwrap();
    for word in ["a", "b", "c"] {
        post(&world, &url, word).await;
    }
    let record = stands(&world, "made", "rolled-back").await;
    assert!(record["reason"].as_str().unwrap().contains("failed"), "{record:#}");
    assert_eq!(digest(&world, "made").await, good);
    assert_eq!(post(&world, &url, "again").await / 100, 2);
}

#[tokio::test]
async fn a_shadow_sees_copies_and_touches_nothing_and_one_that_fails_is_aborted() {
    let world = quick().await;
    let url = made(&world, Export::Check, Misdeed::Nothing).await;
    let good = digest(&world, "made").await;
    let bad = Hostile::new("made", Export::Read, Misdeed::Trap).build().unwrap();
    let path = "plugins/made?shadow=60s";
    let begun = world.api.send("PUT", path, "application/wasm", bad.clone()).await.unwrap().expect(200).unwrap();
    assert_eq!(begun["state"], "shadow");
    let busy = world.api.send("PUT", path, "application/wasm", bad).await.unwrap();
    assert_eq!(busy.status, 409, "{}", busy.text());
    assert_eq!(digest(&world, "made").await, good);
    assert_eq!(post(&world, &url, "one").await / 100, 2, "callers notice nothing");
    let record = stands(&world, "made", "aborted").await;
    assert_eq!(record["figures"]["shadow"]["failed"], 1, "{record:#}");
    assert_eq!(digest(&world, "made").await, good);
}

#[tokio::test]
async fn a_canary_takes_its_share_of_new_calls_and_then_serves() {
    let world = quick().await;
    let old = world.generation().await;
    let path = "plugins/twilio?shadow=1s&canary=100%25&canary_for=4s";
    let bytes = place::plugin("twilio-next").unwrap();
    let begun = world.api.send("PUT", path, "application/wasm", bytes).await.unwrap().expect(200).unwrap();
    let new = begun["digest"].as_str().unwrap().to_owned();
    let (before, mut first) = world.call_in().await;
    stands(&world, "twilio", "canary").await;
    assert_eq!(world.generation().await, old, "the pointer has not moved");
    let (during, mut second) = world.call_in().await;
    speak_and_hear(&mut second, &frames(10)).await;
    speak_and_hear(&mut first, &frames(10)).await;
    assert_eq!(world.api.call_of(&before.sid).await.unwrap()["generation"], old.as_str());
    assert_eq!(world.api.call_of(&during.sid).await.unwrap()["generation"], new.as_str());
    let record = stands(&world, "twilio", "serving").await;
    assert_eq!(world.generation().await, new);
    assert_eq!(record["figures"]["canary"]["calls"], 1, "{record:#}");
    speak_and_hear(&mut first, &frames(5)).await;
}

#[tokio::test]
async fn a_trial_can_be_aborted_and_nonsense_is_refused() {
    let world = quick().await;
    let old = world.generation().await;
    let next = || place::plugin("twilio-next").unwrap();
    for odd in ["shadow=soon", "canary=0%25", "canary=101%25", "shadow=99999h", "colour=red"] {
        let answer = world.api.send("PUT", &format!("plugins/twilio?{odd}"), "application/wasm", next()).await.unwrap();
        assert_eq!(answer.status, 400, "{odd}: {}", answer.text());
    }
    world.api.send("PUT", "plugins/twilio?shadow=1h", "application/wasm", next()).await.unwrap().expect(200).unwrap();
    world.api.post("plugins/twilio/abort", &json!({})).await.unwrap().expect(200).unwrap();
    assert_eq!(stands(&world, "twilio", "aborted").await["reason"], "it was aborted");
    assert_eq!(world.generation().await, old);
    assert_eq!(world.api.post("plugins/twilio/abort", &json!({})).await.unwrap().status, 404);
}

#[tokio::test]
async fn a_plugin_that_asks_for_more_than_the_operator_grants_is_not_admitted() {
    let grants = "[plugins]\ngrants_required = true\n[plugins.grants.twilio]\nhosts = [\"*.twilio.com\"]\n\
                  secrets = [\"auth_token\", \"auth_token_secondary\", \"webhook_shared_key\", \"api_key_secret\"]\n\
                  [plugins.grants.vonage]\nhosts = []\n\
                  [plugins.grants.plivo]\nsecrets = []\n[plugins.grants.made]\nmedia = false\n";
    let world = World::with(|options| options.with_settings(grants)).await;
    let (_, mut stream) = world.call_in().await;
    speak_and_hear(&mut stream, &frames(5)).await;
    let listed = world.api.get("plugins").await.unwrap().expect(200).unwrap();
    let names: Vec<_> = listed["items"].as_array().unwrap().iter().map(|plugin| plugin["name"].clone()).collect();
    assert_eq!(names, ["twilio"], "no other was granted what it asks for: {}", world.host.output());
    let upload = async |name: &str, bytes: Vec<u8>| {
        let refused = world.api.put_plugin(name, bytes).await.unwrap();
        assert_eq!(refused.status, 422, "{name}: {}", refused.text());
        let problem = refused.json().unwrap();
        assert_eq!(problem["stage"], "grants", "{name}: {problem:#}");
        problem["detail"].as_str().unwrap().to_owned()
    };
    assert!(upload("vonage", place::plugin("vonage").unwrap()).await.contains("the host `"));
    assert!(upload("plivo", place::plugin("plivo").unwrap()).await.contains("the secret `auth_token`"));
    assert!(upload("made", Hostile::harmless("made").build().unwrap()).await.contains("`media`"));
    assert!(upload("other", Hostile::harmless("other").build().unwrap()).await.contains("grants_required"));
    world.api.put_plugin("twilio", place::plugin("twilio-next").unwrap()).await.unwrap().expect(200).unwrap();
    speak_and_hear(&mut stream, &frames(5)).await;
}

#[tokio::test]
async fn a_host_that_is_killed_in_the_middle_of_a_rollout_comes_back_on_the_last_good_build() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::with(|options| options.in_folder(folder.path())).await;
    let good = world.generation().await;
    let next = place::plugin("twilio-next").unwrap();
    let mut served = good.clone();
    for (path, state) in [
        ("plugins/twilio?shadow=60s", "shadow"),
        ("plugins/twilio?canary=100%25&canary_for=60s", "canary"),
        ("plugins/twilio", "baking"),
    ] {
        let begun = world.api.send("PUT", path, "application/wasm", next.clone()).await.unwrap().expect(200).unwrap();
        stands(&world, "twilio", state).await;
        if state == "baking" {
            begun["digest"].as_str().unwrap().clone_into(&mut served);
        }
        world.host.kill().unwrap();
        world.start_again(folder.path());
        assert_eq!(world.generation().await, served, "killed at {state}");
        let record = rollouts(&world, "twilio").await.remove(0);
        let left = if state == "baking" { "serving" } else { "aborted" };
        assert_eq!(record["state"], left, "{record:#}");
        assert!(record["reason"].as_str().unwrap().contains("the host ended"), "{record:#}");
        let (leg, mut stream) = world.call_in().await;
        speak_and_hear(&mut stream, &frames(5)).await;
        assert_eq!(world.api.call_of(&leg.sid).await.unwrap()["generation"], served.as_str());
        stream.hang_up();
    }
}

#[tokio::test]
async fn killed_while_new_bytes_are_checked_the_old_build_serves_after() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::with(|options| options.in_folder(folder.path())).await;
    let good = world.generation().await;
    let plugin = place::plugin("twilio").unwrap();
    // From the first checks, over compiling, to the moment of promotion.
    for (number, pause) in [1u8, 2, 3, 4, 5].into_iter().zip([5u64, 40, 150, 300, 450]) {
        // A custom section of an own name: the same plugin, in bytes that no cache knows.
        let bytes = [&plugin[..], &[0, 6, 4], b"salt", &[number]].concat();
        let api = world.host.api().unwrap();
        let upload = tokio::spawn(async move { api.put_plugin("twilio", bytes).await.is_ok() });
        tokio::time::sleep(Duration::from_millis(pause)).await;
        world.host.kill().unwrap();
        upload.await.unwrap();
        world.start_again(folder.path());
        let serving = world.generation().await;
        let promoted = rollouts(&world, "twilio").await.into_iter().any(|record| record["digest"] == serving.as_str());
        assert!(serving == good || promoted, "after {pause} ms");
        let (_, mut stream) = world.call_in().await;
        speak_and_hear(&mut stream, &frames(5)).await;
        stream.hang_up();
    }
}

#[tokio::test]
async fn calls_on_earlier_builds_are_counted_and_ended_only_by_force() {
    let world = World::new().await;
    let (old, mut stream) = world.call_in().await;
    speak_and_hear(&mut stream, &frames(5)).await;
    world.api.put_plugin("twilio", place::plugin("twilio-next").unwrap()).await.unwrap().expect(200).unwrap();
    let (new, mut other) = world.call_in().await;
    speak_and_hear(&mut other, &frames(5)).await;
    world.rest.know(&old.sid, &old.from, &old.to);
    let drain = async |query: &str| {
        let path = format!("plugins/twilio/drain{query}");
        world.api.post(&path, &json!({})).await.unwrap().expect(200).unwrap()
    };
    let counted = drain("").await;
    assert_eq!((&counted["calls"], &counted["ended"]), (&json!(1), &json!(0)));
    speak_and_hear(&mut stream, &frames(5)).await;
    assert_eq!(drain("?force=true").await["ended"], 1);
    let call = world.call_when(&old, "the end", ended).await;
    assert_eq!(call["end_reason"], "operator", "{call:#}");
    speak_and_hear(&mut other, &frames(5)).await;
    assert!(world.api.call_of(&new.sid).await.unwrap()["ended_at"].is_null());
    assert_eq!(drain("").await["calls"], 0);
}

/// `jackfield plugin …` at the world's host. Returns the exit code and what it said.
async fn operator(world: &World, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = std::process::Command::new(place::host_binary().unwrap());
    command.arg("plugin").args(arguments).args(["--url", &world.host.base_url()]);
    command.env("JACKFIELD_ADMIN_TOKEN", world.host.admin_token());
    // The host may ask a provider meanwhile, who lives on this thread.
    let ended = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    (ended.status.code(), String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()).into_owned())
}

#[tokio::test]
async fn an_operator_loads_and_drains_at_the_command_line() {
    let world = quick().await;
    let (leg, mut stream) = world.call_in().await;
    speak_and_hear(&mut stream, &frames(5)).await;
    world.rest.know(&leg.sid, &leg.from, &leg.to);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("next.wasm");
    std::fs::write(&file, place::plugin("twilio-next").unwrap()).unwrap();
    let file = file.display().to_string();
    let (code, said) = operator(&world, &["load", &file]).await;
    assert!(code != Some(0) && said.contains("422") && said.contains("`next`"), "{said}");
    let (code, said) = operator(&world, &["load", &file, "--name", "twilio", "--canary", "150%"]).await;
    assert!(code != Some(0) && said.contains("1% to 100%"), "{said}");
    let (code, said) = operator(&world, &["load", &file, "--name", "twilio", "--shadow", "1s"]).await;
    assert!(code == Some(0) && said.contains("shadow: rollout rol_"), "{said}");
    stands(&world, "twilio", "serving").await;
    let (code, said) = operator(&world, &["drain", "twilio"]).await;
    assert!(code == Some(0) && said.contains("calls on earlier builds: 1; told to end: 0"), "{said}");
    let (code, said) = operator(&world, &["drain", "twilio", "--force"]).await;
    assert!(code == Some(0) && said.contains("told to end: 1"), "{said}");
    world.call_when(&leg, "the end", ended).await;
    let (code, said) = operator(&world, &["drain", "nobody"]).await;
    assert!(code != Some(0) && said.contains("404"), "{said}");
}

#[tokio::test]
async fn what_a_plugin_did_is_recorded_and_any_build_can_be_asked_it_again() {
    let world = quick().await;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let trace = path("trace");
    let recording = ["record", "twilio", "--exports", "40", "--patience", "20", "--out", &trace];
    let calling = async {
        // The order may come first; what is recorded begins with the call all the same.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (leg, mut stream) = world.call_in().await;
        speak_and_hear(&mut stream, &frames(25)).await;
        world.rest.know(&leg.sid, &leg.from, &leg.to);
        let id = world.api.call_of(&leg.sid).await.unwrap()["id"].as_str().unwrap().to_owned();
        // An order that the provider is asked by its REST API.
        world.api.post(&format!("calls/{id}/hangup"), &json!({})).await.unwrap().expect(202).unwrap();
    };
    let ((code, said), ()) = tokio::join!(operator(&world, &recording), calling);
    assert_eq!(code, Some(0), "{said}");
    let text = std::fs::read_to_string(&trace).unwrap();
    for export in ["identify", "authenticate", "read", "reply", "open", "decode", "encode"] {
        assert!(text.contains(&format!("\"function\":\"{export}\"")), "{export} of {said}");
    }
    let token = &world.carrier.account.token;
    assert!(!text.contains(token), "no secret goes into a plugin");
    let replay = |plugin: &str| {
        let mut command = std::process::Command::new(place::host_binary().unwrap());
        let ended = command.args(["plugin", "replay", &trace, "--plugin", plugin]).output().unwrap();
        (ended.status.code(), String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()).into_owned())
    };
    let same = path("same.wasm");
    std::fs::write(&same, place::plugin("twilio").unwrap()).unwrap();
    let (code, said) = replay(&same);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("All 40 calls are answered as they were"), "{said}");
    let other = path("other.wasm");
    std::fs::write(&other, place::plugin("plivo").unwrap()).unwrap();
    let (code, said) = replay(&other);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("webhooks.identify") && said.contains("answered otherwise"), "{said}");
}

#[tokio::test]
async fn a_build_that_failed_a_trial_begins_its_next_one_anew() {
    let world = World::with(|options| options.with_settings("[rollout]\nbake_faults = 1\n")).await;
    let url = made(&world, Export::Check, Misdeed::Nothing).await;
    let bad = Hostile::new("made", Export::Read, Misdeed::Trap).build().unwrap();
    let shadow = async || {
        let path = "plugins/made?shadow=60s";
        world.api.send("PUT", path, "application/wasm", bad.clone()).await.unwrap().expect(200).unwrap();
    };
    shadow().await;
    // Too large to be recorded, so that the next rollout of these bytes gets as far as its trial.
    post(&world, &url, &"x".repeat(9_000)).await;
    let ended = stands(&world, "made", "aborted").await;
    assert_eq!(ended["figures"]["shadow"]["faults"], 1, "{ended:#}");
    shadow().await;
    // Longer than it takes to see that a trial went wrong.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let records = rollouts(&world, "made").await;
    assert_eq!(records[0]["state"], "shadow", "{records:#?}");
    post(&world, &url, &"y".repeat(9_000)).await;
    let ended = stands(&world, "made", "aborted").await;
    assert_eq!(ended["figures"]["shadow"]["faults"], 1, "{ended:#}");
}

#[tokio::test]
async fn a_call_on_a_build_that_is_out_of_service_for_too_long_is_ended_and_others_are_not() {
    let world = World::with(|options| options.with_settings("[rollout]\ndrain_after_seconds = 3\n")).await;
    let old = world.generation().await;
    let (early, mut stream) = world.call_in().await;
    speak_and_hear(&mut stream, &frames(5)).await;
    world.api.put_plugin("twilio", place::plugin("twilio-next").unwrap()).await.unwrap().expect(200).unwrap();
    let (late, mut other) = world.call_in().await;
    speak_and_hear(&mut stream, &frames(5)).await;
    stream.until("the end of the stream", |heard| heard.closed.is_some()).await.unwrap();
    let over = world.call_when(&early, "the end", ended).await;
    assert_eq!(over["generation"], old.as_str());
    assert_eq!(world.metric("jackfield_calls_drained_total").await, 1.0);
    speak_and_hear(&mut other, &frames(5)).await;
    assert!(!ended(&world.api.call_of(&late.sid).await.unwrap()));
    // The other way about: what serves is never too old.
    world.api.post("plugins/twilio/rollback", &json!({})).await.unwrap().expect(200).unwrap();
    let (_, mut third) = world.call_in().await;
    other.until("the end of the other stream", |heard| heard.closed.is_some()).await.unwrap();
    speak_and_hear(&mut third, &frames(5)).await;
}

#[tokio::test]
async fn a_host_that_is_killed_at_any_moment_of_a_rollout_comes_back_on_one_build_or_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::with(|options| options.in_folder(folder.path())).await;
    let (good, next) = (world.generation().await, place::plugin("twilio-next").unwrap());
    for wait in [10, 60, 150, 300, 600] {
        let (api, bytes) = (world.host.api().unwrap(), next.clone());
        let sent =
            tokio::spawn(async move { api.put_plugin("twilio", bytes).await.is_ok_and(|sent| sent.status == 200) });
        tokio::time::sleep(Duration::from_millis(wait)).await;
        world.host.kill().unwrap();
        let promoted = sent.await.unwrap();
        world.start_again(folder.path());
        let serves = world.generation().await;
        let newest = rollouts(&world, "twilio").await.into_iter().next().unwrap_or(Value::Null);
        // What was said to serve does; what was not may have come to it just before the end, and then it is on record.
        assert!(if serves == good { !promoted } else { newest["digest"] == serves.as_str() }, "{wait} ms: {newest:#}");
        let (_, mut stream) = world.call_in().await;
        speak_and_hear(&mut stream, &frames(5)).await;
        if serves != good {
            // A build that was promoted before the start is not in memory.
            world.api.put_plugin("twilio", place::plugin("twilio").unwrap()).await.unwrap().expect(200).unwrap();
        }
        assert_eq!(world.generation().await, good);
    }
}
