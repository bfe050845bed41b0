//! Redis servers that speak TLS under a certificate of their own: one alone, one behind a Sentinel, and a Cluster of one node.

use std::path::{Path, PathBuf};
use std::process::Child;

use anyhow::{Context, Result};

use crate::redis_process::{ask, end, free_ports, serve, until};

/// All of them. Killed when dropped.
#[derive(Debug)]
pub struct Sealed {
    servers: Vec<Child>,
    /// One of each kind.
    pub urls: [String; 3],
    /// Whoever trusts this file trusts them.
    pub certificate: PathBuf,
    _folder: tempfile::TempDir,
}

impl Sealed {
    /// Starts them, and waits until they serve.
    pub fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let certificate = certify(folder.path())?;
        let ports: [u16; 7] = free_ports()?;
        let [alone, alone_tls, sentinel, sentinel_tls, node, node_tls, bus] = ports;
        let urls = [
            format!("rediss://127.0.0.1:{alone_tls}/"),
            format!("rediss+sentinel://127.0.0.1:{sentinel_tls}/main"),
            format!("rediss+cluster://127.0.0.1:{node_tls}"),
        ];
        let mut sealed = Self { servers: Vec::new(), urls, certificate, _folder: folder };
        let monitor = format!("tls-replication yes\nsentinel monitor main 127.0.0.1 {alone_tls} 1\n");
        let cluster =
            format!("cluster-enabled yes\ncluster-config-file nodes.conf\ncluster-port {bus}\ntls-cluster yes\n");
        sealed.add(alone, alone_tls, "save \"\"\n", false)?;
        sealed.add(sentinel, sentinel_tls, &monitor, true)?;
        sealed.add(node, node_tls, &format!("save \"\"\n{cluster}"), false)?;
        until("the Sentinel to find its master", || {
            Ok(ask(sentinel, "SENTINEL CKQUORUM main\r\n")?.contains("OK 1 usable"))
        })?;
        until("the Cluster to serve", || {
            Ok(ask(node, "CLUSTER ADDSLOTSRANGE 0 16383\r\nCLUSTER INFO\r\n")?.contains("cluster_state:ok"))
        })?;
        Ok(sealed)
    }

    /// What is set up is set up without TLS.
    fn add(&mut self, port: u16, tls_port: u16, settings: &str, is_sentinel: bool) -> Result<()> {
        let folder = self.certificate.parent().context("a file is in a folder")?;
        let file = |name: &str| folder.join(name).display().to_string();
        let tls = format!(
            "tls-port {tls_port}\ntls-auth-clients no\ntls-cert-file {0}\ntls-key-file {1}\ntls-ca-cert-file {0}\n",
            file(CERTIFICATE),
            file(KEY)
        );
        self.servers.push(serve(folder, port, &format!("{tls}{settings}"), is_sentinel)?);
        Ok(())
    }
}

impl Drop for Sealed {
    fn drop(&mut self) {
        self.servers.iter_mut().for_each(end);
    }
}

const CERTIFICATE: &str = "certificate.pem";
const KEY: &str = "key.pem";

fn certify(folder: &Path) -> Result<PathBuf> {
    let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
    let certificate = folder.join(CERTIFICATE);
    std::fs::write(&certificate, own.cert.pem())?;
    std::fs::write(folder.join(KEY), own.signing_key.serialize_pem())?;
    Ok(certificate)
}
