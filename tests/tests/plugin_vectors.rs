//! Builds are held to vectors before they serve: to those they ship, and to what we know about their provider's signatures.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use jackfield_component::with_section;
use jackfield_plugins::{Candidate, Granted, GuestLimits, PluginHost, Pooling, Refusal, StockPlugin};
use jackfield_tests::hostile::{Export, Hostile, Misdeed};
use jackfield_tests::place;
use jackfield_vectors::{Bundle, SECTION};

const PROVIDERS: [&str; 8] = ["asterisk", "cloudonix", "plivo", "telnyx", "twilio", "vobiz", "vonage", "webex"];

/// A host whose binary holds these plugins.
fn host(stock: &[&'static str]) -> PluginHost {
    let held = |name: &&'static str| StockPlugin { name, bytes: place::plugin(name).unwrap().leak() };
    let stock: Vec<StockPlugin> = stock.iter().map(held).collect();
    PluginHost::new(GuestLimits { instances: 64, ..GuestLimits::default() }, Pooling::Auto, None)
        .unwrap()
        .stocked(stock.leak())
}

/// Webhooks that the plugin is to take for genuine, or not.
fn cases(cases: &[(&str, &str)]) -> Vec<u8> {
    let files = cases.iter().flat_map(|(name, proof)| {
        let file = |file: &str, text: String| (format!("{name}/{file}"), text.into_bytes());
        [
            file("request.http", "POST https://gw.example.net/x\n\n\n".to_owned()),
            file("account.json", r#"{"fields": {}}"#.to_owned()),
            file("expect.json", format!(r#"{{"proof": {proof:?}}}"#)),
        ]
    });
    Bundle::of_files(files).unwrap().to_section().unwrap()
}

/// A harmless plugin that ships these vectors. It takes everything for genuine.
fn shipping(section: &[u8]) -> Vec<u8> {
    with_section(&Hostile::harmless("good").build().unwrap(), SECTION, section)
}

async fn refused(host: &PluginHost, name: &str, bytes: Vec<u8>) -> Refusal {
    let refusal = host.check(name, bytes, "test", 1).await.unwrap_err();
    assert_eq!(refusal.stage, "vectors", "{refusal}");
    assert!(!refusal.stages.last().unwrap().ok);
    refusal
}

fn told(candidate: &Candidate) -> &str {
    let stage = candidate.stages().last().unwrap();
    assert_eq!(stage.stage, "vectors");
    &stage.detail
}

#[tokio::test]
async fn a_build_is_held_to_the_vectors_it_ships() {
    let host = host(&[]);
    let good = shipping(&cases(&[("one", "holds"), ("two", "holds")]));
    let candidate = host.check("good", good.clone(), "test", 1).await.unwrap();
    assert_eq!(told(&candidate), "2 of its own hold; there are none of ours for its provider");
    host.promote(candidate);
    let bad = shipping(&cases(&[("one", "holds"), ("two-is-forged", "fails")]));
    let refusal = refused(&host, "good", bad.clone()).await;
    for words in ["`two-is-forged`", r#"expected "fails", found "holds""#, "Mend the plugin, or the vector"] {
        assert!(refusal.message.contains(words), "{words}: {refusal}");
    }
    assert_eq!(host.list().len(), 1);
    assert_eq!(host.current("good").unwrap().source(), "test");
    // One that was admitted when vectors were not looked at still comes back after a restart.
    let again = host.check_again("good", bad, Granted::InForce, "restored", 2).await.unwrap();
    assert!(told(&again).contains("not run again"));
    let none = host.check("good", Hostile::harmless("good").build().unwrap(), "test", 1).await.unwrap();
    assert!(told(&none).contains("ships none"));
}

#[tokio::test]
async fn vectors_that_cannot_be_read_are_refused_and_so_are_those_that_make_the_plugin_fail() {
    let host = host(&[]);
    let good = cases(&[("one", "holds")]);
    for (bytes, why) in [
        (shipping(b"rubbish"), "cannot be read"),
        (shipping(b"{}"), "no case"),
        (shipping(&[b' '; 15 << 20]), "cannot be read"),
        (shipping(br#"{"one/expect.json": "{}", "one/odd": ""}"#), "`one`"),
        (with_section(&shipping(&good), SECTION, &good), "2 sections"),
    ] {
        let refusal = refused(&host, "good", bytes).await;
        assert!(refusal.message.contains(why), "{why}: {refusal}");
    }
    for misdeed in Misdeed::AT_WORK {
        let bytes = Hostile::new("good", Export::Authenticate, misdeed).build().unwrap();
        let refusal = refused(&host, "good", with_section(&bytes, SECTION, &good)).await;
        assert!(refusal.message.contains("`one`"), "{misdeed:?}: {refusal}");
    }
}

#[tokio::test]
async fn whoever_replaces_a_stock_plugin_has_to_know_what_its_provider_signs() {
    let host = host(&["twilio", "asterisk"]);
    let refusal = refused(&host, "twilio", Hostile::harmless("twilio").build().unwrap()).await;
    assert!(refusal.message.contains("our own plugin for `twilio`"), "{refusal}");
    assert!(refusal.message.contains("it is not genuine, and was taken for it"), "{refusal}");
    let mute = Hostile::new("twilio", Export::Authenticate, Misdeed::Trap).build().unwrap();
    assert!(refused(&host, "twilio", mute).await.message.contains("our own plugin for `twilio`"));
    // What ships with it does not speak for it.
    let sure = with_section(&Hostile::harmless("twilio").build().unwrap(), SECTION, &cases(&[("one", "holds")]));
    assert!(refused(&host, "twilio", sure).await.message.contains("our own plugin for `twilio`"));
    // Asterisk signs nothing, and others are none of our business.
    for name in ["asterisk", "made"] {
        host.check(name, Hostile::harmless(name).build().unwrap(), "test", 1).await.unwrap();
    }
}

#[tokio::test]
async fn our_own_plugins_hold_their_vectors_and_the_report_says_how_many() {
    let host = host(&PROVIDERS);
    for name in PROVIDERS {
        for build in [name.to_owned(), format!("{name}-next")] {
            let candidate = host.check(name, place::plugin(&build).unwrap(), "test", 1).await.unwrap();
            let detail = told(&candidate);
            let own: usize = detail.split(' ').next().unwrap().parse().unwrap();
            // Asterisk signs nothing.
            let ours = detail.rsplit("; ").next().unwrap().split(' ').next().unwrap().parse().unwrap_or(0);
            assert!(own > 80 && (ours > 10) == (name != "asterisk"), "{build}: {detail}");
            assert_eq!(candidate.generation().faults(), <_>::default());
        }
    }
}
