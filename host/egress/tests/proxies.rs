//! Proxies that the environment names are nobody's but the environment's.
//!
//! Variables cannot be set while other threads read them: the test runs itself again, as a process that has them from the start.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::sync::{Arc, Mutex};

use jackfield_egress::{DialRequest, Egress, EgressError, EgressSettings, Grant, Request, post_to_host};

const CHILD: &str = "JACKFIELD_TEST_HAS_PROXIES";
const PROXIES: [&str; 6] = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];
const BACK: &[u8] = b"content-length: 0\r\nconnection: close\r\n\r\n";

/// Answers everybody with this status, and keeps the first lines that it heard.
fn server(status: &'static str) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = Arc::clone(&heard);
    std::thread::spawn(move || {
        for mut socket in listener.incoming().map_while(Result::ok) {
            let mut head = [0; 4_096];
            let length = socket.read(&mut head).unwrap_or(0);
            let line = String::from_utf8_lossy(&head[..length]).lines().next().map(str::to_owned);
            hears.lock().unwrap().push(line.unwrap_or_default());
            socket.write_all(&[format!("HTTP/1.1 {status}\r\n").as_bytes(), BACK].concat()).ok();
        }
    });
    (base, heard)
}

#[test]
fn proxies_of_the_environment_are_not_asked() {
    if std::env::var_os(CHILD).is_some() {
        return tokio::runtime::Runtime::new().unwrap().block_on(with_proxies());
    }
    let (proxy, heard) = server("502 Bad Gateway");
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", "proxies_of_the_environment_are_not_asked", "--nocapture"]).env(CHILD, "1");
    for left in ["NO_PROXY", "no_proxy", "REQUEST_METHOD"] {
        again.env_remove(left);
    }
    let output = again.envs(PROXIES.map(|name| (name, &proxy))).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // The client that minds them shows that they were there to be minded.
    assert_eq!(*heard.lock().unwrap(), ["GET http://minds.example/ HTTP/1.1", "CONNECT minds.example:443 HTTP/1.1"]);
}

async fn with_proxies() {
    let (base, heard) = server("204 No Content");
    let minds = minding();
    assert_eq!(minds.get("http://minds.example/").send().await.unwrap().status(), 502);
    assert!(minds.get("https://minds.example/").send().await.is_err());
    let networks = vec!["127.0.0.0/8".parse().unwrap()];
    let egress = Egress::new(EgressSettings { networks, ..EgressSettings::default() }).unwrap();
    assert_eq!(egress.send(request(&base)).await.unwrap().status, 204);
    let secure = egress.send(request(&base.replacen("http", "https", 1))).await;
    assert!(matches!(secure, Err(EgressError::Unreachable(_))), "it speaks no TLS: {secure:?}");
    let url = base.replacen("http", "ws", 1);
    let dialled = egress.dial(DialRequest {
        headers: Vec::new(),
        authorization: Vec::new(),
        subprotocol: None,
        grants: vec![Grant::service(&url).unwrap()],
        max_message: 1 << 10,
        url,
    });
    assert_eq!(dialled.await.unwrap_err(), EgressError::Refused(204));
    assert_eq!(post_to_host(&base, "token").await.unwrap().0, 204);
    let heard = heard.lock().unwrap();
    assert_eq!((heard.len(), &*heard[0], &*heard[3]), (4, "GET / HTTP/1.1", "POST / HTTP/1.1"), "{heard:?}");
}

fn request(url: &str) -> Request {
    Request {
        method: "GET".to_owned(),
        url: url.to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
        authorization: Vec::new(),
        grants: vec![Grant::service(url).unwrap()],
    }
}

/// A client as it is made without another word.
fn minding() -> reqwest::Client {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder().tls_backend_preconfigured(tls).build().unwrap()
}
