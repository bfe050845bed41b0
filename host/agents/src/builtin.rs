//! Agents that the host brings itself, for trying things out.

use std::path::PathBuf;
use std::time::Duration;

use jackfield_media::{Codec, Format};

use crate::connector::AgentError;
use crate::contract::FromAgent;
use crate::settings::Settings;
use crate::wav::{self, Clip};

/// A sine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tone {
    /// Hz.
    pub frequency: u32,
    /// dB below full scale.
    pub down: u32,
    /// Seconds; then the call ends. Without it the tone lasts as long as the call.
    pub seconds: Option<u32>,
}

/// A WAV file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Play {
    /// On the host.
    pub path: PathBuf,
    /// From the beginning again and again, until the call ends.
    pub repeat: bool,
}

/// A file may be so large: eleven minutes at 48 kHz in stereo.
const LARGEST_FILE: u64 = 128 << 20;
/// A player speaks in pieces of so many milliseconds, and so far ahead of the clock that a late piece leaves no gap.
const PIECE: u32 = 100;
const AHEAD: Duration = Duration::from_millis(300);

impl Tone {
    pub(crate) fn parse(settings: Settings<'_>) -> Result<Self, AgentError> {
        let seconds = settings.number("seconds", 0, 86_400, 0)?;
        Ok(Self {
            frequency: settings.number("frequency", 20, 3_400, 1_000)?,
            down: settings.number("down", 0, 60, 12)?,
            seconds: (seconds > 0).then_some(seconds),
        })
    }
}

impl Play {
    pub(crate) fn parse(settings: Settings<'_>) -> Result<Self, AgentError> {
        let path = settings.text("path")?.filter(|path| !path.is_empty());
        let path = path.ok_or_else(|| AgentError::Invalid("a `play` agent needs the setting `path`".to_owned()))?;
        Ok(Self { path: PathBuf::from(path), repeat: settings.flag("repeat")?.unwrap_or(false) })
    }

    pub(crate) async fn load(&self) -> Result<Clip, AgentError> {
        let failed = |what: String| AgentError::Unreachable(format!("the file to play: {what}"));
        let size = tokio::fs::metadata(&self.path).await.map_err(|error| failed(error.kind().to_string()))?;
        if !size.is_file() || size.len() > LARGEST_FILE {
            return Err(failed(format!("it is no file of at most {LARGEST_FILE} bytes")));
        }
        let bytes = tokio::fs::read(&self.path).await.map_err(|error| failed(error.kind().to_string()))?;
        wav::read(&bytes).map_err(failed)
    }
}

/// Speaks on its own, a little ahead of the clock.
#[derive(Debug)]
pub(crate) struct Player {
    source: Source,
    rate: u32,
    /// Samples said.
    said: u64,
    began: Option<Duration>,
    over: bool,
}

#[derive(Debug)]
enum Source {
    Tone { tone: Tone, rate: u32 },
    Clip { clip: Clip, repeat: bool },
}

impl Player {
    pub(crate) fn tone(tone: Tone, rate: u32) -> Self {
        Self::new(Source::Tone { tone, rate }, rate)
    }

    pub(crate) fn clip(clip: Clip, repeat: bool) -> Self {
        let rate = clip.rate;
        Self::new(Source::Clip { clip, repeat }, rate)
    }

    fn new(source: Source, rate: u32) -> Self {
        Self { source, rate, said: 0, began: None, over: false }
    }

    pub(crate) fn format(&self) -> Format {
        Format { codec: Codec::L16, rate: self.rate }
    }

    /// What it says now, if anything.
    pub(crate) fn poll(&mut self, now: Duration) -> Option<FromAgent> {
        let began = *self.began.get_or_insert(now);
        if self.over || began + self.said_time() > now + AHEAD {
            return None;
        }
        let piece = u64::from(self.rate) * u64::from(PIECE) / 1_000;
        let samples: Vec<i16> = (self.said..self.said + piece).map_while(|index| self.source.sample(index)).collect();
        if samples.is_empty() {
            self.over = true;
            return Some(FromAgent::HangUp { after_playout: true });
        }
        self.said += u64::try_from(samples.len()).unwrap_or(piece);
        Some(FromAgent::Audio(self.format().encode(&samples)))
    }

