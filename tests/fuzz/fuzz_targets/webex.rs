//! Webex's exports.
#![no_main]

jackfield_fuzz::exports!(plugin_webex::Webex, "webex": webhooks calls desk chat);
