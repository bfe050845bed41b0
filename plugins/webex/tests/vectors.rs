//! Every folder in `vectors/` is a case.

use jackfield_sdk::vectors::Vectors;
use plugin_webex::Webex;

#[test]
fn every_vector_holds() {
    let vectors = Vectors::below(concat!(env!("CARGO_MANIFEST_DIR"), "/vectors"))
        .manifest::<Webex>()
        .webhooks::<Webex>()
        .calls::<Webex>()
        .desk::<Webex>()
        .chat::<Webex>();
    if let Err(failures) = vectors.run() {
        panic!("{failures}");
    }
}
