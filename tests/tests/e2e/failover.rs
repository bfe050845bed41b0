//! Two hosts on a Redis with a stand-in, whose master dies: behind Sentinels, and in a Cluster.

use jackfield_tests::api::id_of;
use jackfield_tests::carrier::{Leg, MediaStream};
use jackfield_tests::cluster::Cluster;
use jackfield_tests::host_process::HostOptions;
use jackfield_tests::redis_tls::Sealed;
use jackfield_tests::sentinel::Watched;
use serde_json::json;

use crate::fleet::Together;
use crate::world::{CALLER, NUMBER, ended, frames, speak_and_hear};

#[tokio::test]
async fn a_failover_of_redis_costs_no_call_and_needs_nobody() {
    let mut redis = Watched::start().unwrap();
    let hosts = on(&redis.url()).await;
    let call = Talk::begin(&hosts).await;
    redis.kill_master().unwrap();
    let call = call.goes_on().await;
    hosts.eventually("the Sentinels to name another", 30, async || redis.is_failed_over().unwrap()).await;
    call.ends_on_the_new_master(&hosts).await;
    for host in &hosts.hosts {
        assert!(host.output().contains("the master of Redis is lost"), "{}", host.output());
    }
}

#[tokio::test]
async fn a_failover_in_a_cluster_costs_no_call_and_needs_nobody() {
    let mut redis = Cluster::start().unwrap();
    let hosts = on(&redis.url()).await;
    let call = Talk::begin(&hosts).await;
    redis.kill_master().unwrap();
    let call = call.goes_on().await;
    hosts.eventually("the replica to be the master", 30, async || redis.is_failed_over().unwrap()).await;
    call.ends_on_the_new_master(&hosts).await;
}

/// Two hosts on that Redis.
async fn on(url: &str) -> Together {
    let on_it = |_, mut options: HostOptions| {
        options.environment.push(("REDIS_URL".to_owned(), url.to_owned()));
        options
    };
    Together::each(2, on_it).await
}

/// A caller whose webhook came to one host, and whose audio to the other.
struct Talk {
    leg: Leg,
    stream: MediaStream,
    call: String,
}

impl Talk {
    async fn begin(hosts: &Together) -> Self {
        let (leg, stream) = hosts.call_in(0, 1).await;
        let call = id_of(&hosts.api(0).call_of(&leg.sid).await.unwrap()).unwrap();
        Self { leg, stream, call }
    }

    async fn goes_on(mut self) -> Self {
        for _ in 0..3 {
            speak_and_hear(&mut self.stream, &frames(10)).await;
        }
        self
    }

    async fn ends_on_the_new_master(self, hosts: &Together) {
        for host in 0..2 {
            let rings = async || hosts.ring(host, &Leg::inbound(CALLER, NUMBER)).await.is_some();
            hosts.eventually("new calls on either host", 15, rings).await;
        }
        let Self { leg, call, .. } = self.goes_on().await;
        let live = hosts.api(0).call(&call).await.unwrap();
        assert_eq!(live["status"], "in-progress", "nobody takes it for dead: {live:#}");
        // The host that has the call hears the other one again, over the new master.
        let path = format!("calls/{call}/hangup");
        let hung_up = async || hosts.api(0).post(&path, &json!({})).await.unwrap().status == 202;
        hosts.eventually("the hosts to hear each other", 15, hung_up).await;
        hosts.call_when(0, &leg, "the end", 15, ended).await;
        for host in &hosts.hosts {
            assert!(!host.output().contains("redis-canary"), "no password in logs");
        }
    }
}

#[test]
fn sentinels_and_nodes_that_are_not_there_are_told_of_at_the_start_without_a_password() {
    for (kind, path, sentence) in
        [("sentinel", "/main", "no Sentinel names a master"), ("cluster", "", "no node of the Cluster serves")]
    {
        let options = with_redis(&format!("redis+{kind}://:hush@127.0.0.1:1{path}"));
        let (code, said) = options.run_to_end(&["serve"]).unwrap();
        assert_ne!(code, Some(0));
        assert!(said.contains(sentence) && said.contains("REDIS_URL") && !said.contains("hush"), "{said}");
    }
}

#[test]
fn a_redis_behind_tls_is_taken_if_its_certificate_holds() {
    let redis = Sealed::start().unwrap();
    let trusted = ("SSL_CERT_FILE".to_owned(), redis.certificate.display().to_string());
    for url in &redis.urls {
        let mut options = with_redis(url);
        let (code, said) = options.run_to_end(&["serve"]).unwrap();
        assert!(
            code != Some(0) && said.contains("REDIS_URL"),
            "{url} by a certificate that nobody vouches for: {said}"
        );
        options.environment.push(trusted.clone());
        let host = options.start().unwrap();
        assert!(!host.output().contains("cannot be heard"), "{url}: {}", host.output());
    }
}

/// Listening where nobody else does, also if it is to be refused.
fn with_redis(url: &str) -> HostOptions {
    let mut options = HostOptions::new().unwrap();
    options.environment.push(("JACKFIELD_LISTEN".to_owned(), "127.0.0.1:0".to_owned()));
    options.environment.push(("REDIS_URL".to_owned(), url.to_owned()));
    options
}
