//! Drain, restart, exit codes.

use std::time::Duration;

use jackfield_tests::carrier::Leg;
use jackfield_tests::host_process::{HostOptions, HostProcess};
use jackfield_tests::place;

use crate::world::{CALLER, NUMBER, World, frames, speak_and_hear};

const SOON: Duration = Duration::from_secs(15);

#[tokio::test]
async fn an_idle_host_ends_at_once_with_0() {
    let mut world = World::new().await;
    world.host.terminate().unwrap();
    assert_eq!(world.host.wait(SOON).await.unwrap(), 0);
}

#[tokio::test]
async fn a_draining_host_finishes_its_calls_takes_no_new_ones_and_then_ends() {
    let mut world = World::new().await;
    let (_, mut stream) = world.call_in().await;
    speak_and_hear(&mut stream, &frames(5)).await;
    world.host.terminate().unwrap();
    for _ in 0..200 {
        if world.api.get("/readyz").await.is_ok_and(|answer| answer.status == 503) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(world.api.get("/healthz").await.unwrap().status, 200);
    let refused = world.carrier.post(&world.carrier.inbound_webhook(&Leg::inbound(CALLER, NUMBER))).await.unwrap();
    assert_eq!(refused.status, 503);
    speak_and_hear(&mut stream, &frames(25)).await;
    assert_eq!(world.host.ended().unwrap(), None, "the call is still up");
    stream.hang_up();
    assert_eq!(world.host.wait(SOON).await.unwrap(), 0);
}

#[tokio::test]
async fn calls_that_outlast_a_drain_are_hung_up_at_the_provider_and_written_down_as_over() {
    let folder = tempfile::tempdir().unwrap();
    let mut token = String::new();
    let mut world = World::with(|options| {
        let options = options.in_folder(folder.path()).with_settings("[drain]\ncalls_seconds = 1\n");
        token.clone_from(&options.admin_token);
        options
    })
    .await;
    let (leg, mut stream) = world.call_in().await;
    speak_and_hear(&mut stream, &frames(5)).await;
    world.host.terminate().unwrap();
    assert_eq!(world.host.wait(SOON).await.unwrap(), 0);
    let seen = world.rest.seen();
    let hung_up = seen.iter().filter(|seen| seen.path.contains(&leg.sid) && seen.field("Status") == "completed");
    assert_eq!(hung_up.count(), 1, "{seen:?}");
    let mut options = HostOptions::new().unwrap().in_folder(folder.path()).with_twilio_at(world.rest.address);
    options.admin_token = token;
    world.host = options.start().unwrap();
    world.api = world.host.api().unwrap();
    let call = world.call_when(&leg, "the end", crate::world::ended).await;
    assert_eq!(call["end_reason"], "operator", "{call:#}");
}

#[tokio::test]
async fn a_second_signal_ends_a_draining_host_with_1() {
    let mut world = World::new().await;
    let (_, mut stream) = world.call_in().await;
    speak_and_hear(&mut stream, &frames(5)).await;
    world.host.terminate().unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(world.host.ended().unwrap(), None, "one signal waits for the call");
    world.host.terminate().unwrap();
    assert_eq!(world.host.wait(SOON).await.unwrap(), 1);
}

#[tokio::test]
async fn a_restart_keeps_accounts_numbers_agents_calls_and_the_plugins_generation() {
    let folder = tempfile::tempdir().unwrap();
    let mut token = String::new();
    let mut world = World::with(|options| {
        let options = options.in_folder(folder.path());
        token.clone_from(&options.admin_token);
        options
    })
    .await;
    world.api.put_plugin("twilio", place::plugin("twilio-next").unwrap()).await.unwrap().expect(200).unwrap();
    let generation = world.generation().await;
    let (leg, mut stream) = world.call_in().await;
    speak_and_hear(&mut stream, &frames(5)).await;
    stream.hang_up();
    world.call_when(&leg, "the end", crate::world::ended).await;
    world.host.terminate().unwrap();
    world.host.wait(SOON).await.unwrap();
    let mut options =
        HostOptions::new().unwrap().in_folder(folder.path()).with_twilio_at(world.rest.address).recording();
    options.admin_token = token;
    world.host = options.start().unwrap();
    world.api = world.host.api().unwrap();
    world.carrier.gateway = world.host.gateway();
    assert_eq!(world.generation().await, generation);
    assert_eq!(world.api.call_of(&leg.sid).await.unwrap()["status"], "completed");
    let (again, mut stream) = world.call_in().await;
    speak_and_hear(&mut stream, &frames(5)).await;
    assert_eq!(world.api.call_of(&again.sid).await.unwrap()["generation"], generation.as_str());
}

#[tokio::test]
async fn settings_nobody_knows_and_commands_nobody_knows_have_their_own_exit_codes() {
    let options = HostOptions::new().unwrap().with_settings("no_such_setting = 1\n");
    let (code, output) = options.run_to_end(&["serve"]).unwrap();
    assert_eq!(code, Some(78), "{output}");
    assert!(output.contains("no_such_setting"), "{output}");
    let (code, output) = HostOptions::new().unwrap().run_to_end(&["no-such-command"]).unwrap();
    assert_eq!(code, Some(64), "{output}");
}

/// Waits until the host printed this so many times.
async fn printed(host: &HostProcess, text: &str, times: usize) {
    for _ in 0..1_000 {
        if host.output().matches(text).count() >= times {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited for {text:?}, {times} times:\n{}", host.output());
}

#[tokio::test]
async fn settings_that_cannot_be_used_change_nothing_and_the_log_says_why() {
    let mut world = World::with(|options| options.with_settings("[log]\nlevel = \"info\"\n")).await;
    let (_, mut stream) = world.call_in().await;
    let below = "[log]\nlevel = \"error\"\n[drain]\ncalls_seconds = 0\n";
    let refused = [
        ("listen =\n", "is not TOML: line 1"),
        ("[limits]\ncals = 3\n", "did you mean `limits.calls`?"),
        ("[limits]\ncalls = 0\n", "`limits.calls` is 0"),
        ("[plugins]\nsigners = [\"somebody\"]\n", "`somebody` is no public key"),
    ];
    for (settings, why) in refused {
        world.host.reload(&format!("{settings}{below}")).unwrap();
        printed(&world.host, why, 1).await;
    }
    world.host.reload("[drain]\ncalls_seconds = 0\n[log]\nlevel = \"no=such=filter=\"\n").unwrap();
    printed(&world.host, "`log.level` is neither", 1).await;
    speak_and_hear(&mut stream, &frames(5)).await;
    world.host.terminate().unwrap();
    // What is said at `info` is still said, and what a call may take is still its due.
    printed(&world.host, "draining", 1).await;
    speak_and_hear(&mut stream, &frames(25)).await;
    stream.hang_up();
    assert_eq!(world.host.wait(SOON).await.unwrap(), 0);
    assert!(!world.host.output().contains("calls are hung up"), "{}", world.host.output());
}

#[tokio::test]
async fn settings_that_are_live_change_at_a_signal_and_the_others_are_named() {
    let mut world = World::with(|options| options.with_settings("[log]\nlevel = \"warn\"\n")).await;
    let (_, mut stream) = world.call_in().await;
    speak_and_hear(&mut stream, &frames(5)).await;
    assert!(!world.host.output().contains("INFO"), "{}", world.host.output());
    let settings = "[log]\nlevel = \"info\"\n[drain]\ncalls_seconds = 1\n[limits]\ncalls = 7\n";
    for times in 1..=2 {
        world.host.reload(settings).unwrap();
        printed(&world.host, "limits.calls", times).await;
    }
    let output = world.host.output();
    for once in ["log.level", "drain.calls_seconds"] {
        assert_eq!(output.matches(once).count(), 1, "{once}: {output}");
    }
    world.host.terminate().unwrap();
    // The call goes on; by the default it could do so for two minutes.
    assert_eq!(world.host.wait(SOON).await.unwrap(), 0);
    assert!(world.host.output().contains("calls are hung up"), "{}", world.host.output());
}

/// How the system takes turns among a host's threads of that name: 0 as among all, 2 in real time.
fn policies(host: &HostProcess, name: &str) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", host.pid())).unwrap();
    let stats = tasks.flatten().filter_map(|task| std::fs::read_to_string(task.path().join("stat")).ok());
    let policy = |stat: String| {
        let (head, rest) = stat.rsplit_once(") ")?;
        // It is the 41st of all fields; the name is the second.
        let policy = rest.split(' ').nth(38)?.parse().ok()?;
        head.split_once('(').filter(|(_, known)| known.starts_with(name)).map(|_| policy)
    };
    stats.filter_map(policy).collect()
}

#[test]
fn audio_goes_first_where_it_may_and_the_log_says_where_not() {
    let host = HostOptions::new().unwrap().start().unwrap();
    let refused = host.output().contains("audio shares the cores");
    let rank = if refused { 0 } else { 2 };
    for name in ["media-", "guest-epoch"] {
        let policies = policies(&host, name);
        assert!(!policies.is_empty() && policies.iter().all(|policy| *policy == rank), "{name}: {policies:?}");
    }
    assert!(policies(&host, "guest").contains(&0) && policies(&host, "tokio").iter().all(|policy| *policy == 0));
    let modest = HostOptions::new().unwrap().with_settings("[media]\nrealtime = false\n").start().unwrap();
    for name in ["media-", "guest-epoch"] {
        assert!(policies(&modest, name).iter().all(|policy| *policy == 0), "{name}");
    }
    assert!(!modest.output().contains("audio shares the cores"), "nobody asked for it");
}
