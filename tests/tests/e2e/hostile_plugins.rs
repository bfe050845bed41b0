//! Plugins that misbehave: within a host that serves others, and export by export in the runtime.

use jackfield_plugins::types::{MediaCommand, Message};
use jackfield_plugins::{Generation, GuestLimits, PluginHost, Pooling};
use jackfield_tests::carrier::{Leg, Webhook};
use jackfield_tests::hostile::{EXPORTS_AT_WORK as EXPORTS, Export, Hostile, Misdeed, provoke};
use serde_json::json;
use std::sync::Arc;

use crate::world::{CALLER, NUMBER, World, frames, speak_and_hear};

#[tokio::test]
async fn a_plugin_that_misbehaves_costs_its_own_callers_an_error_and_nobody_else_anything() {
    let world = World::new().await;
    let (_, mut stream) = world.call_in().await;
    let deeds = [
        (Export::Identify, Misdeed::Loop),
        (Export::Authenticate, Misdeed::Trap),
        (Export::Authenticate, Misdeed::Recurse),
        (Export::Read, Misdeed::Grow),
        (Export::Reply, Misdeed::HugeResult),
    ];
    for (index, (export, misdeed)) in deeds.into_iter().enumerate() {
        let provider = format!("hostile-{index}");
        let bytes = Hostile::new(&provider, export, misdeed).build().unwrap();
        world.api.put_plugin(&provider, bytes).await.unwrap().expect(200).unwrap();
        let name = format!("{export:?} {misdeed:?}");
        let configuration = json!({ "name": name, "provider": provider, "fields": {} });
        let configuration = world.api.create("telephony/configurations", &configuration).await.unwrap();
        let inbound = "https://gw.example.net/api/v1/telephony/inbound";
        let own = Webhook::new(&format!("{inbound}/{configuration}"), vec![("a".to_owned(), "b".to_owned())]);
        let answer = world.carrier.post(&own).await.unwrap();
        match export {
            // Not asked on a URL that names the account.
            Export::Identify => {}
            // The caller is on the line, and a plugin that cannot read may still be able to speak.
            Export::Read => assert_eq!(answer.status, 200, "{name}"),
            _ => assert!(answer.status >= 500, "{name}: {} {}", answer.status, answer.text()),
        }
        // Twilio's webhooks go past it, on the URL that all providers share.
        world.carrier.ring_through(&Leg::inbound(CALLER, NUMBER)).await.unwrap();
    }
    speak_and_hear(&mut stream, &frames(10)).await;
    // The next build of the same plugin works.
    let bytes = Hostile::harmless("hostile-1").build().unwrap();
    world.api.put_plugin("hostile-1", bytes).await.unwrap().expect(200).unwrap();
    let plugins = world.api.get("plugins").await.unwrap().expect(200).unwrap();
    let counted = |what: &str| -> u64 {
        let plugins = plugins["items"].as_array().unwrap().iter();
        let generations = plugins.flat_map(|plugin| plugin["generations"].as_array().unwrap());
        generations.map(|generation| generation[what].as_u64().unwrap()).sum()
    };
    for what in ["traps", "deadlines", "bad_results"] {
        assert!(counted(what) > 0, "{what}: {plugins:#}");
    }
}

#[tokio::test]
async fn a_plugin_that_loops_at_recognising_webhooks_is_soon_not_asked_any_more() {
    let world = World::new().await;
    let bytes = Hostile::new("looping", Export::Identify, Misdeed::Loop).build().unwrap();
    world.api.put_plugin("looping", bytes).await.unwrap().expect(200).unwrap();
    // A provider that nobody has an account with is not asked.
    world.carrier.ring_through(&Leg::inbound(CALLER, NUMBER)).await.unwrap();
    let plugin = world.api.get("plugins/looping").await.unwrap().expect(200).unwrap();
    assert_eq!(plugin["generations"][0]["deadlines"], 0, "{plugin:#}");
    let configuration = json!({ "name": "looping", "provider": "looping", "fields": {} });
    world.api.create("telephony/configurations", &configuration).await.unwrap();
    for index in 0..40 {
        let caller = format!("+1415555{index:04}");
        world.carrier.ring_through(&Leg::inbound(&caller, NUMBER)).await.unwrap();
    }
    let plugin = world.api.get("plugins/looping").await.unwrap().expect(200).unwrap();
    let deadlines = plugin["generations"][0]["deadlines"].as_u64().unwrap();
    assert_eq!(deadlines, 5, "{plugin:#}");
    assert_eq!(plugin["breaker"]["state"], "out", "{plugin:#}");
}

