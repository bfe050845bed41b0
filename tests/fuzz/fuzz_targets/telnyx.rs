//! Telnyx's exports.
#![no_main]

jackfield_fuzz::exports!(plugin_telnyx::Telnyx, "telnyx": webhooks calls media);
