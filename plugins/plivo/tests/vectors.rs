//! Every folder in `vectors/` is a case.

use jackfield_sdk::vectors::Vectors;
use plugin_plivo::Plivo;

#[test]
fn every_vector_holds() {
    let vectors = Vectors::below(concat!(env!("CARGO_MANIFEST_DIR"), "/vectors"))
        .manifest::<Plivo>()
        .webhooks::<Plivo>()
        .calls::<Plivo>()
        .media::<Plivo>();
    if let Err(failures) = vectors.run() {
        panic!("{failures}");
    }
}
