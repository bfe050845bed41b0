//! Writes recordings on a thread of its own: a slow disk delays no frame.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::mpsc::{self, TrySendError};
use std::thread;

use tokio::sync::mpsc::UnboundedSender;

use jackfield_media::wav::WavWriter;

/// Half a minute of audio for a thousand calls; past that the disk has failed us and audio is dropped.
const QUEUE: usize = 60 * 1_000;

/// The way to the recording thread. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Recorder(mpsc::SyncSender<Job>);

/// One call's recording. Dropping it finishes the file.
#[derive(Debug)]
pub(crate) struct Tape {
    recorder: Recorder,
    id: u64,
    /// What is not yet on its way to the file, both sides of equal length.
    caller: Vec<i16>,
    agent: Vec<i16>,
    /// Samples that are sent together.
    part: usize,
    frames: u64,
    /// Frames that found the queue full.
    pub(crate) lost: u64,
}

#[derive(Debug)]
enum Job {
    Open { id: u64, path: PathBuf, rate: u32 },
    Part { id: u64, caller: Vec<i16>, agent: Vec<i16> },
    Close { id: u64 },
}

impl Recorder {
    /// `finished` is told of each file that is whole.
    pub(crate) fn start(finished: Option<UnboundedSender<PathBuf>>) -> std::io::Result<Self> {
        let (jobs, inbox) = mpsc::sync_channel(QUEUE);
        thread::Builder::new().name("recorder".to_owned()).spawn(move || write_all(&inbox, finished.as_ref()))?;
        Ok(Self(jobs))
    }

    /// Begins a stereo file: caller left, agent right.
    pub(crate) fn record(&self, path: PathBuf, rate: u32) -> Tape {
        static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let id = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        // Half a second at a time: a write for each frame would cost more than all else a frame needs.
        let part = usize::try_from(rate / 2).unwrap_or(usize::MAX);
        let (caller, agent) = (Vec::with_capacity(part), Vec::with_capacity(part));
        let mut tape = Tape { recorder: self.clone(), id, caller, agent, part, frames: 0, lost: 0 };
        tape.send(Job::Open { id, path, rate });
        tape
    }
}

impl Tape {
    /// One frame of both sides, of equal length.
    pub(crate) fn frame(&mut self, caller: &[i16], agent: &[i16]) {
        self.caller.extend_from_slice(caller);
        self.agent.extend_from_slice(agent);
        self.frames += 1;
        if self.caller.len() >= self.part {
            self.pass_on();
        }
    }

    fn pass_on(&mut self) {
        let fresh = || Vec::with_capacity(self.part);
        let (id, caller, agent) = (self.id, fresh(), fresh());
        let part = Job::Part {
            id,
            caller: std::mem::replace(&mut self.caller, caller),
            agent: std::mem::replace(&mut self.agent, agent),
        };
        self.send(part);
        self.frames = 0;
    }

    fn send(&mut self, job: Job) {
        if self.recorder.0.try_send(job).is_err() {
            self.lost += self.frames;
        }
    }
}

impl Drop for Tape {
    fn drop(&mut self) {
        self.pass_on();
        let Err(TrySendError::Full(close)) = self.recorder.0.try_send(Job::Close { id: self.id }) else { return };
        // The disk hangs. The end of a file is not to be lost, and no other call's audio is to wait for it.
        let recorder = self.recorder.clone();
        let wait = move || drop(recorder.0.send(close));
        if let Err(error) = thread::Builder::new().name("recording-end".to_owned()).spawn(wait) {
            tracing::error!(%error, "a recording could not be finished; it is whole but for its last second");
        }
    }
}

struct Open {
    path: PathBuf,
    file: File,
    writer: WavWriter,
}

fn write_all(inbox: &mpsc::Receiver<Job>, finished: Option<&UnboundedSender<PathBuf>>) {
    let mut open = std::collections::HashMap::new();
    while let Ok(job) = inbox.recv() {
        match job {
            Job::Open { id, path, rate } => match begin(&path, rate) {
                Ok(recording) => drop(open.insert(id, recording)),
                Err(error) => tracing::error!(%error, "a recording could not be begun; check the recordings folder"),
            },
            Job::Part { id, caller, agent } => {
                let written = open.get_mut(&id).map(|recording: &mut Open| recording.write(&caller, &agent));
                if let Some(Err(error)) = written {
                    tracing::error!(%error, "a recording was cut short; check the recordings folder");
                    open.remove(&id);
                }
            }
            Job::Close { id } => {
                let Some(mut recording) = open.remove(&id) else { continue };
                if let Err(error) = recording.settle() {
                    tracing::error!(%error, "a recording's header could not be finished");
                }
                // Nobody keeps it elsewhere, or the host ends: then the file stays.
                finished.map(|finished| finished.send(recording.path));
            }
        }
    }
}

fn begin(path: &std::path::Path, rate: u32) -> std::io::Result<Open> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut file = File::create(path)?;
    let (writer, header) = WavWriter::stereo(rate);
    file.write_all(&header)?;
    Ok(Open { path: path.to_owned(), file, writer })
}

impl Open {
    fn write(&mut self, caller: &[i16], agent: &[i16]) -> std::io::Result<()> {
        let bytes = self.writer.frame(caller, agent);
        self.file.write_all(&bytes)?;
        // A crash leaves a file that is whole up to the last second.
        if self.writer.header_due() { self.settle() } else { Ok(()) }
    }

    fn settle(&mut self) -> std::io::Result<()> {
        let header = self.writer.header();
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&header)?;
        self.file.seek(SeekFrom::End(0)).map(drop)
    }
}
