//! What every route has in common.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use axum::body::Body;
use http::{Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower_service::Service;

use super::routes::{Access, Audience, OPENAPI, router, table};
use crate::App;
use crate::http::Client;
use crate::testing::{TOKEN, app, app_with};

fn guarded(access: Access) -> bool {
    matches!(access, Access::Scope(_) | Access::Host)
}

struct Answer {
    status: StatusCode,
    kind: String,
    allow: String,
    retry_after: String,
    body: Value,
}

async fn ask(app: &App, request: Request<Body>) -> Answer {
    ask_at(app, Audience::All, request).await
}

async fn ask_at(app: &App, audience: Audience, request: Request<Body>) -> Answer {
    let mut request = request;
    request.extensions_mut().insert(Client(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    let response: Response<_> = router(app, audience).call(request).await.unwrap();
    let text = |name| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    let (kind, allow, retry_after) = (text(header::CONTENT_TYPE), text(header::ALLOW), text(header::RETRY_AFTER));
    let status = response.status();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    Answer { status, kind, allow, retry_after, body }
}

async fn send(app: &App, method: &str, path: &str, body: Value) -> Answer {
    let request = Request::builder().method(method).uri(path).header("authorization", format!("Bearer {TOKEN}"));
    let request = request.header("content-type", "application/json");
    ask(app, request.body(Body::from(if body.is_null() { String::new() } else { body.to_string() })).unwrap()).await
}

#[test]
fn the_document_and_the_table_name_the_same_routes_with_the_same_access() {
    let document: Value = serde_json::from_str(OPENAPI).unwrap();
    let mut described = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let open = operation["security"].as_array().is_some_and(Vec::is_empty);
            described.insert((method.to_uppercase(), path.clone(), open));
        }
    }
    let routed: BTreeSet<_> =
        table().iter().map(|route| (route.method.to_owned(), route.path.to_owned(), !guarded(route.access))).collect();
    assert_eq!(described, routed);
    assert_eq!(routed.len(), table().len(), "a route is in the table twice");
}

#[test]
fn the_document_refers_to_nothing_that_is_not_in_it() {
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => map.iter().for_each(|(key, value)| match (key.as_str(), value) {
                ("$ref", Value::String(target)) => found.push(target.clone()),
                _ => references(value, found),
            }),
            Value::Array(list) => list.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let document: Value = serde_json::from_str(OPENAPI).unwrap();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 50);
    for target in found {
        assert!(document.pointer(target.trim_start_matches('#')).is_some(), "{target}");
    }
}

#[tokio::test]
async fn every_admin_route_wants_the_token_and_says_so_in_a_problem() {
    let (app, _folder) = app_with(|settings| settings.limits.failed_auth_per_minute = 10_000).await;
    for route in table().into_iter().filter(|route| guarded(route.access)) {
        for token in ["", "Bearer ", "Bearer wrong", "Basic d3Jvbmc6d3Jvbmc=", TOKEN] {
            let mut request = Request::builder().method(route.method).uri(route.path.replace(['{', '}'], "x"));
            if !token.is_empty() {
                request = request.header("authorization", token);
            }
            let answer = ask(&app, request.body(Body::empty()).unwrap()).await;
            let about = format!("{} {} {token}", route.method, route.path);
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{about}");
            assert_eq!(answer.kind, "application/problem+json", "{about}");
            assert_eq!(answer.body["type"], "urn:jackfield:problem:unauthorized", "{about}");
        }
    }
}

#[tokio::test]
async fn a_listener_has_what_its_audience_needs_and_nothing_else() {
    let (app, _folder) = app_with(|settings| settings.limits.failed_auth_per_minute = 10_000).await;
    let both = ["/healthz", "/readyz"];
    let of_the_world = ["/api/v1/telephony/inbound/", "/api/v1/telephony/{provider}", "/api/v1/telephony/ws"];
    for route in table() {
        let open_to_all = of_the_world.iter().any(|start| route.path.starts_with(start));
        let worldly = open_to_all || route.path == "/api/v1/oauth/redirect";
        for (audience, served) in [(Audience::World, worldly), (Audience::Operators, !worldly), (Audience::All, true)] {
            // No token: whatever is there for operators says 401, and is not mistaken for what knows no such `x`.
            let request = Request::builder().method(route.method).uri(route.path.replace(['{', '}'], "x"));
            let answer = ask_at(&app, audience, request.body(Body::empty()).unwrap()).await;
            let detail = answer.body["detail"].as_str().unwrap_or_default();
            let nowhere = answer.status == StatusCode::NOT_FOUND && detail.starts_with("nothing is at this path");
            let served = served || both.contains(&route.path);
            assert_eq!(!nowhere, served, "{audience:?}: {} {}: {}", route.method, route.path, answer.status);
        }
    }
}