    /// When it will say more.
    pub(crate) fn wake_at(&self) -> Option<Duration> {
        if self.over { None } else { Some((self.began.unwrap_or_default() + self.said_time()).saturating_sub(AHEAD)) }
    }

    fn said_time(&self) -> Duration {
        Duration::from_micros(self.said.saturating_mul(1_000_000) / u64::from(self.rate.max(1)))
    }
}

impl Source {
    fn sample(&self, index: u64) -> Option<i16> {
        match self {
            Self::Tone { tone, rate } => tone.sample(index, *rate),
            Self::Clip { clip, repeat } => {
                let length = u64::try_from(clip.samples.len()).unwrap_or(u64::MAX);
                let index = if *repeat { index % length.max(1) } else { index };
                clip.samples.get(usize::try_from(index).ok()?).copied()
            }
        }
    }
}

impl Tone {
    fn sample(self, index: u64, rate: u32) -> Option<i16> {
        if self.seconds.is_some_and(|seconds| index >= u64::from(seconds) * u64::from(rate)) {
            return None;
        }
        // Whole turns are left out before the sine, which would lose precision on a large angle.
        let turn = index.wrapping_mul(u64::from(self.frequency)) % u64::from(rate.max(1));
        let angle = f64::from(u32::try_from(turn).unwrap_or(0)) / f64::from(rate.max(1)) * std::f64::consts::TAU;
        let level = 10f64.powf(-f64::from(self.down) / 20.0) * f64::from(i16::MAX);
        Some((angle.sin() * level).round() as i16)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// Everything that is said until `end`, polled each 20 ms.
    fn said(player: &mut Player, end: Duration) -> (Vec<i16>, bool) {
        let (mut samples, mut hung_up, mut now) = (Vec::new(), false, Duration::ZERO);
        while now <= end {
            while let Some(said) = player.poll(now) {
                match said {
                    FromAgent::Audio(bytes) => samples.extend(player.format().decode(&bytes)),
                    FromAgent::HangUp { after_playout: true } => hung_up = true,
                    other => panic!("{other:?}"),
                }
            }
            now += Duration::from_millis(20);
        }
        (samples, hung_up)
    }

    #[test]
    fn a_tone_has_its_pitch_level_and_length_and_then_the_call_ends() {
        let tone = Tone { frequency: 440, down: 6, seconds: Some(2) };
        let (samples, hung_up) = said(&mut Player::tone(tone, 8_000), Duration::from_secs(3));
        assert_eq!((samples.len(), hung_up), (16_000, true));
        let crossings = samples.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
        assert!((879..=880).contains(&crossings), "{crossings}");
        let loudest = samples.iter().max().copied().unwrap();
        assert!((16_410..=16_423).contains(&loudest), "{loudest}");
    }

    #[test]
    fn a_player_stays_a_little_ahead_of_the_clock_and_no_more() {
        let mut player = Player::tone(Tone { frequency: 1_000, down: 12, seconds: None }, 8_000);
        for second in 1..=3u32 {
            let (samples, _) = said(&mut player, Duration::ZERO);
            assert_eq!(samples.len(), if second == 1 { 3_200 } else { 0 });
        }
        assert_eq!(player.wake_at(), Some(Duration::from_millis(100)));
        // An hour later there is still a beginning, and nothing is said twice.
        assert!(player.poll(Duration::from_secs(3_600)).is_some());
    }

    #[test]
    fn a_clip_is_played_once_or_again_and_again() {
        let clip = Clip { rate: 8_000, samples: (0..1_200).collect() };
        let (samples, hung_up) = said(&mut Player::clip(clip.clone(), false), Duration::from_secs(1));
        assert_eq!((samples, hung_up), ((0..1_200).collect(), true));
        let (samples, hung_up) = said(&mut Player::clip(clip, true), Duration::from_secs(1));
        assert!(samples.len() >= 8_000 && !hung_up);
        assert!(samples.iter().copied().eq((0..1_200).cycle().take(samples.len())));
    }

    #[tokio::test]
    async fn a_file_that_is_not_there_or_is_no_file_is_an_error() {
        for path in ["/", "/nowhere/hello.wav"] {
            let play = Play { path: PathBuf::from(path), repeat: false };
            assert!(play.load().await.is_err_and(|error| error.to_string().contains("file to play")));
        }
    }
}
