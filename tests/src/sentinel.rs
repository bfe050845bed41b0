//! A Redis with a replica, and three Sentinels that watch over both: real processes, one of which may be killed.

use std::fmt::Write as _;
use std::process::Child;

use anyhow::Result;

use crate::redis_process::{PASSWORD, ask, end, free_ports, serve, until};

const NAME: &str = "main";

/// All of them. Killed when dropped.
#[derive(Debug)]
pub struct Watched {
    master: Child,
    others: Vec<Child>,
    ports: Ports,
    folder: tempfile::TempDir,
}

#[derive(Debug)]
struct Ports {
    replica: u16,
    sentinels: [u16; 3],
}

impl Watched {
    /// Starts them, and waits until they know each other.
    pub fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let [master, replica, one, two, three] = free_ports()?;
        let ports = Ports { replica, sentinels: [one, two, three] };
        let mut watched =
            Self { master: serve(folder.path(), master, &redis(None), false)?, others: Vec::new(), ports, folder };
        let folder = watched.folder.path().to_owned();
        watched.others.push(serve(&folder, replica, &redis(Some(master)), false)?);
        until("the replica to follow", || {
            Ok(ask(replica, &format!("AUTH {PASSWORD}\r\nINFO replication\r\n"))?.contains("master_link_status:up"))
        })?;
        for port in watched.ports.sentinels {
            watched.others.push(serve(&folder, port, &sentinel(master), true)?);
        }
        for port in watched.ports.sentinels {
            until("the Sentinels to know each other", || {
                let quorum = ask(port, &format!("SENTINEL CKQUORUM {NAME}\r\n"))?;
                let known = ask(port, &format!("SENTINEL REPLICAS {NAME}\r\n"))?;
                Ok(quorum.contains("OK 3 usable") && known.contains(&replica.to_string()))
            })?;
        }
        Ok(watched)
    }

    /// Names all Sentinels, and before them one that is not there.
    pub fn url(&self) -> String {
        let mut hosts = "127.0.0.1:1".to_owned();
        for port in self.ports.sentinels {
            // Writing to a text does not fail.
            write!(hosts, ",127.0.0.1:{port}").ok();
        }
        format!("redis+sentinel://:{PASSWORD}@{hosts}/{NAME}")
    }

    /// Ends the master where it stands.
    pub fn kill_master(&mut self) -> Result<()> {
        self.master.kill()?;
        self.master.wait()?;
        Ok(())
    }

    /// Do the Sentinels say that the replica is the master now?
    pub fn is_failed_over(&self) -> Result<bool> {
        let said = ask(self.ports.sentinels[0], &format!("SENTINEL GET-MASTER-ADDR-BY-NAME {NAME}\r\n"))?;
        Ok(said.contains(&self.ports.replica.to_string()))
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        std::iter::once(&mut self.master).chain(&mut self.others).for_each(end);
    }
}

fn redis(master: Option<u16>) -> String {
    let follows = master.map_or_else(String::new, |port| format!("replicaof 127.0.0.1 {port}\n"));
    format!(
        "requirepass {PASSWORD}\nmasterauth {PASSWORD}\nsave \"\"\nappendonly no\nrepl-diskless-sync-delay 0\n{follows}"
    )
}

fn sentinel(master: u16) -> String {
    format!(
        "sentinel monitor {NAME} 127.0.0.1 {master} 2\nsentinel auth-pass {NAME} {PASSWORD}\n\
         sentinel down-after-milliseconds {NAME} 1000\nsentinel failover-timeout {NAME} 5000\n"
    )
}
