//! A name that leads to an allowed address when it is looked at, and to another when it is dialled.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::net::{IpAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use reqwest::dns::Resolve;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Turns, dialling, request};
use crate::client::{Egress, EgressError, EgressSettings};
use crate::policy;

const ROUNDS: usize = 1_000;

/// A service at an address that may be dialled, and a sink at one that may not, on the same port.
struct Rebound {
    names: Arc<Turns>,
    egress: Egress,
    url: String,
    sink: TcpListener,
}

impl Rebound {
    fn new() -> Self {
        let (service, sink) = pair();
        let url = format!("http://rebound.example:{}/", sink.local_addr().unwrap().port());
        let addresses = ["127.0.0.2", "127.0.0.1"].map(|address| vec![address.parse().unwrap()]);
        let names = Arc::new(Turns::new(addresses.to_vec()));
        let networks = vec!["127.0.0.2/32".parse().unwrap()];
        let settings = EgressSettings { networks, ..EgressSettings::default() };
        let egress = Egress::trusting(rustls::RootCertStore::empty(), names.clone(), settings).unwrap();
        service.set_nonblocking(true).unwrap();
        tokio::spawn(serve(tokio::net::TcpListener::from_std(service).unwrap()));
        Self { names, egress, url, sink }
    }

    /// Each round asked once, and what was told is what was dialled.
    fn nothing_leaked(&self) {
        assert_eq!(self.names.asked.load(Ordering::SeqCst), ROUNDS);
        // A connection would wait here to be accepted.
        self.sink.set_nonblocking(true).unwrap();
        assert_eq!(self.sink.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    }
}

fn pair() -> (TcpListener, TcpListener) {
    loop {
        let sink = TcpListener::bind("127.0.0.1:0").unwrap();
        // Somebody else may have the port at the other address.
        if let Ok(service) = TcpListener::bind(("127.0.0.2", sink.local_addr().unwrap().port())) {
            return (service, sink);
        }
    }
}

async fn serve(listener: tokio::net::TcpListener) {
    while let Ok((mut socket, _)) = listener.accept().await {
        tokio::spawn(async move {
            let asked = socket.read(&mut [0; 1_024]).await;
            if asked.is_ok_and(|bytes| bytes > 0) {
                socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await.ok();
            }
        });
    }
}

#[tokio::test]
async fn a_request_goes_to_the_address_that_was_checked_or_nowhere() {
    let rebound = Rebound::new();
    for round in 0..ROUNDS {
        match rebound.egress.send(request(&rebound.url)).await {
            Ok(answer) => assert_eq!((round % 2, answer.status), (0, 200)),
            Err(EgressError::Denied(_)) => assert_eq!(round % 2, 1),
            Err(error) => panic!("{error}"),
        }
    }
    rebound.nothing_leaked();
}

#[tokio::test]
async fn a_socket_goes_to_the_address_that_was_checked_or_nowhere() {
    let rebound = Rebound::new();
    for round in 0..ROUNDS {
        match rebound.egress.dial(dialling(&rebound.url)).await {
            // It speaks no WebSocket, and was there.
            Err(EgressError::Refused(200)) => assert_eq!(round % 2, 0),
            Err(EgressError::Denied(_)) => assert_eq!(round % 2, 1),
            other => panic!("{:?}", other.map(drop)),
        }
    }
    rebound.nothing_leaked();
}

#[tokio::test]
async fn a_public_name_leads_to_public_addresses_alone() {
    let answers = [
        "8.8.8.8",
        "10.0.0.1",
        "127.0.0.1 1.1.1.1",
        "::ffff:127.0.0.1",
        "2606:4700::1111 169.254.169.254 ::1 fd00::1",
        "64:ff9b::7f00:1 0.0.0.0",
    ];
    let read = |answer: &str| answer.split(' ').map(|address| address.parse().unwrap()).collect::<Vec<IpAddr>>();
    let names = Arc::new(Turns::new(answers.map(read).to_vec()));
    let egress = Egress::trusting(rustls::RootCertStore::empty(), names.clone(), EgressSettings::default()).unwrap();
    let mut dialled = 0;
    for _ in 0..ROUNDS * answers.len() {
        if let Ok(found) = egress.reach(false).resolve("rebound.example".parse().unwrap()).await {
            for address in found {
                assert!(policy::is_public(address.ip()), "{address}");
                dialled += 1;
            }
        }
    }
    assert_eq!((dialled, names.asked.load(Ordering::SeqCst)), (ROUNDS * 3, ROUNDS * answers.len()));
}
