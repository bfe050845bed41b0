//! Recordings that go on to an object store.

use std::time::Duration;

use jackfield_tests::host_process::HostOptions;
use jackfield_tests::object_store::{ACCESS_KEY, ObjectStore, REGION, SECRET_KEY};

use crate::world::{World, ended, frames, speak_and_hear};

fn kept_in(store: &ObjectStore, options: HostOptions) -> HostOptions {
    options.with_settings(&format!(
        "[object_store]\nurl = \"http://{}/calls/2026\"\nregion = \"{REGION}\"\naccess_key = \"{ACCESS_KEY}\"\n\
         secret_key = \"{SECRET_KEY}\"\n",
        store.address
    ))
}

async fn until(what: &str, done: impl Fn() -> bool) {
    for _ in 0..600 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("waited for {what}");
}

#[tokio::test]
async fn a_recording_goes_to_the_object_store_through_its_outages_and_leaves_no_file() {
    let store = ObjectStore::start().await.unwrap();
    store.fail_next(503);
    let world = World::with(|options| kept_in(&store, options)).await;
    let (leg, mut stream) = world.call_in().await;
    speak_and_hear(&mut stream, &frames(50)).await;
    stream.hang_up();
    let call = world.call_when(&leg, "the end", ended).await;
    let name = format!("{}.wav", call["id"].as_str().unwrap());
    assert_eq!(call["recording"], format!("s3://calls/2026/{name}"));
    let file = world.host.folder().join("data/recordings").join(&name);
    until("the object", || store.objects().len() == 1 && !file.exists()).await;
    assert_eq!(store.refused(), 1, "the outage, and nothing badly signed");
    let objects = store.objects();
    let bytes = &objects[&format!("/calls/2026/{name}")];
    let samples = hound::WavReader::new(&bytes[..]).unwrap().into_samples::<i16>().map(Result::unwrap).count();
    assert!(samples >= 2 * 50 * 160, "{samples}");
}

#[tokio::test]
async fn a_recording_that_a_crash_left_behind_is_kept_by_the_next_start() {
    let store = ObjectStore::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let left = folder.path().join("data/recordings/call_left.wav");
    std::fs::create_dir_all(left.parent().unwrap()).unwrap();
    std::fs::write(&left, b"RIFF").unwrap();
    let _host = kept_in(&store, HostOptions::new().unwrap().in_folder(folder.path())).start().unwrap();
    until("the object", || store.objects().contains_key("/calls/2026/call_left.wav") && !left.exists()).await;
}
