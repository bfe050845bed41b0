//! The plugin host against plugins that misbehave, without a network in between.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::pin::Pin;

use jackfield_plugins::types::{
    Account, Action, Call, Direction, HttpError, HttpRequest, HttpResponse, MediaCommand, Message, Request,
};
use jackfield_plugins::{
    CONTRACT, CompiledCache, Granted, GuestError, GuestLimits, Outbound, PluginGrants, PluginHost, Pooling, Refusal,
    Signers, SigningKey, sign,
};
use jackfield_tests::hostile::{Export, Hostile, Misdeed};

fn host() -> PluginHost {
    let limits = GuestLimits { instances: 64, generations: 2, ..GuestLimits::default() };
    PluginHost::new(limits, Pooling::Auto, None).unwrap()
}

async fn serve(host: &PluginHost, plugin: &Hostile) -> String {
    let candidate = host.check(&plugin.name, plugin.build().unwrap(), "test", 1).await.unwrap();
    host.promote(candidate).digest
}

async fn refusal(plugin: &Hostile) -> Refusal {
    host().check(&plugin.name, plugin.build().unwrap(), "test", 1).await.unwrap_err()
}

fn request() -> Request {
    Request { method: "POST".into(), url: "https://gw.example.net/x".into(), headers: vec![], body: vec![] }
}

fn account() -> Account {
    Account { id: "cfg".into(), fields: vec![], secrets: vec![] }
}

fn call() -> Call {
    Call {
        id: "call".into(),
        provider_id: "P".into(),
        direction: Direction::Inbound,
        from: "+14155550123".into(),
        to: "+12065550188".into(),
        memo: vec![],
        extra: vec![],
    }
}

#[tokio::test]
async fn a_harmless_plugin_passes_every_stage_and_serves() {
    let host = host();
    let plugin = Hostile::harmless("good");
    let candidate = host.check("good", plugin.build().unwrap(), "test", 1).await.unwrap();
    let admission = host.promote(candidate);
    let stages: Vec<&str> = admission.stages.iter().map(|stage| stage.stage).collect();
    assert_eq!(
        stages,
        [
            "digest",
            "size",
            "contract",
            "signature",
            "imports",
            "compile",
            "instantiate",
            "describe",
            "grants",
            "vectors",
            "promote"
        ]
    );
    let mut guest = host.current("good").unwrap().webhooks().unwrap();
    assert_eq!(guest.identify(&request()), Ok(None));
    assert_eq!(guest.read(&account(), &request(), "inbound"), Ok(Ok(vec![])));
}

#[tokio::test]
async fn a_loop_is_stopped_and_the_next_request_is_served() {
    let host = host();
    serve(&host, &Hostile::new("loop", Export::Read, Misdeed::Loop)).await;
    let generation = host.current("loop").unwrap();
    let mut guest = generation.webhooks().unwrap();
    assert_eq!(guest.read(&account(), &request(), "x"), Err(GuestError::Deadline { export: "read" }));
    assert_eq!(generation.faults().deadlines, 1);
    let mut next = generation.webhooks().unwrap();
    assert!(next.reply(&account(), None, &Action::HangUp).unwrap().is_ok());
}

/// A way out that leads nowhere.
struct Nowhere;

impl Outbound for Nowhere {
    fn send<'a>(
        &'a self,
        _: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'a>> {
        Box::pin(std::future::ready(Err(HttpError::Denied("a test".to_owned()))))
    }
}

#[tokio::test]
async fn a_loop_is_stopped_in_exports_that_may_wait_too() {
    let host = host();
    serve(&host, &Hostile::in_chat("loop", Misdeed::Loop)).await;
    let generation = host.current("loop").unwrap();
    for round in 1..=2 {
        let guest = generation.chat(Box::new(Nowhere)).await.unwrap();
        let outcome = guest.listen(&account(), "https://gw.example.net/x").await;
        assert_eq!(outcome, Err(GuestError::Deadline { export: "listen" }));
        assert_eq!(generation.faults().deadlines, round);
    }
}

