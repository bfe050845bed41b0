//! A sound under an agent's voice, by its settings.

use std::path::PathBuf;

use jackfield_media::Ambient;
use serde_json::Value;

use crate::builtin::Play;
use crate::connector::AgentError;
use crate::settings::Settings;

/// A file, and how loud it is heard.
#[derive(Debug, Clone, PartialEq)]
pub struct Ambience {
    file: Play,
    /// By so many dB it is quieter than the file.
    down: u32,
}

impl Ambience {
    /// The setting `ambient` of an agent: `{"path": "office.wav", "down": 20}`.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(settings: &Value) -> Result<Option<Self>, AgentError> {
        let Some(ambient) = Settings::of(settings)?.value("ambient") else { return Ok(None) };
        let ambient = Settings::of(ambient)?;
        let path = ambient.text("path")?.filter(|path| !path.is_empty());
        let path = path.ok_or_else(|| AgentError::Invalid("the setting `ambient` needs a `path`".to_owned()))?;
        let file = Play { path: PathBuf::from(path), repeat: true };
        Ok(Some(Self { file, down: ambient.number("down", 0, 60, 20)? }))
    }

    /// Reads the file: 16 bit, mono or stereo, 8, 16, 24 or 48 kHz.
    ///
    /// # Errors
    /// When it cannot be read, or is none.
    pub async fn load(&self) -> Result<Ambient, AgentError> {
        let clip = self.file.load().await?;
        #[allow(clippy::cast_precision_loss, reason = "at most 60")]
        let level = -(self.down as f32);
        let sound = Ambient::new(clip.samples.into(), clip.rate, level);
        sound.ok_or_else(|| AgentError::Unreachable("the file to play has no sound in it".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use serde_json::json;

    use super::*;

    #[test]
    fn a_file_and_a_level_are_read_and_everything_else_is_refused() {
        assert_eq!(Ambience::parse(&json!({})).unwrap(), None);
        let ambience = Ambience::parse(&json!({ "ambient": { "path": "office.wav", "down": 30 } })).unwrap().unwrap();
        assert_eq!(ambience.down, 30);
        for wrong in [
            json!({ "ambient": "office.wav" }),
            json!({ "ambient": {} }),
            json!({ "ambient": { "path": "a", "down": 61 } }),
        ] {
            assert!(Ambience::parse(&wrong).is_err(), "{wrong}");
        }
    }
}