#[tokio::test]
async fn a_plugin_that_claims_every_webhook_gets_none_that_another_can_prove() {
    let world = World::new().await;
    let shared = "https://gw.example.net/api/v1/telephony/inbound/run";
    let form = vec![("AccountSid".to_owned(), "AC00000000000000000000000000000000".to_owned())];
    let nobodys = Webhook::new(shared, form);
    assert_eq!(world.carrier.post(&nobodys).await.unwrap().status, 403);
    // Asked before Twilio's plugin: one fails at its proof, one says that there is nothing to prove.
    for (name, misdeed, status) in [("a-broken", Misdeed::Trap, 502), ("b-thief", Misdeed::Nothing, 200)] {
        let bytes = Hostile::new(name, Export::Authenticate, misdeed).claiming().build().unwrap();
        world.api.put_plugin(name, bytes).await.unwrap().expect(200).unwrap();
        let configuration = json!({ "name": name, "provider": name, "fields": {} });
        world.api.create("telephony/configurations", &configuration).await.unwrap();
        let caller = format!("+1415555{status:04}");
        let call = world.carrier.ring_through(&Leg::inbound(&caller, NUMBER)).await.unwrap();
        assert!(call.url.contains("/ws/"), "{}", call.url);
        assert_eq!(world.carrier.post(&nobodys).await.unwrap().status, status, "{name}");
    }
    let calls = world.api.get("calls").await.unwrap().expect(200).unwrap();
    let providers: Vec<_> = calls["items"].as_array().unwrap().iter().map(|call| &call["provider"]).collect();
    assert_eq!(providers, ["twilio", "twilio"], "{calls:#}");
}

#[tokio::test]
async fn a_plugin_that_too_many_webhooks_wait_for_turns_away_its_own_and_no_others() {
    let world = World::with(|options| options.with_settings("[plugins]\nthreads = 2\nqueue = 3\n")).await;
    let bytes = Hostile::new("slow", Export::Authenticate, Misdeed::Loop).build().unwrap();
    world.api.put_plugin("slow", bytes).await.unwrap().expect(200).unwrap();
    let configuration = json!({ "name": "slow", "provider": "slow", "fields": {} });
    let configuration = world.api.create("telephony/configurations", &configuration).await.unwrap();
    let url = format!("https://gw.example.net/api/v1/telephony/inbound/{configuration}");
    let mut storm = tokio::task::JoinSet::new();
    for index in 0..12 {
        let own = Webhook::new(&url, vec![("a".to_owned(), index.to_string())]);
        let carrier = world.carrier.clone();
        storm.spawn(async move { carrier.post(&own).await.unwrap().status });
    }
    for index in 0..5 {
        let caller = format!("+1415555{index:04}");
        world.carrier.ring_through(&Leg::inbound(&caller, NUMBER)).await.unwrap();
    }
    let answers = storm.join_all().await;
    assert!(answers.contains(&503) && answers.contains(&502), "{answers:?}");
    let plugin = world.api.get("plugins/slow").await.unwrap().expect(200).unwrap();
    let known = &plugin["generations"][0];
    assert!(known["turned_away"].as_u64().unwrap() > 0, "{plugin:#}");
    assert_eq!(known["waiting"], 0, "{plugin:#}");
    assert!(known["memory_bytes"].as_u64().unwrap() >= 2 << 20, "{plugin:#}");
    let twilio = world.api.get("plugins/twilio").await.unwrap().expect(200).unwrap();
    assert_eq!(twilio["generations"][0]["turned_away"], 0, "{twilio:#}");
}

async fn admitted(export: Export, misdeed: Misdeed) -> Arc<Generation> {
    let host = PluginHost::new(GuestLimits::default(), Pooling::Off, None).unwrap();
    let bytes = Hostile::new("hostile", export, misdeed).build().unwrap();
    let candidate = host.check("hostile", bytes, "test", 0).await.unwrap();
    host.promote(candidate);
    host.current("hostile").unwrap()
}

#[tokio::test]
async fn a_plugin_without_misdeeds_answers_every_export() {
    let generation = admitted(Export::Describe, Misdeed::Nothing).await;
    for export in EXPORTS {
        assert_eq!(provoke(&generation, export), Ok(()), "{export:?}");
    }
}

