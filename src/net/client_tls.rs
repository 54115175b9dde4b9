//! TLS towards next hops and MX hosts: two rustls configurations, built once and shared by every connection.
//!
//! **Failure**: a handshake error is the caller's to judge: opportunistic delivery goes on without TLS over a new
//! connection, `required` and `verified` do not.
//! **Invariants**: `verified` checks the chain against the system's (and the given) roots and the host's name;
//! "encrypt only" still checks that the peer holds the key of the certificate it shows.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::model::TlsFacts;

/// The configuration can't be made.
#[derive(Debug, thiserror::Error)]
#[error("client TLS can't be set up: {0}")]
pub struct ClientTlsError(#[from] rustls::Error);

/// What the peer's certificate must show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerCheck {
    /// Any certificate: protects against listeners on the wire only (RFC 7435).
    EncryptOnly,
    /// A chain to a known root, and the host's name.
    Verified,
}

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct ClientTls {
    encrypt_only: Connector,
    verified: Connector,
}

/// [`TlsConnector`] without its missing `Debug`.
#[derive(Clone)]
struct Connector(TlsConnector);

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsConnector")
    }
}

impl ClientTls {
    /// With the system's roots and `extra` ones. A system without roots is no error: `verified` then fails per connection.
    ///
    /// # Errors
    /// [`ClientTlsError`] if rustls refuses the protocol versions.
    pub fn new(extra: impl IntoIterator<Item = CertificateDer<'static>>) -> Result<Self, ClientTlsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        let system = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(system.certs);
        roots.add_parsable_certificates(extra);
        let base = || ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
        let verified = base()?.with_root_certificates(roots).with_no_client_auth();
        let any = Arc::new(AnyCertificate(Arc::clone(&provider)));
        let mut encrypt_only = base()?.dangerous().with_custom_certificate_verifier(any).with_no_client_auth();
        // Names are not checked here, and many MX hosts dislike SNI they don't know less than none; keep it for those that
        // choose a certificate by it.
        encrypt_only.enable_sni = true;
        let connector = |config| Connector(TlsConnector::from(Arc::new(config)));
        Ok(Self { encrypt_only: connector(encrypt_only), verified: connector(verified) })
    }

    /// Shakes hands. `host` is the name the certificate must carry when it is checked.
    ///
    /// # Errors
    /// Whatever broke the handshake; the connection is gone.
    pub async fn connect(
        &self,
        check: PeerCheck,
        host: &str,
        stream: TcpStream,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let ip = stream.peer_addr()?.ip();
        let name = match (ServerName::try_from(host.to_owned()), check) {
            (Ok(name), _) => name,
            (Err(_), PeerCheck::EncryptOnly) => ServerName::IpAddress(ip.into()),
            (Err(error), PeerCheck::Verified) => return Err(std::io::Error::other(error)),
        };
        let connector = match check {
            PeerCheck::EncryptOnly => &self.encrypt_only,
            PeerCheck::Verified => &self.verified,
        };
        connector.0.connect(name, stream).await
    }
}

/// What to log of a connection.
#[must_use]
pub fn facts(stream: &TlsStream<TcpStream>) -> TlsFacts {
    let (_, connection) = stream.get_ref();
    let version = connection.protocol_version().and_then(|version| version.as_str()).unwrap_or_default();
    let cipher = connection.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()).unwrap_or_default();
    TlsFacts { version: version.replace('_', ".").into(), cipher: cipher.into(), client_certificate: None }
}

/// Takes every certificate, checks every signature.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
