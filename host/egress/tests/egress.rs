//! Claims about requests, against servers on the loopback that a route stands for.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::time::Duration;

use jackfield_egress::{Authorization, Egress, EgressError, EgressSettings, Grant, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Answers every connection with these bytes, and keeps what was asked.
async fn server(answer: Vec<u8>, pause: Duration) -> (String, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let (asked, requests) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let (answer, asked) = (answer.clone(), asked.clone());
            tokio::spawn(async move {
                let mut buffer = vec![0; 8_192];
                let length = socket.read(&mut buffer).await.unwrap_or(0);
                asked.send(String::from_utf8_lossy(&buffer[..length]).into_owned()).ok();
                for piece in answer.chunks(64 << 10) {
                    tokio::time::sleep(pause).await;
                    if socket.write_all(piece).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (base, requests)
}

fn egress(base: &str) -> Egress {
    let danger_routes = BTreeMap::from([("api.example.com".to_owned(), base.parse().unwrap())]);
    let total_timeout = Duration::from_millis(700);
    Egress::new(EgressSettings { danger_routes, total_timeout, ..EgressSettings::default() }).unwrap()
}

fn request(url: &str) -> Request {
    Request {
        method: "POST".into(),
        url: url.into(),
        headers: vec![("x-mine".into(), "1".into())],
        body: b"a=b".to_vec(),
        authorization: vec![Authorization::Bearer("token".into())],
        grants: vec![Grant::Host("api.example.com".into()), Grant::Host("localhost".into())],
    }
}

fn response(head: &str, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len()).as_bytes(), body]
        .concat()
}

#[tokio::test]
async fn a_granted_request_is_sent_with_its_credentials() {
    let (base, mut requests) = server(response("201 Created", b"{}"), Duration::ZERO).await;
    let answer = egress(&base).send(request("https://api.example.com/v1/x?y=%2B1")).await.unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (201, b"{}".as_slice()));
    let asked = requests.recv().await.unwrap();
    assert!(asked.starts_with("POST /v1/x?y=%2B1 HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("authorization: Bearer token") && asked.contains("x-mine: 1"), "{asked}");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let (base, mut requests) =
        server(response("302 Found\r\nlocation: http://169.254.169.254/", b""), Duration::ZERO).await;
    assert_eq!(egress(&base).send(request("https://api.example.com/")).await.unwrap().status, 302);
    assert!(requests.recv().await.is_some());
    assert!(requests.try_recv().is_err());
}

#[tokio::test]
async fn an_answer_without_end_stops_at_the_limit() {
    let (base, _requests) = server(response("200 OK", &vec![b'x'; 3 << 20]), Duration::ZERO).await;
    assert_eq!(egress(&base).send(request("https://api.example.com/")).await.unwrap_err(), EgressError::TooLarge);
}

#[tokio::test]
async fn an_answer_that_drips_ends_at_the_deadline_as_an_unknown_outcome() {
    let (base, _requests) = server(response("200 OK", &vec![b'x'; 900 << 10]), Duration::from_millis(200)).await;
    let error = egress(&base).send(request("https://api.example.com/")).await.unwrap_err();
    assert!(matches!(error, EgressError::NoAnswer(_)), "{error}");
}

#[tokio::test]
async fn a_closed_port_is_certain_to_have_got_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = egress(&base).send(request("https://api.example.com/")).await.unwrap_err();
    assert!(matches!(error, EgressError::Unreachable(_)), "{error}");
}

#[tokio::test]
async fn a_name_that_leads_to_this_machine_is_not_dialled() {
    let error = egress("http://127.0.0.1:1").send(request("https://localhost/")).await.unwrap_err();
    assert!(matches!(&error, EgressError::Denied(reason) if reason.contains("no public address")), "{error}");
}

#[tokio::test]
async fn a_service_in_a_network_of_the_operators_is_reached_only_if_the_network_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/ari", listener.local_addr().unwrap());
    let there = || Request { grants: vec![Grant::service(&url).unwrap()], url: url.clone(), ..request(&url) };
    let elsewhere =
        Egress::new(EgressSettings { networks: vec!["10.0.0.0/8".parse().unwrap()], ..EgressSettings::default() })
            .unwrap();
    let error = elsewhere.send(there()).await.unwrap_err();
    assert!(matches!(&error, EgressError::Denied(reason) if reason.contains("egress.networks")), "{error}");
    let named =
        Egress::new(EgressSettings { networks: vec!["127.0.0.0/8".parse().unwrap()], ..EgressSettings::default() })
            .unwrap();
    let answering = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut head = [0; 1_024];
        let read = socket.read(&mut head).await.unwrap();
        socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
        String::from_utf8_lossy(&head[..read]).into_owned()
    });
    assert_eq!(named.send(there()).await.unwrap().body, b"ok");
    assert!(answering.await.unwrap().starts_with("POST /ari "));
    // The same network by a name that a plugin was granted is as closed as before.
    let public = Request { url: "https://localhost/".into(), ..request("https://localhost/") };
    assert!(matches!(named.send(public).await, Err(EgressError::Denied(_))));
}

#[tokio::test]
async fn tunnels_and_echoes_are_not_asked_for() {
    for method in ["CONNECT", "TRACE", "OPTIONS", "get", "GET / HTTP/1.1\r\nx"] {
        let odd = Request { method: method.into(), ..request("https://api.example.com/") };
        let error = egress("http://127.0.0.1:1").send(odd).await.unwrap_err();
        assert!(matches!(error, EgressError::Denied(_)), "{method}: {error}");
    }
}

#[tokio::test]
async fn a_credential_is_no_way_to_a_reserved_header_and_two_do_not_share_one() {
    let header = |name: &str| Authorization::Header { name: name.into(), value: "x".into() };
    let cases = [
        vec![header("Host")],
        vec![header("connection")],
        vec![header("Sec-WebSocket-Key")],
        vec![Authorization::Bearer("a".into()), Authorization::Bearer("b".into())],
        vec![header("x-key"), header("X-Key")],
    ];
    for authorization in cases {
        let shown = format!("{authorization:?}");
        let odd = Request { authorization, ..request("https://api.example.com/") };
        let error = egress("http://127.0.0.1:1").send(odd).await.unwrap_err();
        assert!(matches!(error, EgressError::Denied(_)), "{shown}: {error}");
    }
}

#[tokio::test]
async fn headers_cannot_be_smuggled_or_taken_over() {
    for (name, value) in [("x", "a\r\nhost: evil"), ("a b", "c"), ("Host", "evil"), ("authorization", "x"), ("te", "x")]
    {
        let mut smuggling = request("https://api.example.com/");
        smuggling.headers = vec![(name.to_owned(), value.to_owned())];
        let error = egress("http://127.0.0.1:1").send(smuggling).await.unwrap_err();
        assert!(matches!(error, EgressError::Denied(_)), "{name}: {error}");
    }
}
