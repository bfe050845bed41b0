//! Asterisk's exports.
#![no_main]

jackfield_fuzz::exports!(plugin_asterisk::Asterisk, "asterisk": calls media socket);
