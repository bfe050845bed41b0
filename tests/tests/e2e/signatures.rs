//! Builds that somebody has to vouch for.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use jackfield_tests::hostile::{Export, Hostile, Misdeed};
use jackfield_tests::place;
use serde_json::Value;

use crate::world::{World, frames, speak_and_hear};

/// `jackfield plugin …`: the exit code, and what it said.
fn tool(arguments: &[&str]) -> (Option<i32>, String) {
    let ended = Command::new(place::host_binary().unwrap()).arg("plugin").args(arguments).output().unwrap();
    (ended.status.code(), String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()).into_owned())
}

/// A signer: the file with the key, and its public half.
fn signer(folder: &Path, name: &str) -> (String, String) {
    let file = folder.join(name).display().to_string();
    let (code, said) = tool(&["keygen", &file]);
    assert_eq!(code, Some(0), "{said}");
    (file, said.trim().to_owned())
}

fn sign(folder: &Path, bytes: &[u8], key: &str) -> Vec<u8> {
    let file = folder.join("build.wasm");
    std::fs::write(&file, bytes).unwrap();
    let (code, said) = tool(&["sign", &file.display().to_string(), "--key", key]);
    assert_eq!(code, Some(0), "{said}");
    std::fs::read(file).unwrap()
}

fn demanding(folder: &Path, keys: &[&str]) -> String {
    std::fs::create_dir_all(folder.join("plugins.d")).unwrap();
    format!("[plugins]\nsigners = {keys:?}\n[rollout]\nbake_seconds = 1\n")
}

async fn refused(world: &World, name: &str, bytes: Vec<u8>) -> String {
    let answer = world.api.put_plugin(name, bytes).await.unwrap();
    assert_eq!(answer.status, 422, "{}", answer.text());
    let problem = answer.json().unwrap();
    assert_eq!(problem["stage"], "signature", "{problem:#}");
    problem["detail"].as_str().unwrap().to_owned()
}

async fn serving(world: &World, name: &str) -> Value {
    let answer = world.api.get(&format!("plugins/{name}")).await.unwrap();
    answer.json().unwrap_or_default()["digest"].clone()
}

#[tokio::test]
async fn a_host_that_names_signers_takes_no_build_of_others_and_serves_what_it_comes_with() {
    let folder = tempfile::tempdir().unwrap();
    let (key, public) = signer(folder.path(), "ours.pem");
    let (other, stranger) = signer(folder.path(), "theirs.pem");
    let settings = demanding(folder.path(), &[&public]);
    let world = World::with(|options| options.in_folder(folder.path()).with_settings(&settings)).await;
    let (_, mut stream) = world.call_in().await;
    speak_and_hear(&mut stream, &frames(5)).await;
    let next = place::plugin("twilio-next").unwrap();
    assert!(refused(&world, "twilio", next.clone()).await.contains("carries no signature"));
    assert!(refused(&world, "twilio", sign(folder.path(), &next, &other)).await.contains(&stranger));
    let signed = sign(folder.path(), &next, &key);
    let mut changed = signed.clone();
    // Within the signature itself, where no other stage looks.
    *changed.last_mut().unwrap() ^= 1;
    assert!(refused(&world, "twilio", changed).await.contains("changed or damaged"));
    let twice = [&signed[..], &signed[next.len()..]].concat();
    assert!(refused(&world, "twilio", twice).await.contains("2 signatures"));
    // What the binary holds needs no signature, whichever way it comes; what is signed is taken.
    for bytes in [place::plugin("twilio").unwrap(), signed] {
        let begun = world.api.put_plugin("twilio", bytes).await.unwrap().expect(200).unwrap();
        assert_eq!(begun["stages"][3]["stage"], "signature", "{begun:#}");
        assert_eq!(serving(&world, "twilio").await, begun["digest"]);
    }
    let (_, mut stream) = world.call_in().await;
    speak_and_hear(&mut stream, &frames(5)).await;
}

#[tokio::test]
async fn files_need_a_signature_too_and_so_do_builds_that_served_before() {
    let folder = tempfile::tempdir().unwrap();
    let (key, public) = signer(folder.path(), "ours.pem");
    let (_, another) = signer(folder.path(), "another.pem");
    let settings = demanding(folder.path(), &[&public]);
    let mut world = World::with(|options| options.in_folder(folder.path()).with_settings(&settings)).await;
    let stock = world.generation().await;
    let plugins = folder.path().join("plugins.d");
    let bring = |name: &str, bytes: &[u8]| {
        std::fs::write(plugins.join("fresh.part"), bytes).unwrap();
        std::fs::rename(plugins.join("fresh.part"), plugins.join(name)).unwrap();
    };
    bring("unsigned.wasm", &Hostile::harmless("unsigned").build().unwrap());
    let made = Hostile::new("made", Export::Read, Misdeed::Nothing).build().unwrap();
    bring("made.wasm", &sign(folder.path(), &made, &key));
    bring("twilio.wasm", &sign(folder.path(), &place::plugin("twilio-next").unwrap(), &key));
    // The files are looked at in no order.
    let refused = || world.host.output().contains("carries no signature");
    for _ in 0..400 {
        if refused() && world.generation().await != stock && serving(&world, "made").await.is_string() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (next, made) = (world.generation().await, serving(&world, "made").await);
    assert!(next != stock && made.is_string(), "{}", world.host.output());
    assert!(serving(&world, "unsigned").await.is_null());
    assert!(refused(), "{}", world.host.output());
    // The database has the signature with the build.
    world.host.kill().unwrap();
    world.start_again(folder.path());
    assert_eq!((world.generation().await, serving(&world, "made").await), (next, made));
    // A signer that is trusted no more.
    world.host.kill().unwrap();
    std::fs::write(folder.path().join("jackfield.toml"), demanding(folder.path(), &[&another])).unwrap();
    world.start_again(folder.path());
    assert_eq!(world.generation().await, stock);
    assert!(serving(&world, "made").await.is_null());
    let (_, mut stream) = world.call_in().await;
    speak_and_hear(&mut stream, &frames(5)).await;
}
