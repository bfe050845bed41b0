//! Hosts that are replaced one after the other while calls come in.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jackfield_tests::api::Api;
use jackfield_tests::carrier::{Carrier, Leg, document, parse_stream};
use jackfield_tests::host_process::HostOptions;
use serde_json::Value;
use tokio::sync::oneshot::{self, error::TryRecvError};
use tokio::task::JoinSet;

use crate::fleet::Together;
use crate::world::{CALLER, NUMBER, ended};

const EVERY: Duration = Duration::from_millis(20);
const SOON: Duration = Duration::from_secs(30);

/// Who is behind the load balancer.
type Behind = Arc<Mutex<Vec<Arc<Carrier>>>>;

fn short_drain(_: usize, options: HostOptions) -> HostOptions {
    options.with_settings("[drain]\ncalls_seconds = 1\n")
}

/// What a load balancer does: whoever is not there, or has no room, is followed by the next, once.
async fn ring(behind: Behind, leg: Leg, first: usize) -> Result<Leg, String> {
    let mut refusals = Vec::new();
    for turn in 0..2 {
        let carrier = Arc::clone(&behind.lock().unwrap()[(first + turn) % 2]);
        match carrier.post(&carrier.inbound_webhook(&leg)).await {
            Ok(answer) if answer.status == 200 => {
                return match document(&answer).and_then(parse_stream) {
                    Ok(_) => Ok(leg),
                    Err(why) => Err(format!("{why:#}: {}", answer.text())),
                };
            }
            Ok(answer) => refusals.push(format!("{}: {}", answer.status, answer.text())),
            Err(error) => refusals.push(format!("{error:#}")),
        }
    }
    Err(refusals.join(", then "))
}

/// Fifty webhooks a second until told to stop, and what became of each.
async fn load(behind: Behind, mut stop: oneshot::Receiver<()>) -> Vec<Result<Leg, String>> {
    let (mut rings, mut beat) = (JoinSet::new(), tokio::time::interval(EVERY));
    let mut first = 0;
    while stop.try_recv() == Err(TryRecvError::Empty) {
        beat.tick().await;
        first += 1;
        rings.spawn(ring(Arc::clone(&behind), Leg::inbound(CALLER, NUMBER), first));
    }
    rings.join_all().await
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_are_replaced_one_by_one_fail_no_webhook_and_lose_no_call() {
    let mut hosts = Together::each(2, short_drain).await;
    let behind: Behind = Arc::new(Mutex::new((0..2).map(|host| Arc::new(hosts.carrier(host))).collect()));
    let (stop, stopped) = oneshot::channel();
    let load = tokio::spawn(load(Arc::clone(&behind), stopped));
    for host in 0..2 {
        hosts.hosts[host].terminate().unwrap();
        assert_eq!(hosts.hosts[host].wait(SOON).await.unwrap(), 0, "{}", hosts.hosts[host].output());
        hosts.hosts[host] = short_drain(host, hosts.fleet.options()).start().unwrap();
        let ready = async || hosts.api(host).get("/readyz").await.unwrap().status == 200;
        hosts.eventually("the new host to be ready", 15, ready).await;
        behind.lock().unwrap()[host] = Arc::new(hosts.carrier(host));
    }
    stop.send(()).unwrap();
    let answered: Vec<Leg> = load.await.unwrap().into_iter().collect::<Result<_, _>>().unwrap();
    assert!(answered.len() > 50, "{} webhooks are no load", answered.len());
    let known = all_calls(&hosts.api(0)).await;
    for leg in &answered {
        assert!(known.iter().any(|call| call["provider_call_id"] == leg.sid.as_str()), "{} is lost", leg.sid);
    }
    // Whatever the hosts had taken that went is over.
    let oldest = known.iter().min_by_key(|call| call["created_at"].as_i64()).unwrap();
    assert!(ended(oldest), "{oldest:#}");
}

/// Every call that is known to an organization.
async fn all_calls(api: &Api) -> Vec<Value> {
    let (mut all, mut path) = (Vec::new(), "calls?limit=100".to_owned());
    loop {
        let page = api.get(&path).await.unwrap().expect(200).unwrap();
        all.extend(page["items"].as_array().unwrap().iter().cloned());
        let Some(next) = page["next"].as_str() else { return all };
        path = format!("calls?limit=100&cursor={next}");
    }
}