#[tokio::test]
async fn traps_deep_recursion_and_growth_end_one_request_only() {
    for misdeed in [Misdeed::Trap, Misdeed::Recurse, Misdeed::Grow] {
        let host = host();
        serve(&host, &Hostile::new("bad", Export::Reply, misdeed)).await;
        let generation = host.current("bad").unwrap();
        for round in 1..=3 {
            let mut guest = generation.webhooks().unwrap();
            let outcome = guest.reply(&account(), Some(&call()), &Action::Acknowledge);
            let Err(GuestError::Trap { export: "reply", reason }) = outcome else {
                panic!("{misdeed:?}: {outcome:?}");
            };
            // The report says where, by name and innermost first.
            let place = if misdeed == Misdeed::Recurse { ", in deeper < deeper" } else { ", in reply" };
            assert!(reason.contains(place), "{misdeed:?}: {reason}");
            assert_eq!(generation.faults().traps, round);
        }
        assert!(generation.webhooks().unwrap().identify(&request()).is_ok());
    }
}

#[tokio::test]
async fn guests_that_are_alive_are_counted() {
    let host = host();
    serve(&host, &Hostile::harmless("counted")).await;
    let generation = host.current("counted").unwrap();
    let (media, webhook) = (generation.media().unwrap(), generation.webhooks().unwrap());
    assert_eq!(generation.counts().guests, 2);
    drop(webhook);
    assert_eq!((generation.counts().guests, host.list()[0].generations[0].instances), (1, 1));
    drop(media);
    assert_eq!(generation.counts().guests, 0);
}

#[tokio::test]
async fn a_grant_bounds_the_guests_of_its_generation_and_no_others() {
    let (host, plugin) = (host(), Hostile::new("g", Export::Read, Misdeed::Grow));
    let mut most = Vec::new();
    for granted in
        [Granted::BySettings, Granted::ByOrder(PluginGrants { memory_bytes: Some(4 << 20), ..<_>::default() })]
    {
        let candidate = host.check_under("g", plugin.build().unwrap(), granted, "test", 1).await.unwrap();
        host.promote(candidate);
        let generation = host.current("g").unwrap();
        let mut guest = generation.webhooks().unwrap();
        assert!(guest.read(&account(), &request(), "inbound").is_err());
        drop(guest);
        most.push(generation.counts().memory);
    }
    assert!(most[0] > 8 << 20 && most[1] <= 4 << 20, "{most:?}");
    let plugins = host.list();
    let digests: Vec<&str> = plugins[0].generations.iter().map(|known| known.digest.as_str()).collect();
    assert_eq!(digests[0].split_once('-').map(|(build, _)| build), Some(digests[1]), "one build, two generations");
    host.rollback("g").unwrap();
    assert_eq!(host.current("g").unwrap().digest(), digests[1]);
}

#[tokio::test]
async fn a_result_larger_than_allowed_is_refused_and_its_store_is_spent() {
    let host = host();
    serve(&host, &Hostile::new("huge", Export::Reply, Misdeed::HugeResult)).await;
    let mut guest = host.current("huge").unwrap().webhooks().unwrap();
    let outcome = guest.reply(&account(), None, &Action::HangUp);
    assert!(matches!(outcome, Err(GuestError::Result { export: "reply", .. })), "{outcome:?}");
    // wasmtime would take another call here; the host must not.
    assert!(matches!(guest.identify(&request()), Err(GuestError::Result { export: "identify", .. })));
}

#[tokio::test]
async fn a_media_stream_whose_guest_fails_does_not_touch_another() {
    let host = host();
    serve(&host, &Hostile::new("media", Export::Decode, Misdeed::Loop)).await;
    let generation = host.current("media").unwrap();
    let (mut one, mut other) = (generation.media().unwrap(), generation.media().unwrap());
    assert!(one.open(&account(), &call()).unwrap().is_ok());
    assert!(other.open(&account(), &call()).unwrap().is_ok());
    let message = Message::Text("{}".to_owned());
    assert_eq!(one.decode(&message), Err(GuestError::Deadline { export: "decode" }));
    assert_eq!(other.encode(&MediaCommand::Clear), Ok(Ok(vec![])));
}

#[tokio::test]
async fn bytes_that_are_no_plugin_are_refused_at_the_stage_that_finds_it_out() {
    let host = host();
    let whole = Hostile::harmless("good").build().unwrap();
    let cases: [(&str, Vec<u8>); 4] = [
        ("contract", b"hello".to_vec()),
        ("contract", whole[..whole.len() / 2].to_vec()),
        ("contract", b"\0asm\x01\0\0\0".to_vec()),
        ("size", vec![0; GuestLimits::default().upload + 1]),
    ];
    for (stage, bytes) in cases {
        let refusal = host.check("good", bytes, "test", 1).await.unwrap_err();
        assert_eq!(refusal.stage, stage, "{refusal}");
        assert!(!refusal.stages.last().unwrap().ok);
    }
}