#[tokio::test]
async fn what_is_for_operators_is_nothing_to_the_world_whatever_is_asked_of_it() {
    let (app, _folder) = app().await;
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"] {
        for path in ["/metrics", "/api/v1/agents", "/api/v1/telephony/numbers/x/bind", "/api/v1/openapi.json"] {
            let request =
                Request::builder().method(method).uri(path).header("authorization", format!("Bearer {TOKEN}"));
            let answer = ask_at(&app, Audience::World, request.body(Body::empty()).unwrap()).await;
            assert_eq!((answer.status, answer.allow.as_str()), (StatusCode::NOT_FOUND, ""), "{method} {path}");
            assert!(!answer.body.to_string().contains("openapi"), "{}", answer.body);
        }
    }
}

#[tokio::test]
async fn whoever_guesses_is_locked_out_even_with_the_right_token() {
    let (app, _folder) = app().await;
    let guess = |token: &str| {
        let request = Request::builder().uri("/api/v1/agents").header("authorization", format!("Bearer {token}"));
        request.body(Body::empty()).unwrap()
    };
    for number in 0..10 {
        assert_eq!(ask(&app, guess(&format!("guess {number}"))).await.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(ask(&app, guess("one too many")).await.status, StatusCode::TOO_MANY_REQUESTS);
    let answer = ask(&app, guess(TOKEN)).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.retry_after, answer.body["detail"].as_str().unwrap().split(' ').nth_back(1).unwrap());
    assert_eq!(ask(&app, Request::builder().uri("/healthz").body(Body::empty()).unwrap()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn paths_and_methods_that_lead_nowhere_are_problems() {
    let (app, _folder) = app().await;
    let nowhere = send(&app, "GET", "/api/v1/nothing", Value::Null).await;
    assert_eq!((nowhere.status, nowhere.kind.as_str()), (StatusCode::NOT_FOUND, "application/problem+json"));
    for (method, path) in [("PATCH", "/api/v1/agents"), ("TRACE", "/healthz"), ("DELETE", "/api/v1/calls/x")] {
        let wrong = send(&app, method, path, Value::Null).await;
        assert_eq!(wrong.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        assert!(wrong.allow.contains("GET"), "{method} {path}: {}", wrong.allow);
        assert_eq!(wrong.body["type"], "urn:jackfield:problem:method-not-allowed", "{method} {path}");
    }
}

#[tokio::test]
async fn a_body_is_json_of_its_size_and_says_nothing_more_than_is_asked_for() {
    let (app, _folder) = app().await;
    let post = |kind: Option<&str>, body: String| {
        let mut request = Request::builder().method("POST").uri("/api/v1/agents");
        request = request.header("authorization", format!("Bearer {TOKEN}"));
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        request.body(Body::from(body)).unwrap()
    };
    let json = Some("application/json; charset=utf-8");
    let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    let agent = r#"{"name":"a","connector":"echo""#;
    for (kind, body, status) in [
        (None, format!("{agent}}}"), 415),
        (Some("text/plain"), format!("{agent}}}"), 415),
        (json, String::new(), 400),
        (json, "{".to_owned(), 400),
        (json, format!("{agent},\"tenant_id\":1}}"), 400),
        (json, format!("{agent},\"name\":\"b\"}}"), 400),
        (json, format!("{agent},\"settings\":{{\"a\":{deep}}}}}"), 400),
        (json, format!("{agent},\"settings\":[]}}"), 400),
        (json, format!("{agent}}}{}", " ".repeat(256 << 10)), 413),
        (json, r#"{"name":"a","connector":"telepathy"}"#.to_owned(), 422),
        (json, r#"{"name":"a","connector":"websocket"}"#.to_owned(), 422),
        (json, r#"{"name":"a","connector":"websocket","url":"https://bot.example"}"#.to_owned(), 422),
        (json, r#"{"name":"a\nb","connector":"echo"}"#.to_owned(), 422),
        (json, format!("{agent}}}"), 201),
        (json, format!("{agent}}}"), 409),
    ] {
        let about = format!("{kind:?} {}", body.get(..80).unwrap_or(&body));
        let answer = ask(&app, post(kind, body)).await;
        assert_eq!(answer.status.as_u16(), status, "{about}: {}", answer.body);
        assert!(status == 201 || answer.body["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{about}");
    }
}

#[tokio::test]
async fn an_agent_is_added_shown_replaced_and_removed() {
    let (app, _folder) = app().await;
    let bot = json!({ "name": "bot", "connector": "websocket", "url": "wss://bot.example/", "settings": { "a": 1 } });
    let made = send(&app, "POST", "/api/v1/agents", bot).await.body;
    let path = format!("/api/v1/agents/{}", made["id"].as_str().unwrap());
    assert_eq!(send(&app, "GET", &path, Value::Null).await.body, made);
    let replaced = send(&app, "PUT", &path, json!({ "name": "echo", "connector": "echo" })).await;
    assert_eq!(
        (replaced.status, &replaced.body["url"], &replaced.body["settings"]),
        (StatusCode::OK, &Value::Null, &json!({}))
    );
    assert_eq!(send(&app, "DELETE", &path, Value::Null).await.status, StatusCode::NO_CONTENT);
    for method in ["GET", "DELETE"] {
        assert_eq!(send(&app, method, &path, Value::Null).await.status, StatusCode::NOT_FOUND, "{method}");
    }
}

#[tokio::test]
async fn what_depends_on_something_missing_says_what() {
    let (app, _folder) = app().await;
    for (path, body, word) in [
        ("/api/v1/telephony/configurations", json!({ "name": "a", "provider": "acme", "fields": {} }), "acme"),
        ("/api/v1/telephony/numbers", json!({ "number": "+14155550123", "configuration": "nobody" }), "nobody"),
        ("/api/v1/calls", json!({ "agent": "nobody", "to": "+14155550123" }), "nobody"),
        ("/api/v1/calls", json!({ "agent": "nobody", "to": "not a number" }), "to"),
    ] {
        let answer = send(&app, "POST", path, body).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}: {}", answer.body);
        assert!(answer.body["detail"].as_str().unwrap().contains(word), "{path}: {}", answer.body);
    }
    for path in
        ["/api/v1/calls/call_x/hangup", "/api/v1/plugins/acme/rollback", "/api/v1/telephony/configurations/x/probe"]
    {
        assert_eq!(send(&app, "POST", path, Value::Null).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn a_plugin_upload_is_wasm_of_its_size_and_a_refusal_names_the_stage() {
    let (app, _folder) = app().await;
    let put = |kind: &str, body: Vec<u8>| {
        let request = Request::builder().method("PUT").uri("/api/v1/plugins/acme").header("content-type", kind);
        request.header("authorization", format!("Bearer {TOKEN}")).body(Body::from(body)).unwrap()
    };
    assert_eq!(ask(&app, put("text/plain", vec![0])).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(ask(&app, put("application/wasm", vec![0; (64 << 10) + 1])).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    let refused = ask(&app, put("application/octet-stream", b"not wasm".to_vec())).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(refused.body["type"], "urn:jackfield:problem:plugin-refused");
    assert_eq!(refused.body["stage"], refused.body["stages"].as_array().unwrap().last().unwrap()["stage"]);
}

#[tokio::test]
async fn a_draining_host_is_alive_and_not_ready_and_places_no_call() {
    let (app, _folder) = app().await;
    app.drain.begin();
    assert_eq!(send(&app, "GET", "/healthz", Value::Null).await.status, StatusCode::OK);
    let ready = send(&app, "GET", "/readyz", Value::Null).await;
    assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(ready.body["reasons"].to_string().contains("draining"), "{}", ready.body);
    let order = json!({ "agent": "echo", "to": "+14155550123" });
    let refused = send(&app, "POST", "/api/v1/calls", order).await;
    assert_eq!((refused.status, refused.retry_after.as_str()), (StatusCode::SERVICE_UNAVAILABLE, "5"));
}

async fn with_token(app: &App, token: &str, method: &str, path: &str, body: Value) -> Answer {
    let request = Request::builder().method(method).uri(path).header("authorization", format!("Bearer {token}"));
    let request = request.header("content-type", "application/json");
    ask(app, request.body(Body::from(if body.is_null() { String::new() } else { body.to_string() })).unwrap()).await
}

async fn token_for(app: &App, organization: Option<&str>, scopes: &[&str]) -> String {
    let mut request = Request::builder().method("POST").uri("/api/v1/tokens");
    request = request.header("authorization", format!("Bearer {TOKEN}")).header("content-type", "application/json");
    if let Some(organization) = organization {
        request = request.header("jackfield-organization", organization);
    }
    let body = json!({ "name": "test", "scopes": scopes }).to_string();
    let made = ask(app, request.body(Body::from(body)).unwrap()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    made.body["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_token_does_what_its_scopes_say_and_every_route_asks_for_one() {
    let (app, _folder) = app().await;
    for (scope, kept) in [("read", "GET"), ("calls", "calls"), ("configure", "configure"), ("plugins", "plugins")] {
        let token = token_for(&app, None, &[scope]).await;
        for route in table().into_iter().filter(|route| guarded(route.access)) {
            let path = route.path.replace(['{', '}'], "x");
            let answer = with_token(&app, &token, route.method, &path, Value::Null).await;
            let wanted = match route.access {
                Access::Scope(wanted) => super::auth::Scope::parse(scope) == Some(wanted),
                _ => false,
            };
            let about = format!("{scope} ({kept}): {} {} is {}", route.method, route.path, answer.status);
            assert_eq!(answer.status != StatusCode::FORBIDDEN, wanted, "{about}");
        }
    }
}

#[tokio::test]
async fn a_revoked_token_and_one_of_another_organization_open_nothing() {
    let (app, _folder) = app().await;
    let made = send(&app, "POST", "/api/v1/organizations", json!({ "name": "other", "max_calls": 3 })).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let other = made.body["id"].as_str().unwrap();
    let agent = send(&app, "POST", "/api/v1/agents", json!({ "name": "echo", "connector": "echo" })).await;
    let path = format!("/api/v1/agents/{}", agent.body["id"].as_str().unwrap());
    let theirs = token_for(&app, Some(other), &["admin"]).await;
    for (method, body) in
        [("GET", Value::Null), ("PUT", json!({ "name": "mine", "connector": "echo" })), ("DELETE", Value::Null)]
    {
        assert_eq!(with_token(&app, &theirs, method, &path, body).await.status, StatusCode::NOT_FOUND, "{method}");
    }
    assert_eq!(with_token(&app, &theirs, "GET", "/api/v1/agents", Value::Null).await.body["items"], json!([]));
    let named = json!({ "name": "echo", "connector": "echo" });
    assert_eq!(with_token(&app, &theirs, "POST", "/api/v1/agents", named).await.status, StatusCode::CREATED);
    let plugins = json!({ "name": "p", "scopes": ["plugins"] });
    let refused = with_token(&app, &theirs, "POST", "/api/v1/tokens", plugins).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let tokens = with_token(&app, &theirs, "GET", "/api/v1/tokens", Value::Null).await;
    let shown = tokens.body.to_string();
    assert!(!shown.contains(&theirs) && !shown.contains("digest"), "{shown}");
    let id = tokens.body["items"][0]["id"].as_str().unwrap();
    let revoke = format!("/api/v1/tokens/{id}");
    assert_eq!(send(&app, "DELETE", &revoke, Value::Null).await.status, StatusCode::NOT_FOUND, "it is another's");
    assert_eq!(with_token(&app, &theirs, "DELETE", &revoke, Value::Null).await.status, StatusCode::NO_CONTENT);
    assert_eq!(with_token(&app, &theirs, "GET", "/api/v1/agents", Value::Null).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn calls_are_listed_by_filters_that_exist() {
    let (app, _folder) = app().await;
    let good = "/api/v1/calls?status=completed&direction=inbound&from=%2B1&created_from=5&created_before=9&limit=3";
    assert_eq!(send(&app, "GET", good, Value::Null).await.body["items"], json!([]));
    for odd in ["created_from=yesterday", "created_before=-1", "colour=red"] {
        let answer = send(&app, "GET", &format!("/api/v1/calls?{odd}"), Value::Null).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{odd}");
    }
}
