//! Cloudonix signs nothing: thousands of requests with the account's key, and ones with a key or a domain that is changed.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::BTreeMap;

use jackfield_sdk::types::{Account, Request};
use jackfield_sdk::{Webhooks as _, vectors};
use plugin_cloudonix::Cloudonix;
use serde_json::json;

const KEY: &str = "Zk3vQ9tB7xW2mR5pL8sD1fG4hJ6kN0cY";
const OTHER_KEY: &str = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6";
const REQUESTS: usize = 3_000;
const CHANGES: usize = 10_000;

#[derive(Debug, Clone)]
struct Sent {
    header: &'static str,
    value: String,
    domain: String,
    index: usize,
}

/// Every second one is of the kind whose key comes in a header of Cloudonix's own.
fn sent(index: usize) -> Sent {
    let domain = "acme.cloudonix.net".to_owned();
    if index.is_multiple_of(2) {
        Sent { header: "authorization", value: format!("Bearer {KEY}"), domain, index }
    } else {
        Sent { header: "x-cx-apikey", value: OTHER_KEY.to_owned(), domain, index }
    }
}

impl Sent {
    fn is_genuine(&self) -> bool {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let secrets = vec!["webhook_api_key".to_owned(), "cx_apikey".to_owned()];
        let fields = vec![pair("domain_id", "acme.cloudonix.net")];
        let account = Account { id: "cfg".to_owned(), fields, secrets };
        let body = json!({ "Domain": self.domain, "Session": format!("s{}", self.index), "From": "+14155550123" });
        let request = Request {
            method: "POST".to_owned(),
            url: "https://gw.example.net/api/v1/telephony/inbound/run".to_owned(),
            headers: vec![pair("content-type", "application/json"), pair(self.header, &self.value)],
            body: body.to_string().into_bytes(),
        };
        let secrets = BTreeMap::from([pair("webhook_api_key", KEY), pair("cx_apikey", OTHER_KEY)]);
        Cloudonix::authenticate(&account, &request, 0).is_ok_and(|proof| vectors::holds(&proof, &secrets))
    }
}

#[test]
fn the_accounts_key_is_what_makes_a_request_genuine() {
    for index in 0..REQUESTS {
        assert!(sent(index).is_genuine(), "{index}");
    }
}

#[test]
fn every_change_of_one_letter_is_refused() {
    for index in 0..CHANGES {
        let mut case = sent(index % REQUESTS);
        let place = index / 5;
        match index % 5 {
            0 => case.value.push('x'),
            1 => drop(case.value.pop()),
            2 => case.domain.insert(place % case.domain.len(), 'x'),
            // Each key counts in its own header alone.
            3 if case.header == "authorization" => case.value = format!("Bearer {OTHER_KEY}"),
            3 => case.value = KEY.to_owned(),
            _ => {
                let mut value = case.value.into_bytes();
                let first = value.len() - 32;
                let letter = &mut value[first + place % 32];
                *letter = if *letter == b'A' { b'B' } else { b'A' };
                case.value = String::from_utf8(value).unwrap();
            }
        }
        assert!(!case.is_genuine(), "change {index}: {case:?}");
    }
}