/// Numbers that are the same in every run (Steele, Lea and Flood's SplitMix).
fn numbers(mut state: u64) -> impl FnMut(usize) -> usize {
    move |below| {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from(mixed >> 33).unwrap() % below
    }
}

#[tokio::test]
async fn ten_thousand_damaged_plugins_are_refused_or_do_no_harm() {
    let host = host();
    let whole = Hostile::harmless("good").build().unwrap();
    let (mut number, mut refused) = (numbers(7), 0);
    for round in 0..10_000 {
        let mut bytes = whole.clone();
        match round % 4 {
            0 => bytes.truncate(number(whole.len())),
            1 => bytes.extend_from_slice(&whole[number(whole.len())..]),
            _ => {
                for _ in 0..=number(3) {
                    bytes[number(whole.len())] = u8::try_from(number(256)).unwrap();
                }
            }
        }
        match host.check("good", bytes, "test", 1).await {
            Err(refusal) => {
                refused += 1;
                assert!(!refusal.message.is_empty() && !refusal.stages.last().unwrap().ok, "{refusal}");
            }
            Ok(candidate) => {
                // One whose export has another name by now is a plugin that reads no webhooks.
                if let Ok(mut guest) = candidate.generation().webhooks() {
                    drop(guest.identify(&request()));
                    drop(guest.read(&account(), &request(), "inbound"));
                }
            }
        }
    }
    assert!(refused > 5_000, "only {refused} were refused: is anything damaged?");
    serve(&host, &Hostile::harmless("good")).await;
}

#[tokio::test]
async fn where_signers_are_named_only_what_one_of_them_signed_is_admitted() {
    let (key, other) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
    let host = host().trusting(Signers::new(vec![key.public()]));
    let bytes = Hostile::harmless("good").build().unwrap();
    let signed = sign(&bytes, &key).unwrap();
    let candidate = host.check("good", signed.clone(), "test", 1).await.unwrap();
    assert_eq!(candidate.stages()[3].detail, format!("signed with {}", key.public()));
    // A note whose length and name remain: nothing but the signature covers it.
    let noted = sign(&[&bytes[..], b"\0\x06\x04note!"].concat(), &key).unwrap();
    let mut changed = noted.clone();
    changed[bytes.len() + 7] ^= 1;
    let cut = [&noted[..bytes.len() + 8], b"\0\x15\x13jackfield:signature\x01"].concat();
    let by_other = sign(&bytes, &other).unwrap();
    let twice = [&signed[..], &signed[bytes.len()..]].concat();
    let behind = [&signed[..], b"\0\x06\x04note!"].concat();
    for (bytes, why) in [
        (bytes, "carries no signature"),
        (by_other, "not among `plugins.signers`"),
        (changed, "changed or damaged"),
        (cut, "signature is damaged"),
        (twice, "2 signatures"),
        (behind, "behind the build's signature"),
    ] {
        let refusal = host.check("good", bytes, "test", 1).await.unwrap_err();
        assert_eq!(refusal.stage, "signature", "{refusal}");
        assert!(refusal.message.contains(why), "{why}: {refusal}");
    }
    host.check("good", noted, "test", 1).await.unwrap();
    let refusal = host.check("good", signed[..signed.len() - 1].to_vec(), "test", 1).await.unwrap_err();
    assert_eq!(refusal.stage, "contract", "a file that ends too early: {refusal}");
}

#[tokio::test]
async fn another_contract_is_refused_with_both_versions() {
    let refusal = refusal(&Hostile::harmless("late").built_for("9.9.0")).await;
    assert_eq!(refusal.stage, "contract");
    assert!(refusal.message.contains("9.9.0") && refusal.message.contains(CONTRACT), "{refusal}");
}

#[tokio::test]
async fn an_import_that_is_not_granted_is_refused_by_name() {
    let refusal = refusal(&Hostile::harmless("greedy").wanting_sockets()).await;
    assert_eq!(refusal.stage, "imports");
    assert!(refusal.message.contains("wasi:sockets/tcp"), "{refusal}");
}

