//! The same adapter natively and as a component: what one answers, the other answers, to the byte.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::path::PathBuf;

use jackfield_plugins::{Conformance, GuestLimits, PluginHost, Pooling};
use jackfield_sdk::vectors::Vectors;
use jackfield_tests::place;

fn agree(name: &str, native: fn(Vectors) -> Vectors) {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../plugins").join(name).join("vectors");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let host = PluginHost::new(GuestLimits::default(), Pooling::Auto, None).unwrap();
    let candidate = runtime.block_on(host.examine(place::plugin(name).unwrap())).unwrap();
    let component = Conformance::new(candidate.generation().clone(), runtime.handle().clone());
    let inside = jackfield_vectors::answers(&root, &component).unwrap();
    let outside = jackfield_vectors::answers(&root, &native(Vectors::below(&root))).unwrap();
    assert!(inside.len() > 20, "{name} has {} vectors", inside.len());
    for (case, answer) in &outside {
        assert_eq!(inside.get(case), Some(answer), "{name}: {case}");
    }
}

macro_rules! tiers {
    ($($name:ident: $package:ident::$plugin:ident, $text:literal, $($interface:ident)+;)+) => {$(
        #[test]
        fn $name() {
            agree($text, |vectors| vectors$(.$interface::<$package::$plugin>())+);
        }
    )+};
}

tiers! {
    twilio: plugin_twilio::Twilio, "twilio", manifest webhooks calls media;
    plivo: plugin_plivo::Plivo, "plivo", manifest webhooks calls media;
    vobiz: plugin_vobiz::Vobiz, "vobiz", manifest webhooks calls media;
    vonage: plugin_vonage::Vonage, "vonage", manifest webhooks calls media;
    cloudonix: plugin_cloudonix::Cloudonix, "cloudonix", manifest webhooks calls media;
    telnyx: plugin_telnyx::Telnyx, "telnyx", manifest webhooks calls media;
    asterisk: plugin_asterisk::Asterisk, "asterisk", manifest calls media socket;
    webex: plugin_webex::Webex, "webex", manifest webhooks calls desk chat;
}
