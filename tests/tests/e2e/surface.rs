//! What operators and machines read.

use std::time::Duration;

use jackfield_tests::api::Api;
use jackfield_tests::host_process::HostOptions;
use serde_json::Value;

use crate::world::{World, ended, frames, speak_and_hear};

#[tokio::test]
async fn the_openapi_document_names_every_route_operators_use() {
    let world = World::new().await;
    let document = world.api.get("openapi.json").await.unwrap().expect(200).unwrap();
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with('3')), "{document}");
    let paths: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
    for end in [
        "/telephony/providers",
        "/telephony/configurations",
        "/telephony/numbers",
        "/agents",
        "/calls",
        "/plugins",
        "/plugins/{name}/rollback",
        "/calls/{id}/hangup",
    ] {
        assert!(paths.iter().any(|path| path.ends_with(end)), "{end} is not among {paths:?}");
    }
}

#[tokio::test]
async fn the_forms_of_accounts_come_from_the_plugins() {
    let world = World::new().await;
    for path in ["telephony/providers", "organizations/telephony-providers/metadata"] {
        let text = world.api.get(path).await.unwrap().text();
        let forms: Value = serde_json::from_str(&text).unwrap();
        assert!(forms.to_string().contains("\"auth_token\""), "{path}: {text}");
    }
}

#[tokio::test]
async fn metrics_count_what_happened() {
    let world = World::new().await;
    let (leg, mut stream) = world.call_in().await;
    speak_and_hear(&mut stream, &frames(5)).await;
    let answer = world.api.with_token("").get("/metrics").await.unwrap();
    let answer = if answer.status == 401 { world.api.get("/metrics").await.unwrap() } else { answer };
    assert_eq!(answer.status, 200);
    let text = answer.text();
    assert!(text.contains("# TYPE jackfield_"), "{text}");
    assert!(text.lines().any(|line| line.contains("webhook") && line.ends_with(" 1")), "{text}");
    stream.hang_up();
    world.call_when(&leg, "the end", ended).await;
}

#[tokio::test]
async fn operators_are_served_apart_where_the_settings_say_so_and_calls_go_on_as_ever() {
    let mut world = World::with(HostOptions::with_operators_apart).await;
    let open = Api::new(&world.host.base_url(), world.host.admin_token()).unwrap();
    for path in ["agents", "calls", "plugins/twilio", "openapi.json", "/metrics"] {
        assert_eq!(open.get(path).await.unwrap().status, 404, "{path}");
        assert_eq!(world.api.get(path).await.unwrap().status, 200, "{path}");
    }
    for path in ["/healthz", "/readyz"] {
        assert_eq!(open.get(path).await.unwrap().status, 200, "{path}");
        assert_eq!(world.api.get(path).await.unwrap().status, 200, "{path}");
    }
    let inbound = world.api.get("/api/v1/telephony/inbound/run").await.unwrap();
    assert_eq!(inbound.status, 404, "providers do not come there");
    let (leg, mut stream) = world.call_in().await;
    speak_and_hear(&mut stream, &frames(5)).await;
    stream.hang_up();
    world.call_when(&leg, "the end", ended).await;
    world.host.terminate().unwrap();
    assert_eq!(world.host.wait(Duration::from_secs(15)).await.unwrap(), 0);
}

#[tokio::test]
async fn lists_come_in_pages_without_gaps() {
    let world = World::new().await;
    for index in 0..5 {
        world.api.add_agent(&format!("agent {index}"), None).await.unwrap();
    }
    let (mut names, mut path) = (Vec::new(), "agents?limit=2".to_owned());
    loop {
        let page = world.api.get(&path).await.unwrap().expect(200).unwrap();
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 2);
        names.extend(items.iter().map(|agent| agent["name"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => path = format!("agents?limit=2&cursor={next}"),
            None => break,
        }
    }
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 6);
}
