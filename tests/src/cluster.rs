//! A Redis Cluster: three masters, and a replica of the one that has what is ours. Real processes, one of which may be killed.

use std::fmt::Write as _;
use std::process::Child;

use anyhow::{Context, Result, ensure};

use crate::redis_process::{PASSWORD, ask, end, free_ports, serve, until};

/// Of the hash of the keys that a fleet keeps.
const SLOTS: u32 = 16_384;
const MASTERS: usize = 3;

/// All of them. Killed when dropped.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Child>,
    ports: [u16; MASTERS + 1],
    /// Which of the masters has our keys.
    owner: usize,
    _folder: tempfile::TempDir,
}

impl Cluster {
    /// Starts them, and waits until they know each other.
    pub fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let ports: [u16; 2 * (MASTERS + 1)] = free_ports()?;
        let [one, two, three, four, buses @ ..] = ports;
        let ports = [one, two, three, four];
        let mut cluster = Self { nodes: Vec::new(), ports, owner: 0, _folder: folder };
        let folder = cluster._folder.path().to_owned();
        for (port, bus) in ports.into_iter().zip(buses) {
            cluster.nodes.push(serve(&folder, port, &settings(bus), false)?);
        }
        cluster.introduce(buses)?;
        cluster.replicate()?;
        Ok(cluster)
    }

    fn introduce(&self, buses: [u16; MASTERS + 1]) -> Result<()> {
        let share = SLOTS / 3 + 1;
        for (port, first) in self.ports.into_iter().zip((0..SLOTS).step_by(usize::try_from(share)?)) {
            let last = (first + share).min(SLOTS) - 1;
            until("a node to take its slots", || {
                Ok(said(port, &format!("CLUSTER ADDSLOTSRANGE {first} {last}"))?.contains("OK"))
            })?;
        }
        for (port, bus) in self.ports.into_iter().zip(buses).skip(1) {
            said(self.ports[0], &format!("CLUSTER MEET 127.0.0.1 {port} {bus}"))?;
        }
        let all = format!("cluster_known_nodes:{}", MASTERS + 1);
        for port in self.ports {
            until("the nodes to know each other", || {
                let info = said(port, "CLUSTER INFO")?;
                Ok(info.contains("cluster_state:ok") && info.contains(&all))
            })?;
        }
        Ok(())
    }

    fn replicate(&mut self) -> Result<()> {
        let slot = said(self.ports[0], "CLUSTER KEYSLOT {jackfield}")?;
        let slot: usize = last_line(&slot).trim_start_matches(':').parse().context("an odd slot")?;
        self.owner = slot / (usize::try_from(SLOTS)? / 3 + 1);
        let id = said(self.ports[self.owner], "CLUSTER MYID")?;
        let replicate = format!("CLUSTER REPLICATE {}", last_line(&id));
        let replica = self.ports[MASTERS];
        until("the replica to know its master", || Ok(said(replica, &replicate)?.contains("+OK\r\n+OK")))?;
        until("the replica to follow", || Ok(said(replica, "INFO replication")?.contains("master_link_status:up")))?;
        until("all to know the replica", || {
            let known = said(self.ports[self.owner], "INFO replication")?;
            Ok(known.contains("connected_slaves:1"))
        })
    }

    /// Names the masters, and before them one that is not there.
    pub fn url(&self) -> String {
        let mut hosts = "127.0.0.1:1".to_owned();
        for port in &self.ports[..MASTERS] {
            // Writing to a text does not fail.
            write!(hosts, ",127.0.0.1:{port}").ok();
        }
        format!("redis+cluster://:{PASSWORD}@{hosts}")
    }

    /// Ends the master that has our keys where it stands.
    pub fn kill_master(&mut self) -> Result<()> {
        ensure!(said(self.ports[self.owner], "ROLE")?.contains("master"), "it is the master no more");
        end(&mut self.nodes[self.owner]);
        Ok(())
    }

    /// Is the replica the master now?
    pub fn is_failed_over(&self) -> Result<bool> {
        Ok(said(self.ports[MASTERS], "ROLE")?.contains("master"))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.nodes.iter_mut().for_each(end);
    }
}

fn settings(bus: u16) -> String {
    format!(
        "requirepass {PASSWORD}\nmasterauth {PASSWORD}\nsave \"\"\nappendonly no\nrepl-diskless-sync-delay 0\n\
         cluster-enabled yes\ncluster-config-file nodes.conf\ncluster-port {bus}\ncluster-node-timeout 1000\n"
    )
}

fn said(port: u16, command: &str) -> Result<String> {
    ask(port, &format!("AUTH {PASSWORD}\r\n{command}\r\n"))
}

fn last_line(said: &str) -> &str {
    said.trim_end().lines().last().unwrap_or_default()
}
