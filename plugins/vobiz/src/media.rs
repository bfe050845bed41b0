//! Vobiz's media streams: Plivo's messages.

use jackfield_sdk::Media;
use jackfield_sdk::types::{Account, Call, Fault, MediaCommand, MediaEvent, Message, StreamSetup};

use crate::Vobiz;

impl Media for Vobiz {
    fn open(&mut self, _account: &Account, call: &Call) -> Result<StreamSetup, Fault> {
        Ok(self.0.open(call))
    }

    fn decode(&mut self, message: Message) -> Result<Vec<MediaEvent>, Fault> {
        self.0.decode(&message)
    }

    fn encode(&mut self, command: MediaCommand) -> Result<Vec<Message>, Fault> {
        self.0.encode(&command)
    }
}
