//! Two hosts on a Redis that Sentinels watch over, whose master dies.

use jackfield_tests::api::id_of;
use jackfield_tests::carrier::Leg;
use jackfield_tests::host_process::HostOptions;
use jackfield_tests::sentinel::Watched;
use serde_json::json;

use crate::fleet::Together;
use crate::world::{CALLER, NUMBER, ended, frames, speak_and_hear};

#[tokio::test]
async fn a_failover_of_redis_costs_no_call_and_needs_nobody() {
    let mut redis = Watched::start().unwrap();
    let url = redis.url();
    let on_it = |_, mut options: HostOptions| {
        options.environment.push(("REDIS_URL".to_owned(), url.clone()));
        options
    };
    let hosts = Together::each(2, on_it).await;
    let (leg, mut stream) = hosts.call_in(0, 1).await;
    let call = id_of(&hosts.api(0).call_of(&leg.sid).await.unwrap()).unwrap();
    redis.kill_master().unwrap();
    for _ in 0..3 {
        speak_and_hear(&mut stream, &frames(10)).await;
    }
    hosts.eventually("the Sentinels to name another", 30, async || redis.is_failed_over().unwrap()).await;
    for host in 0..2 {
        let rings = async || hosts.ring(host, &Leg::inbound(CALLER, NUMBER)).await.is_some();
        hosts.eventually("new calls on either host", 15, rings).await;
    }
    speak_and_hear(&mut stream, &frames(10)).await;
    let live = hosts.api(0).call(&call).await.unwrap();
    assert_eq!(live["status"], "in-progress", "nobody takes it for dead: {live:#}");
    // The host that has the call hears the other one again, over the new master.
    let hung_up = async || hosts.api(0).post(&format!("calls/{call}/hangup"), &json!({})).await.unwrap().status == 202;
    hosts.eventually("the hosts to hear each other", 15, hung_up).await;
    hosts.call_when(0, &leg, "the end", 15, ended).await;
    for host in &hosts.hosts {
        assert!(host.output().contains("the master of Redis is lost"), "{}", host.output());
        assert!(!host.output().contains("redis-canary"), "no password in logs");
    }
}

#[test]
fn sentinels_that_are_not_there_are_told_of_at_the_start_without_a_password() {
    let mut options = HostOptions::new().unwrap();
    options.environment.push(("REDIS_URL".to_owned(), "redis+sentinel://:hush@127.0.0.1:1/main".to_owned()));
    let (code, said) = options.run_to_end(&["serve"]).unwrap();
    assert_ne!(code, Some(0));
    assert!(
        said.contains("no Sentinel names a master") && said.contains("REDIS_URL") && !said.contains("hush"),
        "{said}"
    );
}
