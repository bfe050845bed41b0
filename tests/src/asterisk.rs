//! A real Asterisk in a folder of its own (`cargo xtask test asterisk` makes one), on loopback, with callers in its
//! dialplan.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::speech;

/// Names the folder that Asterisk was installed into.
const ROOT: &str = "JACKFIELD_ASTERISK";
pub const USER: &str = "gw";
/// With all that an URL would stumble over.
pub const PASSWORD: &str = "s3cr:t/?&p@ss";
/// Samples of the sentence that callers say: three seconds.
const SENTENCE: usize = 24_000;
/// Samples that are looked for together.
const PART: usize = 2_000;
const STARTS_WITHIN: Duration = Duration::from_secs(30);

/// What is loaded, and nothing else: Asterisk is up in a second, and needs no sound card.
const MODULES: &[&str] = &[
    "res_sorcery_config",
    "res_sorcery_memory",
    "res_timing_timerfd",
    "pbx_config",
    "func_channel",
    "func_logic",
    "func_strings",
    "res_http_websocket",
    "res_websocket_client",
    "chan_websocket",
    "res_stasis",
    "res_stasis_answer",
    "res_stasis_device_state",
    "res_stasis_playback",
    "res_stasis_recording",
    "res_stasis_snoop",
    "res_ari",
    "res_ari_model",
    "res_ari_applications",
    "res_ari_asterisk",
    "res_ari_bridges",
    "res_ari_channels",
    "res_ari_events",
    "app_stasis",
    "app_echo",
    "app_playback",
    "app_mixmonitor",
    "app_senddtmf",
    "app_verbose",
    "bridge_simple",
    "bridge_softmix",
    "bridge_holding",
    "codec_ulaw",
    "codec_alaw",
    "codec_resample",
    "format_pcm",
    "format_wav",
    "format_sln",
];

/// A running Asterisk. Killed when dropped.
#[derive(Debug)]
pub struct Asterisk {
    root: PathBuf,
    /// Inside the root.
    folder: String,
    pub address: SocketAddr,
    child: Child,
}

impl Asterisk {
    /// Starts one whose media sockets go to `media`.
    pub async fn start(media: SocketAddr) -> Result<Self> {
        let root = PathBuf::from(std::env::var_os(ROOT).context("run it by `cargo xtask test asterisk`")?);
        let folder = format!("/jackfield/{}", crate::carrier::random_hex(6));
        let address = free_port()?;
        configure(&root.join(&folder[1..]), &folder, address, media)?;
        let child = launch(&root, &folder)?;
        let asterisk = Self { root, folder, address, child };
        asterisk.wait().await?;
        Ok(asterisk)
    }

    /// Kills it with all its calls, and starts it again in the same place.
    pub async fn restart(&mut self) -> Result<()> {
        self.kill();
        tokio::time::sleep(Duration::from_millis(500)).await;
        self.child = launch(&self.root, &self.folder)?;
        self.wait().await
    }

    pub fn kill(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }

