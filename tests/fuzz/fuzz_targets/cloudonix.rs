//! Cloudonix's exports.
#![no_main]

jackfield_fuzz::exports!(plugin_cloudonix::Cloudonix, "cloudonix": webhooks calls media);
