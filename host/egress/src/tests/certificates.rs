//! Who a provider's certificate has to be from, for whom, and for how long.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::{Turns, dialling, request};
use crate::client::{Egress, EgressError, EgressSettings};

const NAME: &str = "api.example";

struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Those who sign for themselves shall not pass for it.
        params.distinguished_name.push(DnType::CommonName, "An authority");
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    fn signed(&self, params: &CertificateParams) -> Identity {
        let key = KeyPair::generate().unwrap();
        Identity { certificate: params.signed_by(&key, &self.issuer).unwrap().der().clone(), key }
    }

    /// A client that trusts it, and whom every name leads to this machine.
    fn trusted(&self) -> Egress {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let names = Turns::new(vec![vec!["127.0.0.1".parse().unwrap()]]);
        let networks = vec!["127.0.0.0/8".parse().unwrap()];
        Egress::trusting(roots, Arc::new(names), EgressSettings { networks, ..EgressSettings::default() }).unwrap()
    }
}

/// What a server proves itself with.
struct Identity {
    certificate: CertificateDer<'static>,
    key: KeyPair,
}

fn of(name: &str) -> CertificateParams {
    CertificateParams::new(vec![name.to_owned()]).unwrap()
}

fn self_signed() -> Identity {
    let key = KeyPair::generate().unwrap();
    Identity { certificate: of(NAME).self_signed(&key).unwrap().der().clone(), key }
}

/// A server, and how often it was sent anything that it could read.
async fn server(identity: Identity) -> (String, Arc<AtomicUsize>) {
    let key = PrivateKeyDer::try_from(identity.key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![identity.certificate], key)
        .unwrap();
    let (acceptor, heard) = (TlsAcceptor::from(Arc::new(config)), Arc::new(AtomicUsize::new(0)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{NAME}:{}/", listener.local_addr().unwrap().port());
    let hears = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let Ok(mut socket) = acceptor.accept(socket).await else { continue };
            if socket.read(&mut [0; 1_024]).await.is_ok_and(|read| read > 0) {
                hears.fetch_add(1, Ordering::SeqCst);
            }
            socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await.ok();
            socket.shutdown().await.ok();
        }
    });
    (url, heard)
}

#[tokio::test]
async fn certificates_that_prove_nothing_are_refused_before_anything_is_sent() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (mut expired, mut early) = (of(NAME), of(NAME));
    (expired.not_before, expired.not_after) = (date_time_ymd(2019, 1, 1), date_time_ymd(2020, 1, 1));
    early.not_before = date_time_ymd(3000, 1, 1);
    let cases = [
        ("expired", authority.signed(&expired)),
        ("not valid yet", authority.signed(&early)),
        ("UnknownIssuer", self_signed()),
        ("not valid for name", authority.signed(&of("other.example"))),
        // It has the name of the one that is trusted, and not its key.
        ("BadSignature", stranger.signed(&of(NAME))),
    ];
    let egress = authority.trusted();
    for (why, identity) in cases {
        let (url, heard) = server(identity).await;
        let asked = egress.send(request(&url)).await.unwrap_err();
        assert!(matches!(&asked, EgressError::Unreachable(reason) if reason.contains(why)), "{why}: {asked}");
        let dialled = egress.dial(dialling(&url)).await.unwrap_err();
        assert!(matches!(&dialled, EgressError::Unreachable(reason) if reason.contains(why)), "{why}: {dialled}");
        assert_eq!(heard.load(Ordering::SeqCst), 0, "{why}");
    }
}

#[tokio::test]
async fn a_certificate_from_an_authority_that_is_trusted_is_taken() {
    let authority = Authority::new();
    let (url, heard) = server(authority.signed(&of(NAME))).await;
    let egress = authority.trusted();
    assert_eq!(egress.send(request(&url)).await.unwrap().status, 200);
    // It speaks no WebSocket, and was asked.
    assert_eq!(egress.dial(dialling(&url)).await.unwrap_err(), EgressError::Refused(200));
    assert_eq!(heard.load(Ordering::SeqCst), 2);
    // Whom the host trusts by itself is on no list of the test's.
    let names = Turns::new(vec![vec!["127.0.0.1".parse().unwrap()]]);
    let networks = vec!["127.0.0.0/8".parse().unwrap()];
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let settings = EgressSettings { networks, ..EgressSettings::default() };
    let usual = Egress::trusting(roots, Arc::new(names), settings).unwrap();
    assert!(matches!(usual.send(request(&url)).await, Err(EgressError::Unreachable(_))));
}