    async fn wait(&self) -> Result<()> {
        let began = Instant::now();
        while began.elapsed() < STARTS_WITHIN {
            if self.ari("GET", "asterisk/info").await.is_ok_and(|(status, _)| status == 200) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("Asterisk did not start. Its log:\n{}", self.log())
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log/messages.log")).unwrap_or_default()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(&self.folder[1..]).join(name)
    }

    /// A request to ARI, as the tester.
    pub async fn ari(&self, method: &str, path: &str) -> Result<(u16, Value)> {
        let url = format!("http://{}/ari/{path}", self.address);
        let request = reqwest::Client::new().request(method.parse()?, url).basic_auth("tester", Some("tester"));
        let answer = request.timeout(Duration::from_secs(10)).send().await?;
        let status = answer.status().as_u16();
        Ok((status, serde_json::from_slice(&answer.bytes().await?).unwrap_or_default()))
    }

    /// Somebody calls extension 8000, which is the host's, and does what `act` of the dialplan says.
    pub async fn ring(&self, application: &str, caller: &str, act: &str) -> Result<()> {
        let names = format!("channelId={caller}&otherChannelId={caller}-far&callerId=14155550123");
        let query = format!("endpoint=Local/8000@in/n&extension={act}&context=far&priority=1&{names}");
        let body = serde_json::json!({ "variables": { "__APP": application } });
        let url = format!("http://{}/ari/channels?{query}", self.address);
        let request = reqwest::Client::new()
            .post(url)
            .basic_auth("tester", Some("tester"))
            .header("content-type", "application/json")
            .body(body.to_string());
        let answer = request.send().await?;
        let status = answer.status();
        anyhow::ensure!(status.is_success(), "{status}: {}", answer.text().await?);
        Ok(())
    }

    /// The ids of all channels.
    pub async fn channels(&self) -> Result<Vec<String>> {
        self.ids("channels").await
    }

    /// The ids of all bridges.
    pub async fn bridges(&self) -> Result<Vec<String>> {
        self.ids("bridges").await
    }

    async fn ids(&self, what: &str) -> Result<Vec<String>> {
        let (_, found) = self.ari("GET", what).await?;
        let ids = found.as_array().into_iter().flatten().filter_map(|one| one["id"].as_str().map(str::to_owned));
        Ok(ids.collect())
    }

    /// How much of the sentence a channel heard: the share of its quarter seconds that came back, each at a delay of a
    /// second at most. By correlation and not by bytes: Asterisk decodes and encodes on the way, and halves the level.
    pub fn heard(&self, channel: &str) -> Result<f64> {
        let path = self.path(&format!("heard/{channel}.ulaw"));
        let coded = std::fs::read(&path).with_context(|| format!("{}", path.display()))?;
        let heard: Vec<f64> = coded.into_iter().map(|byte| f64::from(speech::from_ulaw(byte))).collect();
        let said: Vec<f64> = speech::hello()?.into_iter().take(SENTENCE).map(f64::from).collect();
        let came_back = |(index, part): (usize, &[f64])| {
            let delays = index * PART..index * PART + 8_000;
            delays.into_iter().any(|from| alike(part, heard.get(from..).unwrap_or_default()) > 0.95)
        };
        let found = said.chunks(PART).enumerate().filter(|part| came_back(*part)).count();
        Ok(f64::from(u32::try_from(found)?) / f64::from(u32::try_from(SENTENCE / PART)?))
    }
}

/// The correlation of two pieces of sound, where there is enough of both.
fn alike(said: &[f64], heard: &[f64]) -> f64 {
    let heard = &heard[..heard.len().min(said.len())];
    if heard.len() * 10 < said.len() * 9 {
        return 0.0;
    }
    let dot = |one: &[f64], other: &[f64]| one.iter().zip(other).map(|(one, other)| one * other).sum::<f64>();
    dot(said, heard) / (dot(&said[..heard.len()], &said[..heard.len()]) * dot(heard, heard)).sqrt().max(1.0)
}

impl Drop for Asterisk {
    fn drop(&mut self) {
        self.kill();
        std::fs::remove_dir_all(self.path("")).ok();
    }
}

fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn launch(root: &Path, folder: &str) -> Result<Child> {
    let configuration = format!("{folder}/etc/asterisk.conf");
    // In the foreground, so that it ends with its parent.
    let mut command = Command::new("chroot");
    command.arg(root).args(["asterisk", "-f", "-n", "-C", &configuration]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().context("chroot")
}

fn configure(path: &Path, folder: &str, address: SocketAddr, media: SocketAddr) -> Result<()> {
    for part in ["etc", "run", "log", "spool", "var", "heard"] {
        std::fs::create_dir_all(path.join(part))?;
    }
    let coded: Vec<u8> = speech::hello_frames()?.into_iter().take(SENTENCE / speech::FRAME).flatten().collect();
    std::fs::write(path.join("hello.ulaw"), coded)?;
    let loads: String = MODULES.iter().map(|module| format!("load = {module}.so\n")).collect();
    let (host, port) = (address.ip(), address.port());
    let files = [
        (
            "asterisk.conf",
            format!(
                "[directories]\nastetcdir => {folder}/etc\nastrundir => {folder}/run\nastlogdir => {folder}/log\n\
                 astspooldir => {folder}/spool\nastvarlibdir => {folder}/var\nastdbdir => {folder}/var\n\
                 astdatadir => /usr/share/asterisk\n[options]\nverbose = 1\n"
            ),
        ),
        ("modules.conf", format!("[modules]\nautoload = no\n{loads}")),
        ("logger.conf", "[general]\n[logfiles]\nmessages.log = notice,warning,error\n".to_owned()),
        ("http.conf", format!("[general]\nenabled = yes\nbindaddr = {host}\nbindport = {port}\nsessionlimit = 1000\n")),
        (
            "ari.conf",
            format!(
                "[general]\nenabled = yes\nwebsocket_write_timeout = 1000\n[{USER}]\ntype = user\nread_only = no\n\
                 password = {PASSWORD}\n[tester]\ntype = user\nread_only = no\npassword = tester\n"
            ),
        ),
        (
            "websocket_client.conf",
            format!(
                "[gw]\ntype = websocket_client\nconnection_type = per_call_config\n\
                 uri = ws://{media}/api/v1/telephony/ws\nprotocols = media\nconnection_timeout = 1000\n\
                 reconnect_attempts = 1\n"
            ),
        ),
        ("extensions.conf", dialplan(folder)),
        ("chan_websocket.conf", "[global]\n".to_owned()),
    ];
    for (name, text) in files {
        std::fs::write(path.join("etc").join(name), text)?;
    }
    Ok(())
}

/// `in` is how calls come to the host; `far` is what callers do; `out` is whom the host can call.
fn dialplan(folder: &str) -> String {
    let listen = format!("MixMonitor({folder}/heard/none-${{UNIQUEID}}.ulaw,r({folder}/heard/${{UNIQUEID}}.ulaw))");
    let talk = format!("{listen}\n same => n,Playback({folder}/hello)\n same => n,Wait(1)\n same => n,Hangup()");
    format!(
        "[in]\nexten => _X.,1,Stasis(${{APP}})\n same => n,Hangup()\n\
         [far]\nexten => talk,1,Answer()\n same => n,{talk}\n\
         exten => wait,1,Answer()\n same => n,Wait(120)\n\
         exten => press,1,Answer()\n same => n,Wait(1)\n same => n,SendDTMF(12#)\n same => n,Wait(2)\n same => n,Hangup()\n\
         [out]\nexten => 7001,1,Answer()\n same => n,{talk}\n\
         exten => 7002,1,Answer()\n same => n,Wait(120)\n\
         exten => 7017,1,Hangup(17)\n\
         exten => 7019,1,Ringing()\n same => n,Wait(60)\n\
         exten => 7021,1,Hangup(21)\n"
    )
}