async fn of_the_second_tier(plugin: Hostile) -> Arc<Generation> {
    let host = PluginHost::new(GuestLimits::default(), Pooling::Auto, None).unwrap();
    let candidate = host.check("second", plugin.build().unwrap(), "test", 0).await.unwrap();
    let imports = candidate.stages().iter().find(|stage| stage.stage == "imports").unwrap();
    assert!(imports.detail.contains("second tier"), "{imports:?}");
    host.promote(candidate);
    host.current("second").unwrap()
}

#[tokio::test]
async fn a_plugin_that_uses_wasi_finds_nothing_there() {
    for export in EXPORTS {
        let generation = of_the_second_tier(Hostile::new("second", export, Misdeed::Nothing).using_wasi()).await;
        assert_eq!(generation.tier(), 2);
        // Again and again: whatever it was given is the same each time.
        for _ in 0..2 {
            assert_eq!(provoke(&generation, export), Ok(()), "{export:?}");
        }
    }
}

#[tokio::test]
async fn a_plugin_that_waits_by_wasis_clock_traps_at_once() {
    for export in EXPORTS {
        let generation = of_the_second_tier(Hostile::new("second", export, Misdeed::Nothing).waiting()).await;
        let error = provoke(&generation, export).unwrap_err();
        assert!(error.to_string().contains("may not wait"), "{export:?}: {error}");
    }
}

#[tokio::test]
async fn a_flood_of_handles_or_logs_or_randomness_costs_the_host_no_memory() {
    for (flood, word) in [
        (Hostile::harmless("second").flooding_handles(), "table"),
        (Hostile::harmless("second").flooding_logs(), "ran out of time"),
        (Hostile::harmless("second").wanting_randomness(), "exceeds limit"),
    ] {
        let generation = of_the_second_tier(flood).await;
        let error = provoke(&generation, Export::Check).unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[tokio::test]
async fn a_header_that_is_two_and_a_list_of_a_million_go_nowhere() {
    let world = World::new().await;
    let bytes = Hostile::new("split", Export::Reply, Misdeed::SplitHeader).build().unwrap();
    world.api.put_plugin("split", bytes).await.unwrap().expect(200).unwrap();
    let account = json!({ "name": "split", "provider": "split", "fields": {} });
    let id = world.api.create("telephony/configurations", &account).await.unwrap();
    let url = format!("https://gw.example.net/api/v1/telephony/inbound/{id}");
    let answer = world.carrier.post(&Webhook::new(&url, vec![])).await.unwrap();
    assert_eq!(answer.status, 502, "{}", answer.text());
    assert_eq!(answer.header("set-cookie"), "");
    let bytes = Hostile::new("many", Export::Check, Misdeed::ManyItems).build().unwrap();
    world.api.put_plugin("many", bytes).await.unwrap().expect(200).unwrap();
    let account = json!({ "name": "many", "provider": "many", "fields": {} });
    let refused = world.api.post("telephony/configurations", &account).await.unwrap();
    assert!(refused.status >= 400, "{}", refused.text());
}

#[tokio::test]
async fn nothing_that_a_guest_keeps_is_there_for_the_next_request() {
    for export in [Export::Check, Export::Identify, Export::Authenticate, Export::Read, Export::Reply] {
        let generation = admitted(export, Misdeed::Remember).await;
        for _ in 0..20 {
            assert_eq!(provoke(&generation, export), Ok(()), "{export:?}");
        }
    }
}

#[tokio::test]
async fn every_misdeed_in_every_export_is_stopped_and_told_by_its_name() {
    for export in EXPORTS {
        for misdeed in Misdeed::AT_WORK {
            let generation = admitted(export, misdeed).await;
            let outcome = provoke(&generation, export);
            let Err(error) = outcome else { panic!("{export:?} {misdeed:?} went through") };
            assert!(misdeed.ends_in(&error), "{export:?} {misdeed:?}: {error}");
        }
    }
}

#[tokio::test]
async fn a_guest_that_failed_once_is_not_asked_again() {
    for misdeed in [Misdeed::Trap, Misdeed::HugeResult] {
        let generation = admitted(Export::Decode, misdeed).await;
        let mut guest = generation.media().unwrap();
        assert!(guest.decode(&Message::Text(String::new())).is_err());
        assert!(guest.encode(&MediaCommand::Clear).is_err(), "{misdeed:?}");
        let mut fresh = generation.media().unwrap();
        assert!(fresh.encode(&MediaCommand::Clear).is_ok());
    }
}
