//! Claims that need a resolver, or an authority over certificates, of the tests' own.

mod certificates;
mod rebinding;

use std::future::ready;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::client::Request;
use crate::dial::DialRequest;
use crate::policy::Grant;
use crate::reach::{Found, Names};

/// Leads every name to each of these in turn.
#[derive(Debug)]
struct Turns {
    answers: Vec<Vec<IpAddr>>,
    asked: AtomicUsize,
}

impl Turns {
    fn new(answers: Vec<Vec<IpAddr>>) -> Self {
        Self { answers, asked: AtomicUsize::new(0) }
    }
}

impl Names for Turns {
    fn look_up(&self, _host: String, port: u16) -> Found {
        let turn = self.asked.fetch_add(1, Ordering::SeqCst) % self.answers.len();
        Box::pin(ready(Ok(self.answers[turn].iter().map(|address| SocketAddr::new(*address, port)).collect())))
    }
}

fn request(url: &str) -> Request {
    Request {
        method: "GET".to_owned(),
        url: url.to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
        authorization: Vec::new(),
        grants: Grant::service(url).into_iter().collect(),
    }
}

fn dialling(url: &str) -> DialRequest {
    DialRequest {
        url: url.replacen("http", "ws", 1),
        headers: Vec::new(),
        authorization: Vec::new(),
        subprotocol: None,
        grants: Grant::service(url).into_iter().collect(),
        max_message: 1 << 10,
    }
}
