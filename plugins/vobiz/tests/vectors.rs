//! Every folder in `vectors/` is a case.

use jackfield_sdk::vectors::Vectors;
use plugin_vobiz::Vobiz;

#[test]
fn every_vector_holds() {
    let vectors = Vectors::below(concat!(env!("CARGO_MANIFEST_DIR"), "/vectors"))
        .manifest::<Vobiz>()
        .webhooks::<Vobiz>()
        .calls::<Vobiz>()
        .media::<Vobiz>();
    if let Err(failures) = vectors.run() {
        panic!("{failures}");
    }
}