#[tokio::test]
async fn a_plugin_that_hangs_at_start_or_cannot_describe_itself_is_not_admitted() {
    let at_start = refusal(&Hostile::new("hang", Export::Describe, Misdeed::Loop).at_start()).await;
    assert_eq!(at_start.stage, "instantiate");
    for misdeed in [Misdeed::Loop, Misdeed::Trap, Misdeed::BadText] {
        let refusal = refusal(&Hostile::new("mute", Export::Describe, misdeed)).await;
        assert_eq!(refusal.stage, "describe", "{misdeed:?}: {refusal}");
    }
}

#[tokio::test]
async fn a_plugin_is_admitted_under_its_own_name_only() {
    let bytes = Hostile::harmless("good").build().unwrap();
    let refusal = host().check("other", bytes, "test", 1).await.unwrap_err();
    assert_eq!(refusal.stage, "describe");
}

#[tokio::test]
async fn a_refusal_leaves_the_old_generation_serving() {
    let host = host();
    let digest = serve(&host, &Hostile::harmless("good")).await;
    let bad = Hostile::new("good", Export::Describe, Misdeed::Trap).build().unwrap();
    assert!(host.check("good", bad, "test", 2).await.is_err());
    assert_eq!(host.current("good").unwrap().digest(), digest);
}

#[tokio::test]
async fn rollback_is_a_flip_and_calls_keep_what_they_began_with() {
    let host = host();
    let first = serve(&host, &Hostile::harmless("good")).await;
    let pin = host.current("good").unwrap().pin();
    let second = serve(&host, &Hostile::new("good", Export::Read, Misdeed::Trap)).await;
    assert_ne!(first, second);
    assert_eq!(host.current("good").unwrap().digest(), second);
    assert_eq!(pin.generation().digest(), first);
    assert_eq!(host.rollback("good").unwrap(), first);
    assert_eq!(host.current("good").unwrap().digest(), first);
    assert!(host.rollback("good").is_err(), "nothing is before the first");
    assert!(host.rollback("nobody").is_err());
}

#[tokio::test]
async fn generations_that_calls_hold_are_kept_and_others_are_forgotten() {
    let host = host();
    let pinned = serve(&host, &Hostile::harmless("good")).await;
    let pin = host.current("good").unwrap().pin();
    let mut digests = Vec::new();
    for export in [Export::Read, Export::Reply, Export::Open, Export::Decode, Export::Encode] {
        digests.push(serve(&host, &Hostile::new("good", export, Misdeed::Trap)).await);
    }
    assert!(host.generation("good", &pinned).is_some(), "a call holds it");
    assert!(host.generation("good", &digests[0]).is_none(), "nobody holds it");
    assert_eq!(host.generation("good", &pinned).unwrap().calls(), 1);
    drop(pin);
    assert_eq!(host.generation("good", &pinned).unwrap().calls(), 0);
}

#[tokio::test]
async fn compiled_code_is_kept_and_code_from_elsewhere_is_not_run() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = Hostile::harmless("good").build().unwrap();
    let load = async |key: [u8; 32]| {
        let cache = CompiledCache::new(folder.path().to_owned(), &key);
        let host = PluginHost::new(GuestLimits { instances: 8, ..GuestLimits::default() }, Pooling::Off, Some(cache));
        let candidate = host.unwrap().check("good", bytes.clone(), "test", 1).await.unwrap();
        let generation = std::sync::Arc::clone(candidate.generation());
        let stages = PluginHost::new(GuestLimits::default(), Pooling::Off, None).unwrap().promote(candidate).stages;
        assert!(generation.webhooks().is_ok());
        stages.into_iter().find(|stage| stage.stage == "compile").unwrap().detail
    };
    assert!(load([1; 32]).await.contains("bytes of code"));
    assert_eq!(load([1; 32]).await, "from the cache");
    assert!(load([2; 32]).await.contains("bytes of code"), "another host's key");
    let file = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    let mut code = std::fs::read(&file).unwrap();
    let middle = code.len() / 2;
    code[middle] ^= 1;
    std::fs::write(&file, code).unwrap();
    assert!(load([2; 32]).await.contains("bytes of code"), "one bit was changed");
}
